"""Which exercises are solved, and whose function a lesson goes on with."""

import contextlib
import json
from pathlib import Path

from clt.results import table
from clt.results.measured import write_json

LESSONS = {  # what each notebook asks, in its order
    "00_start_here": ("similarity_matrix", "uniformity", "training_step"),
    "01_triplet_loss": ("triplet_loss", "batch_hard_loss", "semi_hard_mining", "collapse_batch"),
    "02_nce": ("nce_loss", "negative_sampling_loss", "similarity_matrix"),
    "03_info_nce": ("similarity_matrix", "info_nce_loss", "nt_xent_loss"),
    "04_simcse": ("simcse_loss", "supervised_simcse_loss", "uniformity"),
    "05_supcon": ("positive_mask", "sup_con_loss", "soft_nearest_neighbor_loss"),
    "06_label_aware": ("positive_mask", "sup_con_loss", "label_aware_loss"),
    "07_twin_loss": ("twin_loss", "info_nce_loss", "alignment"),
}
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
    in, survives a restart of the kernel, and is sent nowhere. The lesson is the one whose exercises were checked in
    this kernel; before the first check, every lesson that was begun.

    Args:
        reset: forget what was solved in those lessons first.
    """
    lessons = _lessons()
    if reset:
        gone = {name for lesson in lessons for name in LESSONS[lesson]}
        _verdicts[:] = [v for v in _verdicts if v[0] not in gone]
        _keep(_kept() - gone)
    solved = _kept()
    rows = [
        {"lesson": lesson, "exercise": name, "": "solved" if name in solved else "left"}
        for lesson in lessons
        for name in LESSONS[lesson]
    ]
    if not rows:
        print("No exercise was begun yet.")
        return
    table(rows)
    print(f"{sum(row[''] == 'solved' for row in rows)} of {len(rows)} solved")


def _lessons() -> list[str]:
    checked = {name for name, _, _ in _verdicts}
    shared = {lesson: len(checked.intersection(names)) for lesson, names in LESSONS.items()}
    if most := max(shared.values()):
        return [next(lesson for lesson, n in shared.items() if n == most)]
    solved = _kept()
    return [lesson for lesson, names in LESSONS.items() if solved.intersection(names)]


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
