"""The same numbers on a GPU."""

import pytest
import torch
from cases import CASES_AND_PATHS

from clt import losses
from clt.losses import _contrast
from clt.similarity import normalize

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def value_and_gradients(case, inputs, device, **options):
    inputs = [x.to(device).requires_grad_() for x in inputs]
    loss = case.loss(*inputs, **options)
    return [t.cpu() for t in (loss, *torch.autograd.grad(loss.sum(), inputs))]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize(("case", "path"), CASES_AND_PATHS, indirect=["path"], ids=str)
def test_cpu_and_gpu_agree(case, path, reduction, dtype):
    inputs = case.inputs(dtype=dtype)
    tolerance = max(2 * torch.finfo(dtype).eps, 1e-12) if dtype != torch.float32 else 1e-5
    for a, b in zip(*(value_and_gradients(case, inputs, d, reduction=reduction) for d in ("cpu", "cuda")), strict=True):
        assert a.dtype == b.dtype
        assert torch.allclose(a, b, rtol=tolerance, atol=tolerance * a.abs().max().item())


@pytest.mark.parametrize(("case", "path"), CASES_AND_PATHS, indirect=["path"], ids=str)
def test_autocast_changes_nothing(case, path):
    inputs = [x.cuda().requires_grad_() for x in case.inputs(dtype=torch.float32)]
    for dtype in (torch.float16, torch.bfloat16):
        with torch.autocast("cuda", dtype=dtype):
            inside = case.loss(*inputs)
        assert torch.equal(inside, case.loss(*inputs))


def test_a_large_batch_stays_small_and_agrees_with_the_whole_matrix():
    n = 32_768
    generator = torch.Generator("cuda").manual_seed(0)
    x, y = torch.randn(2, n // 2, 256, generator=generator, device="cuda").unbind()
    x.requires_grad_()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    loss = losses.nt_xent_loss(x, y, temperature=0.1)
    loss.backward()
    one_tile, a_few_rows_by_width = 4 * _contrast.TILE["cuda"], 4 * 20 * n * 256
    assert torch.cuda.max_memory_allocated() - before < one_tile + a_few_rows_by_width
    z = normalize(torch.cat([x, y])).detach()
    below = (z @ z.T / 0.1).fill_diagonal_(-torch.inf).logsumexp(dim=1)
    assert loss.item() == pytest.approx((below - (z * z.roll(n // 2, 0)).sum(1) / 0.1).mean().item(), rel=1e-5)
