"""Triplet losses: an anchor, one row that should be near it, one that should be far, and a margin between the two."""

import torch
import torch.nn.functional as F
from torch import Tensor

from clt.losses._shared import labelled, not_negative, one_of, reduce, same_shape
from clt.similarity import full_precision, squared_euclidean, widest


@full_precision
def triplet_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, *, margin: float = 1.0, reduction: str = "mean"
) -> Tensor:
    r"""The negative must be farther than the positive by ``margin``, in squared Euclidean distance.

    .. math:: \ell_i = \big[\lVert a_i - p_i \rVert^2 - \lVert a_i - n_i \rVert^2 + m\big]_+

    Args:
        anchor, positive, negative: embeddings, all ``(N, D)``; used as given, not normalised.
        margin: the gap beyond which a triplet costs nothing; at least 0.
        reduction: ``"mean"`` over all N triplets, ``"sum"`` or ``"none"``.

    Returns:
        A scalar, or ``(N,)`` with ``reduction="none"``.

    Raises:
        ValueError: if the shapes differ, are empty or not ``(N, D)``, or ``margin`` is negative.

    Source: Schroff, Kalenichenko and Philbin (2015), FaceNet, section 3.1: embeddings on the unit sphere, m = 0.2.
    ``torch.nn.functional.triplet_margin_loss`` uses the distance itself, not its square.
    """
    same_shape(anchor=anchor, positive=positive, negative=negative)
    not_negative(margin=margin)
    near = (anchor - positive).square().sum(dim=-1)
    far = (anchor - negative).square().sum(dim=-1)
    return reduce(F.relu(near - far + margin), reduction)


@full_precision
def margin_triplet_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, *, margin: float = 1.0, reduction: str = "mean"
) -> Tensor:
    r"""The positive's dot product with the anchor must exceed the negative's by ``margin``.

    .. math:: \ell_i = \big[m - a_i \cdot p_i + a_i \cdot n_i\big]_+

    On the unit sphere ``‖a − p‖² = 2 − 2 a·p``: this loss with margin m is half of :func:`triplet_loss` with 2m.

    Args, Returns, Raises: as :func:`triplet_loss`.

    Source: Ying et al. (2018), PinSage, section 3.3 (max-margin ranking loss).
    """
    same_shape(anchor=anchor, positive=positive, negative=negative)
    not_negative(margin=margin)
    near = (anchor * positive).sum(dim=-1)
    far = (anchor * negative).sum(dim=-1)
    return reduce(F.relu(margin - near + far), reduction)


@full_precision
def batch_triplet_loss(embeddings: Tensor, labels: Tensor, *, margin: float = 1.0, mining: str = "all") -> Tensor:
    r"""Triplet loss over the triplets a labelled batch contains.

    .. math:: \ell_{apn} = [d_{ap} - d_{an} + m]_+, \qquad d_{ij} = \lVert x_i - x_j \rVert^2,
              \qquad y_p = y_a,\ p \ne a,\ y_n \ne y_a

    Args:
        embeddings: ``(N, D)``; used as given, not normalised.
        labels: ``(N,)`` integers.
        margin: the gap beyond which a triplet costs nothing; at least 0.
        mining: which triplets. ``"all"``: the mean over every valid one, those that cost nothing included;
            ``"hard"``: per anchor the farthest positive and the nearest negative; ``"semi-hard"``: per pair (a, p) the
            nearest negative farther than p, or the farthest negative where none is.

    Returns:
        A scalar; 0 with its graph kept if the batch holds no valid triplet.

    Raises:
        ValueError: if the shapes do not fit, the batch is empty, ``margin`` is negative or ``mining`` is unknown.
        TypeError: if the labels are not integers.

    Source: all and hard, Hermans, Beyer and Leibe (2017), section 2, with the squared distance; semi-hard, Schroff
    et al. (2015), section 3.2, with the fallback of TensorFlow Addons' implementation.
    """
    same_shape(embeddings=embeddings)
    labels = labelled(embeddings, labels)
    not_negative(margin=margin)
    one_of(_MINERS, mining=mining)
    labels, order = labels.sort()  # the order of a batch has no meaning; each class becomes a block
    return _MINERS[mining](squared_euclidean(embeddings[order]), labels, margin)


def _all(distance: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Every triplet in O(N² log N), without listing them.

    With the negatives of an anchor sorted, those that a positive at distance d has active are the first k, the ones
    nearer than d + m, and their hinges add up to k (d + m) minus the sum of the first k distances.
    """
    total, triplets, start = 0.0 * distance.sum(), 0, 0
    sizes = labels.unique_consecutive(return_counts=True)[1].tolist()
    for anchors, size in zip(distance.split(sizes), sizes, strict=True):
        stop = start + size
        if 1 < size < len(labels):
            near = torch.cat([anchors[:, :start], anchors[:, stop:]], dim=1).sort(dim=1).values
            reach = anchors[:, start:stop] + margin
            k = torch.searchsorted(near.detach(), reach.detach())
            sums = F.pad(widest(near).cumsum(dim=1), (1, 0))
            hinges = k * widest(reach) - sums.gather(1, k)
            total = total + (hinges.sum() - hinges.diagonal().sum())  # an anchor is not its own positive
            triplets += size * (size - 1) * (len(labels) - size)
        start = stop
    return (total / max(triplets, 1)).to(distance.dtype)


def _hard(distance: Tensor, labels: Tensor, margin: float) -> Tensor:
    positive, negative = _masks(labels)
    farthest = torch.where(positive, distance, -torch.inf).amax(dim=1)
    nearest = torch.where(negative, distance, torch.inf).amin(dim=1)
    complete = positive.any(1) & negative.any(1)  # elsewhere the hinge below is [−inf]₊ = 0
    return reduce(F.relu(farthest - nearest + margin), "mean", complete)


def _semi_hard(distance: Tensor, labels: Tensor, margin: float) -> Tensor:
    positive, negative = _masks(labels)
    near = torch.where(negative, distance, torch.inf).sort(dim=1).values
    count = negative.sum(dim=1, keepdim=True)
    first = torch.searchsorted(near.detach(), distance.detach(), right=True)  # the nearest one farther than p
    chosen = near.gather(1, first.minimum(count - 1).clamp_min(0))  # or the farthest there is
    return reduce(F.relu(distance - chosen + margin), "mean", positive & (count > 0))


def _masks(labels: Tensor) -> tuple[Tensor, Tensor]:
    """``(N, N)`` twice: j is a positive of anchor i, j is a negative of anchor i."""
    same = labels[:, None] == labels
    return same.clone().fill_diagonal_(False), ~same


_MINERS = {"all": _all, "hard": _hard, "semi-hard": _semi_hard}
