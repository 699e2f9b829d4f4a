"""Which exercises are solved, and whose function a lesson goes on with."""

import contextlib
import json
import re
from pathlib import Path

from clt.results import table
from clt.results.measured import write_json

FILE = ".clt-progress.json"  # in the student's folder: the one the notebook runs in

# (exercise, answer, passed), the latest last. Answers are kept, so that one that passed is known again when it is seen.
_verdicts: list[tuple[str, object, bool | None]] = []


def remember(exercise: str, answer, passed: bool | None) -> None:
    """Note what a check said of this very answer."""
    _verdicts[:] = [v for v in _verdicts if not (v[0] == exercise and v[1] is answer)]
    _verdicts.append((exercise, answer, passed))


def choose(student, solution):
    """What the rest of the lesson runs on: the student's answer if it passed its check, else the solution.

    Args:
        student: the function, class or value that was handed to its check in this kernel.
        solution: what to take where that check did not pass.

    Returns:
        One of the two. A line is printed that says which.
    """
    name, passed = next(((n, p) for n, answer, p in reversed(_verdicts) if answer is student), (None, None))
    if passed:
        _keep({*_kept(), name})
        print(f"{name}: passed, so the lesson goes on with yours.")
        return student
    name = name or getattr(solution, "__name__", "answer").removesuffix("_solution")
    print(f"{name}: the lesson goes on with the solution, because yours has not passed its check.")
    return solution


def progress(*, reset: bool = False) -> None:
    """Print which exercises of this lesson are solved and which are left.

    Solved is what :func:`choose` went on with. It is noted in ``.clt-progress.json`` in the folder the notebook runs
    in, survives a restart of the kernel, and is sent nowhere. The lesson is the notebook of that folder whose exercises
    were checked in this kernel; before the first check, every one in which something is solved.

    Args:
        reset: forget first what was solved in the lessons that are shown.
    """
    lessons = _lessons()
    if reset:
        gone = {name for names in lessons.values() for name in names}
        _verdicts[:] = [v for v in _verdicts if v[0] not in gone]
        _keep(_kept() - gone)
    solved = _kept()
    rows = [
        {"lesson": lesson, "exercise": name, "": "solved" if name in solved else "left"}
        for lesson, names in lessons.items()
        for name in names
    ]
    if not rows:
        print("No exercise was begun yet.")
        return
    table(rows)
    print(f"{sum(row[''] == 'solved' for row in rows)} of {len(rows)} solved")


def _lessons() -> dict[str, list[str]]:
    """The exercises of each lesson to be shown, in the order of its notebook, which says so itself."""
    from clt.checks import _EXERCISES

    checked = list(dict.fromkeys(name for name, _, _ in _verdicts))
    asked = {}
    for path in sorted(Path().glob("*.ipynb")):
        with contextlib.suppress(OSError, ValueError):
            called = re.findall(r"\bchecks\.(\w+)\(", path.read_text(encoding="utf-8"))
            asked[path.stem] = [name for name in dict.fromkeys(called) if name in _EXERCISES]
    if not checked:
        solved = _kept()
        return {lesson: names for lesson, names in asked.items() if solved.intersection(names)}
    here = max(asked, key=lambda lesson: len(set(checked).intersection(asked[lesson])), default=None)
    if here and set(checked).intersection(asked[here]):
        return {here: asked[here]}
    return {"here": checked}  # on Colab the notebook is no file


def _kept() -> set[str]:
    """The solved exercises on file; a file that is not there or not readable holds none."""
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(Path(FILE).read_text(encoding="utf-8"))
        if isinstance(found, list):
            return {name for name in found if isinstance(name, str)}
    return set()


def _keep(solved: set[str]) -> None:
    """Write the file; where that is not possible, go on without it."""
    if solved != _kept():
        with contextlib.suppress(OSError):
            write_json(Path(FILE).absolute(), sorted(solved))
