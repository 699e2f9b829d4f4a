"""The exercise on the label-aware loss: SupCon with a weight for every class, below the line and in front."""

import torch
import torch.nn.functional as F
from torch import Tensor

from clt import losses
from clt.checks._common import COSINE, REDUCTION, log_share, mistakes, of_all_lengths, random, scaled, tensor, unit
from clt.checks._exercise import Mistake, case
from clt.checks._loss import Loss
from clt.checks.sup_con import LABELLED, masks, over_anchors, several_positives


def plain_label_aware(embeddings, labels, class_logits, *, temperature=0.3, wrong=frozenset()) -> Tensor:
    positive, other = masks(labels, wrong)
    logits = class_logits.detach() if "weights cut" in wrong else class_logits
    log_weights = F.log_softmax(logits, dim=0 if "weights over the batch" in wrong else 1)
    if "no softmax" in wrong:
        log_weights = logits
    below = log_weights[:, labels]  # row i, column k: log of i's weight for the class of k
    own = below.diagonal()[:, None]
    if "weights transposed" in wrong:
        below = below.T
    if "weight of the row" in wrong:
        below = own.expand_as(below)
    z = unit(embeddings, wrong)
    similarity = scaled(z @ z.T, temperature, wrong)
    if "weights missing below" in wrong or "weights missing" in wrong:
        below = torch.zeros_like(below)
    if "weights not exponentiated" in wrong:
        below = below.exp()
    if "raw logits" in wrong:  # a negative sum gives NaN, as it does to whoever writes it so
        below = (logits[:, labels] * similarity.exp()).masked_fill(~other, 0.0).sum(1, keepdim=True).log()
        values = logits[torch.arange(len(labels)), labels] * several_positives(similarity - below, positive, wrong)
        return over_anchors(values, positive, wrong)
    # The weight counts below the line alone: the share of a positive has it added there and not above.
    shares = log_share(similarity + below, other, positive, wrong) - below
    if "weight above" in wrong:
        shares = shares + below
    if "temperature after the softmax" in wrong:
        shares = shares / temperature
    values = several_positives(shares, positive, wrong)
    if "inside" in wrong:
        values = several_positives(shares + own, positive, wrong)
    elif not wrong & {"weight outside missing", "weights missing"}:
        values = values * own[:, 0].exp()
    return over_anchors(values, positive, wrong)


LABELS = torch.tensor([0, 1, 0, 2, 1, 0, 0])  # classes of four, two and one: a lonely anchor

LABEL_AWARE_LOSS = Loss(
    reference=losses.label_aware_loss,
    plain=plain_label_aware,
    cases=[
        case("7 rows of three classes, one of them alone", random(7, 4, seed=1), LABELS, 2 * random(7, 3, seed=2),
             temperature=0.3),
        case("6 rows, four classes", random(6, 8, seed=3), torch.tensor([3, 3, 0, 3, 0, 3]), random(6, 4, seed=4),
             temperature=1.5),
        case("4 rows", tensor([1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [-1.0, 0.5]), torch.tensor([0, 0, 1, 0]),
             tensor([1.0], [2.0], [-1.0], [0.0]) * tensor([1.0, -1.0]), temperature=0.8),
        case("positive logits", random(5, 4, seed=7), LABELS[:5], 0.5 + random(5, 3, seed=8).abs(), temperature=0.6),
        case("rows of very different length", of_all_lengths(random(7, 3, seed=5)), LABELS, random(7, 3, seed=6),
             temperature=0.4),
    ],
    extremes=[
        case("temperature 0.01, weights near 0", tensor([1.0, 0.0], [-1.0, 0.0], [1.0, 0.1], [0.1, 1.0]),
             torch.tensor([0, 0, 1, 1]), tensor([2.0, -2.0], [-150.0, 0.0], [1.0, 0.0], [0.0, 1.0]), temperature=0.01),
    ],
    mistakes=[
        *mistakes(*REDUCTION, "temperature missing", "temperature multiplied", "temperature after the softmax"),
        *mistakes(*COSINE, "log missing", "positive not below", "itself below", "itself is a positive", *LABELLED),
        *mistakes("positives summed", "positives pooled"),
        Mistake("weights missing", "The weights are missing: this is SupCon.", "The weighting network has its say."),
        Mistake(
            "weights missing below",
            "The weights are missing below the line.",
            "There row k counts with the anchor's weight for the class of k.",
        ),
        Mistake(
            "weight outside missing",
            "The weight in front of the logarithm is missing.",
            "Each anchor counts with its weight for its own class.",
        ),
        Mistake(
            "inside",
            "The weight of the anchor's own class stands inside the logarithm: the formula of the talk.",
            "In the authors' code, and here, it stands in front of the logarithm.",
        ),
        Mistake(
            "weight above",
            "The positive is weighted above the line, too.",
            "Above stands the plain exponential; the weights are below, and one in front of the logarithm.",
        ),
        Mistake(
            "weights transposed",
            "The matrix of weights is transposed: row k's opinion of the anchor's class.",
            "It is the anchor i that weighs: its weight for the class of k, w[i, y_k].",
        ),
        Mistake(
            "weight of the row",
            "Below the line every row has the anchor's weight for its own class.",
            "Row k counts with the anchor's weight for the class of k: w[i, y_k].",
        ),
        Mistake(
            "weights cut",
            "The value is right, but no gradient reaches the weighting network.",
            "It learns from this loss as well: no .detach() on the weights.",
        ),
        Mistake(
            "weights over the batch",
            "The softmax of the weights runs over the batch.",
            "Each row is a distribution over the classes: softmax along dim=1.",
        ),
        Mistake("raw logits", "The weights are raw logits.", "A softmax over the classes turns them into weights."),
        Mistake(
            "no softmax",
            "The logits are taken for logarithms of weights.",
            "Weights add up to 1 over the classes: it takes log_softmax to get their logarithms.",
        ),
        Mistake(
            "weights not exponentiated",
            "The weights are added to the similarities.",
            "They multiply the exponentials: what is added inside the exponent is their logarithm.",
        ),
    ],
)  # fmt: skip

EXERCISES = (LABEL_AWARE_LOSS,)
