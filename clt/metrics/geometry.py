"""The shape of a cloud of embeddings: positives close, everything else spread out, no favourite direction.

Half-precision input is computed, and returned, in float32.
"""

import math

import torch
from torch import Tensor

from clt.similarity import full_precision, normalize, squared_euclidean


@full_precision
def alignment(x: Tensor, y: Tensor, *, alpha: float = 2.0) -> Tensor:
    r"""Mean distance between the two members of a positive pair: how close is what belongs together.

    .. math:: \frac1N \sum_i \lVert \hat x_i - \hat y_i \rVert_2^{\alpha}, \qquad \hat x = x / \lVert x \rVert

    Args:
        x, y: the two members of each pair, both ``(N, D)``; normalised here.
        alpha: the power; with 2 the value is the mean of :math:`2 - 2\cos` and lies in [0, 4].

    Returns:
        A scalar, 0 when every pair coincides; half precision is computed, and returned, in float32. It has a gradient,
        0 for a pair that coincides.

    Raises:
        ValueError: if the shapes differ, there is no pair, or ``alpha`` is not positive.

    Source: Wang and Isola (2020), section 4.1.1. Their code leaves the normalising to the caller.
    """
    if x.shape != y.shape or x.ndim != 2 or not len(x):
        raise ValueError(f"expected two (N, D) tensors of one shape with N > 0, got {tuple(x.shape)}, {tuple(y.shape)}")
    if not alpha > 0:
        raise ValueError(f"alpha should be positive, got {alpha}")
    squared = (normalize(x) - normalize(y)).square().sum(-1)
    if alpha >= 2:
        return squared.pow(alpha / 2).mean()
    together = squared == 0  # below 2 the slope of the power is infinite there, and infinity times 0 is NaN
    return squared.masked_fill(together, 1.0).pow(alpha / 2).masked_fill(together, 0.0).mean()


@full_precision
def uniformity(x: Tensor, *, t: float = 2.0) -> Tensor:
    r"""How evenly the embeddings cover the sphere: the log of the mean Gaussian potential of all pairs.

    .. math:: \log \frac{2}{N(N-1)} \sum_{i<j} e^{-t \lVert \hat x_i - \hat x_j \rVert^2}

    Args:
        x: embeddings, ``(N, D)``; normalised here.
        t: how sharply a pair must be close to count.

    Returns:
        A scalar at most 0, which is total collapse; about −2t for points spread evenly in many dimensions. It has a
        gradient. The matrix of pairs is formed: O(N²) memory. Half precision is computed, and returned, in float32.

    Raises:
        ValueError: if there are fewer than two embeddings.

    Source: Wang and Isola (2020), section 4.1.2, with their default t = 2.
    """
    _at_least_two(x)
    distance = squared_euclidean(normalize(x))
    i, j = torch.triu_indices(len(x), len(x), offset=1, device=x.device)
    pairs = distance[i, j].mul(-t)
    return torch.logsumexp(pairs, dim=0) - math.log(len(pairs))


@full_precision
def anisotropy(x: Tensor) -> Tensor:
    r"""Mean cosine between two different embeddings: 0 if no direction is favoured, 1 if all share one.

    .. math:: \frac{\lVert \sum_i \hat x_i \rVert^2 - N}{N (N - 1)}

    The closed form takes every pair of the ``(N, D)`` tensor ``x`` into account in O(N·D), without the matrix of pairs.
    Half precision is computed, and returned, in float32.

    Raises:
        ValueError: if there are fewer than two embeddings.

    Source: the quantity is that of Ethayarajh (2019), section 3.3, who estimates it from 1,000 sampled pairs.
    """
    _at_least_two(x)
    unit = normalize(x)
    return (unit.sum(0).square().sum() - len(x)) / (len(x) * (len(x) - 1))


@full_precision
def isotropy(x: Tensor) -> Tensor:
    r"""How alike all directions are to a cloud: 1 if it looks the same from everywhere, 0 if one direction has it all.

    .. math:: \frac{\min_c Z(c)}{\max_c Z(c)}, \qquad Z(c) = \sum_i e^{c \cdot \hat x_i}

    with c running over the unit eigenvectors of :math:`\hat X^\top \hat X`, in both of their signs.

    Args:
        x: embeddings, ``(N, D)``; normalised here.

    Raises:
        ValueError: if there are fewer than two vectors.

    Source: Mu and Viswanath (2018), section 2.2, after Arora et al. (2016); computed in logarithms.
    """
    _at_least_two(x)
    x = normalize(x)
    directions = torch.linalg.eigh(x.T @ x).eigenvectors
    log_z = torch.cat([x @ directions, -x @ directions], dim=1).logsumexp(dim=0)
    return (log_z.min() - log_z.max()).exp()


@full_precision
def against_strangers(x: Tensor, y: Tensor) -> Tensor:
    r"""How far a pair is apart, in units of how far unrelated rows are: 0 for the same direction, 1 for strangers.

    .. math:: \frac{1 - \frac{1}{N} \sum_i \cos(x_i, y_i)}{1 - \frac{1}{N(N-1)} \sum_{i \ne j} \cos(x_i, x_j)}

    A plain cosine distance grows whenever training spreads all embeddings; this ratio does not.

    Args:
        x, y: ``(N, D)``, row i of one belongs to row i of the other; N at least 2.

    Raises:
        ValueError: if the shapes differ, or there are fewer than two rows.
    """
    _at_least_two(x)
    if x.shape != y.shape:
        raise ValueError(f"x and y should have one shape, got {tuple(x.shape)} and {tuple(y.shape)}")
    pairs = (normalize(x) * normalize(y)).sum(dim=1).mean()
    return (1 - pairs) / (1 - anisotropy(x))


@full_precision
def modality_gap(x: Tensor, y: Tensor) -> Tensor:
    r"""From the middle of one cloud to the middle of the other: how far pictures lie from texts as a whole.

    .. math:: \Delta = \frac1N \sum_i \hat x_i - \frac1M \sum_j \hat y_j

    Args:
        x, y: ``(N, D)`` and ``(M, D)``; normalised here.

    Returns:
        The vector Δ, ``(D,)``; its length, from 0 to 2, is the gap.

    Raises:
        ValueError: if a cloud is empty or no matrix, or their widths differ.

    Source: Liang et al. (2022), Mind the gap, section 4.2.
    """
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or not len(x) or not len(y):
        raise ValueError(f"expected (N, D) and (M, D) with N, M > 0, got {tuple(x.shape)} and {tuple(y.shape)}")
    return normalize(x).mean(0) - normalize(y).mean(0)


def _at_least_two(x: Tensor) -> None:
    if x.ndim != 2 or len(x) < 2:
        raise ValueError(f"expected an (N, D) tensor with N of at least 2, got {tuple(x.shape)}")
