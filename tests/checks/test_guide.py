"""The guide for instructors: what it shows is what happens."""

import json
import re

import pytest

from clt import checks, results

EXERCISES = checks._EXERCISES


@pytest.fixture
def guide(root) -> str:
    return (root / "clt" / "checks" / "README.md").read_text(encoding="utf-8")


def shown(guide: str, heading: str, language: str = "python") -> str:
    return re.search(rf"### {heading}.*?```{language}\n(.*?)```", guide, re.S)[1]


KINDS = {"A loss": "SQUARED_DISTANCE", "An algorithm": "SHUFFLE", "A derivation": "PERPLEXITY"}


@pytest.mark.parametrize("heading", KINDS)
def test_an_exercise_of_each_kind_works_as_it_is_shown(guide, heading, capsys):
    space: dict = {}
    exec(shown(guide, heading), space)
    assert capsys.readouterr().out == shown(guide, heading, "text")
    exercise = space[KINDS[heading]]
    assert checks.check(exercise, exercise.reference).passed is True
    for mistake in exercise.mistakes:
        assert checks.check(exercise, exercise.making(mistake)).diagnosis == mistake.told


def test_an_experiment_is_judged_by_the_record_as_it_is_shown(guide, tmp_path, monkeypatch, capsys):
    values = {"wide.uniformity": [-3.1, -3.0, -3.2], "narrow.uniformity": [-1.0, -1.2, -1.1]}
    found = {k: {"values": v, "mean": sum(v) / 3, "setting": {"seeds": [0, 1, 2]}} for k, v in values.items()}
    (tmp_path / "04_simcse.json").write_text(json.dumps({"found": found, "made": {}}), encoding="utf-8")
    monkeypatch.setattr("clt.results.records.RECORDED", tmp_path)
    space: dict = {}
    exec(shown(guide, "An experiment"), space)
    assert capsys.readouterr().out == shown(guide, "An experiment", "text")
    exercise = space["MORE_UNIFORM"]
    assert checks.check(exercise, exercise.reference).passed is True
    for mistake in exercise.mistakes:
        assert checks.check(exercise, exercise.making(mistake)).diagnosis == mistake.told


def test_a_record_that_is_not_there_is_told_with_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr("clt.results.records.RECORDED", tmp_path)

    def judge(answer):
        yield "it is in the record", "" if answer in results.recorded("04_simcse") else "It is not."

    report = checks.check(checks.Experiment(name="any", reference="key", judge=judge), "key")
    assert report.passed is False
    assert "clt record 04_simcse" in report.diagnosis


def test_the_guide_shows_a_report_as_it_is(guide):
    shown = re.search(r"## Read a report\n\n```\n(.*?)\n```", guide, re.S)[1]
    exercise = EXERCISES["info_nce_loss"]
    wrong = next(m for m in exercise.mistakes if m.wrong == "temperature multiplied")
    assert str(checks.info_nce_loss(exercise.making(wrong))) == shown
