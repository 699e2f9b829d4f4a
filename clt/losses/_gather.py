r"""A batch spread over processes that trains as if it were on one.

Each process takes its own rows as anchors and everybody's rows as candidates. A candidate then earns gradients in
every process, and the backward pass of the gather brings them home: add over the processes, keep one's own rows.
``DistributedDataParallel`` then takes the mean over the W processes, so that the loss of all N anchors is

.. math:: \frac{1}{W} \sum_w \Big(\frac{W}{N} \sum_{i \in w} \ell_i\Big)

and each process must return W/N times its own sum (W times, where the sum is asked for), also if it has fewer rows
than the others. With ``reduction="none"`` it returns its own rows as they are.
"""

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable


def processes() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def gather_rows(local: Tensor, gather: bool = True) -> tuple[Tensor, int]:
    """The rows of all processes in the order of their ranks, and the index at which one's own begin."""
    if not gather or processes() == 1:
        return local, 0
    return _AllGather.apply(local)


def total(count: Tensor) -> Tensor:
    """The sum of ``count`` over the processes."""
    count = count.clone()
    if processes() > 1:
        dist.all_reduce(count)
    return count


class _AllGather(torch.autograd.Function):
    @staticmethod
    def forward(ctx, local):
        sizes = [local.new_empty(1, dtype=torch.int64) for _ in range(processes())]
        dist.all_gather(sizes, local.new_tensor([len(local)], dtype=torch.int64))
        sizes = [size.item() for size in sizes]
        padded = local.new_zeros(max(sizes), *local.shape[1:])  # all_gather wants equal shapes
        padded[: len(local)] = local
        parts = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(parts, padded)
        start = sum(sizes[: dist.get_rank()])
        ctx.own = slice(start, start + len(local))
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)]), start

    @staticmethod
    @once_differentiable
    def backward(ctx, upstream, _):
        upstream = upstream.contiguous().clone()
        dist.all_reduce(upstream)
        return upstream[ctx.own]
