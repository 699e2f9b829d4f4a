"""The exercises on three points and a margin."""

import torch.nn.functional as F
from torch import Tensor

from clt import losses
from clt.checks._common import mistakes, random, reduced, tensor
from clt.checks._exercise import Mistake, case
from clt.checks._loss import Loss


def triplets(n: int, d: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Triplets of which some cost nothing and some do, at the margins used below."""
    anchor = random(n, d, seed=seed)
    return anchor, anchor + 0.7 * random(n, d, seed=seed + 1), anchor + 0.7 * random(n, d, seed=seed + 2)


def hinge(near: Tensor, far: Tensor, margin: float, wrong: frozenset) -> Tensor:
    """[near − far + margin]₊, reduced; ``near`` and ``far`` are distances."""
    margin = 1.0 if "margin is 1" in wrong else margin
    if "swapped" in wrong:
        near, far = far, near
    margin = -margin if "margin's sign" in wrong else margin
    inside = near - far + (0 if wrong & {"margin missing", "margin outside"} else margin)
    if "hinge after the mean" in wrong:
        return F.relu(inside.mean())
    value = inside if "hinge missing" in wrong else F.relu(inside)
    value = F.softplus(inside) if "soft" in wrong else value
    value = value + margin if "margin outside" in wrong else value
    return reduced(value, wrong, valid=value.detach() > 0 if "active only" in wrong else None)


def plain_triplet(a: Tensor, p: Tensor, n: Tensor, *, margin: float = 1.0, wrong=frozenset()) -> Tensor:
    if "normalised" in wrong:
        a, p, n = (F.normalize(x, dim=-1) for x in (a, p, n))
    near, far = (a - p).square(), ((p if "anchor forgotten" in wrong else a) - n).square()
    near, far = ((x.mean(-1) if "averaged over dimensions" in wrong else x.sum(-1)) for x in (near, far))
    if "not squared" in wrong:
        near, far = near.sqrt(), far.sqrt()
    return hinge(near, far, margin, wrong)


def plain_margin_triplet(a: Tensor, p: Tensor, n: Tensor, *, margin: float = 1.0, wrong=frozenset()) -> Tensor:
    if "normalised" in wrong:
        a, p, n = (F.normalize(x, dim=-1) for x in (a, p, n))
    if "distances" in wrong:
        return plain_triplet(a, p, n, margin=margin, wrong=wrong)
    near, far = (a * p).sum(-1), ((p if "anchor forgotten" in wrong else a) * n).sum(-1)
    return hinge(-near, -far, margin, wrong)


HINGE = mistakes(
    "per row",
    "sum",
    Mistake(
        "hinge missing",
        "The hinge is missing: triplets that are already right give a negative loss and keep being pulled.",
        "Nothing below zero should count.",
    ),
    Mistake(
        "hinge after the mean",
        "The hinge is taken after the mean, so that easy triplets pay for hard ones.",
        "Cut each triplet's value at zero first, then average.",
    ),
    Mistake(
        "margin missing",
        "The margin is missing.",
        "Without it the loss is content as soon as the order is right by the tiniest bit.",
    ),
    Mistake(
        "margin is 1",
        "The margin is fixed at 1.",
        "It is an argument: 1 is only what it is when nobody says otherwise.",
    ),
    Mistake(
        "margin outside",
        "The margin stands outside the hinge, where it has no gradient.",
        "It belongs inside: it says how far is far enough.",
    ),
    Mistake(
        "margin's sign",
        "The margin has the wrong sign.",
        "The loss should still be positive when the order is right, but only just.",
    ),
    Mistake(
        "swapped",
        "Positive and negative are exchanged: this pushes the positive away.",
        "The loss must fall when the positive comes closer.",
    ),
    Mistake(
        "active only",
        "The mean is taken over the triplets that still cost something.",
        "That is a known variant; here the mean is over all of them.",
    ),
    Mistake("soft", "The hinge is a softplus.", "That is a known variant; here nothing below zero counts: max(0, ·)."),
    "sign",
)
ANCHOR = Mistake(
    "anchor forgotten",
    "The negative is compared with the positive.",
    "Both comparisons start from the anchor.",
)
CASES = [
    case("6 triplets in 3 dimensions, margin 1", *triplets(6, 3, seed=1), margin=1.0),
    case("5 triplets in 8 dimensions, margin 0.2", *triplets(5, 8, seed=2), margin=0.2),
    case("one triplet", tensor([1.0, 0.0]), tensor([0.5, 1.0]), tensor([0.0, 1.0]), margin=2.0),
    case("7 triplets, margin 0.01", *triplets(7, 2, seed=4), margin=0.01),
    case("long rows", *(5 * x for x in triplets(4, 3, seed=9)), margin=0.5),
    case(
        "2 triplets",
        tensor([1.0, 0.0], [1.0, 0.0]),
        tensor([3.0, 0.0], [1.0, 2.0]),
        tensor([0.0, 2.0], [1.5, 1.0]),
        margin=0.25,
    ),
]

TRIPLET_LOSS = Loss(
    reference=losses.triplet_loss,
    plain=plain_triplet,
    cases=CASES,
    mistakes=[
        *HINGE,
        *mistakes("not squared", "averaged over dimensions", "normalised"),
        ANCHOR,
    ],
)

MARGIN_TRIPLET_LOSS = Loss(
    reference=losses.margin_triplet_loss,
    plain=plain_margin_triplet,
    cases=CASES,
    mistakes=[
        *HINGE,
        *mistakes("normalised"),
        Mistake(
            "distances",
            "These are squared distances, not dot products.",
            "The formula compares two similarities: a · p must exceed a · n by the margin.",
        ),
        ANCHOR,
    ],
)

EXERCISES = (TRIPLET_LOSS, MARGIN_TRIPLET_LOSS)
