r"""Neighbour probabilities and the maps made from them: SNE, symmetric SNE, t-SNE.

Around each point of the data stands a Gaussian, just wide enough for about ``perplexity`` neighbours. How likely each
other point is to be picked from it makes the probabilities P. A map has such probabilities as well, Q, and a point of
it moves until Q is as much like P as it can be: the three costs are Kullback–Leibler divergences, and differ in what is
compared and in the shape of a neighbourhood on the map.

Everything here works with all pairs: O(N²) time and memory, good for a few thousand points.
"""

import math

import torch
from torch import Tensor

from clt.similarity import full_precision, squared_euclidean, widest

EXAGGERATION = 12.0  # how much stronger the attraction is in the first third of the steps
MOMENTUM = (0.5, 0.8)  # in the first third, and after it


@full_precision
@torch.no_grad()
def conditional_probabilities(x: Tensor, *, perplexity: float = 30.0) -> Tensor:
    r"""How likely point i is to pick point j as its neighbour.

    .. math:: p_{j|i} = \frac{e^{-\beta_i \lVert x_i - x_j \rVert^2}}{\sum_{k \ne i} e^{-\beta_i \lVert x_i - x_k
              \rVert^2}}, \qquad p_{i|i} = 0

    The precision β_i = 1 / (2σ_i²) is found by bisection, such that row i has the entropy log ``perplexity``: it is as
    undecided as somebody who picks evenly among ``perplexity`` points. The entropy falls as β grows, so that there is
    just one.

    Args:
        x: ``(N, D)``; used as given, not normalised. Multiplying it by a number changes nothing.
        perplexity: above 1 and below N − 1, at which every row would be uniform.

    Returns:
        ``(N, N)``; every row sums to 1. It has no gradient. A point with more than ``perplexity`` exact copies picks
        evenly among them, whatever its β.

    Raises:
        ValueError: if ``x`` is not ``(N, D)`` or not finite, or no β can give this perplexity.

    Source: Hinton and Roweis (2002), eq. 1; van der Maaten and Hinton (2008), eq. 1.
    """
    _check_points("x", x)
    n = len(x)
    if not 1 < perplexity < n - 1:
        raise ValueError(f"perplexity must lie above 1 and below N − 1 = {n - 1}, got {perplexity} for {n} points")
    beside = ~torch.eye(n, dtype=torch.bool, device=x.device)
    distance = squared_euclidean(widest(x))[beside].view(n, n - 1)
    rounding = 1e-12 * distance.amax(dim=1, keepdim=True)
    distance = distance - distance.amin(dim=1, keepdim=True)  # the softmax does not see it, and nothing underflows
    distance = torch.where(distance > rounding, distance, 0.0)  # equally far is equally far
    scale = distance.mean(dim=1, keepdim=True)
    distance = distance / torch.where(scale > 0, scale, 1.0)

    low, high = torch.zeros_like(scale), torch.full_like(scale, math.inf)
    beta = torch.ones_like(scale)
    for _ in range(200):
        p = (-beta * distance).softmax(dim=1)
        entropy = (-beta * distance).logsumexp(dim=1, keepdim=True) + beta * (p * distance).sum(dim=1, keepdim=True)
        too_even = entropy > math.log(perplexity)
        low, high = torch.where(too_even, beta, low), torch.where(too_even, high, beta)
        beta = torch.where(high.isinf(), 2 * beta, (low + high) / 2)
        if ((entropy - math.log(perplexity)).abs() < 1e-12).all():
            break
    return torch.zeros(n, n, dtype=x.dtype, device=x.device).masked_scatter(beside, p.to(x.dtype))


def joint_probabilities(x: Tensor, *, perplexity: float = 30.0) -> Tensor:
    r"""How likely the pair (i, j) is, if i is drawn evenly and picks j, or the other way round.

    .. math:: p_{ij} = \frac{p_{j|i} + p_{i|j}}{2N}

    Every row sums to more than 1/(2N), so that an outlier, whom nobody picks, still has a say.

    Args, Raises: as :func:`conditional_probabilities`.

    Returns:
        ``(N, N)``, symmetric, 0 on the diagonal; everything together sums to 1. It has no gradient.

    Source: van der Maaten and Hinton (2008), section 3.1.
    """
    p = conditional_probabilities(x, perplexity=perplexity)
    return (p + p.T) / (2 * len(p))


@full_precision
def sne_loss(conditional: Tensor, y: Tensor) -> Tensor:
    r"""SNE: each point's neighbours on the map, against its neighbours in the data.

    .. math:: \sum_i \mathrm{KL}(P_i \,\|\, Q_i) = \sum_i \sum_{j \ne i} p_{j|i} \log \frac{p_{j|i}}{q_{j|i}}, \qquad
              q_{j|i} = \frac{e^{-\lVert y_i - y_j \rVert^2}}{\sum_{k \ne i} e^{-\lVert y_i - y_k \rVert^2}}

    Row by row it is InfoNCE with soft targets. Its gradient is
    :math:`2 \sum_j (p_{j|i} - q_{j|i} + p_{i|j} - q_{i|j})(y_i - y_j)`.

    Args:
        conditional: ``(N, N)`` from :func:`conditional_probabilities`.
        y: the map, ``(N, K)``.

    Returns:
        A scalar, at least 0.

    Raises:
        ValueError: if the shapes do not fit, or a row of ``conditional`` does not sum to 1.

    Source: Hinton and Roweis (2002), eq. 3 to 5.
    """
    logits = _logits("conditional", conditional, y, -squared_euclidean(_check_points("y", y)))
    if not torch.allclose(conditional.sum(dim=1), torch.ones_like(y[:, 0]), atol=1e-3):
        raise ValueError("every row of conditional must sum to 1: take conditional_probabilities(x)")
    return _divergence(conditional, logits - logits.logsumexp(dim=1, keepdim=True))


@full_precision
def symmetric_sne_loss(joint: Tensor, y: Tensor) -> Tensor:
    r"""Symmetric SNE: one distribution over all pairs, on the map as in the data.

    .. math:: \mathrm{KL}(P \,\|\, Q) = \sum_{i \ne j} p_{ij} \log \frac{p_{ij}}{q_{ij}}, \qquad
              q_{ij} = \frac{e^{-\lVert y_i - y_j \rVert^2}}{\sum_{k \ne l} e^{-\lVert y_k - y_l \rVert^2}}

    Its gradient is :math:`4 \sum_j (p_{ij} - q_{ij})(y_i - y_j)`.

    Args:
        joint: ``(N, N)`` from :func:`joint_probabilities`.
        y: the map, ``(N, K)``.

    Returns:
        A scalar, at least 0.

    Raises:
        ValueError: if the shapes do not fit, or ``joint`` does not sum to 1.

    Source: van der Maaten and Hinton (2008), section 3.1.
    """
    return _of_all_pairs(joint, y, -squared_euclidean(_check_points("y", y)))


@full_precision
def t_sne_loss(joint: Tensor, y: Tensor) -> Tensor:
    r"""t-SNE: as :func:`symmetric_sne_loss`, with a heavy tail on the map.

    .. math:: \mathrm{KL}(P \,\|\, Q) = -\sum_{i \ne j} p_{ij} \log w_{ij} + \log \sum_{k \ne l} w_{kl} - H(P), \qquad
              w_{ij} = \frac{1}{1 + \lVert y_i - y_j \rVert^2}, \quad q_{ij} = \frac{w_{ij}}{\sum_{k \ne l} w_{kl}}

    The first term attracts the pairs that are neighbours in the data, the second repels all. It is InfoNCE over all
    pairs, with soft targets and the logit log w. Its gradient is
    :math:`4 \sum_j (p_{ij} - q_{ij})\, w_{ij}\, (y_i - y_j)`.

    Args, Returns, Raises: as :func:`symmetric_sne_loss`.

    Source: van der Maaten and Hinton (2008), eq. 4 and 5.
    """
    return _of_all_pairs(joint, y, -squared_euclidean(_check_points("y", y)).log1p())


def t_sne(x: Tensor, *, dimensions: int = 2, perplexity: float = 30.0, steps: int = 750, seed: int = 0) -> Tensor:
    """A map of ``x`` on which near points are those that are near in the data.

    Gradient descent on :func:`t_sne_loss` with momentum and a step size of its own for each number. In the first third
    of the steps the attraction is twelve times as strong, which lets the groups find each other. The map starts from
    the first principal components, made very small, with a little noise.

    Args:
        x: ``(N, D)``; used as given.
        dimensions: of the map.
        perplexity: about how many neighbours a point is to keep; as in :func:`conditional_probabilities`.
        steps: gradient steps; after fewer than some 500 the groups are still moving.
        seed: of the noise, and so of the map.

    Returns:
        ``(N, dimensions)`` without a gradient; half precision is computed, and returned, in float32.

    Raises:
        ValueError: as :func:`conditional_probabilities`; also if ``dimensions`` or ``steps`` is below 1.

    Source: van der Maaten and Hinton (2008). Exaggeration, momentum and gains as in their code and in scikit-learn, the
    learning rate N/12 of Belkina et al. (2019), here divided by the 4 of the gradient; the start from the principal
    components after Kobak and Berens (2019).
    """
    if dimensions < 1 or steps < 1:
        raise ValueError(f"dimensions and steps must be at least 1, got {dimensions} and {steps}")
    p = joint_probabilities(x, perplexity=perplexity)
    y = _start(x.detach().to(p.dtype), dimensions, seed)
    rate = max(len(y) / EXAGGERATION / 4, 50.0)
    update, gain = torch.zeros_like(y), torch.ones_like(y)
    for step in range(steps):
        early = step < steps // 3
        gradient = _gradient(p, y, EXAGGERATION if early else 1.0)
        gain = torch.where(update * gradient < 0, gain + 0.2, 0.8 * gain).clamp_min(0.01)
        update = MOMENTUM[not early] * update - rate * gain * gradient
        y = y + update
    return y - y.mean(dim=0)


def _gradient(p: Tensor, y: Tensor, exaggeration: float = 1.0) -> Tensor:
    """Of :func:`t_sne_loss` in closed form, in as few passes over the N × N numbers as PyTorch allows."""
    lengths = y.square().sum(dim=1)
    w = torch.addmm(lengths[:, None] + lengths, y, y.T, alpha=-2).clamp_min_(0).add_(1).reciprocal_()
    w.fill_diagonal_(0.0)
    force = torch.sub(exaggeration * p, w, alpha=1 / w.sum().item()).mul_(w)
    return 4 * (force.sum(dim=1, keepdim=True) * y - force @ y)


def _start(x: Tensor, dimensions: int, seed: int) -> Tensor:
    """The principal components with a standard deviation of 1e-4, and a hundredth of that as noise."""
    centred = x - x.mean(dim=0)
    u, s, _ = torch.linalg.svd(centred, full_matrices=False)
    y = torch.zeros(len(x), dimensions, dtype=x.dtype, device=x.device)
    kept = min(dimensions, len(s))
    y[:, :kept] = u[:, :kept] * s[:kept] * u[:, :kept].sum(dim=0).sign().where(s[:kept] > 0, torch.ones_like(s[:kept]))
    spread = y[:, 0].std()
    noise = torch.randn(len(x), dimensions, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return 1e-4 * (y / torch.where(spread > 0, spread, 1.0) + 0.01 * noise.to(y))


def _check_points(name: str, points: Tensor) -> Tensor:
    if points.dim() != 2 or len(points) < 2 or not points.shape[1]:
        raise ValueError(f"{name} must have shape (N, D) with N of at least 2, got {tuple(points.shape)}")
    if not points.isfinite().all():
        raise ValueError(f"{name} holds numbers that are not finite")
    return points


def _logits(name: str, probabilities: Tensor, y: Tensor, logits: Tensor) -> Tensor:
    """The logits of all pairs of the map, −∞ for a point with itself."""
    if probabilities.shape != (len(y), len(y)):
        raise ValueError(f"{name} must have shape ({len(y)}, {len(y)}), as y has {len(y)} points, "
                         f"got {tuple(probabilities.shape)}")  # fmt: skip
    return logits.masked_fill(torch.eye(len(y), dtype=torch.bool, device=y.device), -torch.inf)


def _of_all_pairs(joint: Tensor, y: Tensor, logits: Tensor) -> Tensor:
    logits = _logits("joint", joint, y, logits)
    if abs(joint.sum().item() - 1) > 1e-3:
        raise ValueError(f"joint must sum to 1, got {joint.sum().item():.3g}: take joint_probabilities(x)")
    return _divergence(joint, logits - logits.flatten().logsumexp(dim=0))


def _divergence(p: Tensor, log_q: Tensor) -> Tensor:
    """Σ p log(p/q), in logarithms of q; where p is 0 it adds nothing, whatever q is."""
    log_q = log_q.masked_fill(torch.eye(len(p), dtype=torch.bool, device=p.device), 0.0)
    return (torch.special.xlogy(p, p) - p * log_q).sum()
