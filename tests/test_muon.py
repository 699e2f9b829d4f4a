"""The optimiser of the pretraining, against a singular value decomposition and against PyTorch's own."""

import copy

import pytest
import torch

from clt.pretraining.muon import Muon, orthogonalize


@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 16, 64), (2, 64, 256)])
def test_singular_values_come_near_one_and_their_vectors_stay(shape):
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = orthogonalize(matrices)
    left, values, right = torch.linalg.svd(matrices, full_matrices=False)
    inner = left.mT @ found @ right.mT  # diagonal if the vectors are the same
    sizes = inner.diagonal(dim1=1, dim2=2)
    assert (inner - torch.diag_embed(sizes)).abs().max() < 1e-9
    telling = values > 0.02 * values.norm(dim=1, keepdim=True)  # five steps do not lift what is nearly nothing
    assert ((sizes > 0.6) & (sizes < 1.3))[telling].all()


def test_a_zero_gradient_gives_no_update():
    assert orthogonalize(torch.zeros(2, 3, 5)).eq(0).all()


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this PyTorch has no Muon of its own")
@pytest.mark.parametrize("shape", [(16, 16), (16, 48), (48, 16)])
def test_it_is_pytorchs_muon_but_for_bfloat16(shape):
    start = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    weights = [torch.nn.Parameter(start.clone()) for _ in range(2)]
    ours = Muon([weights[0]], lr=0.1, momentum=0.95, weight_decay=0.01)
    theirs = torch.optim.Muon(
        [weights[1]], lr=0.1, momentum=0.95, weight_decay=0.01, nesterov=True, adjust_lr_fn="match_rms_adamw"
    )
    for step in range(3):
        gradient = torch.randn(shape, generator=torch.Generator().manual_seed(10 + step))
        for weight, optimizer in zip(weights, (ours, theirs), strict=True):
            weight.grad = gradient.clone()
            optimizer.step()
    moved = (weights[1] - start).norm()
    assert moved > 0.02 * start.norm()  # they went somewhere
    assert (weights[0] - weights[1]).norm() < 0.05 * moved


def test_its_state_can_be_saved_and_loaded():
    def run(optimizer, weight, steps):
        for step in steps:
            weight.grad = torch.randn(weight.shape, generator=torch.Generator().manual_seed(step))
            optimizer.step()

    whole = torch.nn.Parameter(torch.ones(4, 8))
    optimizer = Muon([whole], lr=0.1)
    run(optimizer, whole, range(2))
    again = torch.nn.Parameter(whole.detach().clone())
    resumed = Muon([again], lr=0.1)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    run(optimizer, whole, range(2, 4))
    run(resumed, again, range(2, 4))
    assert torch.equal(whole, again)
