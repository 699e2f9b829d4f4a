"""``clt report``: the paper's numbers beside ours, and what is missing is said."""

import json
import sys

import pytest
import yaml
from click.testing import CliRunner

from clt import results
from clt.command.cli import main
from clt.results import files, papers


def entry(key: str, **changes) -> dict:
    return {
        "table": "sts", "title": "What makes the second view", "source": "A. Author (2020), table 2",
        "measure": "Spearman × 100.", "ours": "Spearman × 100, our test split.", "differences": "Size\nand text.",
        "scale": 100, "rows": [{"name": "crop | 10 %", "paper": 77.8, "key": key}],
    } | changes  # fmt: skip


@pytest.fixture
def lessons(tmp_path, monkeypatch):
    """Two lessons with published tables. The first has a record, which lacks a number of its second table."""
    for name, module in {"published": papers, "recorded": sys.modules["clt.results.records"]}.items():
        (tmp_path / name).mkdir()
        for place in (results, module):
            monkeypatch.setattr(place, name.upper(), tmp_path / name)
    second = entry("public.crop", table="public", title="On the public set")
    for lesson, entries in {"04_first": [entry("dev.crop"), second], "05_second": [entry("other")]}.items():
        text = yaml.safe_dump(entries, allow_unicode=True)
        (tmp_path / "published" / f"{lesson}.yaml").write_text(text, encoding="utf-8")
    record("04_first", "dev.crop", [0.7, 0.71, 0.72], steps=20, seeds=[0, 1, 2])
    return tmp_path


def record(lesson: str, key: str, values: list, **setting) -> None:
    """Put a number into the record of a lesson."""
    path = results.RECORDED / f"{lesson}.json"
    found = json.loads(path.read_text())["found"] if path.exists() else {}
    found[key] = {"values": values, "mean": sum(values) / len(values), "setting": setting}
    files.write_json(path, {"found": found, "made": {}})


def report(*arguments):
    return CliRunner().invoke(main, ["report", *map(str, arguments)])


def test_it_sets_our_numbers_beside_the_papers(lessons):
    result = report()
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "04_first",
        "========",
        "",
        "What makes the second view",
        "",
        "             paper  record",
        "-----------  -----  ------------------",
        "crop | 10 %  77.8   71.0 ± 1.0 (n = 3)",
        "",
        "paper: A. Author (2020), table 2. Spearman × 100.",
        "ours: Spearman × 100, our test split.",
        "differs: Size and text.",
        "run with: seeds = [0, 1, 2], steps = 20",
        "",
        "On the public set",
        "",
        "             paper  record",
        "-----------  -----  ------------",
        "crop | 10 %  77.8   not measured",
        "",
        "paper: A. Author (2020), table 2. Spearman × 100.",
        "ours: Spearman × 100, our test split.",
        "differs: Size and text.",
        "",
        "05_second",
        "=========",
        "no record yet",
        "",
        "No record yet: 05_second. Make it with: clt record 05_second",
        "04_first did not measure: public.crop",
    ]


def test_settings_that_differ_between_rows_are_named_as_such(lessons):
    rows = [{"name": key, "paper": 1.0, "key": key} for key in ("dev.crop", "dev.mask")]
    text = yaml.safe_dump([entry("", rows=rows)], allow_unicode=True)
    (lessons / "published" / "04_first.yaml").write_text(text, encoding="utf-8")
    record("04_first", "dev.mask", [0.5], steps=40, seeds=[0, 1, 2])
    assert "run with: seeds = [0, 1, 2]\nnot the same in all rows: steps\n" in report().output


def test_it_writes_markdown(lessons):
    result = report("--output", lessons / "report.md")
    assert result.exit_code == 0
    assert result.output.startswith(f"Wrote {lessons / 'report.md'}\n\nNo record yet: 05_second.")
    text = (lessons / "report.md").read_text(encoding="utf-8")
    table = "|  | paper | record |\n|---|---|---|\n| crop \\| 10 % | 77.8 | 71.0 ± 1.0 (n = 3) |\n"
    assert text.startswith(
        "# The course's numbers beside the papers'\n\n## 04_first\n\n### What makes the second view\n"
    )
    assert table in text
    assert "- differs: Size and text.\n" in text
    assert text.endswith("## 05_second\n\nNo record yet.\n")


def test_a_complete_report_misses_nothing(lessons):
    record("04_first", "public.crop", [0.6])
    record("05_second", "other", [0.6])
    output = report().output
    assert "60" in output
    assert "not " not in output.lower()


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("published/05_second.yaml", b"- {table: x}", "published/05_second.yaml, table 'x' should have"),
        ("published/05_second.yaml", b"\xff\xfe", "published/05_second.yaml is not readable YAML"),
        *(
            ("recorded/04_first.json", content, "04_first.json is not a readable record (")
            for content in (
                b"{", b"\x80\x04binary", b"[]", b"3", b'{"found": {}}', b'{"found": [], "made": {}}',
                b'{"found": {"dev.crop": 3}, "made": {}}', b'{"found": {"dev.crop": {"values": []}}, "made": {}}',
                b'{"found": {"dev.crop": {"values": [NaN], "mean": 1, "setting": {}}}, "made": {}}',
                b'{"found": {"dev.crop": {"values": ["a"], "mean": 1, "setting": {}}}, "made": {}}',
                b'{"found": {"dev.crop": {"values": [1], "mean": 1}}, "made": {}}',
                b'{"found": {}, "made": 3}',
            )
        ),
    ],
)  # fmt: skip
def test_a_damaged_or_foreign_file_is_one_line_and_exit_2(lessons, file, content, message):
    (lessons / file).write_bytes(content)
    result = report()
    assert result.exit_code == 2
    assert result.output.startswith(f"Error: {message}")
    assert result.output.count("\n") == 1


def test_a_folder_in_the_place_of_a_record_is_named(lessons):
    (results.RECORDED / "05_second.json").mkdir()
    result = report()
    assert result.exit_code == 2
    assert result.output.startswith("Error: 05_second.json is not a readable record (")


def test_a_place_that_cannot_be_written_is_refused(lessons):
    result = report("--output", lessons / "nowhere" / "report.md")
    assert result.exit_code == 2
    assert "cannot write to --output" in result.output


def test_what_was_measured_here_is_not_in_the_report(lessons, monkeypatch):
    monkeypatch.setenv("CLT_RESULTS", str(lessons / "results"))
    results.measured("05_second", "other", 0.6)
    assert "No record yet: 05_second." in report().output


def test_the_report_of_the_course_itself():
    """Every published file and every record that comes with clt can be read; a lesson without a record is named."""
    result = report()
    assert result.exit_code == 0, result.output
    there = {path.stem for path in results.RECORDED.glob("*.json")}
    for lesson in sorted(path.stem for path in results.PUBLISHED.glob("*.yaml")):
        assert f"{lesson}\n{'=' * len(lesson)}\n{'' if lesson in there else 'no record yet'}" in result.output
