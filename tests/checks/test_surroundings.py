"""A check says the same wherever it stands, leaves no trace, and knows a stub when it sees one."""

import contextlib
import random

import numpy as np
import pytest
import torch
from solutions import SOLUTIONS

from clt import checks, training

EXERCISES = checks._EXERCISES
triplet_loss = SOLUTIONS["triplet_loss"]["plain"]


def raises_not_implemented(*args, **options):
    raise NotImplementedError


def fills_in_nothing(*args, **options):
    loss = ...  # your code here
    return loss


class Unwritten:
    """The stub of a class: it is made, and then nothing works."""

    def __init__(self, *args, **options):
        pass

    def push(self, *args):
        raise NotImplementedError

    negatives = weights = push


FUNCTIONS = [name for name, exercise in EXERCISES.items() if callable(exercise.reference)]
STUBS = [raises_not_implemented, fills_in_nothing, lambda *a, **o: ..., None, ...]


@pytest.mark.parametrize("stub", STUBS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_untouched_stub_is_not_a_mistake(name, stub):
    report = getattr(checks, name)(Unwritten if name == "hippocampus_queue" and stub is fills_in_nothing else stub)
    assert report.passed is None
    assert str(report) == (
        f"{name}: not attempted. Replace the last line of the function by your own code and run it again."
    )


@pytest.mark.parametrize("name", sorted(set(EXERCISES) - set(FUNCTIONS)))
def test_the_stub_of_a_value_is_dots(name):
    for stub in (..., None):
        report = getattr(checks, name)(stub)
        assert report.passed is None
        assert str(report) == f"{name}: not attempted. Put your answer in the place of the dots and run it again."


def test_the_random_states_of_the_notebook_stay():
    def noisy(a, p, n, margin):
        chance = torch.rand(()) + random.random() + float(np.random.rand())  # noqa: NPY002
        return triplet_loss(a, p, n, margin=margin) + chance

    def drawn():
        return torch.rand(3).tolist(), random.random(), np.random.rand(3).tolist()  # noqa: NPY002

    training.seed_everything(7)
    expected = drawn()
    training.seed_everything(7)
    one = checks.triplet_loss(noisy)
    assert drawn() == expected
    assert str(one) == str(checks.triplet_loss(noisy))


def left_off():
    """What a cell further up may have left behind."""

    @contextlib.contextmanager
    def switched():
        torch.set_grad_enabled(False)
        try:
            yield
        finally:
            torch.set_grad_enabled(True)

    return switched()


SURROUNDINGS = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "set_grad_enabled(False)": left_off,
}


@pytest.mark.parametrize("around", SURROUNDINGS.values(), ids=SURROUNDINGS)
@pytest.mark.parametrize("name", EXERCISES)
def test_a_right_answer_passes_wherever_its_check_stands(name, around):
    answer = SOLUTIONS[name]["plain"]
    expected = str(getattr(checks, name)(answer))
    with around():
        grad, inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        report = getattr(checks, name)(answer)
        assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == (grad, inference)
    assert report.passed is True, str(report)
    assert str(report) == expected
