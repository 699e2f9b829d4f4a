"""Twins: what the margin keeps, and the queue that forgets."""

import math

import pytest
import torch

from clt.losses import HippocampusQueue, ifcl_loss, twin_loss, twin_margin


@pytest.fixture
def twins(rng):
    return [torch.tensor(x, requires_grad=True) for x in rng.normal(size=(3, 5, 4))]


def test_the_margin_is_the_formula_and_has_no_gradient(twins):
    margin = twin_margin(*twins)
    assert not margin.requires_grad
    for m, h, identical, fraternal in zip(margin, *twins, strict=True):
        near, far = (torch.cosine_similarity(h, other, dim=0).item() for other in (identical, fraternal))
        assert m.item() == pytest.approx(math.exp(near) - math.exp(far))


def test_nothing_is_lost_while_the_margin_is_kept(twins):
    margin = twin_margin(*twins)
    assert twin_loss(*twins, margin).item() == 0
    assert twin_loss(*twins, margin + 0.25, reduction="none").tolist() == pytest.approx([0.25] * 5)
    assert twin_loss(*twins, margin - 0.25, reduction="sum").item() == pytest.approx(1.25)


def test_no_gradient_flows_into_the_margin(twins):
    margin = (twin_margin(*twins) + 0.1).requires_grad_()
    loss = twin_loss(*twins, margin) + ifcl_loss(*twins, margin)
    assert torch.autograd.grad(loss, margin, allow_unused=True) == (None,)


def test_the_queue_keeps_the_last_batches_and_fades_the_old():
    queue = HippocampusQueue(3, decay=0.8)
    batches = [torch.full((n, 2), float(n), requires_grad=True) for n in (1, 2, 3, 4)]
    for batch in batches:
        queue.push(batch)
    assert torch.equal(queue.negatives, torch.cat(batches[1:]).detach())  # the first is forgotten
    assert not queue.negatives.requires_grad
    assert queue.weights.tolist() == pytest.approx([0.8**3] * 2 + [0.8**2] * 3 + [0.8] * 4)
    assert len(HippocampusQueue(0, decay=0.5).negatives) == len(HippocampusQueue(2, decay=0.5).weights) == 0


def test_what_is_pushed_is_a_copy():
    queue, batch = HippocampusQueue(1, decay=1.0), torch.ones(2, 2)
    queue.push(batch)
    batch.zero_()
    assert queue.negatives.sum() == 4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: HippocampusQueue(-1, decay=0.5), "batches must not be negative, got -1"),
        (lambda: HippocampusQueue(2, decay=1.5), "decay must be at most 1, got 1.5"),
        (lambda: HippocampusQueue(2, decay=-0.5), "decay must not be negative"),
        (lambda: HippocampusQueue(2, decay=0.5).push(torch.ones(3)), r"embeddings must have shape \(N, D\)"),
    ],
)
def test_a_queue_that_cannot_be(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_queue_of_one_width():
    queue = HippocampusQueue(2, decay=0.5)
    queue.push(torch.ones(2, 3))
    with pytest.raises(ValueError, match="3 wide like those in the queue, got 4"):
        queue.push(torch.ones(2, 4))
