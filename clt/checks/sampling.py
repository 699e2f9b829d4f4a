"""The exercises on chance: the negative sampler, judged by its distribution, and the crop, by what always holds."""

import random

import torch
from torch import Tensor

from clt.checks._algorithm import Algorithm, returned
from clt.checks._common import tensor
from clt.checks._compare import Counts, numbers
from clt.checks._exercise import Mistake, Unexpected, case

DRAWS = 20_000
SEEDS = 400


def negative_sampler(counts: Tensor, n: int, generator: torch.Generator, *, power: float = 0.75) -> Tensor:
    """``(n,)`` indices, drawn with probability proportional to ``counts ** power``."""
    return torch.multinomial(counts.double() ** power, n, replacement=True, generator=generator)


def plain_sampler(counts, n, generator, *, power=0.75, wrong=frozenset()):
    if "generator ignored" in wrong:
        generator = None
    if "always the same" in wrong:
        generator = torch.Generator().manual_seed(3)
    weight = counts.double()
    if "one added" in wrong:
        weight = weight + 1
    power = 0.75 if "power fixed" in wrong else 1.0 if "as frequent" in wrong else power
    power = 0.0 if "uniform" in wrong else 1 / power if "inverse power" in wrong else power
    weight = torch.where(weight > 0, weight, torch.inf if power < 0 else 0.0)
    share = weight.log1p() if "logarithm" in wrong else torch.where(weight > 0, weight**power, 0.0)
    if "softmax" in wrong:
        share = (weight / weight.sum()).softmax(0)
    if "rare words first" in wrong:
        share = torch.where(weight > 0, share.clamp_min(1e-9) ** -1, 0.0)
    if "most frequent only" in wrong:
        return share.argmax().expand(n)
    drawn = torch.multinomial(share, n, replacement=True, generator=generator)
    return drawn + 1 if "counted from 1" in wrong else drawn


def sampled(answer, counts: Tensor, power: float) -> dict[str, object]:
    def draw(seed: int, n: int = DRAWS) -> Tensor:
        drawn = numbers(returned(answer(counts.clone(), n, torch.Generator().manual_seed(seed), power=power)))
        if drawn is None or drawn.ndim != 1:
            raise Unexpected("A tensor of indices, of shape (n,), was expected.")
        return drawn

    drawn = draw(0)
    whole = drawn.is_floating_point() or drawn.dtype == torch.bool
    same, other = torch.equal(draw(1, 50), draw(1, 50)), not torch.equal(draw(1, 50), draw(2, 50))
    return {
        "how many": len(drawn),
        "indices are integers": f"The tensor is of {drawn.dtype}" if whole else "",
        "how often each word comes": Counts(int(i) for i in drawn.tolist()),
        "the same generator draws the same": "" if same else "Two generators with one seed draw different words",
        "another seed draws others": "" if other else "Two generators with different seeds draw the same words",
    }


NEGATIVE_SAMPLER = Algorithm(
    reference=negative_sampler,
    plain=plain_sampler,
    observe=sampled,
    cases=[
        case("five words that come 100, 30, 10, 3 and 0 times", tensor(100, 30, 10, 3, 0).long(), 0.75),
        case("six words, power 0.5", tensor(1, 4, 9, 16, 25, 400).long(), 0.5),
    ],
    mistakes=[
        Mistake("as frequent", "The words are drawn as often as they come in the text: the power is missing.",
                "Raise the counts to the power first: rare words are then drawn more often than they come."),
        Mistake("uniform", "All words are drawn equally often.", "The counts weigh, raised to the power."),
        Mistake("power fixed", "The power is fixed at 0.75.", "It is an argument."),
        Mistake("inverse power", "The counts are raised to 1 over the power: frequent words gain.",
                "A power below 1 flattens: frequent words are drawn less often than they come."),
        Mistake("logarithm", "The logarithm of the counts weighs.", "The weight is the count to the power."),
        Mistake("softmax", "The shares go through a softmax, which makes them nearly equal.",
                "Divide by the sum, or let multinomial do it: it takes weights."),
        Mistake("rare words first", "Rare words are drawn more often than frequent ones.",
                "The power is positive: more frequent words are still drawn more often."),
        Mistake("one added", "Words that never come are drawn: one was added to every count.",
                "The counts weigh as they are; 0 to the power is 0."),
        Mistake("most frequent only", "It always draws the most frequent word.", "Draw by chance, with these weights."),
        Mistake("counted from 1", "The indices are counted from 1.", "The first word is word 0."),
        Mistake("generator ignored", "The generator is not used: another run draws others.",
                "Pass it on, generator=generator."),
        Mistake("always the same", "It draws the same words whatever generator it is given.",
                "Make no generator of your own: a sampler that starts anew repeats itself in every batch."),
    ],
)  # fmt: skip


def crop_view(words: list[str], rng: random.Random, *, keep: float = 0.75) -> list[str]:
    """``keep`` of the words, rounded, at least one: neighbours, starting anywhere."""
    kept = max(1, round(keep * len(words)))
    start = rng.randrange(len(words) - kept + 1)
    return words[start : start + kept]


def plain_crop(words, rng, *, keep=0.75, wrong=frozenset()):
    rng = random if "generator ignored" in wrong else random.Random(5) if "always the same" in wrong else rng
    keep = 0.75 if "share fixed" in wrong else 1 - keep if "cut share kept" in wrong else keep
    kept = int(keep * len(words)) if "rounded down" in wrong else round(keep * len(words))
    kept = kept if "may be empty" in wrong else max(1, kept)
    last = len(words) - kept + (0 if "last start missing" in wrong and kept < len(words) else 1)
    start = 0 if "first words" in wrong else len(words) - kept if "last words" in wrong else rng.randrange(last)
    if "changed in place" in wrong:
        del words[start + kept :]
        del words[:start]
        return words
    if "any words" in wrong:
        return [words[i] for i in sorted(rng.sample(range(len(words)), kept))]
    view = words[start : start + kept]
    if "shuffled" in wrong:
        rng.shuffle(view)
    return " ".join(view) if "joined" in wrong else view


def cropped(answer, words: list[str], keep: float) -> dict[str, object]:
    sentence, views, kind, complaint, repeated = list(words), [], "", "", ""
    for seed in range(SEEDS):
        view = returned(answer(words if seed == 0 else list(sentence), random.Random(seed), keep=keep))
        if isinstance(view, str):
            kind, view = f"It returns the text “{view}”", view.split()
        if not isinstance(view, list):
            raise Unexpected(f"A list of words was expected, got {type(view).__name__}.")
        if seed % 100 == 0 and not kind and view != answer(list(sentence), random.Random(seed), keep=keep):
            repeated = "Two generators with one seed give different views"
        views.append(view)
    for view in views:
        if not any(sentence[i : i + len(view)] == view for i in range(len(sentence))):
            complaint = f"“{' '.join(view)}” is no stretch of “{' '.join(sentence)}”"
    return {
        "it returns a list of words": kind,
        "how many words stay": sorted({len(view) for view in views}),
        "they are neighbours, in their order": complaint,
        "where it starts": Counts(view[0] if view else "" for view in views),
        "the same rng gives the same view": repeated,
    }


CROP_VIEW = Algorithm(
    reference=crop_view,
    plain=plain_crop,
    observe=cropped,
    cases=[
        case("eight words, keep 0.75", ["one", "two", "three", "four", "five", "six", "seven", "eight"], 0.75),
        case("ten words, keep 0.38", ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"], 0.38),
        case("three words, keep 0.1", ["red", "green", "blue"], 0.1),
        case("one word, keep 0.9", ["alone"], 0.9),
    ],
    mistakes=[
        Mistake("any words", "The words that stay are drawn one by one: that is deletion, not a crop.",
                "Draw where the stretch begins; all its words are neighbours."),
        Mistake("first words", "The crop always begins at the first word.", "Every start that fits is as likely."),
        Mistake("last words", "The crop always ends at the last word.", "Every start that fits is as likely."),
        Mistake("last start missing", "The last words of the sentence are never in a crop.",
                "With n words and k kept there are n − k + 1 starts; randrange leaves out its end."),
        Mistake("shuffled", "The words are shuffled.", "A crop keeps the order."),
        Mistake("cut share kept", "It keeps what should be cut off.", "keep is the share that stays."),
        Mistake("share fixed", "The share is fixed at 0.75.", "It is an argument."),
        Mistake("rounded down", "The number of words is rounded down.", "Take the nearest whole number."),
        Mistake("may be empty", "Nothing is left of a short sentence.", "At least one word stays."),
        Mistake("changed in place", "The caller's list is cut.", "Return a new list: the sentence is needed again."),
        Mistake("joined", "It returns a string.", "Words come in as a list and go out as one."),
        Mistake("generator ignored", "The rng is not used: another run gives other views.",
                "Draw from the rng that is given, not from the module random."),
        Mistake("always the same", "It gives the same view whatever rng it is given.",
                "Make no rng of your own: each call continues the one that is given."),
    ],
)  # fmt: skip

EXERCISES = (NEGATIVE_SAMPLER, CROP_VIEW)
