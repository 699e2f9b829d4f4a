"""Which statements a check needs, and exercises of any kind: a value, an experiment, several objects."""

import ast
import sys
from types import SimpleNamespace

import pytest
from IPython.core.interactiveshell import InteractiveShell

from clt.checks import Report
from clt.command.answers import Answers
from clt.command.judge import make_shell
from clt.command.statements import read_program

NAMES = {"collapse", "slope", "share"}


def program(*cells: str | tuple[str, str]):
    """Of cells, each a source or ``(tag, source)``."""
    tagged = [({cell[0]}, cell[1]) if isinstance(cell, tuple) else (set(), cell) for cell in cells]
    return read_program(tagged, NAMES, lambda source, number: (ast.parse(source), f"<{number}>"))


def needed(*cells: str, exercise: str = "slope") -> list[str]:
    made = program(*cells)
    return [ast.unparse(made.statements[i].node) for i in made.needed(made.calls(exercise))]


@pytest.mark.parametrize(
    ("cells", "left_out"),
    [
        (["import math", "x = 1", "y = 2", "checks.slope(x)"], ["import math", "y = 2"]),
        (["x = 1", "x = 2", "checks.slope(x)", "x = 3"], ["x = 1", "x = 3"]),
        (["x = 1", "x += 1", "checks.slope(x)"], []),
        (["x = 1", "if x:\n    x = 2", "checks.slope(x)"], []),
        (["x = []", "x.append(1)", "print(x)", "shuffle(x)", "checks.slope(x)", "x.pop()"], ["print(x)", "x.pop()"]),
        (["x = {}", "x['a'] = 1", "x.b = 2", "y['a'] = 1", "checks.slope(x)"], ["y['a'] = 1"]),
        (["x = []", "for i in n:\n    x.append(i)", "n = 3", "checks.slope(x)"], []),
        (["a = 1", "def f(x):\n    a = 2\n    return a", "checks.slope(f)"], ["a = 1"]),
        (["def f(x):\n    return a + g(x)", "a = 1", "def g(x):\n    return b", "b = 3", "checks.slope(f)"], []),
        (["a = 1", "f = lambda x: [a for b in x]", "b = 2", "checks.slope(f)"], ["b = 2"]),
        (["import torch", "torch.manual_seed(0)", "torch.set_grad_enabled(False)", "checks.slope(torch.rand(1))"],
         ["torch.set_grad_enabled(False)"]),
        (["def f():\n    pass", "train(model, f)", "checks.slope(f)"], ["train(model, f)"]),
        (["checks.share(a)", "a = 1", "checks.slope(a)"], ["checks.share(a)"]),
        (["checks.slope(a)", "a = 1", "b = 1"], ["b = 1"]),
        (["from math import *", "checks.slope(pi)", "from os import *"], ["from os import *"]),
    ],
)  # fmt: skip
def test_what_a_check_needs(cells, left_out):
    assert needed(*cells) == [cell for cell in cells if cell not in left_out]


def test_a_solution_is_reached_by_a_choice_alone():
    stub, solution = ("exercise", "x = None\nchecks.slope(x)"), ("solution", "x_solution = 1")
    choice = "x = checks.choose(x, x_solution)"
    assert needed("x = None", solution, "checks.slope(x_solution)") == ["checks.slope(x_solution)"]
    assert needed(stub, solution, choice, "checks.share(x + 1)", exercise="share") == [
        "x_solution = 1", "x = checks.choose(None, x_solution)", "checks.share(x + 1)",
    ]  # fmt: skip
    assert "x = None" in needed(stub, choice, "checks.share(x)", exercise="share"), "no solution, no choice"
    old = program(stub, ("solution", "x = 1\nchecks.slope(x)"))
    assert [ast.unparse(s.node) for s in old.statements] == ["x = None", "checks.slope(x)"]


def test_exercises_are_found_with_and_without_their_tag():
    assert list(program(("exercise", "def slope():\n    pass"), "checks.share(1)", "collapse = 1").exercises) == [
        "slope", "share",
    ]  # fmt: skip
    broken = program("checks.slope(1", ("exercise", "def collapse(:"), ("solution", "checks.share(1"))
    assert set(broken.broken) == set(broken.exercises) == {"slope", "collapse"}


@pytest.fixture
def answers(monkeypatch):
    """Makes answers of cells, with checks of values, of several objects, and of a function."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    checks = SimpleNamespace(
        _EXERCISES=dict.fromkeys(NAMES),
        Report=Report,
        slope=lambda value: Report("slope", None if value in (None, ...) else abs(value - 2) < 1e-6, "Not 2."),
        share=lambda part, *, of: Report("share", part / of == 0.5, "Not half."),
        collapse=lambda temperature, found: Report("collapse", found["spread"] < 0.1, f"At {temperature} it holds."),
    )
    shell = make_shell()
    yield lambda *cells: Answers(program(*cells), shell, checks, SimpleNamespace())
    InteractiveShell.clear_instance()


def last(answers: Answers, name: str) -> tuple:
    *_, grade = answers.grade(name)
    return grade.points, grade.status


def test_a_derivation_is_answered_with_a_value(answers):
    asked = "checks.slope({})"
    assert last(answers(asked.format("4 / 2")), "slope") == (1, "passed")
    assert last(answers("a = 2", "b = a ** 2", asked.format("b - a")), "slope") == (1, "passed")
    assert last(answers(asked.format("3")), "slope") == (0, "wrong")
    assert last(answers("answer = None", asked.format("answer")), "slope") == (0, "not attempted")
    assert last(answers("answer = None", asked.format("answer"), "answer = 2\n" + asked.format("answer")), "slope")[0]
    assert last(answers(asked.format("1 / 0")), "slope") == (0, "crashed")


def test_an_experiment_brings_what_it_found(answers):
    data = "points = list(range(10))"
    trial = "def train(t):\n    found['spread'] = t * max(points)\nfound = {}"
    check = "checks.collapse(t, found)"
    assert last(answers(data, trial, "t = 0.01\ntrain(t)\n" + check), "collapse") == (1, "passed")
    assert last(answers(data, trial, "t = 1\ntrain(t)\n" + check), "collapse") == (0, "wrong")
    assert last(answers(data, trial, "for t in (1, 0.001):\n    train(t)\n    " + check), "collapse") == (1, "passed")


def test_a_value_may_stand_below_its_stub(answers):
    stub, choice = ("exercise", "slope = ...\nchecks.slope(None)"), "slope = checks.choose(slope, slope_solution)"
    solution, again = ("solution", "slope_solution = 2"), "checks.slope(slope)"
    assert last(answers(stub, "slope = 2"), "slope") == (1, "passed")
    assert last(answers(stub, solution, choice), "slope") == (0, "not attempted")
    assert last(answers(stub, solution, choice, again), "slope") == (0, "not attempted")
    assert last(answers(stub, solution, choice, "slope = 2", again), "slope") == (1, "passed")


def test_several_objects_some_by_name(answers):
    assert last(answers("n = 4", "checks.share(n / 2, of=n)"), "share") == (1, "passed")


def test_a_choice_gives_later_exercises_the_solution_and_this_one_nothing(answers):
    stub, solution = ("exercise", "x = 3\nchecks.slope(x)"), ("solution", "x_solution = 2")
    made = answers(stub, solution, "x = checks.choose(x, x_solution)", ("exercise", "checks.share(x - 1, of=2)"))
    assert last(made, "slope") == (0, "wrong")
    assert last(made, "share") == (1, "passed")
