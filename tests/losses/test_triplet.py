"""Triplet losses against loops written from the formula, PyTorch, and each other."""

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from clt.losses import batch_triplet_loss, margin_triplet_loss, triplet_loss
from clt.similarity import normalize

MINING = ["all", "hard", "semi-hard"]


def distances(rows):
    return [[math.dist(x, y) ** 2 for y in rows] for x in rows]


def slow_batch(rows, labels, margin, mining):
    """Every anchor, positive and negative by hand."""
    d, costs = distances(rows), []
    for a in range(len(rows)):
        positives = [d[a][p] for p in range(len(rows)) if p != a and labels[p] == labels[a]]
        negatives = [d[a][n] for n in range(len(rows)) if labels[n] != labels[a]]
        if not positives or not negatives:
            continue
        if mining == "all":
            pairs = itertools.product(positives, negatives)
        elif mining == "hard":
            pairs = [(max(positives), min(negatives))]
        else:
            pairs = [(p, min((n for n in negatives if n > p), default=max(negatives))) for p in positives]
        costs += [max(0.0, p - n + margin) for p, n in pairs]
    return sum(costs) / len(costs) if costs else 0.0


def dense_batch_all(embeddings, labels, margin):
    """The N × N × N tensor that the fast version avoids; its gradient comes from autograd."""
    d = (embeddings[:, None] - embeddings).square().sum(-1)
    same = labels[:, None] == labels
    valid = (same & ~torch.eye(len(labels), dtype=torch.bool))[:, :, None] & ~same[:, None, :]
    return F.relu(d[:, :, None] - d[:, None, :] + margin)[valid].mean()


@pytest.fixture
def batch(rng):
    return torch.tensor(rng.normal(size=(12, 4))), torch.tensor([0, 1, 0, 2, 1, 0, 3, 3, 1, 0, 2, 4])


def test_triplet_loss_is_the_formula(rng):
    anchor, positive, negative = rng.normal(size=(3, 6, 4))
    costs = [
        max(0.0, math.dist(a, p) ** 2 - math.dist(a, n) ** 2 + 0.7)
        for a, p, n in zip(anchor, positive, negative, strict=True)
    ]
    tensors = [torch.tensor(x) for x in (anchor, positive, negative)]
    assert triplet_loss(*tensors, margin=0.7).item() == pytest.approx(np.mean(costs))
    assert triplet_loss(*tensors, margin=0.7, reduction="sum").item() == pytest.approx(np.sum(costs))
    assert triplet_loss(*tensors, margin=0.7, reduction="none").numpy() == pytest.approx(np.array(costs))


def test_margin_triplet_loss_is_the_formula(rng):
    anchor, positive, negative = rng.normal(size=(3, 6, 4))
    costs = [max(0.0, 0.3 - a @ p + a @ n) for a, p, n in zip(anchor, positive, negative, strict=True)]
    tensors = [torch.tensor(x) for x in (anchor, positive, negative)]
    assert margin_triplet_loss(*tensors, margin=0.3, reduction="none").numpy() == pytest.approx(np.array(costs))
    assert margin_triplet_loss(*tensors, margin=0.3).item() == pytest.approx(np.mean(costs))


def test_on_the_sphere_the_dot_product_form_is_half_of_facenets(official):
    rows = [normalize(official[name]) for name in ("z1", "z2", "z3")]
    assert 2 * margin_triplet_loss(*rows, margin=0.4) == pytest.approx(triplet_loss(*rows, margin=0.8))


def test_triplet_loss_against_pytorch_whose_distance_is_not_squared(rng):
    rows = [torch.tensor(x) for x in rng.normal(size=(3, 6, 4))]

    def squared(x, y):
        return (x - y).square().sum(-1)

    theirs = F.triplet_margin_with_distance_loss(*rows, distance_function=squared, margin=0.5)
    assert triplet_loss(*rows, margin=0.5) == pytest.approx(theirs.item())


@pytest.mark.parametrize("mining", MINING)
@pytest.mark.parametrize("margin", [0.0, 0.2, 1.0, 5.0])
def test_batch_triplet_loss_is_the_formula(batch, mining, margin):
    embeddings, labels = batch
    slow = slow_batch(embeddings.tolist(), labels.tolist(), margin, mining)
    assert batch_triplet_loss(embeddings, labels, margin=margin, mining=mining).item() == pytest.approx(slow, rel=1e-12)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(
    labels=st.lists(st.integers(0, 4), min_size=1, max_size=12),
    margin=st.floats(0, 3),
    scale=st.sampled_from([1e-3, 1.0, 30.0]),
    seed=st.integers(0, 2**16),
    mining=st.sampled_from(MINING),
)
def test_batch_triplet_loss_for_any_labels_and_scale(labels, margin, scale, seed, mining):
    embeddings = scale * np.random.default_rng(seed).normal(size=(len(labels), 3))
    slow = slow_batch(embeddings, labels, margin, mining)
    fast = batch_triplet_loss(torch.tensor(embeddings), torch.tensor(labels), margin=margin, mining=mining)
    assert fast.item() == pytest.approx(slow, rel=1e-9, abs=1e-12)


def test_batch_all_has_the_gradient_of_the_dense_tensor(batch):
    embeddings, labels = batch
    for margin in (0.2, 2.0):
        fast, dense = (embeddings.clone().requires_grad_() for _ in range(2))
        (3 * batch_triplet_loss(fast, labels, margin=margin)).backward()
        (3 * dense_batch_all(dense, labels, margin)).backward()
        assert torch.allclose(fast.grad, dense.grad, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("mining", MINING)
def test_gradcheck(batch, mining):
    embeddings, labels = batch
    assert torch.autograd.gradcheck(
        lambda x: batch_triplet_loss(x, labels, margin=0.9, mining=mining), embeddings.requires_grad_()
    )


@pytest.mark.parametrize("loss", [triplet_loss, margin_triplet_loss])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_gradcheck_of_given_triplets(rng, loss, reduction):
    rows = [torch.tensor(x, requires_grad=True) for x in rng.normal(size=(3, 5, 4))]
    assert torch.autograd.gradcheck(lambda *r: loss(*r, margin=0.6, reduction=reduction), rows)


@pytest.mark.parametrize("mining", MINING)
@pytest.mark.parametrize("labels", [[0], [0, 0, 0], [0, 1, 2]], ids=["one row", "one class", "all alone"])
def test_without_a_triplet_the_loss_is_zero_and_keeps_its_graph(mining, labels):
    embeddings = torch.randn(len(labels), 3, requires_grad=True)
    loss = batch_triplet_loss(embeddings, torch.tensor(labels), mining=mining)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(embeddings.grad, torch.zeros_like(embeddings))


@pytest.mark.parametrize("mining", MINING)
def test_duplicates_have_finite_gradients(mining):
    embeddings = torch.ones(4, 3, requires_grad=True)  # every distance is zero
    loss = batch_triplet_loss(embeddings, torch.tensor([0, 0, 1, 1]), mining=mining)
    loss.backward()
    assert loss.item() == pytest.approx(1.0)
    assert torch.isfinite(embeddings.grad).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(batch, dtype):
    embeddings, labels = batch[0].to(dtype).requires_grad_(), batch[1]
    for mining in MINING:
        loss = batch_triplet_loss(embeddings, labels, mining=mining)
        assert loss.dtype == torch.float32
        exact = batch_triplet_loss(embeddings.double(), labels, mining=mining)
        assert loss.item() == pytest.approx(exact.item(), rel=1e-6)
    loss.backward()
    assert embeddings.grad.dtype == dtype


@pytest.mark.parametrize("mining", MINING)
def test_autocast_changes_nothing(batch, mining):
    embeddings, labels = batch[0].float(), batch[1]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = batch_triplet_loss(embeddings, labels, mining=mining)
    assert torch.equal(inside, batch_triplet_loss(embeddings, labels, mining=mining))


def test_layout_and_label_type_do_not_matter(batch):
    embeddings, labels = batch
    strided = embeddings.T.contiguous().T
    assert not strided.is_contiguous()
    for dtype in (torch.int32, torch.uint8, torch.int16):
        assert torch.equal(batch_triplet_loss(strided, labels.to(dtype)), batch_triplet_loss(embeddings, labels))
    one = torch.randn(1, 4).expand(6, 4)
    assert triplet_loss(one, one, one, margin=0.5).item() == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: triplet_loss(x, x, x[:2]), ValueError, r"negative \(2, 3\)"),
        (lambda x: triplet_loss(x[0], x[0], x[0]), ValueError, r"anchor must have shape \(N, D\), got \(3,\)"),
        (lambda x: triplet_loss(x, x, x, margin=-1), ValueError, "margin must not be negative, got -1"),
        (
            lambda x: triplet_loss(x, x, x, reduction="average"),
            ValueError,
            "one of 'mean', 'sum', 'none', got 'average'",
        ),
        (lambda x: triplet_loss(x[:0], x[:0], x[:0]), ValueError, "must not be empty"),
        (lambda x: margin_triplet_loss(x.long(), x, x), TypeError, "anchor must be a tensor of floating-point"),
        (lambda x: batch_triplet_loss(x, torch.zeros(4)), TypeError, "tensor of integers, got torch.float32"),
        (lambda x: batch_triplet_loss(x, [0, 1, 0, 1]), TypeError, "tensor of integers, got list"),
        (lambda x: batch_triplet_loss(x, torch.zeros(3).long()), ValueError, r"shape \(4,\), one a row, got \(3,\)"),
        (lambda x: batch_triplet_loss(x, torch.zeros(4).long(), mining="easy"), ValueError, "'semi-hard', got 'easy'"),
        (lambda x: batch_triplet_loss(x[:0], torch.zeros(0).long()), ValueError, "must not be empty"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call(torch.randn(4, 3))
