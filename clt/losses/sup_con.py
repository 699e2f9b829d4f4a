"""SupCon: labels make positives."""

import torch
from torch import Tensor

from clt.losses._contrast import kept_whole
from clt.losses._gather import gather_rows
from clt.losses._positives import several_positives
from clt.losses._shared import above_zero, floating, labelled, same_shape
from clt.similarity import full_precision, normalize


@full_precision
def sup_con_loss(
    embeddings: Tensor, labels: Tensor, *, temperature: float = 0.1, reduction: str = "mean", gather: bool = False
) -> Tensor:
    r"""All rows of an anchor's class are its positives; the mean of their log-probabilities is raised.

    .. math:: \ell_i = -\frac{1}{|P(i)|} \sum_{p \in P(i)} \log \frac{e^{s_{ip}}}{\sum_{k \ne i} e^{s_{ik}}}, \qquad
              s_{ik} = \frac{\cos(z_i, z_k)}{\tau}, \qquad P(i) = \{p \ne i : y_p = y_i\}

    It does not reach 0 with more than one positive: they share the probability, :math:`\log |P(i)|` is the least.

    Args:
        embeddings: ``(N, D)``, or ``(N, V, D)`` for V views of each example; normalised inside.
        labels: ``(N,)`` integers.
        temperature: τ.
        reduction: ``"mean"`` over the anchors that have a positive, ``"sum"`` or ``"none"``.
        gather: the rows of all other processes are candidates and positives too; after ``DistributedDataParallel`` has
            taken its mean, the gradients are those of one process with the whole batch.

    Returns:
        A scalar, or ``(N,)`` or ``(N, V)`` with ``reduction="none"``, 0 for anchors without a positive.

    Raises:
        ValueError: if the shapes do not fit, the batch is empty or the temperature is not positive.
        TypeError: if the labels are not integers.

    Source: Khosla et al. (2020), eq. 2 (L_out), mean instead of sum. The authors' code multiplies it by τ/0.07 and
    counts anchors without a positive in the mean.
    """
    floating(embeddings=embeddings)
    if embeddings.dim() not in (2, 3):
        raise ValueError(f"embeddings must have shape (N, D) or (N, V, D), got {tuple(embeddings.shape)}")
    labels = labelled(embeddings, labels)
    shape = embeddings.shape[:-1]
    if embeddings.dim() == 3:
        labels = labels.repeat_interleave(embeddings.shape[1])
        embeddings = embeddings.flatten(0, 1)
    same_shape(embeddings=embeddings)
    above_zero(temperature=temperature)
    candidate_labels, start = gather_rows(labels, gather)
    small = kept_whole(len(labels), len(candidate_labels))  # so is a mask of the positives, then: the fewest steps
    anchors = embeddings if small else normalize(embeddings)
    candidates = gather_rows(anchors, gather)[0]
    if small:
        mean, positives = positive_shares(labels, candidate_labels, start, anchors.dtype)
    else:
        cosine, positives = mean_positive_cosine(anchors, labels, candidates, candidate_labels, start)
        mean = cosine / temperature
    loss = several_positives(
        anchors,
        candidates,
        mean,
        positives,
        temperature=temperature,
        left_out=start,
        unit=not small,
        cosine=small,
        reduction=reduction,
        gather=gather,
    )
    return loss.reshape(shape) if reduction == "none" else loss


def positive_shares(labels: Tensor, candidate_labels: Tensor, start: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """1/|P(i)| where a candidate is a positive of the anchor, else 0, ``(N, M)``; and how many there are, ``(N,)``."""
    same = labels[:, None] == candidate_labels
    same.diagonal(start).fill_(False)
    count = same.sum(dim=1, keepdim=True, dtype=dtype)
    return same / count.clamp_min(1), count[:, 0]


def mean_positive_cosine(
    anchors: Tensor, labels: Tensor, candidates: Tensor, candidate_labels: Tensor, start: int
) -> tuple[Tensor, Tensor]:
    """Mean cosine of each anchor with its positives, 0 if it has none, and how many there are; both ``(N,)``.

    A mean of dot products is the dot product with a mean: the sum of each class, less the anchor itself, is enough,
    and no N × N mask of positives is made.
    """
    classes, kind = candidate_labels.unique(return_inverse=True)
    sums = candidates.new_zeros(len(classes), candidates.shape[1]).index_add(0, kind, candidates)
    own = slice(start, start + len(anchors))
    count = kind.bincount(minlength=len(classes))[kind[own]] - 1
    total = (anchors * (sums[kind[own]] - candidates[own])).sum(dim=1)
    return total / count.clamp_min(1), count
