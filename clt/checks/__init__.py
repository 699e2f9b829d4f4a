"""Exercise checks: ``checks.NAME(your_function)`` says at once whether it is right, and if not, which mistake it is.

A check never raises. It returns a report: ``.passed`` is True, False, or None while the exercise was not attempted;
``.diagnosis`` says what is wrong, in words. With the environment variable ``CLT_STRICT=1`` a report that is not passed
raises ``AssertionError`` instead: the course's own tests use that on the solutions.

To add an exercise, write an :class:`~clt.checks._engine.Exercise`: the right function, a plain one that can be told to
make mistakes, the calls to compare on, and what to say of each mistake; and list it in its module's ``EXERCISES``. The
``README.md`` beside this file shows one, and how to read reports and grade a folder.
"""

from clt.checks import geometry, info_nce, label_aware, nce, nt_xent, sup_con, triplet, twin
from clt.checks._call import Case, case
from clt.checks._engine import Exercise, Mistake, check
from clt.checks._report import Report

_FAMILIES = (triplet, nce, info_nce, nt_xent, sup_con, label_aware, twin, geometry)
_EXERCISES: dict[str, Exercise] = {exercise.name: exercise for family in _FAMILIES for exercise in family.EXERCISES}

__all__ = ["Case", "Exercise", "Mistake", "Report", "case", "check", *sorted(_EXERCISES)]


def __getattr__(name):
    if name not in _EXERCISES:
        raise AttributeError(f"there is no check {name!r}; there are {', '.join(sorted(_EXERCISES))}")

    def checked(function) -> Report:
        return check(_EXERCISES[name], function)

    checked.__name__ = checked.__qualname__ = name
    checked.__doc__ = f"Check the exercise ``{name}``; returns a report."
    return checked
