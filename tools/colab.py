"""Run the notebooks as Colab does: its packages, an empty folder, and `clt` installed by the setup cell itself.

    python tools/colab.py [LESSON …] [--torch VERSION]

LESSON is a notebook, or the number of a lesson. build/colab gets an environment with what colab-constraints.txt lists,
and nothing of this checkout. The notebooks run in a kernel of that environment, in a folder of their own. The address
in their setup cell is replaced by an archive of this working tree, as GitHub would serve it at the tag; so the first
notebook installs the package, the data and all, the way a reader's does. At the end nothing but `clt` may have come,
gone or changed.

``--torch`` takes another version of torch than the list's, where there is no build of that one for this machine.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from versions import environment

from clt.command.executor import Lesson, execute, prepared
from clt.command.plan import find_lessons

ROOT = Path(__file__).resolve().parent.parent
LISTED = ROOT / "colab-constraints.txt"
FOLDER = ROOT / "build" / "colab"
ADDRESS = re.compile(r"https://github\.com/[^\"]*\.tar\.gz")


def constraints(text: str) -> tuple[str, dict[str, str]]:
    """Python's version and NAME → VERSION, as colab-constraints.txt lists them."""
    lines = [line.strip() for line in text.splitlines()]
    (python,) = (line.removeprefix("# python ") for line in lines if line.startswith("# python "))
    pins = (line.split("==") for line in lines if line and not line.startswith("#"))
    return python, {canonicalize_name(name): version for name, version in pins}


def wanted(pins: dict[str, str]) -> list[str]:
    """What the package asks for and Colab has, and the kernel; Colab has no JupyterLab and no papermill."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = [canonicalize_name(Requirement(line).name) for line in project["dependencies"]]
    return [*(name for name in names if name in pins), "ipykernel"]


def archive() -> Path:
    """The working tree as GitHub serves a tag: every file that git knows or would add, in one folder."""
    target = FOLDER / "clt.tar.gz"
    listed = ["git", "ls-files", "-co", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    with tarfile.open(target, "w:gz", compresslevel=1) as tar:
        for name in names:
            if (ROOT / name).is_file():
                tar.add(ROOT / name, f"clt/{name}")
    return target


def installed(python: Path) -> set[str]:
    freeze = [python, "-m", "pip", "freeze", "--all", "--disable-pip-version-check"]
    return set(subprocess.run(freeze, check=True, capture_output=True, text=True).stdout.splitlines())


def run(lesson: Lesson, source: str) -> None:
    """Run one notebook with its setup cell installing from ``source``; how it went stands in ``lesson`` afterwards."""
    notebook = prepared(lesson)
    (setup,) = (cell for cell in notebook.cells if "setup" in cell.metadata.get("tags", []))
    setup.source, found = ADDRESS.subn(source, setup.source)
    if found != 1:
        raise ValueError(f"{lesson.path.name}: the setup cell names no archive to install from")
    here = FOLDER / "content"
    here.mkdir(exist_ok=True)
    execute(lesson, notebook, folder=here, kernel="colab")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", metavar="LESSON")
    parser.add_argument("--torch", metavar="VERSION")
    options = parser.parse_args()
    lessons = find_lessons(tuple(options.notebooks))
    version, pins = constraints(LISTED.read_text(encoding="utf-8"))
    if not sys.version.startswith(f"{version}."):
        print(f"note: Colab has Python {version}, this is {sys.version.split()[0]}", flush=True)
    python = environment(FOLDER / "env", pins, options.torch, wanted(pins))
    spec = FOLDER / "jupyter" / "kernels" / "colab" / "kernel.json"
    spec.parent.mkdir(parents=True, exist_ok=True)
    start = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec.write_text(json.dumps({"argv": start, "display_name": "colab", "language": "python"}), encoding="utf-8")
    os.environ |= {"JUPYTER_PATH": str(FOLDER / "jupyter"), "CLT_RESULTS": str(FOLDER / "results")}
    # How a program knows that it runs on Colab.
    os.environ["COLAB_RELEASE_TAG"] = f"like-colab-{version}"
    before, source = installed(python), archive().as_uri()
    for lesson in lessons:
        run(lesson, source)
        said = f"failed at {lesson.problem}" if lesson.problem else f"{lesson.seconds:.0f} s"
        print(f"{lesson.name}: {said}", flush=True)
    changed = {line for line in before ^ installed(python) if not line.startswith(("clt ", "clt=="))}
    if changed:
        print("the setup cell changed more than clt:", *sorted(changed), sep="\n  ")
    return 1 if changed or any(lesson.problem for lesson in lessons) else 0


if __name__ == "__main__":
    sys.exit(main())
