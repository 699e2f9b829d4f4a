"""The other ways to open the course: Colab, Binder, containers, and other versions of what it stands on."""

import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import time
import tomllib
import urllib.error
import urllib.request
from pathlib import Path

import nbformat
import pytest
import yaml
from loading import BIN, load_tool, recipe
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from clt.command import doctor

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "anywhere.yml").read_text(encoding="utf-8"))["jobs"]
DOCKERFILE = (ROOT / ".devcontainer" / "Dockerfile").read_text(encoding="utf-8")
versions, colab = load_tool("versions"), load_tool("colab")
COLAB_PYTHON, COLAB = colab.constraints((ROOT / "colab-constraints.txt").read_text(encoding="utf-8"))


# -- versions -------------------------------------------------------------------------------------------------------


def test_the_oldest_are_the_lower_bounds():
    assert versions.oldest(["torch>=2.6", "pytest>=8.2,<10"]) == {"torch": "2.6", "pytest": "8.2"}
    for bad in ("numpy", "numpy<3", "numpy==2.0"):
        with pytest.raises(ValueError, match="lower bound"):
            versions.oldest([bad])


def test_the_three_sets():
    oldest, pinned = versions.chosen("oldest"), versions.chosen("pinned")
    assert versions.chosen("newest") == {}
    for line in PROJECT["dependencies"]:
        requirement = Requirement(line)
        assert requirement.specifier.contains(oldest[requirement.name])
        pin = {canonicalize_name(name): pin for name, pin in pinned.items()}[canonicalize_name(requirement.name)]
        assert Version(oldest[requirement.name]) <= Version(pin)


def test_every_set_is_tested_as_make_test_does():
    """The tool has options of its own, since not every machine that runs it has make."""
    [line] = recipe("test-notebooks")
    words = line.split()
    assert words[:4] == [f"{BIN}/python", "-m", "pytest", "notebooks"]
    assert words[4:-4] == [part for option in versions.NBVAL for part in option.split()]


def test_ci_tries_all_three_and_each_end_of_the_range_of_pythons():
    tried = {entry["set"]: entry["python"] for entry in WORKFLOW["versions"]["strategy"]["matrix"]["include"]}
    pythons = [c.rsplit(" ", 1)[1] for c in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", c)]
    assert tried.keys() == {"pinned", "newest", "oldest"}
    assert (tried["oldest"], tried["newest"]) == (pythons[0], pythons[-1])


# -- Colab ----------------------------------------------------------------------------------------------------------


def test_what_colab_has_is_new_enough():
    """What the lessons need, Colab has, within the bounds; what runs notebooks, it has in its own version or not."""
    for line in PROJECT["dependencies"]:
        requirement = Requirement(line)
        name = canonicalize_name(requirement.name)
        if name not in doctor.OUTSIDE:
            assert requirement.specifier.contains(COLAB[name]), f"Colab has {name} {COLAB[name]}, we need {requirement}"
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(f"{COLAB_PYTHON}.0")


def test_the_list_says_where_it_is_from_and_when():
    head = (ROOT / "colab-constraints.txt").read_text(encoding="utf-8").split("# python")[0]
    assert re.search(r"\d{4}-\d\d-\d\d", head)
    assert "backend-info" in head
    assert {"torch", "numpy", "transformers", "ipykernel"} <= COLAB.keys()


def test_ci_runs_colab_with_colabs_python():
    steps = WORKFLOW["colab"]["steps"]
    assert [s["with"]["python-version"] for s in steps if "setup-python" in s.get("uses", "")] == [COLAB_PYTHON]
    assert any(s.get("run", "").startswith("make colab") for s in steps)


def test_colabs_environment_is_without_the_package():
    wanted = colab.wanted(COLAB)
    assert {"torch", "transformers", "numpy", "ipykernel"} <= set(wanted)
    assert not {"clt", "jupyterlab", "papermill"} & set(wanted)


def test_the_archive_is_the_working_tree(tmp_path, monkeypatch):
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("needs a git checkout")
    monkeypatch.setattr(colab, "FOLDER", tmp_path)
    with tarfile.open(colab.archive()) as tar:
        names = set(tar.getnames())
    assert {"clt/pyproject.toml", "clt/setup.py", "clt/clt/__init__.py", "clt/data/clt-mini/model.safetensors"} <= names
    assert not [name for name in names if "/.venv/" in name or "/build/" in name]


def test_a_setup_cell_without_an_archive_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(colab, "FOLDER", tmp_path)
    cell = nbformat.v4.new_code_cell("import clt", metadata={"tags": ["setup"]})
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "a.ipynb")
    [lesson] = colab.find_lessons((tmp_path / "a.ipynb",))
    with pytest.raises(ValueError, match="archive"):
        colab.run(lesson, "file:///nowhere.tar.gz")


def test_colabs_notebooks_run_in_its_kernel_and_an_empty_folder(tmp_path, monkeypatch):
    """With the setup cell's address replaced; the notebook in the checkout stays as it is."""
    monkeypatch.setattr(colab, "FOLDER", tmp_path)
    kernel = tmp_path / "jupyter" / "kernels" / "colab" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    start = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel.write_text(json.dumps({"argv": start, "display_name": "colab", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    source = "address = 'https://github.com/o/r/archive/refs/tags/v1.tar.gz'"
    cells = [
        nbformat.v4.new_code_cell(source, metadata={"tags": ["setup"]}),
        nbformat.v4.new_code_cell("import os\nassert (address, os.listdir()) == ('file:///here', []), os.listdir()"),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "a.ipynb")
    before = (tmp_path / "a.ipynb").read_bytes()
    [lesson] = colab.find_lessons((tmp_path / "a.ipynb",))
    colab.run(lesson, "file:///here")
    assert lesson.problem == ""
    assert lesson.seconds > 0
    assert (tmp_path / "a.ipynb").read_bytes() == before


# -- containers -----------------------------------------------------------------------------------------------------


def instructions(text: str) -> list[tuple[str, str]]:
    """A Dockerfile's instructions in order, comments left out and continued lines joined."""
    lines = re.sub(r"\\\n\s*", " ", re.sub(r"(?m)^#.*\n", "", text)).splitlines()
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines if line.strip()]


def command() -> list[str]:
    return json.loads([rest for name, rest in instructions(DOCKERFILE) if name == "CMD"][-1])


def test_the_container_is_not_root():
    steps = instructions(DOCKERFILE)
    users = [rest for name, rest in steps if name == "USER"]
    assert users == ["1000"]
    after = steps[steps.index(("USER", "1000")) :]
    assert not [rest for name, rest in after if name == "RUN" and re.search(r"\b(sudo|su|apt-get)\b", rest)]
    assert all("--chown=1000" in rest for name, rest in steps if name == "COPY")


def test_the_container_is_built_from_the_constraints():
    steps = instructions(DOCKERFILE)
    (install,) = (rest for name, rest in steps if name == "RUN" and "make setup" in rest)
    assert "PIP_EXTRA_INDEX_URL" in install
    assert not [rest for name, rest in steps if name == "RUN" and {"pip", "pip3"} & set(rest.split())]
    copied = next(rest for name, rest in steps if name == "COPY").split()
    assert {"pyproject.toml", "constraints.txt", "Makefile"} <= set(copied)
    assert all((ROOT / name).exists() for name in copied if not name.startswith("--"))
    setup = subprocess.run(["make", "-n", "-B", "setup"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert [line.split()[-2:] for line in setup.splitlines() if "pip install" in line] == [["-c", "constraints.txt"]]


def test_the_development_container_is_the_same():
    found = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    folder = ROOT / ".devcontainer"
    assert (folder / found["build"]["dockerfile"]).is_file()
    assert (folder / found["build"]["context"]).resolve() == ROOT
    steps = instructions(DOCKERFILE)
    assert found["build"]["target"] in [rest.split()[-1] for name, rest in steps if name == "FROM"]
    (user,) = (rest.split() for name, rest in steps if name == "RUN" and "useradd" in rest)
    assert (user[user.index("--uid") + 1], user[-1]) == ("1000", found["remoteUser"])
    assert found["postCreateCommand"].startswith("make setup")


def test_what_is_made_stays_out_of_the_image():
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {".venv", "build", ".git", "**/node_modules"} <= set(ignored)


def options(words: list[str]) -> dict[str, str]:
    """``--NAME=VALUE`` → VALUE."""
    return dict(word.removeprefix("--").split("=", 1) for word in words if word.startswith("--") and "=" in word)


def test_jupyterlab_opens_the_whole_checkout_on_a_lesson():
    """``make lab`` and the container: records, slides and datasheets can be reached from the file browser."""
    first = {"ServerApp.root_dir": ".", "LabApp.default_url": "/lab/tree/notebooks/00_start_here.ipynb"}
    container = {"port": "8888", "ip": "0.0.0.0"}
    assert options(command()) == first | container
    given = {"": "00_start_here", "04": "04_simcse", "notebooks/04_simcse.ipynb": "04_simcse"}
    for name, lesson in given.items():
        [line] = recipe("lab", NB=name)
        assert line.split()[:2] == [f"{BIN}/jupyter", "lab"]
        wanted = first | {"LabApp.default_url": f"/lab/tree/notebooks/{lesson}.ipynb"}
        assert options(line.split()) == wanted | {"ip": "127.0.0.1"}


@pytest.mark.slow
def test_the_containers_jupyter_asks_for_its_token(tmp_path):
    """Its very command, but for the address: with the token it shows the checkout and a lesson, without it nothing.

    The same server shows that lesson as slides, where ``make present`` has installed what does.
    """
    words = command()
    assert words[:2] == ["jupyter", "lab"]
    assert not re.search(r"token|password|allow.root|allow_origin|disable_check", " ".join(words), re.IGNORECASE)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    changed = {"--ip=0.0.0.0": "--ip=127.0.0.1", "--port=8888": f"--port={port}"}
    words = [sys.executable, "-m", *(changed.get(word, word) for word in words), "--port-retries=0"]
    if hasattr(os, "getuid") and os.getuid() == 0:
        words.append("--allow-root")  # the test's own user may be root; the container's is not
    own = {name: str(tmp_path / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR")}
    environment = os.environ | own | {"JUPYTER_TOKEN": "from-the-environment"}
    server = subprocess.Popen(words, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)

    def ask(path: str, **headers) -> tuple[int, str]:
        request = urllib.request.Request(f"http://127.0.0.1:{port}/{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, ""
        except OSError:
            return 0, ""

    right = {"Authorization": "token from-the-environment"}
    try:
        for _ in range(240):
            if ask("api")[0] == 200:  # what the Dockerfile's health check asks
                break
            assert server.poll() is None, "JupyterLab did not start"
            time.sleep(0.5)
        assert "/api'" in DOCKERFILE
        for path in ("api/contents/notebooks/00_start_here.ipynb?content=0", "api/contents/data/README.md?content=0"):
            assert ask(path)[0] == 403
            assert ask(path, Authorization="token wrong")[0] == 403
            assert ask(path, **right)[0] == 200
        status, page = ask("?token=from-the-environment")
        assert status == 200
        assert re.search(r'"treePath": "/?notebooks/00_start_here\.ipynb"', page), "it opens on the first lesson"
        if importlib.util.find_spec("jupyterlab_rise"):
            status, page = ask("rise/notebooks/00_start_here.ipynb?token=from-the-environment")
            assert status == 200
            assert re.search(r'"notebookPath": "/?notebooks/00_start_here\.ipynb"', page)
    finally:
        server.terminate()
        server.wait(20)


# -- Binder ---------------------------------------------------------------------------------------------------------


def test_binder_takes_the_environment_file():
    """A Dockerfile at the root, or a folder named binder, would be taken in its place."""
    assert (ROOT / "environment.yml").is_file()
    for name in ("Dockerfile", "binder", ".binder", "requirements.txt", "runtime.txt"):
        assert not (ROOT / name).exists(), name


@pytest.mark.skipif(os.name == "nt", reason="Binder is Linux")
@pytest.mark.parametrize("name", ["postBuild", "start"])
def test_binders_scripts_can_be_run(name):
    assert os.access(ROOT / name, os.X_OK)
    assert (ROOT / name).read_text(encoding="utf-8").startswith("#!/usr/bin/env bash\n")
    subprocess.run(["bash", "-n", ROOT / name], check=True)


@pytest.mark.skipif(os.name == "nt", reason="Binder is Linux")
def test_binder_starts_with_two_threads():
    program = "import os; print(os.environ['OMP_NUM_THREADS'])"
    run = subprocess.run([ROOT / "start", sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert run.stdout == "2\n"


def test_a_lesson_fits_on_binder():
    """What tools/execute.py measured, and wrote into each lesson's head."""
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        head = nbformat.read(path, 4).cells[0].source
        seconds, memory = re.search(r"\*Runs in:\* (\d+) seconds and (\d+\.\d) GB", head).groups()
        assert float(memory) <= 1.6, path.name
        assert int(seconds) < 240, path.name
