r"""The ways to exchange embeddings between processes, as they are found in published code.

Process w has its own pairs and encodes them. For a batch over all W processes it asks the others for their embeddings,
computes a loss and its gradient; then the gradients are averaged over the processes, as ``DistributedDataParallel``
does. All ways print the same loss, up to a factor. Which gradient they give depends on three decisions:

- *gradient*: whether the gathered rows keep their graph. Plain ``all_gather`` returns copies, which are constants;
- *own*: whether a process puts its own rows, with their graph, back in the place of their copies;
- *full*: whether it takes the loss of all rows, or of its own rows only.

:func:`in_one_process` does the same without any second process. The average of the gradients is the gradient of

.. math:: \frac{1}{W} \sum_w \ell_w

with everything that came without its graph held constant. That is a computation like any other.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from clt.losses._gather import gather_rows


@dataclass(frozen=True)
class Way:
    exchange: bool = True
    gradient: bool = False
    own: bool = False
    full: bool = False
    times: bool = False  # the number of processes


WAYS = {
    "no exchange": Way(exchange=False),
    "copies, own rows' loss": Way(),
    "copies but for its own, own rows' loss": Way(own=True),
    "copies but for its own, full loss": Way(own=True, full=True),
    "with gradient, own rows' loss": Way(gradient=True),
    "with gradient, full loss": Way(gradient=True, full=True),
    "with gradient, own rows' loss times W": Way(gradient=True, times=True),
}


def way_loss(way: Way, queries: Sequence[Tensor], keys: Sequence[Tensor], rank: int, *, scale: float = 5.0) -> Tensor:
    """InfoNCE as process ``rank`` computes it from the rows of all processes, one-sided, on cosines times ``scale``.

    Args:
        way: how rows are exchanged.
        queries, keys: for each process its ``(n, D)`` rows, as this one sees them: those without gradient detached.
        rank: whose loss it is.
        scale: one over the temperature.
    """
    if not way.exchange:
        queries, keys, rank = [queries[rank]], [keys[rank]], 0
    start = sum(len(rows) for rows in keys[:rank])
    query = torch.cat(list(queries)) if way.full else queries[rank]
    target = torch.arange(len(query), device=query.device) + (0 if way.full else start)
    scores = scale * F.normalize(query, dim=1) @ F.normalize(torch.cat(list(keys)), dim=1).T
    return F.cross_entropy(scores, target) * (len(keys) if way.times else 1)


def seen(way: Way, rows: Sequence[Tensor], rank: int, own: bool) -> list[Tensor]:
    """The rows of all processes as ``rank`` sees them: with their graph, or as constants but perhaps for its own."""
    return [r if way.gradient or (w == rank and own) else r.detach() for w, r in enumerate(rows)]


def in_one_process(way: Way, queries: Sequence[Tensor], keys: Sequence[Tensor], *, scale: float = 5.0) -> Tensor:
    """The mean of the processes' losses, whose gradient is the one that they would have averaged."""
    losses = []
    for rank in range(len(queries)):
        mine = seen(way, queries, rank, own=True)  # the anchors are one's own in any case
        theirs = seen(way, keys, rank, own=way.own or not way.exchange)
        losses.append(way_loss(way, mine, theirs, rank, scale=scale))
    return torch.stack(losses).mean()


def closed_form_pairs() -> tuple[Tensor, Tensor, Tensor]:
    """Eight pairs in five dimensions and the 4 × 5 weight of a linear encoder, given by formulas: no chance in them."""
    i, j = torch.arange(1, 9, dtype=torch.float64)[:, None], torch.arange(1, 6, dtype=torch.float64)
    x = torch.sin(0.7 * i + 1.3 * j) + 0.1 * torch.cos(2.1 * i * j)
    y = x + 0.5 * torch.sin(3.7 * i - 0.9 * j)
    return x, y, 0.3 * torch.sin(torch.arange(1, 21, dtype=torch.float64)).reshape(4, 5)


def averaged(loss: Callable[[list[Tensor], list[Tensor]], Tensor], *, processes: int) -> tuple[float, Tensor]:
    """A loss of the :func:`closed_form_pairs`, spread over so many processes, and its gradient, flat.

    Args:
        loss: of the queries and the keys, each a list with the rows of every process; such as :func:`in_one_process`.
        processes: how many.
    """
    x, y, start = closed_form_pairs()
    weight = start.clone().requires_grad_()
    queries, keys = ([part @ weight.T for part in side.tensor_split(processes)] for side in (x, y))
    value = loss(queries, keys)
    return value.item(), torch.autograd.grad(value, weight)[0].flatten()


def compare(*, sharded: bool = False) -> dict[str, dict[str, float]]:
    """Each way on :func:`closed_form_pairs`, with the processes that there are, against the gradient of one process.

    Args:
        sharded: each process holds a part of the weight only (FSDP2), which then averages the gradient itself.

    Returns:
        For each way the mean ``loss`` over the processes, the ``cosine`` of its averaged gradient to the true one, and
        their ``ratio`` of lengths.
    """
    rank, world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    x, y, start = closed_form_pairs()
    _, truth = averaged(lambda q, k: way_loss(WAYS["no exchange"], q, k, 0), processes=1)
    found = {}
    for name, way in WAYS.items():
        encoder = _linear(start, sharded=sharded and world > 1)
        both = encoder(torch.cat([part.tensor_split(world)[rank] for part in (x, y)]))  # one pass for both sides
        query, key = both.tensor_split(2)
        queries = _gathered(way, query, rank, world, own=True)
        keys = _gathered(way, key, rank, world, own=way.own or not way.exchange)
        loss = way_loss(way, queries, keys, rank)
        loss.backward()
        gradient = encoder.weight.grad
        gradient = gradient.full_tensor() if hasattr(gradient, "full_tensor") else _mean(gradient, world)
        cosine = F.cosine_similarity(gradient.flatten(), truth, dim=0)
        ratio = gradient.norm() / truth.norm()
        found[name] = {"loss": _mean(loss.detach(), world).item(), "cosine": cosine.item(), "ratio": ratio.item()}
    return found


def _linear(weight: Tensor, *, sharded: bool) -> nn.Linear:
    encoder = nn.Linear(*weight.T.shape, bias=False, dtype=weight.dtype)
    encoder.weight.data.copy_(weight)
    if sharded:
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        fully_shard(encoder, mesh=init_device_mesh("cpu", (dist.get_world_size(),)))
    return encoder


def _gathered(way: Way, rows: Tensor, rank: int, world: int, own: bool) -> list[Tensor]:
    """What :func:`seen` is to one process, for this one among several; each has equally many rows."""
    if world == 1:
        return [rows if way.gradient or own else rows.detach()]
    if way.gradient:
        return list(gather_rows(rows)[0].split(len(rows)))
    parts = [torch.empty_like(rows) for _ in range(world)]
    dist.all_gather(parts, rows.detach())
    if own:
        parts[rank] = rows
    return parts


def _mean(value: Tensor, world: int) -> Tensor:
    value = value.clone()
    if world > 1:
        dist.all_reduce(value)
    return value / world
