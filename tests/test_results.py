"""Numbers as text, what is measured here, and the papers' tables beside it; records are in test_results_records.py."""

import json
import os
import sys

import numpy as np
import pytest
import torch
import yaml

from clt import results
from clt.results import files, papers


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CLT_RESULTS", str(tmp_path / "results"))
    return tmp_path / "results"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.12345, "0.123"), (-0.5, "-0.5"), (12345.6, "12300"), (1e-7, "0"), (2.34567e-5, "2.35e-05"), (3, "3"),
        (0.0, "0"), (99.96, "100"), (1.5e9, "1.50e+09"), (float("nan"), "nan"), (float("inf"), "inf"), (1e-3, "0.001"),
    ],
)  # fmt: skip
def test_number_has_three_significant_digits(value, text):
    assert results.number(value) == text


def test_spread():
    assert results.spread([0.9, 0.95, 1.0]) == "0.950 ± 0.050 (n = 3)"
    with pytest.raises(ValueError, match="at least two"):
        results.spread([0.9])


def test_table(capsys):
    results.table([{"name": "a", "value": 0.12345}, {"name": "longer", "value": 2.0}])
    assert capsys.readouterr().out == "name    value\n------  -----\na       0.123\nlonger  2\n"
    with pytest.raises(ValueError, match="at least one row"):
        results.table([])


def test_record_and_read(folder):
    results.measured("lesson", "a.b", [1.0, 2.0, 3.0], steps=10)
    results.measured("lesson", "c", 4.0)
    results.measured("lesson", "c", 5.0)
    found = results.read("lesson")
    assert found["a.b"] == {"mean": 2.0, "values": [1.0, 2.0, 3.0], "setting": {"steps": 10}, "sd": 1.0}
    assert found["c"]["mean"] == 5.0
    assert [path.name for path in folder.iterdir()] == ["lesson.json"], "no scratch file is left"
    assert results.read("another") == {}


def test_what_was_not_measured_is_not_recorded(folder):
    for nothing in (float("nan"), [1.0, float("inf")], []):
        with pytest.raises(ValueError, match="finite"):
            results.measured("lesson", "key", nothing)
    with pytest.raises(TypeError):
        results.measured("lesson", "key", 1.0, setting=object())
    assert results.read("lesson") == {}


def test_tensors_and_arrays_of_any_kind_are_numbers():
    for value in (torch.tensor(2.0), np.array(2.0), np.float32(2), torch.tensor([2.0]), np.array([2.0]), 2):
        results.measured("lesson", "key", value)
        assert results.read("lesson")["key"]["values"] == [2.0]
    for curves in (torch.tensor([[1.0, 2.0], [3.0, 5.0]]), [np.array([1, 2]), [3, torch.tensor(5)]]):
        results.measured("lesson", "key", curves)
        found = results.read("lesson")["key"]
        assert found["values"] == [[1, 2], [3, 5]]
        assert found["mean"] == [2, 3.5]
        assert found["sd"] == pytest.approx([2**0.5, 4.5**0.5])
    with pytest.raises(ValueError, match=r"curves should have one length, got \[1, 2\]"):
        results.measured("lesson", "key", [[1.0], [1.0, 2.0]])


def test_a_write_that_fails_keeps_the_old_file_and_leaves_nothing(folder, monkeypatch):
    results.measured("lesson", "key", 1.0)

    def full(*paths):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match=r"key cannot be kept \(No space left on device\): set CLT_RESULTS to"):
        results.measured("lesson", "key", 2.0)
    with pytest.raises(TypeError):
        results.measured("lesson", "key", 2.0, setting={1, 2})
    monkeypatch.undo()
    assert json.loads((folder / "lesson.json").read_text())["key"]["mean"] == 1.0
    assert [path.name for path in folder.iterdir()] == ["lesson.json"]


@pytest.mark.skipif(os.name != "posix", reason="files have modes there")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_a_file_has_the_mode_of_any_new_file(folder, umask, mode):
    """Whoever shares the folder can read what was measured, as far as the user lets others read at all."""
    before = os.umask(umask)
    try:
        for value in (1.0, 2.0):
            results.measured("lesson", "key", value)
            assert (folder / "lesson.json").stat().st_mode & 0o777 == mode
    finally:
        os.umask(before)


def test_text_and_bytes_are_written_as_they_are(tmp_path):
    for content in ("zwei\nZeilen ü\n", b"\xff\r\n"):
        files.write_whole(tmp_path / "a", content)
        assert (tmp_path / "a").read_bytes() == (content.encode() if isinstance(content, str) else content)
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(tmp_path / "a", float("nan"))
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_checkout_that_cannot_be_written_to_keeps_nothing(tmp_path, monkeypatch):
    monkeypatch.delenv("CLT_RESULTS")
    monkeypatch.chdir(tmp_path)
    assert (results.folder().parents[1] / "notebooks").is_dir()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert results.folder() == tmp_path / "build" / "results"


FOREIGN = ['{"key": ', "[1, 2]", '{"key": 3}', '{"key": {"values": []}}', '{"key": {"values": [NaN]}}',
           '{"key": {"values": ["a"]}}', '{"key": {"values": [1]}}', '{"key": {"values": [1], "mean": 1}}']  # fmt: skip


@pytest.mark.parametrize("content", [*(text.encode() for text in FOREIGN), b"\x80\x04binary"])
def test_a_foreign_or_damaged_file_is_named(folder, content):
    folder.mkdir()
    (folder / "lesson.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"lesson\.json is not readable"):
        results.read("lesson")


@pytest.fixture
def one_table(tmp_path, monkeypatch):
    """A published table with every kind of row; returns it, and a function that writes it down changed."""
    entry = {
        "table": "sts", "title": "method", "source": "A. Author (2020), table 2.", "measure": "Spearman × 100.",
        "ours": "Spearman × 100 on our test split.", "differences": "Size.", "scale": 100,
        "rows": [
            {"name": "before", "paper": 56.7, "key": "sts.before"},
            {"name": "after", "paper": 76.25, "key": "sts.after"},
            {"name": "another's", "paper": "74.9 ± 0.2", "key": None},
            {"name": "only ours", "paper": None, "key": "sts.extra"},
        ],
    }  # fmt: skip
    monkeypatch.setattr(papers, "PUBLISHED", tmp_path)
    monkeypatch.setattr(sys.modules["clt.results.records"], "RECORDED", tmp_path)

    def write(**changes):
        text = yaml.safe_dump([entry | changes], allow_unicode=True)
        (tmp_path / "04_lesson.yaml").write_text(text, encoding="utf-8")

    write()
    return entry, write


def record(**values) -> None:
    """A record of the lesson, with these values under ``sts.``."""
    found = {
        f"sts.{name}": {"values": given, "mean": sum(given) / len(given), "setting": {}}
        for name, given in values.items()
    }
    files.write_json(papers.PUBLISHED / "04_lesson.json", {"found": found, "made": {}})


RECORD = {"before": [0.5], "after": [0.7, 0.71, 0.72], "extra": [0.71234]}
NOTES = ["", "paper: A. Author (2020), table 2. Spearman × 100.", "ours: Spearman × 100 on our test split.",
         "differs: Size."]  # fmt: skip


def test_beside_paper(one_table, capsys):
    record(**RECORD)
    results.beside_paper("04_lesson", "sts")
    assert capsys.readouterr().out.splitlines() == [
        "method",
        "",
        "           paper       record",
        "---------  ----------  ------------------",
        "before     56.70       50",
        "after      76.25       71.0 ± 1.0 (n = 3)",
        "another's  74.9 ± 0.2  -",
        "only ours  -           71.2",
        *NOTES,
    ]


def test_what_was_measured_here_has_its_own_column(one_table, capsys):
    record(**RECORD)
    results.measured("04_lesson", "sts.after", 0.7111)
    results.beside_paper("04_lesson", "sts")
    assert capsys.readouterr().out.splitlines()[2:] == [
        "           paper       record              here",
        "---------  ----------  ------------------  ----",
        "before     56.70       50",
        "after      76.25       71.0 ± 1.0 (n = 3)  71.1",
        "another's  74.9 ± 0.2  -",
        "only ours  -           71.2",
        *NOTES,
    ]


def test_what_is_not_in_the_record_is_not_set_beside_a_paper(one_table, monkeypatch, capsys):
    record(before=[0.5])
    lacks = r"the record of 04_lesson lacks 'sts.after', 'sts.extra'; renew it: clt record 04_lesson"
    with pytest.raises(ValueError, match=lacks):
        results.beside_paper("04_lesson", "sts")
    monkeypatch.setenv("CLT_RECORD", "somewhere")  # while it is being made, what was measured stands in for it
    for name, values in RECORD.items():
        results.measured("04_lesson", f"sts.{name}", values)
    results.beside_paper("04_lesson", "sts")
    assert "71.0 ± 1.0" in capsys.readouterr().out


def test_an_unknown_lesson_or_table_is_named(one_table):
    with pytest.raises(ValueError, match=r"no published tables for '99_nothing'; there are for 04_lesson"):
        results.published("99_nothing")
    with pytest.raises(ValueError, match=r"no published table 'nli'; it has 'sts'"):
        results.beside_paper("04_lesson", "nli")


def test_the_scale_is_one_unless_given(one_table):
    entry, _ = one_table
    assert results.published("04_lesson") == [entry]
    plain = {name: value for name, value in entry.items() if name != "scale"}
    (papers.PUBLISHED / "04_lesson.yaml").write_text(yaml.safe_dump([plain]), encoding="utf-8")
    assert results.published("04_lesson") == [plain | {"scale": 1}]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rows": []}, r"a row should have name, paper and key, got \[\]"),
        ({"rows": 3}, "a row should have name, paper and key, got 3"),
        ({"rows": [{"name": "a", "paper": 1}]}, "a row should have"),
        ({"rows": ["a"]}, "a row should have"),
        ({"scale": "100"}, "scale should be a number"),
        ({"differences": None}, "differences should be text, got None"),
        ({"unknown": 1}, "should have table, title, .*, unknown"),
    ],
)
def test_a_published_file_of_another_form_is_refused(one_table, changes, message):
    one_table[1](**changes)
    with pytest.raises(ValueError, match=rf"published/04_lesson\.yaml, table 'sts'.*{message}"):
        results.published("04_lesson")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "04_lesson.yaml is not readable YAML"),
        ("", "list"),
        ("- 1", "list"),
        ("\udcff", "04_lesson.yaml is not readable YAML"),
    ],
)
def test_a_published_file_that_is_no_list_of_tables_is_refused(one_table, text, message):
    (papers.PUBLISHED / "04_lesson.yaml").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError, match=message):
        results.published("04_lesson")


def test_two_tables_of_one_key_are_refused(one_table):
    (papers.PUBLISHED / "04_lesson.yaml").write_text(yaml.safe_dump([one_table[0]] * 2), encoding="utf-8")
    with pytest.raises(ValueError, match="two tables of one key"):
        results.published("04_lesson")


LESSONS = sorted(path.stem for path in results.PUBLISHED.glob("*.yaml"))


@pytest.mark.parametrize("lesson", LESSONS)
def test_the_published_tables_of_the_course_are_well_formed(lesson, root):
    """They belong to a notebook, which shows them; and in some table ours stand beside the paper's."""
    notebook = (root / "notebooks" / f"{lesson}.ipynb").read_text(encoding="utf-8")
    entries = results.published(lesson)
    both = [{name for row in entry["rows"] for name in ("key", "paper") if row[name]} for entry in entries]
    assert {"key", "paper"} in both
    assert "results.beside_paper(" in notebook
    for entry in entries:
        assert len({row["name"] for row in entry["rows"]}) == len(entry["rows"]), entry["table"]
        assert len({row["key"] for row in entry["rows"] if row["key"]}) == sum(
            bool(row["key"]) for row in entry["rows"]
        )
