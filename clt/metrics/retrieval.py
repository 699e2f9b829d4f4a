r"""How good is a ranking? nDCG, reciprocal rank and recall, as ``trec_eval`` counts them.

Two conventions of that program change numbers more than most improvements do, so they are kept here. Scores are
compared in single precision. And where scores are equal, the document whose name comes *later* in the alphabet is
ranked first, whatever the order in the file: here, the later column. An encoder that gives all documents the same score
is thus judged by spelling; look for ties before you believe a ranking.
"""

import torch
from torch import Tensor


def ndcg(scores: Tensor, relevance: Tensor, k: int = 10) -> float:
    r"""Normalised discounted cumulative gain at k: the whole list counts, the first places most.

    .. math:: \frac{\sum_{r=1}^{k} \mathrm{rel}_r / \log_2(r + 1)}
              {\sum_{r=1}^{k} \mathrm{rel}^{\text{ideal}}_r / \log_2(r + 1)}

    The gain is the grade itself; a variant has 2^rel − 1. The ideal list is made of all the query's grades.

    Args:
        scores: ``(Q, M)``, of each query with each document.
        relevance: ``(Q, M)``, grades of at least 0; what nobody judged is 0.
        k: how many places count.

    Returns:
        The mean over the queries, in [0, 1]. A query without a relevant document counts 0, as in ``trec_eval``.

    Raises:
        ValueError: if the shapes differ or are not (Q, M), a score is not a number, a grade is negative, or k < 1.

    Source: Järvelin and Kekäläinen (2002), with the discount and the linear gain of ``trec_eval``.
    """
    ranked = _ranked(scores, relevance, k)
    ideal = relevance.double().sort(dim=1, descending=True).values
    discount = torch.arange(2, ranked.shape[1] + 2, dtype=torch.float64, device=ranked.device).log2()
    gained, most = ((grades / discount)[:, :k].sum(1) for grades in (ranked, ideal))
    return (gained / torch.where(most > 0, most, 1.0)).mean().item()


def reciprocal_rank(scores: Tensor, relevance: Tensor, k: int = 10) -> float:
    r"""Mean reciprocal rank (MRR@k): 1 over the rank of the first relevant document.

    Arguments and errors as for :func:`ndcg`; any grade above 0 is relevant. A query that finds nothing among the first
    k counts 0.

    Source: Voorhees (1999), the TREC-8 question answering track.
    """
    found = _ranked(scores, relevance, k)[:, :k] > 0
    rank = torch.arange(1, found.shape[1] + 1, dtype=torch.float64, device=found.device)
    return (found / rank).amax(1).mean().item()


def recall(scores: Tensor, relevance: Tensor, k: int) -> float:
    r"""Recall at k: the share of a query's relevant documents that are among the first k.

    Arguments and errors as for :func:`ndcg`; any grade above 0 is relevant. With more than k relevant documents it
    cannot reach 1.

    Source: ``trec_eval``'s recall.k.
    """
    ranked = _ranked(scores, relevance, k) > 0
    return (ranked[:, :k].sum(1).double() / ranked.sum(1).clamp_min(1)).mean().item()


def median_rank(scores: Tensor, relevance: Tensor) -> float:
    r"""The rank of the first relevant document, for the query in the middle: half of all queries do better.

    Arguments and errors as for :func:`ndcg`; any grade above 0 is relevant, and 1 is the best rank. For an even number
    of queries it is the mean of the two in the middle.

    Raises:
        ValueError: also if a query has no relevant document.
    """
    found = _ranked(scores, relevance, 1) > 0
    if not found.any(1).all():
        raise ValueError(f"{int((~found.any(1)).sum())} of {len(found)} queries have no relevant document")
    return (found.long().argmax(1) + 1).double().quantile(0.5).item()


def _ranked(scores: Tensor, relevance: Tensor, k: int) -> Tensor:
    """Each query's grades, the best score first; of equal scores the later column."""
    if scores.dim() != 2 or scores.shape != relevance.shape or not scores.numel():
        raise ValueError(
            f"expected scores and relevance of one shape (Q, M), got {tuple(scores.shape)} and {tuple(relevance.shape)}"
        )
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    if scores.isnan().any():
        raise ValueError(f"{int(scores.isnan().sum())} of {scores.numel()} scores are not a number")
    if (relevance < 0).any():
        raise ValueError(f"a grade must not be negative, got {relevance.min().item()}")
    order = scores.detach().float().flip(1).sort(dim=1, descending=True, stable=True).indices
    return relevance.flip(1).gather(1, order.to(relevance.device)).double()
