"""The exercises of one submission: its statements run as IPython runs them, and what the checks say is noted."""

import ast
import asyncio
import inspect
import os
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

import torch
from IPython.display import display

from clt.command.grade import Grade
from clt.command.statements import Program, Statement


def said(error: BaseException) -> str:
    with suppress(BaseException):  # an error may fail even to say what it is
        return str(error)[:300]
    return ""


class Answers:
    """Runs the statements of one submission that its checks need, and notes what the checks say."""

    def __init__(self, program: Program, shell, ours, theirs):
        self.program, self.shell, self.ours, self.theirs = program, shell, ours, theirs
        self.reports: dict[str, list] = {}
        self.checked: list = []
        self.errors: dict[int, str] = {}
        self.replaced: dict[str, Callable] = {}  # right functions for those that later exercises would miss
        self.solutions: list = []
        for name in ours._EXERCISES:
            setattr(theirs, name, partial(self.check, name))
        theirs.choose = self.choose
        self.start()

    def start(self) -> None:
        """An empty notebook."""
        module = sys.modules["__main__"] = types.ModuleType("__main__")
        self.shell.user_module, self.shell.user_ns = self.shell.prepare_user_module(module)
        self.shell.init_user_ns()
        self.space = self.shell.user_ns
        self.space |= {"checks": self.theirs, "display": display, "_": "", "__": "", "___": ""}
        self.done: set[int] = set()
        self.errors.clear()

    def grade(self, name: str) -> Iterator[Grade]:
        """Grades of one exercise, each better founded than the one before; the last one counts.

        First the calls of its check alone. If none passes, all that the student bound under its name: the answer may
        stand in a cell further down. At last its cells as a whole, from the start.
        """
        calls, bindings, whole = self.program.calls(name), self.program.bindings(name), self.program.exercises[name]
        self.run(calls)
        yield (grade := self.found(name))
        if grade.points or not whole:
            return
        self.run(calls + bindings, bound=name)
        yield (grade := self.found(name))
        if grade.points or set(whole) <= self.done | set(self.errors):
            return
        self.start()
        self.run(whole, bound=name)
        yield self.found(name)

    def run(self, roots: list[int], bound: str = "") -> None:
        """Run the roots and what they need, each statement once; check what is bound to the name ``bound``."""
        plan = self.program.needed(roots) if roots else []
        for again in (False, True):  # cells may have been run in another order: once more what missed a name
            for i in plan:
                missed = again and self.errors.get(i, "").startswith("NameError")
                if missed or (i not in self.done and i not in self.errors):
                    self._run(i, self.program.statements[i])
                    if bound in self.program.statements[i].binds:
                        self._check_bound(bound)
        if bound:
            self._check_bound(bound)

    def _run(self, i: int, statement: Statement) -> None:
        self.errors.pop(i, None)
        try:
            with self.shell.compile.extra_flags(ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                code = self.shell.compile(ast.Module([statement.node], []), statement.file, "exec")
            with self.shell.builtin_trap:
                if code.co_flags & inspect.CO_COROUTINE:
                    asyncio.run(eval(code, self.space))
                else:
                    exec(code, self.space)
            self.done.add(i)
        except BaseException as error:  # also what ends a program: it ends a line here
            self.errors[i] = f"{type(error).__name__}: {said(error)}"
        self.space |= self.replaced
        if statement.solution:
            self.solutions += [self.space[n] for n in statement.binds if n.endswith("_solution") and n in self.space]

    def check(self, name: str, *objects, **named):
        """What ``checks.NAME(...)`` is in a submission: the grader's own check, and its report is noted."""
        if self._is_given([*objects, *named.values()]):
            report = self.ours.Report(name, None, "What was checked is the lesson's or the package's own function.")
        else:
            with _as_at_the_start():
                report = getattr(self.ours, name)(*objects, **named)
        self.reports.setdefault(name, []).append(report)
        self.checked += objects
        return report

    def _is_given(self, objects: list) -> bool:
        """Whether a function of the lesson or of the package is checked, and not the student's."""
        return any(callable(o) and (_in_package(o) or any(o is s for s in self.solutions)) for o in objects)

    def _check_bound(self, name: str) -> None:
        found, value_wanted = self.space.get(name), not callable(self._reference(name))
        with suppress(BaseException):
            known = any(found is o for o in (*self.checked, *self.solutions)) or self._is_given([found])
            if name in self.space and not known and (value_wanted or callable(found)):
                self.check(name, found)

    def choose(self, student=None, solution=None):
        """What ``checks.choose`` is in a submission: always the solution, so that a mistake costs its own points."""
        self.solutions.append(solution)
        return solution

    def found(self, name: str) -> Grade:
        """The best report so far, the last of equal ones; without a report, why there is none."""
        worth = {True: 2, False: 1, None: 0}
        report = max(reversed(self.reports.get(name, [])), key=lambda r: worth[r.passed], default=None)
        own = self.program.exercises[name]
        stopped = next((self.errors[i] for i in own if i in self.errors), "")
        if report is not None:
            status = {True: "passed", False: "wrong", None: "not attempted"}[report.passed]
            remark = f"Another line of its cell stopped with {stopped}" if report.passed and stopped else ""
            return Grade(int(report.passed is True), status, report.diagnosis or remark)
        if name in self.program.broken:
            return Grade(0, "crashed", self.program.broken[name])
        if stopped or self.errors:
            return Grade(0, "crashed", f"Its cell stopped with {stopped or next(iter(self.errors.values()))}")
        return Grade(0, "crashed", f"Its cell does not define {name}.")

    def replace(self, name: str) -> None:
        """Put the right function in place of a wrong one: what builds on it shall not suffer."""
        if callable(reference := self._reference(name)):
            self.replaced[name] = self.space[name] = reference

    def _reference(self, name: str):
        return getattr(self.ours._EXERCISES[name], "reference", None)


def _in_package(answer) -> bool:
    return (inspect.isfunction(answer) or inspect.isclass(answer)) and str(answer.__module__).startswith("clt.")


@contextmanager
def _as_at_the_start() -> Iterator[None]:
    """The state in which torch starts: what a submission switched and left so must not decide."""
    os.environ.pop("CLT_STRICT", None)
    kind, device = torch.get_default_dtype(), torch.get_default_device()
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast("cpu", enabled=False):
        torch.set_default_dtype(torch.float32)
        if device.type != "cpu":
            torch.set_default_device(None)
        try:
            yield
        finally:
            torch.set_default_dtype(kind)
            if device.type != "cpu":
                torch.set_default_device(device)
