"""Soft nearest neighbours: how likely is a neighbour, picked at random with near ones preferred, of the same class?"""

import torch
from torch import Tensor

from clt.losses._contrast import log_add
from clt.losses._shared import above_zero, labelled, reduce, same_shape
from clt.similarity import full_precision, squared_euclidean


@full_precision
def soft_nearest_neighbor_loss(
    embeddings: Tensor, labels: Tensor, *, temperature: float = 1.0, reduction: str = "mean"
) -> Tensor:
    r"""Minus the log-probability that a row's soft neighbour belongs to its class.

    .. math:: \ell_i = -\log \frac{\sum_{p \in P(i)} e^{-\lVert x_i - x_p \rVert^2 / T}}
              {\sum_{k \ne i} e^{-\lVert x_i - x_k \rVert^2 / T}}, \qquad P(i) = \{p \ne i : y_p = y_i\}

    The sum stands inside the logarithm: one near positive is enough.

    Args:
        embeddings: ``(N, D)``; used as given, not normalised.
        labels: ``(N,)`` integers.
        temperature: T.
        reduction: ``"mean"`` over the anchors that have a positive, ``"sum"`` or ``"none"``.

    Returns:
        A scalar, or ``(N,)`` with ``reduction="none"``, 0 for anchors without a positive.

    Raises:
        ValueError: if the shapes do not fit, the batch is empty or the temperature is not positive.
        TypeError: if the labels are not integers.

    Source: Frosst, Papernot and Hinton (2019), definition 1. cleverhans' code adds 1e-5 above and below the fraction
    line, so that an anchor alone in its class costs 11.5, and exponentials that underflow cost the same.
    """
    same_shape(embeddings=embeddings)
    labels = labelled(embeddings, labels)
    above_zero(temperature=temperature)
    logits = -squared_euclidean(embeddings) / temperature
    same = labels[:, None] == labels
    positive = same.clone().fill_diagonal_(False)
    valid = positive.any(dim=1)
    # the rows of other anchors are not used, but an empty log-sum-exp has no gradient: keep them finite
    above = logits.masked_fill(~positive & valid[:, None], -torch.inf).logsumexp(dim=1, keepdim=True)
    others = (logits - above).masked_fill(same, -torch.inf)
    return reduce(log_add(others, torch.zeros_like(above[:, 0])), reduction, valid)  # log(1 + others / positives)
