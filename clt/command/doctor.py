"""Can this machine run the course? Findings in words, each with what to do where something is wrong.

Only the standard library is imported at the top: a doctor that cannot come because a package is missing helps nobody.
"""

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from clt.command.processes import usable_cores

NEEDED_MEMORY = 1.5e9  # bytes: what a notebook may take with its default parameters
# What shows and runs notebooks; Colab has its own.
OUTSIDE = {
    "ipywidgets",
    "jinja2",
    "jupyter-client",
    "jupyterlab",
    "latex2mathml",
    "nbclient",
    "nbconvert",
    "nbformat",
    "papermill",
}
# Each of these keeps datasets, transformers or the hub's library off the network, and these are the values they know.
OFFLINE = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")
SET = {"1", "ON", "YES", "TRUE"}
REINSTALL = "Run `make setup` in the course's folder, or: python -m pip install -e ."


class Finding(NamedTuple):
    """One thing looked at: ``level`` is ok, warning or broken; ``do`` is the way out, empty if none is needed."""

    level: str
    what: str
    do: str = ""


def examine(online: bool) -> Iterator[Finding]:
    """Look at everything, one finding after the other; a check that fails itself is a finding too."""
    checks: list[tuple[str, Callable]] = [
        ("Python", check_python),
        ("packages", check_packages),
        ("device", check_device),
        ("memory", check_memory),
        ("threads", check_threads),
        ("Jupyter kernel", check_kernel),
        ("the course's data", check_data),
        ("public data", check_public),
    ]
    if online:
        checks.append(("Hugging Face hub", check_hub))
    for name, check in checks:
        try:
            yield from check()
        except Exception as error:  # the doctor is asked when things are broken, whatever they are
            yield Finding("broken", f"{name}: could not be looked at ({type(error).__name__}: {error}).", REINSTALL)


def check_python() -> Iterator[Finding]:
    from packaging.specifiers import SpecifierSet

    needed, found = metadata.metadata("clt")["Requires-Python"], platform.python_version()
    if SpecifierSet(needed).contains(found, prereleases=True):
        yield Finding("ok", f"Python {found}")
    else:
        yield Finding(
            "broken", f"Python {found}, and the course needs {needed}.", "Make a new environment with one of these."
        )


def on_colab() -> bool:
    """Whether this is a machine of Google Colab, where the setup cell installed nothing but this package."""
    return "COLAB_RELEASE_TAG" in os.environ


def check_packages() -> Iterator[Finding]:
    from packaging.requirements import Requirement

    needed = [Requirement(line) for line in metadata.requires("clt") or []]
    needed = [package for package in needed if package.marker is None or package.marker.evaluate({"extra": ""})]
    if on_colab():
        needed = [package for package in needed if package.name not in OUTSIDE]
    good = 0
    for package in needed:
        try:
            found = metadata.version(package.name)
        except metadata.PackageNotFoundError:
            yield Finding("broken", f"{package.name} is missing, and the course needs {package}.", REINSTALL)
            continue
        if package.specifier.contains(found, prereleases=True):
            good += 1
        else:
            yield Finding("broken", f"{package.name} is {found}, and the course needs {package}.", REINSTALL)
    if good == len(needed):
        yield Finding("ok", f"packages: all {good} within the bounds of the course")


def check_device() -> Iterator[Finding]:
    import torch

    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            free, total = torch.cuda.mem_get_info(index)
            name = torch.cuda.get_device_name(index)
            yield Finding("ok", f"device: CUDA, {name}, {gigabytes(free)} free of {gigabytes(total)}")
    elif torch.backends.mps.is_available():
        yield Finding("ok", "device: MPS, the graphics processor of this Mac; it shares the memory below")
    else:
        yield Finding("ok", "device: CPU; the lessons are made for it, the full parameters are not")


def check_memory() -> Iterator[Finding]:
    import psutil

    memory = psutil.virtual_memory()
    what = f"memory: {gigabytes(memory.available)} free of {gigabytes(memory.total)}"
    if memory.available < NEEDED_MEMORY:
        do = f"A lesson takes up to {gigabytes(NEEDED_MEMORY)}: close other programs, and leave --jobs at 1."
        yield Finding("warning", what, do)
    else:
        yield Finding("ok", what)


def check_threads() -> Iterator[Finding]:
    import torch

    threads, cores, chosen = torch.get_num_threads(), usable_cores(), os.environ.get("OMP_NUM_THREADS")
    what = f"threads: PyTorch uses {threads}, and {cores} cores may be used"
    if chosen:
        what += f"; OMP_NUM_THREADS is {chosen}"
    if threads > cores:
        yield Finding("warning", what, f"More threads than cores slow training down: set OMP_NUM_THREADS={cores}.")
    else:
        yield Finding("ok", what)


def check_kernel() -> Iterator[Finding]:
    if on_colab():
        yield Finding("ok", "Jupyter kernel: Colab's own")
        return
    yield kernel_problem() or Finding("ok", "Jupyter kernel: python3 runs in this environment")


def kernel_problem() -> Finding | None:
    """What is wrong with the kernel ``python3``: it must be the interpreter that runs this."""
    try:
        from jupyter_client.kernelspec import NoSuchKernel
        from jupyter_client.manager import KernelManager
    except ImportError as error:
        return Finding("broken", f"Jupyter kernel: Jupyter is not complete ({error}).", REINSTALL)
    do = "Put this environment's own kernel first: python -m ipykernel install --sys-prefix"
    try:
        command = KernelManager(kernel_name="python3").format_kernel_cmd()
        found = Path(shutil.which(command[0]) or command[0])
    except NoSuchKernel:
        return Finding("broken", "Jupyter kernel: there is none named python3.", do)
    except Exception as error:  # a kernel.json that is cut off, empty, or about something else
        said = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        return Finding("broken", f"Jupyter kernel: the kernel.json of python3 cannot be used ({said}).", do)
    mine = Path(sys.executable)
    # Environments are told apart by folder, as their interpreters may be links to one file; names like python3 and
    # python3.11 in one folder by where they lead.
    if not found.exists() or found.parent.resolve() != mine.parent.resolve() or not found.samefile(mine):
        return Finding("broken", f"Jupyter kernel: python3 is another Python, {found}, not {mine}.", do)
    return None


def check_data() -> Iterator[Finding]:
    from clt import data

    problems = data.verify()
    for problem in problems:
        yield Finding(
            "broken",
            f"the course's data: {problem}.",
            "Restore it with git (git checkout -- data), or install clt again.",
        )
    if not problems:
        yield Finding("ok", "the course's data: every file is as it was published (SHA-256)")


def check_public() -> Iterator[Finding]:
    from clt import data

    folder, status = os.environ.get("CLT_DATA"), data.public_status()
    if folder and not Path(folder).is_dir():
        do = "Set CLT_DATA to the folder with the data sets, or unset it."
        yield Finding("warning", "public data: CLT_DATA is set, and there is no such folder.", do)
    here = [name for name, where in status if where == "in CLT_DATA"]
    hub = [name for name, where in status if where.startswith("on the hub")]
    if here:
        yield Finding("ok", f"public data in CLT_DATA: {', '.join(here)}")
    if hub and (closed := [name for name in OFFLINE if os.environ.get(name, "").upper() in SET]):
        names = " and ".join(closed)
        do = f"Lessons run without them. To load one, unset {names}, or put it into the folder CLT_DATA."
        are = "are" if len(closed) > 1 else "is"
        yield Finding("warning", f"public data out of reach, {names} {are} set: {', '.join(hub)}.", do)
    elif hub:
        yield Finding("ok", f"public data from the Hugging Face hub, when a reader asks for it: {', '.join(hub)}")
    for name, where in status:
        if name not in here + hub:
            yield Finding("ok", f"public data, {name}: {where}")


def check_hub() -> Iterator[Finding]:
    import urllib.request

    address = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    try:
        urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=10).close()
    except OSError as error:
        do = "Lessons with their default parameters need no network. For public data: CLT_DATA, or try again later."
        yield Finding("warning", f"Hugging Face hub: no answer ({getattr(error, 'reason', error)}).", do)
    else:
        yield Finding("ok", "Hugging Face hub: it answers")


def gigabytes(size: float) -> str:
    return f"{size / 1e9:.1f} GB"
