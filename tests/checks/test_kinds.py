"""Algorithms, derivations and experiments: what their checks see, and what they let pass."""

import random

import pytest
import torch
from right import algorithms
from solutions import SOLUTIONS

from clt import checks, losses
from clt.checks import Counts, labs, sampling

EXERCISES = checks._EXERCISES


def drawn(weights: list[float], n: int, seed: int) -> Counts:
    return Counts(random.Random(seed).choices(range(len(weights)), weights, k=n))


def test_counts_of_one_distribution_are_alike_on_every_seed_and_those_of_another_are_not():
    weights = [31.6, 12.8, 5.6, 2.3]
    expected = drawn(weights, 20_000, 1000)
    for seed in range(300):
        assert drawn(weights, 20_000, seed).explained(expected), seed
        assert not drawn([w**1.2 for w in weights], 20_000, seed).explained(expected), seed


def test_counts_tell_the_outcome_that_is_most_off():
    assert drawn([1, 3], 4000, 0).told(drawn([1, 1], 4000, 1)).startswith("0 came ")
    assert Counts("aaa").explained(Counts("aa"))
    assert not Counts("a" * 99).explained(Counts("b" * 99))


@pytest.mark.slow
@pytest.mark.parametrize("how", SOLUTIONS["negative_sampler"])
def test_a_right_sampler_passes_on_every_seed(how, monkeypatch):
    monkeypatch.setattr(sampling, "DRAWS", 5000)
    answer = SOLUTIONS["negative_sampler"][how]
    for seed in range(100):

        def elsewhere(counts, n, generator, power, seed=seed):
            return answer(counts, n, generator.manual_seed(generator.initial_seed() + 1000 * seed), power=power)

        report = checks.negative_sampler(elsewhere)
        assert report.passed is True, f"{seed}: {report}"


@pytest.mark.slow
@pytest.mark.parametrize("how", SOLUTIONS["crop_view"])
def test_a_right_crop_passes_on_every_seed(how):
    answer = SOLUTIONS["crop_view"][how]
    for seed in range(30):
        other = lambda words, rng, keep, seed=seed: answer(words, random.Random(f"{seed} {rng.random()}"), keep=keep)
        report = checks.crop_view(other)
        assert report.passed is True, f"{seed}: {report}"


def without_replacement(counts, n, generator, *, power=0.75):
    return torch.multinomial(counts**power, n, generator=generator)


def last_row_twice(distance, labels):
    found = algorithms.semi_hard_mining__plain(distance, labels)
    return torch.cat([found, found[-1:]])


class Grows(SOLUTIONS["hippocampus_queue"]["plain"]):
    def push(self, embeddings):
        super().push(embeddings)
        embeddings.mul_(2)


@pytest.mark.parametrize(
    ("name", "answer", "message", "failing"),
    [
        ("negative_sampler", without_replacement, "It stopped with RuntimeError", "it runs"),
        ("negative_sampler", lambda c, n, generator, power: torch.zeros(n), "of torch.float32", "indices are integers"),
        ("negative_sampler", lambda c, n, generator, power: [0] * n, "where about", "how often each word comes"),
        ("semi_hard_mining", last_row_twice, "The shape is (", "anchors and positives"),
        ("semi_hard_mining", lambda d, y: torch.zeros(3), "got shape (3,)", "it runs"),
        ("semi_hard_mining", lambda d, y: None, "Is the return missing?", "it runs"),
        ("crop_view", lambda words, rng, keep: set(words), "got set", "it runs"),
        ("crop_view", lambda words, rng, keep: words[::-1][: max(1, round(keep * len(words)))], "is no stretch of",
         "they are neighbours, in their order"),
        ("ndcg", lambda s, r, k: "0.7", "'0.7'", "the value"),
        ("training_step", lambda m, o, b, loss_of: loss_of(m, b), "['backward', 'step']",
         "backward, then one step of the optimizer (first)"),
        ("training_step", lambda m, o, b, loss_of: m, "the loss is one number", "it runs"),
        ("two_view_step", lambda e, s, temperature: 0.3, "read 0 times",
         "each sentence is read twice, with dropout on"),
        ("hippocampus_queue", Grows, "It changes the embeddings", "it leaves the batch as it is"),
        ("nce_optimum", -1.6, "the function itself", "it is a function"),
        ("nce_optimum", lambda p, q, k: "log p", "'log p'", "the value"),
        ("label_aware_anchor", 0.5, "The value is 0.5 where -0.0911 was expected", "the value"),
        ("label_aware_anchor", "minus 0.09", "'minus 0.09'", "the value"),
        ("collapse_batch", 3, "Hand in (vectors, labels)", "it is a batch: vectors (N, D) and labels (N,)"),
        ("collapse_batch", (torch.ones(4, 2) / 0, torch.arange(4)), "Hand in (vectors, labels)",
         "it is a batch: vectors (N, D) and labels (N,)"),
        ("temperature_collapse", "hot", "A number was expected, got str", "it is a temperature"),
        ("temperature_collapse", float("nan"), "A temperature is positive.", "it is a temperature"),
        ("no_false_negatives", "Hello.", "Hand in a list", "it is a list of sentences"),
        ("equal_uniformity", (30, 10**9), "two numbers of steps", "it is two numbers of steps"),
        ("equal_uniformity", (True, 30), "two numbers of steps", "it is two numbers of steps"),
    ],
)  # fmt: skip
def test_what_no_one_foresaw_is_told(name, answer, message, failing):
    report = getattr(checks, name)(answer)
    assert report.passed is False
    assert message in str(report), str(report)
    assert report.details[-1][:2] == (failing, False)
    assert all(ok for _, ok, _ in report.details[:-1])


@pytest.mark.parametrize("name", EXERCISES)
@pytest.mark.parametrize("strange", [object(), float("inf"), "text", {"a": 1}, lambda: 3, torch.empty(0), []])
def test_strange_answers_do_not_get_out(name, strange):
    report = getattr(checks, name)(strange)
    assert report.passed is False
    assert report.diagnosis


@pytest.mark.parametrize("name", [name for name, e in EXERCISES.items() if not isinstance(e, checks.Loss)])
def test_a_report_reads_the_same_each_time(name):
    exercise = EXERCISES[name]
    for answer in (exercise.reference, exercise.making(exercise.mistakes[0]), exercise.making(exercise.mistakes[-1])):
        one = checks.check(exercise, answer)
        torch.manual_seed(3)
        assert str(one) == str(checks.check(exercise, answer))


def test_lesson_03s_answer_is_not_enough_for_weighted_negatives():
    for answer in SOLUTIONS["info_nce_loss"].values():
        assert checks.weighted_info_nce(answer).passed is False
        ignoring = lambda q, k, negatives=None, weights=None, *, temperature, f=answer: f(q, k, temperature=temperature)
        assert "The remembered negatives are not used" in checks.weighted_info_nce(ignoring).diagnosis


def test_the_reader_gives_the_same_two_views_in_one_batch_or_two():
    from clt.checks.steps import Reader

    one, two = Reader(0).train(), Reader(0).train()
    sentences = ["a cat sat", "rain fell"]
    first, second = one(one.tokenize(sentences * 2)).chunk(2)
    assert torch.equal(first, two(two.tokenize(sentences)))
    assert torch.equal(second, two(two.tokenize(sentences)))
    assert not torch.equal(first, second)
    assert not one.encode(sentences).requires_grad
    assert one.training


def test_the_labs_show_what_they_are_for():
    batch, labels = EXERCISES["collapse_batch"].reference
    loss, extent = labs.hard_mining(batch, labels)
    assert extent[-1] < 0.03 * extent[0]
    assert loss[-1] == pytest.approx(0.5, abs=0.01), "at one point every triplet costs the margin"
    other = labs.hard_mining(batch, labels, mining="semi-hard")[1]
    assert other[-1] > 0.8 * other[0]
    without, with_it = (labs.twins(weight, steps) for weight, steps in ((0.0, 25), (3.0, 41)))
    assert abs(without.uniformity - with_it.uniformity) < 0.05
    assert with_it.gap < without.gap - 0.1, "at equal uniformity the Twin Loss still keeps the gap"


def test_free_twins_meet_unless_a_goal_keeps_them_apart():
    moved = (labs.free_twins(0.0, steps=0), labs.free_twins(0.0), labs.free_twins(10.0, step_before=True),
             labs.free_twins(10.0))  # fmt: skip
    born, alone, friction, spring = (losses.twin_margin(*labs.on_circle(angle)).mean() for angle in moved)
    assert alone < 0.05 * born
    assert alone < 0.2 * born < friction < 0.8 * born < 0.9 * born < spring
