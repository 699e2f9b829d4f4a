"""The scripts in ``tools`` as modules: that folder is no package."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

TOOLS = Path(__file__).resolve().parent.parent / "tools"


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
