"""Similarity matrices: every pair of rows compared, three ways.

All three take ``x`` of shape ``(N, D)`` and ``y`` of shape ``(M, D)`` and return ``(N, M)``; without ``y`` the rows of
``x`` are compared with one another. Half-precision input is computed, and returned, in float32.
"""

import functools

import torch
from torch import Tensor


def full_precision(function):
    """Decorator: every floating tensor argument arrives as float32 (float64 if one of them is), autocast switched off.

    Logits of a contrastive loss reach 1/temperature, where bfloat16 is 0.5 apart: the loss would be noise.
    """

    @functools.wraps(function)
    def wrapper(*args, **options):
        floating = [a for a in (*args, *options.values()) if isinstance(a, Tensor) and a.is_floating_point()]
        if not floating:
            return function(*args, **options)
        device = floating[0].device.type
        if {a.dtype for a in floating} != {torch.float32}:
            wide = any(a.dtype == torch.float64 and a.dim() > 0 for a in floating)
            dtype = torch.float64 if wide else torch.float32
            args = tuple(_cast(a, dtype) for a in args)
            options = {name: _cast(a, dtype) for name, a in options.items()}
        if not torch.is_autocast_enabled(device):
            return function(*args, **options)
        with torch.autocast(device, enabled=False):
            return function(*args, **options)

    return wrapper


def widest(x: Tensor) -> Tensor:
    """``x`` in float64, or as it is on a device that has none (Apple's MPS)."""
    return x if x.device.type == "mps" else x.double()


def transformed() -> bool:
    """Inside ``torch.func.grad``, ``vmap``, ``jvp``, …, for which PyTorch has no public question. A quick function with
    a gradient of its own gives way to the plain formula there."""
    return torch._C._are_functorch_transforms_active()


class _Normalize(torch.autograd.Function):
    """z = x / ‖x‖, whose gradient is (g − z (z·g)) / ‖x‖: only what is orthogonal to x can change its direction.

    PyTorch would find the same from the division and the norm, with three times as many passes over the rows. The
    length is an output, too, so that the gradient can be differentiated again.
    """

    @staticmethod
    def forward(ctx, x: Tensor) -> tuple[Tensor, Tensor]:
        unit, length = unit_and_length(x)
        ctx.save_for_backward(unit, length)
        ctx.set_materialize_grads(False)
        return unit, length

    @staticmethod
    def backward(ctx, to_unit: Tensor | None, to_length: Tensor | None) -> Tensor | None:
        unit, length = ctx.saved_tensors
        if to_unit is not None:
            to_unit = tangent(to_unit, unit, length)
        if to_length is None:
            return to_unit
        return unit * to_length if to_unit is None else to_unit + unit * to_length


def tangent(gradient: Tensor, unit: Tensor, length: Tensor) -> Tensor:
    """The gradient to the rows, from that to the rows scaled to length one."""
    along = (unit * gradient).sum(dim=-1, keepdim=True)
    return torch.addcmul(gradient, unit, along, value=-1).div_(length)


def unit_and_length(x: Tensor) -> tuple[Tensor, Tensor]:
    """The rows of ``x`` scaled to length one, and their lengths; a zero row has length one."""
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return (x / length, length) if _moderate(length) else _in_two_steps(x)


def _moderate(length: Tensor) -> bool:
    """No row is so long or short that its squares leave the range of float32. Other devices are not waited for."""
    if not length.is_cpu or not length.numel():
        return False
    shortest, longest = length.aminmax()
    return shortest.item() > 1e-15 and longest.item() < 1e15


def _in_two_steps(x: Tensor) -> tuple[Tensor, Tensor]:
    """Divided by its largest element first, no row is too long or too short for its squares to be added."""
    largest = torch.linalg.vector_norm(x.detach(), torch.inf, dim=-1, keepdim=True)
    largest = largest.masked_fill(largest < torch.finfo(x.dtype).smallest_normal, 1.0)
    x = x / largest
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp_min(1.0)  # less only if the row is zero
    return x / length, length * largest


def normalize(x: Tensor) -> Tensor:
    """The rows of ``x`` scaled to length one. A zero row stays zero, and its gradient stays finite."""
    return _in_two_steps(x)[0] if transformed() else _Normalize.apply(x)[0]


class _Product(torch.autograd.Function):
    """x yᵀ, its gradients as exact as itself: autocast, if it is on around the backward pass, would round them."""

    @staticmethod
    def forward(ctx, x: Tensor, y: Tensor) -> Tensor:
        ctx.save_for_backward(x, y)
        return x @ y.mT

    @staticmethod
    def backward(ctx, upstream: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, y = ctx.saved_tensors
        with torch.autocast(x.device.type, enabled=False):
            to_x = product(upstream, y.mT) if ctx.needs_input_grad[0] else None
            to_y = product(upstream.mT, x.mT) if ctx.needs_input_grad[1] else None
        return to_x, to_y


def product(x: Tensor, y: Tensor) -> Tensor:
    """The dot product of every row of ``x`` with every row of ``y``; either may have batch dimensions in front."""
    if transformed():  # autocast leaves float64 alone
        return (widest(x) @ widest(y).mT).to(x.dtype)
    return _Product.apply(x, y)


@full_precision
def cosine_similarity(x: Tensor, y: Tensor | None = None) -> Tensor:
    r"""Cosine of the angle between every row of ``x`` and every row of ``y``.

    .. math:: s_{ij} = \frac{x_i \cdot y_j}{\lVert x_i \rVert\, \lVert y_j \rVert}

    Args:
        x: ``(N, D)``.
        y: ``(M, D)``; ``x`` itself if left out.

    Returns:
        ``(N, M)``, from −1 to 1; 0 where a row is zero.

    Raises:
        ValueError: if ``x`` or ``y`` is not a matrix, or their widths differ.
    """
    _same_width(x, y)
    x = normalize(x)
    return product(x, x if y is None else normalize(y))


@full_precision
def dot_product(x: Tensor, y: Tensor | None = None) -> Tensor:
    r"""Inner product of every row of ``x`` with every row of ``y``.

    .. math:: s_{ij} = x_i \cdot y_j

    Args, Returns, Raises: as :func:`cosine_similarity`, but unbounded.
    """
    _same_width(x, y)
    return product(x, x if y is None else y)


@full_precision
def squared_euclidean(x: Tensor, y: Tensor | None = None) -> Tensor:
    r"""Squared Euclidean distance from every row of ``x`` to every row of ``y``: a *dis*\ similarity.

    .. math:: d_{ij} = \lVert x_i - y_j \rVert^2 = \lVert x_i \rVert^2 + \lVert y_j \rVert^2 - 2\, x_i \cdot y_j

    The right-hand side needs one matrix product instead of an ``(N, M, D)`` tensor, but subtracts numbers that are
    nearly equal when two rows are close. Two remedies: move the origin to the middle of ``y``, which changes no
    distance and shortens every row, and add in float64, where the product of two float32 numbers is exact.

    Args, Returns, Raises: as :func:`cosine_similarity`, but at least 0; exactly 0 from a row to itself without ``y``.
    """
    _same_width(x, y)
    other = x if y is None else y
    middle = widest(other).mean(dim=0).detach()  # detached: the distances do not depend on it
    left = widest(x) - middle
    right = left if y is None else widest(other) - middle
    lengths = left.square().sum(dim=1, keepdim=True) + right.square().sum(dim=1)
    squared = torch.addmm(lengths, left, right.T, alpha=-2).to(x.dtype).clamp_min(0)
    if y is None:
        squared = squared.masked_fill(torch.eye(len(x), dtype=torch.bool, device=x.device), 0.0)
    return squared


def _same_width(x: Tensor, y: Tensor | None) -> None:
    if x.dim() != 2:
        raise ValueError(f"x must be a matrix (N, D), got shape {tuple(x.shape)}")
    if y is not None and (y.dim() != 2 or y.shape[1] != x.shape[1]):
        raise ValueError(f"y must be a matrix (M, {x.shape[1]}) as wide as x, got shape {tuple(y.shape)}")


def _cast(argument, dtype: torch.dtype):
    return argument.to(dtype) if isinstance(argument, Tensor) and argument.is_floating_point() else argument
