"""Transfer: pairs from few labels, SetFit's loss over a batch, the phases of chain-thaw, labels saved."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from clt.checks._algorithm import Algorithm, Derivation, returned
from clt.checks._common import COSINE, mistakes, of_all_lengths, random, tensor, unit
from clt.checks._compare import Counts, numbers
from clt.checks._exercise import Mistake, Unexpected, case
from clt.checks._loss import Loss

# ---- how rare is a pair of one class?


def positive_share(classes: int, per_class: int) -> float:
    """The share of pairs of two different texts that are of one class: (n − 1) / (Cn − 1)."""
    return (per_class - 1) / (classes * per_class - 1)


def plain_share(classes, per_class, *, wrong=frozenset()):
    c, n = classes, per_class
    for name, value in {
        "with itself": 1 / c,
        "itself above": n / (c * n - 1),
        "itself below": (n - 1) / (c * n),
        "one class": (n - 1) / (c * n - 1) / c,
        "ratio": (n - 1) / (c * n - n),
        "different": (c * n - n) / (c * n - 1),
        "number": c * n * (n - 1) / 2,
    }.items():
        if name in wrong:
            return value
    return (n - 1) / (c * n - 1)


POSITIVE_SHARE = Derivation(
    reference=positive_share,
    plain=plain_share,
    cases=[
        case("6 classes of 8 texts", 6, 8),
        case("77 classes of 10 texts", 77, 10),
        case("2 classes of 3 texts", 2, 3),
        case("3 classes of 2 texts", 3, 2),
    ],
    mistakes=[
        Mistake("with itself", "This is 1/C: a text may be its own partner.",
                "The second text is another one: neither above nor below may the first be counted."),
        Mistake("itself above", "Above the line a text is still its own partner.",
                "Besides it, its class has n − 1 texts."),
        Mistake("itself below", "Below the line the text itself is still counted.",
                "Besides it, there are Cn − 1 texts."),
        Mistake("one class", "This is the share of pairs of one given class.", "The pair may be of any class."),
        Mistake("ratio", "These are the equal pairs for each different one.",
                "Asked is their share of all pairs: equal and different ones together stand below."),
        Mistake("different", "This is the share of pairs of two classes.", "Asked is the share of the others."),
        Mistake("number", "This is how many pairs of one class there are.", "Divide by the number of all pairs."),
    ],
)  # fmt: skip

# ---- SetFit's pairs


def label_pairs(labels: Tensor, repeats: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """For each text ``repeats`` partners of its class and as many of another: ``(P, 2)`` rows, ``(P,)`` whether equal.

    Partners are drawn with equal chances among all that qualify; a text is never its own.
    """
    return plain_label_pairs(labels, repeats, generator)


def plain_label_pairs(labels, repeats, generator, *, wrong=frozenset()):
    if "always the same seed" in wrong or "generator ignored" in wrong:
        generator = torch.Generator().manual_seed(0) if "always the same seed" in wrong else None
    same, n = (labels[:, None] == labels).double(), len(labels)
    own = torch.eye(n, dtype=torch.double)
    fellows = same if "itself" in wrong else same - own
    strangers = 1 - own if "anybody" in wrong else 1 - same
    if "class first" in wrong:
        strangers = strangers / same.sum(1)
    tables = [fellows] if "positives only" in wrong else [fellows, strangers]
    if "always the first" in wrong:
        tables = [F.one_hot(table.argmax(1), n).double() for table in tables]
    times = 1 if "once" in wrong else repeats
    drawn = [torch.multinomial(table, times, replacement=True, generator=generator) for table in tables]
    first = torch.arange(n).repeat_interleave(times * len(tables))
    partners = torch.cat(drawn, dim=1).flatten()
    marks = same[first, partners]
    return torch.stack([first, partners], dim=1), 1 - marks if "exchanged" in wrong else marks


def paired(answer, labels: Tensor, repeats: int, draws: int = 20) -> dict[str, object]:
    """What ``draws`` calls give, each with a generator of its own."""
    itself, wrong, repeated, partners, left, counts, y = "", "", "", [], [], [], labels.tolist()
    for seed in range(draws):
        pairs, same = _two(returned(answer(labels, repeats, torch.Generator().manual_seed(seed))))
        if seed < 3:
            again, _ = _two(answer(labels, repeats, torch.Generator().manual_seed(seed)))
            if again.tolist() != pairs.tolist():
                repeated = "Two generators with one seed give different pairs"
        rows = [tuple(int(i) for i in row) for row in pairs.tolist()]
        if any(not 0 <= i < len(y) for row in rows for i in row):
            raise Unexpected(f"The pairs are rows of two numbers from 0 to {len(y) - 1}.")
        for (i, j), flag in zip(rows, same.tolist(), strict=True):
            if i == j:
                itself = f"text {i} is paired with itself"
            if bool(flag) != (y[i] == y[j]):
                wrong = f"the pair ({i}, {j}) is marked {flag:g}, and its labels are {y[i]} and {y[j]}"
        left.append(sorted(i for i, _ in rows))
        counts.append([int(sum(same)), len(rows)])
        partners += rows
    return {
        "the same generator gives the same pairs": repeated,
        "no text is paired with itself": itself,
        "1 where the labels are equal, else 0": wrong,
        "how many equal pairs, and how many in all": counts[0],
        "how often each text is the first of a pair": left[0],
        "who is paired with whom": Counts(partners),
    }


def _two(found) -> tuple[Tensor, Tensor]:
    try:
        pairs, same = found
        pairs, same = numbers(pairs), numbers(same)
        fits = pairs.ndim == 2 and pairs.shape[1] == 2 and same.shape == (len(pairs),)
    except (TypeError, ValueError, AttributeError) as error:
        raise Unexpected("Two tensors were expected: pairs (P, 2), and for each 1 or 0, (P,).") from error
    if not fits:
        raise Unexpected(f"Expected pairs (P, 2) and (P,), got {tuple(pairs.shape)} and {tuple(same.shape)}.")
    return pairs, same


LABEL_PAIRS = Algorithm(
    reference=label_pairs,
    plain=plain_label_pairs,
    observe=paired,
    cases=[
        case("labels 0, 0, 1, 1, 2, 2, 2, 2, 2, 2, twenty partners of each kind",
             torch.tensor([0, 0, 1, 1, 2, 2, 2, 2, 2, 2]), 20),
        case("labels 5, 3, 5, 3, 5, three partners of each kind", torch.tensor([5, 3, 5, 3, 5]), 3),
    ],
    mistakes=[
        Mistake("itself", "A text can be paired with itself.",
                "Such a pair has a cosine of 1 already and teaches nothing: leave the text out of its own class."),
        Mistake("anybody", "The partner from another class is drawn from all texts.",
                "Draw it among those with another label."),
        Mistake("exchanged", "The marks are exchanged.", "1 says that both texts are of one class."),
        Mistake("positives only", "There are only pairs of one class.",
                "Without pairs to push apart all vectors may become equal: the loss is then 0."),
        Mistake("once", "Each text gets one partner of each kind.", "`repeats` of each are asked for."),
        Mistake("always the first", "Each text gets the same partner every time, the first that qualifies.",
                "Draw it, with equal chances."),
        Mistake("class first", "A class is drawn first, so that texts of small classes come too often.",
                "Every text of another class has the same chance."),
        Mistake("generator ignored", "The generator is not used: the pairs cannot be repeated.",
                "Hand it to every random function."),
        Mistake("always the same seed", "A generator of its own is made inside: every call gives the same pairs.",
                "Use the one that is handed in."),
    ],
)  # fmt: skip

# ---- SetFit's loss, over all pairs of a batch


def all_pairs_loss(embeddings: Tensor, labels: Tensor) -> Tensor:
    r"""Half the mean of (1 − cos)² over pairs of one label, plus half the mean of cos² over the other pairs.

    Args:
        embeddings: ``(N, D)``, normalised here.
        labels: ``(N,)`` integers, with at least one pair of each kind.
    """
    z = F.normalize(embeddings, dim=1)
    cosine, same = z @ z.T, labels[:, None] == labels
    pair = torch.ones_like(same).triu(1)
    return (1 - cosine[same & pair]).square().mean() / 2 + cosine[~same & pair].square().mean() / 2


def plain_all_pairs(embeddings, labels, *, wrong=frozenset()):
    z, y = unit(embeddings, wrong), labels.tolist()
    pulled, pushed = [], []
    for i in range(len(y)):
        for j in range(i + 1, len(y)):
            cosine = z[i] @ z[j]
            goal = 0.0 if y[i] != y[j] else 1.0
            goal = -1.0 if goal == 0 and "opposites" in wrong else goal
            goal = 1 - goal if "exchanged" in wrong else goal
            cost = (goal - cosine).abs() if "absolute" in wrong else (goal - cosine) ** 2
            (pulled if y[i] == y[j] else pushed).append(cost)
    pulled += len(y) * [0 * z.sum()] if "itself counted" in wrong else []
    a, b = torch.stack(pulled), torch.stack(pushed)
    if "not balanced" in wrong:
        return torch.cat([a, b]).mean()
    if "sum" in wrong:
        return a.sum() + b.sum()
    if "positives only" in wrong:
        return a.mean()
    return (a.mean() + b.mean()) / (1 if "not halved" in wrong else 2)


ALL_PAIRS_LOSS = Loss(
    reference=all_pairs_loss,
    plain=plain_all_pairs,
    cases=[
        case("6 texts of 3 classes", random(6, 4, seed=1), torch.tensor([0, 1, 0, 2, 1, 0])),
        case("3 texts of 2 classes", tensor([1.0, 0.0], [0.0, 2.0], [1.0, 1.0]), torch.tensor([4, 9, 4])),
        case("8 texts of 2 classes", random(8, 3, seed=2), torch.tensor([0, 0, 0, 0, 0, 0, 1, 1])),
        case("rows of very different length", of_all_lengths(random(5, 3, seed=3)), torch.tensor([0, 0, 1, 1, 2])),
    ],
    mistakes=[
        Mistake("not balanced", "The mean runs over all pairs at once, so the many unequal pairs outweigh the rest.",
                "Take the mean of each kind, and of the two means."),
        Mistake("itself counted", "The diagonal is counted: each text with itself, a cosine of 1 and a cost of 0.",
                "Pairs are of two different texts: take those above the diagonal."),
        Mistake("opposites", "Texts of different classes are pulled towards a cosine of −1.",
                "SetFit's goal for them is 0; more than two classes cannot all be opposite to each other."),
        Mistake("exchanged", "The goals are exchanged.", "Equal labels: 1. Different labels: 0."),
        Mistake("absolute", "The error is not squared.", "This is a squared error."),
        Mistake("positives only", "Only the pairs of one label count.",
                "With nothing to push apart, all vectors may become equal."),
        Mistake("not halved", "The two means are added.", "Each counts half."),
        Mistake("sum", "This is the sum over the pairs.",
                "Take the mean over each kind of pair, and of the two means."),
        *mistakes(*COSINE),
    ],
)  # fmt: skip

# ---- chain-thaw


def chain_thaw(layers: Sequence[str]) -> list[list[str]]:
    """Which layers are trained in each phase: the last, then every other alone from the bottom, then all."""
    return plain_thaw(layers)


def plain_thaw(layers, *, wrong=frozenset()):
    body, head = list(layers[:-1]), layers[-1]
    order = body[::-1] if "from the top" in wrong else body
    alone = [[layer] for layer in order]
    if "head stays" in wrong:
        alone = [[layer, head] for layer in order]
    if "unfreezing" in wrong:
        alone = [[*body[len(body) - i :], head] for i in range(1, len(body) + 1)][:-1]
    if "first left out" in wrong:
        alone = alone[1:]
    last = body if "all but the head" in wrong else [*body, head]
    phases = [[head], *alone, last]
    if "head in its place" in wrong:
        phases = [*alone, [head], last]
    if "head twice" in wrong:
        phases = [[head], *alone, [head], last]
    if "all left out" in wrong:
        phases = phases[:-1]
    if "all first" in wrong:
        phases = [last, *phases[:-1]]
    return phases


def phases(answer, layers: list[str]) -> dict[str, object]:
    found = returned(answer(layers))
    try:
        rows = [[str(layer) for layer in ([phase] if isinstance(phase, str) else phase)] for phase in found]
    except TypeError as error:
        raise Unexpected(f"A list with a list of layers for each phase was expected, got {found!r}.") from error
    rows = [sorted(row, key=lambda layer: layers.index(layer) if layer in layers else -1) for row in rows]
    return {"what is trained in each phase": rows}


CHAIN_THAW = Algorithm(
    reference=chain_thaw,
    plain=plain_thaw,
    observe=phases,
    cases=[
        case("two layers and a head", ["layer 1", "layer 2", "head"]),
        case("four layers and a head", ["embeddings", "layer 1", "layer 2", "layer 3", "head"]),
        case("three layers and a head", ["words", "lower", "upper", "classifier"]),
    ],
    mistakes=[
        Mistake("unfreezing", "Layers join from the top and stay: that is gradual unfreezing, from ULMFiT.",
                "Chain-thaw trains one layer at a time, alone, from the bottom."),
        Mistake("from the top", "The layers follow each other from the top down.", "Begin with the lowest."),
        Mistake("head stays", "The head is trained along with each layer.",
                "Each layer is trained alone; the head comes first, and again with all at the end."),
        Mistake("head in its place", "The head comes after the layers below it.",
                "It comes first: it is new, and its first gradients would spoil what is below."),
        Mistake("head twice", "The head has a second phase of its own.", "It comes first, then with all at the end."),
        Mistake("all left out", "The last phase is missing.", "At the end all layers are trained together."),
        Mistake("all first", "All layers are trained together at first.", "That is the last phase."),
        Mistake("first left out", "The lowest layer has no phase of its own.", "Every layer has one."),
        Mistake("all but the head", "The head is missing in the last phase.", "At the end all are trained together."),
    ],
)  # fmt: skip

# ---- labels saved


def labels_needed(counts: Sequence[float], scores: Sequence[float], goal: float) -> float:
    """With how many labels a route reaches ``goal``, on straight lines over the logarithm of the number of labels.

    The first crossing counts. The smallest count if the first score is enough; infinity if no score is.
    """
    return plain_needed(counts, scores, goal)


def plain_needed(counts, scores, goal, *, wrong=frozenset()):
    counts, scores = list(map(float, counts)), list(map(float, scores))
    if scores[0] >= goal:
        return counts[0]
    places = range(1, len(counts))
    for i in reversed(places) if "last crossing" in wrong else places:
        if scores[i] >= goal > scores[i - 1]:
            part = (goal - scores[i - 1]) / (scores[i] - scores[i - 1])
            if "other way" in wrong:
                part = 1 - part
            if "next count" in wrong:
                return counts[i]
            if "count before" in wrong:
                return counts[i - 1]
            if "linear" in wrong:
                return counts[i - 1] + part * (counts[i] - counts[i - 1])
            value = math.log(counts[i - 1]) + part * math.log(counts[i] / counts[i - 1])
            return value if "logarithm returned" in wrong else math.exp(value)
    return counts[-1] if "last count" in wrong else math.inf


LABELS_NEEDED = Derivation(
    reference=labels_needed,
    plain=plain_needed,
    cases=[
        case("goal 60 between 50 at 8 and 70 at 32", [8, 32, 128], [50.0, 70.0, 80.0], 60.0),
        case("goal 75 between 70 at 32 and 80 at 128", [8, 32, 128], [50.0, 70.0, 80.0], 75.0),
        case("goal 72 between 60 at 16 and 75 at 64", [4, 16, 64], [40.0, 60.0, 75.0], 72.0),
        case("goal 45, which 8 labels reach", [8, 32, 128], [50.0, 70.0, 80.0], 45.0),
        case("goal 90, which is never reached", [8, 32, 128], [50.0, 70.0, 80.0], 90.0),
        case("goal 55, reached at once and again later", [8, 32, 128, 512], [50.0, 60.0, 52.0, 70.0], 55.0),
    ],
    mistakes=[
        Mistake("linear", "This is a straight line over the number of labels.",
                "The axis is logarithmic: interpolate the logarithms, then take the exponential."),
        Mistake("logarithm returned", "This is the logarithm of the number.", "Take the exponential at the end."),
        Mistake("next count", "This is the first count whose score is enough.",
                "Interpolate between it and the one before."),
        Mistake("count before", "This is the last count whose score is too low.",
                "Interpolate between it and the next."),
        Mistake("other way", "The weights of the two ends are exchanged.",
                "The nearer the goal is to a score, the nearer the answer is to its count."),
        Mistake("last count", "A goal that is never reached gets the largest count.",
                "It is not enough: return infinity, `math.inf`."),
        Mistake("last crossing", "This is where the goal is passed for the last time.", "The first time counts."),
    ],
)  # fmt: skip

EXERCISES = (POSITIVE_SHARE, LABEL_PAIRS, ALL_PAIRS_LOSS, CHAIN_THAW, LABELS_NEEDED)
