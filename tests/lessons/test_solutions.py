"""The solution of every exercise passes the check that stands below its stub."""

import kit
import pytest

from clt import checks

ASKED = [(stem, check, name) for stem in kit.STEMS for check, name in kit.exercises(stem)]


def test_every_lesson_asks_something():
    assert {stem for stem, _, _ in ASKED} == set(kit.STEMS)


@pytest.mark.parametrize(("stem", "check", "name"), ASKED, ids=[f"{stem[:2]}-{name}" for stem, _, name in ASKED])
def test_solution(stem, check, name):
    space = kit.lesson(stem)
    assert name in space, f"{stem} has no solution for {name}"
    report = getattr(checks, check)(space[name])
    assert report.passed is True, str(report)
