"""A training loop for large batches: embeddings of all processes in one loss, the encoder's graph part by part.

Nothing here is drawn from a generator that runs on: the batch of a step and its dropout depend on the seed, the step
and the process. So a run that is resumed goes on as it would have, and so does one with another number of processes,
but for its dropout.

The processes hold the same weights, or with ``sharded`` (FSDP2) each a part of every weight, of its gradient and of
what AdamW keeps of it. The numbers are the same, and so is the checkpoint: a run may go on in the other way.
"""

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn

from clt import losses, training


def fit(
    model: nn.Module,
    sample: Callable[[int], Sequence],
    encode: Callable[[nn.Module, Sequence], Tensor | tuple[Tensor, ...]],
    loss: Callable[..., Tensor],
    *,
    steps: int,
    learning_rate: float,
    chunk: int,
    seed: int = 0,
    checkpoint: str | Path | None = None,
    watch: Callable[[int], None] | None = None,
    backward: Callable[..., Tensor] = training.cached_backward,
    precise: bool = False,
    sharded: bool = False,
) -> dict[str, list[float]]:
    """Train ``model`` with AdamW on batches of any size, on this process and those it has met.

    Args:
        model: trained in place. All processes have the same weights at the start, and so after each step.
        sample: ``sample(step)`` is this process's part of the batch, a sequence of rows.
        encode: ``encode(model, rows)`` gives the embeddings of some of them; see :func:`clt.training.cached_backward`.
        loss: of all embeddings. With several processes it has to gather (``losses.info_nce_loss(…, gather=True)``).
        steps: updates in all; the rate rises over a tenth of them and falls to zero.
        learning_rate: AdamW's, at its highest.
        chunk: rows whose graph is in memory at a time.
        seed: of the dropout.
        checkpoint: file from which to go on, if it is there, and to write to after each step. Process 0 writes.
        watch: called with the number of each step before it is taken.
        backward: takes ``encode``, the parts of the batch and ``loss``, and leaves the gradient in the weights.
        precise: compute in float32 also where the hardware has bfloat16.
        sharded: :func:`shard` the weights over the processes; with one process nothing changes. Each process then
            needs equally many rows, because all have to take part in every chunk.

    Returns:
        ``{"loss": …, "gradient norm": …}``, one number a step, the loss averaged over the processes.

    Raises:
        FloatingPointError: if the gradient is not finite.
    """
    device = next(model.parameters()).device
    rank = dist.get_rank() if dist.is_initialized() else 0
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=learning_rate, weight_decay=0.01)
    history: dict[str, list[float]] = {"loss": [], "gradient norm": []}
    nothing = torch.Generator()
    if checkpoint is not None and Path(checkpoint).exists():
        history = training.load_checkpoint(checkpoint, model, optimizer, nothing)
    if sharded := sharded and dist.is_initialized():
        optimizer = shard(model, optimizer)
        trained = optimizer.param_groups[0]["params"]

    def read(part: Sequence) -> Tensor | tuple[Tensor, ...]:
        with contextlib.nullcontext() if precise else training.autocast(device):
            return encode(model, part)

    model.train()
    for step in range(len(history["loss"]), steps):
        if watch:
            watch(step)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * min(1.0, (step + 1) / (steps // 10 + 1), (steps - step) / (0.9 * steps))
        rows = sample(step)
        torch.manual_seed((seed * 100_003 + step) * 1009 + rank)
        optimizer.zero_grad()
        value = backward(read, [rows[i : i + chunk] for i in range(0, len(rows), chunk)], loss)
        value = average([p.grad for p in trained if p.grad is not None and not sharded], value)
        norm = nn.utils.clip_grad_norm_(trained, 1.0, error_if_nonfinite=False)
        norm = norm.full_tensor() if sharded else norm
        if not torch.isfinite(norm):
            raise FloatingPointError(f"the gradient is not finite at step {step}, where the loss is {value.item()}")
        optimizer.step()
        history["loss"].append(value.item())
        history["gradient norm"].append(norm.item())
        if checkpoint is not None and (rank == 0 or sharded):
            training.save_checkpoint(checkpoint, model, optimizer, nothing, history, write=rank == 0)
    model.eval()
    return history


def average(gradients: Sequence[Tensor], value: Tensor) -> Tensor:
    """Put the mean over the processes into each gradient; returns the mean of ``value``.

    This is what ``DistributedDataParallel`` does while the backward pass still runs. Here the whole gradient is there
    only after the last part, so that one exchange at the end is as good.
    """
    if not dist.is_initialized():
        return value
    flat = torch.cat([g.flatten().float() for g in gradients] + [value.detach().reshape(1).float()])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for gradient, mean in zip(gradients, flat[:-1].split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))
    return flat[-1]


def shard(model: nn.Module, optimizer: torch.optim.AdamW) -> torch.optim.AdamW:
    """Leave each process a part of every weight (FSDP2), and of what the optimizer keeps of it.

    A forward or backward pass gathers a layer's weights just before they are needed, and each backward pass leaves the
    mean of the gradients over the processes, of which each process again holds its part. So there is nothing left to
    :func:`average`, and all processes have to make the same passes in the same order.

    Args:
        model: cut in place, layer by layer where it has a list of layers.
        optimizer: of its trained parameters, new or as a checkpoint left it.

    Returns:
        The optimizer that takes its place.
    """
    from torch.distributed.device_mesh import init_device_mesh  # late: a second that one process need not wait
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor import distribute_tensor

    mesh = init_device_mesh(next(model.parameters()).device.type, (dist.get_world_size(),))
    for layer in [layer for part in model.modules() if isinstance(part, nn.ModuleList) for layer in part]:
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    known = optimizer.state_dict()
    trained = [p for p in model.parameters() if p.requires_grad]
    new = torch.optim.AdamW(trained)  # its settings come with the state
    for number, state in known["state"].items():
        weight = trained[number]
        for name, value in state.items():
            if value.shape == weight.shape:
                state[name] = distribute_tensor(value, mesh, weight.placements)
    new.load_state_dict(known)
    return new


def share(rows: Sequence) -> Sequence:
    """This process's part of a batch: neighbouring rows, as many as the others have, up to one."""
    rank, world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    return rows[len(rows) * rank // world : len(rows) * (rank + 1) // world]


def batches(rows: Sequence, size: int, *, seed: int = 0) -> Callable[[int], Sequence]:
    """``sample(step)``: so many different rows, which depend on seed and step alone; the same in every process.

    Raises:
        ValueError: if there are fewer rows.
    """
    if not 1 <= size <= len(rows):
        raise ValueError(f"expected 1 to {len(rows)} pairs, as many as there are; got {size}")

    def sample(step: int) -> Sequence:
        generator = torch.Generator().manual_seed(seed * 100_003 + step)
        chosen = torch.randperm(len(rows), generator=generator)[:size]
        return rows[chosen] if isinstance(rows, Tensor) else [rows[i] for i in chosen.tolist()]

    return sample


def nli_pairs(size: int, *, seed: int = 0) -> Callable[[int], list[tuple[str, str]]]:
    """:func:`batches` of the premises of ``nli``, each with a sentence that follows from it."""
    from clt import data  # late: who trains on finished vectors need not wait for it

    rows = data.load("nli", "train")
    return batches(list(zip(rows["premise"], rows["entailment"], strict=True)), size, seed=seed)


def train(
    vectors: Tensor | None = None,
    *,
    pairs: int,
    chunk: int,
    steps: int,
    learning_rate: float = 3e-4,
    dropout: float = 0.1,
    seed: int = 0,
    device: str = "auto",
    precise: bool = False,
    checkpoint: str | Path | None = None,
    watch: Callable[[int], None] | None = None,
    sharded: bool = False,
) -> dict[str, list[float]]:
    """Train the upper two layers of ``clt-mini`` on :func:`nli_pairs`, or a matrix on ``(N, 2, D)`` finished vectors.

    Several processes on one device stay on the CPU: only those that talk through NCCL have a GPU each. The loss is
    InfoNCE with the rows of all processes; what is returned is that of :func:`fit`, and under ``weights held`` how many
    of the trained weights this process holds.

    Raises:
        ValueError: if the weights are to be sharded and the pairs cannot be shared out equally.
    """
    world = dist.get_world_size() if dist.is_initialized() else 1
    if sharded and pairs % world:
        raise ValueError(f"{world} processes that share their weights need as many pairs each: {pairs} cannot be split")
    crowded = dist.is_initialized() and dist.get_backend() != "nccl"
    place = training.pick_device("cpu" if crowded and device == "auto" else device)
    if vectors is None:
        from clt import encoders  # late: transformers takes seconds and memory

        whole = encoders.SentenceEncoder.load("clt-mini", max_length=32).to(place)
        model, encode = encoders.set_dropout(whole.above(2), dropout), encode_pairs
        batch = nli_pairs(pairs, seed=seed)
    else:
        matrix = nn.Linear(vectors.shape[2], vectors.shape[2], bias=False)
        nn.init.eye_(matrix.weight)
        model, encode = nn.Sequential(nn.Dropout(dropout), matrix).to(place), _through
        batch = batches(vectors.to(place), pairs, seed=seed)
    history = fit(
        model, lambda step: share(batch(step)), encode, _pair_loss, steps=steps, learning_rate=learning_rate,
        chunk=chunk, seed=seed, checkpoint=checkpoint, watch=watch, precise=precise, sharded=sharded,
    )  # fmt: skip
    trained = [p.to_local() if hasattr(p, "to_local") else p for p in model.parameters() if p.requires_grad]
    return history | {"weights held": [sum(p.numel() for p in trained)]}


def _through(model: nn.Module, rows: Tensor) -> Tensor:
    return model(rows)


def encode_pairs(model: nn.Module, pairs: Sequence[tuple[str, str]]) -> Tensor:
    """The embeddings of pairs of sentences, ``(n, 2, D)``."""
    left, right = zip(*pairs, strict=True)
    return torch.stack([model(model.tokenize(list(side))) for side in (left, right)], dim=1)


def _pair_loss(z: Tensor) -> Tensor:
    return losses.info_nce_loss(*z.unbind(1), temperature=0.05, gather=True)
