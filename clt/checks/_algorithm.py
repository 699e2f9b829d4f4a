"""Algorithms and derivations: what a function does, seen as a few named observations, compared with the right one's."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from clt.checks._call import stopped
from clt.checks._compare import alike, told, written
from clt.checks._exercise import Case, Exercise, Finding, Mistake, NotAttempted, Unexpected, recognised

UNTOUCHED = "its inputs stay as they were"


def result(answer: Callable, *arguments, **options) -> dict[str, object]:
    """The plainest way to observe: what it returns."""
    return {"the result": returned(answer(*arguments, **options))}


def returned(value):
    """What a function returned, unless that is nothing."""
    if value is ...:
        raise NotAttempted
    if value is None:
        raise Unexpected("It returned None. Is the return missing?")
    return value


@dataclass(frozen=True, kw_only=True)
class Algorithm(Exercise):
    """A miner, a sampler, a queue, an augmentation, a training step: judged by what it does.

    Args:
        reference: the right function or class.
        plain: the same with a keyword ``wrong``, a set of names: the mistakes it then makes.
        cases: on what to observe it; the arguments are for ``observe``, which gets its own copies each time.
        observe: ``observe(answer, *arguments, **options)`` gives ``{property: what was seen}``, in the order in which
            the properties are to be tested. Tensors and numbers are compared within ``tolerance``, a :class:`Counts`
            up to chance; a string is a complaint (empty if there is none); anything else by ``==``.
        tolerance: relative.
    """

    plain: Callable
    cases: Sequence[Case]
    observe: Callable[..., Mapping[str, object]] = result
    tolerance: float = 1e-5

    def examine(self, answer) -> Iterator[Finding]:
        if not callable(answer):
            kind = type(answer).__name__
            yield Finding("it is a function", f"The check takes the function itself, not its result: got a {kind}.")
            return
        yield from self._compared(answer)

    def making(self, *mistakes: Mistake) -> Callable:
        wrong = frozenset(mistake.wrong for mistake in mistakes)
        return lambda *arguments, **options: self.plain(*arguments, **options, wrong=wrong)

    def _compared(self, answer) -> Iterator[Finding]:
        seen = [self._seen(answer, c) for c in self.cases]
        problem = next((s for s in seen if isinstance(s, str)), "")
        yield Finding("it runs", problem)
        if problem:
            return
        right = [self._seen(self.reference, c) for c in self.cases]
        for what in dict.fromkeys(name for r in right for name in r):
            at = [i for i, r in enumerate(right) if what in r and not alike(seen[i][what], r[what], self.tolerance)]
            if at:
                i = min(at, key=lambda i: self.cases[i].size)
                problem = f"{told(seen[i][what], right[i][what])} ({self._shown(self.cases[i])})."
            yield Finding(what, problem, self._recognise(seen) if problem else "")

    def _recognise(self, seen: list[dict]) -> str:
        def agrees(mistakes: tuple[Mistake, ...]) -> bool:
            wrong = self.making(*mistakes)
            return all(self._same(s, self._seen(wrong, c)) for s, c in zip(seen, self.cases, strict=True))

        return recognised(self.mistakes, agrees)

    def _same(self, seen: dict, other: dict | str) -> bool:
        return not isinstance(other, str) and all(alike(seen[what], other[what], self.tolerance) for what in seen)

    def _seen(self, answer, case: Case) -> dict[str, object] | str:
        """The observations of one case, or in words why there are none."""
        arguments, options = copy.deepcopy((case.arguments, case.options))
        try:
            seen = dict(self._look(answer, *arguments, **options))
        except Unexpected as error:
            return f"{error} ({case.what}.)"
        except (Exception, SystemExit) as error:
            return f"{stopped(error)} ({case.what})."
        if any(isinstance(a, torch.Tensor | list | dict) for a in arguments):
            kept = all(map(_equal, arguments, case.arguments))
            seen[UNTOUCHED] = "" if kept else "It changed one of its inputs in place, and the caller still needs them"
        return seen

    def _look(self, answer, *arguments, **options) -> Mapping[str, object]:
        return self.observe(answer, *arguments, **options)

    def _shown(self, case: Case) -> str:
        return case.what


@dataclass(frozen=True, kw_only=True)
class Derivation(Algorithm):
    """A number, or a function of a few, that a student works out by hand.

    As an :class:`Algorithm`, but the answer may be the number itself where the only case has no arguments. A function
    is called with floats, and where it wants tensors, with those.
    """

    tolerance: float = 1e-3

    def examine(self, answer) -> Iterator[Finding]:
        if callable(answer) or self.cases[0].arguments:
            yield from super().examine(answer)
        else:
            yield from self._compared(answer)

    def making(self, *mistakes: Mistake):
        if self.cases[0].arguments:
            return super().making(*mistakes)
        return self.plain(wrong=frozenset(mistake.wrong for mistake in mistakes))

    def _look(self, answer, *arguments, **options) -> Mapping[str, object]:
        if not callable(answer):
            return {"the value": answer}
        try:
            value = answer(*arguments, **options)
        except TypeError:
            if not any(isinstance(a, float) for a in arguments):
                raise
            tensors = [torch.tensor(a, dtype=torch.float64) if isinstance(a, float) else a for a in arguments]
            value = answer(*tensors, **options)
        return {"the value": returned(value)}

    def _shown(self, case: Case) -> str:
        """The arguments, which are few."""
        return ", ".join([case.what, *(f"{n} = {written(o)}" for n, o in case.options.items())])


def _equal(a, b) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(_equal, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_equal(a[name], b[name]) for name in a)
    return a == b
