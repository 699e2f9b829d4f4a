"""Submissions, each in a process of its own: ``python -m clt.command.judge``, started by ``clt grade``.

Each line of standard input is an order, as JSON: a notebook, and which of its exercises are wanted. On Linux torch is
loaded once, and every order gets a fork of this process; elsewhere this process serves one order and ends. Standard
output carries one JSON object a line, with the key of its order: the exercises found, at which one it works, a grade
for each and a better one if there is, and that it is done.
"""

import ast
import ctypes
import importlib
import json
import os
import signal
import sys
import types
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil
import torch
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.text import SList
from traitlets.config import Config

from clt.command.answers import Answers, said
from clt.command.grade import FORKS
from clt.command.statements import read_cells, read_program

DIE_WITH_PARENT, ADOPT_ORPHANS = 1, 36  # PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER

# Loaded once, before the first fork; a submission would load them itself.
LESSONS_IMPORT = [
    "matplotlib.pyplot",
    *(f"clt.{name}" for name in ("data", "encoders", "metrics", "plots", "training")),
]


def main() -> None:
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    with open(os.devnull, "r+b") as nowhere:  # what a submission prints stays out of the channel
        os.dup2(nowhere.fileno(), 1)
    if FORKS:
        _ask_linux(DIE_WITH_PARENT, signal.SIGKILL)
        _ask_linux(ADOPT_ORPHANS, 1)

    for module in LESSONS_IMPORT:
        importlib.import_module(module)
    torch.set_num_threads(1)
    ours, theirs = _two_copies_of_checks()
    shell = make_shell()
    for line in sys.stdin:
        order = json.loads(line)
        if not FORKS:
            return _serve(order, channel, ours, theirs, shell)
        _reap()
        process = os.fork()
        if not process:
            try:
                _ask_linux(DIE_WITH_PARENT, signal.SIGKILL)
                os.setsid()
                _serve(order, channel, ours, theirs, shell)
            finally:
                os._exit(0)  # whatever threads it left
        _tell(channel, order, exit=_reap(process))


def _ask_linux(what: int, value: int) -> None:
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(what, value, 0, 0, 0)


def _reap(wanted: int = 0) -> int:
    """Take note of children that ended, adopted ones too; wait for the wanted one and return its exit code."""
    with suppress(ChildProcessError):
        while True:
            process, status = os.waitpid(-1, 0 if wanted else os.WNOHANG)
            if process == wanted:
                return os.waitstatus_to_exitcode(status) if wanted else 0
    return 0


def _tell(channel, order: dict, **event) -> None:
    print("\n" + json.dumps({"key": order["key"], **event}), file=channel, flush=True)  # on a line that it begins


def _two_copies_of_checks() -> tuple[types.ModuleType, types.ModuleType]:
    """The grader's own, which no submission finds by importing, and the one that submissions get."""
    ours = importlib.import_module("clt.checks")
    for name in [n for n in sys.modules if n == "clt.checks" or n.startswith("clt.checks.")]:
        del sys.modules[name]
    return ours, importlib.import_module("clt.checks")


def make_shell() -> InteractiveShell:
    """IPython, as in a notebook, but for the commands of a system shell: those do nothing."""

    class Shell(InteractiveShell):
        def system(self, command):
            pass

        def getoutput(self, command, split=True, depth=0):
            return SList() if split else ""

    return Shell.instance(config=Config(HistoryManager={"enabled": False}))


def _serve(order: dict, channel, ours, theirs, shell) -> None:
    """Read one submission and judge what is wanted of it."""
    with open(os.devnull, "rb") as nowhere:
        os.dup2(nowhere.fileno(), 0)
    os.chdir(order["folder"])
    _set_limits(order["memory"])
    tell = partial(_tell, channel, order)
    try:
        cells = read_cells(Path(order["notebook"]))
    except Exception as error:  # a file may hold anything
        return tell(error=f"not a Jupyter notebook (nbformat 4): {type(error).__name__}: {said(error)}")
    answers = Answers(read_program(cells, set(ours._EXERCISES), partial(_parse, shell)), shell, ours, theirs)
    tell(exercises=list(answers.program.exercises))
    for name in answers.program.exercises:
        grade = order["graded"].get(name)
        if grade is None:
            tell(at=name)
            for grade in answers.grade(name):
                tell(grade=vars(grade))
            grade = grade.points
        if not grade:
            answers.replace(name)
    tell(done=True)


def _set_limits(gigabytes: float) -> None:
    """Where the system can: a greedy allocation fails at once, and so does a file that fills the disk."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        room = psutil.Process().memory_info().vms + int(gigabytes * 1e9)
        resource.setrlimit(resource.RLIMIT_AS, (room, resource.getrlimit(resource.RLIMIT_AS)[1]))
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(gigabytes * 1e9), resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def _parse(shell, source: str, number: int) -> tuple[ast.Module, str]:
    """A cell as IPython reads it, with its magics and shell commands, and a name under which its lines are found."""
    plain = shell.transform_cell(source)
    file = shell.compile.cache(plain, number)
    return ast.parse(plain, file), file


if __name__ == "__main__":
    main()
