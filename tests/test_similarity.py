"""Similarity matrices against loops, PyTorch, and the cases in which the short formula loses its digits."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clt.similarity import cosine_similarity, dot_product, normalize, squared_euclidean

EVERY = pytest.mark.parametrize("function", [cosine_similarity, dot_product, squared_euclidean])


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def slow(function, x, y):
    if function is squared_euclidean:
        return [[math.dist(a, b) ** 2 for b in y] for a in x]
    lengths = function is cosine_similarity
    return [[a @ b / (np.linalg.norm(a) * np.linalg.norm(b) if lengths else 1) for b in y] for a in x]


@EVERY
@settings(deadline=None, derandomize=True, max_examples=30)
@given(n=st.integers(1, 5), m=st.integers(1, 5), d=st.integers(1, 6), seed=st.integers(0, 2**16))
def test_is_the_formula(function, n, m, d, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, d)), rng.normal(size=(m, d))
    assert function(torch.tensor(x), torch.tensor(y)).numpy() == pytest.approx(np.array(slow(function, x, y)))
    assert function(torch.tensor(x)).numpy() == pytest.approx(np.array(slow(function, x, x)), abs=1e-12)


@EVERY
def test_gradcheck(function):
    x, y = (torch.randn(n, 3, dtype=torch.float64, requires_grad=True) for n in (4, 5))
    assert torch.autograd.gradcheck(function, (x, y))
    assert torch.autograd.gradgradcheck(function, (x, y))
    assert torch.autograd.gradcheck(function, x)


@EVERY
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_half_precision_is_computed_in_float32_also_under_autocast(function, dtype):
    x, y = torch.randn(4, 64).to(dtype), torch.randn(5, 64).to(dtype)
    exact = function(x.double(), y.double())
    found = function(x, y)
    assert found.dtype == torch.float32
    assert torch.allclose(found.double(), exact, rtol=1e-5, atol=1e-5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(function(x, y), found)
    assert function(x, y.double()).dtype == torch.float64


@EVERY
def test_layout_does_not_matter(function):
    x = torch.randn(4, 3, dtype=torch.float64)
    strided, one = x.T.contiguous().T, torch.randn(1, 3, dtype=torch.float64).expand(6, 3)
    assert torch.allclose(function(strided, one), function(x, one.contiguous()), rtol=1e-13)
    assert function(x, x[:0]).shape == (4, 0)


@EVERY
@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (torch.ones(3), None, r"x must be a matrix \(N, D\), got shape \(3,\)"),
        (torch.ones(2, 3), torch.ones(3), r"y must be a matrix \(M, 3\) as wide as x, got shape \(3,\)"),
        (torch.ones(2, 3), torch.ones(2, 4), r"y must be a matrix \(M, 3\) as wide as x, got shape \(2, 4\)"),
    ],
)
def test_bad_shapes_are_named(function, x, y, message):
    with pytest.raises(ValueError, match=message):
        function(x, y)


def test_squared_distance_of_neighbours_far_from_the_origin():
    """‖x‖² + ‖y‖² − 2 x·y in float32 has no digit left here: it is 0 or 8, where the truth is 1e-4."""
    rng = np.random.default_rng(0)
    x = (1000 + rng.normal(size=(6, 16))).astype(np.float32)
    y = (x + 1e-2 * rng.normal(size=x.shape)).astype(np.float32)
    exact = ((x[:, None].astype(float) - y.astype(float)) ** 2).sum(-1)
    assert squared_euclidean(torch.tensor(x), torch.tensor(y)).numpy() == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_squared_distance_of_near_duplicates(scale):
    x = scale * torch.randn(8, 32)
    y = x * (1 + 1e-5)
    exact = torch.cdist(x.double(), y.double(), compute_mode="donot_use_mm_for_euclid_dist").square()
    assert torch.allclose(squared_euclidean(x, y).double(), exact, rtol=1e-4)


def test_squared_distance_to_oneself_is_zero_with_a_finite_gradient():
    x = torch.randn(5, 7).repeat(2, 1).requires_grad_()  # every row twice
    distance = squared_euclidean(x)
    assert (distance >= 0).all()
    assert torch.equal(distance.diagonal(), torch.zeros(10))
    assert distance[0, 5] < 1e-12
    (gradient,) = torch.autograd.grad(distance[0, 5] + distance[2, 2], x)
    assert gradient.abs().max() < 1e-12


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_normalize_the_longest_and_shortest_rows(dtype):
    """Their squares overflow, or vanish."""
    limits = torch.finfo(dtype)
    x = torch.tensor([[3.0, -4.0, 0.0]], dtype=dtype)
    for scale in (limits.smallest_normal, limits.smallest_normal**0.6, limits.max**0.6, limits.max / 5):
        rows = (scale * x).requires_grad_()
        unit = normalize(rows)
        assert torch.allclose(unit, torch.tensor([[0.6, -0.8, 0.0]], dtype=dtype))
        gradient = torch.autograd.grad(unit[0, 2], rows)[0][0, 2]
        assert gradient.item() == pytest.approx(1 / (5 * scale), rel=1e-5)


def test_normalize():
    x = torch.tensor([[3.0, 4.0], [0.0, 0.0], [1e-20, 0.0], [0.0, 1e15]], requires_grad=True)
    unit = normalize(x)
    assert torch.allclose(unit, torch.tensor([[0.6, 0.8], [0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    (gradient,) = torch.autograd.grad(unit.sum(), x)
    assert torch.isfinite(gradient).all()
    rows = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.allclose(normalize(rows), torch.nn.functional.normalize(rows, dim=1), rtol=1e-14)
    assert torch.autograd.gradcheck(normalize, rows)
    assert torch.autograd.gradgradcheck(normalize, rows)
