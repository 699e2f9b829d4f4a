"""One engine for every exercise: call the student's function, compare, and if it is wrong, say which mistake it is."""

import html
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from clt.results import number

TOLERANCE = 1e-5  # relative; a student who works in float32 passes, a student who forgot an epsilon-sized term does not


@dataclass(frozen=True)
class Mistake:
    """A wrong version that students write: what it computes, what it is called, and a hint towards the mend."""

    wrong: Callable
    diagnosis: str
    hint: str


@dataclass(frozen=True)
class Exercise:
    """All that a check needs to know, as data. ``cases`` are calls: ``(arguments, options, what it is)``."""

    name: str
    reference: Callable
    cases: Sequence[tuple[tuple, dict, str]]
    mistakes: Sequence[Mistake] = ()
    has_gradient: bool = True
    batch_order_free: bool = True  # a permutation of the rows of every argument leaves a scalar as it is


@dataclass
class Report:
    """What a check found. ``passed`` is None while the exercise was not attempted."""

    name: str
    passed: bool | None
    diagnosis: str
    details: list[tuple[str, bool, str]] = field(default_factory=list)

    def __str__(self) -> str:
        mark = {True: "passed", False: "not yet", None: "not attempted"}[self.passed]
        lines = [f"{self.name}: {mark}. {self.diagnosis}".rstrip()]
        lines += [f"  {'ok ' if ok else 'NO '} {what}{': ' + note if note else ''}" for what, ok, note in self.details]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        mark = {True: "✓ passed", False: "✗ not yet", None: "○ not attempted"}[self.passed]
        rows = "".join(
            f"<tr><td>{'✓' if ok else '✗'}</td><td>{html.escape(what)}</td><td>{html.escape(note)}</td></tr>"
            for what, ok, note in self.details
        )
        table = f"<table>{rows}</table>" if rows else ""
        return f"<p><b>{html.escape(self.name)}: {mark}.</b> {html.escape(self.diagnosis)}</p>{table}"


class _NotAttempted(Exception):
    pass


class _Wrong(Exception):
    """One property does not hold: the message goes to the student."""


def check(exercise: Exercise, function: Callable) -> Report:
    """Hold ``function`` against the exercise. Never raises, unless ``CLT_STRICT=1`` asks for it."""
    report = _examine(exercise, function)
    if os.environ.get("CLT_STRICT") == "1" and report.passed is not True:
        raise AssertionError(str(report))
    return report


def _examine(exercise: Exercise, function: Callable) -> Report:
    details: list[tuple[str, bool, str]] = []
    try:
        for what, test in _PROPERTIES.items():
            if test is _gradients and not exercise.has_gradient:
                continue
            if test is _batch_order and not exercise.batch_order_free:
                continue
            try:
                test(exercise, function)
            except _Wrong as wrong:
                details.append((what, False, ""))
                return Report(exercise.name, False, _recognise(exercise, function) or str(wrong), details)
            details.append((what, True, ""))
    except _NotAttempted:
        return Report(exercise.name, None, "Replace the last line of the function by your own code and run it again.")
    return Report(exercise.name, True, "", details)


def _call(function: Callable, arguments: tuple, options: dict):
    """The student's answer on copies of the inputs; the answer may be anything, the exception may be any."""
    fresh = tuple(a.clone() if isinstance(a, Tensor) else a for a in arguments)
    try:
        answer = function(*fresh, **options)
    except NotImplementedError:
        raise _NotAttempted from None
    except Exception as error:
        shapes = ", ".join(str(tuple(a.shape)) for a in arguments if isinstance(a, Tensor))
        raise _Wrong(f"It stopped with {type(error).__name__}: {error} (inputs of shape {shapes}).") from error
    if answer is None or answer is ...:
        raise _NotAttempted
    if any(isinstance(a, Tensor) and not torch.equal(a, b) for a, b in zip(arguments, fresh, strict=True)):
        raise _Wrong("It changed one of its inputs in place. The caller still needs them: work on a new tensor.")
    return answer


def _runs(exercise: Exercise, function: Callable) -> None:
    for arguments, options, _ in exercise.cases:
        answer = _call(function, arguments, options)
        if not isinstance(answer, Tensor):
            raise _Wrong(
                f"It returned a {type(answer).__name__}, and a tensor was expected. "
                f"Did .item() or .numpy() cut the graph?"
            )


def _shapes(exercise: Exercise, function: Callable) -> None:
    for arguments, options, what in exercise.cases:
        got, expected = _call(function, arguments, options), exercise.reference(*arguments, **options)
        if got.shape != expected.shape:
            raise _Wrong(f"The shape is {tuple(got.shape)} where {tuple(expected.shape)} was expected ({what}).")


def _values(exercise: Exercise, function: Callable) -> None:
    for arguments, options, what in exercise.cases:
        got, expected = _call(function, arguments, options), exercise.reference(*arguments, **options)
        if not _close(got, expected):
            raise _Wrong(_first_difference(got, expected, what))


def _gradients(exercise: Exercise, function: Callable) -> None:
    for arguments, options, what in exercise.cases:
        expected = _gradient(exercise.reference, arguments, options)
        got = _gradient(lambda *a, **o: _call(function, a, o), arguments, options)
        for position, (ours, theirs) in enumerate(zip(expected, got, strict=True), start=1):
            if ours is not None and ours.abs().sum() > 0 and theirs is None:
                raise _Wrong(
                    f"No gradient reaches input {position} ({what}): was the graph cut by .item() or .detach()?"
                )
            if ours is not None and theirs is not None and not _close(theirs, ours):
                raise _Wrong(f"The value is right, the gradient of input {position} is not ({what}).")


def _batch_order(exercise: Exercise, function: Callable) -> None:
    for arguments, options, what in exercise.cases:
        rows = len(arguments[0])
        turned = tuple(a.roll(1, 0) if isinstance(a, Tensor) and a.ndim and len(a) == rows else a for a in arguments)
        one, other = _call(function, arguments, options), _call(function, turned, options)
        if one.ndim == 0 and not _close(other, one):
            raise _Wrong(f"The same batch in another order gives another value ({what}).")


_PROPERTIES = {
    "it runs and returns a tensor": _runs,
    "the shape of the result": _shapes,
    "the values, on several inputs": _values,
    "the gradient of every input": _gradients,
    "the order of the batch does not matter": _batch_order,
}


def _recognise(exercise: Exercise, function: Callable) -> str:
    """The mistake whose answers are the student's on every case, if the bank has it; the most specific one first."""
    for mistake in exercise.mistakes:
        try:
            if all(_same(function, mistake.wrong, exercise.has_gradient, *case[:2]) for case in exercise.cases):
                return f"{mistake.diagnosis} {mistake.hint}"
        except Exception:
            continue
    return ""


def _same(function: Callable, wrong: Callable, has_gradient: bool, arguments: tuple, options: dict) -> bool:
    got, known = _call(function, arguments, options), wrong(*arguments, **options)
    if not isinstance(got, Tensor) or not isinstance(known, Tensor):
        return type(got) is type(known) and got == known
    if got.shape != known.shape or not _close(got, known):
        return False
    if not has_gradient:
        return True
    ours, theirs = _gradient(wrong, arguments, options), _gradient(function, arguments, options)
    return all((a is None) == (b is None) and (a is None or _close(b, a)) for a, b in zip(ours, theirs, strict=True))


def _gradient(function: Callable, arguments: tuple, options: dict) -> list[Tensor | None]:
    """The gradient of the sum of the result to each floating input; None where none flows, or the input has none."""
    leaves = [
        a.clone().requires_grad_() if isinstance(a, Tensor) and a.is_floating_point() else a for a in arguments
    ]  # fmt: skip
    answer = function(*leaves, **options)
    wanted = [a for a in leaves if isinstance(a, Tensor) and a.requires_grad]
    if not isinstance(answer, Tensor) or not answer.requires_grad:
        return [None] * len(leaves)
    found = iter(torch.autograd.grad(answer.sum(), wanted, allow_unused=True))
    return [next(found) if isinstance(a, Tensor) and a.requires_grad else None for a in leaves]


def _close(got: Tensor, expected: Tensor) -> bool:
    if got.shape != expected.shape:
        return False
    if got.dtype == torch.bool or expected.dtype == torch.bool:
        return got.dtype == expected.dtype and torch.equal(got, expected)
    got, expected = got.detach().double().cpu(), expected.detach().double().cpu()
    return torch.allclose(got, expected, rtol=TOLERANCE, atol=TOLERANCE)


def _first_difference(got: Tensor, expected: Tensor, what: str) -> str:
    if got.dtype != expected.dtype and torch.bool in (got.dtype, expected.dtype):
        return f"The result is a tensor of {got.dtype}, and {expected.dtype} was expected."
    gap = (got.detach().double() - expected.detach().double()).abs()
    if not torch.isfinite(gap).all():
        return f"The result has a value that is not finite ({what})."
    if expected.ndim == 0:
        return f"The value is {number(got.item())} where {number(expected.item())} was expected ({what})."
    place = tuple(int(i) for i in torch.unravel_index(gap.argmax(), gap.shape))
    return (
        f"At {list(place)} the value is {number(got[place].item())} where {number(expected[place].item())} "
        f"was expected ({what})."
    )
