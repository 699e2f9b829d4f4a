"""What every loss needs: the checks of its arguments and the reduction of its values."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from clt.similarity import transformed

REDUCTIONS = ("mean", "sum", "none")
KEPT: dict[tuple, Tensor] = {}  # what `constant` made; nothing writes into these
MOST_KEPT = 16
IGNORED = -100  # the label of what PyTorch's cross entropy skips, and Hugging Face's collators pad with


def reduce(values: Tensor, reduction: str, valid: Tensor | None = None) -> Tensor:
    """Mean, sum or nothing. Anchors that are not ``valid`` count 0 and are left out of the mean.

    ``torch.where`` rather than a product: 0 · inf is NaN. With no valid anchor the result is 0 and keeps its graph.
    """
    one_of(REDUCTIONS, reduction=reduction)
    if valid is not None:
        values = torch.where(valid, values, 0.0)
    if reduction == "none":
        return values
    if reduction == "sum":
        return values.sum()
    return values.mean() if valid is None else values.sum() / valid.sum().clamp_min(1)


def same_shape(**embeddings: Tensor) -> None:
    """All are ``(N, D)`` with the same N and D, and N is not 0."""
    floating(**embeddings)
    for name, tensor in embeddings.items():
        if tensor.dim() != 2:
            raise ValueError(f"{name} must have shape (N, D), got {tuple(tensor.shape)}")
    if any(tensor.shape != other.shape for other in embeddings.values()):
        shapes = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in embeddings.items())
        raise ValueError(f"shapes must be equal, got {shapes}")
    if 0 in tensor.shape:
        raise ValueError(f"{', '.join(embeddings)} must not be empty, got shape {tuple(tensor.shape)}")


def labelled(embeddings: Tensor, labels: Tensor, name: str = "labels") -> Tensor:
    """Checks that every row has an integer label; returns the labels as int64 on the device of the embeddings."""
    if not isinstance(labels, Tensor) or labels.is_floating_point() or labels.is_complex():
        kind = labels.dtype if isinstance(labels, Tensor) else type(labels).__name__
        raise TypeError(f"{name} must be a tensor of integers, got {kind}")
    if labels.shape != embeddings.shape[:1]:
        raise ValueError(f"{name} must have shape ({len(embeddings)},), one a row, got {tuple(labels.shape)}")
    labels = labels.to(embeddings.device, torch.int64)
    if not _holds((labels != IGNORED).all()):
        raise ValueError(f"label {IGNORED}, which PyTorch's losses ignore, would be a class here: leave its rows out")
    return labels


def floating(**tensors: Tensor) -> None:
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
            kind = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
            raise TypeError(f"{name} must be a tensor of floating-point numbers, got {kind}")


def one_of(choices, **options: str) -> None:
    for name, option in options.items():
        if option not in choices:
            raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {option!r}")


def above_zero(**numbers: float) -> None:
    for name, number in numbers.items():
        if not _holds(number > 0):  # also catches NaN
            raise ValueError(f"{name} must be positive, got {number}")
        _finite(name, number)


def not_negative(**numbers: float) -> None:
    for name, number in numbers.items():
        if not _holds(number >= 0):
            raise ValueError(f"{name} must not be negative, got {number}")
        _finite(name, number)


def no_negative_weight(weights: Tensor) -> None:
    if not _holds((weights >= 0).all()):
        raise ValueError(f"negative_weights must not be negative, got {weights.min().item():.3g}")
    if not _holds((weights < math.inf).all()):
        raise ValueError("negative_weights must be finite, got inf")


def log_probability(**logarithms: Tensor) -> None:
    for name, values in logarithms.items():
        if not _holds((values <= 0).all()):  # also catches NaN
            raise ValueError(f"{name} must hold logarithms of probabilities, at most 0, got {values.max().item():.3g}")
        if not _holds((values > -math.inf).all()):
            raise ValueError(f"{name} must be finite: what is in the batch has a probability above 0")


def finite_largest(**scores: Tensor) -> None:
    for name, rows in scores.items():
        if not _holds(rows.amax(1).isfinite().all()):  # also catches NaN and +inf
            raise ValueError(f"each row of {name} needs a finite largest score")


def constant(like: Tensor, make: Callable[..., Tensor], *arguments) -> Tensor:
    """``make(*arguments, device=…)`` on the device of ``like``, and on a CPU what it made the last time.

    A batch of some dozens of rows takes a quarter of a millisecond. What depends on its size alone is a tenth of that.
    """
    if type(like) is not Tensor or not like.is_cpu or transformed():  # a tensor that only records what is done to it
        return make(*arguments, device=like.device)
    key = make, *arguments
    found = KEPT.get(key)
    if found is None:
        with torch.inference_mode(False):  # later it may stand in a graph
            found = make(*arguments, device=like.device)
        if len(KEPT) >= MOST_KEPT:
            KEPT.clear()
        KEPT[key] = found
    return found


def _finite(name: str, number: float) -> None:
    if not _holds(number < math.inf):
        raise ValueError(f"{name} must be finite, got {number}")


def _holds(condition: bool | Tensor) -> bool:
    """Whether a condition on values is met. Inside ``torch.func.vmap`` nobody can tell: it is taken for met."""
    try:
        return bool(condition)
    except RuntimeError:
        return True
