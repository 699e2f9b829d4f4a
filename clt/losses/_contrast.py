r"""The one operation under every contrastive loss: how small is the positive's share among the candidates of a row?

.. math:: \ell_i = \log\Big(e^{f_i} + \sum_{k \notin X_i} e^{\,q_i \cdot k_k / \tau - p_i}\Big)

``q`` are the anchors; ``k`` the candidates; ``p_i`` the positive's logit; ``X_i`` the candidates left out of row i,
such as the anchor itself; the floor ``f_i`` is what else is added. ``_positives`` says what these are with one positive
and with several. A weight on a candidate is its logarithm added to the logit: one more column in ``q`` and ``k``.

Written plainly (:func:`dense_rows`) this keeps several N × M matrices for the backward pass, 1 GB each at N = 16,384.
The tiled form walks over the same matrix and never holds more than a tile of it. Five ideas:

*Gradient in the forward pass.* The gradient of row i is g_i times the row's softmax times the candidates. A tile of
complete rows knows its softmax; and since the loss is a weighted sum of rows, g_i is known as well, up to one factor
that comes later and multiplies everything. So the gradient is formed while the tile is in the cache, the tile is
thrown away, and the backward pass is one multiplication. With ``reduction="none"`` each row has a factor of its own,
unknown until later: the backward pass walks over the tiles once more.

*Half of the matrix.* Where a set is compared with itself, a tile above the diagonal serves its rows and, turned over,
its columns. The sum of a row then comes from many tiles, so that the triangle is walked twice, for the sums and for the
gradient: n²d + n²d + 2n²d operations instead of 6n²d, and as many powers as before. On a CPU this takes about three
quarters of the processor time of the 6n²d operations alone. A matrix that fits into one tile is walked as it is: its
pieces would be so small that cutting it costs more than half of it saves. One that is small enough to be kept has a
symmetric gradient as well, W + Wᵀ, formed before it is multiplied with the candidates: 4n²d again.

*Constant shift.* Powers overflow unless something is subtracted first, as a rule the row's maximum, which has to be
looked for: two more walks over every tile. But |q·k| ≤ ‖q‖ ‖k‖, so that the logits of unit vectors lie between
−1/temperature and 1/temperature in every row, and one constant will do for all of them. While 1/temperature stays
clear of 88, the end of float32, that constant can be 0. Where it does not (temperatures below 0.02, vectors of any
length) the row's maximum is subtracted.

*One node.* In a batch of some dozens of rows the steps themselves cost more than what they compute. A loss that is a
sum is one node of the graph: the scaling to length one, where a loss asks for cosines, belongs to it.

*Powers of two.* e^s = 2^(s log₂ e), and that factor joins 1/temperature in the product, where it costs nothing.
PyTorch raises 2 to a power two to three times as fast as e.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from clt.losses._shared import constant
from clt.similarity import normalize, product, tangent, transformed, unit_and_length

# Elements of the similarity matrix. Up to DENSE it is formed in full, and derivatives of the gradient are possible;
# above, in tiles of TILE (on a CPU 16 MB, to stay in the cache; on a GPU 1 GB, to keep it busy).
DENSE = 2**18
SMALL = 2**16  # up to here, what is left out of the rows is kept from one batch to the next
TILE = {"cpu": 2**22, "cuda": 2**28}
LARGEST_EXPONENT = 60.0  # of the 88 that float32 has: the rest is room for sums and products
LOG2E = math.log2(math.e)
NOTHING = -1e30  # the logarithm of 0, but one that can be multiplied by 0


def contrast(
    query: Tensor,
    key: Tensor,
    positive: Tensor | None,
    target: Tensor | None,
    left_out: int | None,
    floor: Tensor | None,
    weight: Tensor | None,
    *,
    temperature: float | Tensor,
    unit: bool,
    cosine: bool,
    reduction: str,
) -> Tensor:
    """The formula above for every row, times its ``weight``; added up unless ``reduction`` is ``"none"``.

    p is ``positive``, or the logit of the key that ``target`` names. A ``positive`` of shape ``(N, M)``, where the
    matrix is ``kept_whole``, has the weights with which the row's logits add up to p. The target and key i +
    ``left_out``, where they are given, make up X_i. Left out, the floor is 0 with a target and −inf without one, and
    it is the mean that is returned if the weight is. If ``key`` is ``query``, each row is its target's target. With
    ``unit`` all rows have length 1; with ``cosine`` they are scaled to it here.
    """
    n, m = query.shape[0], key.shape[0]
    largest = 1 / temperature if unit or cosine else math.inf  # logit
    alone = m == (target is not None) + (left_out is not None)
    if cosine and (isinstance(temperature, Tensor) or reduction == "none" or alone or transformed()):
        symmetric, query, cosine = query is key, normalize(query), False
        key = query if symmetric else normalize(key)
    if isinstance(temperature, Tensor):
        symmetric = query is key  # and stays so
        query = query / (temperature.sqrt() if symmetric else temperature)
        key, temperature = query if symmetric else key, 1.0
    small = kept_whole(n, m)
    if transformed() and not small:
        raise RuntimeError(
            f"torch.func cannot transform a loss of {n} anchors and {m} candidates: above {DENSE} "
            "pairs the gradient is formed together with the value, tile by tile, and no step of it is kept"
        )
    if transformed() or alone:
        rows = dense_rows(product(query, key) / temperature, positive, target, left_out, floor)
        return rows * weight if reduction == "none" else weighted_sum(rows, weight)
    bounded = bool(largest + math.log(m) < LARGEST_EXPONENT)
    constants = target, left_out, 1 / temperature, bounded
    several_tiles = n * m > TILE["cpu"]
    halved = several_tiles and query is key and left_out == 0 and bounded and query.is_cpu
    walk = _whole if small else _triangle if halved else _sweep
    if reduction == "none":
        return weight * _Rows.apply(query, key, positive, floor, constants, walk)
    return _Sum.apply(query, key, positive, floor, weight, constants, walk, torch.is_grad_enabled(), cosine)


def kept_whole(n: int, m: int) -> bool:
    """Whether the similarities of n anchors and m candidates are formed in one piece."""
    return n * m <= DENSE


def weighted_sum(rows: Tensor, weight: Tensor | None) -> Tensor:
    return rows.mean() if weight is None else rows @ weight


def dense_rows(
    logits: Tensor, positive: Tensor | None, target: Tensor | None, left_out: int | None, floor: Tensor | None
) -> Tensor:
    """The formula, on the whole ``(N, M)`` matrix of logits."""
    own = None if target is None else target[:, None]
    logits = logits - _positive_logit(logits, positive, own)
    if own is not None:
        logits = logits.scatter(1, own, -torch.inf)
    if left_out is not None:
        logits = logits.scatter(1, torch.arange(len(logits), device=logits.device)[:, None] + left_out, -torch.inf)
    if floor is None:
        floor = logits.new_full((len(logits),), -torch.inf if target is None else 0.0)
    return log_add(logits, floor)


def _positive_logit(logits: Tensor, positive: Tensor | None, own: Tensor | None, unit: float = 1.0) -> Tensor:
    """p, ``(N, 1)``, where the logits are ``unit`` times as large; ``own`` are the targets, ``(N, 1)`` too."""
    if positive is None:
        return logits.gather(1, own)
    return (logits * positive).sum(dim=1, keepdim=True) if positive.dim() == 2 else positive[:, None] * unit


def log_add(logits: Tensor, floor: Tensor) -> Tensor:
    """log(e^floor + Σ e^logits), row by row; a row may hold nothing but −inf, whose log-sum-exp has no gradient."""
    empty = (logits == -torch.inf).all(dim=1)
    sums = logits.masked_fill(empty[:, None], 0.0).logsumexp(dim=1)
    return torch.where(empty, floor, torch.logaddexp(floor, sums))


def _differentiable(ctx, upstream):
    """The gradients of a small matrix as functions that have gradients: what ``create_graph=True`` asks for."""
    target, left_out, scale, _ = ctx.constants
    # new names for the inputs, so that what one of them owes to another is not counted here
    given = [x if x is None else x.view_as(x) for x in ctx.saved_tensors[:5]]
    query, key, positive, floor, weight = given
    with torch.autocast(query.device.type, enabled=False):
        left = normalize(query) if ctx.cosine else query
        right = left if ctx.symmetric else normalize(key) if ctx.cosine else key
        rows = dense_rows(product(left, right) * scale, positive, target, left_out, floor)
        value = rows if ctx.apart else weighted_sum(rows, weight)
        needed = [i for i, need in enumerate(ctx.needs_input_grad[:5]) if need and not (i == 1 and ctx.symmetric)]
        found = torch.autograd.grad(value, [given[i] for i in needed], upstream, create_graph=True)
    gradients = dict(zip(needed, found, strict=True))
    return tuple(gradients.get(i) for i in range(len(ctx.needs_input_grad)))


def _backward(quick):
    """A backward pass that is not differentiable, except where the matrix is small.

    ``once_differentiable`` alone takes the gradient for a constant if the upstream gradient is one, as in
    ``loss.backward(create_graph=True)``: the second derivative would be wrong, and no error.
    """
    once = once_differentiable(quick)

    def backward(ctx, upstream):
        if not torch.is_grad_enabled():
            return quick(ctx, upstream)
        if ctx.walk is _whole:
            return _differentiable(ctx, upstream)
        return once(ctx, upstream.detach().requires_grad_())

    return staticmethod(backward)


class _Sum(torch.autograd.Function):
    """The weighted sum of the rows, its gradient formed in the forward pass."""

    @staticmethod
    def forward(ctx, query, key, positive, floor, weight, constants, walk, grad_enabled, cosine):
        needed = [grad_enabled and need for need in ctx.needs_input_grad[:2]]
        left, right = query, key
        if cosine:
            left, length = unit_and_length(query)
            right, length_of_key = (left, length) if query is key else unit_and_length(key)
        share = 1 / query.shape[0] if weight is None else weight[:, None]
        rows, to_query, to_key = walk(left, right, positive, floor, share, *constants, needed)
        if cosine:
            to_query = None if to_query is None else tangent(to_query, left, length)
            to_key = None if to_key is None else tangent(to_key, right, length_of_key)
        ctx.constants, ctx.walk, ctx.symmetric, ctx.cosine, ctx.apart = constants, walk, query is key, cosine, False
        matrix = (query, key, positive) if walk is _whole else (None, None, None)
        ctx.save_for_backward(*matrix, floor, weight, rows, to_query, to_key)
        return weighted_sum(rows, weight)

    @_backward
    def backward(ctx, upstream):
        *_, floor, weight, rows, to_query, to_key = ctx.saved_tensors
        to_query = None if to_query is None else to_query * upstream
        to_key = None if to_key is None else to_key * upstream
        if not any(ctx.needs_input_grad[2:5]):
            return to_query, to_key, *[None] * 7
        to_weight = rows * upstream if ctx.needs_input_grad[4] else None
        others = _to_positive_and_floor(ctx, 1 / len(rows) if weight is None else weight, upstream, rows, floor)
        return to_query, to_key, *others, to_weight, None, None, None, None


class _Rows(torch.autograd.Function):
    """The rows one by one; the backward pass, which brings a factor for each, walks again."""

    @staticmethod
    def forward(ctx, query, key, positive, floor, constants, walk):
        rows, _, _ = walk(query, key, positive, floor, None, *constants, (False, False))
        ctx.constants, ctx.walk, ctx.symmetric = constants, walk, query is key
        ctx.cosine, ctx.apart = False, True
        ctx.save_for_backward(query, key, positive, floor, None, rows)
        return rows

    @_backward
    def backward(ctx, upstream):
        query, key, positive, floor, _, rows = ctx.saved_tensors
        key = query if ctx.symmetric else key
        with torch.autocast(query.device.type, enabled=False):  # the caller may have switched it on around this pass
            needed = ctx.needs_input_grad[:2]
            _, *gradients = ctx.walk(query, key, positive, floor, upstream[:, None], *ctx.constants, needed)
        return *gradients, *_to_positive_and_floor(ctx, upstream, 1.0, rows, floor), None, None


def _to_positive_and_floor(ctx, weight, upstream, rows, floor):
    """∂ℓ/∂f = e^(f − ℓ), the floor's share of the sum, and ∂ℓ/∂p = −(1 − e^(f − ℓ))."""
    needs_positive, needs_floor = ctx.needs_input_grad[2:4]
    to_positive = torch.expm1(floor - rows) * weight * upstream if needs_positive else None
    to_floor = torch.exp(floor - rows) * weight * upstream if needs_floor else None
    return to_positive, to_floor


# The walks. Each returns all rows and, where ``needed``, the gradients of their weighted sum to the queries and to the
# keys; if the queries are the keys, there is one gradient, the first. The weight is (N, 1), or one for all.


def _whole(query, key, positive, floor, weight, target, left_out, scale, bounded, needed):
    """The matrix is one tile."""
    n, m = len(query), len(key)
    if bounded and left_out is not None and n * m <= SMALL:
        without = constant(query, _left_out, n, m, left_out, query.dtype)
        tile, left_out = torch.addmm(without, query, key.T, alpha=scale * LOG2E), None
    else:
        tile = torch.mm(query, key.T).mul_(scale * LOG2E)
    rows, factor = _rows_of(tile, positive, floor, target, left_out, bounded)
    if not any(needed):
        return rows[:, 0], None, None
    tile.mul_(factor.mul_(scale * weight))
    if query is key:
        return rows[:, 0], torch.mm(tile + tile.T, query), None
    to_query = torch.mm(tile, key) if needed[0] else None
    return rows[:, 0], to_query, torch.mm(tile.T, query) if needed[1] else None


def _left_out(n: int, m: int, offset: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """What makes 0 of the power where key i + ``offset`` meets row i, and 0 of it, times a weight of 0; else 0."""
    added = torch.zeros(n, m, dtype=dtype, device=device)
    added.diagonal(offset).fill_(NOTHING)
    return added


def _sweep(query, key, positive, floor, weight, target, left_out, scale, bounded, needed):
    """A few complete rows at a time."""
    n, m = len(query), len(key)
    step = max(1, TILE.get(query.device.type, TILE["cpu"]) // m)
    buffer = query.new_empty(min(step, n), m)
    rows = query.new_empty(n, 1)
    to_query = torch.zeros_like(query) if needed[0] else None
    to_key = to_query if query is key else torch.zeros_like(key) if needed[1] else None
    for start in range(0, n, step):
        part = slice(start, start + step)
        few = query[part]
        tile = buffer[: len(few)]
        torch.addmm(tile, few, key.T, beta=0, alpha=scale * LOG2E, out=tile)
        p, own, least = (None if x is None else x[part] for x in (positive, target, floor))
        diagonal = None if left_out is None else start + left_out
        rows[part], factor = _rows_of(tile, p, least, own, diagonal, bounded)
        if to_query is None and to_key is None:
            continue
        factor.mul_(scale * (weight[part] if isinstance(weight, Tensor) else weight))
        if to_key is not None:
            to_key.addmm_(tile.T, few * factor)
        if to_query is not None:
            to_query[part].addcmul_(torch.mm(tile, key), factor)
    return rows[:, 0], to_query, None if query is key else to_key


def _rows_of(tile, positive, floor, target, left_out, bounded):
    """The losses of complete rows, and the factors that make the tile their gradient, both ``(rows, 1)``.

    The tile comes with the logits times log₂ e. It leaves with the powers, and what the others gain the positives lose.
    """
    own = None if target is None else target[:, None]
    p = _positive_logit(tile, positive, own, LOG2E)
    if own is not None:
        tile.scatter_(1, own, -torch.inf)
    if left_out is not None:
        tile.diagonal(left_out).fill_(-torch.inf)
    if not bounded:
        largest = tile.amax(dim=1, keepdim=True)
        tile.sub_(largest)
        p = p - largest
    mass = tile.exp2_().sum(dim=1, keepdim=True)
    if positive is None:
        tile.scatter_(1, own, -mass)
    elif positive.dim() == 2:
        tile.addcmul_(positive, mass, value=-1)
    log_odds = mass.log().sub_(p, alpha=1 / LOG2E)
    if floor is None and target is None:
        return log_odds, mass.reciprocal()
    losses, share = _added(log_odds, None if floor is None else floor[:, None])
    return losses, share.div_(mass)


def _added(log_odds, floor):
    """log(e^floor + e^log_odds), and the second's share of that sum."""
    if floor is None:
        return F.softplus(log_odds, threshold=60.0), log_odds.sigmoid()  # above 60, 1 is lost in e^60 in float64, too
    return torch.logaddexp(floor, log_odds), torch.sigmoid(log_odds - floor)


def _triangle(query, key, positive, floor, weight, target, left_out, scale, bounded, needed):
    """The queries are the keys: each tile on and above the diagonal, for its rows and for its columns."""
    n = len(query)
    height = max(1, min(math.isqrt(TILE["cpu"]) // 4, -(-n // 8)))  # the square on the diagonal is walked in full
    width = 4 * height  # 4 MB at most, a quarter of a tile of complete rows
    buffer, factors = query.new_empty(2, height * width)

    def tiles():
        for top in range(0, n, height):
            for left in range(top, n, width):
                rows, columns = slice(top, top + height), slice(left, left + width)
                few, others = query[rows], query[columns]
                tile = buffer[: len(few) * len(others)].view(len(few), -1)
                torch.addmm(tile, few, others.T, beta=0, alpha=scale * LOG2E, out=tile).exp2_()
                if left == top:
                    tile.diagonal().zero_()
                if target is not None:
                    places = target[rows] - left
                    inside = ((places >= 0) & (places < len(others))).nonzero()[:, 0]
                    tile[inside, places[inside]] = 0
                square = len(few) if left == top else 0  # columns that are rows of this tile, too
                yield tile, rows, columns, tile[:, square:], slice(left + square, left + width)

    mass = query.new_zeros(n)
    for tile, rows, _, beyond, below in tiles():
        mass[rows] += tile.sum(dim=1)
        mass[below] += beyond.sum(dim=0)
    p = (query * query[target]).sum(dim=1) * scale if positive is None else positive
    log_odds = mass.log() - p
    losses, share = _added(log_odds, floor)
    if not any(needed):
        return losses, None, None
    share = share * scale * (weight[:, 0] if isinstance(weight, Tensor) else weight)
    factor, to_query = share / mass, torch.zeros_like(query)
    for tile, rows, columns, beyond, below in tiles():
        tile.mul_(torch.add(factor[rows, None], factor[columns], out=factors[: tile.numel()].view_as(tile)))
        to_query[rows].addmm_(tile, query[columns])
        to_query[below].addmm_(beyond.T, query[rows])
    if positive is None:
        to_query.addcmul_(query[target], share[:, None], value=-1)
        to_query.index_add_(0, target, query * share[:, None], alpha=-1)
    return losses, to_query, None
