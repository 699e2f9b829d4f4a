"""The experiments: a collapse to be found, a batch to be put together, a comparison to be made fair."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from clt import metrics
from clt.checks import labs
from clt.checks._common import random
from clt.checks._compare import numbers
from clt.checks._exercise import Mistake
from clt.checks._experiment import Experiment
from clt.results import number

# ---- a batch on which hard mining collapses

PLACES = random(4, 4, seed=1)
TWINS = torch.cat([PLACES, PLACES + 0.02 * random(4, 4, seed=2)])  # each row has a near twin
CLUSTERS = torch.cat([PLACES + 0.1 * random(4, 4, seed=3), PLACES + 0.1 * random(4, 4, seed=4)])


def judge_collapse(answer) -> Iterator[tuple[str, ...]]:
    batch = _batch(answer)
    what = "it is a batch: vectors (N, D) and labels (N,)"
    if batch is None:
        yield what, "Hand in (vectors, labels): a floating-point tensor (N, D) and N integers, N from 4 to 64."
        return
    vectors, labels = batch
    yield what, ""
    extent = (vectors - vectors.mean(0)).norm(dim=1).max().item()
    yield "the rows differ", *((f"All rows lie within {number(extent)}.", "no batch") if extent < 1e-3 else ("",))
    counts = labels.unique(return_counts=True)[1]
    few = len(counts) < 2 or counts.max() < 2
    yield "it holds triplets", *(("No row has a positive and a negative.", "no triplets") if few else ("",))
    loss, spread = labs.hard_mining(vectors, labels)
    left = spread[-1] / spread[0]
    says = f"{number(100 * left, digits=2)} % of the extent is left after {len(loss) - 1} steps"
    wrong = "solved" if loss[-1] < 0.25 else "shrinks"
    collapsed = left < 0.05
    yield "hard mining collapses", *(("",) if collapsed else (f"{says}, and the loss is {number(loss[-1])}.", wrong))


def _batch(answer) -> tuple[Tensor, Tensor] | None:
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        return None
    vectors, labels = map(numbers, answer)
    if vectors is None or labels is None or vectors.ndim != 2 or labels.shape != vectors.shape[:1]:
        return None
    vectors, labels = vectors.detach().cpu().double().clone(), labels.detach().cpu().double().clone()
    fine = torch.isfinite(vectors).all() and torch.equal(labels, labels.round())
    return (vectors, labels.long()) if fine and 4 <= len(vectors) <= 64 and 1 <= vectors.shape[1] <= 256 else None


PAIRS = torch.tensor([0, 0, 1, 1, 1, 1, 0, 0])
COLLAPSE_BATCH = Experiment(
    name="collapse_batch",
    reference=(TWINS, PAIRS),
    judge=judge_collapse,
    mistakes=[
        Mistake("no batch", "All rows are the same: there is nothing left to collapse.",
                "Start from rows that differ, and let training bring them together.", (torch.ones(8, 3), PAIRS)),
        Mistake("no triplets", "The batch holds no triplet.",
                "An anchor needs a row with its own label and one with another.", (TWINS, torch.arange(8))),
        Mistake("solved", "The encoder solves this batch: the loss goes to 0.",
                "What if the nearest negative cannot be told from the anchor?", (CLUSTERS, torch.arange(4).repeat(2))),
        Mistake("shrinks", "The points move together, but they do not collapse.",
                "Bring each row's nearest negative nearer still: near copies with another label.",
                (random(32, 4, seed=6), torch.arange(32) % 4)),
    ],
)  # fmt: skip

# ---- a temperature at which it collapses


def judge_temperature(answer) -> Iterator[tuple[str, ...]]:
    try:
        value = float(answer)
    except (TypeError, ValueError):
        yield "it is a temperature", f"A number was expected, got {type(answer).__name__}."
        return
    fine = math.isfinite(value) and value > 0
    yield "it is a temperature", *(("",) if fine else (f"{value:g} cannot divide a similarity.", "not positive"))
    before, usual, found = (
        metrics.uniformity(z).item()
        for z in (labs.temperature(1.0, steps=0), labs.temperature(0.1), labs.temperature(value))
    )
    says = f"Uniformity goes from {number(before)} to {number(found)}; at temperature 0.1 it goes to {number(usual)}."
    yield "training stays finite", "" if math.isfinite(found) else "Similarities over so small a number are infinite."
    wrong = "usual" if found < -2.9 else "half way"
    yield "the embeddings collapse", *(("",) if found > -2.25 else (says, wrong))


TEMPERATURE_COLLAPSE = Experiment(
    name="temperature_collapse",
    reference=0.005,
    judge=judge_temperature,
    mistakes=[
        Mistake("not positive", "A temperature is positive.", "It divides the similarities.", 0.0),
        Mistake("usual", "At this temperature the embeddings spread out: it works.",
                "Go far below, where a single candidate decides, or far above, where all count the same.", 0.2),
        Mistake("half way", "At this temperature they spread less than they could, but they do not collapse.",
                "You are on the right side: go on by a factor of ten.", 5.0),
    ],
)  # fmt: skip

# ---- a batch without false negatives

SIZE = len({meaning for meaning, _ in labs.BATCH})


def judge_negatives(answer) -> Iterator[tuple[str, ...]]:
    meaning = {sentence: letter for letter, sentence in labs.BATCH}
    listed = isinstance(answer, tuple | list) and all(isinstance(s, str) for s in answer)
    yield "it is a list of sentences", "" if listed else "Hand in a list of sentences from labs.BATCH."
    other = [s for s in answer if s not in meaning]
    yield "they stand in labs.BATCH", *((f"“{other[0]}” does not.", "unknown") if other else ("",))
    twice = [s for s in answer if list(answer).count(s) > 1]
    yield "each comes once", *((f"“{twice[0]}” comes twice.", "twice") if twice else ("",))
    first: dict[str, str] = {}
    clash = next(((first[meaning[s]], s) for s in answer if first.setdefault(meaning[s], s) != s), None)
    says = f"“{clash[0]}” and “{clash[1]}”" if clash else ""
    yield "no two say the same", *((f"{says} would be pushed apart.", "paraphrases") if clash else ("",))
    few = f"{len(answer)} sentences, and {SIZE} are possible."
    yield "the batch is as large as it can be", *((few, "too small") if len(answer) < SIZE else ("",))


SENTENCES = [sentence for _, sentence in labs.BATCH]
NO_FALSE_NEGATIVES = Experiment(
    name="no_false_negatives",
    reference=SENTENCES[::2],
    judge=judge_negatives,
    mistakes=[
        Mistake("unknown", "One of the sentences is not from the pool.", "Copy them from labs.BATCH.", ["Hello."]),
        Mistake("twice", "A sentence comes twice: it would be its own negative.",
                "Each row is a negative of all others.", [SENTENCES[0], SENTENCES[0]]),
        Mistake("paraphrases", "Two sentences of the batch say the same, in other words.",
                "As negatives of each other they would be pushed apart: a false negative.", SENTENCES[:8]),
        Mistake("too small", "There is room for more.",
                "Sentences that share most of their words may say the opposite, and are good negatives.",
                SENTENCES[::4]),
    ],
)  # fmt: skip

# ---- an ablation at equal uniformity

LIMIT, NEAR, TRAINED = 200, 0.05, -2.0


def judge_ablation(answer) -> Iterator[tuple[str, ...]]:
    right = isinstance(answer, tuple | list) and len(answer) == 2
    right = right and all(isinstance(s, int) and not isinstance(s, bool) and 0 <= s <= LIMIT for s in answer)
    says = f"Hand in two numbers of steps, from 0 to {LIMIT}: without the Twin Loss, and with it."
    yield "it is two numbers of steps", "" if right else says
    without, with_it = labs.twins(0.0, answer[0]), labs.twins(3.0, answer[1])
    raw = max(without.uniformity, with_it.uniformity) > TRAINED
    says = f"Uniformity is {number(without.uniformity)} without the Twin Loss and {number(with_it.uniformity)} with it"
    yield "both are trained", *((f"{says}; it should be below {TRAINED:g}.", "untrained") if raw else ("",))
    wrong = ""
    if abs(without.uniformity - with_it.uniformity) > NEAR:
        swapped = labs.twins(0.0, answer[1]).uniformity - labs.twins(3.0, answer[0]).uniformity
        wrong = "equal steps" if answer[0] == answer[1] else "swapped" if abs(swapped) <= NEAR else "unequal"
    yield f"uniformity differs by no more than {NEAR:g}", *((f"{says}.", wrong) if wrong else ("",))


EQUAL_UNIFORMITY = Experiment(
    name="equal_uniformity",
    reference=(25, 41),
    judge=judge_ablation,
    mistakes=[
        Mistake("untrained", "At least one of the two is hardly trained, and then any two are equal.",
                "Train until uniformity is below −2.", (0, 0)),
        Mistake("equal steps", "Both are trained for as many steps, and one is more uniform for it.",
                "A more uniform encoder pushes everything apart, twins too. Train the slower one longer.", (30, 30)),
        Mistake("swapped", "The two numbers have changed places.",
                "First the steps without the Twin Loss, then those with it.", (41, 25)),
        Mistake("unequal", "Uniformity differs, so that the gap would differ without the Twin Loss, too.",
                "Change one of the numbers until the two agree.", (15, 100)),
    ],
)  # fmt: skip

# ---- weights that push a hard negative harder than SupCon does


def judge_push(answer) -> Iterator[tuple[str, ...]]:
    weights = numbers(answer)
    what = "it is a distribution over the five classes"
    if weights is None or weights.shape != (len(labs.CLASSES),):
        yield what, f"Hand in five weights, for {', '.join(labs.CLASSES)}."
        return
    weights = weights.detach().cpu().double()
    proper = bool((weights > 0).all()) and abs(weights.sum().item() - 1) < 1e-6
    yield what, *(("",) if proper else ("Weights are above 0 and add up to 1.", "no distribution"))
    push = labs.pushes(weights)["devastated"]
    own, rest = weights[0].item(), weights[1].item() / (1 - weights[0].item())
    says = f"It is pushed with {number(push)}."
    wrong = "own class light" if own < 0.6 else "elsewhere" if rest < 0.5 else "too certain"
    yield "devastated is pushed with 0.6 or more", *(("",) if push >= 0.6 else (says, wrong))


HARDER_PUSH = Experiment(
    name="harder_push",
    reference=[0.7, 0.27, 0.01, 0.01, 0.01],
    judge=judge_push,
    mistakes=[
        Mistake("no distribution", "These are no weights: a softmax makes positive numbers that add up to 1.",
                "What you give to one class you take from the others.", [1.0, 1.0, 0.1, 0.1, 0.1]),
        Mistake("own class light", "The anchor's own class has too little weight.",
                "Its weight stands in front of the logarithm: the push is at most as large.", list(labs.BELIEF)),
        Mistake("elsewhere", "Most of what the own class leaves goes to classes that nobody confuses with it.",
                "Which of the five does the push have to reach?", [0.7, 0.075, 0.075, 0.075, 0.075]),
        Mistake("too certain", "The own class has nearly all the weight, and no negative counts any more.",
                "The push is the product of the own weight and of the share that is left.",
                [0.99, 0.0097, 0.0001, 0.0001, 0.0001]),
    ],
)  # fmt: skip

EXERCISES = (COLLAPSE_BATCH, TEMPERATURE_COLLAPSE, NO_FALSE_NEGATIVES, EQUAL_UNIFORMITY, HARDER_PUSH)
