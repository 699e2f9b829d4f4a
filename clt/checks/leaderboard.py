"""The capstone: ranks added up, prefixes, averaged weights, and a loss that beats a row."""

import math
from collections.abc import Callable, Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from clt import losses, metrics
from clt.checks import labs
from clt.checks._algorithm import Algorithm
from clt.checks._common import random, tensor
from clt.checks._compare import numbers
from clt.checks._exercise import Mistake, case
from clt.checks._experiment import Experiment
from clt.checks._loss import Loss
from clt.results import number

# ---- ranks, added up


def borda(scores: Tensor) -> Tensor:
    """The share of duels that each row wins, over all columns: higher is better, a tie is half a win.

    Args:
        scores: ``(R, C)``, R rows of a leaderboard and C columns.

    Returns:
        ``(R,)``, from 0 to 1.
    """
    others = scores[None] < scores[:, None]
    ties = scores[None] == scores[:, None]
    won = others.sum((1, 2)) + 0.5 * (ties.sum((1, 2)) - scores.shape[1])
    return won / (scores.shape[1] * (len(scores) - 1))


def plain_borda(scores, *, wrong=frozenset()):
    rows = scores.tolist()
    count, columns = len(rows), len(rows[0])
    if "mean of the scores" in wrong:
        return scores.mean(1)
    if "scaled scores" in wrong:
        low, high = scores.amin(0), scores.amax(0)
        return ((scores - low) / (high - low)).mean(1)
    found = []
    for i in range(count):
        won = 0.0
        for j in range(columns):
            for k in range(count):
                mine, its = rows[i][j], rows[k][j]
                if "lower is better" in wrong:
                    mine, its = -mine, -its
                if k != i or "itself counted" in wrong:
                    half = 0.0 if "ties lose" in wrong else 1.0 if "ties win" in wrong else 0.5
                    won += 1.0 if mine > its else half if mine == its else 0.0
        if "first places" in wrong:
            won = sum(rows[i][j] == max(row[j] for row in rows) for j in range(columns)) * (count - 1)
        divided = columns if "not per duel" in wrong else columns * (count if "itself counted" in wrong else count - 1)
        found.append(won if "not divided" in wrong else won / divided)
    return torch.tensor(found, dtype=torch.float64)


BORDA = Algorithm(
    reference=borda,
    plain=plain_borda,
    cases=[
        case("3 rows, 2 columns, without ties", tensor([70.0, 10.0], [60.0, 30.0], [50.0, 20.0])),
        case("4 rows, 3 columns, two of them equal in one", tensor([1.0, 5.0, 2.0], [2.0, 5.0, 9.0], [0.0, 4.0, 3.0],
                                                                    [3.0, 1.0, 1.0])),
        case("6 rows, 5 columns", random(6, 5, seed=1)),
    ],
    mistakes=[
        Mistake("mean of the scores", "This is the mean of the scores: a column with large numbers decides.",
                "Only who is above whom counts, in each column by itself."),
        Mistake("scaled scores", "The scores are scaled from 0 to 1 in each column: their distances still count.",
                "Only who is above whom counts."),
        Mistake("lower is better", "The losers are counted.", "A row wins against those with a lower score."),
        Mistake("first places", "Only first places count.", "Each pair of rows is a duel, in each column."),
        Mistake("itself counted", "Each row also plays against itself.",
                "There are R − 1 opponents: take the ties with itself off."),
        Mistake("ties lose", "A tie counts nothing.", "It is half a win for both."),
        Mistake("ties win", "A tie counts as a win for both.", "It is half a win for both."),
        Mistake("not divided", "These are numbers of duels won.", "Divide by the number of duels, C (R − 1)."),
        Mistake("not per duel", "This is the number of wins in a column.", "Divide by the number of opponents, too."),
    ],
)  # fmt: skip

# ---- Matryoshka


def matryoshka_loss(loss: Callable[..., Tensor], *embeddings: Tensor, dimensions: Sequence[int]) -> Tensor:
    return losses.matryoshka_loss(loss, *embeddings, dimensions=dimensions)


matryoshka_loss.__doc__ = losses.matryoshka_loss.__doc__


def plain_matryoshka(loss, *embeddings, dimensions, wrong=frozenset()):
    width = embeddings[0].shape[-1]
    lengths = list(dimensions)
    if "the whole as well" in wrong:
        lengths.append(width)
    if "the longest only" in wrong:
        lengths = [max(lengths)]
    if "the shortest only" in wrong:
        lengths = [min(lengths)]
    values = []
    for length in lengths:
        parts = [z[..., -length:] if "the last ones" in wrong else z[..., :length] for z in embeddings]
        if "rows cut" in wrong:
            parts = [z[:length] for z in embeddings]
        if "only the first is cut" in wrong:
            parts = [torch.cat([z[..., :length], 0 * z[..., length:]], -1) if i == 0 else z
                     for i, z in enumerate(embeddings)]  # fmt: skip
        if "normalised before" in wrong:
            parts = [F.normalize(z, dim=-1)[..., :length] for z in embeddings]
        if "normalised inside" in wrong:
            parts = [F.normalize(z, dim=-1) for z in parts]
        values.append(loss(*parts) * (length / width if "weighed by length" in wrong else 1))
    total = sum(values)
    return total / len(values) if "mean" in wrong else total


def _dots(x: Tensor, y: Tensor, *others: Tensor) -> Tensor:
    """A loss of vectors as they are, so that their length shows."""
    logits = torch.cat([x @ z.T for z in (y, *others)], dim=1)
    return F.cross_entropy(logits, torch.arange(len(x)))


def _cosines(x: Tensor, y: Tensor) -> Tensor:
    return losses.info_nce_loss(x, y, temperature=0.2)


MATRYOSHKA_LOSS = Loss(
    reference=matryoshka_loss,
    plain=plain_matryoshka,
    batch_order_free=False,
    cases=[
        case("3 pairs, a loss of cosines", _cosines, random(3, 4, seed=1), random(3, 4, seed=2), dimensions=[2, 3]),
        case("5 pairs, a loss of dot products", _dots, random(5, 8, seed=3), random(5, 8, seed=4),
             dimensions=[6, 2, 4]),
        case("4 triplets, a loss of dot products", _dots, random(4, 6, seed=5), random(4, 6, seed=6),
             random(4, 6, seed=7), dimensions=[6, 3]),
        case("3 pairs, one length", _cosines, random(3, 5, seed=8), random(3, 5, seed=9), dimensions=[4]),
    ],
    mistakes=[
        Mistake("mean", "This is the mean over the prefixes.", "Take their sum: all weights are 1."),
        Mistake("the whole as well", "The full width counts although it is not among the dimensions.",
                "Only the lengths that are named count."),
        Mistake("the longest only", "Only the longest prefix counts.", "Add up the losses of all of them."),
        Mistake("the shortest only", "Only the shortest prefix counts.", "Add up the losses of all of them."),
        Mistake("the last ones", "These are the last dimensions.", "A prefix is the first ones: z[:, :d]."),
        Mistake("rows cut", "The batch is cut, and not the vectors.", "Cut along the last dimension: z[:, :d]."),
        Mistake("only the first is cut", "Only the first of the embeddings is cut.",
                "Cut all of them to the same length."),
        Mistake("normalised before", "The vectors are normalised before they are cut.",
                "Hand the prefixes on as they are: the loss knows whether to normalise."),
        Mistake("normalised inside", "The prefixes are normalised here.",
                "Hand them on as they are: the loss knows whether to normalise."),
        Mistake("weighed by length", "The prefixes are weighed by their length.", "All weights are 1."),
    ],
)  # fmt: skip

# ---- averaged weights


def average_weights(states: Sequence[dict[str, Tensor]], shares: Sequence[float]) -> dict[str, Tensor]:
    """The average of several state dictionaries, each with its share; what is no floating-point number is the first's.

    Args:
        states: of models of one kind, so with the same names and shapes.
        shares: one number for each, together 1.
    """
    return {
        name: sum(share * state[name] for share, state in zip(shares, states, strict=True))
        if value.is_floating_point()
        else value
        for name, value in states[0].items()
    }


def plain_average(states, shares, *, wrong=frozenset()):
    shares = list(shares)
    if "equal shares" in wrong:
        shares = [1 / len(states)] * len(states)
    if "shares turned round" in wrong:
        shares = shares[::-1]
    if "sum" in wrong:
        shares = [1.0] * len(states)
    found = {}
    for name, value in states[0].items():
        values = [state[name] for state in states]
        if not value.is_floating_point() and "counters averaged" not in wrong:
            found[name] = value
            continue
        if "the first" in wrong:
            found[name] = value
            continue
        if "the last" in wrong:
            found[name] = values[-1]
            continue
        total = torch.zeros_like(value, dtype=torch.float64 if value.dtype == torch.float64 else torch.float32)
        for share, other in zip(shares, values, strict=True):
            total = total + share * other
        if "divided again" in wrong:
            total = total / len(states)
        if "scaled to length" in wrong and value.is_floating_point():
            total = total / total.norm() * values[0].norm()
        found[name] = total
    if "biases forgotten" in wrong:
        found |= {name: states[0][name] for name in found if name.endswith("bias")}
    return found


def _seen_average(answer, states, shares) -> dict[str, object]:
    found = answer(states, shares)
    names = sorted(found) if isinstance(found, dict) else f"got a {type(found).__name__}"
    seen = {"it has the names of the states": names}
    if isinstance(found, dict):
        for name in sorted(set(found) & set(states[0])):
            seen[f"what is under {name}"] = found[name]
        kinds = {name: str(value.dtype) for name, value in found.items() if isinstance(value, Tensor)}
        seen["counters stay integers"] = kinds.get("steps")
    return seen


def _states(count: int, seed: int) -> list[dict[str, Tensor]]:
    return [
        {"layer.weight": random(3, 2, seed=seed + 2 * i), "layer.bias": random(3, seed=seed + 2 * i + 1),
         "steps": torch.tensor(40 + i)}
        for i in range(count)
    ]  # fmt: skip


AVERAGE_WEIGHTS = Algorithm(
    reference=average_weights,
    plain=plain_average,
    observe=_seen_average,
    cases=[
        case("2 states, shares 0.25 and 0.75", _states(2, seed=1), [0.25, 0.75]),
        case("3 states, shares 0.5, 0.3 and 0.2", _states(3, seed=11), [0.5, 0.3, 0.2]),
        case("2 states, all of the second", _states(2, seed=21), [0.0, 1.0]),
    ],
    mistakes=[
        Mistake("equal shares", "All states have the same share.", "Each state has its own: use `shares`."),
        Mistake("shares turned round", "The shares have changed places.", "Share i belongs to state i."),
        Mistake("sum", "The states are added up.", "Multiply each by its share first."),
        Mistake("the first", "This is the first state.", "Add up share times value over all states."),
        Mistake("the last", "This is the last state.", "Add up share times value over all states."),
        Mistake("divided again", "The average is divided by the number of states once more.",
                "The shares add up to 1 already."),
        Mistake("counters averaged", "Integers are averaged as well.",
                "A counter, or a table of positions, is no weight: keep the first one's."),
        Mistake("scaled to length", "The average is scaled to the length of the first.", "Leave it as it is."),
        Mistake("biases forgotten", "Biases are not averaged.", "All floating-point tensors are weights."),
    ],
)  # fmt: skip

# ---- a loss that beats a row of the board

SEEDS, STEPS, BY, SPREAD = (0, 1, 2), 120, 20.0, -1.0


def one_negative(query: Tensor, positive: Tensor) -> Tensor:
    """The row to beat: a triplet loss on the sphere, with the next positive of the batch as the only negative."""
    q, p = F.normalize(query, dim=1), F.normalize(positive, dim=1)
    return losses.triplet_loss(q, p, p.roll(1, 0), margin=0.5)


def judge_loss(answer) -> Iterator[tuple[str, ...]]:
    what = "it is a function of two tensors"
    yield what, "" if callable(answer) else f"Hand in the function itself: got a {type(answer).__name__}."
    query, positive = random(4, 3, seed=1).float().requires_grad_(), random(4, 3, seed=2).float().requires_grad_()
    try:
        value = answer(query, positive)
    except NotImplementedError:
        raise
    except Exception as error:
        yield "it returns a number", f"It stopped with {type(error).__name__}: {error}."
        return
    fine = numbers(value) is not None and isinstance(value, Tensor) and value.ndim == 0
    yield "it returns a number", "" if fine else "A tensor of one number was expected, such as a mean."
    flat = not value.requires_grad
    yield "it has a gradient", *(("The graph was cut, or the inputs were not used.", "constant") if flat else ("",))
    yours, spread = _on_points(answer)
    theirs, _ = _on_points(one_negative)
    finite = math.isfinite(yours) and math.isfinite(spread)
    yield "training stays finite", "" if finite else "The encoder gave vectors that are not finite."
    says = f"Uniformity is {number(spread)}: all points are nearly in one place."
    yield "the points spread", *((says, "collapse") if spread > SPREAD else ("",))
    says = f"{number(yours)} % of the neighbours are of the class, {number(theirs)} % with the triplet loss."
    wrong = "worse" if yours < theirs - 5 else "as good"
    yield f"it beats the triplet loss by {BY:g} points", *((says, wrong) if yours < theirs + BY else ("",))


def _on_points(loss: Callable) -> tuple[float, float]:
    """Neighbours of the same class, in per cent, and uniformity: means over three seeds."""
    shares, spreads = [], []
    new = labs.two_views(400, torch.Generator().manual_seed(98))[0]
    for seed in SEEDS:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            share, encoder = labs.clusters(lambda a, b, y: loss(a, b), seed=seed, steps=STEPS)
        shares.append(share)
        with torch.no_grad():
            spreads.append(metrics.uniformity(encoder(new)).item())
    return sum(shares) / len(SEEDS), sum(spreads) / len(SEEDS)


def margin_softmax(query: Tensor, positive: Tensor) -> Tensor:
    """In-batch softmax in which the positive has to win by a margin."""
    cosine = F.normalize(query, dim=1) @ F.normalize(positive, dim=1).T
    cosine = cosine - 0.1 * torch.eye(len(cosine), device=cosine.device)
    return F.cross_entropy(cosine / 0.2, torch.arange(len(cosine), device=cosine.device))


BEATS_THE_TRIPLET = Experiment(
    name="beats_the_triplet",
    reference=margin_softmax,
    judge=judge_loss,
    mistakes=[
        Mistake("constant", "No gradient comes back to the encoder.",
                "Compute the loss from the two tensors, without .detach() or .item().",
                lambda q, p: torch.tensor(1.0)),
        Mistake("collapse", "The loss pulls together and pushes nothing apart.",
                "What in your loss grows when all points are in one place?",
                lambda q, p: (1 - F.cosine_similarity(q, p)).mean()),
        Mistake("worse", "The points spread, but neighbours have nothing in common.",
                "What in your loss brings a query to its own positive, row i to row i?",
                lambda q, p: torch.pdist(F.normalize(q, dim=1)).square().mul(-2).exp().mean()),
        Mistake("as good", "It learns about as much as the triplet loss.",
                "One negative at a time says little. How many does the batch hold?",
                lambda q, p: losses.triplet_loss(F.normalize(q, dim=1), F.normalize(p, dim=1),
                                                 F.normalize(p, dim=1).roll(2, 0), margin=0.5)),
    ],
)  # fmt: skip

EXERCISES = (BORDA, MATRYOSHKA_LOSS, AVERAGE_WEIGHTS, BEATS_THE_TRIPLET)
