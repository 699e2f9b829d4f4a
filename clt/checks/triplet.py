"""The exercises of the triplet lesson: references, inputs, and the mistakes that are made."""

import torch
import torch.nn.functional as F
from torch import Tensor

from clt import losses
from clt.checks._engine import Exercise, Mistake
from clt.similarity import squared_euclidean


def _random(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _triplets(n: int, d: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Triplets of which some cost nothing and some do, at the margins used below."""
    anchor = _random(n, d, seed=seed)
    near = anchor + 0.7 * _random(n, d, seed=seed + 1)
    return anchor, near, anchor + 0.7 * _random(n, d, seed=seed + 2)


def _distances(a: Tensor, p: Tensor, n: Tensor) -> tuple[Tensor, Tensor]:
    return (a - p).square().sum(-1), (a - n).square().sum(-1)


def _hinge_missing(a, p, n, *, margin=1.0):
    near, far = _distances(a, p, n)
    return (near - far + margin).mean()


def _not_squared(a, p, n, *, margin=1.0):
    return F.relu((a - p).norm(dim=-1) - (a - n).norm(dim=-1) + margin).mean()


def _margin_sign(a, p, n, *, margin=1.0):
    near, far = _distances(a, p, n)
    return F.relu(near - far - margin).mean()


def _margin_forgotten(a, p, n, *, margin=1.0):
    near, far = _distances(a, p, n)
    return F.relu(near - far).mean()


def _margin_outside(a, p, n, *, margin=1.0):
    near, far = _distances(a, p, n)
    return (F.relu(near - far) + margin).mean()


def _swapped(a, p, n, *, margin=1.0):
    near, far = _distances(a, p, n)
    return F.relu(far - near + margin).mean()


def _summed(a, p, n, *, margin=1.0):
    near, far = _distances(a, p, n)
    return F.relu(near - far + margin).sum()


def _active_only(a, p, n, *, margin=1.0):
    near, far = _distances(a, p, n)
    value = F.relu(near - far + margin)
    return value.sum() / (value > 0).sum().clamp_min(1)


def _averaged_over_dimensions(a, p, n, *, margin=1.0):
    return F.relu((a - p).square().mean(-1) - (a - n).square().mean(-1) + margin).mean()


def _hinge_of_the_mean(a, p, n, *, margin=1.0):
    near, far = _distances(a, p, n)
    return F.relu((near - far + margin).mean())


def _per_triplet(a, p, n, *, margin=1.0):
    near, far = _distances(a, p, n)
    return F.relu(near - far + margin)


def _normalised(a, p, n, *, margin=1.0):
    return losses.triplet_loss(*(F.normalize(x, dim=-1) for x in (a, p, n)), margin=margin)


def _detached(a, p, n, *, margin=1.0):
    return losses.triplet_loss(a.detach(), p.detach(), n.detach(), margin=margin)


TRIPLET_LOSS = Exercise(
    name="triplet_loss",
    reference=losses.triplet_loss,
    cases=[
        (_triplets(6, 3, seed=1), {"margin": 1.0}, "6 triplets in 3 dimensions, margin 1"),
        (_triplets(5, 8, seed=2), {"margin": 0.2}, "5 triplets in 8 dimensions, margin 0.2"),
        (_triplets(1, 4, seed=6), {"margin": 2.0}, "a single triplet"),
        (_triplets(7, 2, seed=4), {"margin": 0.01}, "margin 0.01"),
    ],
    mistakes=[
        Mistake(
            _per_triplet,
            "This is the loss of each triplet, not of the batch.",
            "One number is asked for: take the mean over the triplets.",
        ),
        Mistake(
            _summed,
            "This is the sum over the batch where the mean belongs.",
            "A sum grows with the batch, and so would the learning rate.",
        ),
        Mistake(
            _hinge_missing,
            "The hinge is missing: triplets that are already right give a negative loss and keep being pulled.",
            "Nothing below zero should count.",
        ),
        Mistake(
            _hinge_of_the_mean,
            "The hinge is taken after the mean, so that easy triplets pay for hard ones.",
            "Cut each triplet's value at zero first, then average.",
        ),
        Mistake(
            _margin_forgotten,
            "The margin is missing.",
            "Without it the loss is content as soon as the negative is the tiniest bit farther.",
        ),
        Mistake(
            _margin_outside,
            "The margin stands outside the hinge, where it has no gradient.",
            "It belongs inside: it says how far is far enough.",
        ),
        Mistake(
            _margin_sign,
            "The margin has the wrong sign.",
            "The loss should still be positive when the negative is only a little farther than the positive.",
        ),
        Mistake(
            _swapped,
            "Positive and negative are exchanged: this pushes the positive away.",
            "The loss must fall when the positive comes closer.",
        ),
        Mistake(
            _not_squared,
            "The distance is not squared.",
            "FaceNet's loss uses the squared Euclidean distance (torch's triplet_margin_loss does not).",
        ),
        Mistake(
            _averaged_over_dimensions,
            "The squared differences are averaged over the dimensions.",
            "A squared distance is their sum.",
        ),
        Mistake(
            _active_only,
            "The mean is taken over the triplets that still cost something.",
            "That is a known variant; here the mean is over all of them.",
        ),
        Mistake(
            _normalised,
            "The embeddings are normalised inside.",
            "This loss takes them as they are; who wants the sphere normalises before.",
        ),
        Mistake(
            _detached,
            "The value is right, but no gradient flows: the graph was cut.",
            "Look for .detach(), .data, .item() or torch.no_grad().",
        ),
    ],
)


def positive_mask(labels: Tensor) -> Tensor:
    """``(N, N)`` bool: whether row j is a positive of row i, that is, has its label and is not i itself."""
    return (labels[:, None] == labels).fill_diagonal_(False)


POSITIVE_MASK = Exercise(
    name="positive_mask",
    reference=positive_mask,
    cases=[
        ((torch.tensor([0, 1, 0, 2, 1, 0]),), {}, "labels 0 1 0 2 1 0"),
        ((torch.tensor([7, 7, 7]),), {}, "one class only"),
        ((torch.tensor([3, 1, 2]),), {}, "no two alike"),
    ],
    mistakes=[
        Mistake(
            lambda labels: labels[:, None] == labels,
            "Each row counts as its own positive.",
            "Its distance to itself is 0 and teaches nothing: clear the diagonal.",
        ),
        Mistake(
            lambda labels: labels[:, None] != labels,
            "This is the mask of the negatives.",
            "Positives share the label.",
        ),
        Mistake(
            lambda labels: positive_mask(labels).triu(),
            "Only half of the pairs are there.",
            "Both (i, j) and (j, i) count: each row is an anchor once.",
        ),
        Mistake(
            lambda labels: positive_mask(labels).long(),
            "The mask is a tensor of integers.",
            "A mask selects only if it is of dtype bool.",
        ),
    ],
    has_gradient=False,
    batch_order_free=False,
)


def _hard(distance_of, embeddings: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Batch-hard on labels where every row has a positive and a negative."""
    distance, positive = distance_of(embeddings), positive_mask(labels)
    farthest = torch.where(positive, distance, -torch.inf).amax(1)
    nearest = torch.where(labels[:, None] != labels, distance, torch.inf).amin(1)
    return F.relu(farthest - nearest + margin).mean()


def batch_hard_loss(embeddings: Tensor, labels: Tensor, *, margin: float = 1.0) -> Tensor:
    """Per anchor the farthest positive and the nearest negative: ``batch_triplet_loss(mining="hard")``."""
    return losses.batch_triplet_loss(embeddings, labels, margin=margin, mining="hard")


def _easiest(embeddings, labels, *, margin=1.0):
    distance, positive = squared_euclidean(embeddings), positive_mask(labels)
    nearest = torch.where(positive, distance, torch.inf).amin(1)
    farthest = torch.where(labels[:, None] != labels, distance, -torch.inf).amax(1)
    return F.relu(nearest - farthest + margin).mean()


def _masked_by_product(embeddings, labels, *, margin=1.0):
    distance = squared_euclidean(embeddings)
    farthest = (distance * positive_mask(labels)).amax(1)
    nearest = (distance * (labels[:, None] != labels)).amin(1)
    return F.relu(farthest - nearest + margin).mean()


def _hardest_of_the_batch(embeddings, labels, *, margin=1.0):
    distance, positive = squared_euclidean(embeddings), positive_mask(labels)
    return F.relu(distance[positive].max() - distance[labels[:, None] != labels].min() + margin)


BATCH_HARD_LOSS = Exercise(
    name="batch_hard_loss",
    reference=batch_hard_loss,
    cases=[
        ((_random(6, 3, seed=5), torch.tensor([0, 1, 0, 2, 1, 2])), {"margin": 1.0}, "three pairs, margin 1"),
        ((_random(8, 4, seed=6) * 0.3, torch.tensor([4, 4, 4, 4, 9, 9, 9, 9])), {"margin": 0.2}, "two classes of four"),
        ((_random(9, 2, seed=7), torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2])), {"margin": 0.5}, "three classes of three"),
    ],
    mistakes=[
        Mistake(
            _masked_by_product,
            "The negatives are masked by multiplying with 0, and then 0 is the nearest of them.",
            "Put +inf where no negative is, before the minimum.",
        ),
        Mistake(
            _easiest,
            "This takes the nearest positive and the farthest negative: the easiest triplet.",
            "Hard means the farthest positive and the nearest negative.",
        ),
        Mistake(
            _hardest_of_the_batch,
            "This is the one hardest triplet of the whole batch.",
            "Each anchor has its own: take maximum and minimum along a row, then the mean over the anchors.",
        ),
        Mistake(
            lambda e, y, *, margin=1.0: _hard(lambda x: squared_euclidean(x).clamp_min(1e-12).sqrt(), e, y, margin),
            "The distance is not squared.",
            "This course uses the squared Euclidean distance for triplets throughout.",
        ),
        Mistake(
            lambda e, y, *, margin=1.0: batch_hard_loss(e, y, margin=margin) * len(e),
            "This is the sum over the anchors where the mean belongs.",
            "Divide by the number of anchors.",
        ),
        Mistake(
            lambda e, y, *, margin=1.0: losses.batch_triplet_loss(e, y, margin=margin, mining="all"),
            "This is the mean over all triplets: nothing was mined.",
            "Keep one triplet per anchor, the hardest.",
        ),
    ],
)

EXERCISES = (TRIPLET_LOSS, POSITIVE_MASK, BATCH_HARD_LOSS)
