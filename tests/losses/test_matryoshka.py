"""Matryoshka: reference values, what a prefix is, extremes, and what it refuses."""

from functools import partial

import pytest
import slow_losses as slow
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from clt import losses

INFO_NCE = partial(losses.info_nce_loss, temperature=0.05)


def test_it_is_that_of_the_reference(official):
    """One-sided InfoNCE at τ = 0.05 on prefixes of 5, 3 and 2 numbers, each normalised anew; the sum, not the mean."""
    u, v = (official[name].clone().requires_grad_() for name in ("z1", "z2"))
    parts = [losses.matryoshka_loss(INFO_NCE, u, v, dimensions=[d]).item() for d in (5, 3, 2)]
    assert parts == pytest.approx([0.2733862076354377, 0.24093455664433283, 0.2692154829693379], rel=1e-9)
    loss = losses.matryoshka_loss(INFO_NCE, u, v, dimensions=[5, 3, 2])
    assert loss.item() == pytest.approx(0.7835362472491083, rel=1e-9)
    first, second = torch.autograd.grad(loss, (u, v))
    assert [first.norm().item(), second.norm().item()] == pytest.approx([2.0054468942814063, 3.4554773859944596])
    wanted = [-0.7238291855370609, -1.094072067112009, -0.39366827465967785, 0.1645284224885387, 0.15231490404208708]
    assert first[0].tolist() == pytest.approx(wanted)


@settings(deadline=None, derandomize=True, max_examples=30)
@given(n=st.integers(1, 5), width=st.integers(1, 6), seed=st.integers(0, 2**16), data=st.data())
def test_it_is_the_sum_of_slow_losses(n, width, seed, data):
    dimensions = data.draw(st.lists(st.integers(1, width), min_size=1, unique=True))
    x, y = torch.randn(2, n, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    x, y = x.requires_grad_(), y.requires_grad_()
    loss = losses.matryoshka_loss(partial(losses.info_nce_loss, temperature=0.4), x, y, dimensions=dimensions)
    rows = slow.matryoshka(partial(slow.info_nce, temperature=0.4), x, y, dimensions=dimensions)
    wanted = sum(rows) / n
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-9, abs=1e-12)
    ours, theirs = torch.autograd.grad(loss, (x, y)), torch.autograd.grad(wanted, (x, y))
    for mine, its in zip(ours, theirs, strict=True):
        assert torch.allclose(mine, its, rtol=1e-7, atol=1e-10)
        assert mine[:, max(dimensions) :].abs().sum() == 0, "what no prefix reaches has no gradient"


def test_any_loss_with_any_number_of_embeddings_and_any_reduction():
    x, y, z = torch.randn(3, 4, 6)
    loss = losses.matryoshka_loss(losses.simcse_loss, x, y, z, dimensions=(6, 2))
    assert loss.item() == pytest.approx(
        (losses.simcse_loss(x, y, z) + losses.simcse_loss(*torch.stack([x, y, z])[..., :2])).item()
    )
    labels = torch.tensor([0, 0, 1, 1])
    rows = losses.matryoshka_loss(lambda e: losses.sup_con_loss(e, labels, reduction="none"), x, dimensions=(6, 3))
    assert rows.shape == (4,)
    views = torch.randn(4, 2, 6)
    assert losses.matryoshka_loss(lambda e: losses.sup_con_loss(e, labels), views, dimensions=[4]).ndim == 0


def test_the_order_of_the_lengths_and_a_turn_of_the_space():
    """The order of lengths changes nothing; a turn leaves the loss of whole vectors, and not that of prefixes."""
    x, y = torch.randn(2, 6, 8, dtype=torch.float64)
    turn = torch.linalg.qr(torch.randn(8, 8, dtype=torch.float64))[0]
    of = lambda a, b, *lengths: losses.matryoshka_loss(INFO_NCE, a, b, dimensions=lengths).item()
    assert of(x, y, 8, 2, 4) == pytest.approx(of(x, y, 2, 4, 8))
    assert of(x @ turn, y @ turn, 8) == pytest.approx(of(x, y, 8))
    assert abs(of(x @ turn, y @ turn, 2) - of(x, y, 2)) > 1e-3


def test_gradcheck():
    x, y = torch.randn(2, 3, 4, dtype=torch.float64)
    call = lambda a, b: losses.matryoshka_loss(partial(losses.info_nce_loss, temperature=0.5), a, b, dimensions=(4, 2))
    assert torch.autograd.gradcheck(call, (x.requires_grad_(), y.requires_grad_()))
    assert torch.autograd.gradgradcheck(call, (x, y))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_lower_precision_and_extremes(dtype):
    x = torch.randn(5, 6, generator=torch.Generator().manual_seed(1)).to(dtype)
    y = (x + 0.25 * torch.randn(5, 6, generator=torch.Generator().manual_seed(2)).to(dtype)).to(dtype)
    for scale, temperature in ((1.0, 0.05), (100.0, 0.01), (0.01, 1.0)):
        a, b = ((z * scale).detach().requires_grad_() for z in (x, y))
        loss = partial(losses.info_nce_loss, temperature=temperature)
        found = losses.matryoshka_loss(loss, a, b, dimensions=(6, 3, 1))
        wanted = losses.matryoshka_loss(loss, a.detach().double(), b.detach().double(), dimensions=(6, 3, 1))
        assert found.dtype == torch.float32
        assert found.item() == pytest.approx(wanted.item(), rel=1e-3, abs=1e-4)
        assert all(torch.isfinite(g).all() for g in torch.autograd.grad(found, (a, b)))


def test_a_prefix_of_zeros_has_a_gradient():
    x = F.pad(torch.randn(4, 3), (2, 0)).requires_grad_()
    loss = losses.matryoshka_loss(INFO_NCE, x, x + 0.1, dimensions=(5, 2))
    assert torch.isfinite(loss)
    assert torch.isfinite(torch.autograd.grad(loss, x)[0]).all()


def test_what_it_refuses():
    x, whole = torch.randn(4, 6), torch.ones(4, 6, dtype=torch.long)
    for error, message, call in (
        (ValueError, "at least one tensor", lambda: losses.matryoshka_loss(INFO_NCE, dimensions=[2])),
        (ValueError, "one width, got 3, 6", lambda: losses.matryoshka_loss(INFO_NCE, x, x[:, :3], dimensions=[2])),
        (ValueError, "from 1 to 6, got 7", lambda: losses.matryoshka_loss(INFO_NCE, x, x, dimensions=[2, 7])),
        (ValueError, "from 1 to 6, got 0", lambda: losses.matryoshka_loss(INFO_NCE, x, x, dimensions=[0])),
        (ValueError, "each named once", lambda: losses.matryoshka_loss(INFO_NCE, x, x, dimensions=[2, 2])),
        (ValueError, "at least one, each", lambda: losses.matryoshka_loss(INFO_NCE, x, x, dimensions=[])),
        (TypeError, "integers, got 2.0", lambda: losses.matryoshka_loss(INFO_NCE, x, x, dimensions=[2.0])),
        (TypeError, "integers, got True", lambda: losses.matryoshka_loss(INFO_NCE, x, x, dimensions=[True])),
        (TypeError, "embedding 2 must be", lambda: losses.matryoshka_loss(INFO_NCE, x, whole, dimensions=[2])),
        (ValueError, "shapes must be equal", lambda: losses.matryoshka_loss(INFO_NCE, x, x[:2], dimensions=[2])),
    ):
        with pytest.raises(error, match=message):
            call()
