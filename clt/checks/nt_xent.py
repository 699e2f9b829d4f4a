"""The exercise on NT-Xent: two views, 2N anchors, each finds its twin among all other rows."""

import torch
from torch import Tensor

from clt import losses
from clt.checks._bank import (
    COSINE,
    REDUCTION,
    SOFTMAX,
    mistakes,
    of_all_lengths,
    one_positive,
    pairs,
    reduced,
    tensor,
    unit,
)  # fmt: skip
from clt.checks._call import case
from clt.checks._engine import Exercise, Mistake
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


NT_XENT_LOSS = Exercise(
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
        *mistakes(*SOFTMAX, *COSINE, "itself below", "itself is 0"),
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

EXERCISES = (NT_XENT_LOSS,)
