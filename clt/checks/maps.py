"""Relational embedding and maps: the right concept, a row of given perplexity, a gradient, a map that misleads."""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from clt import losses
from clt.checks import labs
from clt.checks._algorithm import Algorithm, Derivation, returned
from clt.checks._common import mistakes, random, tensor
from clt.checks._compare import numbers
from clt.checks._exercise import Mistake, Unexpected, case
from clt.checks._experiment import Experiment
from clt.checks._loss import Loss
from clt.results import number

# ---- where a mapped concept lands


def relational_loss(mapped: Tensor, concepts: Tensor, target: Tensor) -> Tensor:
    """``(N,)``: minus the log-share of the right concept, by squared distance from where each question landed."""
    return losses.relational_loss(mapped, concepts, target, reduction="none")


def plain_relational(mapped: Tensor, concepts: Tensor, target: Tensor, *, wrong=frozenset()) -> Tensor:
    m, v = mapped, concepts
    if "normalised" in wrong:
        m, v = F.normalize(m, dim=1), F.normalize(v, dim=1)
    squared = (m[:, None] - v).square()
    distance = squared.mean(-1) if "averaged over dimensions" in wrong else squared.sum(-1)
    if "not squared" in wrong:
        distance = torch.where(distance > 0, distance, 1.0).sqrt() * (distance > 0)
    logits = m @ v.T if "dot product" in wrong else distance if "sign of the distance" in wrong else -distance
    logits = logits / 2 if "half" in wrong else logits
    if "exp overflows" in wrong:  # the formula as it stands on paper
        share = logits.exp() / logits.exp().sum(1, keepdim=True)
        return -share.gather(1, target[:, None])[:, 0].log()
    if "push missing" in wrong:
        return -logits.gather(1, target[:, None])[:, 0]
    if "positive not below" in wrong:
        below = logits.scatter(1, target[:, None], -torch.inf).logsumexp(1)
        return below - logits.gather(1, target[:, None])[:, 0]
    axis = 0 if "over columns" in wrong else 1
    value = -logits.log_softmax(axis).gather(1, target[:, None])[:, 0]
    value = -(-value).exp() if "log missing" in wrong else -value if "sign" in wrong else value
    return value.mean() if "mean" in wrong else value


RELATIONAL_LOSS = Loss(
    reference=relational_loss,
    plain=plain_relational,
    cases=[
        case("7 questions about 5 concepts in 3 dimensions", 0.8 * random(7, 3, seed=1), random(5, 3, seed=2),
             torch.tensor([0, 4, 2, 2, 1, 3, 0])),
        case("3 questions about 6 concepts in 4 dimensions", random(3, 4, seed=3), 0.7 * random(6, 4, seed=4),
             torch.tensor([5, 0, 3])),
        case("2 questions about 3 concepts", tensor([1.0, 0.0], [0.5, 2.0]),
             tensor([1.0, 1.0], [0.0, -1.0], [2.0, 0.5]), torch.tensor([2, 0])),
    ],
    extremes=[
        case("the right concept is far away", tensor([0.0, 0.0], [30.0, 0.0]), tensor([30.0, 0.0], [0.0, 0.1]),
             torch.tensor([0, 1])),
    ],
    mistakes=[
        Mistake("mean", "This is the mean over the questions.",
                "Return one number a question: the lesson weights them before it takes the mean."),
        Mistake("push missing", "This is the squared distance alone: it pulls and does not push.",
                "The right concept has to be nearer than the others: a softmax over all of them."),
        *mistakes("sign", "log missing", "not squared", "averaged over dimensions", "normalised", "positive not below"),
        Mistake("dot product", "These are dot products, not distances.",
                "The logit is minus the squared Euclidean distance."),
        Mistake("sign of the distance", "The nearest concept gets the smallest share.",
                "A near concept is a likely answer: the logit is *minus* the squared distance."),
        Mistake("half", "The squared distance is divided by 2, as in a Gaussian of variance 1.",
                "Here the exponent is the squared distance itself."),
        Mistake("over columns", "The softmax runs over the questions.",
                "Each question chooses among the concepts: along its row."),
    ],
    batch_order_free=False,
)  # fmt: skip

# ---- a row of neighbour probabilities


def row_at_perplexity(squared: Tensor, perplexity: float) -> Tensor:
    """``(M,)``: probabilities in proportion to e^(−β d²), β such that their entropy is log perplexity."""
    return plain_row(squared, perplexity)


def plain_row(squared: Tensor, perplexity: float, *, wrong=frozenset()) -> Tensor:
    d = squared.double()
    d = d.square() if "squared again" in wrong else d.sqrt() if "root" in wrong else d
    goal = perplexity if "no logarithm" in wrong else math.log(perplexity)
    goal = math.log2(perplexity) if "bits asked, nats measured" in wrong else goal
    low, high = 0.0, 1.0 if "β at most 1" in wrong else math.inf
    beta = 0.5 if "β at most 1" in wrong else 1.0
    for _ in range(8 if "stopped early" in wrong else 200):
        log_p = (-beta * d).log_softmax(0)
        entropy = -(log_p.exp() * log_p).sum().item()
        if "base 2" in wrong:
            entropy = entropy / math.log(2)
        if (entropy > goal) != ("wrong half" in wrong):
            low = beta
        else:
            high = beta
        beta = min(2 * beta, 1e12) if high == math.inf else (low + high) / 2
    p = (-beta * d).softmax(0)
    if "β itself" in wrong:
        return torch.tensor([beta], dtype=d.dtype)
    if "not normalised" in wrong:
        return (-beta * d).exp()
    return log_p if "logarithms" in wrong else p


def look_at_row(answer, squared: Tensor, perplexity: float) -> dict[str, object]:
    found = numbers(returned(answer(squared, perplexity)))
    if found is None or not found.is_floating_point() or found.isnan().any():
        raise Unexpected("Expected a tensor of probabilities, one for each distance.")
    found = found.detach().double()
    if found.shape != squared.shape:
        return {"a probability for each distance": f"The shape is {tuple(found.shape)}", "the probabilities": found}
    odd = "" if (found >= 0).all() and abs(found.sum() - 1) < 1e-3 else f"They sum to {number(found.sum())}"
    return {"a probability for each distance": odd, "the probabilities": found}


ROW_AT_PERPLEXITY = Algorithm(
    reference=row_at_perplexity,
    plain=plain_row,
    observe=look_at_row,
    cases=[
        case("five distances, perplexity 2", tensor(0.5, 1.0, 1.5, 3.0, 4.0), 2.0),
        case("nine distances, perplexity 4", random(9, seed=1).square() + 0.1, 4.0),
        case("distances in the thousands, perplexity 5", 1000 + 900 * random(12, seed=2).tanh(), 5.0),
        case("tiny distances, perplexity 3", 1e-4 * (1 + random(8, seed=3).square()), 3.0),
        case("distances that ask for a β below 1, perplexity 6", 10 + random(10, seed=4).square(), 6.0),
    ],
    mistakes=[
        Mistake("β itself", "This is the precision, not the row.", "Return the probabilities that it gives."),
        Mistake("logarithms", "These are the logarithms of the probabilities.", "Return the probabilities."),
        Mistake("not normalised", "These numbers do not sum to 1.", "Divide by their sum: a softmax does that."),
        Mistake("squared again", "The distances are squared once more.", "They come squared already."),
        Mistake("root", "The exponent has the distance, not its square.", "The distances come squared: take no root."),
        Mistake("no logarithm", "The entropy is compared with the perplexity itself.",
                "Perplexity is e to the entropy: compare with its logarithm."),
        Mistake("bits asked, nats measured", "The entropy is in nats and the goal in bits.",
                "Take both logarithms to one base."),
        Mistake("base 2", "The entropy is in bits and the goal in nats.", "Take both logarithms to one base."),
        Mistake("wrong half", "The search goes the wrong way.",
                "A row that is too even needs a narrower Gaussian: a larger β."),
        Mistake("β at most 1", "The search never looks above β = 1.",
                "Double β until the entropy is too low; only then is there a bracket to halve."),
        Mistake("stopped early", "The search stops before it has arrived.",
                "Halve until the entropy is right to many digits; fifty steps cost nothing."),
    ],
    tolerance=1e-3,
)  # fmt: skip

# ---- the gradient of symmetric SNE


def symmetric_sne_gradient(joint: Tensor, y: Tensor) -> Tensor:
    """``(N, 2)``: 4 Σ_j (p_ij − q_ij)(y_i − y_j)."""
    return plain_gradient(joint, y)


def plain_gradient(joint: Tensor, y: Tensor, *, wrong=frozenset()) -> Tensor:
    difference = y[:, None] - y
    squared = difference.square().sum(-1)
    weight = 1 / (1 + squared) if "heavy tail" in wrong else (-squared / (2 if "variance 1" in wrong else 1)).exp()
    if "itself counted" not in wrong:
        weight = weight - torch.diag(weight.diagonal())
    q = weight / weight.sum(1, keepdim=True) if "row by row" in wrong else weight / weight.sum()
    force = joint if "repulsion missing" in wrong else -q if "attraction missing" in wrong else joint - q
    force = force * weight if "heavy tail" in wrong else force
    factor = 2 if "one end" in wrong else 1 if "factor missing" in wrong else 4
    gradient = factor * (force[..., None] * difference).sum(1)
    return -gradient if "sign" in wrong else gradient


def _joint(n: int, seed: int) -> Tensor:
    p = random(n, n, seed=seed).square().fill_diagonal_(0)
    return (p + p.T) / (p + p.T).sum()


SYMMETRIC_SNE_GRADIENT = Derivation(
    reference=symmetric_sne_gradient,
    plain=plain_gradient,
    tolerance=1e-5,
    cases=[
        case("3 points", _joint(3, seed=5), tensor([0.0, 0.0], [1.0, 0.0], [0.0, 1.0])),
        case("6 points", _joint(6, seed=1), random(6, 2, seed=2)),
        case("5 points on a line", _joint(5, seed=3), 0.5 * random(5, 1, seed=4)),
    ],
    mistakes=[
        Mistake("sign", "The sign is wrong: a step downhill would push neighbours apart.",
                "Where p is larger than q the two points should approach: the gradient points away from the other."),
        Mistake("one end", "The factor is 2: each pair is seen from one end only.",
                "y_i occurs in d_ij and in d_ji, and the square brings another 2."),
        Mistake("factor missing", "The factor 4 is missing.", "Two ends of each pair, times the 2 of the square."),
        Mistake("heavy tail", "This is the gradient of t-SNE.",
                "On the map of symmetric SNE stands a Gaussian: q in proportion to exp(−d²), and no factor w."),
        Mistake("row by row", "q is normalised in each row: those are SNE's conditional probabilities.",
                "Here all pairs together sum to 1."),
        Mistake("itself counted", "A point is its own neighbour: exp(0) = 1 is in the sum.",
                "No point picks itself: q_ii is 0."),
        Mistake("variance 1", "The Gaussian on the map has variance 1.", "The exponent is −d², not −d²/2."),
        Mistake("repulsion missing", "Only p is there: everything is pulled together.",
                "The logarithm of the sum has a gradient as well: −q."),
        Mistake("attraction missing", "Only q is there: everything is pushed apart.", "−Σ p log q has p in it."),
    ],
)  # fmt: skip

# ---- a map that misleads


def judge_distances(answer) -> Iterator[tuple[str, ...]]:
    cloud = _cloud(answer)
    what = "it is (points, labels): 30 to 150 points, three labels, each at least 10 times"
    if cloud is None:
        yield what, "Hand in a floating-point tensor (N, D) and N integers of three kinds, N from 30 to 150."
        return
    points, labels = cloud
    yield what, ""
    centres = torch.stack([points[labels == label].mean(dim=0) for label in labels.unique()])
    nearest = labels.unique()[torch.cdist(points, centres).argmin(dim=1)]
    right = (nearest == labels).double().mean().item()
    says = f"only {number(100 * right, digits=2)} % of the points are nearest to the centre of their own class"
    yield "the classes stand apart in the data", *((f"No: {says}.", "mixed") if right < 0.95 else ("",))
    data, shown = labs.map_distances(points, labels)
    says = f"the largest distance between two centres is {number(data)} times the smallest"
    yield "their distances differ fivefold in the data", *((f"In your data {says}.", "even") if data < 5 else ("",))
    says = f"On the map the largest distance is {number(shown)} times the smallest, in the data {number(data)} times"
    yield "on the map they differ less than twofold", *((f"{says}.", "truthful") if shown > 2 else ("",))


def _cloud(answer) -> tuple[Tensor, Tensor] | None:
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        return None
    points, labels = map(numbers, answer)
    if points is None or labels is None or points.ndim != 2 or labels.shape != points.shape[:1]:
        return None
    points, labels = points.detach().cpu().double(), labels.detach().cpu()
    if not 30 <= len(points) <= 150 or not points.shape[1] or not points.isfinite().all() or points.abs().max() > 1e6:
        return None
    counts = labels.unique(return_counts=True)[1]
    return (points, labels) if len(counts) == 3 and counts.min() >= 10 else None


def _three(n: int, *places: float) -> tuple[Tensor, Tensor]:
    """Three clouds of n points along a line."""
    points = random(3, n, 5, seed=6)
    points[..., 0] += tensor(*places)[:, None]
    return points.flatten(0, 1), torch.arange(3).repeat_interleave(n)


FALSE_DISTANCES = Experiment(
    name="false_distances",
    reference=_three(45, 0.0, 12.0, 90.0),
    judge=judge_distances,
    mistakes=[
        Mistake("mixed", "Two of your classes lie in one another.",
                "Move their centres apart, by several times the width of a class.", _three(40, 0.0, 0.5, 60.0)),
        Mistake("even", "The distances hardly differ in your data, so the map has nothing to hide.",
                "Let one class be at least five times as far from the others as these are from each other.",
                _three(40, 0.0, 12.0, 30.0)),
        Mistake("truthful", "The map shows which two classes are close.",
                "What has a point no room to see? Compare the size of a class with the perplexity, 15 neighbours.",
                _three(12, 0.0, 12.0, 90.0)),
    ],
)  # fmt: skip

EXERCISES = (RELATIONAL_LOSS, ROW_AT_PERPLEXITY, SYMMETRIC_SNE_GRADIENT, FALSE_DISTANCES)
