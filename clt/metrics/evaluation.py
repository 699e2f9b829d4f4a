"""Scores that others can compare with: Spearman on sentence pairs, and a linear probe on frozen embeddings."""

import numpy as np
from torch import Tensor

from clt.similarity import normalize


def sts_spearman(left: Tensor, right: Tensor, scores) -> float:
    """Rank correlation between the cosine of each pair and its score.

    Args:
        left, right: embeddings of the two sentences of each pair, both ``(N, D)``.
        scores: the N scores, on any scale: only their order counts.

    Returns:
        Spearman's rho in [−1, 1] (papers print it times 100). For the papers' protocol pass all subsets of a year
        together, not the mean over subsets.

    Cosines are computed in float64 and count as equal if they differ by less than 1e-12, so that rounding puts no
    order into what has none, such as the cosines of sentences with themselves.

    Raises:
        ValueError: if the numbers of pairs and scores differ, there are fewer than two pairs, or a score or a cosine is
            not a finite number; also if all scores or all cosines are equal, where rho has no value.

    Source: Spearman (1904); the protocol is that of Gao et al. (2021), appendix B.
    """
    from scipy.stats import spearmanr  # late: only the lessons that score pairs wait for it

    scores = np.asarray(scores, dtype=float)
    if left.shape != right.shape or left.ndim != 2 or scores.shape != (len(left),) or len(left) < 2:
        raise ValueError(
            f"expected two (N, D) tensors and N scores with N > 1, "
            f"got {tuple(left.shape)}, {tuple(right.shape)} and {scores.shape}"
        )
    left, right = (normalize(x.detach().cpu().double()) for x in (left, right))
    cosines = (left * right).sum(dim=1).numpy().round(12)
    for name, values in (("scores", scores), ("cosines", cosines)):
        if not np.isfinite(values).all():
            raise ValueError(f"{np.sum(~np.isfinite(values))} of the {len(values)} {name} are not finite")
        if np.ptp(values) == 0:
            raise ValueError(f"all {len(values)} {name} are equal: a rank correlation has no value")
    return float(spearmanr(cosines, scores).statistic)


def linear_probe(train_x: Tensor, train_y, test_x: Tensor, test_y, *, c: float = 1.0) -> float:
    """Accuracy of a logistic regression on frozen embeddings: what the representation makes easy to read off.

    Args:
        train_x, test_x: embeddings, ``(N, D)`` and ``(M, D)``. Each dimension is scaled to unit variance on the
            training part, so that the scale of the embedding does not act as a regulariser.
        train_y, test_y: N and M labels of any kind.
        c: inverse strength of the L2 penalty, as in scikit-learn.

    Returns:
        The share of the M test points that are classified right, in [0, 1].

    Raises:
        ValueError: if shapes do not match, an embedding is not finite, or the training part has fewer than two classes.

    Source: the linear protocol of Oord et al. (2018) and Chen et al. (2020), section 3.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train_x, test_x = (x.detach().float().cpu().numpy() for x in (train_x, test_x))
    train_y, test_y = np.asarray(train_y), np.asarray(test_y)
    if train_x.shape[1:] != test_x.shape[1:] or (len(train_x), len(test_x)) != (len(train_y), len(test_y)):
        raise ValueError(
            f"expected (N, D) with N labels and (M, D) with M labels, got {train_x.shape} with {len(train_y)} labels "
            f"and {test_x.shape} with {len(test_y)}"
        )
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=2000))
    return float(probe.fit(train_x, train_y).score(test_x, test_y))


def nearest_neighbor(train_x: Tensor, train_y, test_x: Tensor, test_y, *, k: int = 1) -> float:
    """The share of nearest training points, by cosine, that have the label of their test point, in [0, 1].

    Nothing is trained: unlike a probe, which can rescale every dimension, it judges the embeddings as they are.

    Args:
        train_x, test_x: embeddings, ``(N, D)`` and ``(M, D)``; normalised here.
        train_y, test_y: N and M labels of any kind.
        k: how many neighbours of each test point count, all alike.

    Raises:
        ValueError: if shapes do not match, or ``k`` is not between 1 and N.

    Source: recall at 1 of Song et al. (2016), section 5, with the training points as the gallery; for k above 1 it is
    the precision among the k nearest.
    """
    train_y, test_y = np.asarray(train_y), np.asarray(test_y)
    if train_x.shape[1:] != test_x.shape[1:] or (len(train_x), len(test_x)) != (len(train_y), len(test_y)):
        raise ValueError(
            f"expected (N, D) with N labels and (M, D) with M labels, got {tuple(train_x.shape)} with {len(train_y)} "
            f"labels and {tuple(test_x.shape)} with {len(test_y)}"
        )
    if not 1 <= k <= len(train_x):
        raise ValueError(f"expected k between 1 and the {len(train_x)} training points, got {k}")
    gallery, asked = (normalize(x.detach().float().cpu()) for x in (train_x, test_x))
    nearest = (asked @ gallery.T).topk(k, dim=1).indices.numpy()
    return float((train_y[nearest] == test_y[:, None]).mean())
