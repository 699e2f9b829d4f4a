"""Where naive formulas overflow, underflow, divide by zero, or lose the digits that matter."""

import math

import numpy as np
import pytest
import slow_losses as slow
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clt import losses
from clt.losses import _contrast


def backward(loss, *inputs):
    return torch.autograd.grad(loss, inputs)


def finite(*tensors):
    return all(torch.isfinite(x).all() for x in tensors)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("temperature", [0.02, 0.01, 0.001])
def test_opposite_positives_and_identical_negatives(path, dtype, temperature):
    """cos −1 against cos +1: pytorch-metric-learning gives 87.34 and no gradient at temperature 0.01."""
    query = torch.tensor([[1.0, 0.0]], dtype=dtype).repeat(4, 1)
    query[:, 1] = 1e-3  # so that there is a direction to go
    key = query.detach().clone()
    key[0] = torch.tensor([-1.0, 1e-3])
    query.requires_grad_()
    loss = losses.info_nce_loss(query, key, temperature=temperature, reduction="none")
    assert loss[0].item() == pytest.approx(2 / temperature + math.log(3), rel=1e-5)
    (gradient,) = backward(loss[0], query)
    assert finite(gradient)
    assert gradient[0].norm() > 1e-3 / temperature
    views = [x.detach().clone().requires_grad_() for x in (query, key)]
    loss = losses.nt_xent_loss(*views, temperature=temperature, reduction="none")
    assert loss[0].item() == pytest.approx(2 / temperature + math.log(6), rel=1e-5)
    assert all(g.norm() > 1e-3 / temperature for g in backward(loss[0], *views))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("temperature", [0.01, 0.05])
def test_small_losses_keep_their_digits(path, dtype, temperature):
    """Good positives: many rows lose 1e-5 or far less; computed in half precision that would be 0, or less than 0."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(8, 64, generator=generator)
    y = (x + 1.5 * torch.randn(8, 64, generator=generator)).to(dtype)
    x, hard = x.to(dtype), torch.randn(8, 64, generator=generator).to(dtype)
    labels = torch.arange(8)
    for loss in (
        lambda a, b, **o: losses.nt_xent_loss(a, b, temperature=temperature, **o),
        lambda a, b, **o: losses.info_nce_loss(a, b, temperature=temperature, **o),
        lambda a, b, **o: losses.simcse_loss(a, b, hard.to(a), temperature=temperature, **o),
    ):
        low = [v.clone().requires_grad_() for v in (x, y)]
        exact = [v.double().requires_grad_() for v in (x, y)]
        found, wanted = (loss(*v, reduction="none") for v in (low, exact))
        assert found.dtype == torch.float32
        assert torch.allclose(found.double(), wanted, rtol=1e-4, atol=1e-37)
        tolerance = max(4 * torch.finfo(dtype).eps, 1e-4)
        for a, b in zip(backward(found.sum(), *low), backward(wanted.sum(), *exact), strict=True):
            tiny = torch.finfo(dtype).smallest_normal
            assert torch.allclose(a.double(), b, rtol=tolerance, atol=tolerance * b.abs().max().item() + tiny)
    # with several positives the loss is a difference of logits, as exact as float32 logits up to 100 are
    pairs = torch.stack([x, y], 1)
    found, wanted = (losses.sup_con_loss(p, labels, temperature=temperature).item() for p in (pairs, pairs.double()))
    assert found == pytest.approx(wanted, rel=1e-4, abs=1e-7 / temperature)


@pytest.mark.parametrize("temperature", [1e-4, 1e-2, 1.0, 1e3])
def test_any_temperature(path, temperature):
    generator = torch.Generator().manual_seed(2)
    x, y, z = (torch.randn(6, 5, generator=generator) for _ in range(3))
    labels = torch.tensor([0, 1, 0, 1, 2, 2])
    for loss, inputs in (
        (losses.nt_xent_loss, (x, y)),
        (losses.info_nce_loss, (x, y, z)),
        (losses.simcse_loss, (x, y, z)),
        (lambda v, **o: losses.sup_con_loss(v, labels, **o), (x,)),
        (lambda v, w, **o: losses.label_aware_loss(v, labels, w, **o), (x, y)),
        (lambda v, **o: losses.soft_nearest_neighbor_loss(v, labels, **o), (x,)),
        (lambda a, p, n, **o: losses.negative_sampling_loss(a, p, n[:, None], **o), (x, y, z)),
    ):
        single = [v.clone().requires_grad_() for v in inputs]
        double = [v.double().requires_grad_() for v in inputs]
        found, wanted = loss(*single, temperature=temperature), loss(*double, temperature=temperature)
        assert found.item() == pytest.approx(wanted.item(), rel=1e-5)
        for a, b in zip(backward(found, *single), backward(wanted, *double), strict=True):
            assert finite(a)
            assert torch.allclose(a.double(), b, rtol=1e-2, atol=1e-4 * b.abs().max().item())


@pytest.mark.parametrize("norm", [1e-36, 1e-20, 1e-3, 30.0, 1e15, 1e20, 1e38])
def test_any_length_of_the_rows(path, norm):
    """SupContrast's code returns NaN from a length of about 3 on."""
    generator = torch.Generator().manual_seed(3)
    unit = torch.nn.functional.normalize(torch.randn(6, 5, generator=generator), dim=1)
    labels = torch.tensor([0, 1, 0, 1, 2, 2])
    expected = losses.sup_con_loss(unit, labels, temperature=0.07)
    assert losses.sup_con_loss(norm * unit, labels, temperature=0.07).item() == pytest.approx(expected.item(), rel=1e-5)
    scale = min(max(norm, 1e-20), 1e3)
    for similarity in ("dot", lambda x, y: x @ y.T):  # logits up to 1e6: only the row maximum helps
        loss = losses.info_nce_loss(scale * unit, scale * unit.flip(0), temperature=1.0, similarity=similarity)
        exact = losses.info_nce_loss(
            scale * unit.double(), scale * unit.flip(0).double(), temperature=1.0, similarity=similarity
        )
        assert loss.item() == pytest.approx(exact.item(), rel=1e-5)


def test_zero_rows_have_finite_gradients(path):
    x = torch.zeros(4, 3, requires_grad=True)
    y = torch.randn(4, 3, requires_grad=True)
    labels = torch.tensor([0, 0, 1, 1])
    for loss in (
        losses.nt_xent_loss(x, y),
        losses.info_nce_loss(x, y, y),
        losses.simcse_loss(x, y, x),
        losses.sup_con_loss(torch.stack([x, y], 1), labels),
        losses.ifcl_loss(x, y, x, losses.twin_margin(x, y, x)),
    ):
        gradients = backward(loss, x, y)
        assert finite(loss, *gradients)
        assert all(g.abs().max() < 1e3 for g in gradients)
    assert losses.info_nce_loss(x, y).item() == pytest.approx(math.log(4))


@pytest.mark.parametrize("gap", [50.0, 200.0, 1e4, 1e30])
def test_a_weighting_network_that_is_very_sure_and_wrong(path, gap):
    x = torch.randn(6, 4, requires_grad=True)
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    logits = torch.zeros(6, 3)
    logits[:, 2] = gap  # a class that is not there: every weight in the sum is about e^−gap
    logits.requires_grad_()
    for where in ("inside", "outside"):
        loss = losses.label_aware_loss(x, labels, logits, positive_weight=where)
        assert finite(loss, *backward(loss, x, logits))
    if gap < 1e3:
        equal = losses.sup_con_loss(x, labels, temperature=0.3).item()
        inside = losses.label_aware_loss(x, labels, logits, positive_weight="inside").item()
        assert inside == pytest.approx(equal, rel=1e-4)


@pytest.mark.parametrize("labels", [[0], [0, 1, 2, 3], [5, 5, 5, 5], [0, 1, 1, 1]], ids=str)
def test_classes_with_one_member_and_one_class_only(path, labels):
    n, labels = len(labels), torch.tensor(labels)
    generator = torch.Generator().manual_seed(4)
    x, logits = (torch.randn(n, 6, generator=generator, dtype=torch.float64, requires_grad=True) for _ in range(2))
    for fast, rows, inputs in (
        (losses.sup_con_loss, slow.sup_con, (x, labels)),
        (losses.soft_nearest_neighbor_loss, slow.soft_nearest_neighbor, (x, labels)),
        (losses.label_aware_loss, slow.label_aware, (x, labels, logits)),
    ):
        counted = [row for row in rows(*inputs, temperature=0.5) if row is not None]
        loss = fast(*inputs, temperature=0.5)
        wanted = sum(counted) / len(counted) if counted else 0 * x.sum()
        assert loss.item() == pytest.approx(wanted.item(), rel=1e-12, abs=1e-15)
        assert torch.allclose(backward(loss, x)[0], backward(wanted, x)[0], rtol=1e-10, atol=1e-14)
        each = fast(*inputs, temperature=0.5, reduction="none")
        assert finite(each, *backward(each.sum(), x))
        alone = torch.bincount(labels)[labels] == 1
        assert torch.equal(each[alone], torch.zeros_like(each[alone]))


def test_one_pair_costs_nothing_and_keeps_its_graph(path):
    x, y = (torch.randn(1, 4, requires_grad=True) for _ in range(2))
    for loss in (losses.nt_xent_loss(x, y), losses.info_nce_loss(x, y), losses.simcse_loss(x, y)):
        assert loss.item() == 0
        assert all(torch.equal(g, torch.zeros_like(g)) for g in backward(loss, x, y))
    assert losses.nt_xent_loss(x, y, reduction="none").tolist() == [0, 0]
    hard = losses.simcse_loss(x, y, x)
    cosine = torch.cosine_similarity(x, y).item()
    assert hard.item() == pytest.approx(math.log1p(math.exp((1 - cosine) / 0.05)), rel=1e-5)
    alignment, distribution = losses.nt_xent_terms(x, y)
    assert (alignment + distribution).item() == pytest.approx(0, abs=1e-6)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    n=st.integers(1, 7),
    d=st.integers(1, 5),
    m=st.integers(0, 4),
    classes=st.integers(1, 4),
    scale=st.sampled_from([1e-3, 1.0, 30.0]),
    temperature=st.sampled_from([0.05, 0.3, 2.0]),
    dtype=st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64]),
    elements=st.sampled_from([None, 1, 11]),
    seed=st.integers(0, 2**16),
)
def test_any_shape_label_scale_and_type(n, d, m, classes, scale, temperature, dtype, elements, seed):
    generator = np.random.default_rng(seed)
    x, y, w = (torch.tensor(scale * generator.normal(size=(n, d))).to(dtype) for _ in range(3))
    extra = torch.tensor(scale * generator.normal(size=(m, d))).to(dtype)
    weights = torch.tensor(generator.integers(0, 3, size=m) / 2).to(dtype)
    labels = torch.tensor(generator.integers(0, classes, size=n))
    logits = torch.tensor(generator.normal(size=(n, classes))).to(dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_contrast, "DENSE", 2**62 if elements is None else 0)
        patch.setattr(_contrast, "TILE", {"cpu": elements or 1})
        for fast, rows, inputs in (
            (losses.nt_xent_loss, slow.nt_xent, (x, y)),
            (losses.info_nce_loss, slow.info_nce, (x, y, extra, weights)),
            (losses.simcse_loss, slow.simcse, (x, y, w)),
            (losses.sup_con_loss, slow.sup_con, (x, labels)),
            (losses.label_aware_loss, slow.label_aware, (x, labels, logits)),
        ):
            exact = [i.double() if i.is_floating_point() else i for i in inputs]
            wanted = [0.0 if row is None else float(row) for row in rows(*exact, temperature=temperature)]
            found = fast(*inputs, temperature=temperature, reduction="none")
            assert finite(found)
            assert found.tolist() == pytest.approx(wanted, rel=1e-4, abs=1e-5 if dtype != torch.float64 else 1e-9)
