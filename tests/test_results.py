import json

import pytest
import yaml

from clt import results


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
    assert results.spread([0.9, 0.95, 1.0]) == "0.95 ± 0.05 (n = 3)"
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


def test_a_write_that_fails_keeps_the_old_file(folder, monkeypatch):
    results.measured("lesson", "key", 1.0)
    monkeypatch.setattr(json, "dump", lambda *a, **k: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        results.measured("lesson", "key", 2.0)
    monkeypatch.undo()
    assert json.loads((folder / "lesson.json").read_text())["key"]["mean"] == 1.0


def test_a_damaged_file_is_named(folder):
    folder.mkdir()
    (folder / "lesson.json").write_text('{"key": ')
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
    monkeypatch.setattr(results, "PUBLISHED", tmp_path)

    def write(**changes):
        text = yaml.safe_dump([entry | changes], allow_unicode=True)
        (tmp_path / "04_lesson.yaml").write_text(text, encoding="utf-8")

    write()
    return entry, write


def test_beside_paper(one_table, capsys):
    results.measured("04_lesson", "sts.before", 0.5)
    results.measured("04_lesson", "sts.after", [0.7, 0.71, 0.72], seeds=[0, 1, 2])
    results.measured("04_lesson", "sts.extra", [0.71234])
    results.beside_paper("04_lesson", "sts")
    assert capsys.readouterr().out.splitlines() == [
        "method",
        "",
        "           paper       ours",
        "---------  ----------  --------------",
        "before     56.70       50",
        "after      76.25       71 ± 1 (n = 3)",
        "another's  74.9 ± 0.2  -",
        "only ours  -           71.2",
        "",
        "paper: A. Author (2020), table 2. Spearman × 100.",
        "ours: Spearman × 100 on our test split.",
        "differs: Size.",
    ]


def test_what_was_not_recorded_is_not_set_beside_a_paper(one_table):
    results.measured("04_lesson", "sts.before", 0.5)
    with pytest.raises(ValueError, match=r"not recorded 'sts.after', 'sts.extra'; recorded are 'sts.before'"):
        results.beside_paper("04_lesson", "sts")


def test_an_unknown_lesson_or_table_is_named(one_table):
    with pytest.raises(ValueError, match=r"no published tables for '99_nothing'; there are for 04_lesson"):
        results.published("99_nothing")
    with pytest.raises(ValueError, match=r"no published table 'nli'; it has 'sts'"):
        results.beside_paper("04_lesson", "nli")


def test_the_scale_is_one_unless_given(one_table):
    entry, _ = one_table
    assert results.published("04_lesson") == [entry]
    plain = {name: value for name, value in entry.items() if name != "scale"}
    (results.PUBLISHED / "04_lesson.yaml").write_text(yaml.safe_dump([plain]), encoding="utf-8")
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


@pytest.mark.parametrize(("text", "message"), [("a: [", "not readable YAML"), ("", "list"), ("- 1", "list")])
def test_a_published_file_that_is_no_list_of_tables_is_refused(one_table, text, message):
    (results.PUBLISHED / "04_lesson.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        results.published("04_lesson")


def test_two_tables_of_one_key_are_refused(one_table):
    (results.PUBLISHED / "04_lesson.yaml").write_text(yaml.safe_dump([one_table[0]] * 2), encoding="utf-8")
    with pytest.raises(ValueError, match="two tables of one key"):
        results.published("04_lesson")


LESSONS = sorted(path.stem for path in results.PUBLISHED.glob("*.yaml"))


@pytest.mark.parametrize("lesson", LESSONS)
def test_the_published_tables_of_the_course_are_well_formed(lesson, root):
    """They belong to a notebook, which shows them; and some number of ours stands beside one of the paper's."""
    notebook = (root / "notebooks" / f"{lesson}.ipynb").read_text(encoding="utf-8")
    entries = results.published(lesson)
    assert any(row["key"] and row["paper"] is not None for entry in entries for row in entry["rows"])
    assert "results.beside_paper(" in notebook
    for entry in entries:
        assert len({row["name"] for row in entry["rows"]}) == len(entry["rows"]), entry["table"]
        assert len({row["key"] for row in entry["rows"] if row["key"]}) == sum(
            bool(row["key"]) for row in entry["rows"]
        )
