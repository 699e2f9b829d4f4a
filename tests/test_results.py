import json

import pytest

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
    results.record("lesson", "a.b", [1.0, 2.0, 3.0], steps=10)
    results.record("lesson", "c", 4.0)
    results.record("lesson", "c", 5.0)
    found = results.read("lesson")
    assert found["a.b"] == {"mean": 2.0, "values": [1.0, 2.0, 3.0], "setting": {"steps": 10}, "sd": 1.0}
    assert found["c"]["mean"] == 5.0
    assert [path.name for path in folder.iterdir()] == ["lesson.json"], "no scratch file is left"
    assert results.read("another") == {}


def test_what_was_not_measured_is_not_recorded(folder):
    for nothing in (float("nan"), [1.0, float("inf")], []):
        with pytest.raises(ValueError, match="finite"):
            results.record("lesson", "key", nothing)
    with pytest.raises(TypeError):
        results.record("lesson", "key", 1.0, setting=object())
    assert results.read("lesson") == {}


def test_a_write_that_fails_keeps_the_old_file(folder, monkeypatch):
    results.record("lesson", "key", 1.0)
    monkeypatch.setattr(json, "dump", lambda *a, **k: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        results.record("lesson", "key", 2.0)
    monkeypatch.undo()
    assert json.loads((folder / "lesson.json").read_text())["key"]["mean"] == 1.0


def test_a_damaged_file_is_named(folder):
    folder.mkdir()
    (folder / "lesson.json").write_text('{"key": ')
    with pytest.raises(ValueError, match=r"lesson\.json is not readable"):
        results.read("lesson")
