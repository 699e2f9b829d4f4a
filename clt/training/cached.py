r"""The gradient of a large batch in the memory of a small one (GradCache).

A contrastive loss needs all *embeddings* of a batch at once, but not all that the encoder computed on the way to them.
So the encoder reads the batch twice, part by part: first without a graph, for the embeddings; then, once the loss has
said in which direction each embedding should move, with one, and part by part that gradient goes on to the weights.

.. math:: \frac{\partial \ell}{\partial \theta} = \sum_{\text{parts}} \sum_{i \in \text{part}}
          \Big(\frac{\partial z_i}{\partial \theta}\Big)^{\!\top} \frac{\partial \ell}{\partial z_i}
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor


def cached_backward(
    encode: Callable[[object], Tensor | tuple[Tensor, ...]],
    batches: Iterable,
    loss: Callable[..., Tensor],
) -> Tensor:
    """Do what ``loss(encode(all batches in one)).backward()`` does, with the graph of one batch in memory at a time.

    Args:
        encode: ``encode(batch)`` is the ``(n, D)`` embeddings of a part, or a tuple of such tensors: two views, or
            query, positive and hard negative.
        batches: the parts of the large batch, whatever ``encode`` takes. Their embeddings are put together in order.
        loss: of the embeddings of all parts, one tensor for each that ``encode`` returns; one number with a gradient.

    Returns:
        The loss, detached. The gradient has been added to ``.grad`` of what ``encode`` computes with, as ``backward``
        adds it.

    Dropout draws the same zeros in both readings: the states of torch's generators (the CPU's, and those of CUDA and
    MPS where they are in use) are kept for each part and put back, and at the end they are where one reading would
    have left them. The cost is one more forward pass. Batch normalisation sees the parts, not the batch, and counts
    each twice.

    Raises:
        ValueError: if there is no batch, or the loss is not one number with a gradient.
        RuntimeError: if ``encode`` gives other embeddings the second time, so that the gradient would be wrong:
            something draws random numbers from another generator, or the weights have changed.

    Source: Gao, Zhang, Han and Callan (2021), Scaling deep contrastive learning batch size under memory limited setup.
    """
    batches = list(batches)
    if not batches:
        raise ValueError("expected at least one batch, got none")
    states, parts = [], []
    for batch in batches:
        states.append(_generators())
        with torch.no_grad():
            parts.append(_tuple(encode(batch)))
    torch.clear_autocast_cache()  # the weights it cast to bfloat16 without a graph would get no gradient
    views = [torch.cat(pieces).requires_grad_() for pieces in zip(*parts, strict=True)]
    with torch.enable_grad():
        value = loss(*views)
    if value.numel() != 1 or not value.requires_grad:
        raise ValueError(f"the loss should be one number with a gradient, got shape {tuple(value.shape)}")
    gradients = torch.autograd.grad(value, views)
    pieces = zip(*(g.split([len(p) for p in row]) for g, row in zip(gradients, zip(*parts, strict=True), strict=True)),
                 strict=True)  # fmt: skip
    after = _generators()
    for batch, state, first, gradient in zip(batches, states, parts, pieces, strict=True):
        _put_back(state)
        with torch.enable_grad():
            second = _tuple(encode(batch))
        _same(first, second)
        torch.autograd.backward(second, gradient)
    _put_back(after)
    return value.detach()


def _tuple(embeddings: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (embeddings,) if isinstance(embeddings, Tensor) else tuple(embeddings)


def _same(first: tuple[Tensor, ...], second: tuple[Tensor, ...]) -> None:
    """Another dropout mask moves an embedding by far more than rounding does."""
    for a, b in zip(first, second, strict=True):
        if not (a - b.detach()).norm() <= 0.02 * a.norm():
            raise RuntimeError(
                "encode gave other embeddings when it read a part for the second time, so the gradient would be wrong. "
                "Does it draw random numbers from NumPy, Python or a generator of its own? Draw before cached_backward"
            )


def _generators() -> dict:
    """Where torch's generators are, on each device that is in use."""
    states: dict = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_initialized():
        states["cuda"] = torch.cuda.get_rng_state_all()
    if torch.backends.mps.is_available():
        states["mps"] = torch.mps.get_rng_state()
    return states


def _put_back(states: dict) -> None:
    torch.set_rng_state(states["cpu"])
    if "cuda" in states:
        torch.cuda.set_rng_state_all(states["cuda"])
    if "mps" in states:
        torch.mps.set_rng_state(states["mps"])
