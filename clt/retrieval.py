r"""Scores of queries against passages, and how several rankings become one.

``(Q, M)`` throughout: row i ranks the M passages for query i, and a higher score is a better match.

- :func:`bm25` counts words; nothing is trained.
- :func:`sparse_scores` is a sum over shared tokens as well, with weights that an encoder learns.
- :func:`multi_vector_scores` compares every token of the query with every token of the passage.
- A dense score is a cosine of two vectors: :func:`clt.similarity.cosine_similarity`.
- :func:`reciprocal_rank_fusion` joins rankings whose scores have nothing to do with one another;
  :func:`learned_weights` finds what to multiply the scores by before adding them.
"""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from clt.similarity import full_precision, normalize

ABSENT = -torch.inf  # the score of a passage that a list does not hold
TILE = 2**24  # dot products of tokens held at a time, 64 MB


def words(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation: what :func:`bm25` counts. No stemming, no stop words."""
    return re.findall(r"[^\W_]+(?:['’][^\W_]+)*", text.lower())


def bm25(queries: Sequence[str], documents: Sequence[str], *, k1: float = 1.2, b: float = 0.75) -> Tensor:
    r"""Okapi BM25 of every query with every document.

    .. math:: s(q, d) = \sum_{t \in q} \log\Big(1 + \frac{N - n_t + 0.5}{n_t + 0.5}\Big)
              \cdot \frac{f_{td}}{f_{td} + k_1 \big(1 - b + b\, |d| / \overline{|d|}\big)}

    n_t of the N documents contain the word t, f_td is how often document d does, and the length of d is its number of
    words. A word that comes twice in the query counts twice.

    Args:
        queries, documents: Q and M texts, taken apart by :func:`words`.
        k1: how soon a repeated word stops adding anything; 0 asks only whether it is there.
        b: how much the length of a document counts against it, from 0 (not at all) to 1.

    Returns:
        ``(Q, M)`` in float64; 0 where no word is shared.

    Raises:
        TypeError: if the queries or the documents are one string.
        ValueError: if there is no document or none has a word, ``k1`` is negative or ``b`` is not in [0, 1].

    Source: Robertson and Zaragoza (2009), eq. 3.15, as Lucene has it since version 8: with 1 + inside the logarithm,
    which keeps the weight of a frequent word positive, and without the constant factor k₁ + 1.
    """
    for name, texts in (("queries", queries), ("documents", documents)):
        if isinstance(texts, str):
            raise TypeError(f"{name} must be a sequence of texts, got one string: pass [{texts[:20]!r}]")
    if not (0 <= k1 < np.inf and 0 <= b <= 1):
        raise ValueError(f"expected a k1 of at least 0 and a b from 0 to 1, got {k1} and {b}")
    counts = [Counter(words(text)) for text in documents]
    length = np.array([count.total() for count in counts], dtype=float)
    if not length.sum():
        raise ValueError(f"expected documents with words in them, got {len(counts)} without any")
    place = {word: i for i, word in enumerate(dict.fromkeys(word for count in counts for word in count))}
    tf = _matrix(counts, place)
    holding = np.bincount(tf.indices, minlength=len(place))  # n_t
    idf = np.log1p((len(counts) - holding + 0.5) / (holding + 0.5))
    row = np.repeat(np.arange(len(counts)), np.diff(tf.indptr))
    tf.data = idf[tf.indices] * tf.data / (tf.data + k1 * (1 - b + b * length[row] / length.mean()))
    return torch.from_numpy((_matrix([Counter(words(text)) for text in queries], place) @ tf.T).toarray())


def _matrix(counts: Sequence[Counter], place: dict[str, int]):
    """A row for each text: how often each word that has a place comes in it."""
    from scipy.sparse import csr_array  # late: half a second

    cells = [(i, place[word], n) for i, count in enumerate(counts) for word, n in count.items() if word in place]
    rows, columns, values = np.array(cells, dtype=float).reshape(-1, 3).T
    return csr_array((values, (rows.astype(int), columns.astype(int))), shape=(len(counts), len(place)))


@full_precision
def sparse_scores(
    query_weights: Tensor, query_tokens: Tensor, passage_weights: Tensor, passage_tokens: Tensor
) -> Tensor:
    r"""Lexical matching with learned weights: the sum over shared tokens of the product of their weights.

    .. math:: s(q, p) = \sum_{t \in q \cap p} w_{qt}\, w_{pt}

    A token that comes several times in a text counts once, with its largest weight. What should not count, padding and
    special tokens, has weight 0.

    Args:
        query_weights, query_tokens: ``(Q, L)``, weights of at least 0 and token numbers.
        passage_weights, passage_tokens: ``(M, K)``.

    Returns:
        ``(Q, M)``.

    Raises:
        TypeError: if tokens are not integers or weights not floating-point numbers.
        ValueError: if shapes do not fit, a side is empty, or a weight is negative.

    Source: Chen et al. (2024), M3-Embedding, section 3.2; the largest weight of a repeated token is in their code.
    """
    for name, weights, tokens in (
        ("query", query_weights, query_tokens),
        ("passage", passage_weights, passage_tokens),
    ):
        _tokens(name, weights, tokens)
    known = query_tokens.unique()  # a token that no query has adds nothing: memory for these alone
    return _bag(query_weights, query_tokens, known) @ _bag(passage_weights, passage_tokens, known).T


def _bag(weights: Tensor, tokens: Tensor, known: Tensor) -> Tensor:
    """``(N, tokens known)``: the largest weight of each token in each text, 0 where it does not occur."""
    at = torch.searchsorted(known, tokens).clamp_max(len(known) - 1)
    weights = torch.where(known[at] == tokens, weights, 0.0)
    return weights.new_zeros(len(weights), len(known)).scatter_reduce(1, at, weights, "amax", include_self=True)


@full_precision
def multi_vector_scores(
    query: Tensor, passage: Tensor, query_mask: Tensor | None = None, passage_mask: Tensor | None = None
) -> Tensor:
    r"""Late interaction: each token of the query finds its best match in the passage, and the cosines are averaged.

    .. math:: s(q, p) = \frac{1}{|q|} \sum_{i \in q} \max_{j \in p} \cos(E_{qi}, E_{pj})

    ColBERT's MaxSim is the sum instead of the mean; for one query both give the same order.

    Args:
        query, passage: token vectors, ``(Q, L, D)`` and ``(M, K, D)``; normalised inside.
        query_mask, passage_mask: ``(Q, L)`` and ``(M, K)`` bool, which tokens count; all if left out. A padded token
            is not a candidate at all. As a zero vector it would put a floor of 0 under every maximum, and the score of
            a passage would depend on how long its neighbours in the batch are.

    Returns:
        ``(Q, M)``.

    Raises:
        TypeError: if vectors are not floating-point numbers or a mask is not bool.
        ValueError: if shapes do not fit, or a query or passage has no token that counts.

    Source: Khattab and Zaharia (2020), ColBERT, eq. 3; the mean as in Chen et al. (2024), M3-Embedding.
    """
    masks = []
    for name, vectors, mask in (("query", query, query_mask), ("passage", passage, passage_mask)):
        _vectors(name, vectors, mask)
        masks.append(torch.ones(vectors.shape[:2], dtype=torch.bool, device=vectors.device) if mask is None else mask)
    if query.shape[2] != passage.shape[2]:
        raise ValueError(f"query has {query.shape[2]} dimensions and passage {passage.shape[2]}")
    # The mask takes the place of what it hides before normalising: a zero vector has no direction, and no gradient.
    query, passage = (
        normalize(torch.where(mask[..., None], vectors, 1.0))
        for vectors, mask in zip((query, passage), masks, strict=True)
    )
    own, other = masks
    step = max(1, TILE // (query.shape[1] * other.numel()))
    found = []
    for few, count in zip(query.split(step), own.split(step), strict=True):
        cosine = torch.einsum("qld,mkd->qmlk", few, passage).masked_fill(~other[None, :, None], -torch.inf)
        best = cosine.amax(3).masked_fill(~count[:, None], 0.0)  # (few, M, L)
        found.append(best.sum(2) / count.sum(1, keepdim=True))
    return torch.cat(found)


def reciprocal_rank_fusion(*scores: Tensor, k: float = 60.0) -> Tensor:
    r"""One ranking out of several: sum over the lists of 1/(k + rank).

    .. math:: s(q, d) = \sum_{\text{lists } r} \frac{1}{k + \text{rank}_r(d)}

    Only ranks count, so that the lists may score on any scale, and how far apart two scores are is lost. Equal scores
    share the better rank. A passage with score −inf is not on the list, and adds 0.

    Args:
        scores: of each list, all ``(Q, M)``.
        k: the larger, the less the first places of a single list count.

    Raises:
        ValueError: if no list is given, the shapes differ, a score is NaN, or ``k`` is negative.

    Source: Cormack, Clarke and Büttcher (2009), with their k = 60.
    """
    if not scores or any(s.dim() != 2 or s.shape != scores[0].shape for s in scores):
        raise ValueError(f"expected scores of one shape (Q, M), got {', '.join(str(tuple(s.shape)) for s in scores)}")
    if not 0 <= k < np.inf:
        raise ValueError(f"k must not be negative, got {k}")
    total = torch.zeros(scores[0].shape, dtype=torch.float64, device=scores[0].device)
    for s in scores:
        if s.isnan().any():
            raise ValueError(f"{int(s.isnan().sum())} of {s.numel()} scores are not a number")
        ascending = (-s.detach()).contiguous()
        rank = 1 + torch.searchsorted(ascending.sort(dim=1).values, ascending)  # 1 + how many scores are higher
        total += torch.where(s == ABSENT, 0.0, 1 / (k + rank.double()))
    return total


def learned_weights(relevance: Tensor, *scores: Tensor) -> Tensor:
    r"""One weight for each of several rankings, so that their weighted sum picks the most relevant documents.

    .. math:: \min_w \; -\frac{1}{Q} \sum_i \log \mathrm{softmax}\Big(\sum_r w_r s_r(q_i, \cdot)\Big)_{j_i}, \qquad
              j_i = \arg\max_j \mathrm{relevance}_{ij}

    This is InfoNCE with all documents as candidates. It is convex, so where the search starts does not matter. Learn
    the weights from queries that trained none of the rankings and are not reported on. Only their ratio decides on the
    order; their size says how sure the sum may be of itself.

    Args:
        relevance: ``(Q, M)``, grades; each query needs one above 0.
        scores: of each list, all ``(Q, M)`` and finite.

    Returns:
        ``(R,)`` for R lists, in float64.

    Raises:
        ValueError: if no list is given, the shapes differ, a score is not finite, or a query has no relevant document.
    """
    if not scores or any(s.dim() != 2 or s.shape != relevance.shape for s in scores):
        shapes = ", ".join(str(tuple(s.shape)) for s in scores)
        raise ValueError(f"expected scores of the shape {tuple(relevance.shape)} of the relevance, got {shapes}")
    if not (relevance.amax(1) > 0).all():
        raise ValueError(f"query {int((relevance.amax(1) <= 0).nonzero()[0])} has no relevant document")
    lists = torch.stack([s.detach().double() for s in scores])
    if not lists.isfinite().all():
        raise ValueError("the scores must be finite")
    scale = lists.std(dim=(1, 2)).clamp_min(1e-12)  # lists of any scale are searched as quickly
    weights = torch.ones(len(lists), dtype=torch.float64, device=lists.device, requires_grad=True)
    descent = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")
    right = relevance.argmax(1).to(lists.device)

    def loss() -> Tensor:
        descent.zero_grad()
        value = F.cross_entropy(torch.einsum("r,rqm->qm", weights / scale, lists), right)
        value.backward()
        return value

    with torch.enable_grad():
        descent.step(loss)
    return (weights / scale).detach()


def _tokens(name: str, weights: Tensor, tokens: Tensor) -> None:
    if not isinstance(weights, Tensor) or not weights.is_floating_point():
        raise TypeError(f"{name}_weights must be a tensor of floating-point numbers")
    if not isinstance(tokens, Tensor) or tokens.is_floating_point() or tokens.dtype == torch.bool:
        raise TypeError(f"{name}_tokens must be a tensor of integers")
    if weights.dim() != 2 or weights.shape != tokens.shape or not weights.numel():
        raise ValueError(
            f"{name}_weights and {name}_tokens must have one shape (N, L) and not be empty, got "
            f"{tuple(weights.shape)} and {tuple(tokens.shape)}"
        )
    if not (weights >= 0).all():
        raise ValueError(f"{name}_weights must not be negative, got {weights.min().item():.3g}")


def _vectors(name: str, vectors: Tensor, mask: Tensor | None) -> None:
    if not isinstance(vectors, Tensor) or not vectors.is_floating_point():
        raise TypeError(f"{name} must be a tensor of floating-point numbers")
    if vectors.dim() != 3 or not vectors.numel():
        raise ValueError(f"{name} must have shape (N, L, D) and not be empty, got {tuple(vectors.shape)}")
    if mask is None:
        return
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
        raise TypeError(f"{name}_mask must be a tensor of bool")
    if mask.shape != vectors.shape[:2]:
        raise ValueError(f"{name}_mask must have shape {tuple(vectors.shape[:2])}, got {tuple(mask.shape)}")
    if not mask.any(1).all():
        raise ValueError(f"{name} {int((~mask.any(1)).nonzero()[0])} has no token that counts")
