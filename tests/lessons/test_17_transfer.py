"""Lesson 17: SetFit's pairs and loss, batches by label, the phases of chain-thaw, and the labels that are needed."""

import itertools
import math
import random

import pytest
import torch
import torch.nn.functional as F
from kit import same


@pytest.mark.parametrize("seed", range(3))
def test_the_loss_is_the_slow_one(lesson, seed):
    z = torch.randn(8, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).requires_grad_()
    labels = torch.tensor([0, 1, 2, 0, 1, 0, 3, 3])

    def slow(z, labels):
        terms = {True: [], False: []}
        for i, j in itertools.combinations(range(len(z)), 2):
            equal = bool(labels[i] == labels[j])
            terms[equal].append((F.cosine_similarity(z[i], z[j], dim=0) - float(equal)) ** 2)
        return sum(torch.stack(kind).mean() for kind in terms.values()) / 2

    same(lesson["all_pairs_loss"](z, labels), slow(z, labels), z)
    assert lesson["all_pairs_slow"](z.detach(), labels.tolist()) == pytest.approx(slow(z, labels).item())


def test_the_loss_of_all_pairs_is_what_setfit_expects(lesson):
    """With classes of one size, the mean over SetFit's pairs goes to the loss over all of them."""
    z = torch.randn(12, 6, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    labels = torch.arange(4).repeat(3)
    pairs, equal = lesson["label_pairs"](labels, 4000, torch.Generator().manual_seed(0))
    drawn = F.mse_loss(F.cosine_similarity(z[pairs[:, 0]], z[pairs[:, 1]]), equal.double())
    assert drawn.item() == pytest.approx(lesson["all_pairs_loss"](z, labels).item(), rel=0.02)


def test_pairs_of_a_step(lesson):
    y = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 2])
    sample = lesson["drawn_pairs"](y, 0)
    rows, equal = sample(torch.Generator().manual_seed(1))
    first, second = rows.chunk(2)
    assert len(first) == len(second) == len(equal) == 16
    assert torch.equal(equal.bool(), y[first] == y[second])
    assert (first != second).all()
    again, _ = lesson["drawn_pairs"](y, 0)(torch.Generator().manual_seed(1))
    assert torch.equal(rows, again)


@pytest.mark.parametrize(("classes", "each"), [(6, 5), (8, 4), (16, 2), (61, 2)])
def test_texts_of_a_step(lesson, classes, each):
    y = torch.arange(classes).repeat(8)
    rows, labels = lesson["balanced"](y)(torch.Generator().manual_seed(0))
    assert torch.equal(labels, y[rows])
    assert len(set(rows.tolist())) == len(rows) == each * min(classes, 16)
    assert set(labels.bincount().tolist()) <= {0, each}


def test_every_part_is_trained_alone_and_then_with_the_others(lesson):
    phases = lesson["chain_thaw"](["attention", "rest", "classifier"])
    assert phases == [["classifier"], ["attention"], ["rest"], ["attention", "rest", "classifier"]]


def test_labels_that_are_needed(lesson):
    needed, counts = lesson["labels_needed"], [8, 32, 128]
    assert needed(counts, [50.0, 60.0, 80.0], 70.0) == pytest.approx(64)
    assert needed(counts, [50.0, 60.0, 80.0], 60.0) == pytest.approx(32)
    assert needed(counts, [50.0, 60.0, 80.0], 10.0) == 8
    assert needed(counts, [50.0, 60.0, 80.0], 81.0) == math.inf
    rng = random.Random(0)
    for _ in range(20):
        scores = sorted(rng.uniform(40, 90) for _ in counts)
        goals = sorted(rng.uniform(scores[0], scores[-1]) for _ in range(5))
        found = [needed(counts, scores, goal) for goal in goals]
        assert found == sorted(found), "a higher goal never needs fewer labels"


def test_without_the_push_all_vectors_become_one(lesson):
    (_, within, between), (loss, _, collapsed) = lesson["fitted"](push=True), lesson["fitted"](push=False)
    assert within > 0.7
    assert between < 0.2
    assert loss < 1e-3
    assert collapsed > 0.97
