r"""Lower bounds of mutual information from a matrix of scores.

``scores[i, j]`` is what a critic f thinks of the pair (x_i, y_j). The pairs on the diagonal were drawn together, from
the joint distribution; the N(N − 1) pairs beside it stand for draws from the product of the marginals. Every bound is
in nats, and can be maximised by gradient ascent to train the critic.

What they trade: InfoNCE hardly varies from batch to batch but can never exceed log N; the others can, at the price of
a variance that grows with e^I (McAllester and Stratos, 2020).
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from clt.similarity import cosine_similarity, full_precision, squared_euclidean


@full_precision
def info_nce_bound(scores: Tensor) -> Tensor:
    r"""log N minus the InfoNCE loss of picking y_i for x_i among all N.

    .. math:: I \ge \log N + \frac{1}{N} \sum_i \Big( f_{ii} - \log \sum_j e^{f_{ij}} \Big)

    Args:
        scores: ``(N, N)``, N at least 2.

    Returns:
        A scalar, at most log N.

    Raises:
        ValueError: if the matrix is not square or has fewer than two rows.

    Source: van den Oord, Li and Vinyals (2018), section 2.3; Poole et al. (2019), eq. 10.
    """
    _check(scores)
    return math.log(len(scores)) + (scores.diagonal() - scores.logsumexp(dim=1)).mean()


def tuned_bound(x: Tensor, y: Tensor, temperatures: Sequence[float] = (0.02, 0.03, 0.05, 0.1, 0.2, 0.5)) -> Tensor:
    r"""The InfoNCE bound with the critic cos(x_i, y_j) / τ, at the temperature of those given at which it is largest.

    Each of them gives a lower bound, so the largest is the closest. One temperature for all encoders would compare
    critics: in a narrow cone all candidates look alike at a temperature that suits a wide one.

    Args:
        x, y: ``(N, D)``, row i of one belongs to row i of the other; N at least 2.
        temperatures: τ, at least one.

    Raises:
        ValueError: as :func:`info_nce_bound`, or if no temperature is given.

    Source: van den Oord, Li and Vinyals (2018), section 2.3, for the bound.
    """
    if not temperatures:
        raise ValueError("expected at least one temperature, got none")
    cosines = cosine_similarity(x, y)
    return torch.stack([info_nce_bound(cosines / temperature) for temperature in temperatures]).max()


@full_precision
def nwj_bound(scores: Tensor) -> Tensor:
    r"""The bound of Nguyen, Wainwright and Jordan: unbiased, with a variance that grows exponentially.

    .. math:: I \ge \mathbb{E}_{p(x,y)}[f] - \mathbb{E}_{p(x)p(y)}\big[e^{f - 1}\big]

    Args, Raises: as :func:`info_nce_bound`. The best critic is one plus the log-ratio of the densities.

    Source: Nguyen, Wainwright and Jordan (2010); Poole et al. (2019), eq. 6.
    """
    _check(scores)
    return scores.diagonal().mean() - torch.exp(_log_mean_exp(scores) - 1)


@full_precision
def dv_bound(scores: Tensor) -> Tensor:
    r"""The bound of Donsker and Varadhan. On a batch it is biased: the logarithm of a mean is not the mean.

    .. math:: I \ge \mathbb{E}_{p(x,y)}[f] - \log \mathbb{E}_{p(x)p(y)}\big[e^f\big]

    Args, Raises: as :func:`info_nce_bound`. The best critic is the log-ratio of the densities, plus any constant.

    Source: Donsker and Varadhan (1983); Belghazi et al. (2018), MINE, eq. 2.
    """
    _check(scores)
    return scores.diagonal().mean() - _log_mean_exp(scores)


@full_precision
def mine_bound(scores: Tensor, log_average: Tensor | None = None, *, momentum: float = 0.9) -> tuple[Tensor, Tensor]:
    r"""Donsker and Varadhan's bound, with a less biased gradient: the mean of e^f is divided by its moving average.

    .. math:: \nabla = \mathbb{E}_{p(x,y)}[\nabla f] - \frac{\mathbb{E}_{p(x)p(y)}[e^f\, \nabla f]}{A}, \qquad
              A \leftarrow \mu A + (1 - \mu)\, \mathbb{E}_{p(x)p(y)}[e^f]

    Args:
        scores: ``(N, N)``, N at least 2.
        log_average: log A as the step before returned it; nothing in the first step, which takes the batch's own.
        momentum: μ, from 0 to 1.

    Returns:
        The bound, a scalar with the value of :func:`dv_bound`, and the new log A, without a gradient.

    Raises:
        ValueError: as :func:`info_nce_bound`, or if μ is not between 0 and 1.

    Source: Belghazi et al. (2018), MINE, section 3.2.
    """
    _check(scores)
    if not 0 <= momentum <= 1:
        raise ValueError(f"momentum must lie between 0 and 1, got {momentum}")
    log_mean = _log_mean_exp(scores)
    average = log_mean.detach()
    if log_average is not None:
        shares = torch.tensor([momentum, 1 - momentum]).to(average).log()
        average = torch.logaddexp(log_average.to(average) + shares[0], average + shares[1])
    ratio = torch.exp(log_mean - average)
    bound = scores.diagonal().mean() - ratio
    return bound + (ratio - log_mean).detach(), average


@full_precision
def smile_bound(scores: Tensor, *, clip: float = 5.0) -> Tensor:
    r"""Donsker and Varadhan's bound with the scores clipped in the second term, to buy variance with bias.

    .. math:: \mathbb{E}_{p(x,y)}[f] - \log \mathbb{E}_{p(x)p(y)}\big[e^{\min(\max(f, -c), c)}\big]

    The gradient is that of the Jensen–Shannon bound, E[−softplus(−f)] − E[softplus(f)], as in the authors' code. With
    clipping the value is an estimate: it can exceed I.

    Args:
        scores: ``(N, N)``, N at least 2.
        clip: c, positive; ``math.inf`` for no clipping.

    Returns:
        A scalar.

    Raises:
        ValueError: as :func:`info_nce_bound`, or if ``clip`` is not positive.

    Source: Song and Ermon (2020), SMILE, section 4.
    """
    _check(scores)
    if not clip > 0:
        raise ValueError(f"clip must be positive, got {clip}")
    value = scores.diagonal().mean() - _log_mean_exp(scores.clamp(-clip, clip))
    joint, everything = F.softplus(-scores.diagonal()).mean(), F.softplus(scores)
    marginal = (everything.sum() - everything.diagonal().sum()) / (len(scores) * (len(scores) - 1))
    jensen_shannon = -joint - marginal
    return jensen_shannon + (value - jensen_shannon).detach()


def gaussian_scores(information: float, n: int, *, dims: int = 10, generator: torch.Generator | None = None) -> Tensor:
    r"""Scores of the best critic, log p(y|x)/p(y), for pairs of Gaussians whose mutual information is known.

    Each coordinate of y has the correlation ρ with the same coordinate of x, so that

    .. math:: I = -\frac{d}{2} \log(1 - \rho^2)

    Args:
        information: I in nats, not negative.
        n: pairs to draw.
        dims: d, coordinates of x and of y.
        generator: of the random numbers; torch's own if left out.

    Returns:
        ``(n, n)``, for any of the bounds; NWJ's best critic is one more.

    Raises:
        ValueError: if the information is negative.

    Source: the correlated Gaussians of Poole et al. (2019).
    """
    if information < 0:
        raise ValueError(f"mutual information is never negative, got {information}")
    squared = 1 - math.exp(-2 * information / dims)  # ρ²
    x, noise = torch.randn(2, n, dims, generator=generator)
    y = squared**0.5 * x + (1 - squared) ** 0.5 * noise
    distance = squared_euclidean(squared**0.5 * x, y)
    return information + y.square().sum(dim=1) / 2 - distance / (2 * (1 - squared))


def _log_mean_exp(scores: Tensor) -> Tensor:
    """log of the mean of e^f over the pairs beside the diagonal."""
    beside = ~torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    return scores[beside].logsumexp(dim=0) - math.log(len(scores) * (len(scores) - 1))


def _check(scores: Tensor) -> None:
    if scores.dim() != 2 or scores.shape[0] != scores.shape[1] or len(scores) < 2:
        raise ValueError(f"scores must be a square matrix of at least 2 rows, got shape {tuple(scores.shape)}")
