"""The exercises of the lesson on retrieval: BM25, the softmax of a batch corrected for popularity, fused ranks."""

import torch
from torch import Tensor

from clt import losses
from clt.checks._algorithm import Algorithm, Derivation, result
from clt.checks._common import (
    COSINE,
    PAIRED,
    REDUCTION,
    mistakes,
    of_all_lengths,
    one_positive,
    pairs,
    reduced,
    tensor,
    unit,
)  # fmt: skip
from clt.checks._exercise import Mistake, case
from clt.checks._loss import Loss
from clt.checks.info_nce import everyone


def bm25(asked: Tensor, counts: Tensor, *, k1: float = 1.2, b: float = 0.75) -> Tensor:
    """``(Q, M)``: BM25 of queries and passages given as tables of counts, ``(Q, V)`` and ``(M, V)``."""
    return plain_bm25(asked, counts, k1=k1, b=b)


def plain_bm25(asked, counts, *, k1=1.2, b=0.75, wrong=frozenset()):
    n = (counts if "every occurrence" in wrong else counts > 0).sum(0)
    many = counts.sum() if "every occurrence" in wrong else len(counts)
    odds = (many - n + 0.5) / (n + 0.5)
    odds = many / n.clamp_min(1) if "idf log N/n" in wrong else odds
    idf = odds.log() if wrong & {"robertson", "idf log N/n"} else odds if "log missing" in wrong else odds.log1p()
    idf = torch.ones_like(idf) if "idf missing" in wrong else idf
    length = (counts > 0).sum(1, keepdim=True) if "different words" in wrong else counts.sum(1, keepdim=True)
    ratio = length / length.double().mean()
    ratio = 1 / ratio if "length upside down" in wrong else length if "mean length missing" in wrong else ratio
    rest = b + (1 - b) * ratio if "b for 1 − b" in wrong else 1 - b + b * ratio
    rest = 1.0 if "length ignored" in wrong else rest
    tf = counts / (counts + k1 * rest)
    tf = counts / (k1 * rest) if "not saturated" in wrong else (counts > 0) / (1 + k1 * rest) if "once" in wrong else tf
    tf = tf * (k1 + 1) if "factor k1 + 1" in wrong else tf
    asked = (asked > 0).to(counts.dtype) if "query words once" in wrong else asked
    scores = asked @ (idf * tf).T
    return scores.T if "transposed" in wrong else scores


def table(*rows) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def drawn(m: int, v: int, seed: int) -> Tensor:
    """Counts as texts have them: most 0, a word in each text and each word in a text, lengths that differ."""
    generator = torch.Generator().manual_seed(seed)
    counts = torch.poisson(torch.full((m, v), 0.7), generator=generator).double()
    counts[torch.arange(v) % m, torch.arange(v)] += 1
    return counts * torch.tensor([1 + 2 * (i % 2) for i in range(m)])[:, None]


CATS = table([2, 1, 1, 0, 0], [2, 0, 0, 1, 1], [0, 0, 1, 0, 0], [4, 2, 0, 2, 0])  # the, cat, mat, dog, log
BM25 = Algorithm(
    reference=bm25,
    plain=plain_bm25,
    observe=result,
    cases=[
        case("“the cat mat” and four texts of five words", table([1, 1, 1, 0, 0]), CATS),
        case("a word twice in the query", table([0, 2, 0, 1, 0]), CATS),
        case("k1 0.9, b 0.4", table([1, 1, 1, 0, 0], [0, 0, 0, 1, 2]), CATS, k1=0.9, b=0.4),
        case("6 passages, 9 words", drawn(3, 9, seed=2) % 3, drawn(6, 9, seed=1)),
        case("length counts fully", drawn(3, 7, seed=4) % 2, drawn(5, 7, seed=3), k1=2.0, b=1.0),
        case("length does not count", drawn(3, 7, seed=4) % 2, drawn(5, 7, seed=3), k1=0.5, b=0.0),
    ],
    mistakes=[
        Mistake("transposed", "The table is transposed: a row for each passage.",
                "Rows are queries, columns are passages."),
        Mistake("idf missing", "All words weigh the same: the idf is missing.",
                "A word that stands in few passages says more than one that stands in most."),
        Mistake("robertson", "The 1 inside the logarithm is missing.",
                "Without it a word that stands in more than half of the passages has a negative weight."),
        Mistake("idf log N/n", "The idf is log N/n.", "That is ATIRE's. Here it is log(1 + (N − n + ½)/(n + ½))."),
        Mistake("log missing", "The logarithm of the idf is missing.", "It is log(1 + …): torch.log1p."),
        Mistake("every occurrence", "The idf counts how often a word comes, not in how many passages.",
                "n is the number of passages that contain the word: count those above 0."),
        Mistake("not saturated", "The count is divided by a constant: ten times is ten times as much.",
                "The count stands in the denominator as well: f / (f + k₁ …)."),
        Mistake("once", "It only counts whether a word is there.", "A word that comes twice counts more than once."),
        Mistake("length ignored", "The length of the passage plays no part.",
                "k₁ is multiplied by 1 − b + b · length / mean length."),
        Mistake("length upside down", "Long passages are favoured: the ratio is upside down.",
                "It is the length divided by the mean length."),
        Mistake("mean length missing", "The length is not divided by the mean length.",
                "Only how much longer than usual a passage is should count."),
        Mistake("different words", "The length is the number of different words.",
                "It is the number of all words: the sum of the counts."),
        Mistake("b for 1 − b", "b and 1 − b are exchanged.", "b = 0 means that length plays no part."),
        Mistake("factor k1 + 1", "There is a factor k₁ + 1.",
                "Older forms have it; it changes no order, and Lucene has dropped it."),
        Mistake("query words once", "A word that comes twice in the query counts once.",
                "The sum runs over the words of the query, repeated ones included."),
    ],
)  # fmt: skip


def log_q_loss(query: Tensor, positive: Tensor, log_frequency: Tensor, *, temperature: float = 0.05) -> Tensor:
    """InfoNCE in the batch, with the log frequency of each positive taken off its column."""
    return losses.info_nce_loss(query, positive, temperature=temperature, log_frequency=log_frequency)


def plain_log_q(query, positive, log_frequency, *, temperature=0.05, wrong=frozenset()):
    q, k = unit(query, wrong), unit(positive, wrong)
    rows = torch.arange(len(q), device=q.device)
    shift = log_frequency.exp() if "frequency itself" in wrong else log_frequency
    shift = -shift if "added" in wrong else shift
    shift = temperature * shift if "before the temperature" not in wrong else shift  # divided again below
    if "not corrected" in wrong:
        shift = torch.zeros_like(shift)
    correction = shift.expand(len(q), -1)
    if "negatives only" in wrong:
        correction = correction * ~torch.eye(len(q), dtype=torch.bool, device=q.device)
    if "positives only" in wrong:
        correction = correction * torch.eye(len(q), dtype=torch.bool, device=q.device)
    candidates = everyone(len(q), len(q), q.device)
    return reduced(one_positive(q @ k.T - correction, candidates, rows, temperature, wrong), wrong)


UNEVEN = tensor(0.30, 0.25, 0.20, 0.15, 0.07, 0.03).log()
LOG_Q = [name for name in PAIRED if name not in ("temperature missing", "temperature multiplied")]
LOG_Q_LOSS = Loss(
    reference=log_q_loss,
    plain=plain_log_q,
    cases=[
        case("6 pairs in 4 dimensions, temperature 0.2", *pairs(6, 4, seed=1), UNEVEN, temperature=0.2),
        case("3 pairs in 8 dimensions, temperature 1.7", *pairs(3, 8, seed=3), UNEVEN[3:], temperature=1.7),
        case("2 pairs", tensor([1.0, 0.0], [0.0, 2.0]), tensor([1.0, 1.0], [-1.0, 1.0]), tensor(0.5, 0.1).log(),
             temperature=0.8),
        case("rows of very different length", *map(of_all_lengths, pairs(5, 3, seed=5)), UNEVEN[:5], temperature=0.3),
    ],
    extremes=[
        case("temperature 0.01, positives at cosine −1", tensor([1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]),
             tensor([-1.0, 0.0], [1.0, 0.0], [0.1, 1.0]), UNEVEN[:3], temperature=0.01),
    ],
    mistakes=[
        Mistake("not corrected", "The log frequency changes nothing: this is the softmax of the batch as it is.",
                "One number for each column. Taken off a whole row it cancels in the softmax."),
        Mistake("added", "The log frequency is added: popular items are pushed away even more.",
                "Popular items get their logit lowered: minus log p, not plus."),
        Mistake("before the temperature", "The log frequency is divided by the temperature as well.",
                "Divide the cosines first, then subtract."),
        Mistake("frequency itself", "The frequency itself is subtracted.", "Its logarithm is."),
        Mistake("negatives only", "The positive keeps its logit.",
                "That is less biased for rare items, but the loss asked for corrects every column."),
        Mistake("positives only", "Only the positive is corrected.", "Every column is, the negatives above all."),
        *mistakes(*REDUCTION, *LOG_Q, *COSINE, "over columns"),
    ],
)  # fmt: skip


def agreement_rank(k: float) -> float:
    """Up to this rank on both of two lists a passage gets as much from RRF as the first of one list alone: k + 2."""
    return k + 2


def plain_agreement(k, *, wrong=frozenset()):
    for name, value in {
        "ranks from 0": k + 1,
        "first at k": k,
        "the same rank": 1.0,
        "k on one side": 2 * (k + 1),
        "k forgotten": 2.0,
        "upside down": (1 - k) / 2,
        "the score": 1 / (k + 1),
        "k added twice": 2 * k + 2 + k,
    }.items():
        if name in wrong:
            return value
    return k + 2


AGREEMENT_RANK = Derivation(
    reference=agreement_rank,
    plain=plain_agreement,
    cases=[case("k = 60", 60.0), case("k = 5", 5.0), case("k = 0", 0.0)],
    mistakes=[
        Mistake("ranks from 0", "Ranks are counted from 0 here.", "The first passage has rank 1: it gets 1/(k + 1)."),
        Mistake("first at k", "The first passage of a list does not get 1/k.", "Its rank is 1: it gets 1/(k + 1)."),
        Mistake("the same rank", "B gets its share from both lists.", "B has 2/(k + r), A has 1/(k + 1)."),
        Mistake("k on one side", "The k of B's denominator is still in there.", "2(k + 1) = k + r: subtract k."),
        Mistake("k forgotten", "This is right for k = 0 only.", "k is added to both ranks before dividing."),
        Mistake("upside down", "The two fractions are exchanged.",
                "A is on one list, B on two: 1/(k + 1) = 2/(k + r)."),
        Mistake("the score", "This is the score of A.", "Which rank gives B the same score?"),
        Mistake("k added twice", "k was added where it should be subtracted.", "2(k + 1) = k + r."),
    ],
)  # fmt: skip

EXERCISES = (BM25, LOG_Q_LOSS, AGREEMENT_RANK)
