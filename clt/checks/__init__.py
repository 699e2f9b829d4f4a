"""Exercise checks: ``checks.NAME(answer)`` says at once whether an answer is right, and if not, which mistake it is.

A check never raises. It returns a report: ``.passed`` is True, False, or None while the exercise was not attempted;
``.diagnosis`` says what is wrong, in words. With the environment variable ``CLT_STRICT=1`` a report that is not passed
raises ``AssertionError`` instead: the course's own tests use that on the solutions. A stub is what raises
``NotImplementedError`` when it is called, or ``...`` where a value is asked for.

``NAME = checks.choose(NAME, NAME_solution)`` gives what the lesson goes on with, and ``checks.progress()`` shows what
is solved and what is left.

To add an exercise, write one entry in the module of its family, and list it in that module's ``EXERCISES``. There are
four kinds; each holds the right answer, and the mistakes worth a name.

- :class:`Loss`: a function of tensors. ``reference``, ``plain`` (the same, told by ``wrong`` which mistakes to make)
  and ``cases``; value, gradient, order of the batch and float32 are compared.
- :class:`Algorithm`: a miner, a sampler, a queue, an augmentation, a training step. As a loss, with ``observe``, which
  says in a few named observations what an answer does: what it returns, the states it goes through, a
  :class:`Counts` of what it draws, a complaint about an invariant.
- :class:`Derivation`: a number, or a function of a few numbers. As an algorithm, without ``observe``.
- :class:`Experiment`: a result, judged by running it again (:mod:`clt.checks.labs`) or against the record of the
  lesson. ``judge`` yields property after property.

The ``README.md`` beside this file shows one of each, and how to read reports and grade a folder.
"""

from clt.checks import (
    augmentation,
    batches,
    candidates,
    context,
    derivations,
    experiments,
    geometry,
    info_nce,
    label_aware,
    languages,
    large_batches,
    leaderboard,
    maps,
    memory,
    mining,
    nce,
    negatives,
    nt_xent,
    pictures,
    predicting,
    ranking,
    retrieval,
    sampling,
    siamese,
    steps,
    sup_con,
    transfer,
    triplet,
    twin,
)
from clt.checks._algorithm import Algorithm, Derivation
from clt.checks._compare import Counts
from clt.checks._engine import check
from clt.checks._exercise import Case, Exercise, Mistake, case
from clt.checks._experiment import Experiment
from clt.checks._loss import Loss
from clt.checks._progress import choose, progress
from clt.checks._report import Report

_FAMILIES = (
    geometry, triplet, mining, batches, steps, nce, sampling, info_nce, nt_xent, candidates, sup_con, label_aware, twin,
    memory, ranking, retrieval, maps, context, negatives, pictures, predicting, siamese, large_batches, augmentation,
    transfer, languages, leaderboard, derivations, experiments,
)  # fmt: skip
_EXERCISES: dict[str, Exercise] = {exercise.name: exercise for family in _FAMILIES for exercise in family.EXERCISES}

__all__ = [
    "Algorithm", "Case", "Counts", "Derivation", "Exercise", "Experiment", "Loss", "Mistake", "Report", "case", "check",
    "choose", "progress", *sorted(_EXERCISES),
]  # fmt: skip


def __getattr__(name):
    if name not in _EXERCISES:
        raise AttributeError(f"there is no check {name!r}; there are {', '.join(sorted(_EXERCISES))}")

    def checked(answer) -> Report:
        return check(_EXERCISES[name], answer)

    checked.__name__ = checked.__qualname__ = name
    checked.__doc__ = f"Check the exercise ``{name}``; returns a report."
    return checked
