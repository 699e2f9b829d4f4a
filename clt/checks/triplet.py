"""The exercises of the triplet lesson: three points and a margin, then a batch with labels."""

import torch
import torch.nn.functional as F
from torch import Tensor

from clt import losses
from clt.checks._bank import mistakes, random, reduced, tensor
from clt.checks._call import case
from clt.checks._engine import Exercise, Mistake


def triplets(n: int, d: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Triplets of which some cost nothing and some do, at the margins used below."""
    anchor = random(n, d, seed=seed)
    return anchor, anchor + 0.7 * random(n, d, seed=seed + 1), anchor + 0.7 * random(n, d, seed=seed + 2)


def hinge(near: Tensor, far: Tensor, margin: float, wrong: frozenset) -> Tensor:
    """[near − far + margin]₊, reduced; ``near`` and ``far`` are distances."""
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

TRIPLET_LOSS = Exercise(
    reference=losses.triplet_loss,
    plain=plain_triplet,
    cases=CASES,
    mistakes=[
        *HINGE,
        *mistakes("not squared", "averaged over dimensions", "normalised"),
        ANCHOR,
    ],
)

MARGIN_TRIPLET_LOSS = Exercise(
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


def positive_mask(labels: Tensor) -> Tensor:
    """``(N, N)`` bool: whether row j is a positive of row i, that is, has its label and is not i itself."""
    return (labels[:, None] == labels).fill_diagonal_(False)


def plain_mask(labels: Tensor, *, wrong=frozenset()) -> Tensor:
    mask = labels[:, None] != labels if "negatives" in wrong else labels[:, None] == labels
    if not wrong & {"itself", "negatives"}:
        mask = mask & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    mask = mask.triu() if "half" in wrong else mask
    return mask.long() if "integers" in wrong else mask


POSITIVE_MASK = Exercise(
    reference=positive_mask,
    plain=plain_mask,
    cases=[
        case("labels 0 1 0 2 1 0", torch.tensor([0, 1, 0, 2, 1, 0])),
        case("one class only", torch.tensor([7, 7, 7])),
        case("no two alike", torch.tensor([3, 1, 2])),
        case("negative labels", torch.tensor([-1, 5, -1, 0, 5])),
    ],
    mistakes=[
        Mistake(
            "itself",
            "Each row counts as its own positive.",
            "Its distance to itself is 0 and teaches nothing: clear the diagonal.",
        ),
        Mistake("negatives", "This is the mask of the negatives.", "Positives share the label."),
        Mistake(
            "half", "Only half of the pairs are there.", "Both (i, j) and (j, i) count: each row is an anchor once."
        ),
        Mistake("integers", "The mask is a tensor of integers.", "A mask selects only if it is of dtype bool."),
    ],
    has_gradient=False,
    batch_order_free=False,
)


def plain_batch(embeddings: Tensor, labels: Tensor, *, margin: float = 1.0, wrong=frozenset()) -> Tensor:
    """Every triplet of the batch, or with "hard" in ``wrong`` one for each anchor."""
    distance = (embeddings[:, None] - embeddings).square().sum(-1)
    if "not squared" in wrong:
        distance = torch.where(distance > 0, distance, 1.0).sqrt() * (distance > 0)
    same = labels[:, None] == labels
    positive, negative = same if "itself is a positive" in wrong else positive_mask(labels), ~same
    inside = distance[:, :, None] - distance[:, None, :] + (-margin if "margin's sign" in wrong else margin)
    inside = inside - margin if "margin missing" in wrong else inside
    value = inside if "hinge missing" in wrong else F.relu(inside)
    valid = positive[:, :, None] & negative[:, None, :]
    if "any negative" in wrong:
        valid = positive[:, :, None] & torch.ones_like(negative)[:, None, :]
    if "active only" in wrong:
        valid = valid & (value > 0)
    if "invalid counted" in wrong:
        return torch.where(valid, value, 0.0).mean()
    if "per anchor" in wrong:
        each = torch.where(valid, value, 0.0).sum((1, 2)) / valid.sum((1, 2)).clamp_min(1)
        return each.sum() / valid.any(2).any(1).sum()
    return reduced(value, wrong, valid)


BATCH_CASES = [
    case("three pairs, margin 1", random(6, 3, seed=5), torch.tensor([0, 1, 0, 2, 1, 2]), margin=1.0),
    case("two classes of four", 0.3 * random(8, 4, seed=6), torch.tensor([4, 4, 4, 4, 9, 9, 9, 9]), margin=0.2),
    case("three classes of three", random(9, 2, seed=7), torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2]), margin=0.5),
    case(
        "two classes, mostly far apart",
        tensor([0.0], [0.1], [2.2], [2.0], [0.2], [5.0]),
        torch.tensor([0, 0, 1, 1, 0, 1]),
        margin=0.3,
    ),
    case("four rows", tensor([1.0], [0.0], [3.0], [1.5]), torch.tensor([0, 0, 1, 1]), margin=0.5),
]

BATCH_TRIPLET_LOSS = Exercise(
    reference=losses.batch_triplet_loss,
    plain=plain_batch,
    cases=[
        *BATCH_CASES,
        case("an anchor without a positive", random(6, 3, seed=8), torch.tensor([0, 0, 1, 1, 1, 5]), margin=0.7),
    ],
    mistakes=[
        *mistakes("sum", "sign", "not squared", "itself is a positive"),
        *(m for m in HINGE if m.wrong in ("hinge missing", "margin missing", "margin's sign", "active only")),
        Mistake(
            "invalid counted",
            "The mean counts triplets that are none: it divides by N³.",
            "Divide by the number of valid triplets (a, p, n): same label, another row, another label.",
        ),
        Mistake(
            "any negative",
            "Every row serves as a negative, also those of the anchor's own class.",
            "A negative has another label than the anchor.",
        ),
        Mistake(
            "per anchor",
            "The mean is taken for each anchor first, then over the anchors.",
            "Here every triplet weighs the same: one mean over all of them.",
        ),
    ],
)


def batch_hard_loss(embeddings: Tensor, labels: Tensor, *, margin: float = 1.0) -> Tensor:
    """Per anchor the farthest positive and the nearest negative: ``batch_triplet_loss(mining="hard")``."""
    return losses.batch_triplet_loss(embeddings, labels, margin=margin, mining="hard")


def plain_hard(embeddings: Tensor, labels: Tensor, *, margin: float = 1.0, wrong=frozenset()) -> Tensor:
    if "all" in wrong:
        return plain_batch(embeddings, labels, margin=margin, wrong=wrong)
    distance = (embeddings[:, None] - embeddings).square().sum(-1)
    if "not squared" in wrong:
        distance = torch.where(distance > 0, distance, 1.0).sqrt() * (distance > 0)
    positive, negative = positive_mask(labels), labels[:, None] != labels
    if "masked by product" in wrong:
        near, far = (distance * positive).amax(1), (distance * negative).amin(1)
    elif "easiest" in wrong:
        near = torch.where(positive, distance, torch.inf).amin(1)
        far = torch.where(negative, distance, -torch.inf).amax(1)
    else:
        near = torch.where(positive, distance, -torch.inf).amax(1)
        far = torch.where(negative, distance, torch.inf).amin(1)
    if "hardest of the batch" in wrong:
        near, far = near.max(), far.min()
    return hinge(near, far, margin, wrong)


BATCH_HARD_LOSS = Exercise(
    reference=batch_hard_loss,
    plain=plain_hard,
    cases=BATCH_CASES,
    mistakes=[
        *(m for m in HINGE if m.wrong != "soft"),
        *mistakes("not squared"),
        Mistake(
            "masked by product",
            "The negatives are masked by multiplying with 0, and then 0 is the nearest of them.",
            "Put +inf where no negative is, before the minimum.",
        ),
        Mistake(
            "easiest",
            "This takes the nearest positive and the farthest negative: the easiest triplet.",
            "Hard means the farthest positive and the nearest negative.",
        ),
        Mistake(
            "hardest of the batch",
            "This is the one hardest triplet of the whole batch.",
            "Each anchor has its own: take maximum and minimum along a row, then the mean over the anchors.",
        ),
        Mistake("all", "This is the mean over all triplets: nothing was mined.", "Keep one per anchor, the hardest."),
    ],
)

EXERCISES = (TRIPLET_LOSS, MARGIN_TRIPLET_LOSS, POSITIVE_MASK, BATCH_TRIPLET_LOSS, BATCH_HARD_LOSS)
