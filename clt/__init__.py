"""clt: contrastive representation learning for language, from scratch.

The modules, from the ground up: ``similarity``, ``losses``, ``metrics``, ``neighbors`` and ``retrieval`` know only
tensors; ``data``, ``augment``, ``encoders``, ``training`` and ``plots`` follow the text on its way; ``checks`` and
``command`` stand on top. Importing ``clt`` loads none of them: each is imported on first use, so that a notebook waits
only for what it needs.
"""

import importlib
import os
import pkgutil
from importlib.metadata import PackageNotFoundError, version

# torch's threads spin while they wait for one another. On a machine with anything else to do, the small steps of this
# course then take fifty times as long; sleeping threads cost next to nothing. Read when torch is first loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

try:
    __version__ = version("clt")
except PackageNotFoundError:  # a plain checkout on sys.path
    __version__ = "0+unknown"

_MODULES = tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def __getattr__(name):
    if name in _MODULES:
        return importlib.import_module(f"clt.{name}")
    raise AttributeError(f"module 'clt' has no attribute {name!r}")


def __dir__():
    return [*_MODULES, "__version__"]
