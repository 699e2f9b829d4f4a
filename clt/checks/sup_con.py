"""The exercises on losses that read labels: SupCon and soft nearest neighbours."""

import torch
import torch.nn.functional as F
from torch import Tensor

from clt import losses
from clt.checks._common import (
    COSINE,
    REDUCTION,
    SOFTMAX,
    log_share,
    mistakes,
    of_all_lengths,
    random,
    reduced,
    scaled,
    tensor,
    unit,
)  # fmt: skip
from clt.checks._exercise import Mistake, case
from clt.checks._loss import Loss


def masks(labels: Tensor, wrong: frozenset) -> tuple[Tensor, Tensor]:
    """Who is a positive of whom, and who is another row."""
    other = ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    same = labels[:, None] == labels
    return (same if "itself is a positive" in wrong else same & other), other


def several_positives(shares: Tensor, positive: Tensor, wrong: frozenset) -> Tensor:
    """``(N,)``: minus the mean of each row's log-shares over its positives; ``shares`` is (N, M)."""
    if "log missing" in wrong:
        shares = shares.exp()
    count = positive.sum(1)
    if "divided by N" in wrong:
        count = torch.full_like(count, len(count))
    if "mean inside the log" in wrong or "sum inside the log" in wrong:
        above = shares.masked_fill(~positive, -torch.inf).masked_fill(~positive.any(1, keepdim=True), 0.0)
        above = above.logsumexp(1)
        return -above if "sum inside the log" in wrong else count.clamp_min(1).log() - above
    total = -torch.where(positive, shares, 0.0).sum(1)
    if "positives summed" in wrong:
        return total
    return total / (count if "lonely is NaN" in wrong else count.clamp_min(1))


def over_anchors(values: Tensor, positive: Tensor, wrong: frozenset) -> Tensor:
    if "positives pooled" in wrong:
        return (values * positive.sum(1)).sum() / positive.sum()
    if "lonely is NaN" in wrong:
        return values.mean()
    return reduced(values, wrong, valid=positive.any(1))


def plain_sup_con(embeddings: Tensor, labels: Tensor, *, temperature: float = 0.1, wrong=frozenset()) -> Tensor:
    positive, other = masks(labels, wrong)
    z = unit(embeddings, wrong)
    shares = log_share(scaled(z @ z.T, temperature, wrong), other, positive, wrong)
    if "temperature after the softmax" in wrong:
        shares = shares / temperature
    values = several_positives(shares, positive, wrong)
    if "times the temperature" in wrong:
        values = values * temperature / 0.07
    return over_anchors(values, positive, wrong)


LABELLED = (
    "lonely counted",
    Mistake(
        "lonely is NaN",
        "Anchors without a positive give 0/0, which is NaN.",
        "Leave them out: divide by at least 1, and take the mean over the others.",
    ),
)
LABELS = torch.tensor([0, 1, 0, 2, 1, 0, 0])  # classes of four, two and one: a lonely anchor
SMALL = (tensor([1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [-1.0, 0.5]), torch.tensor([0, 0, 1, 0]))
EXTREME = (tensor([1.0, 0.0], [-1.0, 0.0], [1.0, 0.1], [0.1, 1.0]), torch.tensor([0, 0, 1, 1]))

SUP_CON_LOSS = Loss(
    reference=losses.sup_con_loss,
    plain=plain_sup_con,
    cases=[
        case("7 rows of three classes, one of them alone", random(7, 4, seed=1), LABELS, temperature=0.2),
        case("6 rows of two classes", random(6, 8, seed=2), torch.tensor([5, 5, 3, 5, 3, 5]), temperature=1.5),
        case("4 rows", *SMALL, temperature=0.8),
        case("one class only", random(4, 3, seed=4).abs(), torch.tensor([2, 2, 2, 2]), temperature=0.5),
        case("rows of very different length", of_all_lengths(random(7, 3, seed=3)), LABELS, temperature=0.3),
    ],
    extremes=[case("temperature 0.01, a positive at cosine −1", *EXTREME, temperature=0.01)],
    mistakes=[
        *mistakes(*REDUCTION, *SOFTMAX, *COSINE, "itself below", "itself is 0"),
        *mistakes("itself is a positive", *LABELLED, "positives summed", "positives pooled", "mean inside the log"),
        Mistake(
            "sum inside the log",
            "The sum over the positives stands inside the logarithm: these are soft nearest neighbours.",
            "Each positive gets its own logarithm; the mean is taken of those.",
        ),
        Mistake(
            "divided by N",
            "The sum over an anchor's positives is divided by the size of the batch.",
            "Divide by the number of its positives.",
        ),
        Mistake(
            "times the temperature",
            "The value is scaled by τ/0.07, as in the authors' code.",
            "The formula of the paper has no such factor.",
        ),
    ],
)


def plain_soft_nearest(embeddings: Tensor, labels: Tensor, *, temperature: float = 1.0, wrong=frozenset()) -> Tensor:
    positive, other = masks(labels, wrong)
    if "normalised" in wrong:
        embeddings = F.normalize(embeddings, dim=-1)
    difference = (embeddings[:, None] - embeddings).square()
    distance = difference.mean(-1) if "averaged over dimensions" in wrong else difference.sum(-1)
    if "not squared" in wrong:
        distance = torch.where(distance > 0, distance, 1.0).sqrt() * (distance > 0)
    if "dot product" in wrong:
        distance = -embeddings @ embeddings.T
    if "far is near" in wrong:
        distance = -distance
    shares = log_share(scaled(-distance, temperature, wrong), other, positive, wrong)
    if "epsilon" in wrong:
        above = torch.where(positive, (-distance / temperature).exp(), 0.0).sum(1)
        below = torch.where(other, (-distance / temperature).exp(), 0.0).sum(1)
        return reduced(-(1e-5 + above / (1e-5 + below)).log(), wrong)
    if not wrong & {"mean outside the log", "mean inside the log", "log missing"}:
        wrong = wrong | {"sum inside the log"}
    if "log missing" in wrong:
        values = -torch.where(positive, shares.exp(), 0.0).sum(1)
    else:
        values = several_positives(shares, positive, wrong)
    if "temperature after the softmax" in wrong:
        values = values / temperature
    return reduced(values, wrong, valid=positive.any(1))


SOFT_NEAREST_NEIGHBOR_LOSS = Loss(
    reference=losses.soft_nearest_neighbor_loss,
    plain=plain_soft_nearest,
    cases=[
        case("7 rows of three classes, one of them alone", random(7, 3, seed=1), LABELS, temperature=2.0),
        case("6 rows of two classes", 0.5 * random(6, 5, seed=2), torch.tensor([5, 5, 3, 5, 3, 5]), temperature=0.7),
        case("4 rows", *SMALL, temperature=0.8),
        case("long rows", 3 * random(5, 3, seed=4), torch.tensor([1, 1, 1, 2, 2]), temperature=5.0),
    ],
    extremes=[case("temperature 0.01, positives far away", *EXTREME, temperature=0.01)],
    mistakes=[
        *mistakes(*REDUCTION, "temperature missing", "temperature multiplied", "temperature after the softmax"),
        *mistakes("log missing", "positive not below", "itself below", "over columns", "itself is a positive"),
        *mistakes("lonely counted", "not squared", "averaged over dimensions", "normalised", "mean below"),
        Mistake(
            "mean outside the log",
            "Each positive gets its own logarithm: this is SupCon's form.",
            "Add the exponentials of the positives first; the logarithm is taken of the sum.",
        ),
        Mistake(
            "mean inside the log",
            "Above the line stands the mean over the positives.",
            "It is their sum: the probability of picking any of them.",
        ),
        Mistake(
            "dot product",
            "These are dot products, not distances.",
            "The exponent is minus the squared Euclidean distance over T.",
        ),
        Mistake(
            "far is near",
            "The sign in the exponent is missing: far rows count as near.",
            "exp(−distance / T): 1 for a row at the same place, 0 for one far away.",
        ),
        Mistake(
            "epsilon",
            "There is an epsilon above and below the line, and lonely anchors cost −log of it.",
            "Leave out anchors without a positive, and work with logsumexp: no epsilon is needed.",
        ),
    ],
)

EXERCISES = (SUP_CON_LOSS, SOFT_NEAREST_NEIGHBOR_LOSS)
