"""The exercises on batches with labels: which rows are positives, and the losses over a batch's triplets."""

import torch
import torch.nn.functional as F
from torch import Tensor

from clt import losses
from clt.checks._common import mistakes, random, reduced, tensor
from clt.checks._exercise import Mistake, case
from clt.checks._loss import Loss
from clt.checks.triplet import HINGE, hinge


def positive_mask(labels: Tensor) -> Tensor:
    """``(N, N)`` bool: whether row j is a positive of row i, that is, has its label and is not i itself."""
    return (labels[:, None] == labels).fill_diagonal_(False)


def plain_mask(labels: Tensor, *, wrong=frozenset()) -> Tensor:
    mask = labels[:, None] != labels if "negatives" in wrong else labels[:, None] == labels
    if not wrong & {"itself", "negatives"}:
        mask = mask & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    mask = mask.triu() if "half" in wrong else mask
    return mask.long() if "integers" in wrong else mask


POSITIVE_MASK = Loss(
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
    margin = 1.0 if "margin is 1" in wrong else margin
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

BATCH_TRIPLET_LOSS = Loss(
    reference=losses.batch_triplet_loss,
    plain=plain_batch,
    cases=[
        *BATCH_CASES,
        case("an anchor without a positive", random(6, 3, seed=8), torch.tensor([0, 0, 1, 1, 1, 5]), margin=0.7),
    ],
    mistakes=[
        *mistakes("sum", "sign", "not squared", "itself is a positive"),
        *(
            m
            for m in HINGE
            if m.wrong in ("hinge missing", "margin missing", "margin's sign", "margin is 1", "active only")
        ),
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


BATCH_HARD_LOSS = Loss(
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

EXERCISES = (POSITIVE_MASK, BATCH_TRIPLET_LOSS, BATCH_HARD_LOSS)
