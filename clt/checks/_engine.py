"""One engine for every exercise: call the student's function, compare, and if it is wrong, say which mistake it is."""

import inspect
import itertools
import math
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from clt.checks._call import Answer, Case, NotAttempted, Setting, call, suitable
from clt.checks._compare import close, comparable, difference, same_gradient, written
from clt.checks._report import NOT_ATTEMPTED, Report

LISTED = 16  # inputs with no more numbers than this are written out in a diagnosis


@dataclass(frozen=True)
class Mistake:
    """A wrong version that students write: its name among the switches of ``plain``, what to tell, and a hint."""

    wrong: str
    diagnosis: str
    hint: str

    @property
    def told(self) -> str:
        return f"{self.diagnosis} {self.hint}"


@dataclass(frozen=True)
class Exercise:
    """All that a check needs to know, as data.

    Args:
        reference: the right function.
        plain: the same written plainly, with a keyword ``wrong``, a set of names: the mistakes it then makes.
        cases: calls to compare on, values and gradients.
        mistakes: those of ``plain``, most specific first.
        extremes: calls in float32 at which plainly written exponentials overflow, or logarithms meet a 0.
        has_gradient: whether each floating input should get one (as far as it gets one from the reference).
        batch_order_free: whether permuting the rows of every argument leaves the value as it is.
    """

    reference: Callable
    plain: Callable
    cases: Sequence[Case]
    mistakes: Sequence[Mistake]
    extremes: Sequence[Case] = ()
    has_gradient: bool = True
    batch_order_free: bool = True
    name: str = ""

    def __post_init__(self):
        object.__setattr__(self, "name", self.name or self.reference.__name__)


@dataclass
class _Examination:
    """One exercise, one function, the answers it gave and those it should have given."""

    exercise: Exercise
    function: Callable
    setting: Setting = field(init=False)
    answers: list[Answer] = field(init=False)
    expected: list[Answer] = field(init=False)

    def __post_init__(self):
        self.setting = suitable(self.function, self.exercise.cases[0])
        # Each case is called once, and all properties read the same answers: a slow function is called seldom.
        self.answers = self.ask(self.function)
        self.expected = self.ask(self.exercise.reference)

    def ask(self, function: Callable, *, gradient: bool = True) -> list[Answer]:
        gradient = gradient and self.exercise.has_gradient
        return [call(function, c, self.setting, gradient=gradient) for c in self.exercise.cases]

    def failing(self, fails: Callable[[Answer, Answer], str]) -> str:
        """What ``fails`` says of the smallest case it says anything of, with that case; empty if of none."""
        found = []
        for c, got, expected in zip(self.exercise.cases, self.answers, self.expected, strict=True):
            if text := fails(got, expected):
                found.append((c.size, len(found), f"{text} ({self.shown(c)})."))
        return min(found)[2] if found else ""

    def shown(self, c: Case) -> str:
        """A case in words and, if it is small, in numbers."""
        if c.size > LISTED:
            return c.what
        names = inspect.signature(self.exercise.reference).parameters
        given = [f"{n} = {written(a)}" for n, a in zip(names, c.arguments, strict=False)]
        given += [f"{n} = {written(o)}" for n, o in c.options.items()]
        return f"{c.what}: {', '.join(given)}"


def check(exercise: Exercise, function: Callable) -> Report:
    """Hold ``function`` against the exercise. Never raises, unless ``CLT_STRICT=1`` asks for it."""
    state = torch.random.get_rng_state()  # of the notebook: a check must not change what comes after it
    try:
        torch.default_generator.manual_seed(0)
        report = _examine(exercise, function)
    except NotAttempted:
        report = Report(exercise.name, None, NOT_ATTEMPTED)
    except Exception as error:  # a result of a kind that nobody thought of
        report = Report(exercise.name, False, f"The result cannot be compared: {type(error).__name__}: {error}")
    finally:
        torch.random.set_rng_state(state)
    if os.environ.get("CLT_STRICT") == "1" and report.passed is not True:
        raise AssertionError(str(report))
    return report


def _examine(exercise: Exercise, function: Callable) -> Report:
    if function is None or function is ...:
        raise NotAttempted
    if not callable(function):
        kind = type(function).__name__
        return Report(exercise.name, False, f"The check takes the function itself, not its result: got a {kind}.")
    examination, details = _Examination(exercise, function), []
    for what, test in _PROPERTIES.items():
        if (found := test(examination)) is None:
            continue
        details.append((what, not found, found))
        if found:
            return Report(exercise.name, False, _recognise(examination) or found, details)
    return Report(exercise.name, True, "", details)


# Properties: None if the exercise does not ask for it, "" if it holds, else what is wrong.


def _runs(e: _Examination) -> str:
    return next((got.problem for got in e.answers if got.problem), "")


def _shapes(e: _Examination) -> str:
    def wrong(got, expected):
        if got.value.shape != expected.value.shape:
            return f"The shape is {tuple(got.value.shape)} where {tuple(expected.value.shape)} was expected"

    return e.failing(wrong)


def _values(e: _Examination) -> str:
    def wrong(got, expected):
        if not close(got.value, expected.value, e.setting.tolerance):
            return difference(got.value, expected.value)

    return e.failing(wrong)


def _gradients(e: _Examination) -> str | None:
    if not e.exercise.has_gradient:
        return None
    if all(g is None for got in e.answers for g in got.gradients):
        return (
            "The value is right, but no gradient flows: the graph was cut. "
            "Look for .detach(), .data, .item(), torch.tensor(...) or torch.no_grad()."
        )
    names = list(inspect.signature(e.exercise.reference).parameters)

    def wrong(got, expected):
        for name, theirs, ours in zip(names, got.gradients, expected.gradients, strict=False):
            if ours is not None and ours.any() and theirs is None:
                return f"The value is right, but no gradient reaches {name}. Was it cut by .detach() or .item()?"
            if not same_gradient(theirs, ours, e.setting.tolerance):
                if not torch.isfinite(theirs).all():
                    return f"The value is right, but the gradient of {name} is not finite"
                told = difference(theirs, torch.zeros_like(theirs) if ours is None else ours)
                return f"The value is right, but the gradient of {name} is not: {told}"

    return e.failing(wrong)


def _batch_order(e: _Examination) -> str | None:
    if not e.exercise.batch_order_free:
        return None
    largest = max(range(len(e.answers)), key=lambda i: e.exercise.cases[i].size)
    c, rows = e.exercise.cases[largest], len(e.exercise.cases[largest].arguments[0])
    turned = tuple(a.roll(1, 0) if isinstance(a, Tensor) and a.ndim and len(a) == rows else a for a in c.arguments)
    answer = call(e.function, replace(c, arguments=turned), e.setting, gradient=False)
    if answer.problem or not close(answer.value, e.answers[largest].value, e.setting.tolerance):
        return f"The same batch in another order gives another value ({c.what})."
    return ""


def _extremes(e: _Examination) -> str | None:
    single = replace(e.setting, dtype=torch.float32)
    for c in e.exercise.extremes:
        got = call(e.function, c, single, gradient=e.exercise.has_gradient)
        expected = call(e.exercise.reference, c, e.setting, gradient=False).value
        if got.problem:
            return f"In float32: {got.problem}"
        parts = [got.value, *(g for g in got.gradients if g is not None)]
        if not all(torch.isfinite(part).all() for part in parts):
            what = "value" if not torch.isfinite(got.value).all() else "gradient"
            return (
                f"The formula is right, but in float32 the {what} is not finite ({c.what}): exp overflows beyond 88, "
                f"and log meets a 0 that exp or a probability was rounded to. {_STABLE}"
            )
        if not close(got.value, expected, 1e-3):
            return (
                f"The formula is right, but in float32 {difference(got.value, expected).lower()} ({c.what}): small "
                f"numbers were lost, or replaced by an epsilon or a clamp. {_STABLE}"
            )
    return "" if e.exercise.extremes else None


_STABLE = "Stay in logarithms: logsumexp, log_softmax, cross_entropy and logsigmoid take both steps at once."
_PROPERTIES = {
    "it runs and returns a tensor": _runs,
    "the shape of the result": _shapes,
    "the values, on several inputs": _values,
    "the gradient of every input": _gradients,
    "the order of the batch does not matter": _batch_order,
    "no overflow in float32": _extremes,
}


def _recognise(e: _Examination) -> str:
    """The known mistake whose answers are the student's on every case; else two at once; else one that is near."""
    if any(not isinstance(got.value, Tensor) or got.problem for got in e.answers):
        return ""
    exercise = e.exercise
    right = _agrees_in_value(e, e.expected)  # then only the gradients can tell
    singles = _agreeing(e, [(mistake,) for mistake in exercise.mistakes])
    for agrees in (_agrees_in_all,) if right else (_agrees_in_all, _agrees_in_value):
        for (mistake,), answers in singles:
            if agrees(e, answers):
                return mistake.told
    if right:
        return ""
    for (one, other), _ in _agreeing(e, itertools.combinations(exercise.mistakes, 2)):
        return f"Two mistakes at once. {one.told} And: {other.told}"
    distance = {
        m.told: _distance(e.answers, e.ask(_making(exercise.plain, m), gradient=False)) for m in exercise.mistakes
    }
    nearest = min(distance, key=distance.get, default=None)
    if nearest and distance[nearest] < min(0.2, 0.5 * _distance(e.answers, e.expected)):
        return f"The values come close to those of a known mistake, perhaps with another on top. {nearest}"
    return ""


def _agreeing(e: _Examination, sets: Iterable[tuple[Mistake, ...]]) -> list[tuple[tuple[Mistake, ...], list[Answer]]]:
    """The sets of mistakes that give the student's value on every case, and their answers. One case rules out most."""
    found = []
    for mistakes in sets:
        wrong = _making(e.exercise.plain, *mistakes)
        first = call(wrong, e.exercise.cases[0], e.setting, gradient=False)
        if _same_value(e.answers[0], first, e.setting.tolerance) and _agrees_in_value(e, answers := e.ask(wrong)):
            found.append((mistakes, answers))
    return found


def _making(plain: Callable, *mistakes: Mistake) -> Callable:
    wrong = frozenset(mistake.wrong for mistake in mistakes)
    return lambda *arguments, **options: plain(*arguments, **options, wrong=wrong)


def _agrees_in_value(e: _Examination, known: list[Answer]) -> bool:
    return all(_same_value(a, b, e.setting.tolerance) for a, b in zip(e.answers, known, strict=True))


def _agrees_in_all(e: _Examination, known: list[Answer]) -> bool:
    return _agrees_in_value(e, known) and all(
        (ours is None) == (theirs is None) and same_gradient(theirs, ours, e.setting.tolerance)
        for got, wrong in zip(e.answers, known, strict=True)
        for theirs, ours in zip(got.gradients, wrong.gradients, strict=True)
    )


def _same_value(got: Answer, known: Answer, tolerance: float) -> bool:
    return isinstance(known.value, Tensor) and not known.problem and close(got.value, known.value, tolerance)


def _distance(answers: list[Answer], known: list[Answer]) -> float:
    """How far two functions are apart, from 0 to 2: the mean over the cases of the relative difference."""
    gaps = []
    for got, other in zip(answers, known, strict=True):
        if not isinstance(other.value, Tensor) or got.value.shape != other.value.shape:
            return math.inf
        x, y = comparable(got.value), comparable(other.value)
        gap = (x - y).norm() / torch.maximum(x.norm(), y.norm()).clamp_min(1e-12)
        gaps.append(gap.item() if torch.isfinite(gap) else math.inf)
    return sum(gaps) / len(gaps)
