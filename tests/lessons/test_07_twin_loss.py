"""Lesson 07: what it builds from scratch is what the package computes, in values and in gradients."""

import math
import random

import pytest
import torch
import torch.nn.functional as F
from kit import same
from torch import Tensor

from clt import losses, metrics, results


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


def test_alignment(lesson, twins):
    same(lesson["alignment"](*twins[:2]), metrics.alignment(*twins[:2]), *twins[:2])


def test_the_bound_is_capped_and_is_the_packages(lesson):
    x = rows(0, 12, 6)
    assert lesson["bound"](x, x, 0.01) == pytest.approx(math.log(12), abs=1e-3)
    y = x + 2 * rows(1, 12, 6)
    scores = F.cosine_similarity(x[:, None], y, dim=-1) / 0.05
    assert lesson["bound"](x, y, 0.05) == pytest.approx(metrics.info_nce_bound(scores).item())


def test_a_fraternal_twin_is_another_sentence_with_most_of_its_words(lesson):
    sentence = "The big dog ran quickly across the small garden to the old house."
    drawn = {lesson["fusion"](sentence, random.Random(seed)) for seed in range(20)}
    assert sentence not in drawn
    assert len(drawn) > 3
    words = set(sentence.lower().rstrip(".").split())
    for twin in drawn:
        assert len(words & set(twin.lower().rstrip(".").split())) >= len(words) / 2
    assert lesson["fusion"](sentence, random.Random(3)) == lesson["fusion"](sentence, random.Random(3))


def test_the_published_numbers_are_the_papers(stem):
    tables = {entry["table"]: {row["name"]: row["paper"] for row in entry["rows"]} for entry in results.published(stem)}
    assert (tables["sts"]["SimCSE"], tables["sts"]["IFCL"]) == (76.25, 77.80)
    assert tables["mutual_information"]["without Twin Loss, task"] == 4.58


def test_the_published_tables_name_what_the_lesson_records(code, stem):
    text = "\n".join(code)
    for entry in results.published(stem):
        for key in (row["key"] for row in entry["rows"] if row["key"]):
            measured, variant = key.rsplit(".", 1)
            assert f'"{measured}"' in text
            assert f'"{variant}"' in text, key
