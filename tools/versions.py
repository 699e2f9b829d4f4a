"""Test the course with other versions of what it stands on, in an environment of its own under build/versions.

    python tools/versions.py oldest|newest|pinned [--torch VERSION] [--tests TEST …] [--notebooks NOTEBOOK …]

oldest is what the lower bounds in pyproject.toml name, newest whatever pip finds today, pinned what constraints.txt
lists. The unit tests run first, then the notebooks against their stored outputs. ``--torch`` takes another version of
torch than the set's, where there is no build of that one for this machine.
"""

import argparse
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build" / "versions"
NBVAL = ["--nbval", "--nbval-current-env", "--nbval-cell-timeout=600", "--nbval-sanitize-with", "tests/nbval.cfg"]


def oldest(requirements: Iterable[str]) -> dict[str, str]:
    """NAME → lower bound of each requirement; what those need in turn is left to pip, which takes the newest.

    Raises:
        ValueError: for a requirement without one lower bound: it would promise versions that nobody tried.
    """
    found = {}
    for line in requirements:
        requirement = Requirement(line)
        bounds = [s.version for s in requirement.specifier if s.operator == ">="]
        if len(bounds) != 1:
            raise ValueError(f"{line!r} has no lower bound")
        found[requirement.name] = bounds[0]
    return found


def chosen(name: str) -> dict[str, str]:
    """NAME → VERSION of what a set fixes; nothing for the newest."""
    if name == "newest":
        return {}
    if name == "pinned":
        lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        return dict(line.split("==") for line in lines if line and not line.startswith("#"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return oldest([*project["dependencies"], *project["optional-dependencies"]["dev"]])


def environment(folder: Path, pins: dict[str, str], torch: str | None, what: list[str]) -> Path:
    """Make ``folder`` a fresh environment with ``what`` installed under ``pins``; returns its Python."""
    if torch and pins.get("torch", torch) != torch:
        print(f"note: torch {torch} in place of {pins['torch']}", flush=True)
    pins = pins | ({"torch": torch} if torch else {})
    folder.parent.mkdir(parents=True, exist_ok=True)
    listed = folder.with_suffix(".txt")
    listed.write_text("".join(f"{name}=={version}\n" for name, version in pins.items()), encoding="utf-8")
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-c", listed]
    subprocess.run([*install, *what], cwd=ROOT, check=True)
    return python


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", choices=["oldest", "newest", "pinned"])
    parser.add_argument("--torch", metavar="VERSION")
    parser.add_argument("--tests", nargs="*", default=["tests"], metavar="TEST")
    parser.add_argument("--notebooks", nargs="*", default=["notebooks"], metavar="NOTEBOOK")
    options = parser.parse_args()
    python = environment(FOLDER / options.set, chosen(options.set), options.torch, ["-e", ".[dev]"])
    freeze = [python, "-m", "pip", "freeze", "--exclude-editable", "--disable-pip-version-check"]
    found = subprocess.run(freeze, check=True, capture_output=True, text=True).stdout
    (FOLDER / f"{options.set}-found.txt").write_text(found, encoding="utf-8")
    print(f"{options.set}: versions in {FOLDER.relative_to(ROOT)}/{options.set}-found.txt", flush=True)
    runs = [[*options.tests, "--dist", "loadgroup"], [*options.notebooks, *NBVAL, "--dist", "loadfile"]]
    results = [subprocess.run([python, "-m", "pytest", "-n", "2", *run], cwd=ROOT).returncode for run in runs if run[0]]
    return max(results, default=0)


if __name__ == "__main__":
    sys.exit(main())
