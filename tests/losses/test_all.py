"""What holds for every contrastive loss: it is its formula, in value and gradient, in every precision and layout."""

import itertools

import pytest
import torch
from cases import CASES, CASES_AND_PATHS, TILED, Case
from torch.utils.flop_counter import FlopCounterMode

from clt import losses
from clt.losses import _contrast, _shared

EVERY_CASE_AND_PATH = pytest.mark.parametrize(("case", "path"), CASES_AND_PATHS, indirect=["path"], ids=str)


def slow_rows(case: Case, inputs):
    """``(rows, valid)``: anchors that do not count are 0."""
    rows = case.slow(*inputs)
    valid = torch.tensor([row is not None for row in rows])
    return torch.stack([torch.zeros((), dtype=torch.float64) if row is None else row for row in rows]), valid


def gradients(output, inputs, upstream=None):
    return torch.autograd.grad(output, inputs, upstream, allow_unused=True)


def needing_gradients(inputs):
    return [x.clone().requires_grad_() for x in inputs]


@EVERY_CASE_AND_PATH
def test_value_is_the_formula(case, path):
    inputs = case.inputs()
    rows, valid = slow_rows(case, inputs)
    assert torch.allclose(case.loss(*inputs, reduction="none").flatten(), rows, rtol=1e-12, atol=1e-14)
    assert case.loss(*inputs, reduction="sum").item() == pytest.approx(rows.sum().item(), rel=1e-12)
    assert case.loss(*inputs, reduction="mean").item() == pytest.approx(rows[valid].mean().item(), rel=1e-12)


@EVERY_CASE_AND_PATH
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_gradient_is_that_of_the_formula(case, path, reduction):
    inputs = needing_gradients(case.inputs(seed=1))
    rows, valid = slow_rows(case, inputs)
    loss = case.loss(*inputs, reduction=reduction)
    upstream = torch.linspace(-1.0, 2.5, loss.numel(), dtype=torch.float64).reshape(loss.shape)  # not 1
    if reduction == "none":
        expected = gradients(rows, inputs, upstream.flatten())
    else:
        factor = upstream / valid.sum() if reduction == "mean" else upstream
        expected = gradients(rows[valid].sum(), inputs, factor)
    for found, wanted in zip(gradients(loss, inputs, upstream), expected, strict=True):
        assert torch.allclose(found, wanted, rtol=1e-10, atol=1e-13)


@EVERY_CASE_AND_PATH
def test_gradcheck(case, path):
    inputs = needing_gradients(case.inputs(seed=2))
    assert torch.autograd.gradcheck(case.loss, inputs)


@EVERY_CASE_AND_PATH
def test_a_backward_pass_twice_gives_the_same(case, path):
    inputs = needing_gradients(case.inputs())
    loss = case.loss(*inputs)
    first = torch.autograd.grad(loss, inputs, retain_graph=True)
    assert all(map(torch.equal, first, torch.autograd.grad(loss, inputs)))


@EVERY_CASE_AND_PATH
def test_inputs_are_left_alone(case, path):
    inputs = needing_gradients(case.inputs())
    before = [x.detach().clone() for x in inputs]
    case.loss(*inputs).backward()
    assert all(map(torch.equal, inputs, before))


@EVERY_CASE_AND_PATH
def test_only_one_input_needs_a_gradient(case, path):
    inputs = case.inputs()
    complete = gradients(case.loss(*(every := needing_gradients(inputs))), every)
    for index, expected in enumerate(complete):
        one = inputs[index].clone().requires_grad_()
        loss = case.loss(*inputs[:index], one, *inputs[index + 1 :])
        loss.backward()
        assert torch.allclose(one.grad, expected, rtol=1e-12, atol=1e-15)


@EVERY_CASE_AND_PATH
def test_layout_does_not_matter(case, path):
    inputs = case.inputs()
    strided = [x.mT.contiguous().mT if x.dim() > 1 else torch.stack([x, x], 1)[:, 0] for x in inputs]
    assert not any(x.is_contiguous() for x in strided)
    first, second = needing_gradients(inputs), [x.requires_grad_() for x in strided]
    assert torch.allclose(case.loss(*first), case.loss(*second), rtol=1e-12)
    for a, b in zip(gradients(case.loss(*first), first), gradients(case.loss(*second), second), strict=True):
        assert torch.allclose(a, b, rtol=1e-12, atol=1e-14)


@EVERY_CASE_AND_PATH
def test_expanded_input(case, path):
    """One row repeated without copying, as a learnt vector broadcast over the batch would be."""
    one = [x[:1].clone().requires_grad_() for x in case.inputs()]
    expanded = [x.expand(shape) for x, shape in zip(one, case.shapes, strict=True)]
    copied = [x.contiguous() for x in expanded]
    found = gradients(case.loss(*expanded), one)
    for a, b in zip(found, gradients(case.loss(*copied), one), strict=True):
        assert torch.isfinite(a).all()
        assert torch.allclose(a, b, rtol=1e-10, atol=1e-12)


@EVERY_CASE_AND_PATH
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_lower_precision_is_computed_in_float32(case, path, dtype):
    inputs = needing_gradients(case.inputs(dtype=dtype))
    loss = case.loss(*inputs)
    assert loss.dtype == torch.float32
    exact_inputs = needing_gradients([x.detach().double() for x in inputs])
    exact = case.loss(*exact_inputs)
    assert loss.item() == pytest.approx(exact.item(), rel=1e-5)
    for found, wanted in zip(gradients(loss, inputs), gradients(exact, exact_inputs), strict=True):
        assert found.dtype == dtype
        step = torch.finfo(dtype).eps
        assert torch.allclose(found.double(), wanted, rtol=2 * step, atol=8 * step * wanted.abs().max().item())


@EVERY_CASE_AND_PATH
def test_autocast_changes_nothing(case, path):
    inputs = needing_gradients(case.inputs(dtype=torch.float32))
    for reduction in ("mean", "none"):
        outside = case.loss(*inputs, reduction=reduction)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            inside = case.loss(*inputs, reduction=reduction)
        assert torch.equal(inside, outside)
        weights = torch.rand(outside.shape)
        for a, b in zip(gradients(inside, inputs, weights), gradients(outside, inputs, weights), strict=True):
            assert torch.equal(a, b)


@EVERY_CASE_AND_PATH
def test_autocast_around_the_backward_pass_changes_nothing(case, path):
    if case.name == "info_nce, bilinear":
        pytest.skip("the matrix products of that similarity are the caller's own")
    inputs = needing_gradients(case.inputs(dtype=torch.float32))
    for reduction in ("mean", "none"):
        loss = case.loss(*inputs, reduction=reduction)
        upstream = 65536 * torch.rand(loss.shape)  # the loss scale that training in half precision begins with
        expected = torch.autograd.grad(loss, inputs, upstream, retain_graph=True)
        for dtype in (torch.float16, torch.bfloat16):
            with torch.autocast("cpu", dtype=dtype):
                found = torch.autograd.grad(loss, inputs, upstream, retain_graph=True)
            assert all(map(torch.equal, found, expected))


@EVERY_CASE_AND_PATH
def test_without_gradients_none_is_computed(case, path, monkeypatch):
    asked = []

    def spied(walk):
        def spy(*args):
            asked.append(args[-1])
            return walk(*args)

        return spy

    for name in ("_sweep", "_triangle"):
        monkeypatch.setattr(_contrast, name, spied(getattr(_contrast, name)))
    inputs = needing_gradients(case.inputs())
    expected = case.loss(*inputs).item()
    asked.clear()
    with torch.no_grad():
        assert case.loss(*inputs).item() == expected
    with torch.inference_mode():
        assert case.loss(*inputs).item() == expected
    assert case.loss(*case.inputs()).item() == expected
    assert not any(any(needed) for needed in asked)
    assert bool(asked) == (case.tiled and path != "dense")


@pytest.mark.parametrize("case", TILED, ids=repr)
def test_what_is_kept_from_one_batch_serves_the_next(case, dense):
    inputs = needing_gradients(case.inputs())
    _shared.KEPT.clear()
    with torch.inference_mode():
        first = case.loss(*inputs)
    (sum(g.sum() for g in torch.autograd.grad(case.loss(*inputs), inputs, create_graph=True))).backward()
    assert case.loss(*inputs).item() == first.item()


def test_little_is_kept():
    _shared.KEPT.clear()
    for n in range(2, 50):
        losses.nt_xent_loss(torch.randn(n, 4), torch.randn(n, 4))
    assert 0 < len(_shared.KEPT) <= _shared.MOST_KEPT
    kept = {key: value.clone() for key, value in _shared.KEPT.items()}
    large = torch.randn(400, 4)
    losses.nt_xent_loss(large, large)
    assert max(value.numel() for value in _shared.KEPT.values()) <= _contrast.SMALL
    assert all(torch.equal(value, kept[key]) for key, value in _shared.KEPT.items() if key in kept)


@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("case", TILED, ids=repr)
def test_a_second_derivative_of_tiles_is_an_error(case, tiles, reduction):
    inputs = needing_gradients(case.inputs())
    first = torch.autograd.grad(case.loss(*inputs, reduction=reduction).sum(), inputs, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        sum(g.sum() for g in first).backward()


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_a_second_derivative_of_small_inputs_is_right(case, dense):
    assert torch.autograd.gradgradcheck(case.loss, needing_gradients(case.inputs(seed=3)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("elements", [1, 7, 64, 10**6])
@pytest.mark.parametrize("case", TILED, ids=repr)
def test_the_size_of_a_tile_does_not_matter(case, dtype, elements, monkeypatch):
    inputs = needing_gradients(case.inputs(dtype=dtype))
    results = []
    for limit in (2**62, 0):
        monkeypatch.setattr(_contrast, "DENSE", limit)
        monkeypatch.setattr(_contrast, "TILE", {"cpu": elements})
        loss = case.loss(*inputs)
        results.append([loss.detach(), *gradients(loss, inputs)])
    tolerance = 1e-6 if dtype == torch.float32 else 1e-12
    for whole, tiled in zip(*results, strict=True):
        assert torch.allclose(whole, tiled, rtol=tolerance, atol=tolerance * whole.abs().max().item())


SYMMETRIC = {
    "nt_xent": lambda x, **o: losses.nt_xent_loss(*x.chunk(2), temperature=0.2, **o),
    "sup_con": lambda x, **o: losses.sup_con_loss(x, torch.arange(len(x)) % 50, temperature=0.2, **o),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("name", SYMMETRIC)
def test_half_of_the_matrix_is_as_good_as_all_of_it(name, reduction, dtype, monkeypatch):
    x = torch.randn(350, 12, dtype=dtype, requires_grad=True)
    results = []
    monkeypatch.setattr(_contrast, "DENSE", 0)
    for walk in (_contrast._sweep, _contrast._triangle):
        monkeypatch.setattr(_contrast, "_triangle", walk)
        for elements in (2**10, 2**14, 2**16):  # tiles of 8, 32 and 44 rows, the last ones cut off
            monkeypatch.setattr(_contrast, "TILE", {"cpu": elements})
            loss = SYMMETRIC[name](x, reduction=reduction)
            results.append(
                (loss.detach(), *gradients(loss, x, torch.linspace(1, 2, loss.numel(), dtype=dtype).view_as(loss)))
            )
    tolerance = 1e-6 if dtype == torch.float32 else 1e-12
    for value, gradient in results[1:]:
        assert torch.allclose(value, results[0][0], rtol=tolerance)
        assert torch.allclose(gradient, results[0][1], rtol=tolerance, atol=tolerance * gradient.abs().max().item())


@pytest.mark.parametrize(("n", "symmetric"), [(256, 4), (1024, 6), (3000, 4)])
def test_how_many_operations_the_products_take(n, symmetric):
    d, in_place = 16, {torch.ops.aten.addmm_: lambda onto, left, right, **_: 2 * left[0] * left[1] * right[1]}
    x, y = torch.randn(2, n, d, requires_grad=True).unbind()
    halves = ((lambda f=f: f(x), symmetric) for f in SYMMETRIC.values())
    for loss, limit in ((lambda: losses.info_nce_loss(x, y), 6), *halves):
        with FlopCounterMode(display=False, custom_mapping=in_place) as counter:
            loss().backward()
        operations = counter.get_total_flops() / (n * n * d)
        assert limit <= operations <= limit * (1.15 if n > 1024 and limit == 4 else 1.0)


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_torch_func_transforms_small_inputs(case, dense):
    inputs, along, every = case.inputs(), case.inputs(seed=1), tuple(range(len(case.shapes)))
    differentiable = needing_gradients(inputs)
    expected = gradients(case.loss(*differentiable), differentiable)
    for found, wanted in zip(torch.func.grad(case.loss, every)(*inputs), expected, strict=True):
        assert torch.allclose(found, wanted, rtol=1e-10, atol=1e-13)
    value, change = torch.func.jvp(case.loss, tuple(inputs), tuple(along))
    assert value.item() == pytest.approx(case.loss(*inputs).item(), rel=1e-12)
    assert change.item() == pytest.approx(sum((g * a).sum() for g, a in zip(expected, along, strict=True)).item())
    batches = [torch.stack(pair) for pair in zip(inputs, along, strict=True)]
    one_by_one = torch.stack([case.loss(*inputs, reduction="none"), case.loss(*along, reduction="none")])
    assert torch.allclose(torch.func.vmap(lambda *x: case.loss(*x, reduction="none"))(*batches), one_by_one, rtol=1e-12)


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_torch_func_under_autocast(case, dense):
    if case.name == "info_nce, bilinear":
        pytest.skip("the matrix products of that similarity are the caller's own")
    inputs, every = case.inputs(dtype=torch.float32), tuple(range(len(case.shapes)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = torch.func.grad(case.loss, every)(*inputs)
    assert all(map(torch.equal, found, torch.func.grad(case.loss, every)(*inputs)))


def test_hessians_by_torch_func(dense):
    case = next(case for case in CASES if case.name == "simcse, weighted hard negatives")
    inputs = case.inputs()
    expected = torch.autograd.functional.hessian(case.loss, tuple(inputs))
    for outer, inner in itertools.product((torch.func.jacfwd, torch.func.jacrev), repeat=2):
        found = outer(inner(case.loss, (0, 1, 2)), (0, 1, 2))(*inputs)
        for row, wanted in zip(found, expected, strict=True):
            assert all(map(torch.allclose, row, wanted))


@pytest.mark.parametrize("case", TILED, ids=repr)
def test_torch_func_is_told_why_it_cannot_transform_tiles(case, tiles):
    inputs = case.inputs()
    for transform in (
        lambda: torch.func.grad(case.loss)(*inputs),
        lambda: torch.func.vmap(case.loss)(*(x[None] for x in inputs)),
        lambda: torch.func.jvp(case.loss, tuple(inputs), tuple(inputs)),
    ):
        with pytest.raises(RuntimeError, match="no step of it is kept"):
            transform()
