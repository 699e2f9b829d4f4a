"""CoSENT: reference values, what changes nothing, extremes, and what it refuses."""

import pytest
import slow_losses as slow
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from clt import losses

SCORES = torch.tensor([0.2, 0.9, 0.4, 0.4, 0.0, 1.0], dtype=torch.float64)


def square():
    """Six rows of six numbers in closed form, and noisy copies of them."""
    i, j = torch.arange(1, 7, dtype=torch.float64)[:, None], torch.arange(1, 7, dtype=torch.float64)
    x = torch.sin(0.7 * i + 1.3 * j) + 0.1 * torch.cos(2.1 * i * j)
    return x, x + 0.5 * torch.sin(3.7 * i - 0.9 * j)


def test_it_is_that_of_sentence_transformers(official):
    u, v = (official[name].clone().requires_grad_() for name in ("z1", "z2"))
    loss = losses.cosent_loss(F.cosine_similarity(u, v), torch.arange(6) / 5)
    assert loss.item() == pytest.approx(2.8541238450327855, rel=1e-9)
    norms = [g.norm().item() for g in torch.autograd.grad(loss, (u, v))]
    assert norms == pytest.approx([2.763114227855162, 3.1334398591877592], rel=1e-6)


def test_with_ties():
    x, y = (z.requires_grad_() for z in square())
    loss = losses.cosent_loss(F.cosine_similarity(x, y), SCORES)
    assert loss.item() == pytest.approx(2.339287277969433, rel=1e-9)
    first, second = torch.autograd.grad(loss, (x, y))
    assert [first.norm().item(), second.norm().item()] == pytest.approx([2.463871488939492, 2.2251150951406133])
    assert first[0, :3].tolist() == pytest.approx([-0.5453689536357532, -0.4773694768695281, -0.137827253850756])


@settings(deadline=None, derandomize=True, max_examples=40)
@given(n=st.integers(1, 7), levels=st.integers(1, 4), scale=st.sampled_from([0.5, 20.0]), seed=st.integers(0, 2**16))
def test_it_is_the_double_loop(n, levels, scale, seed):
    generator = torch.Generator().manual_seed(seed)
    s = torch.rand(n, generator=generator, dtype=torch.float64).requires_grad_()
    y = torch.randint(levels, (n,), generator=generator)
    loss, wanted = losses.cosent_loss(s, y, scale=scale), slow.cosent(s, y, scale=scale)
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-12, abs=1e-14)
    (found,) = torch.autograd.grad(loss, s)
    if wanted.requires_grad:
        assert torch.allclose(found, torch.autograd.grad(wanted, s)[0], rtol=1e-10, atol=1e-13)
        assert abs(found.sum()) < 1e-9, "only differences count"
    else:
        assert found.abs().max() == 0


def test_gradcheck_and_an_increasing_map_of_the_scores():
    s = torch.tensor([0.1, 0.7, 0.3, 0.35, -0.2, 0.9], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda s: losses.cosent_loss(s, SCORES), s)
    assert torch.autograd.gradgradcheck(lambda s: losses.cosent_loss(s, SCORES), s)
    plain = losses.cosent_loss(s, SCORES)
    for other in (5 * SCORES, SCORES.exp(), SCORES.unique(return_inverse=True)[1], SCORES - 3):
        assert torch.equal(losses.cosent_loss(s, other), plain)


def test_equal_scores_and_a_single_pair_ask_nothing():
    for n in (1, 4):
        s = torch.randn(n, requires_grad=True)
        loss = losses.cosent_loss(s, torch.ones(n))
        assert loss.item() == 0
        assert torch.autograd.grad(loss, s)[0].abs().max() == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_lower_precision_and_extremes(dtype):
    s = torch.tensor([1.0, -1.0, 0.5, 0.25, 0.0, -0.75], dtype=dtype, requires_grad=True)
    exact = s.detach().double().requires_grad_()
    for scale in (1e-3, 20.0, 1e4):
        found, wanted = (losses.cosent_loss(x, SCORES.flip(0).to(x.dtype), scale=scale) for x in (s, exact))
        assert found.dtype == torch.float32
        assert found.item() == pytest.approx(wanted.item(), rel=1e-5)
        (a,), (b,) = torch.autograd.grad(found, s), torch.autograd.grad(wanted, exact)
        assert torch.allclose(a.double(), b, rtol=1e-2, atol=1e-2 * b.abs().max().item())
    with torch.autocast("cpu", torch.bfloat16):
        assert losses.cosent_loss(s, SCORES.float()).dtype == torch.float32


def test_a_mask_of_large_numbers_is_not_a_mask():
    """Released code takes 1e12 off what does not count, beyond float16; where nothing counts, ours is 0."""
    s = torch.tensor([0.5, 0.25], dtype=torch.float16)
    released = 20 * (s[:, None] - s) - (1 - torch.zeros(2, 2, dtype=torch.float16)) * 1e12
    assert not torch.isfinite(released).all()
    assert losses.cosent_loss(s, torch.tensor([1, 1])).item() == 0


def test_what_it_refuses():
    s = torch.rand(4)
    for error, message, call in (
        (ValueError, "must have one shape", lambda: losses.cosent_loss(s, torch.rand(3))),
        (ValueError, "must have one shape", lambda: losses.cosent_loss(s[:, None], torch.rand(4, 1))),
        (ValueError, "not be empty", lambda: losses.cosent_loss(s[:0], s[:0])),
        (ValueError, "scale must be positive, got 0", lambda: losses.cosent_loss(s, s, scale=0)),
        (ValueError, "scores must be numbers, got nan", lambda: losses.cosent_loss(s, s / 0 * 0)),
        (TypeError, "similarities must be a tensor of floating", lambda: losses.cosent_loss(torch.arange(4), s)),
        (TypeError, "scores must be a tensor of numbers, got list", lambda: losses.cosent_loss(s, [1, 2, 3, 4])),
    ):
        with pytest.raises(error, match=message):
            call()
