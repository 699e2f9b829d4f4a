"""The exercises on alignment and uniformity: how close positives are, and how evenly everything is spread."""

import torch
from torch import Tensor

from clt import metrics
from clt.checks._common import COSINE, mistakes, of_all_lengths, pairs, random, tensor, unit
from clt.checks._exercise import Mistake, case
from clt.checks._loss import Loss


def plain_alignment(x: Tensor, y: Tensor, *, wrong=frozenset()) -> Tensor:
    x, y = unit(x, wrong), unit(y, wrong)
    if "all pairs" in wrong:
        return (x[:, None] - y).square().sum(-1).mean()
    if "cosine" in wrong:
        return (x * y).sum(-1).mean()
    if "one minus cosine" in wrong:
        return (1 - (x * y).sum(-1)).mean()
    if "of the mean" in wrong:
        return (x - y).mean(0).square().sum()
    square = (x - y).square()
    distance = square.mean(-1) if "averaged over dimensions" in wrong else square.sum(-1)
    distance = distance.sqrt() if "not squared" in wrong else distance
    distance = -distance if "sign" in wrong else distance
    return distance if "per row" in wrong else distance.sum() if "sum" in wrong else distance.mean()


ALIGNMENT = Loss(
    reference=metrics.alignment,
    plain=plain_alignment,
    cases=[
        case("6 pairs in 4 dimensions", *pairs(6, 4, seed=1)),
        case("3 pairs in 8 dimensions", *pairs(3, 8, seed=3)),
        case("1 pair", tensor([3.0, 4.0]), tensor([1.0, 0.0])),
        case("rows of very different length", *map(of_all_lengths, pairs(5, 3, seed=5))),
    ],
    mistakes=[
        *mistakes("per row", "sum", "sign", *COSINE, "not squared", "averaged over dimensions"),
        Mistake(
            "all pairs",
            "This is the mean over all pairs of rows.",
            "Alignment looks at positives only: row i of x with row i of y.",
        ),
        Mistake("cosine", "This is the mean cosine.", "Alignment is a squared distance: 2 − 2 cos, 0 at best."),
        Mistake("one minus cosine", "This is half of it.", "The squared distance on the sphere is 2 − 2 cos."),
        Mistake(
            "of the mean",
            "The differences are averaged before they are squared, so that they cancel.",
            "Square first, then take the mean over the pairs.",
        ),
    ],
)


def plain_uniformity(x: Tensor, *, wrong=frozenset()) -> Tensor:
    n, t = len(x), 1.0 if "t is 1" in wrong else 2.0
    if "t is half" in wrong:
        t = 0.5
    x = unit(x, wrong)
    square = (x[:, None] - x).square()
    distance = square.mean(-1) if "averaged over dimensions" in wrong else square.sum(-1)
    i, j = torch.triu_indices(n, n, 0 if "half with itself" in wrong else 1, device=x.device)
    if "itself counted" in wrong:
        i, j = torch.ones(n, n).nonzero(as_tuple=True)
    distance = distance[i, j]
    distance = distance.clamp_min(1e-12).sqrt() if "not squared" in wrong else distance
    exponent = t * distance if "far is near" in wrong else -t * distance
    if "log missing" in wrong:
        return exponent.exp().mean()
    if "log first" in wrong:
        return exponent.mean()
    value = exponent.logsumexp(0)
    if "sum" not in wrong:
        value = value - torch.tensor(float(len(distance))).log().item()
    return -value if "sign" in wrong else value


UNIFORMITY = Loss(
    reference=metrics.uniformity,
    plain=plain_uniformity,
    cases=[
        case("6 rows in 4 dimensions", random(6, 4, seed=1)),
        case("4 rows in 8 dimensions", random(4, 8, seed=2)),
        case("3 rows", tensor([3.0, 4.0], [1.0, 0.0], [0.0, -2.0])),
        case("rows of very different length", of_all_lengths(random(5, 3, seed=3))),
    ],
    mistakes=[
        *mistakes(*COSINE, "averaged over dimensions", "not squared"),
        Mistake("sign", "The sign is wrong.", "Uniformity is at most 0, and the lower the more evenly spread."),
        Mistake("sum", "This is the log of a sum.", "Take the mean over the pairs, then the logarithm."),
        Mistake("log missing", "The logarithm is missing.", "It is taken last, of the mean."),
        Mistake(
            "log first",
            "Logarithm and mean are exchanged: this is −2 times the mean squared distance.",
            "Take the mean of the exponentials, then its logarithm: near pairs weigh most.",
        ),
        Mistake(
            "itself counted",
            "Each row is paired with itself, too.",
            "Those pairs have distance 0 and say nothing: use the pairs i < j.",
        ),
        Mistake(
            "half with itself",
            "The diagonal is among the pairs.",
            "A row with itself has distance 0 and says nothing: start one above the diagonal.",
        ),
        Mistake("far is near", "The sign in the exponent is missing.", "exp(−t d²): near pairs count most."),
        Mistake("t is 1", "The exponent has no factor t.", "With t = 2 it is −2 times the squared distance."),
        Mistake("t is half", "The exponent is divided by t.", "With t = 2 it is −2 times the squared distance."),
    ],
)

EXERCISES = (ALIGNMENT, UNIFORMITY)
