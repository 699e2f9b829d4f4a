"""Two variants of InfoNCE: both directions, and remembered negatives that count by their weights."""

import torch
from torch import Tensor

from clt import losses
from clt.checks._common import (
    COSINE,
    PAIRED,
    REDUCTION,
    mistakes,
    of_all_lengths,
    one_positive,
    pairs,
    random,
    reduced,
    tensor,
    unit,
)
from clt.checks._exercise import Mistake, case
from clt.checks._loss import Loss
from clt.checks.info_nce import IN_BATCH, OPPOSITE, everyone, in_batch_cases, plain_in_batch
from clt.checks.nt_xent import plain_nt_xent


def symmetric_info_nce(left: Tensor, right: Tensor, *, temperature: float = 0.07) -> Tensor:
    """The mean of both directions of InfoNCE: the left rows choose among the right ones, and the other way round."""
    options = {"temperature": temperature}
    return (losses.info_nce_loss(left, right, **options) + losses.info_nce_loss(right, left, **options)) / 2


def plain_symmetric(left: Tensor, right: Tensor, *, temperature=0.07, wrong=frozenset()) -> Tensor:
    if "views of one kind" in wrong:
        return plain_nt_xent(left, right, temperature=temperature, wrong=wrong)
    one = plain_in_batch(left, right, temperature=temperature, wrong=wrong)
    if "left only" in wrong:
        return one
    other = plain_in_batch(right, left, temperature=temperature, wrong=wrong)
    if "right only" in wrong:
        return other
    return one + other if "added" in wrong else (one + other) / 2


SYMMETRIC_INFO_NCE = Loss(
    reference=symmetric_info_nce,
    plain=plain_symmetric,
    cases=in_batch_cases(0.2, 1.7),
    extremes=[case("temperature 0.01, positives at cosine −1", *OPPOSITE, temperature=0.01)],
    mistakes=[
        Mistake("left only", "Only the left rows choose.", "The right ones choose as well: the columns of the matrix."),
        Mistake("right only", "Only the right rows choose.", "The left ones choose as well: the rows of the matrix."),
        Mistake("added", "The two directions are added.", "Take their mean, and the size is that of one direction."),
        Mistake("views of one kind", "Rows of the same side are candidates, too: this is NT-Xent.",
                "Left rows choose among right ones only, and right rows among left ones."),
        *(m for m in IN_BATCH if m.wrong not in ("twice", "both directions", "over columns", "anchors below",
                                                 "positives among themselves")),
        Mistake("positives among themselves", "Each side is compared with itself.",
                "Rows are the left side, columns the right one."),
    ],
)  # fmt: skip


def weighted_info_nce(
    query: Tensor, positive: Tensor, negatives: Tensor, weights: Tensor, *, temperature: float = 0.07
) -> Tensor:
    """InfoNCE with M remembered negatives, each counted ``weights`` times in the denominator."""
    return losses.info_nce_loss(query, positive, negatives, weights, temperature=temperature)


def plain_weighted(query, positive, negatives, weights, *, temperature=0.07, wrong=frozenset()) -> Tensor:
    if "memory ignored" in wrong:
        return plain_in_batch(query, positive, temperature=temperature, wrong=wrong)
    q, k, old = (unit(x, wrong) for x in (query, positive, negatives))
    if "memory not normalised" in wrong:
        old = negatives
    score, past = q @ k.T, (k if "memory against the positives" in wrong else q) @ old.T
    if "temperature of the memory missing" in wrong:
        past = past * temperature  # divided again below
    scale = temperature if not wrong & {"temperature missing", "temperature after the softmax"} else 1.0
    scale = 1 / temperature if "temperature multiplied" in wrong else scale
    share = weights.flip(0) if "weights reversed" in wrong else weights
    if "weights in the exponent" in wrong:
        past = past + scale * weights
    elif "weights times the similarity" in wrong:
        past = past * weights
    elif "weights normalised" in wrong:
        past = past + scale * (weights / weights.sum()).log()
    elif "weights missing" not in wrong:
        past = past + scale * share.log()
    rows = torch.arange(len(q), device=q.device)
    score = past if "batch ignored" in wrong else torch.cat([score, past], dim=1)
    if "batch ignored" in wrong:
        score = torch.cat([(q * k).sum(1, keepdim=True), past], dim=1)
        rows = torch.zeros_like(rows)
    return reduced(one_positive(score, everyone(*score.shape, q.device), rows, temperature, wrong), wrong)


def remembered(n: int, m: int, d: int, seed: int) -> tuple[Tensor, ...]:
    weights = 0.6 ** torch.arange(m, 0, -1, dtype=torch.float64)
    return *pairs(n, d, seed), random(m, d, seed=seed + 5), weights


MEMORY = remembered(5, 3, 3, seed=5)
WEIGHTED_INFO_NCE = Loss(
    reference=weighted_info_nce,
    plain=plain_weighted,
    cases=[
        case("6 pairs and 4 remembered rows, temperature 0.2", *remembered(6, 4, 4, seed=1), temperature=0.2),
        case("3 pairs and 7 remembered rows, temperature 1.7", *remembered(3, 7, 8, seed=3), temperature=1.7),
        case("2 pairs, 1 remembered row", tensor([1.0, 0.0], [0.0, 2.0]), tensor([1.0, 1.0], [-1.0, 1.0]),
             tensor([1.0, -3.0]), tensor(0.25), temperature=0.8),
        case("rows of very different length", *map(of_all_lengths, MEMORY[:3]), MEMORY[3], temperature=0.3),
    ],
    extremes=[case("temperature 0.01, positives at cosine −1", *OPPOSITE, OPPOSITE[0][:2], tensor(0.5, 0.25),
                   temperature=0.01)],
    mistakes=[
        Mistake("memory ignored", "The remembered negatives are not used: this is InfoNCE of the batch alone.",
                "They are M more candidates: the row of scores is N + M long."),
        Mistake("weights missing", "The remembered negatives count fully: the weights are missing.",
                "A weight p multiplies e^(s/τ); in the logits it is log p, added."),
        Mistake("weights in the exponent", "The weights are added to the logits.",
                "They multiply the exponentials: what is added to a logit is log p."),
        Mistake("weights times the similarity", "The weights multiply the similarities.",
                "They multiply the exponentials: add log p to the logit."),
        Mistake("weights normalised", "The weights are divided by their sum.", "They count as they are."),
        Mistake("weights reversed", "The weights belong to other rows: they are in reversed order.",
                "Row m of the negatives has weight m."),
        Mistake("temperature of the memory missing",
                "The similarities with the memory are not divided by the temperature.",
                "All scores of a row are on one scale."),
        Mistake("memory not normalised", "The remembered rows are not normalised.", "Their score is a cosine, too."),
        Mistake("memory against the positives", "The remembered rows are compared with the positives.",
                "All comparisons start from the query."),
        Mistake("batch ignored", "The other rows of the batch are no candidates any more.",
                "The memory comes on top: N candidates of the batch and M remembered ones."),
        *mistakes(*REDUCTION, *COSINE, *(m for m in PAIRED if m not in ("positive not below", "exponential missing"))),
    ],
)  # fmt: skip

EXERCISES = (SYMMETRIC_INFO_NCE, WEIGHTED_INFO_NCE)
