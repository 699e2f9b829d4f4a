"""``clt grade``: every submission gets its row, whatever it does, and nothing it prints or stores counts."""

import json
import os
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner
from submissions import (
    CHEATS,
    ENDLESS,
    GREEDY,
    HARD,
    IMPORTS,
    LEAVES,
    MASK,
    MASK_STUB,
    STUB,
    TRAINING,
    TRIPLET,
    WRONG,
    exercises,
    graded,
    write,
)

from clt.command.cli import main
from clt.command.grade import Grade, Grader, Submission, write_csv

pytestmark = pytest.mark.xdist_group("clt grade")  # one worker, so that the folder is graded once


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> dict[str, dict]:
    """The rows of a graded folder, by name."""
    folder = tmp_path_factory.mktemp("submissions")
    write(folder / "ada.ipynb", *exercises(TRIPLET, MASK, HARD))
    write(folder / "ben.ipynb", *exercises(WRONG, MASK_STUB, HARD), metadata={"kernelspec": {"name": "other"}})
    write(folder / "cem.ipynb", *exercises(ENDLESS, MASK, HARD))
    write(folder / "dana.ipynb", *exercises(TRIPLET, LEAVES, HARD))
    write(folder / "eli.ipynb", *exercises(GREEDY, "def positive_mask(:\n" + MASK))
    (folder / "group").mkdir()
    write(folder / "group" / "fay.ipynb", ("", IMPORTS), ("", TRAINING), ("", STUB), ("", TRIPLET), tags=False)
    write(folder / "gus.ipynb", ("", IMPORTS), ("exercise", CHEATS + WRONG))
    (folder / "hal.ipynb").write_text('{"cells": [', encoding="utf-8")
    (folder / "ida.ipynb").write_bytes(b"\xff\xfe\x00")
    write(folder / "jon.ipynb", ("", IMPORTS))
    return graded(folder, "--seconds", "6", "--memory", "1.5")


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


def test_json_that_is_no_notebook(tmp_path):
    texts = ["[]", "{}", '{"cells": 3}', '{"cells": [3]}', '{"cells": [{"cell_type": "code"}]}', "[" * 10**5, "", "3"]
    with Grader(5, 1) as grader:
        for text in texts:
            (tmp_path / "a.ipynb").write_text(text, encoding="utf-8")
            status = grader.grade(tmp_path / "a.ipynb", "a").status
            assert status.startswith("error: not a Jupyter notebook"), (text[:40], status)


def test_a_spreadsheet_takes_no_name_for_a_formula(tmp_path):
    write_csv([Submission("=1+1", grades={"twin_loss": Grade(1, "passed")})], tmp_path / "g.csv")
    assert "\r\n'=1+1,graded,1,1,1,passed,\r\n" in (tmp_path / "g.csv").read_bytes().decode("utf-8-sig")


def test_a_name_or_message_that_is_no_text_does_not_end_the_run(tmp_path):
    write_csv([Submission("\udceb", grades={"twin_loss": Grade(0, "wrong", "\ud800 \0")})], tmp_path / "g.csv")
    assert "\r\n\\udceb,graded,0,1,0,wrong,\\ud800 \ufffd\r\n" in (tmp_path / "g.csv").read_bytes().decode("utf-8-sig")


def test_a_judge_that_died_between_two_submissions_costs_nobody_a_point(tmp_path):
    write(tmp_path / "ada.ipynb", *exercises(TRIPLET))
    with Grader(30, 1.5) as grader:
        assert grader.grade(tmp_path / "ada.ipynb", "ada").points == 1
        if grader.process:  # where there is no fork it has ended already
            os.kill(grader.process.pid, signal.SIGKILL)
        assert grader.grade(tmp_path / "ada.ipynb", "ada").points == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "is not a folder"),
        (["."], "there is no notebook"),
        ([".", "--seconds", "0"], "--seconds"),
        (["handed in", "--output", "."], "it is a folder"),
        (["handed in", "--output", "nowhere/grades.csv"], "No such file or directory"),
    ],
)
def test_refusals(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "handed in").mkdir(exist_ok=True)
    if arguments[0] == "handed in":
        write(tmp_path / "handed in" / "ada.ipynb", *exercises(TRIPLET))
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
