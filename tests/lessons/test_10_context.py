"""Lesson 10 teaches the package's own loss; what it calls a control has no context left, and its spans touch."""

import random
from types import SimpleNamespace

import pytest
import torch
from kit import same

from clt import data, losses
from clt.checks import labs


@pytest.mark.parametrize("seed", range(4))
def test_quick_thoughts(lesson, seed):
    f, g = torch.randn(2, 9, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    f, g = f.requires_grad_(), g.requires_grad_()
    texts = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2, 3])  # the last one is alone
    theirs = losses.quick_thoughts_loss(f, g, texts)
    assert lesson["quick_thoughts_slow"](f.detach(), g.detach(), texts.tolist()) == pytest.approx(theirs.item())
    same(lesson["quick_thoughts_loss"](f, g, texts), theirs, f, g)


@pytest.mark.parametrize("length", [2, 3, 6, 48])
def test_the_floor_is_reached_and_not_passed(lesson, length):
    """With one-hot anchors and the neighbours of each as its context."""
    near = torch.diag(torch.ones(length - 1), 1) + torch.diag(torch.ones(length - 1), -1)
    loss = losses.quick_thoughts_loss(100 * torch.eye(length), near).item()
    assert loss == pytest.approx(lesson["context_floor"](length), abs=1e-6)


def test_dealt_piles_hold_no_two_sentences_of_a_text(lesson):
    texts = lesson["texts_of"]("own")
    assert len(texts) == 280
    assert {len(text) for text in texts} == {6}
    whole = data.batches_in_order(texts, size=8)
    home = {sentence: i for i, text in enumerate(texts) for sentence in text}
    for seed in range(5):
        sentences, _ = whole(torch.Generator().manual_seed(seed))
        mixed, piles = lesson["dealt"](sentences, 8)
        assert sorted(mixed) == sorted(sentences)
        assert piles.tolist() == sorted(piles.tolist())
        for pile in range(8):
            homes = [home[s] for s, p in zip(mixed, piles.tolist(), strict=True) if p == pile]
            assert len(set(homes)) == len(homes) == 6


def test_spans_are_stretches_of_their_text(lesson):
    text = lesson["texts_of"]("own")[3]
    words = " ".join(text)
    for seed in range(30):
        cut = lesson["three_spans"](text, random.Random(seed))
        assert len(cut) == 3
        assert all(span in words and 4 <= len(span.split()) <= 24 for span in cut)


def test_next_together_and_beside_by_hand(lesson):
    """Two texts of three sentences on a circle: each next sentence is nearest, each text is by itself."""
    turn = {"a1": 0.0, "a2": 0.1, "a3": 0.25, "b1": 3.0, "b2": 3.1, "b3": 3.25}
    lesson["held_out"] = {"made up": [["a1", "a2", "a3"], ["b1", "b2", "b3"]]}
    angles = lambda sentences: torch.tensor([[turn[s]] for s in sentences])
    model = SimpleNamespace(encode=lambda s: torch.cat([angles(s).cos(), angles(s).sin()], 1))
    found = lesson["in_place"](model)
    assert found == {"made up, next": 100.0, "made up, beside": 100.0, "made up, together": 100.0}
    model.encode = lambda sentences: torch.ones(len(sentences), 2)
    assert lesson["in_place"](model)["made up, next"] == 50.0, "who knows nothing beats half"


def test_the_batch_decides_what_is_learnt():
    before, topic, order = labs.context(8, 6, steps=0), labs.context(24, 2), labs.context(2, 24)
    assert topic.topic > 80 > 20 > order.topic
    assert topic.order < before.order < order.order
    assert labs.context(2, 24) == order, "seeded"
