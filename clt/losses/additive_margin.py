"""Translation ranking: which of these sentences is the translation, and by how much is it ahead?"""

import torch
from torch import Tensor

from clt.losses._shared import above_zero, not_negative, reduce, same_shape
from clt.similarity import cosine_similarity, full_precision


@full_precision
def additive_margin_loss(
    left: Tensor,
    right: Tensor,
    *,
    margin: float = 0.3,
    temperature: float = 0.05,
    reduction: str = "mean",
) -> Tensor:
    r"""InfoNCE from left to right plus InfoNCE from right to left, with a margin taken off every positive.

    .. math:: \ell_i = -\log \frac{e^{(s_{ii} - m)/\tau}}{e^{(s_{ii} - m)/\tau} + \sum_{j \ne i} e^{s_{ij}/\tau}}
                       -\log \frac{e^{(s_{ii} - m)/\tau}}{e^{(s_{ii} - m)/\tau} + \sum_{j \ne i} e^{s_{ji}/\tau}},
              \qquad s_{ij} = \cos(x_i, y_j)

    A pair is at ease only when its cosine is ahead of all others by more than m. Without a margin this is twice
    :func:`clt.losses.clip_loss`.

    Args:
        left, right: sentences and their translations, both ``(N, D)``, normalised inside; row i belongs to row i.
        margin: m, at least 0.
        temperature: τ.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Returns:
        A scalar, or ``(N,)`` with ``reduction="none"``: for each pair the *sum* of its two directions.

    Raises:
        ValueError: if the shapes differ, are empty or not ``(N, D)``, the temperature is not positive, or the margin
            is negative.

    Source: Yang et al. (2019), eqs. 3 to 5, as LaBSE uses it (Feng et al., 2020), with m = 0.3; 1/τ is a scale there.
    """
    same_shape(left=left, right=right)
    above_zero(temperature=temperature)
    not_negative(margin=margin)
    cosines = cosine_similarity(left, right)
    off = margin * torch.eye(len(cosines), dtype=cosines.dtype, device=cosines.device)
    logits = (cosines - off) / temperature
    own = logits.diagonal()
    return reduce(logits.logsumexp(1) - own + (logits.logsumexp(0) - own), reduction)
