"""What all kinds of exercises share: a right answer, known mistakes, and how an answer is looked at: by properties.

Nothing here guesses. A mistake is named if what it computes is what the student's answer computes, on every case.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Mistake:
    """A wrong version that students write: its name, what to tell, a hint.

    ``example``: an answer that makes it, where answers are values; elsewhere the name is a switch of ``plain``.
    """

    wrong: str
    diagnosis: str
    hint: str
    example: object = None

    @property
    def told(self) -> str:
        return f"{self.diagnosis} {self.hint}"


@dataclass(frozen=True)
class Case:
    """One call to compare on: ``function(*arguments, **options)``, and what it is in a few words."""

    what: str
    arguments: tuple
    options: dict

    @property
    def size(self) -> int:
        return sum(a.numel() for a in self.arguments if isinstance(a, Tensor))


def case(what: str, *arguments, **options) -> Case:
    return Case(what, arguments, options)


@dataclass(frozen=True)
class Finding:
    """A property that was tested, what is wrong with it (empty if it holds), and which mistake that is."""

    what: str
    problem: str = ""
    diagnosis: str = ""


class NotAttempted(Exception):
    """The stub is as it was handed out."""


class Unexpected(Exception):
    """An answer of another kind than asked for; the message says what came."""


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """Base of :class:`Loss`, :class:`Algorithm`, :class:`Derivation` and :class:`Experiment`.

    Args:
        reference: the right answer: a function, a class or a value.
        mistakes: the bank: wrong versions known by what they compute, most specific first.
        name: of the exercise; the reference's own, if it has one.
    """

    reference: object
    mistakes: Sequence[Mistake] = ()
    name: str = ""

    def __post_init__(self):
        object.__setattr__(self, "name", self.name or self.reference.__name__)

    def examine(self, answer) -> Iterator[Finding]:
        """The properties in their order. Raises :class:`NotAttempted` for an untouched stub."""
        raise NotImplementedError

    def making(self, *mistakes: Mistake):
        """An answer that makes these mistakes."""
        raise NotImplementedError


def recognised(mistakes: Sequence[Mistake], agrees: Callable[[tuple[Mistake, ...]], bool]) -> str:
    """The mistake, else the two at once, that compute exactly what the student's answer does; empty if none does."""
    for mistake in mistakes:
        if agrees((mistake,)):
            return mistake.told
    for one, other in itertools.combinations(mistakes, 2):
        if agrees((one, other)):
            return f"Two mistakes at once. {one.told} And: {other.told}"
    return ""
