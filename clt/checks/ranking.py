"""The exercises on ranking: where the first relevant document stands, and how good the whole list is."""

import torch
from torch import Tensor

from clt.checks._algorithm import Algorithm, returned
from clt.checks._common import random, tensor
from clt.checks._exercise import Mistake, case


def ranked(scores: Tensor, relevance: Tensor, wrong: frozenset) -> Tensor:
    """The relevance of each query's documents, best score first."""
    return relevance.gather(1, scores.argsort(dim=1, descending="ascending" not in wrong)).double()


def reciprocal_rank(scores: Tensor, relevance: Tensor, *, k: int = 10) -> Tensor:
    """Mean over the queries of 1 / the rank of the first relevant document, 0 where none is among the first k."""
    return plain_reciprocal(scores, relevance, k=k)


def plain_reciprocal(scores, relevance, *, k=10, wrong=frozenset()):
    found = (relevance if "order of the documents" in wrong else ranked(scores, relevance, wrong)) > 0
    if "cut ignored" not in wrong:
        found = found[:, :k]
    rank = torch.arange(found.shape[1], dtype=torch.float64) + (0 if "rank from 0" in wrong else 1)
    if "all relevant" in wrong:
        return ((found / rank).sum(1) / found.sum(1).clamp_min(1)).mean()
    if "rank from 0" in wrong:
        rank = rank.clamp_min(1)
    first = torch.where(found, rank, torch.inf).amin(1)
    if "last relevant" in wrong:
        first = torch.where(found, rank, -torch.inf).amax(1)
        first = torch.where(first > 0, first, torch.inf)
    has = torch.isfinite(first)
    if "rank itself" in wrong:
        return first[has].mean()
    if "of the mean rank" in wrong:
        return 1 / first[has].mean()
    if "queries dropped" in wrong:
        return (1 / first[has]).mean()
    return 1 / first if "per query" in wrong else (1 / first).sum() if "sum" in wrong else (1 / first).mean()


def ndcg(scores: Tensor, relevance: Tensor, *, k: int = 10) -> Tensor:
    """Mean over the queries of Σ rel / log₂(rank + 1) over the first k, divided by the best that is possible."""
    return plain_ndcg(scores, relevance, k=k)


def plain_ndcg(scores, relevance, *, k=10, wrong=frozenset()):
    def gain(rel: Tensor) -> Tensor:
        return 2**rel - 1 if "exponential gain" in wrong else (rel > 0).double() if "grades ignored" in wrong else rel

    listed = ranked(scores, relevance, wrong)
    best = (listed[:, :k] if "best of the list" in wrong else listed).sort(dim=1, descending=True).values
    if "cut ignored" not in wrong:
        listed = listed[:, :k]
        best = best if "ideal not cut" in wrong else best[:, :k]
    rank = torch.arange(1, best.shape[1] + 1, dtype=torch.float64)
    discount = (rank + 1).log2()
    discount = rank if "discounted by the rank" in wrong else discount
    discount = torch.ones_like(rank) if "no discount" in wrong else discount
    discount = rank.log2().clamp_min(1) if "first two alike" in wrong else discount
    got = (gain(listed) / discount[: listed.shape[1]]).sum(1)
    ideal = (gain(best) / discount).sum(1)
    if "not normalised" in wrong:
        return got.mean()
    if "sums divided" in wrong:
        return got.sum() / ideal.sum()
    value = got / ideal.clamp_min(1e-12)
    return value if "per query" in wrong else value.sum() if "sum" in wrong else value.mean()


def scored(answer, scores: Tensor, relevance: Tensor, k: int) -> dict[str, object]:
    return {"the value": returned(answer(scores, relevance, k=k))}


GRADES = torch.tensor([[0, 3, 0, 1, 2, 0, 0], [1, 0, 0, 0, 0, 2, 0], [0, 0, 2, 0, 3, 1, 1]])
CASES = [
    case("two queries, four documents", tensor([0.1, 0.9, 0.4, 0.3], [0.8, 0.1, 0.2, 0.6]),
         torch.tensor([[1, 0, 0, 2], [0, 2, 1, 0]]), 4),
    case("three queries, seven documents, cut at 3", random(3, 7, seed=2), GRADES, 3),
    case("the same, cut at 10", random(3, 7, seed=3), GRADES, 10),
    case("cut at 1", random(4, 5, seed=4),
         torch.tensor([[1, 0, 0, 0, 0], [0, 1, 3, 0, 0], [0, 2, 0, 1, 1], [1, 1, 1, 1, 0]]), 1),
    case("the first is relevant", tensor([0.9, 0.5, 0.1]), torch.tensor([[3, 0, 1]]), 2),
]  # fmt: skip
SHARED = (
    Mistake("per query", "This is the value of each query.", "One number is asked for: take the mean over them."),
    Mistake("sum", "This is the sum over the queries.", "Take the mean: it does not grow with their number."),
    Mistake("ascending", "The documents are sorted by ascending score: the worst comes first.",
            "The highest score is the best match: descending=True."),
    Mistake("cut ignored", "The whole list counts.", "Only the first k do: cut after sorting."),
)  # fmt: skip

RECIPROCAL_RANK = Algorithm(
    reference=reciprocal_rank,
    plain=plain_reciprocal,
    observe=scored,
    cases=CASES,
    mistakes=[
        *SHARED,
        Mistake("order of the documents", "The documents are taken as they come, not by score.",
                "The rank is a document's place once they are sorted by descending score."),
        Mistake("rank from 0", "The ranks are counted from 0.", "The first place is rank 1."),
        Mistake("all relevant", "This is the mean over all relevant documents.", "Only the first relevant one counts."),
        Mistake("last relevant", "This is the rank of the last relevant document.", "The first one counts."),
        Mistake("rank itself", "This is the mean rank.", "Take 1 over each rank, then the mean."),
        Mistake("of the mean rank", "This is 1 over the mean rank.", "Take 1 over each rank, then the mean."),
        Mistake("queries dropped", "Queries without a relevant document among the first k are left out.",
                "They count 0: nothing was found."),
    ],
)  # fmt: skip

NDCG = Algorithm(
    reference=ndcg,
    plain=plain_ndcg,
    observe=scored,
    cases=CASES,
    mistakes=[
        *SHARED,
        Mistake("not normalised", "This is the DCG: it is not divided by the best that is possible.",
                "Sort the query's own relevances, compute the same sum, and divide."),
        Mistake("best of the list", "The ideal list is made of the k documents that were returned.",
                "The ideal is the best k of all documents: what was missed must cost."),
        Mistake("ideal not cut", "The ideal list is longer than k.", "Both lists are cut at k."),
        Mistake("exponential gain", "The gain is 2^rel − 1.", "That is a variant; here it is the relevance itself."),
        Mistake("grades ignored", "All relevant documents count the same.", "The gain is the grade, 0 to 3."),
        Mistake("discounted by the rank", "The gain is divided by the rank.", "Divide by log₂(rank + 1)."),
        Mistake("no discount", "All places count the same.", "Divide the gain at rank r by log₂(r + 1)."),
        Mistake("first two alike", "The discount is log₂ of the rank: the first two places count the same.",
                "It is log₂(rank + 1), which is 1 for the first place and 1.58 for the second."),
        Mistake("sums divided", "The sum over the queries is divided by the sum of their ideals.",
                "Each query has its own ideal: divide first, then take the mean."),
    ],
)  # fmt: skip

EXERCISES = (RECIPROCAL_RANK, NDCG)
