"""The bank: right answers pass however they are written, each known mistake is called by its name, mutants fall."""

import functools
import time

import pytest
import torch
import torch.nn.functional as F
from mutants import mutants
from solutions import SOLUTIONS

from clt import checks

EXERCISES = checks._EXERCISES
BANK = [
    pytest.param(exercise, mistake, id=f"{name}: {mistake.wrong}")
    for name, exercise in EXERCISES.items()
    for mistake in exercise.mistakes
]
LOSSES = [e for e in EXERCISES.values() if isinstance(e, checks.Loss) and e.has_gradient]
ANSWERS = [
    pytest.param(name, answer, id=f"{name}: {how}") for name in SOLUTIONS for how, answer in SOLUTIONS[name].items()
]
# Mutants that compute the same on every input, and why.
SYMMETRIC = "the matrix is symmetric: its columns are its rows"
BALANCED = "each pair of a class is counted from both ends with equal weight, so columns give the same sum as rows"
NO_ROW = "rows without a positive are dropped on the next line, whatever they were divided by"
WEIGHTS = "multinomial takes weights: whatever they are divided by, the shares are the same"
EQUIVALENT = {
    "mask_tokens": dict.fromkeys(
        (
            "line 2: torch.rand(ids.shape, generator=generator) < rate → "
            "torch.rand(ids.shape, generator=generator) <= rate",
            "line 5: fate < 0.8 → fate <= 0.8",
        ),
        "no draw is exactly the rate",
    ),
    "feature_cutoff": {
        "line 3: draw.argsort(dim=2).argsort(dim=2) → draw.argsort(dim=2)": "the order of random numbers is as random",
    },
    "semi_hard_mining": {
        "line 5: (labels != labels[a]).nonzero().flatten() → (labels != labels[a]).nonzero()": "int() takes both",
        "line 11: torch.tensor(triplets) → triplets": "a list of rows is as good",
    },
    "row_at_perplexity": dict.fromkeys(
        (
            "line 2: 1.0 → 2.0",
            "line 3: 100 → 200",
            "line 3: 100 → 101",
            "line 10: 2 → 3",
            "line 10: 2 → 4",
            "line 6: entropy > math.log(perplexity) → entropy >= math.log(perplexity)",
        ),
        "a search may start anywhere, go on for longer, and take other strides",
    ),
    "csls": {"line 3: True → False": "a row is set below each row, with or without it"},
    "bm25": {
        "line 4: counts.sum(dim=1, keepdim=True) → counts.mean(dim=1, keepdim=True)": "its ratio to the mean counts",
    },
    "borda": {"line 3: 1 → 0": "who ties with whom is symmetric"},
    "zero_shot": {
        "line 2: F.normalize(prompts, dim=2).mean(dim=1) → F.normalize(prompts, dim=2).sum(dim=1)": "it is normalised",
    },
    "two_pass_backward": {
        "line 11: True → False": "there are as many states and gradients as chunks",
        "line 14: value.detach() → value": "the loss may keep its graph",
    },
    "training_step": {"line 6: loss.detach() → loss": "the loss may keep its graph"},
    "negative_sampler": {
        "line 2: counts.double() → counts": "a power of integers is a tensor of float32",
        "line 3: weight / weight.sum() → weight * weight.sum()": WEIGHTS,
        "line 3: weight / weight.sum() → weight": WEIGHTS,
        "line 3: weight.sum() → weight.mean()": WEIGHTS,
    },
    "label_pairs": dict.fromkeys(
        ("line 9: (labels[pairs[:, 0]] == labels[pairs[:, 1]]).float() → labels[pairs[:, 0]] == labels[pairs[:, 1]]",),
        "True and False are 1 and 0",
    ),
    "labels_needed": {"line 4: 1 → 0": "the first score has been found to be too low"},
    "nt_xent_split": {"line 7: dim=1 → dim=0": SYMMETRIC},
    "debiased_loss": {"line 8: 1 → 0": SYMMETRIC},
    "batch_hard_loss": {
        "line 4: dim=1 → dim=0": SYMMETRIC,
        "line 5: dim=1 → dim=0": SYMMETRIC,
    },
    "sup_con_loss": {
        "line 5: dim=1 → dim=0": BALANCED,
        "line 5: True → False": BALANCED,
        "line 7: dim=1 → dim=0": SYMMETRIC,
        "line 8: dim=1 → dim=0": BALANCED,
        "line 8: count.clamp(min=1) → count": NO_ROW,
        "line 8: 1 → 0": NO_ROW,
    },
    "quick_thoughts_loss": {
        "line 7: dim=1 → dim=0": "neighbours are so mutually",
        "line 8: dim=1 → dim=0": "neighbours are so mutually",
    },
    "soft_nearest_neighbor_loss": {"line 5: dim=1 → dim=0": SYMMETRIC},
    "label_aware_loss": {"line 8: dim=1 → dim=0": SYMMETRIC},
}


def making(exercise, *wrong):
    return exercise.making(*(m for m in exercise.mistakes if m.wrong in wrong))


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


def test_every_exercise_has_three_right_answers_and_three_mistakes():
    assert set(EXERCISES) == set(SOLUTIONS)
    assert not [name for name, answers in SOLUTIONS.items() if len(answers) < 3]
    assert not [name for name, exercise in EXERCISES.items() if len(exercise.mistakes) < 3]
    kinds = {type(exercise) for exercise in EXERCISES.values()}
    assert kinds == {checks.Loss, checks.Algorithm, checks.Derivation, checks.Experiment}


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)
def test_the_packages_own_function_passes_and_so_does_the_plain_one(exercise):
    assert checks.check(exercise, exercise.reference).passed is True
    if not isinstance(exercise, checks.Experiment):
        assert checks.check(exercise, exercise.making()).passed is True


@pytest.mark.parametrize(("name", "answer"), ANSWERS)
def test_right_answers_pass_however_they_are_written(name, answer):
    report = getattr(checks, name)(answer)
    assert report.passed is True, str(report)
    assert report.diagnosis == ""


@pytest.mark.parametrize(("exercise", "mistake"), BANK)
def test_each_mistake_is_called_by_its_name(exercise, mistake):
    report = checks.check(exercise, exercise.making(mistake))
    assert report.passed is False
    assert report.diagnosis == f"{mistake.diagnosis} {mistake.hint}"
    assert report.details[-1][1] is False, "and the numbers stand beside it"


def test_diagnoses_differ_from_one_another_and_say_something():
    for exercise in EXERCISES.values():
        told = [mistake.told for mistake in exercise.mistakes]
        assert len(set(told)) == len(told), exercise.name
        assert all(len(m.diagnosis) > 15 and len(m.hint) > 15 for m in exercise.mistakes), exercise.name


@pytest.mark.parametrize("exercise", LOSSES, ids=lambda e: e.name)
def test_a_cut_graph_is_seen_everywhere(exercise):
    def apart(argument):
        return argument.detach() if isinstance(argument, torch.Tensor) else argument

    def cut(*arguments, **options):
        return exercise.reference(*map(apart, arguments), **options)  # a tensor, or several

    def number(*arguments, **options):
        found = exercise.reference(*arguments, **options)
        return found.tolist() if isinstance(found, torch.Tensor) else [part.item() for part in found]

    assert "no gradient flows" in checks.check(exercise, cut).diagnosis
    assert "a tensor was expected" in checks.check(exercise, number).diagnosis


STEEP = ["nce_loss", "negative_sampling_loss", "info_nce_loss", "simcse_loss", "supervised_simcse_loss", "nt_xent_loss",
         "sup_con_loss", "soft_nearest_neighbor_loss", "label_aware_loss", "symmetric_info_nce", "weighted_info_nce",
         "nt_xent_split"]  # fmt: skip


@pytest.mark.parametrize("name", STEEP)
def test_the_formula_as_it_stands_on_paper_overflows(name):
    exercise = EXERCISES[name]
    report = checks.check(exercise, functools.partial(exercise.plain, wrong=frozenset({"exp overflows"})))
    assert report.passed is False
    assert "in float32" in report.diagnosis
    assert "not finite" in report.diagnosis
    assert report.details[-1][0] == "no overflow in float32"


ON_PAPER = {"debiased_loss"}  # written as the formula stands; the lesson then shows where that overflows


def test_every_exercise_with_a_temperature_is_tried_in_float32_at_a_small_one():
    for exercise in LOSSES:
        if exercise.name not in ON_PAPER and any("temperature" in case.options for case in exercise.cases):
            assert any(case.options["temperature"] <= 0.01 for case in exercise.extremes), exercise.name


def test_an_epsilon_in_the_log_is_seen():
    def with_epsilon(query, positive, *, temperature):
        q, k = (F.normalize(x, dim=1) for x in (query, positive))
        return -((q @ k.T / temperature).softmax(1).diagonal() + 1e-12).log().mean()

    report = checks.info_nce_loss(with_epsilon)
    assert report.passed is False
    assert "epsilon" in report.diagnosis


# Of an experiment many answers are right, and what is changed a little may be one of them.
MUTATED = [n for n, e in EXERCISES.items() if callable(SOLUTIONS[n]["plain"]) and not isinstance(e, checks.Experiment)]


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTATED)
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
    assert drawn >= (2 if isinstance(EXERCISES[name], checks.Derivation) else 6)
    assert set(survivors) == set(EQUIVALENT.get(name, {}))


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)
def test_a_check_takes_less_than_a_second_and_an_experiments_less_than_five(exercise):
    limit = 5 if isinstance(exercise, checks.Experiment) else 1
    assert seconds(lambda: checks.check(exercise, exercise.reference)) < limit
    if isinstance(exercise, checks.Loss):  # the whole bank is tried, and all pairs of it
        unknown = lambda *arguments, **options: 1.01 * torch.stack([*exercise.reference(*arguments, **options)])
        unknown = unknown if exercise.name == "nt_xent_split" else lambda *a, **o: exercise.reference(*a, **o) * 1.01
        assert seconds(lambda: checks.check(exercise, unknown)) < limit
    for mistake in exercise.mistakes[-2:]:
        assert seconds(lambda m=mistake: checks.check(exercise, exercise.making(m))) < limit


PAIRS = [
    ("info_nce_loss", "temperature missing", "sum"),
    ("nt_xent_loss", "not normalised", "itself below"),
    ("sup_con_loss", "temperature multiplied", "positives summed"),
    ("triplet_loss", "not squared", "sum"),
    ("twin_loss", "margin missing", "exponential missing"),
    ("training_step", "zeroed by nobody", "loss after"),
    ("negative_sampler", "as frequent", "counted from 1"),
    ("hippocampus_queue", "linear", "never full"),
    ("crop_view", "rounded down", "first words"),
]


@pytest.mark.parametrize(("name", "one", "other"), PAIRS)
def test_two_mistakes_at_once_are_both_named(name, one, other):
    exercise = EXERCISES[name]
    report = checks.check(exercise, making(exercise, one, other))
    assert report.diagnosis.startswith("Two mistakes at once.")
    told = {m.wrong: m.diagnosis for m in exercise.mistakes}
    assert told[one] in report.diagnosis
    assert told[other] in report.diagnosis


NAMED = [  # what tools and students most often get wrong: these are known by value alone
    ("triplet_loss", lambda a, p, n, margin: F.relu((a - p).square().sum(1) - (a - n).square().sum(1) + 1).mean(),
     "The margin is fixed at 1."),
    ("info_nce_loss",
     lambda q, k, temperature: F.cross_entropy(
         (F.normalize(q) @ F.normalize(k).T).softmax(1) / temperature, torch.arange(len(q))),
     "The softmax is applied before the temperature"),
    ("supervised_simcse_loss",
     lambda a, p, n, temperature: F.cross_entropy(
         torch.cat([cosines(a, p) / temperature, cosines(a, n)], 1), torch.arange(len(a))),
     "with the hard negatives are not divided by the temperature"),
    ("supervised_simcse_loss",
     lambda a, p, n, temperature: F.cross_entropy(
         torch.cat([cosines(a, p), cosines(p, n)], 1) / temperature, torch.arange(len(a))),
     "The hard negatives are compared with the positives."),
    ("label_aware_loss", lambda x, y, c, temperature: weighted(x, y, c, temperature), "The weights are raw logits."),
    ("label_aware_loss", lambda x, y, c, temperature: weighted(x, y, c.exp(), temperature),
     "The logits are taken for logarithms of weights."),
]  # fmt: skip


def cosines(x, y):
    return F.normalize(x) @ F.normalize(y).T


def weighted(x, y, w, temperature):
    """The label-aware loss with whatever weights it is given."""
    e, itself = (cosines(x, x) / temperature).exp(), torch.eye(len(x), dtype=torch.bool)
    below = (w[:, y] * e).masked_fill(itself, 0).sum(1, keepdim=True)
    positive = (y[:, None] == y) & ~itself
    mean = -(e / below).log().masked_fill(~positive, 0).sum(1) / positive.sum(1).clamp_min(1)
    return (w[torch.arange(len(y)), y] * mean)[positive.any(1)].mean()


@pytest.mark.parametrize(("name", "answer", "diagnosis"), NAMED)
def test_the_mistakes_most_often_seen_are_named_as_students_write_them(name, answer, diagnosis):
    report = getattr(checks, name)(answer)
    assert report.passed is False
    assert diagnosis in report.diagnosis, str(report)
