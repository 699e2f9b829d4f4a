"""QuickThoughts: the reference values, what its released code computes, and what the loss can and cannot reach."""

import math

import pytest
import torch
import torch.nn.functional as F

from clt import losses


def rows(z):
    return F.normalize(z, dim=1)


@pytest.mark.parametrize(
    ("prepare", "window", "value"),
    [(lambda z: z, 1, 0.7649335895337716), (rows, 1, 1.0897566232273206), (rows, 2, 1.3399599660771575)],
)
def test_the_sentence_itself_is_no_candidate(official, path, prepare, window, value):
    f, g = prepare(official["z1"]), prepare(official["z2"])
    assert losses.quick_thoughts_loss(f, g, window=window).item() == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    ("prepare", "window", "value"),
    [(lambda z: z, 1, 0.8377834560713292), (rows, 1, 1.2521522745985176), (rows, 2, 1.5023556174483546)],
)
def test_the_released_code_keeps_a_one_for_the_sentence_itself(official, prepare, window, value):
    """lajanugen/S2V sets the diagonal to 0, so that e⁰ = 1 stays below: our row ℓ becomes ℓ + log(1 + e^−S)."""
    f, g = prepare(official["z1"]), prepare(official["z2"])
    ours = losses.quick_thoughts_loss(f, g, window=window, reduction="none")
    below = (f @ g.T).fill_diagonal_(-math.inf).logsumexp(1)
    theirs = ours - below + torch.logaddexp(below, torch.zeros_like(below))
    assert theirs.mean().item() == pytest.approx(value, rel=1e-12)


def test_chance_and_floor(path):
    zero = torch.zeros(6, 4, requires_grad=True)
    loss = losses.quick_thoughts_loss(zero, zero)
    assert loss.item() == pytest.approx(math.log(5))
    assert torch.isfinite(torch.autograd.grad(loss, zero)[0]).all()
    # f_i · g_j = c exactly where j is a neighbour of i: all that the loss can ask for
    band = torch.eye(8, dtype=torch.float64).roll(1, 0) + torch.eye(8, dtype=torch.float64).roll(-1, 0)
    band[0, -1] = band[-1, 0] = 0
    best = losses.quick_thoughts_loss(100 * torch.eye(8, dtype=torch.float64), band).item()
    assert best == pytest.approx(6 / 8 * math.log(2), rel=1e-9), (
        "the two at the ends have one neighbour, the others two"
    )


def test_texts_are_the_borders_of_neighbourhoods_and_nothing_else(official, path):
    f, g = official["z1"], official["z2"]
    same = losses.quick_thoughts_loss(f, g, torch.zeros(6, dtype=torch.int64), reduction="none")
    assert torch.equal(same, losses.quick_thoughts_loss(f, g, reduction="none"))
    two = losses.quick_thoughts_loss(f, g, torch.tensor([5, 5, 5, 2, 2, 2]), reduction="none")
    assert torch.equal(two[[0, 1, 4, 5]], same[[0, 1, 4, 5]]), "away from the border nothing changes"
    assert (two[[2, 3]] - same[[2, 3]]).abs().min() > 0.01


def test_pairs_of_texts_are_info_nce_without_the_sentence_itself(path):
    """With two sentences of each text the loss is NT-Xent, whose pairs stand beside one another."""
    x = torch.randn(10, 4, dtype=torch.float64)
    unit = F.normalize(x, dim=1)
    found = losses.quick_thoughts_loss(unit / 0.3, unit, torch.arange(10) // 2)
    assert found.item() == pytest.approx(losses.nt_xent_loss(x[::2], x[1::2], temperature=0.3).item(), rel=1e-12)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_fewer_sentences_than_the_window(count, path):
    f, g = torch.randn(2, count, 3, dtype=torch.float64, requires_grad=True).unbind()
    loss = losses.quick_thoughts_loss(f, g, window=9)
    scores = (f @ g.T).fill_diagonal_(-math.inf)
    wanted = 0.0 if count == 1 else -scores.log_softmax(1)[~torch.eye(count, dtype=torch.bool)].mean().item()
    assert loss.item() == pytest.approx(wanted, abs=1e-12)
    assert all(torch.isfinite(gradient).all() for gradient in torch.autograd.grad(loss, (f, g)))


@pytest.mark.parametrize("size", [1e-3, 1.0, 15.0, 300.0])
def test_raw_vectors_of_any_length(path, size):
    """The released loss takes dot products as they are; those of clt-mini are about 250."""
    f, g = (size * torch.randn(7, 5, dtype=torch.float64, requires_grad=True) for _ in range(2))
    exact = losses.quick_thoughts_loss(f, g)
    found = losses.quick_thoughts_loss(f.float(), g.float())
    assert found.item() == pytest.approx(exact.item(), rel=1e-5)
    for a, b in zip(torch.autograd.grad(found, (f, g)), torch.autograd.grad(exact, (f, g)), strict=True):
        assert torch.allclose(a, b, rtol=1e-3, atol=1e-4 * b.abs().max().item() + 1e-12)


def test_the_order_of_the_text_matters():
    f, g = torch.randn(2, 6, 3)
    turned = torch.tensor([3, 0, 5, 1, 4, 2])
    assert losses.quick_thoughts_loss(f, g).item() != pytest.approx(
        losses.quick_thoughts_loss(f[turned], g[turned]).item()
    )
    flipped = losses.quick_thoughts_loss(f.flip(0), g.flip(0))
    assert flipped.item() == pytest.approx(losses.quick_thoughts_loss(f, g).item(), rel=1e-6), "backwards is as good"
