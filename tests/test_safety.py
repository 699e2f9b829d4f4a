"""What SECURITY.md promises, held against the code: no pickle, no remote code, no shell, a local JupyterLab."""

import ast
import json
import re
import sys
from pathlib import Path

import pytest
from loading import recipe
from submissions import TRIPLET, exercises, write

from clt.command.grade import Grader

ROOT = Path(__file__).resolve().parent.parent
CODE = sorted(path for folder in ("clt", "tools", "benchmarks") for path in (ROOT / folder).rglob("*.py"))
CODE += [ROOT / "setup.py", *sorted((ROOT / "slides" / "figures").glob("*.py"))]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
RUNNERS = {"os.system", "os.popen", "yaml.unsafe_load", "pd.read_pickle"}
OPEN_DOOR = re.compile(r"token\s*=\s*(''|\"\"|\s|$)|password\s*=|allow_origin|disable_check|allow-root", re.IGNORECASE)
UNPICKLE = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


def cells(path: Path) -> str:
    """The code of a notebook; lines with a magic are left out."""
    found = [c for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code"]
    return "\n".join(re.sub(r"(?m)^(\s*)%.*$", r"\1pass", "".join(cell["source"])) for cell in found)


def offences(source: str) -> list[str]:
    """What a program does that the course must not."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [f"import {a.name}" for a in node.names if a.name.split(".")[0] in UNPICKLE]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in UNPICKLE:
            found.append(f"from {node.module}")
        elif isinstance(node, ast.Call):
            name, options = ast.unparse(node.func), {k.arg: ast.unparse(k.value) for k in node.keywords}
            if name == "torch.load" and options.get("weights_only") != "True":
                found.append("torch.load without weights_only=True")
            if name in ("np.load", "numpy.load") and options.get("allow_pickle", "False") != "False":
                found.append("np.load with pickles")
            if name == "yaml.load" and len(node.args) < 2 and "Loader" not in options:
                found.append("yaml.load without a safe loader")
            if name in RUNNERS or options.get("shell") == "True":
                found.append(f"{name} runs what it is given")
            if options.get("trust_remote_code", "False") != "False":
                found.append("remote code")
    return found


@pytest.mark.parametrize("path", CODE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_code_does_nothing_unsafe(path):
    assert offences(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_notebooks_do_nothing_unsafe(path):
    assert offences(cells(path)) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle", "from joblib import load", "torch.load('x')", "torch.load('x', weights_only=False)",
        "np.load('x', allow_pickle=True)", "yaml.load(text)", "subprocess.run(command, shell=True)", "os.system('ls')",
        "AutoModel.from_pretrained('x', trust_remote_code=True)",
    ],
)  # fmt: skip
def test_each_offence_is_found(source):
    assert offences(source)


def calling(*names: str) -> set[str]:
    """The files that call one of these functions."""
    found = set()
    for path in CODE:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in names:
                found.add(path.relative_to(ROOT).as_posix())
    return found


def test_only_the_grader_runs_source_text():
    assert calling("exec", "eval") == {"clt/command/answers.py"}


def test_only_the_grader_and_torchrun_of_lesson_16_start_processes():
    """The kernels that run notebooks are started by Jupyter's own library."""
    started = calling("subprocess.run", "subprocess.Popen", "subprocess.check_output", "subprocess.check_call")
    assert {path for path in started if path.startswith("clt/")} == {
        "clt/command/grade.py",
        "clt/scale/processes.py",
    }


@pytest.mark.parametrize("target", ["lab", "present"])
def test_jupyter_is_local_and_keeps_its_token(target):
    [line] = [line for line in recipe(target) if "jupyter lab" in line]
    assert "--ip=127.0.0.1" in line.split()
    assert not OPEN_DOOR.search(line)


def test_the_page_is_there_and_names_this_file():
    assert "tests/test_safety.py" in (ROOT / "SECURITY.md").read_text(encoding="utf-8")


def test_a_submission_starts_no_shell_and_installs_nothing(tmp_path):
    """``!command``, ``%pip`` and their kin do nothing while it is graded."""
    touch = f"{sys.executable} -c \"open(r'{tmp_path / 'touched'}', 'w')\""
    lines = (
        f"!{touch}",
        f"names = !{touch}",
        f"%system {touch}",
        "%pip install nothing",
        f"here = get_ipython().getoutput({touch!r})",
    )
    write(tmp_path / "a.ipynb", *exercises("\n".join([*lines, TRIPLET.replace("square", "abs", 1)])))
    with Grader(60, 1.5) as grader:
        assert grader.grade(tmp_path / "a.ipynb", "a").grades["triplet_loss"].status == "wrong", (
            "all of its cell has run"
        )
    assert not (tmp_path / "touched").exists()
