"""Context as the positive: QuickThoughts' loss and its floor, DeCLUTR's spans, XLNet's pairs, what a batch teaches."""

import math
import random as chance
from collections.abc import Iterator

import torch
from torch import Tensor

from clt import losses
from clt.checks import labs
from clt.checks._algorithm import Algorithm, Derivation, returned
from clt.checks._common import REDUCTION, log_share, mistakes, random, reduced, tensor, unit
from clt.checks._compare import Counts
from clt.checks._exercise import Mistake, Unexpected, case
from clt.checks._experiment import Experiment
from clt.checks._loss import Loss
from clt.predicting import MASK, PAD
from clt.results import number

# ---- the loss


def quick_thoughts_loss(anchor: Tensor, context: Tensor, texts: Tensor) -> Tensor:
    """Mean over the sentences that have a neighbour of the cross entropy to a uniform target over their neighbours."""
    return losses.quick_thoughts_loss(anchor, context, texts)


def plain_quick_thoughts(anchor: Tensor, context: Tensor, texts: Tensor, *, wrong=frozenset()) -> Tensor:
    n = len(anchor)
    if "normalised" in wrong:
        anchor, context = unit(anchor, wrong), unit(context, wrong)
    scores = anchor @ context.T
    apart = torch.arange(n) - torch.arange(n)[:, None]  # how far behind row i does sentence j stand?
    near = apart.abs() == 1
    near = apart == 1 if "next only" in wrong else apart == -1 if "previous only" in wrong else near
    near = near | (apart == 0) if "itself is a positive" in wrong else near
    if "the whole text" in wrong:
        near = apart != 0
    if "across texts" not in wrong:
        near = near & (texts == texts[:, None])
    valid, count = near.any(1), near.sum(1).clamp_min(1)
    others = (apart != 0) | ("itself is a positive" in wrong)
    if "own text only" in wrong:
        others = others & (texts == texts[:, None])
    others = others | ~valid[:, None] if "itself is 0" not in wrong else others  # no row without a candidate
    if "positive not below" in wrong:
        others = others & ~(near & (near.sum(1, keepdim=True) > 1)) | ~valid[:, None]
        below = torch.stack(
            [
                torch.logaddexp(
                    scores[:, j], scores.masked_fill(~others | (torch.arange(n) == j), -torch.inf).logsumexp(1)
                )
                for j in range(n)
            ],
            dim=1,
        )
        shares = scores - below
    else:
        shares = log_share(scores, others, near, wrong)
    if "sum inside the log" in wrong:
        values = -shares.masked_fill(~near & valid[:, None], -torch.inf).logsumexp(1)
    elif "log missing" in wrong:
        values = -torch.where(near, shares.exp(), 0.0).sum(1) / count
    else:
        values = -torch.where(near, shares, 0.0).sum(1) / (1 if "positives summed" in wrong else count)
    if "positives pooled" in wrong:
        return -torch.where(near, shares, 0.0).sum() / near.sum()
    return reduced(values, wrong, valid)


QUICK_THOUGHTS_LOSS = Loss(
    reference=quick_thoughts_loss,
    plain=plain_quick_thoughts,
    cases=[
        case("6 sentences of two texts", random(6, 3, seed=1), random(6, 3, seed=2), torch.tensor([0, 0, 0, 0, 1, 1])),
        case("7 sentences, one of them alone in its text", random(7, 4, seed=3), 0.7 * random(7, 4, seed=4),
             torch.tensor([3, 3, 3, 8, 5, 5, 5])),
        case("5 sentences of one text", 1.5 * random(5, 3, seed=5), random(5, 3, seed=6), torch.zeros(5).long()),
        case("3 sentences of one text", tensor([1.0, 0.0], [0.5, 1.0], [-1.0, 2.0]),
             tensor([0.5, 1.0], [1.0, -1.0], [0.0, 2.0]), torch.zeros(3).long()),
        case("3 texts of 3 sentences", random(9, 5, seed=7), random(9, 5, seed=8), torch.arange(9) // 3),
    ],
    extremes=[
        case("cosines at temperature 0.005", 200 * tensor([1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.6, 0.8]),
             tensor([1.0, 0.0], [0.6, 0.8], [0.0, 1.0], [1.0, 0.0]), torch.zeros(4).long()),
    ],
    mistakes=mistakes(
        Mistake("across texts", "The last sentence of one text and the first of the next count as neighbours.",
                "Neighbours stand side by side *and* are from one text: compare the entries of texts, too."),
        Mistake("the whole text", "Every sentence of the same text is a positive.",
                "Only those that stand directly beside it are; the others are candidates like any other."),
        Mistake("next only", "Only the next sentence is a positive.", "The one before it is a neighbour as well."),
        Mistake("previous only", "Only the sentence before is a positive.", "The next one is a neighbour as well."),
        Mistake("own text only", "The candidates are those of the sentence's own text.",
                "All other sentences of the batch are candidates: those of other texts are the easy ones."),
        "itself is a positive", "itself is 0", "itself below", "positive not below", "positives summed",
        "positives pooled",
        Mistake("sum inside the log", "The neighbours' probabilities are added up inside the logarithm.",
                "Each neighbour gets its own logarithm, and the mean is taken of those: the target is uniform."),
        "log missing", "normalised", "over columns", "lonely counted", *REDUCTION,
    ),
    batch_order_free=False,  # the order is the text
)  # fmt: skip

# ---- how low it can get


def context_floor(length: int) -> float:
    """The least mean loss if every text has ``length`` sentences: log 2 for all but the two at its ends."""
    return (length - 2) / length * math.log(2)


def plain_floor(length, *, wrong=frozenset()):
    for name, value in {
        "zero": 0.0,
        "ends forgotten": math.log(2),
        "one end": (length - 1) / length * math.log(2),
        "chance": math.log(length - 1),
        "chance with itself": math.log(length),
        "probability": (length - 2) / length / 2,
        "base 2": (length - 2) / length,
        "summed": (length - 2) * math.log(2),
        "both summed": (length - 2) / length * 2 * math.log(2),
        "log 3": (length - 2) / length * math.log(3),
    }.items():
        if name in wrong:
            return value
    return (length - 2) / length * math.log(2)


CONTEXT_FLOOR = Derivation(
    reference=context_floor,
    plain=plain_floor,
    cases=[case("texts of 6 sentences", 6), case("texts of 3 sentences", 3), case("a book of 400 sentences", 400)],
    mistakes=[
        Mistake("zero", "A cross entropy is 0 only if one candidate may take all of the probability.",
                "A sentence with two neighbours has to give both the same share."),
        Mistake("ends forgotten", "Not every sentence has two neighbours.",
                "The first and the last of a text have one each, and can reach 0."),
        Mistake("one end", "A text has two ends.", "Both its first and its last sentence have a single neighbour."),
        Mistake("chance", "This is what guessing costs, not what is left in the best case.",
                "In the best case all of the probability lies on the neighbours."),
        Mistake("chance with itself", "This is what guessing costs, with the sentence itself among the candidates.",
                "In the best case all of the probability lies on the neighbours."),
        Mistake("probability", "This is the probability of a neighbour.",
                "The loss is minus its logarithm, averaged over the sentences."),
        Mistake("base 2", "The logarithm is to base 2.", "The loss has natural logarithms: log 2 is 0.693."),
        Mistake("summed", "This is the sum over a text.", "The loss is the mean over its sentences."),
        Mistake("both summed", "The terms of the two neighbours are added up.",
                "The target gives each of them one half: −½ log ½ − ½ log ½."),
        Mistake("log 3", "The sentence itself does not take part.", "Its neighbours are two, not three."),
    ],
)  # fmt: skip

# ---- DeCLUTR's spans


def positive_span(
    start: int, length: int, total: int, rng: chance.Random, *, shortest: int, longest: int
) -> tuple[int, int]:
    """Where a positive span starts, and its length: Beta(2, 4) between the limits, touching the anchor or nearer."""
    return plain_span(start, length, total, rng, shortest=shortest, longest=longest)


def plain_span(start, length, total, rng, *, shortest, longest, wrong=frozenset()):
    rng = chance.Random(0) if "always the same" in wrong else rng
    share = rng.betavariate(4, 2) if "anchor's distribution" in wrong else rng.betavariate(2, 4)
    share = rng.random() if "uniform length" in wrong else share
    size = int(share * longest if "shortest ignored" in wrong else share * (longest - shortest) + shortest)
    size = max(1, size)
    low, high = start - size, start + length
    if "subsumed only" in wrong:
        low, high = start, max(start, start + length - size)
    if "starts inside" in wrong:
        low, high = start, start + length
    if "after it only" in wrong:
        low = high = start + length
    if "before forgotten" in wrong:
        low = start - size + 1
    if "anywhere" in wrong:
        low, high = 0, total
    if "over the end" not in wrong:
        high = min(high, total - size)
        low = min(max(low, 0), high)
    if "last start missing" in wrong:
        high = max(low, high - 1)
    first = rng.randint(low, high)
    return (first, first + size) if "end given" in wrong else (first, size)


DRAWS = 2000


def spans(answer, start: int, length: int, total: int, shortest: int, longest: int) -> dict[str, object]:
    found, outside, repeated = [], "", ""
    for seed in range(DRAWS):
        drawn = returned(answer(start, length, total, chance.Random(seed), shortest=shortest, longest=longest))
        try:
            first, size = drawn
            first, size = int(first), int(size)
        except (TypeError, ValueError) as error:
            raise Unexpected(f"A start and a length were expected, got {drawn!r}.") from error
        if seed < 20 and drawn != answer(start, length, total, chance.Random(seed), shortest=shortest, longest=longest):
            repeated = "Two generators with one seed give different spans"
        if first < 0 or size < 1 or first + size > total:
            outside = f"A span of {size} words that starts at {first} does not lie in a text of {total}"
        found.append((first, size))
    return {
        "it lies in the text": outside,
        "the same rng gives the same span": repeated,
        "its length": Counts(size for _, size in found),
        "how it lies to the anchor": Counts(_relation(start, length, *span) for span in found),
        "where it starts": Counts(first for first, _ in found),
    }


def _relation(start: int, length: int, first: int, size: int) -> str:
    if first > start + length or first + size < start:
        return "apart"
    if first == start + length or first + size == start:
        return "adjacent"
    return "subsumed" if start <= first and first + size <= start + length else "overlapping"


POSITIVE_SPAN = Algorithm(
    reference=positive_span,
    plain=plain_span,
    observe=spans,
    cases=[
        case("an anchor of 12 words in the middle of 60", 24, 12, 60, 4, 16),
        case("an anchor at the beginning of 40 words", 0, 10, 40, 4, 12),
        case("an anchor at the end of 40 words", 30, 10, 40, 3, 12),
    ],
    mistakes=[
        Mistake("over the end", "Some spans do not lie in the text.",
                "Clip both limits: the earliest start is 0, the latest is the text's length minus the span's."),
        Mistake("end given", "It returns the end of the span where its length belongs.", "Return start and length."),
        Mistake("always the same", "It gives the same span whatever rng it is given.",
                "Draw from the rng that is handed in, and make none of your own."),
        Mistake("anchor's distribution", "The lengths are those of anchors: Beta(4, 2) favours long ones.",
                "Positives are drawn from Beta(2, 4), which favours short ones."),
        Mistake("uniform length", "All lengths come equally often.", "Draw a share from Beta(2, 4): rng.betavariate."),
        Mistake("shortest ignored", "The share is taken of the longest length.",
                "It runs from the shortest to the longest: share · (longest − shortest) + shortest."),
        Mistake("subsumed only", "Every positive lies within the anchor.",
                "It may also overlap it or stand beside it: start as early as one own length before the anchor."),
        Mistake("starts inside", "No positive starts before the anchor does.",
                "The earliest start is the anchor's start minus the positive's own length."),
        Mistake("after it only", "Every positive follows its anchor.", "Draw the start between the two limits."),
        Mistake("before forgotten", "No positive ends exactly where the anchor begins.",
                "Such a span is adjacent: a start of anchor start minus length belongs to the choices."),
        Mistake("last start missing", "The latest start is missing.",
                "Both limits can be drawn: rng.randint includes its end, rng.randrange leaves it out."),
        Mistake("anywhere", "The positive may lie anywhere in the text.",
                "It has to touch the anchor or lie in it: nearby is what makes it a positive."),
    ],
)  # fmt: skip

# ---- XLNet's pairs


def permuted_pair(row: list[int], rng: chance.Random) -> tuple[list[int], list[int]]:
    """One place, which sees what comes before it in an order of all places drawn by chance; and what stands there."""
    order = rng.sample(range(len(row)), len(row))
    rank = rng.randrange(len(row))
    at, seen = order[rank], set(order[:rank])
    context = [piece if t in seen else PAD for t, piece in enumerate(row)]
    context[at] = MASK
    return context, [row[at]]


def plain_pair(row, rng, *, wrong=frozenset()):
    rng = chance.Random(0) if "always the same" in wrong else rng
    n = len(row)
    order, rank = rng.sample(range(n), n), rng.randrange(n)
    if "all others seen" in wrong:
        rank = n - 1
    if "never alone" in wrong:
        rank = rng.randrange(1, n)
    if "never all" in wrong:
        rank = rng.randrange(n - 1)
    at, seen = order[rank], set(order[:rank])
    if "order of the text" in wrong:
        at, seen = rank, set(range(rank))
    if "each by a coin" in wrong:
        seen = {t for t in range(n) if t != at and rng.random() < 0.5}
    if "ranks for places" in wrong:
        seen = set(range(rank)) - {at}
    hidden = MASK if "masks" in wrong else PAD
    context = [piece if t in seen else hidden for t, piece in enumerate(row)]
    if "given away" in wrong:
        context[at] = row[at]
    elif "not marked" not in wrong:
        context[at] = MASK
    if "taken out" in wrong:
        context = [piece for piece in context if piece != PAD]
    if "place given" in wrong:
        return context, [at]
    return context, row[at] if "no list" in wrong else [row[at]]


def pairs(answer, row: list[int]) -> dict[str, object]:
    seen = dict.fromkeys(
        ("it gives two lists", "the same rng gives the same pair", "one place is marked", "the others keep theirs",
         "what stood there is b"), "",
    )  # fmt: skip
    places, numbers, alone = [], [], []
    for seed in range(DRAWS // 2):
        drawn = returned(answer(row, chance.Random(seed)))
        try:
            context, word = drawn
            context, length = list(context), len(context)
        except (TypeError, ValueError) as error:
            raise Unexpected(f"Two lists of pieces were expected, got {drawn!r}.") from error
        if not isinstance(word, list | tuple) or len(word) != 1:
            seen["it gives two lists"] = f"b is {word!r} where a list with one piece was expected"
            word = [word]
        if seed < 20 and drawn != answer(row, chance.Random(seed)):
            seen["the same rng gives the same pair"] = "Two generators with one seed give different pairs"
        marked = [t for t, piece in enumerate(context) if piece == MASK]
        if len(marked) != 1:
            seen["one place is marked"] = f"{len(marked)} places of {context} are MASK"
        if length != len(row) or any(piece not in (MASK, PAD, row[t]) for t, piece in enumerate(context[: len(row)])):
            seen["the others keep theirs"] = f"Of {row} it makes {context}"
        elif len(marked) == 1 and word[0] != row[marked[0]]:
            seen["what stood there is b"] = f"Of {row} it hides place {marked[0]} and returns {word[0]!r}"
        known = [t for t, piece in enumerate(context) if piece not in (MASK, PAD)]
        places += marked[:1]
        numbers.append(len(known))
        alone += known if len(known) == 1 else []
    return seen | {
        "which place it asks for": Counts(places),
        "how many places are seen": Counts(numbers),
        "which place is seen, if it is one": Counts(alone),
    }


PERMUTED_PAIR = Algorithm(
    reference=permuted_pair,
    plain=plain_pair,
    observe=pairs,
    cases=[
        case("a row of 4 pieces", [11, 12, 13, 14]),
        case("a row of 7 pieces, two of them alike", [21, 22, 23, 22, 24, 25, 26]),
    ],
    mistakes=[
        Mistake("taken out", "The places that are not seen have gone, and with them where the others stood.",
                "Write PAD there: the row keeps its length, and each piece its place."),
        Mistake("no list", "b is a number, not a row.", "Return b as a row with one piece, [row[at]]."),
        Mistake("place given", "b is the place, not the piece that stood there.", "Look it up: row[at]."),
        Mistake("masks", "Places that are not seen are MASK, as if they were asked for, too.",
                "Only the place to be guessed is MASK. The others are PAD, which is never attended to."),
        Mistake("given away", "The piece to be guessed still stands in a.", "Write MASK in its place."),
        Mistake("not marked", "Nothing in a says which place is asked for.", "Write MASK in its place."),
        Mistake("always the same", "It gives the same pair whatever rng it is given.",
                "Draw from the rng that is handed in, and make none of your own."),
        Mistake("all others seen", "All other places are seen: these are the pairs of masked words.",
                "The place to be guessed can have any rank in the order, and sees only those before it."),
        Mistake("never alone", "The first place of the order is never asked for.",
                "It sees nothing, and still counts: its rank is drawn from 0 to the length minus 1."),
        Mistake("never all", "The last place of the order is never asked for.",
                "It sees all others, and still counts: rng.randrange leaves its end out."),
        Mistake("order of the text", "The order is that of the text: these are the pairs from left to right.",
                "Shuffle the places first: rng.sample(range(n), n)."),
        Mistake("each by a coin", "Each other place is seen with probability one half, so half of them nearly always.",
                "Draw an order, and a rank in it: any number of places is then seen equally often."),
        Mistake("ranks for places", "The rank in the order is used as a place of the text.",
                "order[rank] is the place that is asked for, and order[:rank] are those it sees."),
    ],
)  # fmt: skip

# ---- who stands in the batch

TOGETHER = 48


def judge_batch(answer) -> Iterator[tuple[str, ...]]:
    what = f"it is (texts, sentences of each), {TOGETHER} sentences in all"
    try:
        texts, length = (int(part) for part in answer)
    except (TypeError, ValueError):
        yield what, "Hand in two integers, such as (8, 6)."
        return
    fits = texts >= 1 and length >= 1 and texts * length == TOGETHER
    yield what, *(("",) if fits else (f"{texts} texts of {length} sentences are {texts * length}.", "another size"))
    yield "there are neighbours", *(("",) if length > 1 else ("No sentence has a neighbour.", "no neighbours"))
    before, found = labs.context(TOGETHER // 6, 6, steps=0), labs.context(texts, length)
    says = (
        f"It finds the neighbour among the other five of its own text in {number(found.order, digits=2)} % of cases "
        f"(before training {number(before.order, digits=2)} %), and a sentence of its own text among all in "
        f"{number(found.topic, digits=2)} %."
    )
    yield "the encoder has learnt the order", *(("",) if found.order > 60 else (says, "topic"))


ORDER_BATCH = Experiment(
    name="order_batch",
    reference=(2, 24),
    judge=judge_batch,
    mistakes=[
        Mistake("another size", f"The batch should have {TOGETHER} sentences.",
                "Texts times sentences: (8, 6) is one way.", (8, 8)),
        Mistake("no neighbours", "A text of one sentence has no neighbours.",
                "Take at least two sentences of each text.", (48, 1)),
        Mistake("topic", "The topic is enough to tell the neighbours from this batch, so the encoder learns the topic.",
                "Which candidates share the topic with the anchor? Choose a batch in which knowing it does not help.",
                (8, 6)),
    ],
)  # fmt: skip

EXERCISES = (QUICK_THOUGHTS_LOSS, CONTEXT_FLOOR, POSITIVE_SPAN, ORDER_BATCH, PERMUTED_PAIR)
