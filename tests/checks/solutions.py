"""Right solutions as students write them, at least three for each exercise: ``EXERCISE__how`` in a module of ``right``.

The one called ``__plain`` is also what the mutants are made from, where it is code.
"""

import importlib
import pkgutil

import right

SOLUTIONS: dict[str, dict] = {}
for _module in pkgutil.iter_modules(right.__path__):
    for _name, _answer in vars(importlib.import_module(f"right.{_module.name}")).items():
        if "__" in _name.strip("_") and not _name.startswith("_"):
            _exercise, _how = _name.split("__")
            SOLUTIONS.setdefault(_exercise, {})[_how] = _answer
