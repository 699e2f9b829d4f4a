"""CoSENT: graded pairs, of which only the order has to come out right."""

import torch
from torch import Tensor

from clt.losses._shared import above_zero, floating
from clt.similarity import full_precision


@full_precision
def cosent_loss(similarities: Tensor, scores: Tensor, *, scale: float = 20.0) -> Tensor:
    r"""A smooth count of the pairs of pairs that stand in the wrong order.

    .. math:: \ell = \log \Big( 1 + \sum_{(a, b):\, y_a < y_b} e^{\lambda (s_a - s_b)} \Big)

    Pair b deserves more than pair a, so its similarity should be higher, by a few times 1/λ. Only the order of the
    scores counts: any increasing map of them gives the same loss. Equal scores ask nothing of each other.

    Args:
        similarities: ``(N,)``, one for each pair of the batch, such as cosines; used as given.
        scores: ``(N,)``, what each pair deserves, on any scale; integers will do.
        scale: λ, the inverse of a temperature.

    Returns:
        A scalar: one loss for the whole batch, not a mean over it. It is 0, with its graph kept, if all scores are
        equal, and grows with the number of pairs of pairs: where all similarities are equal, like its logarithm.

    Raises:
        ValueError: if the shapes differ, are empty or not ``(N,)``, a score is NaN, or the scale is not positive.
        TypeError: if the similarities are not a tensor of floating-point numbers, or the scores not one of numbers.

    Source: Su (2022), CoSENT; Sentence Transformers' ``CoSENTLoss``, from whose default λ comes.
    """
    floating(similarities=similarities)
    if not isinstance(scores, Tensor) or scores.is_complex() or scores.dtype == torch.bool:
        kind = scores.dtype if isinstance(scores, Tensor) else type(scores).__name__
        raise TypeError(f"scores must be a tensor of numbers, got {kind}")
    if similarities.dim() != 1 or similarities.shape != scores.shape or not len(scores):
        raise ValueError(
            f"similarities and scores must have one shape (N,) and not be empty, got {tuple(similarities.shape)} and "
            f"{tuple(scores.shape)}"
        )
    above_zero(scale=scale)
    scores = scores.to(similarities.device)
    if scores.isnan().any():
        raise ValueError("scores must be numbers, got nan")
    gap = scale * (similarities[:, None] - similarities)  # row a, column b: how far a is above b
    gap = gap.masked_fill(scores[:, None] >= scores, -torch.inf)
    return torch.cat([gap.new_zeros(1), gap.flatten()]).logsumexp(0)  # the 1 is e^0
