"""What holds the project together: pins and bounds agree, imports stay light, the README tells the truth."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
# conda-forge's names where they differ from PyPI's
CONDA = {"torch": "pytorch-cpu", "matplotlib": "matplotlib-base", "seaborn": "seaborn-base"}


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


def test_import_is_light():
    """``import clt`` adds under 0.2 s to ``import torch``, and loads nothing heavy."""
    script = (
        "import sys, time, torch; start = time.perf_counter(); import clt; took = time.perf_counter() - start; "
        "heavy = [m for m in ('transformers', 'datasets', 'sklearn', 'matplotlib', 'scipy') if m in sys.modules]; "
        "print(took, heavy); assert not heavy, heavy"
    )
    run = lambda: subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    took = [float(run().split()[0]) for _ in range(3)]
    assert min(took) < 0.2, took


def test_the_losses_need_torch_alone():
    script = (
        "import sys; from clt import losses, similarity; "
        "heavy = [m for m in ('transformers', 'datasets', 'sklearn', 'matplotlib', 'scipy') if m in sys.modules]; "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_modules_import_only_what_stands_below_them():
    """Text flows one way: each module may import those before it in this list, and no other."""
    order = ["similarity", "losses", "metrics", "results", "data", "augment", "pretrain", "encoders", "training"]
    order += ["plots", "checks", "run"]
    for path in (ROOT / "clt").rglob("*.py"):
        own = path.relative_to(ROOT / "clt").parts[0].removesuffix(".py")
        if own.startswith("_"):
            own = "run"
        for found in re.findall(
            r"^\s*(?:from|import) clt\.?(\w+)?(?: import ([\w, ]+))?", path.read_text("utf-8"), re.M
        ):
            names = [found[0]] if found[0] else [name.strip() for name in found[1].split(",")]
            for name in names:
                if name in order and name != own:
                    assert order.index(name) < order.index(own), f"{path.name} imports {name}"


def test_readme_names_what_is_there():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"(?:`|^)make ([a-z]+)", text, re.M):
        assert re.search(rf"^{target}:", makefile, re.M), f"make {target}"
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
