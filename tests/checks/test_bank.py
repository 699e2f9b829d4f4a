"""The bank: right answers pass however they are written, each known mistake is called by its name, mutants fall."""

import functools
import time

import pytest
import torch
from mutants import mutants
from solutions import SOLUTIONS

from clt import checks

EXERCISES = checks._EXERCISES
BANK = [
    pytest.param(exercise, mistake, id=f"{name}: {mistake.wrong}")
    for name, exercise in EXERCISES.items()
    for mistake in exercise.mistakes
]
ANSWERS = [
    pytest.param(name, answer, id=f"{name}: {how}") for name in SOLUTIONS for how, answer in SOLUTIONS[name].items()
]
NAMED = (
    "triplet_loss", "margin_triplet_loss", "batch_triplet_loss", "nce_loss", "negative_sampling_loss", "info_nce_loss",
    "nt_xent_loss", "soft_nearest_neighbor_loss", "simcse_loss", "supervised_simcse_loss", "sup_con_loss",
    "label_aware_loss", "twin_loss", "alignment", "uniformity", "similarity_matrix", "positive_mask", "batch_hard_loss",
)  # fmt: skip
# Mutants that compute the same on every input, and why.
SYMMETRIC = "the matrix is symmetric: its columns are its rows"
BALANCED = "each pair of a class is counted from both ends with equal weight, so columns give the same sum as rows"
NO_ROW = "rows without a positive are dropped on the next line, whatever they were divided by"
EQUIVALENT = {
    "batch_hard_loss": {
        "line 4: dim=1 → dim=0": SYMMETRIC,
        "line 5: dim=1 → dim=0": SYMMETRIC,
    },
    "sup_con_loss": {
        "line 5: dim=1 → dim=0": BALANCED,
        "line 7: dim=1 → dim=0": SYMMETRIC,
        "line 8: dim=1 → dim=0": BALANCED,
        "line 8: count.clamp(min=1) → count": NO_ROW,
        "line 8: 1 → 0": NO_ROW,
    },
    "soft_nearest_neighbor_loss": {"line 5: dim=1 → dim=0": SYMMETRIC},
    "label_aware_loss": {"line 8: dim=1 → dim=0": SYMMETRIC},
}


def making(exercise, *wrong):
    return functools.partial(exercise.plain, wrong=frozenset(wrong))


def seconds(work) -> float:
    """Of one core; the quickest of two, because a first call also loads code."""
    took = []
    for _ in range(2):
        start = time.process_time()
        work()
        took.append(time.process_time() - start)
    return min(took)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_every_taught_function_has_a_check_with_three_right_answers():
    assert set(NAMED) == set(EXERCISES) == set(SOLUTIONS)
    assert all(len(answers) >= 3 for answers in SOLUTIONS.values())


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)
def test_the_packages_own_function_passes_and_so_does_the_plain_one(exercise):
    assert checks.check(exercise, exercise.reference).passed is True
    assert checks.check(exercise, exercise.plain).passed is True


@pytest.mark.parametrize(("name", "answer"), ANSWERS)
def test_right_answers_pass_however_they_are_written(name, answer):
    report = getattr(checks, name)(answer)
    assert report.passed is True, str(report)
    assert report.diagnosis == ""


@pytest.mark.parametrize(("exercise", "mistake"), BANK)
def test_each_mistake_is_called_by_its_name(exercise, mistake):
    report = checks.check(exercise, making(exercise, mistake.wrong))
    assert report.passed is False
    assert report.diagnosis == f"{mistake.diagnosis} {mistake.hint}"


def test_diagnoses_differ_from_one_another_and_say_something():
    for exercise in EXERCISES.values():
        told = [mistake.diagnosis for mistake in exercise.mistakes]
        assert len(set(told)) == len(told), exercise.name
        assert all(len(m.diagnosis) > 15 and len(m.hint) > 15 for m in exercise.mistakes), exercise.name


@pytest.mark.parametrize("exercise", [e for e in EXERCISES.values() if e.has_gradient], ids=lambda e: e.name)
def test_a_cut_graph_is_seen_everywhere(exercise):
    def cut(*arguments, **options):
        return exercise.reference(*(a.detach() for a in arguments), **options)

    def number(*arguments, **options):
        return exercise.reference(*arguments, **options).tolist()

    assert "no gradient flows" in checks.check(exercise, cut).diagnosis
    assert "a tensor was expected" in checks.check(exercise, number).diagnosis


STEEP = ["nce_loss", "negative_sampling_loss", "info_nce_loss", "simcse_loss", "supervised_simcse_loss", "nt_xent_loss",
         "sup_con_loss", "soft_nearest_neighbor_loss", "label_aware_loss"]  # fmt: skip


@pytest.mark.parametrize("name", STEEP)
def test_the_formula_as_it_stands_on_paper_overflows(name):
    exercise = EXERCISES[name]
    report = checks.check(exercise, making(exercise, "exp overflows"))
    assert report.passed is False
    assert "in float32" in report.diagnosis
    assert "not finite" in report.diagnosis
    assert report.details[-1][0] == "no overflow in float32"


def test_every_exercise_with_a_temperature_is_tried_in_float32_at_a_small_one():
    for exercise in EXERCISES.values():
        if any("temperature" in case.options for case in exercise.cases):
            assert any(case.options["temperature"] <= 0.01 for case in exercise.extremes), exercise.name


def test_an_epsilon_in_the_log_is_seen():
    def with_epsilon(query, positive, *, temperature):
        q, k = (torch.nn.functional.normalize(x, dim=1) for x in (query, positive))
        return -((q @ k.T / temperature).softmax(1).diagonal() + 1e-12).log().mean()

    report = checks.info_nce_loss(with_epsilon)
    assert report.passed is False
    assert "epsilon" in report.diagnosis


@pytest.mark.slow
@pytest.mark.parametrize("name", EXERCISES)
def test_mutants_of_a_right_answer_fall(name, record_property):
    """All of them: those that survive compute the same, which EQUIVALENT explains."""
    drawn, survivors = 0, []
    for what, mutant in mutants(SOLUTIONS[name]["plain"]):
        report = getattr(checks, name)(mutant)
        drawn += 1
        if report.passed is not False:
            survivors.append(what)
        else:
            assert report.diagnosis, what
    record_property("mutants", f"{drawn - len(survivors)} of {drawn} rejected")
    assert drawn >= 6
    assert set(survivors) == set(EQUIVALENT.get(name, {}))


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)
def test_a_check_takes_less_than_a_second(exercise):
    unknown = lambda *arguments, **options: exercise.reference(*arguments, **options) * 1.01  # the whole bank is tried
    assert seconds(lambda: checks.check(exercise, exercise.reference)) < 1
    assert seconds(lambda: checks.check(exercise, unknown)) < 1


PAIRS = [
    ("info_nce_loss", "temperature missing", "sum"),
    ("nt_xent_loss", "not normalised", "itself below"),
    ("sup_con_loss", "temperature multiplied", "positives summed"),
    ("triplet_loss", "not squared", "sum"),
    ("twin_loss", "margin missing", "exponential missing"),
]


@pytest.mark.parametrize(("name", "one", "other"), PAIRS)
def test_two_mistakes_at_once_are_both_named(name, one, other):
    exercise = EXERCISES[name]
    report = checks.check(exercise, making(exercise, one, other))
    assert report.diagnosis.startswith("Two mistakes at once.")
    told = {m.wrong: m.diagnosis for m in exercise.mistakes}
    assert told[one] in report.diagnosis
    assert told[other] in report.diagnosis
