"""The scripts in ``tools`` as modules: that folder is no package. And what ``make`` would run."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

TOOLS = Path(__file__).resolve().parent.parent / "tools"
BIN = ".venv/Scripts" if os.name == "nt" else ".venv/bin"  # as the Makefile says


def load_tool(name: str) -> ModuleType:
    """``tools/NAME.py``, loaded once; it finds its neighbours as it does when it is run."""
    known = f"{name}_tool" if name in sys.stdlib_module_names else name  # not in the place of Python's own `site`
    if known not in sys.modules:
        if str(TOOLS) not in sys.path:
            sys.path.append(str(TOOLS))
        spec = importlib.util.spec_from_file_location(known, TOOLS / f"{name}.py")
        module = sys.modules[known] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[known]


def recipe(target: str, **variables: str) -> list[str]:
    """The commands that ``make TARGET NAME=VALUE …`` runs in a checkout that is set up, one a line."""
    given = [f"{name}={value}" for name, value in variables.items()]
    # Nothing is made: -n prints; -o takes .venv for made, as it is not where the tests run in another environment.
    ready = [part for name in (".ready", ".present") for part in ("-o", f".venv/{name}")]
    command = ["make", "--no-print-directory", "-n", *ready, target, *given]
    printed = subprocess.run(command, cwd=TOOLS.parent, check=True, capture_output=True, text=True).stdout
    return printed.replace("\\\n", " ").splitlines()
