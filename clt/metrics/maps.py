"""What a map keeps of the data it shows."""

import torch
from torch import Tensor

from clt.similarity import full_precision, squared_euclidean


@full_precision
@torch.no_grad()
def trustworthiness(x: Tensor, y: Tensor, k: int = 12) -> float:
    r"""Whether points that are neighbours on the map are neighbours in the data: may one trust what one sees?

    .. math:: 1 - \frac{2}{N k\, (2N - 3k - 1)} \sum_i \sum_{j \in U_k(i)} (r(i, j) - k)

    U_k(i) are those of the k nearest points of i on the map that are not among its k nearest in the data; r(i, j) is
    the rank of j there, 1 for the nearest.

    Args:
        x: the data, ``(N, D)``.
        y: the map, ``(N, K)``.
        k: neighbours to look at, fewer than N/2.

    Returns:
        1 if the map invents no neighbour; about 0.5 for a map at random. What it *loses* of the neighbours in the data
        is the same with x and y exchanged (continuity).

    Raises:
        ValueError: if the numbers of points differ or k is not between 1 and N/2.

    Source: Venna and Kaski (2001), eq. 1, with the Euclidean distance on both sides.
    """
    if x.dim() != 2 or y.dim() != 2 or len(x) != len(y):
        raise ValueError(f"expected (N, D) and (N, K), got {tuple(x.shape)} and {tuple(y.shape)}")
    n = len(x)
    if not 1 <= k < n / 2:
        raise ValueError(f"k must be at least 1 and below N/2 = {n / 2:g}, got {k}")
    itself = torch.eye(n, dtype=torch.bool, device=x.device)
    near_x, near_y = (squared_euclidean(z).masked_fill(itself, torch.inf) for z in (x, y))
    order = near_x.argsort(dim=1, stable=True)
    rank = torch.empty_like(order).scatter_(1, order, torch.arange(1, n + 1, device=x.device).expand(n, n))
    seen = near_y.argsort(dim=1, stable=True)[:, :k]
    invented = (rank.gather(1, seen) - k).clamp_min(0).sum().item()
    return 1 - 2 * invented / (n * k * (2 * n - 3 * k - 1))


@full_precision
@torch.no_grad()
def knn_accuracy(x: Tensor, labels: Tensor, k: int = 10) -> float:
    """The share of points whose ``k`` nearest others, by Euclidean distance, mostly have their label.

    Each point is judged by all others, and no model is fitted: for a map and the data it shows alike.

    Args:
        x: ``(N, D)``.
        labels: ``(N,)`` integers.
        k: neighbours that vote; of labels with equally many votes the smallest counts.

    Raises:
        ValueError: if the shapes do not fit or k is not between 1 and N − 1.
    """
    if x.dim() != 2 or labels.shape != x.shape[:1]:
        raise ValueError(f"expected (N, D) and (N,), got {tuple(x.shape)} and {tuple(labels.shape)}")
    if not 1 <= k < len(x):
        raise ValueError(f"k must be at least 1 and below N = {len(x)}, got {k}")
    apart = squared_euclidean(x).masked_fill(torch.eye(len(x), dtype=torch.bool, device=x.device), torch.inf)
    near = apart.topk(k, dim=1, largest=False).indices
    return (labels[near].mode(dim=1).values == labels).double().mean().item()
