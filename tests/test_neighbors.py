"""Neighbour probabilities and maps: against loops, known values, closed-form gradients, scikit-learn, openTSNE."""

import math

import numpy as np
import pytest
import torch

from clt import metrics, neighbors
from clt.neighbors import (
    conditional_probabilities,
    joint_probabilities,
    sne_loss,
    symmetric_sne_loss,
    t_sne,
    t_sne_loss,
)
from clt.similarity import squared_euclidean

approx = pytest.approx


@pytest.fixture
def x():
    """The closed-form input of the published values, 12 points in five dimensions."""
    i, j = torch.arange(1, 13, dtype=torch.float64)[:, None], torch.arange(1, 6, dtype=torch.float64)
    return torch.sin(0.7 * i + 1.3 * j) + 0.1 * i


@pytest.fixture
def y():
    i, k = torch.arange(1, 13, dtype=torch.float64)[:, None], torch.arange(1, 3, dtype=torch.float64)
    return (0.3 * torch.sin(0.9 * i + 2.1 * k) + 0.05 * i).requires_grad_()


def digits(n):
    from sklearn.datasets import load_digits

    order = torch.randperm(1797, generator=torch.Generator().manual_seed(0))[:n]
    return torch.tensor(load_digits().data[order] / 16, dtype=torch.float32)


# ---- the probabilities


def slow_row(distances, perplexity):
    """Bisection on one row, with nothing but the definition."""
    low, high = 0.0, 1e6
    for _ in range(300):
        beta = (low + high) / 2
        weights = [math.exp(-beta * (d - min(distances))) for d in distances]
        p = [w / sum(weights) for w in weights]
        entropy = -sum(q * math.log(q) for q in p if q > 0)
        low, high = (beta, high) if entropy > math.log(perplexity) else (low, beta)
    return p


def test_conditional_is_the_definition(x):
    found = conditional_probabilities(x, perplexity=4.0)
    rows = x.tolist()
    for i in range(12):
        p = slow_row([math.dist(rows[i], rows[j]) ** 2 for j in range(12) if j != i], 4.0)
        assert [*found[i, :i], *found[i, i + 1 :]] == approx(p, rel=1e-8, abs=1e-12)
    assert not found.diagonal().any()


def test_published_values(x):
    conditional, joint = conditional_probabilities(x, perplexity=4.0), joint_probabilities(x, perplexity=4.0)
    assert conditional[0, 1].item() == approx(0.588476503, abs=1e-9)
    assert joint[0, 1].item() == approx(0.041404766, abs=1e-9)
    assert joint[0, 2].item() == approx(0.006271971, abs=1e-9)
    assert -torch.special.xlogy(joint, joint).sum().item() == approx(3.882950988, abs=1e-9)
    beta = math.log(conditional[0, 1] / conditional[0, 2]) / (
        (x[0] - x[2]).square().sum() - (x[0] - x[1]).square().sum()
    )
    assert beta.item() == approx(0.573147457, abs=1e-8)


@pytest.mark.parametrize("perplexity", [1.5, 4.0, 9.9])
def test_every_row_has_the_perplexity_and_the_pairs_sum_to_one(x, perplexity):
    p = conditional_probabilities(x, perplexity=perplexity)
    assert (-torch.special.xlogy(p, p).sum(1)).exp().tolist() == approx([perplexity] * 12, rel=1e-9)
    joint = joint_probabilities(x, perplexity=perplexity)
    assert joint.sum().item() == approx(1, rel=1e-12)
    assert torch.equal(joint, joint.T)
    assert (joint.sum(1) > 1 / 24).all()


@pytest.mark.parametrize("factor", [1e-150, 1e-6, 1e6, 1e150])
def test_scale_and_place_do_not_matter(x, factor):
    expected = conditional_probabilities(x, perplexity=4.0)
    torch.testing.assert_close(conditional_probabilities(factor * x, perplexity=4.0), expected, rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(conditional_probabilities(x + 3, perplexity=4.0), expected, rtol=1e-9, atol=1e-12)


def test_identical_and_equidistant_points_pick_evenly():
    copies = conditional_probabilities(torch.ones(8, 3), perplexity=3.0)
    assert torch.equal(copies, (1 - torch.eye(8)) / 7)
    simplex = conditional_probabilities(math.sqrt(0.5) * torch.eye(11).double(), perplexity=5.0)
    torch.testing.assert_close(simplex, (1 - torch.eye(11).double()) / 10)
    some = torch.cat([torch.zeros(6, 2), 5 + torch.arange(8.0).reshape(4, 2)])  # six copies, perplexity 2
    p = conditional_probabilities(some, perplexity=2.0)
    assert p[:6, :6].sum(1).tolist() == approx([1.0] * 6)
    assert p[0, 1:6].tolist() == approx([0.2] * 5)


def test_an_outlier_far_away_underflows_nowhere():
    x = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    x[0] += 1e6
    p = conditional_probabilities(x, perplexity=5.0)
    assert p.isfinite().all()
    assert p.sum(1).tolist() == approx([1.0] * 20, rel=1e-5)
    assert t_sne(x, perplexity=5.0, steps=50).isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_lower_precision_is_computed_in_float32(x, y, dtype):
    x = x.to(dtype)
    p = joint_probabilities(x, perplexity=4.0)
    assert p.dtype == torch.float32
    torch.testing.assert_close(p.double(), joint_probabilities(x.double(), perplexity=4.0), rtol=1e-4, atol=1e-7)
    low = y.detach().to(dtype).requires_grad_()
    value = t_sne_loss(p, low)
    assert value.dtype == torch.float32
    assert value.item() == approx(t_sne_loss(p.double(), low.detach().double()).item(), rel=1e-5)
    value.backward()
    assert low.grad.dtype == dtype
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert t_sne_loss(p, low).item() == value.item()


def test_scikit_learn_has_the_same_probabilities():
    from scipy.spatial.distance import squareform
    from sklearn.manifold import _t_sne

    x = digits(150).double()
    theirs = squareform(_t_sne._joint_probabilities(squared_euclidean(x).numpy(), 30.0, 0))
    assert np.abs(joint_probabilities(x).numpy() - theirs).max() < 2e-6


# ---- the costs

COSTS = {
    "SNE": (sne_loss, conditional_probabilities, 10.170120149795949, 2.5543204073206716, 0.8753041779114192),
    "symmetric": (
        symmetric_sne_loss,
        joint_probabilities,
        0.8417458381004974,
        0.20315884426584782,
        0.06903472488546186,
    ),
    "t-SNE": (t_sne_loss, joint_probabilities, 0.8703145980614826, 0.15095189799702124, 0.055875914277097344),
}


def slow_cost(name, p, y):
    """The definition, pair by pair."""
    n, rows = len(p), y.tolist()
    w = [[0.0 if i == j else (1 / (1 + math.dist(a, b) ** 2) if name == "t-SNE" else math.exp(-math.dist(a, b) ** 2))
          for j, b in enumerate(rows)] for i, a in enumerate(rows)]  # fmt: skip
    total = 0.0
    for i in range(n):
        below = sum(w[i]) if name == "SNE" else sum(map(sum, w))
        total += sum(p[i][j] * math.log(p[i][j] / (w[i][j] / below)) for j in range(n) if j != i and p[i][j] > 0)
    return total


def closed_form(name, p, y):
    away = y[:, None] - y
    squared = away.square().sum(-1)
    if name == "SNE":
        q = (-squared).fill_diagonal_(-torch.inf).softmax(1)
        force = 2 * (p - q + (p - q).T)
    else:
        w = (1 / (1 + squared) if name == "t-SNE" else (-squared).exp()).fill_diagonal_(0)
        force = 4 * (p - w / w.sum()) * (w if name == "t-SNE" else 1)
    return (force[..., None] * away).sum(1)


@pytest.mark.parametrize("name", COSTS)
def test_cost_and_gradient(name, x, y):
    cost, probabilities, value, norm, first = COSTS[name]
    p = probabilities(x, perplexity=4.0)
    found = cost(p, y)
    (gradient,) = torch.autograd.grad(found, y)
    assert found.item() == approx(value, rel=1e-10)
    assert found.item() == approx(slow_cost(name, p.tolist(), y.detach()), rel=1e-10)
    assert gradient.norm().item() == approx(norm, rel=1e-9)
    assert gradient[0, 0].item() == approx(first, rel=1e-9)
    torch.testing.assert_close(gradient, closed_form(name, p, y.detach()), rtol=1e-9, atol=1e-12)
    assert gradient.sum(0).abs().max() < 1e-12, "moving the whole map changes nothing"
    assert torch.autograd.gradcheck(lambda y: cost(p, y), y)
    if name == "t-SNE":
        torch.testing.assert_close(neighbors._gradient(p, y.detach()), gradient, rtol=1e-9, atol=1e-12)


def test_a_perfect_map_costs_nothing():
    y = torch.randn(9, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    w = (1 / (1 + squared_euclidean(y))).fill_diagonal_(0)
    assert t_sne_loss(w / w.sum(), y).item() == approx(0, abs=1e-12)


def test_one_hot_targets_make_sne_info_nce(y):
    """Row by row InfoNCE: on the sphere at τ = 1/2, each point choosing among the others."""
    points = torch.nn.functional.normalize(y.detach(), dim=1)
    target = torch.arange(12).roll(1)
    logits = (2 * points @ points.T).fill_diagonal_(-torch.inf)
    expected = torch.nn.functional.cross_entropy(logits, target, reduction="sum")
    torch.testing.assert_close(sne_loss(torch.eye(12, dtype=torch.float64)[target], points), expected)


def test_t_sne_is_attraction_and_the_logarithm_of_the_partition(x, y):
    p, y = joint_probabilities(x, perplexity=4.0), y.detach()
    w = (1 / (1 + squared_euclidean(y))).fill_diagonal_(0)
    attraction = -torch.special.xlogy(p, w).sum().item()
    assert attraction == approx(0.143527, abs=1e-6)
    assert w.sum().log().item() == approx(4.609738, abs=1e-6)
    entropy = -torch.special.xlogy(p, p).sum().item()
    assert t_sne_loss(p, y).item() == approx(attraction + w.sum().log().item() - entropy, rel=1e-12)


def test_twenty_plain_steps(x, y):
    p, y = joint_probabilities(x, perplexity=4.0), y.detach()
    for _ in range(20):
        y = y - 0.5 * neighbors._gradient(p, y)
    assert t_sne_loss(p, y).item() == approx(0.6521445220837678, rel=1e-9)
    assert y[0].tolist() == approx([-0.42197171732401223, -0.4167155249138486], rel=1e-8)


def test_the_exaggerated_objective(x, y):
    p = joint_probabilities(x, perplexity=4.0)
    kl = t_sne_loss(p, y).item()
    assert 12 * kl + 12 * math.log(12) == approx(40.2626549741938, rel=1e-10)
    gradient = neighbors._gradient(p, y.detach(), 12.0)
    assert gradient.norm().item() == approx(2.105010009054445, rel=1e-9)


def test_extreme_maps_stay_finite(x):
    p, c = joint_probabilities(x, perplexity=4.0), conditional_probabilities(x, perplexity=4.0)
    for spot in (torch.zeros(12, 2), 1e5 * torch.arange(24.0).reshape(12, 2)):
        spot = spot.double().requires_grad_()
        for cost, q in ((sne_loss, c), (symmetric_sne_loss, p), (t_sne_loss, p)):
            value = cost(q, spot)
            assert value.isfinite()
            assert torch.autograd.grad(value, spot)[0].isfinite().all()


# ---- the maps


def test_a_map_is_the_same_twice_and_centred(x):
    first, second, other = (t_sne(x, perplexity=4.0, steps=100, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert first.shape == (12, 2)
    assert first.mean(0).abs().max() < 1e-9
    assert t_sne(x, perplexity=4.0, steps=20, dimensions=7).shape == (12, 7), "more than the data has"
    assert not t_sne(x.requires_grad_(), perplexity=4.0, steps=3).requires_grad


def test_scale_does_not_change_a_map(x):
    a, b = (t_sne(factor * x, perplexity=4.0, steps=60) for factor in (1.0, 1024.0))
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_identical_points_make_a_map_without_nan():
    assert t_sne(torch.ones(10, 4), perplexity=3.0, steps=60).isfinite().all()
    assert t_sne(torch.zeros(10, 1), perplexity=3.0, steps=60).isfinite().all()


@pytest.mark.slow
def test_as_good_as_scikit_learn():
    """From one start the costs are within 5 %; from scikit-learn's own it may end worse, and then ours is lower."""
    from sklearn.manifold import TSNE

    x = digits(300)
    p = joint_probabilities(x)
    ours = t_sne(x)
    for start in ("pca", neighbors._start(x, 2, 0).numpy()):
        model = TSNE(method="exact", init=start, random_state=0)
        theirs = torch.tensor(model.fit_transform(x.numpy()))
        assert t_sne_loss(p, theirs).item() == approx(model.kl_divergence_, rel=1e-3)
        assert t_sne_loss(p, ours).item() < 1.05 * model.kl_divergence_
        assert metrics.trustworthiness(x, ours) == approx(metrics.trustworthiness(x, theirs), abs=0.02)
    assert t_sne_loss(p, ours).item() == approx(model.kl_divergence_, rel=0.05)


@pytest.mark.slow
def test_as_good_as_open_tsne():
    module = pytest.importorskip("openTSNE", reason="the extra bench is not installed: make bench")
    x = digits(500)
    p = joint_probabilities(x)
    ours = t_sne(x)
    for start in ("pca", neighbors._start(x, 2, 0).double().numpy()):
        model = module.TSNE(
            perplexity=30, initialization=start, random_state=0, negative_gradient_method="bh", n_jobs=1
        )
        theirs = torch.tensor(np.asarray(model.fit(x.numpy())), dtype=torch.float32)
        assert t_sne_loss(p, ours) < 1.05 * t_sne_loss(p, theirs)
        assert metrics.trustworthiness(x, ours) == approx(metrics.trustworthiness(x, theirs), abs=0.02)
    assert t_sne_loss(p, ours).item() == approx(t_sne_loss(p, theirs).item(), rel=0.05)


# ---- what is refused

P5 = (1 - torch.eye(5)) / 20


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: conditional_probabilities(torch.randn(10, 2)), r"above 1 and below N − 1 = 9, got 30.0 for 10 points"),
        (lambda: conditional_probabilities(torch.randn(10, 2), perplexity=1.0), "above 1"),
        (lambda: conditional_probabilities(torch.randn(10, 2), perplexity=math.nan), "above 1"),
        (lambda: joint_probabilities(torch.randn(10), perplexity=3.0), r"x must have shape \(N, D\)"),
        (lambda: joint_probabilities(torch.full((10, 2), torch.nan), perplexity=3.0), "not finite"),
        (lambda: t_sne(torch.randn(10, 2), perplexity=3.0, steps=0), "at least 1"),
        (lambda: t_sne(torch.randn(10, 2), perplexity=3.0, dimensions=0), "at least 1"),
        (lambda: t_sne_loss(P5, torch.randn(4, 2)), r"joint must have shape \(4, 4\)"),
        (lambda: t_sne_loss(5 * P5, torch.randn(5, 2)), "joint must sum to 1, got 5"),
        (lambda: symmetric_sne_loss(12 * P5, torch.randn(5, 2)), "joint must sum to 1, got 12"),
        (lambda: sne_loss(P5, torch.randn(5, 2)), "every row of conditional must sum to 1"),
        (lambda: sne_loss(5 * P5, torch.randn(5)), r"y must have shape"),
    ],
)
def test_bad_input(call, says):
    with pytest.raises(ValueError, match=says):
        call()
