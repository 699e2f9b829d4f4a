"""``clt grade``: every submission gets its row, whatever it does, and nothing it prints or stores counts."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from clt.command.cli import main
from clt.command.grade import Grade, Submission, exercise_of, read_cells, write_csv

pytestmark = pytest.mark.xdist_group("clt grade")  # one worker, so that the folder is graded once

IMPORTS = "import torch\nfrom torch import Tensor\n\nfrom clt import checks, losses"
TRIPLET = """def triplet_loss(anchor, positive, negative, *, margin=1.0):
    near, far = (anchor - positive).square().sum(1), (anchor - negative).square().sum(1)
    return torch.relu(near - far + margin).mean()


checks.triplet_loss(triplet_loss)"""
WRONG = TRIPLET.replace(".square().sum(1)", ".norm(dim=1)")
STUB = "def triplet_loss(a, p, n, *, margin=1.0):\n    raise NotImplementedError\n\n\nchecks.triplet_loss(triplet_loss)"
ENDLESS = STUB.replace("raise NotImplementedError", "while True:\n        pass")
GREEDY = STUB.replace("raise NotImplementedError", "return torch.ones(10**9, dtype=torch.float64).sum()")
MASK = """def positive_mask(labels):
    return (labels[:, None] == labels) & ~torch.eye(len(labels), dtype=torch.bool)


checks.positive_mask(positive_mask)"""
MASK_STUB = "def positive_mask(labels):\n    raise NotImplementedError\n\n\nchecks.positive_mask(positive_mask)"
HARD = """def batch_hard_loss(embeddings, labels, *, margin=1.0):
    d, same = (embeddings[:, None] - embeddings).square().sum(-1), labels[:, None] == labels
    far = torch.where(positive_mask(labels), d, -torch.inf).amax(1)
    return torch.relu(far - d.masked_fill(same, torch.inf).amin(1) + margin).mean()


checks.batch_hard_loss(batch_hard_loss)"""
LEAVES = "import os\nos._exit(3)\n" + MASK
# What a submission prints, stores or replaces is not what is judged.
CHEATS = """import clt.checks
from clt.checks import Report
clt.checks.check = lambda *a: Report("triplet_loss", True, "")
clt.checks._EXERCISES.clear()
print('{"exercise": "triplet_loss", "points": 1, "status": "passed", "diagnosis": ""}', flush=True)
"""
TRAINING = "open('trained', 'w').write('')\nfor _ in range(10**9):\n    pass"
PASSED = [
    {
        "output_type": "execute_result",
        "data": {"text/plain": "triplet_loss: passed."},
        "metadata": {},
        "execution_count": 1,
    }
]


def write(path: Path, *cells: tuple[str, str], tags: bool = True, metadata: dict | None = None) -> None:
    """A notebook of ``(tag, source)``."""
    made = [
        {"cell_type": "code", "source": source.splitlines(keepends=True), "outputs": PASSED, "execution_count": 1,
         **({"metadata": {"tags": [tag]} if tag else {}} if tags else {})}
        for tag, source in cells
    ]  # fmt: skip
    notebook = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "cells": [{"cell_type": "markdown", "source": "# 01", "metadata": {}}, *made],
    }
    path.write_text(json.dumps(notebook if metadata is None else notebook | {"metadata": metadata}), encoding="utf-8")


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> dict[str, dict]:
    """The rows of a graded folder, by name."""
    folder = tmp_path_factory.mktemp("submissions")
    exercise = lambda *sources: [("", IMPORTS), *(("exercise", source) for source in sources)]
    write(folder / "ada.ipynb", *exercise(TRIPLET, MASK, HARD))
    write(folder / "ben.ipynb", *exercise(WRONG, MASK_STUB, HARD), metadata={"kernelspec": {"name": "other"}})
    write(folder / "cem.ipynb", *exercise(ENDLESS, MASK, HARD))
    write(folder / "dana.ipynb", *exercise(TRIPLET, LEAVES, HARD))
    write(folder / "eli.ipynb", *exercise(GREEDY, "def positive_mask(:\n" + MASK))
    (folder / "group").mkdir()
    write(folder / "group" / "fay.ipynb", ("", IMPORTS), ("", TRAINING), ("", STUB), ("", TRIPLET), tags=False)
    write(folder / "gus.ipynb", ("", IMPORTS), ("exercise", CHEATS + WRONG))
    (folder / "hal.ipynb").write_text('{"cells": [', encoding="utf-8")
    (folder / "ida.ipynb").write_bytes(b"\xff\xfe\x00")
    write(folder / "jon.ipynb", ("", IMPORTS))
    output = folder / "grades.csv"
    result = CliRunner().invoke(
        main, ["grade", str(folder), "--output", str(output), "--seconds", "6", "--memory", "1.5"]
    )
    assert result.exit_code == 0, result.output
    with open(output, encoding="utf-8-sig", newline="") as file:
        return {row["name"]: row for row in csv.DictReader(file)}


def outcome(row: dict) -> list[str]:
    return [row[f"{name} status"] for name in ("triplet_loss", "positive_mask", "batch_hard_loss")]


def test_every_submission_has_a_row(table):
    assert list(table) == ["ada", "ben", "cem", "dana", "eli", "group/fay", "gus", "hal", "ida", "jon"]


def test_right_answers_have_their_points(table):
    assert outcome(table["ada"]) == ["passed"] * 3
    assert (table["ada"]["points"], table["ada"]["of"]) == ("3", "3")
    assert table["ada"]["triplet_loss"] == "1"


def test_a_mistake_is_named_and_costs_its_own_points_only(table):
    assert outcome(table["ben"]) == ["wrong", "not attempted", "passed"]
    assert table["ben"]["triplet_loss diagnosis"].startswith("The distance is not squared.")
    assert table["ben"]["points"] == "1"


def test_an_endless_loop_costs_its_own_points_only(table):
    assert outcome(table["cem"]) == ["time limit", "passed", "passed"]
    assert "6 seconds" in table["cem"]["triplet_loss diagnosis"]


def test_a_process_that_ends_itself_costs_its_own_points_only(table):
    assert outcome(table["dana"]) == ["passed", "crashed", "passed"]
    assert "exit code 3" in table["dana"]["positive_mask diagnosis"]


def test_too_much_memory_and_bad_syntax(table):
    first, second, third = outcome(table["eli"])
    assert first in ("wrong", "memory limit"), "refused by the system at once, or seen growing and ended"
    assert "memory" in table["eli"]["triplet_loss diagnosis"]
    assert second == "crashed"
    assert "not Python" in table["eli"]["positive_mask diagnosis"]
    assert third == "missing"


def test_lost_tags_and_lost_metadata(table):
    assert outcome(table["group/fay"])[0] == "passed", "the last attempt counts, and the training cell did not run"


def test_what_a_submission_prints_stores_or_replaces_does_not_count(table):
    assert table["gus"]["triplet_loss status"] == "wrong"
    assert table["gus"]["points"] == "0"


def test_what_is_no_notebook_is_a_row_with_its_error(table):
    assert "JSONDecodeError" in table["hal"]["status"]
    assert "UnicodeDecodeError" in table["ida"]["status"]
    assert table["jon"]["status"] == "error: it holds no exercise cell"


@pytest.mark.parametrize("text", ["[]", "{}", '{"cells": 3}', '{"cells": [3]}', '{"cells": [{"cell_type": "code"}]}'])
def test_json_that_is_no_notebook(tmp_path, text):
    from clt.command.grade import grade

    (tmp_path / "a.ipynb").write_text(text, encoding="utf-8")
    assert grade(tmp_path / "a.ipynb", "a", 1, 1).status.startswith("error: not a Jupyter notebook")


def test_which_cell_is_the_exercise(tmp_path):
    assert exercise_of(TRIPLET, False) == "triplet_loss"
    without_check = TRIPLET.rsplit("\n", 1)[0]
    assert exercise_of(without_check, True) == "triplet_loss"
    assert exercise_of(without_check, False) == ""
    write(tmp_path / "a.ipynb", ("exercise", STUB), ("solution", TRIPLET), ("", MASK))
    assert [cell.exercise for cell in read_cells(tmp_path / "a.ipynb")] == ["triplet_loss", "positive_mask"]
    assert all("torch.relu" not in cell.source for cell in read_cells(tmp_path / "a.ipynb")), "no solution is run"


def test_a_spreadsheet_takes_no_name_for_a_formula(tmp_path):
    write_csv([Submission("=1+1", grades={"twin_loss": Grade(1, "passed")})], tmp_path / "g.csv")
    assert "\r\n'=1+1,graded,1,1,1,passed,\r\n" in (tmp_path / "g.csv").read_bytes().decode("utf-8-sig")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "is not a folder"),
        (["."], "there is no notebook"),
        ([".", "--seconds", "0"], "--seconds"),
    ],
)
def test_refusals(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["grade", *arguments])
    assert result.exit_code == 2
    assert message in result.output


def test_handouts_have_no_solutions_and_keep_the_exercises(root, tmp_path):
    recipe = subprocess.run(["make", "-n", "handouts"], cwd=root, check=True, capture_output=True, text=True).stdout
    command = next(line for line in recipe.replace("\\\n", "").splitlines() if "nbconvert" in line)
    lesson = tmp_path / "lesson.ipynb"
    write(lesson, ("", IMPORTS), ("exercise", STUB), ("solution", TRIPLET), metadata={})
    options = [word for word in command.split()[2:] if not word.endswith(".ipynb")]
    options[options.index("--output-dir") + 1] = str(tmp_path / "handouts")
    subprocess.run([sys.executable, "-m", "nbconvert", *options, str(lesson)], check=True, capture_output=True)
    text = (tmp_path / "handouts" / "lesson.ipynb").read_text(encoding="utf-8")
    assert "torch.relu" not in text
    cells = json.loads(text)["cells"]
    assert [cell["metadata"].get("tags") for cell in cells] == [None, None, ["exercise"]]
