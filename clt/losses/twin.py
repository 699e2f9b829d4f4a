"""Identical and fraternal twins: two kinds of positives, and the distance between the kinds is to survive training.

The authors' talk gives the formulas but neither the forgetting coefficients nor the weight of the Twin Loss; both are
arguments here, and their defaults are this course's reading.
"""

from collections import deque

import torch
from torch import Tensor

from clt.losses._shared import floating, not_negative, reduce, same_shape
from clt.losses.info_nce import info_nce_loss
from clt.similarity import full_precision, normalize


@torch.no_grad()
@full_precision
def twin_margin(anchor: Tensor, identical: Tensor, fraternal: Tensor) -> Tensor:
    r"""How much nearer an identical twin is than a fraternal one: what the Twin Loss preserves.

    .. math:: M_i = e^{\cos(h_i, h_i^+)} - e^{\cos(h_i, h_i^-)}

    Args:
        anchor, identical, fraternal: embeddings, all ``(N, D)``, normalised inside, as an earlier encoder gives them:
            that of the step before ("each M depends on the previous step"); measured once, before training, is the
            ablation of lesson 07.

    Returns:
        ``(N,)``, without a gradient.

    Raises:
        ValueError: if the shapes differ, are empty or not ``(N, D)``.

    Source: Xiao, Li and Chen (2023), IFCL, as given in the authors' talk.
    """
    same_shape(anchor=anchor, identical=identical, fraternal=fraternal)
    return _margin(anchor, identical, fraternal)


@full_precision
def twin_loss(
    anchor: Tensor, identical: Tensor, fraternal: Tensor, margin: Tensor, *, reduction: str = "mean"
) -> Tensor:
    r"""The gap between identical and fraternal twins must stay what it was one step before.

    .. math:: \ell_i = \big| e^{\cos(h_i, h_i^+)} - e^{\cos(h_i, h_i^-)} - M_i \big|

    Args:
        anchor, identical, fraternal: embeddings, all ``(N, D)``, normalised inside.
        margin: M, ``(N,)``, from :func:`twin_margin` of the step before; no gradient flows into it.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Returns:
        A scalar, or ``(N,)`` with ``reduction="none"``.

    Raises:
        ValueError: if the shapes do not fit, are empty or not ``(N, D)``.

    Source: Xiao, Li and Chen (2023), IFCL, as given in the authors' talk (no temperature in these exponentials).
    """
    same_shape(anchor=anchor, identical=identical, fraternal=fraternal)
    floating(margin=margin)
    if margin.shape != anchor.shape[:1]:
        raise ValueError(f"margin must have shape ({len(anchor)},), got {tuple(margin.shape)}")
    return reduce((_margin(anchor, identical, fraternal) - margin.detach()).abs(), reduction)


@full_precision
def ifcl_loss(
    anchor: Tensor,
    identical: Tensor,
    fraternal: Tensor,
    margin: Tensor,
    queue: "HippocampusQueue | None" = None,
    *,
    temperature: float = 0.05,
    twin_weight: float = 1.0,
    reduction: str = "mean",
) -> Tensor:
    r"""InfoNCE for each kind of twin, with a fading queue of negatives, plus the Twin Loss.

    .. math:: \ell_i = \ell_i^{I}(h^+) + \ell_i^{I}(h^-) + \lambda\, \ell_i^{T}, \qquad
              \ell_i^{I}(h^\pm) = -\log \frac{e^{\cos(h_i, h_i^\pm)/\tau}}
              {\sum_j e^{\cos(h_i, h_j^\pm)/\tau} + \sum_m p_m e^{\cos(h_i, H_m)/\tau}}

    Without a queue each of the first two terms is the unsupervised SimCSE loss.

    Args:
        anchor, identical, fraternal: embeddings, all ``(N, D)``, normalised inside.
        margin: M, ``(N,)``, from :func:`twin_margin` of the step before.
        queue: the negatives H and their weights p; push the batch after the loss, not before.
        temperature: τ.
        twin_weight: λ, at least 0.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Returns:
        A scalar, or ``(N,)`` with ``reduction="none"``.

    Raises:
        ValueError: if the shapes do not fit or are empty, the temperature is not positive, or λ is negative.

    Source: Xiao, Li and Chen (2023), IFCL, as given in the authors' talk; the plain sum with λ = 1 is our reading.
    """
    not_negative(twin_weight=twin_weight)
    same_shape(anchor=anchor, identical=identical, fraternal=fraternal)
    negatives, weights = (queue.negatives, queue.weights) if queue is not None else (None, None)
    options = {"temperature": temperature, "reduction": reduction}
    loss = info_nce_loss(anchor, identical, negatives, weights, **options)
    loss = loss + info_nce_loss(anchor, fraternal, negatives, weights, **options)
    return loss + twin_weight * twin_loss(anchor, identical, fraternal, margin, reduction=reduction)


class HippocampusQueue:
    r"""The embeddings of the last batches, without gradients, the older ones fading.

    .. math:: p_m = \text{decay}^{\,a}, \qquad a = 1 \text{ for the newest batch}, 2 \text{ for the one before}, \dots

    With decay 1 it is a plain queue; with decay 0, or room for no batch, there are no negatives in effect.

    Args:
        batches: how many batches it remembers, at least 0.
        decay: from 0 to 1.

    Source: Xiao, Li and Chen (2023), IFCL: "the forgetting coefficient weighs the newest most"; the powers are our
    reading.
    """

    def __init__(self, batches: int, *, decay: float):
        not_negative(batches=batches, decay=decay)
        if decay > 1:
            raise ValueError(f"decay must be at most 1, got {decay}")
        self.decay = decay
        self._remembered: deque[Tensor] = deque(maxlen=batches)

    def push(self, embeddings: Tensor) -> None:
        """Remember a batch ``(N, D)``; the oldest one is forgotten when the queue is full."""
        same_shape(embeddings=embeddings)
        if self._remembered and self._remembered[-1].shape[1] != embeddings.shape[1]:
            width = self._remembered[-1].shape[1]
            raise ValueError(f"embeddings must be {width} wide like those in the queue, got {embeddings.shape[1]}")
        self._remembered.append(embeddings.detach().clone())

    @property
    def negatives(self) -> Tensor:
        """``(M, D)``, oldest first; ``(0, 0)`` before the first push."""
        return torch.cat(list(self._remembered)) if self._remembered else torch.empty(0, 0)

    @property
    def weights(self) -> Tensor:
        """``(M,)``, the weight of each negative."""
        oldest = len(self._remembered)
        ages = [torch.full((len(batch),), oldest - i) for i, batch in enumerate(self._remembered)]
        return self.decay ** torch.cat(ages).to(self.negatives) if ages else torch.empty(0)


def _margin(anchor: Tensor, identical: Tensor, fraternal: Tensor) -> Tensor:
    anchor = normalize(anchor)
    identical = (anchor * normalize(identical)).sum(dim=1)
    fraternal = (anchor * normalize(fraternal)).sum(dim=1)
    return identical.exp() - fraternal.exp()
