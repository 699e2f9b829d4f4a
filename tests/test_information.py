"""Mutual-information bounds: official figures, Gaussians whose mutual information is known, and their limits."""

import math

import pytest
import torch

from clt.losses import info_nce_loss
from clt.metrics.information import (
    dv_bound,
    gaussian_scores,
    info_nce_bound,
    mine_bound,
    nwj_bound,
    smile_bound,
    tuned_bound,
)
from clt.similarity import cosine_similarity

BOUNDS = [info_nce_bound, nwj_bound, dv_bound, lambda s: mine_bound(s)[0], smile_bound]


@pytest.fixture
def scores():
    """cos(z1, z2) / 0.1 of the closed-form input on which the official figures were computed."""
    i = torch.arange(1, 7, dtype=torch.float64)[:, None]
    j = torch.arange(1, 6, dtype=torch.float64)
    z1 = torch.sin(0.7 * i + 1.3 * j) + 0.1 * torch.cos(2.1 * i * j)
    return cosine_similarity(z1, z1 + 0.5 * torch.sin(3.7 * i - 0.9 * j)) / 0.1


def on_gaussians(information: float, d: int, n: int, seed: int = 0):
    """The best critic on n pairs of Gaussians of d coordinates with the given mutual information in nats."""
    return gaussian_scores(information, n, dims=d, generator=torch.Generator().manual_seed(seed)).double()


def test_the_best_critic_is_the_log_ratio_of_the_densities():
    """On the same draws, from the densities of torch.distributions."""
    information, d, n = 1.5, 3, 7
    found = gaussian_scores(information, n, dims=d, generator=torch.Generator().manual_seed(1)).double()
    rho = math.sqrt(1 - math.exp(-2 * information / d))
    x, noise = torch.randn(2, n, d, generator=torch.Generator().manual_seed(1)).double()
    y = rho * x + math.sqrt(1 - rho**2) * noise
    given_x = torch.distributions.Normal(rho * x[:, None], math.sqrt(1 - rho**2)).log_prob(y[None])
    ratio = (given_x - torch.distributions.Normal(0.0, 1.0).log_prob(y[None])).sum(-1)
    torch.testing.assert_close(found, ratio, atol=1e-5, rtol=1e-5)
    with pytest.raises(ValueError, match="never negative"):
        gaussian_scores(-0.1, 4)


@pytest.mark.parametrize("information", [0.5, 2.0, 4.0])
def test_its_gaussians_have_the_information_they_are_said_to_have(information):
    """The mean score of the pairs is the mutual information, and the mean ratio of densities is 1."""
    generator = torch.Generator().manual_seed(0)
    scores = [gaussian_scores(information, 1000, generator=generator) for _ in range(5)]
    mean = sum(s.diagonal().mean().item() for s in scores) / 5
    assert mean == pytest.approx(information, abs=0.15)
    bound = sum(info_nce_bound(s).item() for s in scores) / 5
    assert information - 0.4 < bound < min(information + 0.15, math.log(1000))
    beside = scores[0][~torch.eye(1000, dtype=torch.bool)].double()
    if information < 1:
        assert beside.exp().mean().item() == pytest.approx(1, abs=0.1)


def test_official_figures(scores):
    """ermongroup/smile-mi-estimator."""
    float32_log = torch.tensor(6.0).log().item() - math.log(6)  # they take log N in float32
    assert info_nce_bound(scores).item() + float32_log == pytest.approx(1.4669734466326563, rel=1e-12)
    assert nwj_bound(scores).item() == pytest.approx(-298.37542545912225, rel=1e-12)
    assert dv_bound(scores).item() == pytest.approx(2.54575548741456, rel=1e-12)
    assert smile_bound(scores, clip=1.0).item() == pytest.approx(8.915335331885379, rel=1e-12)
    assert smile_bound(scores, clip=5.0).item() == pytest.approx(5.338942319400218, rel=1e-12)


@pytest.mark.parametrize("information", [0.5, 1.0, 2.0])
def test_the_best_critic_finds_the_information_of_gaussians(information):
    """The mean of eight batches of 512, within a tenth."""
    found = {name: [] for name in ("info_nce", "nwj", "dv", "mine", "smile")}
    for seed in range(8):
        ratio = on_gaussians(information, d=4, n=512, seed=seed)
        found["info_nce"].append(info_nce_bound(ratio))
        found["nwj"].append(nwj_bound(1 + ratio))
        found["dv"].append(dv_bound(ratio))
        found["mine"].append(mine_bound(ratio)[0])
        found["smile"].append(smile_bound(ratio, clip=20.0))
    for name, values in found.items():
        assert torch.stack(values).mean().item() == pytest.approx(information, abs=0.1 * information), name


def test_a_bad_critic_finds_less():
    ratio = on_gaussians(2.0, d=4, n=512)
    for bound, best in ((info_nce_bound, ratio), (nwj_bound, 1 + ratio), (dv_bound, ratio)):
        for bad in (0.5 * best, 0 * best, best.flip(0)):
            assert bound(bad) < bound(best) - 0.1


def test_info_nce_saturates_at_log_n_and_the_others_do_not():
    ratio = on_gaussians(10.0, d=16, n=64)
    assert math.log(64) - 0.1 < info_nce_bound(ratio) <= math.log(64)
    assert dv_bound(ratio) > math.log(64) + 2


def test_the_info_nce_bound_is_log_n_minus_the_loss():
    x, y = torch.randn(2, 32, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    scores = cosine_similarity(x, y) / 0.07
    assert info_nce_bound(scores).item() == pytest.approx(math.log(32) - info_nce_loss(x, y).item(), rel=1e-12)


def test_the_tuned_bound_is_the_best_of_its_temperatures():
    x, noise = torch.randn(2, 32, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    scores = cosine_similarity(x, x + noise)
    bounds = [info_nce_bound(scores / tau).item() for tau in (0.05, 0.1, 0.2, 0.5)]
    assert tuned_bound(x, x + noise, (0.05, 0.1, 0.2, 0.5)).item() == pytest.approx(max(bounds))
    assert tuned_bound(x, x + noise, [0.5]).item() == pytest.approx(bounds[-1])
    assert max(bounds) > min(bounds) + 0.1
    with pytest.raises(ValueError, match="at least one temperature"):
        tuned_bound(x, x, [])


def test_which_bounds_a_constant_moves(scores):
    assert info_nce_bound(scores + 7).item() == pytest.approx(info_nce_bound(scores).item())
    assert dv_bound(scores + 7).item() == pytest.approx(dv_bound(scores).item())
    assert abs(nwj_bound(scores - 7).item() - nwj_bound(scores).item()) > 100
    assert nwj_bound(scores - dv_bound(scores)) <= dv_bound(scores)  # log x ≤ x / e: at any constant


def test_mine_has_donsker_and_varadhans_value_and_a_gradient_over_the_average(scores):
    scores.requires_grad_()
    beside = ~torch.eye(6, dtype=torch.bool)
    (plain,) = torch.autograd.grad(dv_bound(scores), scores)
    first, log_average = mine_bound(scores)
    assert first.item() == pytest.approx(dv_bound(scores).item(), rel=1e-12)
    assert not log_average.requires_grad
    assert log_average.exp().item() == pytest.approx(scores[beside].exp().mean().item())
    assert torch.allclose(torch.autograd.grad(first, scores)[0], plain)

    second, updated = mine_bound(scores, torch.tensor(3.0), momentum=0.7)
    average = 0.7 * math.exp(3.0) + 0.3 * scores[beside].exp().mean().item()
    assert updated.exp().item() == pytest.approx(average)
    (gradient,) = torch.autograd.grad(second, scores)
    assert torch.allclose(gradient.diagonal(), torch.full((6,), 1 / 6, dtype=torch.float64))
    assert torch.allclose(gradient[beside], -scores[beside].exp() / 30 / average)
    assert second.item() == pytest.approx(first.item(), rel=1e-12)


def test_smile_is_donsker_and_varadhan_without_clipping_but_for_the_gradient(scores):
    scores.requires_grad_()
    bound = smile_bound(scores, clip=math.inf)
    assert bound.item() == pytest.approx(dv_bound(scores).item(), rel=1e-12)
    (gradient,) = torch.autograd.grad(bound, scores)
    assert torch.allclose(gradient.diagonal(), torch.sigmoid(-scores.diagonal()) / 6)
    beside = ~torch.eye(6, dtype=torch.bool)
    assert torch.allclose(gradient[beside], -torch.sigmoid(scores[beside]) / 30)


@pytest.mark.parametrize("bound", BOUNDS)
def test_precision_and_bad_shapes(bound, scores):
    low = scores.float().bfloat16()
    assert bound(low).dtype == torch.float32
    assert bound(low).item() == pytest.approx(bound(low.double()).item(), rel=1e-5)
    for bad in (scores[:4], scores[0], scores[:1, :1], scores[:0, :0]):
        with pytest.raises(ValueError, match="square matrix of at least 2 rows, got shape"):
            bound(bad)


def test_bad_options_are_named(scores):
    with pytest.raises(ValueError, match="clip must be positive, got 0"):
        smile_bound(scores, clip=0)
    with pytest.raises(ValueError, match="momentum must lie between 0 and 1, got 2"):
        mine_bound(scores, momentum=2)
