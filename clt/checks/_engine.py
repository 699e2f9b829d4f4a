"""``check``: one exercise, one answer, one report; and nothing that a student does gets out of it."""

import contextlib
import os
import random

import numpy as np
import torch

from clt.checks._exercise import Exercise, NotAttempted
from clt.checks._progress import remember
from clt.checks._report import NO_ANSWER, NOT_ATTEMPTED, Report


def check(exercise: Exercise, answer) -> Report:
    """Hold an answer against an exercise. Never raises, unless ``CLT_STRICT=1`` asks for it."""
    with _undisturbed():
        try:
            report = _examined(exercise, answer)
        except NotAttempted:
            report = Report(exercise.name, None, NOT_ATTEMPTED if callable(exercise.reference) else NO_ANSWER)
        except Exception as error:  # a result of a kind that nobody thought of
            report = Report(exercise.name, False, f"The result cannot be judged: {type(error).__name__}: {error}")
    remember(exercise.name, answer, report.passed)
    if os.environ.get("CLT_STRICT") == "1" and report.passed is not True:
        raise AssertionError(str(report))
    return report


def _examined(exercise: Exercise, answer) -> Report:
    if answer is None or answer is ...:
        raise NotAttempted
    details = []
    for finding in exercise.examine(answer):
        details.append((finding.what, not finding.problem, finding.problem))
        if finding.problem:
            return Report(exercise.name, False, finding.diagnosis or finding.problem, details)
    return Report(exercise.name, True, "", details)


@contextlib.contextmanager
def _undisturbed():
    """The same answer gets the same report wherever the check stands, and what comes after it notices nothing.

    That is: seeded, with gradients, in full precision; the notebook's random states are put back afterwards.
    """
    states = torch.random.get_rng_state(), random.getstate(), np.random.get_state()  # noqa: NPY002
    torch.default_generator.manual_seed(0)
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(torch.inference_mode(False))
            stack.enter_context(torch.enable_grad())
            for device in devices:
                stack.enter_context(torch.autocast(device, enabled=False))
            yield
    finally:
        torch.random.set_rng_state(states[0])
        random.setstate(states[1])
        np.random.set_state(states[2])  # noqa: NPY002
