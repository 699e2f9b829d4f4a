"""`choose` and `progress`: whose answer a lesson goes on with, and what is noted of it."""

import json
import os

import pytest
import torch
from solutions import SOLUTIONS

from clt import checks
from clt.checks import _progress

right = SOLUTIONS["triplet_loss"]["plain"]


def wrong(a, p, n, *, margin=1.0):
    return right(a, p, n, margin=margin) / 2


def triplet_loss_solution(a, p, n, *, margin=1.0):
    return right(a, p, n, margin=margin)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A student's folder and a fresh kernel."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_progress, "_verdicts", [])
    cells = ["checks.triplet_loss(triplet_loss)", "checks.choose(a, b)", "checks.positive_mask(positive_mask)"]
    other = ["checks.nce_loss(nce_loss)", "checks.negative_sampler(negative_sampler)"]
    for stem, sources in (("01_triplets", cells), ("02_noise", other)):
        notebook = {"cells": [{"cell_type": "code", "source": [source]} for source in sources]}
        (tmp_path / f"{stem}.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    return tmp_path


def restart(monkeypatch) -> None:
    monkeypatch.setattr(_progress, "_verdicts", [])


def shown(capsys, **options) -> str:
    capsys.readouterr()
    checks.progress(**options)
    return capsys.readouterr().out


def test_the_students_function_if_it_passed(capsys):
    checks.triplet_loss(right)
    assert checks.choose(right, triplet_loss_solution) is right
    assert capsys.readouterr().out == "triplet_loss: passed, so the lesson goes on with yours.\n"


NOT_YET = "triplet_loss: the lesson goes on with the solution, because yours has not passed its check.\n"


@pytest.mark.parametrize("checked", [True, False])
@pytest.mark.parametrize("student", [wrong, None, ..., 3.0])
def test_else_the_solution(student, checked, capsys):
    if checked:
        checks.triplet_loss(student)
    assert checks.choose(student, triplet_loss_solution) is triplet_loss_solution
    assert capsys.readouterr().out == NOT_YET


def test_what_passed_once_and_was_then_written_anew_has_not_passed(capsys):
    checks.triplet_loss(right)
    newer = lambda *a, **o: right(*a, **o)
    assert checks.choose(newer, triplet_loss_solution) is triplet_loss_solution
    assert checks.choose(right, triplet_loss_solution) is right


@pytest.mark.parametrize(
    "name",
    ["hippocampus_queue", "training_step", "nce_optimum", "label_aware_anchor", "temperature_collapse",
     "collapse_batch", "no_false_negatives", "equal_uniformity"],
)  # fmt: skip
def test_it_works_for_classes_numbers_batches_and_lists(name, capsys):
    exercise = checks._EXERCISES[name]
    answer, solution = SOLUTIONS[name]["plain"], exercise.reference
    getattr(checks, name)(answer)
    assert checks.choose(answer, solution) is answer
    assert f"{name}: passed" in capsys.readouterr().out
    mistaken = exercise.making(exercise.mistakes[0])
    getattr(checks, name)(mistaken)
    assert checks.choose(mistaken, solution) is solution
    assert f"{name}: the lesson goes on with the solution" in capsys.readouterr().out


def test_a_check_in_the_solutions_cell_changes_nothing(capsys):
    checks.triplet_loss(wrong)
    checks.triplet_loss(triplet_loss_solution)
    assert checks.choose(wrong, triplet_loss_solution) is triplet_loss_solution
    assert "0 of 2 solved" in shown(capsys)
    assert not (_progress.Path(_progress.FILE)).exists()


def test_progress_shows_this_lesson_and_survives_a_restart(capsys, monkeypatch):
    checks.triplet_loss(right)
    checks.choose(right, triplet_loss_solution)
    expected = [
        "lesson       exercise",
        "-----------  -------------  ------",
        "01_triplets  triplet_loss   solved",
        "01_triplets  positive_mask  left",
        "1 of 2 solved",
    ]
    assert [line.rstrip() for line in shown(capsys).splitlines()] == expected
    restart(monkeypatch)
    assert [line.rstrip() for line in shown(capsys).splitlines()] == expected
    checks.nce_loss(None)
    assert "triplet" not in shown(capsys), "another lesson has begun"


def test_what_is_solved_stays_so_when_the_notebook_runs_unsolved(capsys, monkeypatch):
    checks.triplet_loss(right)
    checks.choose(right, triplet_loss_solution)
    restart(monkeypatch)
    checks.triplet_loss(wrong)
    checks.choose(wrong, triplet_loss_solution)
    assert "triplet_loss   solved" in shown(capsys)


def test_reset_forgets_this_lesson_only(capsys, monkeypatch):
    for name in ("triplet_loss", "nce_loss"):
        answer = SOLUTIONS[name]["plain"]
        getattr(checks, name)(answer)
        checks.choose(answer, checks._EXERCISES[name].reference)
    restart(monkeypatch)
    checks.triplet_loss(right)
    assert "0 of 2 solved" in shown(capsys, reset=True)
    restart(monkeypatch)
    assert "nce_loss" in shown(capsys)


def test_nothing_begun_and_no_notebook_here(capsys, folder):
    assert shown(capsys) == "No exercise was begun yet.\n"
    for path in folder.glob("*.ipynb"):
        path.unlink()
    checks.triplet_loss(right)
    checks.choose(right, triplet_loss_solution)
    assert "1 of 1 solved" in shown(capsys)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"a": 1}', b"[1, null]", b"nan"])
def test_a_damaged_file_is_no_error(content, capsys, folder):
    (folder / _progress.FILE).write_bytes(content)
    checks.triplet_loss(right)
    checks.choose(right, triplet_loss_solution)
    assert "1 of 2 solved" in shown(capsys)
    assert json.loads((folder / _progress.FILE).read_text(encoding="utf-8")) == ["triplet_loss"]


@pytest.mark.parametrize(
    "how", ["a folder in its place", "a file system that cannot be written", "a folder that is gone"]
)
def test_where_it_cannot_be_written_it_keeps_quiet(how, capsys, folder, monkeypatch):
    if how == "a folder in its place":
        (folder / _progress.FILE).mkdir()
    elif how == "a folder that is gone":
        gone = folder / "gone"
        gone.mkdir()
        monkeypatch.chdir(gone)
        gone.rmdir()
    else:

        def refuse(*args):
            raise PermissionError("read-only file system")

        monkeypatch.setattr(_progress, "write_json", refuse)
    checks.triplet_loss(right)
    assert checks.choose(right, triplet_loss_solution) is right
    assert "left" in shown(capsys)


def test_a_check_writes_no_file(folder):
    before = sorted(os.listdir(folder))
    checks.triplet_loss(right)
    checks.triplet_loss(wrong)
    assert sorted(os.listdir(folder)) == before


def test_git_ignores_the_file(root):
    assert _progress.FILE in (root / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_answers_are_known_by_what_they_are_not_by_their_value():
    one, equal = torch.tensor([0.005]), torch.tensor([0.005])
    checks.temperature_collapse(one)
    assert checks.choose(one, 0.1) is one
    assert checks.choose(equal, 0.1) == 0.1
