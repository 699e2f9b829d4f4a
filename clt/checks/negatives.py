"""Negatives: debiased NT-Xent, how likely a false one is, mining that is aware of the positive, and what to expect."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from clt import losses, results
from clt.checks._algorithm import Algorithm, Derivation, returned
from clt.checks._common import (
    COSINE,
    REDUCTION,
    mistakes,
    of_all_lengths,
    pairs,
    random,
    reduced,
    scaled,
    tensor,
    unit,
)
from clt.checks._exercise import Mistake, case
from clt.checks._experiment import Experiment
from clt.checks._loss import Loss
from clt.results import number

# ---- the debiased loss


def debiased_loss(view1: Tensor, view2: Tensor, *, temperature: float = 0.5, class_prior: float = 0.1) -> Tensor:
    """NT-Xent with the false negatives' expected share taken off: ``hard_negative_loss`` with hardness 0."""
    return losses.hard_negative_loss(view1, view2, temperature=temperature, hardness=0.0, class_prior=class_prior)


def plain_debiased(view1, view2, *, temperature=0.5, class_prior=0.1, wrong=frozenset()):
    n, prior = len(view1), class_prior
    views = unit(torch.cat([view1, view2]), wrong)
    powers = scaled(views @ views.T, temperature, wrong).exp()
    own = torch.arange(2 * n)
    twin = (own + n) % (2 * n)
    left_out = torch.eye(2 * n, dtype=torch.bool)
    if "itself among the negatives" in wrong:
        left_out = torch.zeros_like(left_out)
    if "twin among the negatives" not in wrong:
        left_out = left_out.scatter(1, twin[:, None], True)
    count = (~left_out).sum(1)
    positive = powers[own, twin]
    mean = torch.where(left_out, 0.0, powers).sum(1) / count
    true = mean - prior * positive
    if "prior added" in wrong:
        true = mean + prior * positive
    if "prior of the negatives" in wrong:
        true = mean - (1 - prior) * positive
    if "not divided" not in wrong:
        true = true / (prior if "divided by the prior" in wrong else 1 - prior)
    if "prior ignored" in wrong:
        true = mean
    floor = 0.0 if "floor of 0" in wrong else math.exp(-1 / temperature)
    if "floor without temperature" in wrong:
        floor = math.exp(-1)
    if "no floor" not in wrong:
        true = true.clamp_min(floor)
    below = true if "one negative" in wrong else count * true
    share = positive / (below if "positive not below" in wrong else positive + below)
    return reduced(-share if "log missing" in wrong else -share.log(), wrong)


def _near(n: int, d: int, seed: int) -> tuple[Tensor, Tensor]:
    """Views so alike that the floor is active for some anchors."""
    first = random(n, d, seed=seed)
    return first, first + 0.1 * random(n, d, seed=seed + 1)


DEBIASED_LOSS = Loss(
    reference=debiased_loss,
    plain=plain_debiased,
    cases=[
        case("6 pairs, τ⁺ = 0.1", *pairs(6, 4, seed=1), temperature=0.5, class_prior=0.1),
        case("3 pairs, τ⁺ = 0.05", *pairs(3, 8, seed=3), temperature=1.7, class_prior=0.05),
        case("5 pairs, alike, τ⁺ = 0.2", *_near(5, 5, seed=5), temperature=0.4, class_prior=0.2),
        case("2 pairs", tensor([1.0, 0.0], [0.0, 2.0]), tensor([1.0, 1.0], [-1.0, 1.0]), temperature=0.8,
             class_prior=0.1),
        case("rows of very different length", *map(of_all_lengths, pairs(5, 3, seed=7)), temperature=0.6,
             class_prior=0.15),
    ],
    mistakes=[
        Mistake("prior ignored", "This is NT-Xent: nothing is taken off for the false negatives.",
                "Take τ⁺ times the positive's exponential off the mean, and divide by 1 − τ⁺."),
        Mistake("prior added", "The false negatives' share is added.", "It is already in the mean: take it off."),
        Mistake("prior of the negatives", "The positive's exponential is multiplied by 1 − τ⁺.",
                "The share of the anchor's own class is τ⁺; 1 − τ⁺ is what remains, and divides."),
        Mistake("not divided", "The division by 1 − τ⁺ is missing.",
                "What is left is the true negatives' part of the mean, not yet their mean."),
        Mistake("divided by the prior", "The difference is divided by τ⁺.",
                "Only 1 − τ⁺ of what was drawn are true negatives."),
        Mistake("no floor", "The difference can become negative, and then its logarithm is NaN.",
                "Nothing that is e^(cos/τ) can have a mean below e^(−1/τ)."),
        Mistake("floor of 0", "The floor is set to 0.",
                "The least that e^(cos/τ) can be is e^(−1/τ), at a cosine of −1."),
        Mistake("floor without temperature", "The floor is 1/e.", "The least cosine is −1, and it is divided by τ."),
        Mistake("one negative", "The mean over the negatives stands in the denominator once.",
                "There are 2N − 2 of them: their mean times their number."),
        Mistake("itself among the negatives", "The anchor is one of its own negatives.",
                "2N − 2 rows are negatives: all but the anchor and its twin."),
        Mistake("twin among the negatives", "The twin is one of the negatives.",
                "2N − 2 rows are negatives: all but the anchor and its twin."),
        *mistakes("positive not below", "log missing", "temperature missing", "temperature multiplied", *COSINE,
                  *REDUCTION),
    ],
)  # fmt: skip

# ---- how likely is a false negative?


def false_negative_chance(class_prior: float, pairs: int) -> float:
    """The probability that at least one of an anchor's 2N − 2 negatives is of its class."""
    return 1 - (1 - class_prior) ** (2 * pairs - 2)


def plain_chance(class_prior, pairs, *, wrong=frozenset()):
    negatives = 2 * pairs - 2
    for name, value in {
        "expected number": class_prior * negatives,
        "one draw": class_prior,
        "none": (1 - class_prior) ** negatives,
        "all": class_prior**negatives,
        "one view": 1 - (1 - class_prior) ** (pairs - 1),
        "all rows": 1 - (1 - class_prior) ** (2 * pairs),
        "twin too": 1 - (1 - class_prior) ** (2 * pairs - 1),
        "exactly one": negatives * class_prior * (1 - class_prior) ** (negatives - 1),
    }.items():
        if name in wrong:
            return value
    return 1 - (1 - class_prior) ** negatives


FALSE_NEGATIVE_CHANCE = Derivation(
    reference=false_negative_chance,
    plain=plain_chance,
    cases=[
        case("a class prior of 0.01, 128 pairs", 0.01, 128),
        case("32 equally frequent classes, 16 pairs", 1 / 32, 16),
        case("a class prior of 0.3, 2 pairs", 0.3, 2),
    ],
    mistakes=[
        Mistake("expected number", "This is how many false negatives are expected; it can be above 1.",
                "The chance of at least one is 1 minus the chance that none of them is."),
        Mistake("one draw", "This is the chance for a single negative.", "There are 2N − 2 of them."),
        Mistake("none", "This is the chance that none of them is false.", "Asked is the opposite: 1 minus this."),
        Mistake("all", "This is the chance that all of them are false.", "One is enough: take the complement."),
        Mistake("one view", "N − 1 negatives were counted.", "Each of the other pairs brings two rows."),
        Mistake("all rows", "2N negatives were counted.", "The anchor and its twin are none."),
        Mistake("twin too", "2N − 1 negatives were counted.", "The anchor is none, and neither is its twin."),
        Mistake("exactly one", "This is the chance of exactly one.", "Two or more count as well."),
    ],
)  # fmt: skip

# ---- mining that is aware of the positive


def mine_negatives(scores: Tensor, positive: Tensor, k: int, *, margin: float = 0.05) -> Tensor:
    """For each query the k best candidates that score at most s⁺ − margin·|s⁺|, the best first; −1 where none is left.

    Args:
        scores: ``(Q, M)``, of queries and candidates.
        positive: ``(Q,)`` integers: which candidate is the query's positive.
        k: how many to take.
        margin: the part of the positive's score by which a negative has to stay below it.
    """
    own = scores.gather(1, positive[:, None])
    kept = scores.masked_fill(scores > own - margin * own.abs(), -torch.inf).scatter(1, positive[:, None], -torch.inf)
    best = kept.topk(k, dim=1)
    return best.indices.masked_fill(best.values == -torch.inf, -1)


def plain_mining(scores, positive, k, *, margin=0.05, wrong=frozenset()):
    mined = []
    for row, own in zip(scores.tolist(), positive.tolist(), strict=True):
        limit = row[own] - margin * (row[own] if "limit loosens" in wrong else abs(row[own]))
        if "absolute margin" in wrong:
            limit = row[own] - margin
        if "margin above" in wrong:
            limit = row[own] + margin * abs(row[own])
        if "no limit" in wrong:
            limit = math.inf
        if "limit of the positive itself" in wrong:
            limit = row[own]
        order = sorted(range(len(row)), key=lambda j: row[j] if "easiest" in wrong else -row[j])
        order = order if "positive kept" in wrong else [j for j in order if j != own]
        if "cut before the limit" in wrong:
            order = order[:k]
        if "far ones only" in wrong:
            order = [j for j in order if row[j] > limit]
        else:
            order = [j for j in order if row[j] <= limit or ("positive kept" in wrong and j == own)]
        padding = [len(row) - 1 if "filled with a candidate" in wrong else -1] * k
        mined.append((order + padding)[:k])
    return torch.tensor(mined)


def _mined(answer, scores, positive, k, **options):
    found = returned(answer(scores.clone(), positive.clone(), k, **options))
    return {"the mined candidates": found}


CLOSE = tensor([0.9, 0.88, 0.7, 0.86, 0.2], [0.1, 0.8, 0.79, 0.81, 0.74])
BELOW_ZERO = tensor([-0.5, -0.49, -0.51, -0.6, -0.9], [0.3, -0.2, -0.21, -0.195, -0.4])
MINE_NEGATIVES = Algorithm(
    reference=mine_negatives,
    plain=plain_mining,
    observe=_mined,
    cases=[
        case("2 queries, 5 candidates", CLOSE, torch.tensor([0, 1]), 2),
        case("positives below 0", BELOW_ZERO, torch.tensor([0, 1]), 2),
        case("8 queries, 20 candidates", random(8, 20, seed=1).tanh(), torch.arange(8), 3, margin=0.2),
        case("one exactly at the limit", tensor([1.0, 0.5, 0.75, 0.25]), torch.tensor([0]), 1, margin=0.5),
        case("a poor positive: too few are left", tensor([0.1, 0.9, 0.05, 0.8]), torch.tensor([0]), 3),
    ],
    mistakes=[
        Mistake("no limit", "Candidates that score as high as the positive, or higher, are taken.",
                "Those are the false negatives: keep only what is at most s⁺ − margin·|s⁺|."),
        Mistake("limit of the positive itself", "The limit is the positive's own score: the margin is missing.",
                "Near copies score just below the positive."),
        Mistake("absolute margin", "The margin is taken off as it is.",
                "It is a part of the positive's score: margin times |s⁺|."),
        Mistake("limit loosens", "Where the positive's score is negative, the limit lies above it.",
                "Take the margin of its absolute value."),
        Mistake("margin above", "The margin is added.", "A negative has to stay below the positive by it."),
        Mistake("far ones only", "These are the candidates above the limit.",
                "They are the suspects: keep the others."),
        Mistake("easiest", "The lowest scores are taken.", "Hard means high: the best of those that are left."),
        Mistake("positive kept", "The positive is among its own negatives.", "Take its column out."),
        Mistake("cut before the limit", "The best k are cut out first, and the suspects among them dropped.",
                "First drop the suspects, then take the best k of the rest."),
        Mistake("filled with a candidate", "Where fewer than k are left, the row is filled with a candidate.",
                "Fill with −1, which says that there is none."),
    ],
)  # fmt: skip

# ---- a guide's margin

MARGINS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0)  # at which the lesson counts what a guide leaves out


def judge_margin(answer) -> Iterator[tuple[str, str, str] | tuple[str, str]]:
    what = "a margin, one number"
    try:
        margin = float(answer)
    except (TypeError, ValueError):
        margin = math.nan
    fits = 0 <= margin <= 2
    yield what, *(("",) if fits else (f"{answer!r} is none between 0 and 2.", "no margin"))
    record = results.recorded("13_negatives")
    found, lost = (_between(margin, record[f"guide.{name}"][0]) for name in ("found", "lost"))
    says = f"At a margin of {margin:g} the guide leaves out {number(found)} % of the false negatives"
    yield "95 % of the false negatives are left out", *(("",) if found >= 95 else (f"{says}.", "too small"))
    says += f" and {number(lost)} % of the true ones."
    yield "at most 1 % of the true negatives are left out", *(("",) if lost <= 1 else (says, "too large"))


def _between(margin: float, curve: list[float]) -> float:
    """The curve over :data:`MARGINS`, on straight lines between its points."""
    for low, high, a, b in zip(MARGINS, MARGINS[1:], curve, curve[1:], strict=False):
        if margin <= high:
            return a + (b - a) * (margin - low) / (high - low)
    return curve[-1]


GUIDE_MARGIN = Experiment(
    name="guide_margin",
    reference=0.3,
    judge=judge_margin,
    mistakes=[
        Mistake("no margin", "A margin is a difference of two cosines.", "Hand in one number, such as 0.5.", "wide"),
        Mistake("too small", "Wordings that are a little farther from the positive than itself stay negatives.",
                "The limit is the positive's cosine, which is 1 here, less the margin: make it larger.", 0.05),
        Mistake("too large", "The guide leaves out sentences that mean something else.",
                "They are the hard negatives, which have the most to teach: make the margin smaller.", 1.0),
    ],
)  # fmt: skip

EXERCISES = (DEBIASED_LOSS, FALSE_NEGATIVE_CHANCE, MINE_NEGATIVES, GUIDE_MARGIN)
