"""Experiments: the result that a student found, tried out by the check."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from clt.checks._exercise import Exercise, Finding, Mistake


@dataclass(frozen=True, kw_only=True)
class Experiment(Exercise):
    """A result that the student searched for: a setting, a batch, a comparison. Many answers may be right.

    Args:
        reference: one right answer, a value.
        judge: ``judge(answer)`` runs the experiment again, or looks into the record, and yields
            ``(property, problem)``: an empty problem where the property holds; ``(property, problem, name)`` where the
            problem is a mistake of the bank. It stops being asked after the first problem.
        mistakes: each with an ``example``, an answer of which the judge says so.
    """

    judge: Callable[[object], Iterator[tuple[str, ...]]]

    def examine(self, answer) -> Iterator[Finding]:
        bank = {mistake.wrong: mistake.told for mistake in self.mistakes}
        for what, problem, *wrong in self.judge(answer):
            yield Finding(what, problem, bank[wrong[0]] if wrong else "")

    def making(self, *mistakes: Mistake):
        return mistakes[0].example
