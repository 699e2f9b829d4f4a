"""``clt report``: the paper's numbers beside ours, and what is missing is said."""

import pytest
import yaml
from click.testing import CliRunner

from clt import results
from clt.command.cli import main


def entry(key: str, **changes) -> dict:
    return {
        "table": "sts", "title": "What makes the second view", "source": "A. Author (2020), table 2",
        "measure": "Spearman × 100.", "ours": "Spearman × 100, our test split.", "differences": "Size\nand text.",
        "scale": 100, "rows": [{"name": "crop | 10 %", "paper": 77.8, "key": key}],
    } | changes  # fmt: skip


@pytest.fixture
def lessons(tmp_path, monkeypatch):
    """Two lessons with published tables. The first was run and left out a number of its second table."""
    (tmp_path / "published").mkdir()
    monkeypatch.setattr(results, "PUBLISHED", tmp_path / "published")
    monkeypatch.setenv("CLT_RESULTS", str(tmp_path / "results"))
    second = entry("public.crop", table="public", title="On the public set")
    for lesson, entries in {"04_first": [entry("dev.crop"), second], "05_second": [entry("other")]}.items():
        text = yaml.safe_dump(entries, allow_unicode=True)
        (tmp_path / "published" / f"{lesson}.yaml").write_text(text, encoding="utf-8")
    results.measured("04_first", "dev.crop", [0.7, 0.71, 0.72], steps=20, seeds=[0, 1, 2])
    return tmp_path


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
        "             paper  ours",
        "-----------  -----  --------------",
        "crop | 10 %  77.8   71 ± 1 (n = 3)",
        "",
        "paper: A. Author (2020), table 2. Spearman × 100.",
        "ours: Spearman × 100, our test split.",
        "differs: Size and text.",
        "run with: seeds = [0, 1, 2], steps = 20",
        "",
        "On the public set",
        "",
        "             paper  ours",
        "-----------  -----  ------------",
        "crop | 10 %  77.8   not measured",
        "",
        "paper: A. Author (2020), table 2. Spearman × 100.",
        "ours: Spearman × 100, our test split.",
        "differs: Size and text.",
        "",
        "05_second",
        "=========",
        "not run yet",
        "",
        "Not run yet: 05_second. Run them with: clt run",
        "04_first did not measure: public.crop",
    ]


def test_settings_that_differ_between_rows_are_named_as_such(lessons):
    rows = [{"name": key, "paper": 1.0, "key": key} for key in ("dev.crop", "dev.mask")]
    text = yaml.safe_dump([entry("", rows=rows)], allow_unicode=True)
    (lessons / "published" / "04_first.yaml").write_text(text, encoding="utf-8")
    results.measured("04_first", "dev.mask", 0.5, steps=40, seeds=[0, 1, 2])
    assert "run with: seeds = [0, 1, 2]\nnot the same in all rows: steps\n" in report().output


def test_it_writes_markdown(lessons):
    result = report("--output", lessons / "report.md")
    assert result.exit_code == 0
    assert result.output.startswith(f"Wrote {lessons / 'report.md'}\n\nNot run yet: 05_second.")
    text = (lessons / "report.md").read_text(encoding="utf-8")
    table = "|  | paper | ours |\n|---|---|---|\n| crop \\| 10 % | 77.8 | 71 ± 1 (n = 3) |\n"
    assert text.startswith(
        "# The course's numbers beside the papers'\n\n## 04_first\n\n### What makes the second view\n"
    )
    assert table in text
    assert "- differs: Size and text.\n" in text
    assert text.endswith("## 05_second\n\nNot run yet.\n")


def test_a_complete_report_misses_nothing(lessons):
    results.measured("04_first", "public.crop", 0.6)
    results.measured("05_second", "other", 0.6)
    output = report().output
    assert "60" in output
    assert "not " not in output.lower()


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("published/05_second.yaml", "- {table: x}", "published/05_second.yaml, table 'x' should have"),
        ("results/04_first.json", "{", "04_first.json is not readable JSON"),
    ],
)
def test_a_damaged_file_is_one_line_and_exit_2(lessons, file, text, message):
    (lessons / file).write_text(text, encoding="utf-8")
    result = report()
    assert result.exit_code == 2
    assert result.output.startswith(f"Error: {message}")
    assert result.output.count("\n") == 1


def test_a_place_that_cannot_be_written_is_refused(lessons):
    result = report("--output", lessons / "nowhere" / "report.md")
    assert result.exit_code == 2
    assert "cannot write to --output" in result.output


def test_the_report_of_the_course_itself(monkeypatch, tmp_path):
    """Every published file that comes with clt can be read, and without results each lesson is called not run."""
    monkeypatch.setenv("CLT_RESULTS", str(tmp_path))
    result = report()
    assert result.exit_code == 0, result.output
    assert f"Not run yet: {', '.join(sorted(p.stem for p in results.PUBLISHED.glob('*.yaml')))}." in result.output
