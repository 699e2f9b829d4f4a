"""Losses and steps of one: functions of tensors, compared in value, gradient, order of the batch and float32."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from clt.checks._call import Answer, Setting, call, suitable
from clt.checks._compare import close, difference, same_gradient, written
from clt.checks._exercise import Case, Exercise, Finding, Mistake, recognised

LISTED = 16  # inputs with no more numbers than this are written out in a diagnosis


@dataclass(frozen=True, kw_only=True)
class Loss(Exercise):
    """A function of tensors that returns one, or a tuple of numbers: a loss, a matrix of similarities, a mask.

    Args:
        reference: the right function.
        plain: the same written plainly, with a keyword ``wrong``, a set of names: the mistakes it then makes.
        cases: calls to compare on, values and gradients.
        mistakes: those of ``plain``, most specific first.
        extremes: calls in float32 at which plainly written exponentials overflow, or logarithms meet a 0.
        has_gradient: whether each floating input should get one (as far as it gets one from the reference).
        batch_order_free: whether permuting the rows of every argument leaves the value as it is.
    """

    plain: Callable
    cases: Sequence[Case]
    extremes: Sequence[Case] = ()
    has_gradient: bool = True
    batch_order_free: bool = True

    def examine(self, answer) -> Iterator[Finding]:
        if not callable(answer):
            kind = type(answer).__name__
            yield Finding("it is a function", f"The check takes the function itself, not its result: got a {kind}.")
            return
        examination = _Examination(self, answer)
        for what, test in _PROPERTIES.items():
            if (problem := test(examination)) is not None:
                yield Finding(what, problem, _recognise(examination) if problem else "")

    def making(self, *mistakes: Mistake) -> Callable:
        wrong = frozenset(mistake.wrong for mistake in mistakes)
        return lambda *arguments, **options: self.plain(*arguments, **options, wrong=wrong)


@dataclass
class _Examination:
    """One exercise, one function, the answers it gave and those it should have given."""

    exercise: Loss
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
    """The mistake whose answers are the student's on every case: values, and gradients where the values are right."""
    if any(not isinstance(got.value, Tensor) or got.problem for got in e.answers):
        return ""
    right = all(map(_same_value, e.answers, e.expected, [e.setting] * len(e.answers)))
    if not any(torch.isfinite(got.value).all() for got in e.answers):
        return ""  # NaN everywhere equals any other NaN

    def agrees(mistakes: tuple[Mistake, ...]) -> bool:
        wrong = e.exercise.making(*mistakes)
        known = (call(wrong, c, e.setting, gradient=right) for c in e.exercise.cases)  # one by one: most differ at once
        return all(
            _same_value(got, its, e.setting) and (not right or _same_gradients(got, its, e.setting))
            for got, its in zip(e.answers, known, strict=True)
        )

    return recognised(e.exercise.mistakes, agrees)


def _same_value(got: Answer, known: Answer, setting: Setting) -> bool:
    return isinstance(known.value, Tensor) and not known.problem and close(got.value, known.value, setting.tolerance)


def _same_gradients(got: Answer, known: Answer, setting: Setting) -> bool:
    return all(
        (ours is None) == (theirs is None) and same_gradient(theirs, ours, setting.tolerance)
        for theirs, ours in zip(got.gradients, known.gradients, strict=True)
    )
