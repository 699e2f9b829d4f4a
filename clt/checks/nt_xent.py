"""The exercises on NT-Xent: two views, 2N anchors, each finds its twin among all other rows."""

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
    reduced,
    tensor,
    unit,
)  # fmt: skip
from clt.checks._exercise import Mistake, case
from clt.checks._loss import Loss
from clt.checks.info_nce import OPPOSITE, plain_in_batch


def plain_nt_xent(view1: Tensor, view2: Tensor, *, temperature: float = 0.5, wrong=frozenset()) -> Tensor:
    if "one direction" in wrong or "both directions" in wrong:
        return plain_in_batch(view1, view2, temperature=temperature, wrong=wrong)
    n, views = len(view1), unit(torch.cat([view1, view2]), wrong)
    rows = torch.arange(2 * n, device=views.device)
    candidates = ~torch.eye(2 * n, dtype=torch.bool, device=views.device)
    target = rows.roll(1) if "wrong twin" in wrong else rows if "itself is the target" in wrong else rows.roll(n)
    if "itself is the target" in wrong:
        candidates = torch.ones_like(candidates)
    if "only the first view" in wrong:
        views, rows = views, rows[:n]
    values = one_positive(views @ views.T, candidates, target, temperature, wrong)
    return reduced(values[: len(rows)], wrong)


NT_XENT_LOSS = Loss(
    reference=losses.nt_xent_loss,
    plain=plain_nt_xent,
    cases=[
        case("5 pairs in 4 dimensions, temperature 0.2", *pairs(5, 4, seed=1), temperature=0.2),
        case("3 pairs in 8 dimensions, temperature 1.7", *pairs(3, 8, seed=3), temperature=1.7),
        case("2 pairs", tensor([1.0, 0.0], [0.0, 2.0]), tensor([1.0, 1.0], [-1.0, 1.0]), temperature=0.8),
        case("rows of very different length", *map(of_all_lengths, pairs(4, 3, seed=5)), temperature=0.4),
    ],
    extremes=[case("temperature 0.01, positives at cosine −1", *OPPOSITE, temperature=0.01)],
    mistakes=[
        *mistakes(*REDUCTION),
        Mistake(
            "twice",
            "The value is twice what it should be: the means of the two views are added.",
            "The loss is the mean over all 2N anchors (SimCLR's code adds the two, its paper does not).",
        ),
        *mistakes(*PAIRED, *COSINE, "itself below", "itself is 0"),
        Mistake(
            "one direction",
            "This is InfoNCE: only the first view asks, and only the second view is asked.",
            "All 2N rows are anchors, and each has 2N − 1 candidates.",
        ),
        Mistake(
            "both directions",
            "This is InfoNCE in both directions: views of the same kind never meet.",
            "The candidates of an anchor are all other rows of both views: 2N − 1 of them.",
        ),
        Mistake(
            "only the first view",
            "Only the rows of the first view are anchors.",
            "The mean runs over 2N anchors, those of both views.",
        ),
        Mistake(
            "wrong twin",
            "The target of each row is its neighbour in the batch, not its other view.",
            "With the views stacked, the twin of row i is row i + N, and of row i + N row i.",
        ),
        Mistake(
            "itself is the target",
            "Each row is told to find itself.",
            "With the views stacked, the twin of row i is row i + N, and of row i + N row i.",
        ),
    ],
)


def nt_xent_split(view1: Tensor, view2: Tensor, *, temperature: float = 0.5) -> tuple[Tensor, Tensor]:
    """Alignment and distribution, whose sum is temperature × NT-Xent."""
    return losses.nt_xent_terms(view1, view2, temperature=temperature)


def plain_split(view1: Tensor, view2: Tensor, *, temperature: float = 0.5, wrong=frozenset()) -> tuple[Tensor, Tensor]:
    n, z = len(view1), unit(torch.cat([view1, view2]), wrong)
    cosine = z @ z.T
    alignment = cosine.diagonal(n).mean()
    alignment = alignment if "alignment's sign" in wrong else -alignment
    if "alignment divided" in wrong:
        alignment = alignment / temperature
    if "distance" in wrong:
        alignment = 2 + 2 * alignment
    if "alignment summed" in wrong:
        alignment = 2 * alignment
    logits = cosine / (1.0 if "temperature missing" in wrong else temperature)
    if not wrong & {"itself below", "positive not below"}:
        logits = logits.masked_fill(torch.eye(2 * n, dtype=torch.bool, device=z.device), -torch.inf)
    if "positive not below" in wrong:
        own = torch.eye(n, dtype=torch.bool, device=z.device).repeat(2, 2)  # itself and its twin
        logits = logits.masked_fill(own, -torch.inf)
    below = logits.exp().sum(1).log() if "exp overflows" in wrong else logits.logsumexp(1)
    below = below[:n] if "only the first view" in wrong else below
    below = below.exp() if "log missing" in wrong else below
    distribution = below.mean() if "distribution not scaled" in wrong else temperature * below.mean()
    if "log of the mean" in wrong:
        distribution = temperature * below.logsumexp(0)
    return (distribution, alignment) if "exchanged" in wrong else (alignment, distribution)


NT_XENT_SPLIT = Loss(
    reference=nt_xent_split,
    plain=plain_split,
    cases=NT_XENT_LOSS.cases,
    extremes=NT_XENT_LOSS.extremes,
    mistakes=[
        Mistake("exchanged", "The two terms have changed places.", "First the alignment, then the distribution."),
        Mistake(
            "alignment's sign",
            "The alignment has the wrong sign: it rises as twins come closer.",
            "Both terms are to be made small: minus the mean cosine of the twins.",
        ),
        Mistake(
            "alignment divided",
            "The alignment is divided by the temperature.",
            "The sum is τ times the loss: the temperature of s = cos/τ cancels here.",
        ),
        Mistake(
            "distribution not scaled",
            "The distribution lacks its factor τ.",
            "The sum is τ times the loss, so that the log-sum-exp is multiplied by it.",
        ),
        Mistake("distance", "The alignment is a mean squared distance.", "In this split it is minus the mean cosine."),
        Mistake("alignment summed", "The alignment counts each pair twice.", "The mean of N pairs, or of 2N anchors."),
        Mistake("only the first view", "Only the first view's anchors are in the distribution.", "All 2N rows are."),
        Mistake(
            "log of the mean",
            "The logarithm is taken once, of the sum over all anchors.",
            "Each anchor has its own log-sum-exp; the mean comes last.",
        ),
        *mistakes("temperature missing", "log missing", "positive not below", "itself below", *COSINE),
    ],
)

EXERCISES = (NT_XENT_LOSS, NT_XENT_SPLIT)
