"""Lesson 07: what it builds from scratch is what the package computes, in values and in gradients."""

import random
from types import SimpleNamespace

import pytest
import torch
from kit import same
from torch import Tensor

from clt import data, losses, results


def rows(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(params=range(5))
def twins(request) -> tuple[Tensor, ...]:
    """Anchor, identical and fraternal twins that want a gradient, and margins above and below the gaps."""
    anchor, *others = (3 * rows(10 * request.param + i, 6, 5) for i in range(3))
    return (*(x.requires_grad_() for x in (anchor, *others)), 2 * rows(request.param, 6))


def test_twin_loss(lesson, twins):
    package = losses.twin_loss(*twins)
    assert lesson["twin_loss_slow"](*(x.detach() for x in twins)) == pytest.approx(package.item())
    same(lesson["twin_loss"](*twins), package, *twins[:3])
    margin = twins[3].clone().requires_grad_()
    assert not torch.autograd.grad(lesson["twin_loss"](*twins[:3], margin), margin, allow_unused=True)[0]


def queues(lesson, k: int, decay: float, pushed: int = 5) -> tuple:
    ours, theirs = lesson["hippocampus_queue"](k, decay=decay), losses.HippocampusQueue(k, decay=decay)
    for seed in range(pushed):
        batch = rows(50 + seed, seed + 1, 5).requires_grad_()
        ours.push(batch)
        theirs.push(batch)
    return ours, theirs


@pytest.mark.parametrize(("k", "decay"), [(1, 0.5), (3, 0.7), (4, 1.0), (9, 0.3)])
def test_queue(lesson, k, decay):
    ours, theirs = queues(lesson, k, decay)
    assert not ours.negatives.requires_grad
    torch.testing.assert_close(ours.negatives, theirs.negatives)
    torch.testing.assert_close(ours.weights, theirs.weights)


def test_a_queue_without_room_remembers_nothing(lesson):
    ours, theirs = queues(lesson, 0, 0.7)
    assert len(ours.negatives) == len(ours.weights) == len(theirs.negatives) == 0


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_the_sum_is_ifcl(lesson, twins, temperature):
    anchor, identical, fraternal, _ = twins
    ours, theirs = queues(lesson, 3, 0.7)
    mine = sum(
        lesson["weighted_info_nce"](anchor, twin, ours.negatives, ours.weights, temperature=temperature)
        for twin in (identical, fraternal)
    ) + lesson["twin_loss"](*twins)
    same(mine, losses.ifcl_loss(*twins, theirs, temperature=temperature, twin_weight=1.0), *twins[:3])


def test_a_fraternal_twin_says_the_same_in_other_words(lesson):
    sentence = "The big dog ran quickly across the small garden because it was late."
    drawn = {lesson["fusion"](sentence, random.Random(seed)) for seed in range(20)}
    assert sentence not in drawn
    assert len(drawn) > 1
    for twin in drawn:
        assert twin.startswith("Because it was late, the ")
        assert len(twin.split()) == len(sentence.split()), "no word is dropped"
    assert lesson["fusion"](sentence, random.Random(3)) == lesson["fusion"](sentence, random.Random(3))


def test_a_batch_of_twins_is_drawn_with_its_generator_alone(lesson):
    texts = data.sentences("sts")[:50]
    lesson["sampler"].__globals__.update(plain=texts, able=texts, pairs=data.load("twins", "dev"))
    for kind in ("reworded", "paraphrased", "everything"):
        sample = lesson["sampler"](kind, kind != "everything", 6)
        one, other = (sample(torch.Generator().manual_seed(3)) for _ in range(2))
        assert one == other
        assert [len(column) for column in one] == [6] * (1 + (kind != "everything"))


class Line(torch.nn.Module):
    """An encoder of three sentences, one number each; in training mode a little noise is added."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor([1.0, 0.5]))

    def tokenize(self, sentences):
        return {"input_ids": torch.tensor([[float(len(s)), float(s.count("a"))] for s in sentences])}

    def forward(self, batch):
        x = batch["input_ids"] * self.scale
        return x + 0.1 * torch.randn(x.shape) if self.training else x


@pytest.fixture
def batch() -> list[list[str]]:
    return [["banana", "a cat", "xylophone"], ["bananas and", "cat", "a xylophone"]]


def options(lesson, **changed):
    return SimpleNamespace(**lesson_defaults() | changed)


def lesson_defaults() -> dict:
    return {"goal": None, "weight": 1.0, "k": 0, "decay": 0.7}


def test_the_first_step_has_its_own_gap_as_the_goal(lesson, batch):
    lesson["ifcl"].__globals__["device"] = torch.device("cpu")
    losses_of = {}
    for goal in (None, "step before", "once", "zero"):
        torch.manual_seed(0)
        losses_of[goal] = lesson["ifcl"](options(lesson, goal=goal))(Line(), batch).item()
    assert losses_of["step before"] == pytest.approx(losses_of[None]), "the same masks, the same gap"
    assert losses_of["once"] == pytest.approx(losses_of[None])
    assert losses_of["zero"] > losses_of[None] + 1e-4


def test_only_the_margin_of_the_step_before_follows_the_encoder(lesson, batch):
    lesson["ifcl"].__globals__["device"] = torch.device("cpu")
    found = {}
    for goal in (None, "step before", "once"):
        model = Line()
        loss_of = lesson["ifcl"](options(lesson, goal=goal))
        loss_of(model, batch)
        with torch.no_grad():
            model.scale.copy_(torch.tensor([0.2, 3.0]))
        loss_of(model, batch)
        torch.manual_seed(1)
        found[goal] = loss_of(model, batch).item()
    assert found["step before"] == pytest.approx(found[None]), "the encoder did not move since the step before"
    assert found["once"] > found[None] + 1e-3


def test_with_a_queue_past_batches_are_negatives(lesson, batch):
    lesson["ifcl"].__globals__["device"] = torch.device("cpu")
    found = {}
    for k in (0, 2):
        torch.manual_seed(0)
        loss_of, model = lesson["ifcl"](options(lesson, k=k)), Line()
        found[k] = [loss_of(model, batch).item() for _ in range(3)]
    assert found[0][0] == found[2][0]
    assert found[2][2] > found[0][2]


def test_the_published_numbers_are_the_papers(stem):
    tables = {entry["table"]: {row["name"]: row["paper"] for row in entry["rows"]} for entry in results.published(stem)}
    average = tables["sts_average"]
    assert (average["average of seven, SimCSE"], average["average of seven, IFCL"]) == (76.25, 77.80)
    assert tables["mutual_information"]["without Twin Loss, task"] == 4.58


def test_the_published_tables_name_what_the_record_holds(stem):
    record = results.recorded(stem)
    for entry in results.published(stem):
        assert [row["key"] for row in entry["rows"] if row["key"] and row["key"] not in record] == []
