"""The exercises of the lessons on InfoNCE and SimCSE: a matrix of similarities, and a softmax along its rows."""

import torch
import torch.nn.functional as F
from torch import Tensor

from clt import losses, similarity
from clt.checks._common import (
    COSINE,
    PAIRED,
    REDUCTION,
    mistakes,
    of_all_lengths,
    one_positive,
    pairs,
    random,
    reduced,
    tensor,
    unit,
)  # fmt: skip
from clt.checks._exercise import Mistake, case
from clt.checks._loss import Loss


def similarity_matrix(x: Tensor, y: Tensor) -> Tensor:
    """``(N, M)``: the cosine of every row of ``x`` with every row of ``y``."""
    return similarity.cosine_similarity(x, y)


def plain_matrix(x: Tensor, y: Tensor, *, wrong=frozenset()) -> Tensor:
    if "row by row" in wrong:
        return F.cosine_similarity(x[: len(y)], y[: len(x)])
    if "distances" in wrong:
        return (x[:, None] - y).square().sum(-1)
    if "norm of the whole" in wrong:
        x, y = x / x.norm(), y / y.norm()
    elif "divided by squares" in wrong:
        x, y = x / x.square().sum(1, keepdim=True), y / y.square().sum(1, keepdim=True)
    else:
        x, y = unit(x, wrong), y if "only one normalised" in wrong else unit(y, wrong)
    cosine = x @ y.T
    if "distance" in wrong:
        cosine = 1 - cosine
    return cosine.T if "transposed" in wrong else cosine


SIMILARITY_MATRIX = Loss(
    reference=similarity_matrix,
    plain=plain_matrix,
    cases=[
        case("4 rows against 6", random(4, 3, seed=1), random(6, 3, seed=2)),
        case("5 rows against 5", random(5, 8, seed=3), random(5, 8, seed=4)),
        case("two rows against one", tensor([3.0, 4.0], [1.0, 0.0]), tensor([0.0, 2.0])),
        case("rows of very different length", *(of_all_lengths(random(n, 4, seed=n)) for n in (5, 3))),
    ],
    extremes=[case("rows of length 1e-4 and 1e4", tensor([3e-5, 4e-5], [0.0, 1e-4]), tensor([6e3, 8e3]))],
    mistakes=[
        *mistakes(*COSINE),
        Mistake("only one normalised", "Only the rows of the first matrix are normalised.", "The cosine needs both."),
        Mistake(
            "norm of the whole",
            "The matrix is divided by its norm as a whole.",
            "Each row gets length 1 by its own norm: a sum along dim=-1, kept as a column.",
        ),
        Mistake(
            "divided by squares",
            "The rows are divided by their squared length.",
            "A root is missing: the norm is the root of the sum of squares.",
        ),
        Mistake(
            "transposed",
            "The matrix is transposed.",
            "Row i belongs to row i of the first argument, column j to row j of the second.",
        ),
        Mistake(
            "row by row",
            "This compares row i with row i only.",
            "Every row of x meets every row of y: the result is N × M.",
        ),
        Mistake("distance", "This is one minus the cosine.", "A similarity is large where two rows are alike."),
        Mistake("distances", "These are squared distances.", "The cosine is a dot product of rows of length 1."),
    ],
    batch_order_free=False,
)


def everyone(n: int, m: int, device) -> Tensor:
    return torch.ones(n, m, dtype=torch.bool, device=device)


def plain_in_batch(query, positive, *, temperature=0.07, wrong=frozenset()) -> Tensor:
    """InfoNCE with the other rows' positives as negatives; with "both views" in ``wrong`` NT-Xent's candidates."""
    q, k = unit(query, wrong), unit(positive, wrong)
    rows = torch.arange(len(q), device=q.device)
    if "distances" in wrong:
        score = -(q[:, None] - k).square().sum(-1)
    elif "anchors below" in wrong:
        score = torch.cat([q @ k.T, q @ q.T], dim=1)
    elif "positives among themselves" in wrong:
        score = k @ k.T
    else:
        score = q @ k.T
    candidates = everyone(*score.shape, q.device)
    if "anchors below" in wrong:
        candidates[:, len(q) :].fill_diagonal_(False)
    if "always the first" in wrong:
        rows = torch.zeros_like(rows)
    value = reduced(one_positive(score, candidates, rows, temperature, wrong), wrong)
    if "both directions" in wrong:
        value = (value + reduced(one_positive(score.T, candidates, rows, temperature, wrong), wrong)) / 2
    return value


IN_BATCH = mistakes(
    *REDUCTION,
    "twice",
    *PAIRED,
    *COSINE,
    "over columns",
    "both directions",
    Mistake(
        "anchors below",
        "The other anchors are below the line, too.",
        "Here an anchor chooses among the positives only: N candidates, not 2N − 1.",
    ),
    Mistake(
        "positives among themselves",
        "The positives are compared with themselves.",
        "Rows are the anchors, columns the positives.",
    ),
    Mistake(
        "always the first",
        "Each row is told that candidate 0 is the right one.",
        "Row i belongs to column i: the targets are 0, 1, …, N − 1.",
    ),
    Mistake(
        "distances",
        "These are minus squared distances, not cosines.",
        "On the sphere ‖x − y‖² = 2 − 2 cos: twice as sharp as asked for.",
    ),
)
OPPOSITE = (tensor([1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]), tensor([-1.0, 0.0], [1.0, 0.0], [0.1, 1.0]))


def in_batch_cases(low: float, high: float) -> list:
    return [
        case(f"6 pairs in 4 dimensions, temperature {low}", *pairs(6, 4, seed=1), temperature=low),
        case(f"3 pairs in 8 dimensions, temperature {high}", *pairs(3, 8, seed=3), temperature=high),
        case("2 pairs", tensor([1.0, 0.0], [0.0, 2.0]), tensor([1.0, 1.0], [-1.0, 1.0]), temperature=0.8),
        case("rows of very different length", *map(of_all_lengths, pairs(5, 3, seed=5)), temperature=0.3),
        case("no negative number", *(x.abs() for x in pairs(4, 3, seed=7)), temperature=0.5),
    ]


INFO_NCE_LOSS = Loss(
    reference=losses.info_nce_loss,
    plain=plain_in_batch,
    cases=in_batch_cases(0.2, 1.7),
    extremes=[case("temperature 0.01, positives at cosine −1", *OPPOSITE, temperature=0.01)],
    mistakes=IN_BATCH,
)

SIMCSE_LOSS = Loss(
    reference=losses.simcse_loss,
    plain=plain_in_batch,
    cases=in_batch_cases(0.15, 0.6),
    extremes=[case("temperature 0.01, positives at cosine −1", *OPPOSITE, temperature=0.01)],
    mistakes=IN_BATCH,
)


def supervised_simcse_loss(anchor: Tensor, positive: Tensor, hard_negative: Tensor, *, temperature: float = 0.05):
    """SimCSE with contradictions: the batch's hard negatives are candidates as well."""
    return losses.simcse_loss(anchor, positive, hard_negative, temperature=temperature)


def plain_supervised(anchor, positive, hard_negative, *, temperature=0.05, wrong=frozenset()) -> Tensor:
    if "hard negatives ignored" in wrong:
        return plain_in_batch(anchor, positive, temperature=temperature, wrong=wrong)
    a, p, n = (unit(x, wrong) for x in (anchor, positive, hard_negative))
    against = (p if "hard negatives of the positives" in wrong else a) @ n.T
    if "temperature of the hard negatives missing" in wrong:
        against = against * temperature  # divided again below
    score, rows = torch.cat([a @ p.T, against], dim=1), torch.arange(len(a), device=a.device)
    candidates = everyone(*score.shape, a.device)
    if "own hard negative only" in wrong:
        candidates[:, len(a) :] = torch.eye(len(a), dtype=torch.bool, device=a.device)
    if "own hard negative missing" in wrong:
        candidates[:, len(a) :].fill_diagonal_(False)
    if "hard negatives only" in wrong:
        candidates[:, : len(a)] = torch.eye(len(a), dtype=torch.bool, device=a.device)
    if "target is the hard negative" in wrong:
        rows = rows + len(a)
    return reduced(one_positive(score, candidates, rows, temperature, wrong), wrong)


def with_contradictions(n: int, d: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    anchor, positive = pairs(n, d, seed)
    return anchor, positive, 0.5 * anchor + random(n, d, seed=seed + 7)


SUPERVISED_SIMCSE_LOSS = Loss(
    reference=supervised_simcse_loss,
    plain=plain_supervised,
    cases=[
        case("6 triplets in 4 dimensions, temperature 0.15", *with_contradictions(6, 4, seed=1), temperature=0.15),
        case("3 triplets in 8 dimensions, temperature 0.6", *with_contradictions(3, 8, seed=3), temperature=0.6),
        case("2 triplets", tensor([1.0, 0.0], [0.0, 2.0]), tensor([1.0, 1.0], [-1.0, 1.0]),
             tensor([0.0, 1.0], [1.0, -1.0]), temperature=0.8),
        case("rows of very different length", *map(of_all_lengths, with_contradictions(5, 3, seed=5)), temperature=0.3),
    ],
    extremes=[case("temperature 0.01, positives at cosine −1", *OPPOSITE, OPPOSITE[0], temperature=0.01)],
    mistakes=[
        *mistakes(*REDUCTION, *PAIRED, *COSINE),
        Mistake(
            "hard negatives ignored",
            "The hard negatives are not used.",
            "They are N more candidates: the row of similarities is 2N long.",
        ),
        Mistake(
            "temperature of the hard negatives missing",
            "The similarities with the hard negatives are not divided by the temperature.",
            "They stand beside those with the positives, in one row of 2N scores on one scale.",
        ),
        Mistake(
            "hard negatives of the positives",
            "The hard negatives are compared with the positives.",
            "All comparisons start from the anchor, which chooses among positives and hard negatives.",
        ),
        Mistake(
            "own hard negative only",
            "Each anchor meets its own hard negative only.",
            "The hard negatives of all other anchors are candidates, too.",
        ),
        Mistake(
            "own hard negative missing",
            "Each anchor's own hard negative is left out.",
            "It is the most useful candidate of all: the sentence that says the opposite.",
        ),
        Mistake(
            "hard negatives only",
            "The other anchors' positives are missing below the line.",
            "Both blocks count: all positives and all hard negatives.",
        ),
        Mistake(
            "target is the hard negative",
            "The hard negative is taken for the positive.",
            "The loss must fall when the anchor comes closer to its positive.",
        ),
    ],
)  # fmt: skip

EXERCISES = (SIMILARITY_MATRIX, INFO_NCE_LOSS, SIMCSE_LOSS, SUPERVISED_SIMCSE_LOSS)
