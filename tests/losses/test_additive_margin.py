"""Translation ranking with a margin: reference values, its limits, extremes, and what it refuses."""

import math

import pytest
import torch

from clt import losses

# Values and norms of gradients by another implementation, on the closed-form input of conftest, at scale 1.
FIGURES = {
    (0.0, 1.0): (2.3659285424905763, [0.21868001680160515, 0.12343041830988656]),
    (0.3, 1.0): (2.7983339476554754, [0.23790952797995926, 0.13326424062832387]),
}


@pytest.mark.parametrize("options", FIGURES, ids=str)
def test_reference_figures(official, options):
    (margin, temperature), (value, norms) = options, FIGURES[options]
    left, right = (official[name].clone().requires_grad_() for name in ("z1", "z2"))
    loss = losses.additive_margin_loss(left, right, margin=margin, temperature=temperature)
    assert loss.item() == pytest.approx(value, rel=1e-12)
    found = [gradient.norm().item() for gradient in torch.autograd.grad(loss, (left, right))]
    assert found == pytest.approx(norms, rel=1e-10)


def test_without_a_margin_it_is_twice_clips(official):
    left, right = official["z1"], official["z2"]
    ours = losses.additive_margin_loss(left, right, margin=0.0, temperature=0.07, reduction="none")
    assert torch.allclose(ours, 2 * losses.clip_loss(left, right, reduction="none"), rtol=1e-12)


def test_a_margin_on_the_positive_is_one_on_all_others(official):
    """Only differences count: taking m off the positive is adding it to each other candidate."""
    left, right = (torch.nn.functional.normalize(official[name], dim=1) for name in ("z1", "z2"))
    cosines = left @ right.T
    logits = (cosines + 0.3 * (1 - torch.eye(6, dtype=torch.float64))) / 0.05
    wanted = -(logits.log_softmax(1) + logits.log_softmax(0)).diagonal()
    found = losses.additive_margin_loss(left, right, margin=0.3, temperature=0.05, reduction="none")
    assert torch.allclose(found, wanted, rtol=1e-10)


def test_it_grows_with_the_margin_and_ends_in_a_straight_line(official):
    left, right = official["z1"], official["z2"]
    values = [losses.additive_margin_loss(left, right, margin=m, temperature=0.1).item() for m in (0, 0.1, 1, 10, 11)]
    assert values == sorted(values)
    assert values[-1] - values[-2] == pytest.approx(2 * 1 / 0.1, rel=1e-6), "two directions, one more over τ"


def test_one_pair_and_equal_rows():
    x = torch.randn(1, 4, requires_grad=True)
    loss = losses.additive_margin_loss(x, x)
    assert loss.item() == 0
    assert torch.autograd.grad(loss, x)[0].abs().max() == 0
    same = torch.ones(8, 3)
    assert losses.additive_margin_loss(same, same, margin=0.0).item() == pytest.approx(2 * math.log(8), rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_small_temperatures_in_low_precision(official, dtype):
    left, right = (official[name].to(dtype).requires_grad_() for name in ("z1", "z2"))
    for temperature in (1.0, 0.05, 1e-3, 1e-5):
        loss = losses.additive_margin_loss(left, right, temperature=temperature)
        exact = losses.additive_margin_loss(left.double(), right.double(), temperature=temperature)
        assert loss.dtype == torch.float32
        assert loss.item() == pytest.approx(exact.item(), rel=2e-4)
        assert all(gradient.isfinite().all() for gradient in torch.autograd.grad(loss, (left, right)))
    zero = torch.zeros(4, 3, dtype=dtype, requires_grad=True)
    assert torch.isfinite(torch.autograd.grad(losses.additive_margin_loss(zero, zero), zero)[0]).all()


def test_what_it_refuses():
    x = torch.randn(3, 2)
    for error, message, call in (
        (ValueError, "margin must not be negative, got -0.1", lambda: losses.additive_margin_loss(x, x, margin=-0.1)),
        (ValueError, "shapes must be equal", lambda: losses.additive_margin_loss(x, x[:2])),
        (ValueError, "reduction must be one of", lambda: losses.additive_margin_loss(x, x, reduction="max")),
        (TypeError, "floating-point", lambda: losses.additive_margin_loss(x.int(), x.int())),
    ):
        with pytest.raises(error, match=message):
            call()
