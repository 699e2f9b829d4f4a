r"""The one operation under every contrastive loss: how small is the positive's share among the candidates of a row?

.. math:: \ell_i = \log\Big(e^{f_i} + \sum_{k \notin X_i} e^{\,q_i \cdot k_k / \tau - p_i}\Big)

``q`` are the anchors; ``k`` the candidates; ``p_i`` the positive's logit; ``X_i`` the candidates left out of row i,
such as the anchor itself. :func:`one_positive` leaves the positive out, too, and its term e^{p − p} = 1 comes back as
the floor ``f_i = 0``, so that a loss of 1e-6 keeps its digits (as in ``log1p``). In :func:`several_positives` ``p_i``
is their mean logit, they stay among the candidates, and ``f_i = −inf``. A weight on a candidate is its logarithm added
to the logit: one more column in ``q`` and ``k``.

Written plainly (:func:`dense_rows`) this keeps several N × M matrices for the backward pass, 1 GB each at N = 16,384.
The tiled form walks over the same matrix a few rows at a time and never holds it. Two ideas:

*Gradient in the forward pass.* The gradient of row i is g_i times the row's softmax times the candidates. A tile of
complete rows knows its softmax; and since the loss is a weighted sum of rows, g_i is known as well, up to one factor
that comes later and multiplies everything. So the gradient is formed while the tile is in the cache, the tile is
thrown away, and the backward pass is one multiplication. With ``reduction="none"`` each row has a factor of its own,
unknown until later: the backward pass walks over the tiles once more.

*Constant shift.* Exponentials overflow unless something is subtracted first, as a rule the row's maximum, which has to
be looked for: two more walks over every tile. But |q·k| ≤ ‖q‖ ‖k‖, so that the logits of unit vectors lie between
−1/temperature and 1/temperature in every row, and one constant will do for all of them. While 1/temperature stays
clear of 88, the end of float32, that constant can be 0. Where it does not (temperatures below 0.02, vectors of any
length) the row's maximum is subtracted.
"""

import math

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from clt.losses._gather import processes, total
from clt.losses._shared import REDUCTIONS, one_of
from clt.similarity import product, transformed

# Elements of the similarity matrix. Up to DENSE it is formed in full; above, in tiles of TILE (on a CPU 16 MB, to stay
# in the cache; on a GPU 1 GB, to keep it busy).
DENSE = 2**12
TILE = {"cpu": 2**22, "cuda": 2**28}
LARGEST_EXPONENT = 60.0  # of the 88 that float32 has: the rest is room for sums and products


def one_positive(
    query: Tensor,
    key: Tensor,
    target: Tensor,
    *,
    temperature: float | Tensor,
    excluded: Tensor | None = None,
    extra: Tensor | None = None,
    unit: bool = False,
    reduction: str = "mean",
    gather: bool = False,
) -> Tensor:
    r"""Cross entropy of picking each query's target among the keys.

    .. math:: \ell_i = -\log \frac{e^{s_{i,t(i)}}}{\sum_{k \notin X_i} e^{s_{ik}} + e^{x_i}}, \qquad
              s_{ik} = \frac{q_i \cdot k_k}{\tau}

    Args:
        query: ``(N, D)``, the anchors.
        key: ``(M, D)``, the candidates.
        target: t, ``(N,)`` int64: which key is the positive.
        temperature: τ; a tensor gets its gradient, too.
        excluded: X, ``(N, E)`` int64: E different keys that are no candidates of row i, and not its target.
        extra: x, ``(N,)``: the logarithm of what else stands in the denominator.
        unit: the rows of ``query`` and ``key`` have length 1.
        gather: the keys are those of all processes; mean and sum are then scaled for what follows (``_gather``).
    """
    weight = row_weights(query, None, None, reduction, gather)
    others = target[:, None] if excluded is None else torch.cat([target[:, None], excluded], dim=1)
    if extra is None:
        return _contrast(
            query, key, target, None, query.new_zeros(len(query)), others, weight, temperature, unit, reduction
        )
    positive = (query * key[target]).sum(dim=1) / temperature
    floor = torch.logaddexp(torch.zeros_like(positive), extra - positive)
    return _contrast(query, key, None, positive, floor, others, weight, temperature, unit, reduction)


def several_positives(
    query: Tensor,
    key: Tensor,
    mean_logit: Tensor,
    positives: Tensor,
    *,
    temperature: float | Tensor,
    excluded: Tensor,
    weight: Tensor | None = None,
    unit: bool = False,
    reduction: str = "mean",
    gather: bool = False,
) -> Tensor:
    r"""Mean over an anchor's positives of the cross entropy of picking each.

    .. math:: \ell_i = -\frac{w_i}{|P(i)|} \sum_{p \in P(i)} \log \frac{e^{s_{ip}}}{\sum_{k \notin X_i} e^{s_{ik}}}
              = w_i \Big( \log \sum_{k \notin X_i} e^{s_{ik}} - \bar s_i \Big)

    Args:
        mean_logit: s̄, ``(N,)``, the mean logit of each anchor's positives.
        positives: ``(N,)``, how many it has; an anchor without any costs 0 and is left out of the mean.
        weight: w, ``(N,)``; 1 if left out.
        query, key, temperature, excluded, unit, gather: as for :func:`one_positive`.
    """
    valid = positives > 0
    weight = valid.to(query.dtype) if weight is None else valid * weight
    weight = row_weights(query, weight, valid.sum(), reduction, gather)
    floor = torch.where(valid, -torch.inf, 0.0).to(query.dtype)  # finite where the weight is 0
    return _contrast(query, key, None, mean_logit, floor, excluded, weight, temperature, unit, reduction)


def _contrast(query, key, target, positive, floor, excluded, weight, temperature, unit, reduction) -> Tensor:
    """The formula above for every row, times its weight, reduced. p is ``positive``, or the logit of ``target``."""
    largest = 1 / temperature if unit else math.inf  # logit
    if isinstance(temperature, Tensor):
        query, temperature = query / temperature, 1.0
    if len(query) * len(key) <= DENSE or len(key) == excluded.shape[1]:
        rows = dense_rows(product(query, key) / temperature, target, positive, floor, excluded)
        return rows * weight if reduction == "none" else rows @ weight
    if transformed():
        raise RuntimeError(
            f"torch.func cannot transform a loss of {len(query)} anchors and {len(key)} candidates: above {DENSE} "
            "pairs the gradient is formed together with the value, tile by tile, and no step of it is kept"
        )
    bounded = bool(largest + math.log(len(key)) < LARGEST_EXPONENT)
    constants = target, excluded, 1 / temperature, bounded
    if reduction == "none":
        return weight * _TiledRows.apply(query, key, positive, floor, constants)
    return _TiledSum.apply(query, key, positive, floor, weight, constants, torch.is_grad_enabled())


def row_weights(rows: Tensor, weight: Tensor | None, count: Tensor | None, reduction: str, gather: bool) -> Tensor:
    """``(N,)``: the factors with which the rows are to be summed, or multiplied where they are not reduced."""
    one_of(REDUCTIONS, reduction=reduction)
    scale = processes() if gather and reduction != "none" else 1
    if reduction == "mean" and count is None and not gather:
        scale = 1 / len(rows)
    elif reduction == "mean":
        count = rows.new_tensor(len(rows)) if count is None else count.to(rows.dtype)
        scale = scale / (total(count) if gather else count).clamp_min(1)
    if weight is not None:
        return weight * scale
    return rows.new_full((len(rows),), 1.0) * scale if isinstance(scale, Tensor) else rows.new_full((len(rows),), scale)


def dense_rows(
    logits: Tensor, target: Tensor | None, positive: Tensor | None, floor: Tensor, excluded: Tensor
) -> Tensor:
    """The formula, on the whole ``(N, M)`` matrix of logits."""
    positive = logits.gather(1, target[:, None]) if target is not None else positive[:, None]
    return log_add((logits - positive).scatter(1, excluded, -torch.inf), floor)


def log_add(logits: Tensor, floor: Tensor) -> Tensor:
    """log(e^floor + Σ e^logits), row by row; a row may hold nothing but −inf, whose log-sum-exp has no gradient."""
    empty = (logits == -torch.inf).all(dim=1)
    sums = logits.masked_fill(empty[:, None], 0.0).logsumexp(dim=1)
    return torch.where(empty, floor, torch.logaddexp(floor, sums))


def _once(backward):
    """``once_differentiable`` alone takes the gradient for a constant if the upstream gradient is one, as in
    ``loss.backward(create_graph=True)``: the second derivative would be wrong, and no error."""
    once = once_differentiable(backward)
    return lambda ctx, upstream: once(ctx, upstream.detach().requires_grad_(torch.is_grad_enabled()))


class _TiledSum(torch.autograd.Function):
    """The weighted sum of the rows, its gradient formed in the forward pass. Differentiable once."""

    @staticmethod
    def forward(ctx, query, key, positive, floor, weight, constants, grad_enabled):
        needed = [grad_enabled and need for need in ctx.needs_input_grad[:2]]
        rows, to_query, to_key = _sweep(query, key, positive, floor, weight, *constants, needed)
        ctx.save_for_backward(to_query, to_key, rows, floor, weight)
        return rows @ weight

    @staticmethod
    @_once
    def backward(ctx, upstream):
        to_query, to_key, rows, floor, weight = ctx.saved_tensors
        to_query, to_key = (gradient if gradient is None else gradient * upstream for gradient in (to_query, to_key))
        to_weight = rows * upstream if ctx.needs_input_grad[4] else None
        others = _to_positive_and_floor(ctx, weight, upstream, rows, floor)
        return to_query, to_key, *others, to_weight, None, None


class _TiledRows(torch.autograd.Function):
    """The rows one by one; the backward pass, which brings a factor for each, sweeps again. Differentiable once."""

    @staticmethod
    def forward(ctx, query, key, positive, floor, constants):
        rows, _, _ = _sweep(query, key, positive, floor, None, *constants, (False, False))
        ctx.constants = constants
        ctx.save_for_backward(query, key, positive, floor, rows)
        return rows

    @staticmethod
    @_once
    def backward(ctx, upstream):
        query, key, positive, floor, rows = ctx.saved_tensors
        with torch.autocast(query.device.type, enabled=False):  # the caller may have switched it on around this pass
            _, *gradients = _sweep(query, key, positive, floor, upstream, *ctx.constants, ctx.needs_input_grad[:2])
        return *gradients, *_to_positive_and_floor(ctx, upstream, 1.0, rows, floor), None


def _to_positive_and_floor(ctx, weight, upstream, rows, floor):
    """∂ℓ/∂f = e^(f − ℓ), the floor's share of the sum, and ∂ℓ/∂p = −(1 − e^(f − ℓ))."""
    needs_positive, needs_floor = ctx.needs_input_grad[2:4]
    to_positive = torch.expm1(floor - rows) * weight * upstream if needs_positive else None
    to_floor = torch.exp(floor - rows) * weight * upstream if needs_floor else None
    return to_positive, to_floor


def _sweep(query, key, positive, floor, weight, target, excluded, scale, bounded, needed):
    """All rows and, where ``needed``, the gradients of their weighted sum to the queries and to the keys.

    If the queries are the keys, there is one gradient: the first.
    """
    n, m = len(query), len(key)
    step = max(1, TILE.get(query.device.type, TILE["cpu"]) // m)
    buffer = query.new_empty(min(step, n), m)
    rows = query.new_empty(n, 1)
    to_query = torch.zeros_like(query) if needed[0] else None
    to_key = to_query if query is key else torch.zeros_like(key) if needed[1] else None
    weight = None if weight is None else weight * scale  # from the logits to q·k
    for start in range(0, n, step):
        part = slice(start, start + step)
        few = query[part]
        tile = buffer[: len(few)]
        torch.addmm(tile, few, key.T, beta=0, alpha=scale, out=tile)  # the logits: beta=0 ignores what was there
        own = None if target is None else target[part, None]
        p = positive[part, None] if own is None else tile.gather(1, own)
        tile.scatter_(1, excluded[part], -torch.inf)
        shift = -p
        if not bounded:
            largest = tile.amax(dim=1, keepdim=True)
            tile.sub_(largest)
            shift += largest
        mass = tile.exp_().sum(dim=1, keepdim=True)
        rows[part] = row = torch.logaddexp(floor[part, None], mass.log() + shift)
        if to_query is None and to_key is None:
            continue
        if own is not None:  # what the others gain, the positive's logit loses
            tile.scatter_(1, own, -mass)
        factor = torch.exp(shift - row).mul_(weight[part, None])  # times the tile: the gradient to the logits
        if to_key is not None:
            to_key.addmm_(tile.T, few * factor)
        if to_query is not None:
            to_query[part].addcmul_(torch.mm(tile, key), factor)
    return rows[:, 0], to_query, None if query is key else to_key
