"""NT-Xent with other negatives: debiased, weighted towards the hard ones, or without the positive among them."""

import math

import torch
from torch import Tensor

from clt.losses._shared import above_zero, not_negative, reduce, same_shape
from clt.similarity import full_precision, normalize, product


@full_precision
def hard_negative_loss(
    view1: Tensor,
    view2: Tensor,
    *,
    temperature: float = 0.5,
    hardness: float = 1.0,
    class_prior: float = 0.1,
    reduction: str = "mean",
) -> Tensor:
    r"""NT-Xent that expects some of its negatives to be false, and lets the hard ones count more.

    .. math:: \ell_i = -\log \frac{e^{s^+_i}}{e^{s^+_i} + G_i}, \qquad
              G_i = \max\Big\{ \frac{K}{1 - \tau^+} \Big( \sum_k w_{ik}\, e^{s_{ik}} - \tau^+ e^{s^+_i} \Big),\
              K e^{-1/\tau} \Big\}, \qquad w_{ik} = \frac{e^{\beta s_{ik}}}{\sum_l e^{\beta s_{il}}}

    s are cosines divided by τ; k and l run over the :math:`K = 2N - 2` rows that are not of the anchor's pair. The mean
    over what was drawn, :math:`\sum_k w e^s`, is one over both true and false negatives; taking off the share
    :math:`\tau^+` that the anchor's own class has in it leaves the true ones. The floor is the least value that their
    mean can have. Where it is active, negatives have no gradient.

    β = 0 is the debiased loss, β = τ⁺ = 0 is NT-Xent. β multiplies s, so that the weights see the cosine times β/τ.

    Args:
        view1, view2: embeddings, both ``(N, D)``, normalised inside; row i of one is the twin of row i of the other.
        temperature: τ.
        hardness: β, at least 0.
        class_prior: τ⁺, at least 0 and below 1: the probability that a random row has the anchor's class.
        reduction: ``"mean"`` over the 2N anchors, ``"sum"`` or ``"none"``.

    Returns:
        A scalar, or ``(2N,)`` with ``reduction="none"``: the anchors of ``view1``, then those of ``view2``. A single
        pair has no negatives and costs 0.

    Raises:
        ValueError: if the shapes differ, are empty or not ``(N, D)``, or an option is out of its range.

    Source: Robinson et al. (2021), Contrastive learning with hard negative samples, section 3; β = 0: Chuang et al.
    (2020), Debiased contrastive learning, with one positive. Their code takes powers before it adds: in float32 it is
    infinite at τ = 0.02. Here every step is a logarithm.
    """
    same_shape(view1=view1, view2=view2)
    above_zero(temperature=temperature)
    not_negative(hardness=hardness, class_prior=class_prior)
    if class_prior >= 1:
        raise ValueError(f"class_prior must be below 1, got {class_prior}")
    positive, negatives = _pairs(view1, view2, temperature)
    count = negatives.shape[1]
    if count == 0:
        return reduce(0.0 * positive, reduction)
    drawn = (negatives + (hardness * negatives).log_softmax(dim=1)).logsumexp(dim=1)  # log Σ w e^s
    if class_prior > 0:
        excess = math.log(class_prior) + positive - drawn  # log of the false ones' share in the mean
        some = excess < 0
        left = drawn + _log_one_minus_exp(torch.where(some, excess, -1.0)) - math.log1p(-class_prior)
        floor = -1 / temperature
        drawn = torch.where(some & (left > floor), left, floor)
    return reduce(torch.logaddexp(drawn + math.log(count) - positive, torch.zeros_like(positive)), reduction)


@full_precision
def decoupled_loss(view1: Tensor, view2: Tensor, *, temperature: float = 0.1, reduction: str = "mean") -> Tensor:
    r"""NT-Xent without the positive in the denominator.

    .. math:: \ell_i = -s^+_i + \log \sum_k e^{s_{ik}}

    s are cosines divided by τ, and k runs over the 2N − 2 rows that are not of the anchor's pair. NT-Xent's gradient
    carries the factor 1 − p⁺, which vanishes once a pair is told apart, in small batches very soon; here it is gone.
    For every anchor, NT-Xent is this loss − log(1 − p⁺). It has no lower bound but −2/τ + log(2N − 2).

    Args, Returns, Raises: as :func:`hard_negative_loss`.

    Source: Yeh et al. (2022), Decoupled contrastive learning. A public implementation masks by adding log 1e-45
    = −103.6 to a logit, which below τ = 0.01 hides nothing.
    """
    same_shape(view1=view1, view2=view2)
    above_zero(temperature=temperature)
    positive, negatives = _pairs(view1, view2, temperature)
    if negatives.shape[1] == 0:
        return reduce(0.0 * positive, reduction)
    return reduce(negatives.logsumexp(dim=1) - positive, reduction)


def _pairs(view1: Tensor, view2: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """The logits of each of the 2N rows: with its twin ``(2N,)``, with the rows of other pairs ``(2N, 2N − 2)``."""
    views = normalize(torch.cat([view1, view2]))
    logits = product(views, views) / temperature
    n = len(view1)
    start = torch.arange(2 * n, device=views.device)[:, None]
    away = torch.cat([torch.arange(1, n), torch.arange(n + 1, 2 * n)]).to(views.device)  # 0 is itself, n its twin
    positive = logits.gather(1, (start + n) % (2 * n))[:, 0]
    return positive, logits.gather(1, (start + away) % (2 * n))


def _log_one_minus_exp(x: Tensor) -> Tensor:
    """log(1 − e^x) for x < 0, by whichever of the two ways keeps its digits."""
    small = x < -math.log(2)
    return torch.where(
        small,
        (-torch.where(small, x, -1.0).exp()).log1p(),
        (-torch.where(small, -0.5, x).expm1()).log(),
    )
