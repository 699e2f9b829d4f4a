import itertools
import math

import numpy as np
import pytest
import torch

from clt import metrics

approx = pytest.approx


def cloud(n, d, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def official(k):
    """The closed-form inputs of the published values: rows 1..6, columns 1..5."""
    i, j = torch.meshgrid(torch.arange(1.0, 7), torch.arange(1.0, 6), indexing="ij")
    i, j = i.double(), j.double()
    z1 = torch.sin(0.7 * i + 1.3 * j) + 0.1 * torch.cos(2.1 * i * j)
    return z1 if k == 1 else z1 + 0.5 * torch.sin(3.7 * i - 0.9 * j)


def unit(x):
    x = x.tolist()
    return [[v / math.sqrt(sum(w * w for w in row)) for v in row] for row in x]


def test_alignment_is_the_formula():
    x, y = cloud(7, 3), cloud(7, 3, seed=1)
    for alpha in (1.0, 2.0, 3.0):
        slow = sum(math.dist(a, b) ** alpha for a, b in zip(unit(x), unit(y), strict=True)) / 7
        assert metrics.alignment(x, y, alpha=alpha).item() == approx(slow, rel=1e-12)


def test_uniformity_is_the_formula():
    x = cloud(7, 3)
    pairs = list(itertools.combinations(unit(x), 2))
    for t in (1.0, 2.0):
        slow = math.log(sum(math.exp(-t * math.dist(a, b) ** 2) for a, b in pairs) / len(pairs))
        assert metrics.uniformity(x, t=t).item() == approx(slow, rel=1e-9)


def test_anisotropy_is_the_mean_cosine_of_different_rows():
    x = cloud(9, 4) + 0.5
    rows = unit(x)
    slow = [sum(p * q for p, q in zip(a, b, strict=True)) for a, b in itertools.combinations(rows, 2)]
    assert metrics.anisotropy(x).item() == approx(sum(slow) / len(slow), rel=1e-12)


def test_isotropy_is_the_formula():
    x = cloud(9, 4) + 0.3
    rows = np.array(unit(x))
    values = []
    for direction in np.linalg.eigh(rows.T @ rows)[1].T:
        values += [np.exp(sign * rows @ direction).sum() for sign in (1, -1)]
    assert metrics.isotropy(x).item() == approx(min(values) / max(values), rel=1e-9)
    assert metrics.isotropy(7 * x).item() == approx(metrics.isotropy(x).item())


def test_isotropy_of_a_cone_and_of_a_cloud_that_is_the_same_all_round():
    cone = cloud(200, 5) * 0.01 + torch.tensor([1.0, 0, 0, 0, 0])
    assert metrics.isotropy(cone).item() == approx(math.exp(-2), rel=0.01)
    axes = torch.eye(5)
    assert metrics.isotropy(torch.cat([axes, -axes])).item() == approx(1)
    with pytest.raises(ValueError, match="at least 2"):
        metrics.isotropy(cone[:1])


def test_official_values():
    """Wang and Isola's released code on the closed-form input, normalised before."""
    x, y = official(1).requires_grad_(), official(2).requires_grad_()
    value = metrics.alignment(x, y)
    value.backward()
    assert value.item() == approx(0.14505625414446136, rel=1e-12)
    assert x.grad.norm().item() == approx(0.19206928763516187, rel=1e-9)
    assert y.grad.norm().item() == approx(0.22193910738752734, rel=1e-9)
    x = official(1).requires_grad_()
    value = metrics.uniformity(x)
    value.backward()
    assert value.item() == approx(-1.9837456511243274, rel=1e-9)
    assert x.grad.norm().item() == approx(0.562683688168117, rel=1e-9)


def test_the_extremes_of_the_sphere():
    poles = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    assert metrics.alignment(poles, poles).item() == 0
    assert metrics.alignment(poles, -poles).item() == approx(4)
    assert metrics.anisotropy(poles).item() == approx(-1)
    collapsed = torch.ones(5, 3)
    assert metrics.uniformity(collapsed).item() == approx(0, abs=1e-6)
    assert metrics.anisotropy(collapsed).item() == approx(1)
    assert metrics.uniformity(torch.randn(500, 512, generator=torch.Generator().manual_seed(0))).item() == approx(
        -4, abs=0.1
    )


@pytest.mark.parametrize("scale", [1e-300, 1e-3, 30.0, 1e300])
def test_the_length_of_the_embeddings_does_not_count(scale):
    x, y = cloud(6, 4), cloud(6, 4, seed=1)
    assert metrics.alignment(x * scale, y).item() == approx(metrics.alignment(x, y).item())
    assert metrics.uniformity(x * scale).item() == approx(metrics.uniformity(x).item())
    assert metrics.anisotropy(x * scale).item() == approx(metrics.anisotropy(x).item())


def test_against_strangers_is_a_distance_in_units_of_that_of_strangers():
    x, y = cloud(6, 4), cloud(6, 4, seed=1)
    pairs = sum(1 - torch.cosine_similarity(a, b, dim=0).item() for a, b in zip(x, y, strict=True)) / 6
    others = [1 - torch.cosine_similarity(x[i], x[j], dim=0).item() for i in range(6) for j in range(6) if i != j]
    assert metrics.against_strangers(x, y).item() == approx(pairs / (sum(others) / 30))
    assert metrics.against_strangers(x, 3 * x).item() == approx(0, abs=1e-12)
    many, strangers = cloud(400, 3), cloud(400, 3, seed=1)
    assert metrics.against_strangers(many, strangers).item() == approx(1, abs=0.1)


def test_a_narrower_cone_leaves_the_distance_against_strangers():
    x, y = cloud(400, 50), cloud(400, 50, seed=1)
    y = x + 0.3 * y
    wide, narrow = (metrics.against_strangers(x + shift, y + shift).item() for shift in (0.0, 3.0))
    assert metrics.alignment(x + 3, y + 3) < 0.2 * metrics.alignment(x, y)
    assert narrow == approx(wide, rel=0.1)


def test_gradcheck():
    assert torch.autograd.gradcheck(metrics.alignment, (cloud(4, 3).requires_grad_(), cloud(4, 3, 1).requires_grad_()))
    assert torch.autograd.gradcheck(metrics.uniformity, cloud(4, 3).requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    x, y = (cloud(500, 256, seed=seed).add(0.5).to(dtype) for seed in (0, 1))
    for metric, inputs in ((metrics.alignment, (x, y)), (metrics.uniformity, (x,)), (metrics.anisotropy, (x,))):
        found = metric(*inputs)
        assert found.dtype == torch.float32
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(metric(*inputs), found)
        assert found.item() == approx(metric(*(i.double() for i in inputs)).item(), rel=1e-4)


def test_pairs_of_unequal_shapes_have_no_distance():
    with pytest.raises(ValueError, match=r"one shape, got \(3, 2\) and \(2, 2\)"):
        metrics.against_strangers(torch.ones(3, 2), torch.ones(2, 2))


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
def test_a_pair_that_coincides_has_no_pull(alpha):
    x = cloud(3, 4).requires_grad_()
    y = torch.cat([x[:1], cloud(2, 4, seed=1)]).detach()
    value = metrics.alignment(x, y, alpha=alpha)
    (gradient,) = torch.autograd.grad(value, x)
    assert value.item() == approx(2 / 3 * metrics.alignment(x[1:], y[1:], alpha=alpha).item())
    assert torch.equal(gradient[0], torch.zeros(4))
    assert gradient[1:].isfinite().all()


@pytest.mark.parametrize(
    "call",
    [
        lambda: metrics.alignment(torch.ones(3, 2), torch.ones(2, 2)),
        lambda: metrics.alignment(torch.ones(0, 2), torch.ones(0, 2)),
        lambda: metrics.uniformity(torch.ones(1, 2)),
        lambda: metrics.anisotropy(torch.ones(4)),
        lambda: metrics.against_strangers(torch.ones(1, 2), torch.ones(1, 2)),
    ],
)
def test_wrong_shapes_say_what_came(call):
    with pytest.raises(ValueError, match=r"expected .*got"):
        call()


def test_spearman_counts_order_only_and_handles_ties():
    left = torch.eye(4)
    right = torch.tensor([[1.0, 0, 0, 0], [1.0, 1, 0, 0], [1.0, 0, 0.5, 0], [1.0, 0, 0, 0]])  # cosines 1, .71, .45, 0
    assert metrics.sts_spearman(left, right, [5, 4, 2, 0]) == approx(1)
    assert metrics.sts_spearman(left, right, [0, 1, 2, 3]) == approx(-1)
    # ties by hand: ranks of the scores 3.5 3.5 2 1 against 4 3 2 1
    a, b = np.array([3.5, 3.5, 2, 1]), np.array([4, 3, 2, 1])
    assert metrics.sts_spearman(left, right, [4, 4, 2, 0]) == approx(np.corrcoef(a, b)[0, 1])


def test_rounding_puts_no_order_into_pairs_that_are_equal():
    """Every sentence with itself: whatever the order of the scores, nothing can be told from cosines that are all 1."""
    generator = torch.Generator().manual_seed(0)
    x, scores = torch.randn(200, 64, generator=generator), torch.rand(200, generator=generator)
    for y in (x, 3 * x, x + 1e-7 * torch.randn(200, 64, generator=generator)):
        with pytest.raises(ValueError, match="all 200 cosines are equal"):
            metrics.sts_spearman(x, y, scores)
    y = torch.cat([x[:100], torch.randn(100, 64, generator=generator)])
    groups = torch.cat([torch.ones(100), torch.zeros(100)])  # half of the pairs are equal: ties, as the scores have
    ranks = np.array([150.5] * 100 + list(range(1, 101)))
    assert metrics.sts_spearman(x, y, groups) == approx(np.corrcoef(ranks, groups)[0, 1])


def test_a_small_order_is_seen():
    """Cosines between 1 − 5e-7 and 1, as of an encoder that is nearly collapsed: float32 has five values there."""
    angles = torch.linspace(0, 1e-3, 50)
    left = torch.tensor([[1.0, 0.0]]).repeat(50, 1)
    right = torch.stack([angles.cos(), angles.sin()], dim=1)
    assert metrics.sts_spearman(left, right, -angles) == approx(1)
    assert metrics.sts_spearman(left * 1e-9, right * 1e-9, -angles) == approx(1), "however short the vectors"


@pytest.mark.parametrize("alpha", [0.5, 1.0, 1.5, 2.0, 3.0])
def test_the_gradient_of_alignment_is_finite_where_a_pair_coincides(alpha):
    x, y = cloud(4, 3), cloud(4, 3, seed=1)
    y[2] = x[2]
    x.requires_grad_()
    value = metrics.alignment(x, y, alpha=alpha)
    value.backward()
    assert x.grad.isfinite().all()
    assert (x.grad[2] == 0).all()
    others = torch.tensor([0, 1, 3])
    z = x.detach()[others].requires_grad_()
    (metrics.alignment(z, y[others], alpha=alpha) * 3 / 4).backward()
    assert torch.allclose(x.grad[others], z.grad)
    assert value.item() == approx(metrics.alignment(z, y[others], alpha=alpha).item() * 3 / 4)


@pytest.mark.parametrize("alpha", [0.0, -1.0, float("nan")])
def test_alignment_refuses_a_power_that_is_not_positive(alpha):
    with pytest.raises(ValueError, match="alpha should be positive"):
        metrics.alignment(cloud(3, 2), cloud(3, 2), alpha=alpha)


@pytest.mark.parametrize(
    ("left", "scores", "message"),
    [
        (torch.eye(3), [1, 2], "got"),
        (torch.eye(3), [1, 1, 1], "equal"),
        (torch.full((3, 3), torch.nan), [1, 2, 3], "not finite"),
        (torch.eye(3), [1, 2, float("nan")], "not finite"),
    ],
)
def test_spearman_refuses_what_has_no_value(left, scores, message):
    with pytest.raises(ValueError, match=message):
        metrics.sts_spearman(left, torch.eye(3), scores)


def test_linear_probe_reads_what_is_linear_and_nothing_else():
    x = cloud(400, 5)
    linear, parity = (x[:, 0] > 0).int(), (x[:, 0] * x[:, 1] > 0).int()
    assert metrics.linear_probe(x[:300], linear[:300], x[300:], linear[300:]) > 0.95
    assert metrics.linear_probe(x[:300], parity[:300], x[300:], parity[300:]) < 0.7
    names = ["yes" if v else "no" for v in linear]
    assert metrics.linear_probe(x[:300], names[:300], x[300:], names[300:]) > 0.95


def test_linear_probe_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="labels"):
        metrics.linear_probe(torch.ones(3, 2), [0, 1], torch.ones(1, 2), [0])


def test_nearest_neighbor_goes_by_the_angle():
    gallery = torch.tensor([[1.0, 0.0], [0.0, 5.0], [-2.0, -2.0]])
    asked = torch.tensor([[9.0, 1.0], [0.1, 0.2], [-3.0, -1.0], [0.9, 1.0]])  # the last is nearer to the first in space
    assert metrics.nearest_neighbor(gallery, list("abc"), asked, list("abcb")) == 1.0
    assert metrics.nearest_neighbor(gallery, [0, 1, 2], asked, torch.tensor([0, 1, 0, 2])) == 0.5
    assert metrics.nearest_neighbor(100 * gallery, [0, 1, 2], asked, [0, 1, 2, 1]) == 1.0


def test_nearest_neighbor_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="labels"):
        metrics.nearest_neighbor(torch.ones(3, 2), [0, 1], torch.ones(1, 2), [0])
    with pytest.raises(ValueError, match="got"):
        metrics.nearest_neighbor(torch.ones(2, 2), [0, 1], torch.ones(1, 3), [0])


def test_trustworthiness_is_the_formula_and_scikit_learns():
    from sklearn.manifold import trustworthiness as theirs

    x, y = cloud(30, 6), cloud(30, 2, seed=1)
    for k in (1, 5, 14):
        total = 0
        for i in range(30):
            near = lambda z, i=i: sorted((j for j in range(30) if j != i), key=lambda j: math.dist(z[i], z[j]))
            ranks, seen = near(x.tolist()), near(y.tolist())[:k]
            total += sum(max(0, ranks.index(j) + 1 - k) for j in seen)
        slow = 1 - 2 * total / (30 * k * (60 - 3 * k - 1))
        assert metrics.trustworthiness(x, y, k) == approx(slow, rel=1e-12)
        assert metrics.trustworthiness(x, y, k) == approx(theirs(x.numpy(), y.numpy(), n_neighbors=k), rel=1e-9)
    assert metrics.trustworthiness(x, 3 * x + 1) == 1
    assert metrics.trustworthiness(x.half(), x.half()) == 1


def test_knn_accuracy_asks_the_other_points():
    x = torch.tensor([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0], [12.5]])
    labels = torch.tensor([0, 0, 0, 1, 1, 1, 0])
    assert metrics.knn_accuracy(x, labels, k=1) == approx(5 / 7)
    assert metrics.knn_accuracy(x, labels, k=2) == approx(5 / 7), "two votes, one each: the smaller label"
    assert metrics.knn_accuracy(x, labels, k=3) == approx(6 / 7)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: metrics.trustworthiness(cloud(9, 2), cloud(8, 2)), "expected"),
        (lambda: metrics.trustworthiness(cloud(9, 2), cloud(9, 2), k=5), "below N/2 = 4.5, got 5"),
        (lambda: metrics.knn_accuracy(cloud(9, 2), torch.zeros(8)), "expected"),
        (lambda: metrics.knn_accuracy(cloud(9, 2), torch.zeros(9), k=9), "below N = 9"),
    ],
)
def test_what_maps_refuse(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_nearest_neighbor_counts_all_of_k_alike():
    x, asked = cloud(12, 4), cloud(5, 4, seed=1)
    y, goal = [0, 1, 2] * 4, [0, 1, 2, 0, 1]
    expected = 0
    for point, label in zip(asked, goal, strict=True):
        order = torch.cosine_similarity(point, x).argsort(descending=True).tolist()
        expected += sum(y[i] == label for i in order[:3]) / 3
    assert metrics.nearest_neighbor(x, y, asked, goal, k=3) == approx(expected / 5)
    for k in (0, 13):
        with pytest.raises(ValueError, match="between 1 and the 12"):
            metrics.nearest_neighbor(x, y, asked, goal, k=k)


def test_modality_gap_is_that_of_the_paper_and_shifting_closes_it():
    """Values on the closed-form input, by the formula of Liang et al. (2022), section 4.2."""
    x, y = (z / z.norm(dim=1, keepdim=True) for z in (official(1), official(2)))
    gap = metrics.modality_gap(5 * x, y)
    assert gap.shape == (5,)
    assert gap.norm().item() == approx(0.11667841265449926, rel=1e-12)
    for share, value in {0.25: 0.07674513527844505, 0.5: 0.04015033653509569, -0.5: 0.19824229525223952}.items():
        assert metrics.modality_gap(x - share * gap, y + share * gap).norm().item() == approx(value, rel=1e-12)
    for wrong in ((x, y[:0]), (x[0], y), (x[:, :2], y)):
        with pytest.raises(ValueError, match="expected"):
            metrics.modality_gap(*wrong)


def test_median_rank_counts_the_first_relevant_document():
    scores = torch.tensor([[0.9, 0.5, 0.1], [0.9, 0.5, 0.1], [0.9, 0.5, 0.1]])
    assert metrics.median_rank(scores, torch.eye(3)) == 2
    assert metrics.median_rank(scores[:2], torch.eye(3)[:2]) == 1.5
    assert metrics.median_rank(scores[:1], torch.tensor([[0, 1, 1]])) == 2
    with pytest.raises(ValueError, match="1 of 2"):
        metrics.median_rank(scores[:2], torch.tensor([[0, 0, 0], [0, 1, 0]]))
