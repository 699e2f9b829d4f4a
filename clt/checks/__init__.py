"""Exercise checks: ``checks.NAME(your_function)`` says at once whether it is right, and if not, which mistake it is.

A check never raises. It returns a report: ``.passed`` is True, False, or None while the exercise was not attempted;
``.diagnosis`` says what is wrong, in words. With the environment variable ``CLT_STRICT=1`` a report that is not passed
raises ``AssertionError`` instead: the course's own tests use that on the solutions.

To add an exercise, write an :class:`~clt.checks._engine.Exercise`: the right function, the calls to compare on, and
the mistakes worth a name; and list it in ``_EXERCISES``.
"""

from clt.checks import triplet
from clt.checks._engine import Exercise, Mistake, Report, check

_EXERCISES: dict[str, Exercise] = {exercise.name: exercise for exercise in triplet.EXERCISES}

__all__ = ["Exercise", "Mistake", "Report", "check", *sorted(_EXERCISES)]


def __getattr__(name):
    if name not in _EXERCISES:
        raise AttributeError(f"there is no check {name!r}; there are {', '.join(sorted(_EXERCISES))}")

    def checked(function) -> Report:
        return check(_EXERCISES[name], function)

    checked.__name__ = checked.__qualname__ = name
    checked.__doc__ = f"Check the exercise ``{name}``; returns a report."
    return checked
