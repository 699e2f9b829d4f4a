"""The exercise on the Twin Loss: the gap between identical and fraternal twins stays what it was."""

import torch
from torch import Tensor

from clt import losses
from clt.checks._common import COSINE, REDUCTION, mistakes, of_all_lengths, random, reduced, tensor, unit
from clt.checks._exercise import Mistake, case
from clt.checks._loss import Loss


def plain_twin(anchor, identical, fraternal, margin, *, wrong=frozenset()) -> Tensor:
    a, i, f = (unit(x, wrong) for x in (anchor, identical, fraternal))
    first = (a * i).sum(1)
    second = ((i if "twins with each other" in wrong else a) * f).sum(1)
    if "exponential missing" not in wrong:
        first, second = first.exp(), second.exp()
    if "only identical" in wrong:
        second = torch.zeros_like(second)
    gap = second - first if "swapped" in wrong else first - second
    if "exponential of the difference" in wrong:
        gap = ((a * i).sum(1) - (a * f).sum(1)).exp()
    margin = margin if "margin not cut" in wrong else margin.detach()
    rest = gap if "margin missing" in wrong else gap - margin
    if "absolute value missing" in wrong:
        return reduced(rest, wrong)
    if "absolute value of the mean" in wrong:
        return rest.mean().abs()
    if "hinge" in wrong:
        return reduced(rest.relu(), wrong)
    return reduced(rest.square() if "squared" in wrong else rest.abs(), wrong)


def twins(n: int, d: int, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Twins whose gap is above the margin for some and below for others."""
    anchor = random(n, d, seed=seed)
    identical, fraternal = (anchor + scale * random(n, d, seed=seed + i) for i, scale in ((1, 0.5), (2, 1.0)))
    return anchor, identical, fraternal, losses.twin_margin(*(random(n, d, seed=seed + 3 + i) for i in range(3)))


TWIN_LOSS = Loss(
    reference=losses.twin_loss,
    plain=plain_twin,
    cases=[
        case("6 sentences in 4 dimensions", *twins(6, 4, seed=1)),
        case("3 sentences in 8 dimensions", *twins(3, 8, seed=11)),
        case("1 sentence", tensor([1.0, 0.0]), tensor([2.0, 1.0]), tensor([1.0, 1.0]), tensor(0.9)),
        case("rows of very different length", *map(of_all_lengths, twins(5, 3, seed=21)[:3]), twins(5, 3, seed=21)[3]),
    ],
    mistakes=[
        *mistakes(*REDUCTION, *COSINE),
        Mistake(
            "exponential missing",
            "The similarities are compared without exp.",
            "The gap is the difference of two exponentials.",
        ),
        Mistake(
            "exponential of the difference",
            "The gap is a quotient: the exponential of the difference of the cosines.",
            "It is the other way round: the difference of two exponentials.",
        ),
        Mistake(
            "swapped",
            "Gap and margin have opposite signs: the twins are exchanged, or the margin is added.",
            "The gap is identical minus fraternal, and the loss is 0 where it equals the margin.",
        ),
        Mistake("only identical", "The fraternal twin is missing.", "The loss looks at the difference of the two."),
        Mistake(
            "twins with each other",
            "The fraternal twin is compared with the identical one.",
            "Both are compared with the anchor.",
        ),
        Mistake("margin missing", "The margin is missing.", "The gap should be M, not 0."),
        Mistake(
            "margin not cut",
            "A gradient flows into the margin.",
            "It is the gap of the step before, a fixed goal: detach it.",
        ),
        Mistake(
            "absolute value missing",
            "The absolute value is missing: gaps that are too small are rewarded.",
            "The gap should stay what it was, in both directions.",
        ),
        Mistake(
            "absolute value of the mean",
            "The absolute value is taken after the mean, so that one sentence makes up for another.",
            "Each sentence has its own gap to keep: first the absolute value, then the mean.",
        ),
        Mistake(
            "hinge",
            "This is a hinge: gaps that are too small cost nothing.",
            "The gap should stay what it was, in both directions: an absolute value.",
        ),
        Mistake("squared", "The difference is squared.", "The formula has the absolute value."),
    ],
)

EXERCISES = (TWIN_LOSS,)
