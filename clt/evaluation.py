"""What an encoder is worth, read off its sentence vectors: scored pairs, retrieval, nearest neighbours.

Each function takes anything with ``encode(sentences) → (N, D)``: a :class:`clt.encoders.SentenceEncoder`, its upper
layers, or a lambda around counted vectors.
"""

import functools
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from clt import data, metrics

STS = ("sts/test",)
PUBLIC_STS = ("STS-B/test", "STS12/test", "STS14/test", "STS15/test")


def sts(encoder, sets: Sequence[str] = STS) -> dict[str, float]:
    """Spearman × 100 between the cosine of each pair and its score, for each set: ``{"sts/test": 62.6, …}``.

    Args:
        encoder: what gives the vectors.
        sets: ``"NAME/split"`` of scored pairs, embedded or public. All subsets of a year count together, without a
            regressor, as in the papers.

    Source: the protocol of Gao, Yao and Chen (2021), appendix B.
    """
    found = {}
    for name in sets:
        left, right, scores = _pairs(name)
        vectors = encoder.encode([*left, *right])
        found[name] = 100 * metrics.sts_spearman(vectors[: len(left)], vectors[len(left) :], scores)
    return found


@functools.cache
def _pairs(name: str) -> tuple[list[str], list[str], list[float]]:
    rows = data.load(*name.split("/"))
    return list(rows["sentence1"]), list(rows["sentence2"]), list(rows["score"])


def plane(encoder, name: str = "sts/dev", *, close: float = 4.0) -> dict[str, float]:
    """Where an encoder stands on the plane of alignment and uniformity.

    Args:
        encoder: what gives the vectors.
        name: a set of scored pairs; alignment is taken over its pairs that score ``close`` or more, uniformity over
            all its sentences.

    Returns:
        ``{"alignment": …, "uniformity": …}``, lower is better for both.

    Source: Gao, Yao and Chen (2021), figure 2, after Wang and Isola (2020).
    """
    left, right, scores = _pairs(name)
    one, two = encoder.encode([*left, *right]).split(len(left))
    near = torch.tensor([score >= close for score in scores])
    return {
        "alignment": metrics.alignment(one[near], two[near]).item(),
        "uniformity": metrics.uniformity(torch.cat([one, two])).item(),
    }


def retrieval(encoder, queries: Sequence[str], answers: Sequence[str], others: Sequence[str] = ()) -> float:
    """The share, in per cent, of queries whose own answer is the nearest of all answers and all ``others``.

    Args:
        encoder: what gives the vectors.
        queries, answers: N sentences each; answer i belongs to query i.
        others: sentences that answer no query; they make the search harder.

    Raises:
        ValueError: if there are not as many answers as queries.
    """
    if len(queries) != len(answers) or not queries:
        raise ValueError(f"expected as many answers as queries, got {len(answers)} for {len(queries)}")
    query = F.normalize(encoder.encode(queries), dim=1)
    candidates = F.normalize(encoder.encode([*answers, *others]), dim=1)
    found = (query @ candidates.T).argmax(1)
    return 100 * (found == torch.arange(len(queries))).float().mean().item()


def neighbours(encoder, queries: Sequence[str], sentences: Sequence[str], *, k: int = 5) -> list[list[str]]:
    """For each query its ``k`` nearest sentences by cosine, the nearest first; the query itself is left out."""
    order = _similar(encoder, queries, sentences).argsort(dim=1, descending=True)
    nearest = [[sentences[i] for i in row if sentences[i] != query] for query, row in zip(queries, order, strict=True)]
    return [row[:k] for row in nearest]


def _similar(encoder, queries: Sequence[str], sentences: Sequence[str]) -> Tensor:
    return F.normalize(encoder.encode(queries), dim=1) @ F.normalize(encoder.encode(sentences), dim=1).T


def show_neighbours(encoders: Mapping[str, object], queries: Sequence[str], sentences: Sequence[str], *, k: int = 3):
    """Print each query with its ``k`` nearest sentences under each of several encoders, such as before and after."""
    found = {name: neighbours(encoder, queries, sentences, k=k) for name, encoder in encoders.items()}
    width = max(map(len, encoders))
    for i, query in enumerate(queries):
        print(f"{'' if i == 0 else chr(10)}{query}")
        for name in encoders:
            for rank, sentence in enumerate(found[name][i]):
                print(f"  {name if rank == 0 else '':<{width}}  {rank + 1}. {sentence}")
