"""Lesson 10 teaches the package's own loss; what it calls a control has no context left, and its spans touch."""

import functools
import itertools
import math
import random
from types import SimpleNamespace

import pytest
import torch
from kit import same

from clt import data, in_context, losses
from clt.checks import labs
from clt.predicting import CLS, MASK, PAD, SEP


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


def test_dealt_piles_hold_no_two_sentences_of_a_text():
    texts = in_context.texts_of("own")
    assert len(texts) == 280
    assert {len(text) for text in texts} == {6}
    whole = data.batches_in_order(texts, size=8)
    home = {sentence: i for i, text in enumerate(texts) for sentence in text}
    for seed in range(5):
        sentences, _ = whole(torch.Generator().manual_seed(seed))
        mixed, piles = in_context.dealt(sentences, 8)
        assert sorted(mixed) == sorted(sentences)
        assert piles.tolist() == sorted(piles.tolist())
        for pile in range(8):
            homes = [home[s] for s, p in zip(mixed, piles.tolist(), strict=True) if p == pile]
            assert len(set(homes)) == len(homes) == 6


def test_spans_are_stretches_of_their_text(lesson):
    text = in_context.texts_of("own")[3]
    words = " ".join(text)
    for seed in range(30):
        cut = in_context.three_spans(lesson["positive_span"], text, random.Random(seed))
        assert len(cut) == 3
        assert all(span in words and 4 <= len(span.split()) <= 24 for span in cut)


def test_next_together_and_beside_by_hand():
    """Two texts of three sentences on a circle: each next sentence is nearest, each text is by itself."""
    turn = {"a1": 0.0, "a2": 0.1, "a3": 0.25, "b1": 3.0, "b2": 3.1, "b3": 3.25}
    texts = {"made up": [["a1", "a2", "a3"], ["b1", "b2", "b3"]]}
    angles = lambda sentences: torch.tensor([[turn[s]] for s in sentences])
    model = SimpleNamespace(encode=lambda s: torch.cat([angles(s).cos(), angles(s).sin()], 1))
    found = in_context.in_place(model, texts)
    assert found == {"made up, next": 100.0, "made up, beside": 100.0, "made up, together": 100.0}
    model.encode = lambda sentences: torch.ones(len(sentences), 2)
    assert in_context.in_place(model, texts)["made up, next"] == 50.0, "who knows nothing beats half"


TWO_TEXTS = {"made up": [[f"{text}{place}" for place in range(6)] for text in "ab"]}
ON_A_CIRCLE = {f"{text}{place}": 3.0 * (text == "b") + 0.5 * place for text in "ab" for place in range(6)}


class Circle(torch.nn.Module):
    """A sentence encoder by hand: a place on the circle for each sentence, the next one half a radian on."""

    def tokenize(self, sentences):
        return torch.tensor([ON_A_CIRCLE[sentence] for sentence in sentences])

    def forward(self, angles):
        return torch.stack([angles.cos(), angles.sin()], 1)

    def encode(self, sentences):
        return self(self.tokenize(sentences))


def turned(so_far: str, *by: float) -> in_context.LookAhead:
    """W_k turns by the angle given for k."""
    model = in_context.LookAhead(Circle(), so_far, width=2)
    for matrix, angle in zip(model.ahead, by, strict=True):
        c, s = math.cos(angle), math.sin(angle)
        matrix.weight.data = torch.tensor([[c, -s], [s, c]])
    return model


def test_who_turns_by_the_right_angle_foretells_every_sentence():
    found = in_context.continued(turned("last", 0.5, 1.0, 1.5), TWO_TEXTS)
    assert found == dict.fromkeys([*(f"made up, {k} on" for k in (1, 2, 3)), "made up, order"], 100.0)
    back = in_context.continued(turned("last", -2.5, -2.5, -2.5), TWO_TEXTS)  # the other text is nearer
    assert back["made up, 1 on"] == 0.0
    assert in_context.continued(turned("last", 1.5, 0.0, 0.0), TWO_TEXTS)["made up, order"] == 0.0


def test_a_summary_never_sees_what_it_foretells():
    z = torch.randn(2, 5, 2, generator=torch.Generator().manual_seed(0))
    changed = z.clone()
    changed[:, 3:] += 1
    for so_far in ("GRU", "mean", "last"):
        model = in_context.LookAhead(Circle(), so_far, width=2)
        before, after = model.summary(z), model.summary(changed)
        assert before.shape == z.shape
        assert torch.equal(before[:, :3], after[:, :3])
        assert not torch.allclose(before[:, 3:], after[:, 3:])
    assert torch.equal(turned("last", 0, 0, 0).summary(z), z)
    assert torch.allclose(turned("mean", 0, 0, 0).summary(z)[:, 2], z[:, :3].mean(1))


def test_cpc_loss_is_the_formula(lesson):
    """Slow and obvious: for each distance the softmax over all sentences that stand so far from a beginning."""
    lesson["info_nce"] = functools.partial(losses.info_nce_loss, temperature=0.05)
    model = turned("mean", 0.3, 0.7, -0.2)
    told = [sentence for text in TWO_TEXTS["made up"] for sentence in text]
    z = model.encoder.encode(told).unflatten(0, (2, 6))
    total = 0.0
    for k, matrix in enumerate(model.ahead, 1):
        later, rows = [z[u, s] for u in range(2) for s in range(k, 6)], []
        for text in range(2):
            for t in range(6 - k):
                foretold = matrix(z[text, : t + 1].mean(0))
                scores = [torch.cosine_similarity(foretold, other, dim=0) / 0.05 for other in later]
                right = torch.cosine_similarity(foretold, z[text, t + k], dim=0) / 0.05
                rows.append(torch.stack(scores).logsumexp(0) - right)
        total += torch.stack(rows).mean().item() / 3
    loss = lesson["cpc_loss"](model, (told, torch.arange(2).repeat_interleave(6)))
    assert loss.item() == pytest.approx(total, abs=1e-5)


def test_the_batch_decides_what_is_learnt():
    before, topic, order = labs.context(8, 6, steps=0), labs.context(24, 2), labs.context(2, 24)
    assert topic.topic > 80 > 20 > order.topic
    assert topic.order < before.order < order.order
    assert labs.context(2, 24) == order, "seeded"


@pytest.mark.parametrize("m", [0.0, 0.9])
def test_queue_step(lesson, m):
    """The slow copy moves by 1 − m towards the encoder, only the query has a gradient, the queue takes the newest."""
    torch.manual_seed(0)
    model, slow = (in_context.bag_of_words().eval() for _ in range(2))
    before = slow.net.table.weight.clone()
    with torch.no_grad():
        model.net.table.weight.add_(0.1 * torch.randn_like(before))
    queue = torch.nn.functional.normalize(torch.randn(3, before.shape[1]), dim=1)
    pairs = ("A dog.", "Rain is here."), ("A big dog.", "It will be wet.")
    lesson["info_nce"] = functools.partial(losses.info_nce_loss, temperature=0.05)
    loss, new = lesson["queue_step"](model, slow, queue, pairs, m)
    assert torch.allclose(slow.net.table.weight, m * before + (1 - m) * model.net.table.weight, atol=1e-6)
    keys = torch.nn.functional.normalize(slow.encode(pairs[1]), dim=1)
    expected = losses.info_nce_loss(model.encode(pairs[0]), keys, queue, temperature=0.05)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-4)
    loss.backward()
    assert slow.net.table.weight.grad is None
    assert model.net.table.weight.grad is not None
    assert torch.allclose(new, torch.cat([keys, queue])[:3], atol=1e-6)


def test_pairs_of_the_five_methods(lesson):
    rng, sentences = random.Random(0), ([11, 12, 13, 14, 15, 16], [21, 22, 23, 24], [31, 32, 33, 34])
    row, following, other = (tuple(part) for part in sentences)
    lesson |= {"yes": (5,), "no": (6,)}
    methods = ("skip-gram", "masked words", "next sentence", "XLNet", "InfoWord")
    seen = {method: {lesson["pair_of"](method, sentences, rng) for _ in range(3000)} for method in methods}
    near = {((x,), (y,)) for x in row for y in row if 0 < abs(x - y) <= 3}
    assert seen["skip-gram"] == near
    hidden = {((CLS, *row[:t], MASK, *row[t + 1 :], SEP), row[t : t + 1]) for t in range(6)}
    assert seen["masked words"] == hidden
    yes, no = ((CLS, *row, SEP, *second, SEP) for second in (following, other))
    assert seen["next sentence"] == {(yes, (5,)), (no, (6,))}
    assert len(seen["XLNet"]) == 6 * 2**5, "each place with each set of others"
    assert all(a.count(MASK) == 1 and {*a} <= {CLS, SEP, MASK, PAD, *row} for a, _ in seen["XLNet"])
    spans = {(t, min(n, 6 - t)) for t in range(6) for n in range(1, 5)}
    cut = {((CLS, *row[:t], MASK, *row[t + n :], SEP), (CLS, *row[t : t + n], SEP)) for t, n in spans}
    assert seen["InfoWord"] == cut


def test_info_word_counts_a_candidate_once(lesson):
    vectors = torch.randn(20, 4, generator=torch.Generator().manual_seed(0))
    model = in_context.two_encoders("lookup", "lookup", vectors)
    pairs = [((5,), (6,)), ((7,), (8,)), ((9,), (6,))]
    expected = sum(
        -(vectors[a] @ vectors[[6, 8]].T).log_softmax(0)[[6, 8].index(b)].item() for a, b in ((5, 6), (7, 8), (9, 6))
    )
    assert lesson["info_word_loss"](model, pairs).item() == pytest.approx(expected / 3, abs=1e-5)


def test_a_bag_of_words_is_where_all_begin():
    """So the networks differ after training by what they were taught, and by nothing else."""
    text, bag = in_context.pieces(), in_context.bag_of_words()
    sentences = in_context.held_out()["stories"][0]
    for omega in ("lookup", "Transformer"):
        model = in_context.two_encoders(omega, "lookup", text.vectors).eval()
        parts = [tuple(row) for row in text.vocabulary.ids(sentences)]
        assert torch.allclose(in_context.part_vector(model.omega, parts), bag.encode(sentences), atol=1e-5)


def test_sentences_in_order_stay_within_their_text():
    text = in_context.pieces()
    rows = [text.vocabulary.ids(sentences) for sentences in in_context.held_out()["stories"]]
    following = {(tuple(a[:30]), tuple(b[:30])) for told in rows for a, b in itertools.pairwise(told)}
    home = {tuple(row[:30]): i for i, told in enumerate(rows) for row in told}
    rng, stories = random.Random(0), in_context.InOrder(in_context.held_out()["stories"], text.vocabulary)
    for _ in range(300):
        first, second, other = (tuple(row) for row in stories.draw(rng))
        assert (first, second) in following
        assert home[other] != home[first]
