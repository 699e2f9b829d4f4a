"""A folder of odd submissions: each right answer has its point whatever stands around it, each wrong one has none."""

import codecs
import os
import sys
from pathlib import Path

import psutil
import pytest
from odd_submissions import FALSE, RIGHT, TWO_POINTS, cell
from submissions import TRIPLET, graded, write

pytestmark = [
    pytest.mark.xdist_group("clt grade odd"),  # one worker, so that the folder is graded once
    pytest.mark.skipif(sys.platform != "linux", reason="without a fork each submission loads torch: minutes"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("submissions")
    for name, cells in RIGHT.items():
        write(folder / f"{name}.ipynb", *cells)
    for name, (cells, _) in FALSE.items():
        write(folder / f"{name}.ipynb", *cells)
    plain = folder / "plain.ipynb"
    write(plain, *cell(TRIPLET))
    (folder / "BEN.IPYNB").write_bytes(plain.read_bytes())
    (folder / "with a signature.ipynb").write_bytes(codecs.BOM_UTF8 + plain.read_bytes())
    (folder / "in sixteen bits.ipynb").write_bytes(plain.read_text(encoding="utf-8").encode("utf-16"))
    for left in (folder / "__MACOSX" / "._plain.ipynb", folder / "._plain.ipynb", folder / "a.ipynb" / "readme"):
        left.parent.mkdir(exist_ok=True)
        left.write_bytes(b"\0\5\x16\7")
    # A name that is not UTF-8.
    Path(os.fsdecode(os.fsencode(folder) + b"/Zo\xeb.ipynb")).write_bytes(plain.read_bytes())
    return folder


@pytest.fixture(scope="module")
def table(folder) -> dict[str, dict]:
    return graded(folder, "--seconds", "5", "--memory", "1.5")


def test_every_submission_has_a_row_and_nothing_else_has(folder, table):
    assert len(table) == len(RIGHT) + len(FALSE) + 5
    assert len(table) > 60
    assert [name for name in table if "._" in name or name == "a"] == []


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_answer_has_its_point(table, name):
    row = table[name]
    assert (row["triplet_loss"], row["triplet_loss status"]) == ("1", "passed"), row
    assert row["status"] == "graded"
    if name in TWO_POINTS:
        assert (row["batch_hard_loss status"], row["positive_mask status"]) == ("passed", "not attempted"), row


@pytest.mark.parametrize("name", FALSE)
def test_a_wrong_answer_has_none(table, name):
    row = table[name if name[0] not in "-=" else f"'{name}"]
    assert (row["triplet_loss"], row["triplet_loss status"]) == ("0", FALSE[name][1]), row


def test_odd_files_are_graded(table):
    names = ["plain", "BEN", "with a signature", "in sixteen bits", "Zo\\udceb"]
    assert [table[name]["points"] for name in names] == ["1"] * len(names)


def test_a_merged_cell_has_both_points(table):
    assert table["merges two exercises"]["points"] == "2"


def test_nothing_is_left_running(table):
    left = [
        process.info for process in psutil.process_iter(["cmdline"]) if "left-behind" in (process.info["cmdline"] or [])
    ]
    assert left == []


def test_a_line_that_fails_beside_a_right_answer_is_a_remark(table):
    assert (
        "NameError: name 'other' is not defined" in table["checks what is not there as well"]["triplet_loss diagnosis"]
    )
    assert table["draws"]["triplet_loss diagnosis"] == ""
