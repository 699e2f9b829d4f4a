"""What holds the project together: pins and bounds agree, imports stay light, the README tells the truth."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from loading import BIN, recipe
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import clt

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
# conda-forge's names where they differ from PyPI's
CONDA = {"torch": "pytorch-cpu", "matplotlib": "matplotlib-base", "seaborn": "seaborn-base",
         "jupyter-client": "jupyter_client"}  # fmt: skip


def requirements():
    return [Requirement(line) for group in (PROJECT["dependencies"], *EXTRAS.values()) for line in group]


def pins() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    lines = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[^ =+]+", line) for line in lines), "NAME==VERSION and nothing else"
    return {canonicalize_name(name): Version(version) for name, version in (line.split("==") for line in lines)}


def test_every_requirement_is_pinned_within_its_bounds():
    pinned = pins()
    for requirement in requirements():
        name = canonicalize_name(requirement.name)
        assert name in pinned, f"{name} is not in constraints.txt"
        assert requirement.specifier.contains(pinned[name]), f"{requirement} against {pinned[name]}"
    assert pinned["torch"] == Version("2.13.0")


def test_the_package_has_lower_bounds_only():
    for line in PROJECT["dependencies"]:
        assert [s.operator for s in Requirement(line).specifier] == [">="], line


def test_conda_has_the_same_packages_and_bounds():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    listed, pip = environment["dependencies"][:-1], environment["dependencies"][-1]
    assert pip == {"pip": ["-e ."]}
    ours = {CONDA.get(r.name, r.name): str(r.specifier) for r in map(Requirement, PROJECT["dependencies"])}
    theirs = {re.split(r"[>=]", line)[0]: re.sub(r"^[\w.-]+", "", line) for line in listed}
    assert theirs.pop("python") == "=3.11"
    theirs.pop("pip")
    assert theirs == ours
    assert environment["channels"][0] == "conda-forge"


def test_workflow_covers_systems_and_versions():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    matrix = workflow["jobs"]["course"]["strategy"]["matrix"]
    classifiers = [c.rsplit(" ", 1)[1] for c in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", c)]
    assert matrix["python"] == classifiers
    assert {name.split("-")[0] for name in matrix["os"]} == {"ubuntu", "macos", "windows"}


def test_import_loads_the_standard_library_alone():
    """``import clt`` costs a notebook nothing: each module is loaded when it is first asked for."""
    script = (
        "import sys, clt; own = {'clt', *sys.stdlib_module_names, '_distutils_hack', 'sitecustomize'}; "
        "print([m for m, found in sys.modules.items() if m.split('.')[0] not in own and m[:2] != '__']); "
        "print([m for m in sys.modules if m.startswith('clt.')])"
    )
    said = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert [line for line in said.splitlines() if "__editable__" not in line] == ["[]", "[]"]


def test_the_package_shows_its_modules_and_nothing_else():
    names = {path.stem for path in (ROOT / "clt").glob("*.py")} | {
        p.parent.name for p in ROOT.glob("clt/*/__init__.py")
    }
    assert set(dir(clt)) == names - {"__init__"} | {"__version__"}
    assert not [name for name in names if name.startswith("_") and name != "__init__"], "a student opens this folder"
    assert clt.similarity.__name__ == "clt.similarity"
    with pytest.raises(AttributeError, match="module 'clt' has no attribute 'losess'"):
        clt.losess  # noqa: B018


def test_the_losses_need_torch_alone():
    script = (
        "import sys; from clt import losses, similarity; "
        "heavy = [m for m in ('transformers', 'datasets', 'sklearn', 'matplotlib', 'scipy') if m in sys.modules]; "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def lint_imports(folder: Path) -> subprocess.CompletedProcess:
    """What ``make lint`` asks of the package in ``folder``, as pyproject.toml there declares it."""
    script = "import sys; from importlinter.cli import lint_imports_command; lint_imports_command(['--no-cache'])"
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONIOENCODING": "utf-8"}
    return subprocess.run([sys.executable, "-c", script], cwd=folder, env=environment, capture_output=True, text=True)


def test_modules_import_only_what_stands_below_them(tmp_path):
    """Text flows one way: what pyproject.toml declares is so, and where it is not, ``make lint`` says it."""
    assert any(line.startswith(f"{BIN}/lint-imports") for line in recipe("lint"))
    found = lint_imports(ROOT)
    assert found.returncode == 0, found.stdout + found.stderr

    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "clt", tmp_path / "clt", ignore=shutil.ignore_patterns("_data", "__pycache__", "recorded"))
    for module, line, says in (
        ("similarity.py", "from clt.command import cli", "clt.similarity is not allowed to import clt.command"),
        (
            "metrics/geometry.py",
            "def late():\n    from clt import losses",
            "clt.metrics is not allowed to import clt.losses",
        ),
        ("command/processes.py", "from clt.command import runner", "no circle within a package BROKEN"),
    ):
        path = tmp_path / "clt" / module
        before = path.read_text(encoding="utf-8")
        path.write_text(f"{before}\n\n{line}\n", encoding="utf-8")
        found = lint_imports(tmp_path)
        assert found.returncode == 1
        assert says in " ".join(found.stdout.split()), found.stdout
        path.write_text(before, encoding="utf-8")
    (tmp_path / "clt" / "homeless.py").touch()
    assert "homeless" in lint_imports(tmp_path).stdout


IMPORTED_AS = {"scikit-learn": "sklearn", "pyyaml": "yaml", "jupyter-client": "jupyter_client"}
# They come with others, in versions that those choose: with transformers, jupyterlab, matplotlib and torch.
COME_ALONG = {"safetensors": "transformers", "tokenizers": "transformers", "IPython": "jupyterlab",
              "matplotlib_inline": "jupyterlab", "PIL": "matplotlib"}  # fmt: skip


def imported(folder: Path) -> set[str]:
    """The packages that the code in ``folder`` imports, wherever in it; those of Python itself are left out."""
    found = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"clt", *(path.stem for path in folder.rglob("*.py"))}


def test_what_is_imported_is_declared():
    names = {
        extra: {IMPORTED_AS.get(r.name, r.name) for r in map(Requirement, lines)} for extra, lines in EXTRAS.items()
    }
    declared = {IMPORTED_AS.get(r.name, r.name) for r in map(Requirement, PROJECT["dependencies"])}
    declared |= {name for name, brings in COME_ALONG.items() if brings in declared}
    assert imported(ROOT / "clt") <= declared
    assert imported(ROOT / "tools") <= declared | names["dev"] | names["site"] | {"docutils"}  # Sphinx is made of it


def test_readme_names_what_is_there():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for target in sorted(set(re.findall(r"(?:`|^)make ([a-z]+)", text, re.M))):
        assert recipe(target), f"make {target}"
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / link).exists(), link
    listed = re.findall(r"\(notebooks/(\w+\.ipynb)\)", text)
    assert listed == sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))


def test_help_lists_every_target():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^\.PHONY: (.*)$", makefile, re.M)[0].split())
    command = ["make", "--no-print-directory", "help"]  # under `make test` it would announce its folder
    shown = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert {line.split()[1] for line in shown.splitlines()} == targets
