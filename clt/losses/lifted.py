"""Lifted structure: every positive pair of a batch against all the negatives of both its ends."""

import torch
from torch import Tensor

from clt.losses._shared import labelled, not_negative, same_shape
from clt.similarity import full_precision, squared_euclidean


@full_precision
def lifted_structure_loss(embeddings: Tensor, labels: Tensor, *, margin: float = 1.0) -> Tensor:
    r"""A smooth version of: a pair of one class is closer, by a margin, than the nearest negative of either end.

    .. math:: J_{ij} = D_{ij} + \log \Big( \sum_{k:\, y_k \ne y_i} e^{m - D_{ik}} + \sum_{l:\, y_l \ne y_j}
              e^{m - D_{jl}} \Big), \qquad \ell = \frac{1}{2 |P|} \sum_{(i, j) \in P} [J_{ij}]_+^2

    P are the unordered pairs of one class, and D is the Euclidean distance, not its square. Between unit vectors D is
    at most 2, so that a pair with n negative terms costs at least :math:`\frac{1}{2} [\log n + m - 2]_+^2`: from
    n = 3 on, with a margin of 1, the hinge never closes.

    Args:
        embeddings: ``(N, D)``; used as given, not normalised.
        labels: ``(N,)`` integers.
        margin: m, at least 0.

    Returns:
        A scalar; 0 with its graph kept if no two rows share a class, or all do.

    Raises:
        ValueError: if the shapes do not fit, the batch is empty or ``margin`` is negative.
        TypeError: if the labels are not integers.

    Source: Song et al. (2016), eq. 4. Their Caffe layer divides by D in the gradient, which is 0 for duplicates: here
    the gradient of a distance of 0 is 0.
    """
    same_shape(embeddings=embeddings)
    labels = labelled(embeddings, labels)
    not_negative(margin=margin)
    same = labels[:, None] == labels
    pair = same.triu(diagonal=1)
    squared = squared_euclidean(embeddings)
    apart = squared > 0
    distance = torch.where(apart, torch.where(apart, squared, 1.0).sqrt(), 0.0)
    if same.all() or not pair.any():
        return 0.0 * distance.sum()
    negative = (margin - distance).masked_fill(same, -torch.inf).logsumexp(dim=1)  # (N,), all in a log-sum
    hinge = (distance + torch.logaddexp(negative[:, None], negative)).clamp_min(0)
    return torch.where(pair, hinge.square(), 0.0).sum() / (2 * pair.sum())
