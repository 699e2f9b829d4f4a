"""Augmentation: how far a change moves a vector, feature cutoff, random span masking, a view of the right strength."""

import math
import random
from collections.abc import Iterator

import torch
from torch import Tensor

from clt import augment
from clt.checks import labs
from clt.checks._algorithm import Algorithm, Derivation, returned
from clt.checks._compare import Counts
from clt.checks._exercise import Mistake, Unexpected, case
from clt.checks._experiment import Experiment
from clt.results import number

# ---- how far a change moves a vector


def cutoff_cosine(first: float, second: float) -> float:
    """The product keeps (1 − r)(1 − s) of the squares, the lengths 1 − r and 1 − s of them: √((1 − r)(1 − s))."""
    return math.sqrt((1 - first) * (1 - second))


def plain_cosine(first, second, *, wrong=frozenset()):
    both = (1 - first) * (1 - second)
    for name, value in {
        "lengths forgotten": both,
        "no root in the lengths": 1.0,
        "only the larger": math.sqrt(1 - max(first, second)),
        "shares added": 1 - first - second,
        "mean share": 1 - (first + second) / 2,
        "erased ones": math.sqrt(first * second),
        "one view": math.sqrt(1 - first),
        "inverted": 1 / math.sqrt(both),
        "same places": math.sqrt((1 - max(first, second)) / (1 - min(first, second))),
    }.items():
        if name in wrong:
            return value
    return math.sqrt(both)


CUTOFF_COSINE = Derivation(
    reference=cutoff_cosine,
    plain=plain_cosine,
    cases=[
        case("shares 0.2 and 0.4", 0.2, 0.4),
        case("shares 0.15 and 0.5", 0.15, 0.5),
        case("shares 0.36 and 0", 0.36, 0.0),
    ],
    mistakes=[
        Mistake("lengths forgotten", "This is the dot product of the two views.",
                "Both views have become shorter, too: a cosine divides by their lengths."),
        Mistake("no root in the lengths", "The dot product is divided by the squared lengths.",
                "A length is the root of the sum of squares."),
        Mistake("only the larger", "Only the stronger change counts here.",
                "Each of the two removes its share on its own."),
        Mistake("shares added", "The shares are added.",
                "Some places are erased in both views. How many are left in both?"),
        Mistake("mean share", "This takes the mean of the two shares off.",
                "Count what is left in the product and in the two lengths."),
        Mistake("erased ones", "This counts what was erased.", "1 − r is the share that is left."),
        Mistake("one view", "The second share is missing.", "Both views lose something."),
        Mistake("inverted", "This is above 1, which no cosine is.", "It is the product over the lengths."),
        Mistake("same places", "This would be right if the weaker change erased only what the stronger one erases.",
                "The two draw their places independently."),
    ],
)  # fmt: skip

# ---- feature cutoff


def feature_cutoff(tokens: Tensor, attention_mask: Tensor, generator: torch.Generator, *, share: float = 0.2) -> Tensor:
    return augment.feature_cutoff(tokens, attention_mask, generator, share=share)


feature_cutoff.__doc__ = augment.feature_cutoff.__doc__


def plain_feature(tokens, attention_mask, generator, *, share=0.2, wrong=frozenset()):
    if "always the same" in wrong:
        generator = torch.Generator().manual_seed(0)
    if "generator ignored" in wrong:
        generator = None
    n, length, d = tokens.shape
    count = round((0.2 if "share fixed" in wrong else 1 - share if "share kept" in wrong else share) * d)
    if "one draw for the batch" in wrong:
        erased = torch.rand(1, 1, d, generator=generator).argsort(2).argsort(2).expand(n, length, d) < count
    elif "per token" in wrong:
        erased = torch.rand(n, length, d, generator=generator).argsort(2).argsort(2) < count
    elif "by chance" in wrong:
        erased = (torch.rand(n, 1, d, generator=generator) < share).expand(n, length, d)
    elif "tokens" in wrong:
        rows = torch.rand(n, length, 1, generator=generator).argsort(1).argsort(1)
        erased = (rows < round(share * length)).expand(n, length, d)
    elif "first ones" in wrong:
        erased = (torch.arange(d) < count).expand(n, length, d)
    else:
        erased = torch.rand(n, 1, d, generator=generator).argsort(2).argsort(2).expand(n, length, d) < count
    if "changed in place" in wrong:
        tokens[erased] = 0.0
        return tokens
    view = tokens * ~erased
    if "rescaled" in wrong:
        view = view / (1 - share)
    return view.detach() if "graph cut" in wrong else view


def cut_features(answer, seed: int, shape: tuple[int, int, int], share: float) -> dict[str, object]:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randn(shape, generator=generator, dtype=torch.float64) + 3
    mask = torch.ones(shape[:2], dtype=torch.long)
    mask[0, -1] = 0
    before = tokens.clone()
    leaf = tokens.clone().requires_grad_()
    view = _view(answer, tokens, mask, seed, share)
    through = _view(answer, leaf.clone() if leaf.requires_grad else leaf, mask, seed, share)
    gone = view == 0
    columns = gone.all(dim=1)
    whole = "" if torch.equal(gone.any(dim=1), columns) else "A dimension is zero for some tokens and not for others"
    kept = "" if torch.equal(view[~gone], before[~gone]) else "A number that was not erased has changed"
    graph = "" if through.requires_grad else "No gradient reaches the tokens"
    drawn = [_view(answer, before.clone(), mask, s, share) == 0 for s in range(150)]
    repeated = torch.equal(drawn[7], _view(answer, before.clone(), mask, 7, share) == 0)
    own = any(not torch.equal(d[0].all(0), d[1].all(0)) for d in drawn[:20])
    return {
        "the input stays as it was": "" if torch.equal(tokens, before) else "It erases in the caller's tensor",
        "a dimension is zero for all tokens of a sentence, or for none": whole,
        "how many dimensions each sentence loses": sorted({int(n) for d in drawn for n in d.all(1).sum(1)}),
        "what stays is not changed": kept,
        "each sentence loses dimensions of its own": own,
        "every dimension is as likely": Counts(int(i) for d in drawn for i in d[0].all(0).nonzero()),
        "the same generator gives the same view": repeated,
        "the gradient passes": graph,
    }


def _view(answer, tokens: Tensor, mask: Tensor, seed: int, share: float) -> Tensor:
    view = returned(answer(tokens, mask, torch.Generator().manual_seed(seed), share=share))
    if not isinstance(view, Tensor) or view.shape != tokens.shape:
        found = tuple(view.shape) if isinstance(view, Tensor) else type(view).__name__
        raise Unexpected(f"A tensor of the shape {tuple(tokens.shape)} was expected, got {found}.")
    return view


FEATURE_CUTOFF = Algorithm(
    reference=feature_cutoff,
    plain=plain_feature,
    observe=cut_features,
    cases=[
        case("3 sentences of 4 tokens in 10 dimensions, share 0.3", 1, (3, 4, 10), 0.3),
        case("2 sentences of 5 tokens in 12 dimensions, share 0.25", 2, (2, 5, 12), 0.25),
    ],
    mistakes=[
        Mistake("one draw for the batch", "All sentences lose the same dimensions.",
                "Draw for each sentence: the random numbers need a dimension for the batch."),
        Mistake("per token", "Every token loses dimensions of its own.",
                "One draw for a sentence: give the random numbers the shape (B, 1, D)."),
        Mistake("by chance", "Each dimension is erased with a probability, so their number varies.",
                "Rank random numbers, and erase the ones with the lowest ranks."),
        Mistake("tokens", "Whole tokens are erased: that is token cutoff.", "Erase columns, not rows."),
        Mistake("first ones", "It is always the first dimensions.", "Draw which ones go."),
        Mistake("share fixed", "The share is fixed at 0.2.", "It is an argument."),
        Mistake("share kept", "The share is kept, and the rest erased.", "It is the share to be erased."),
        Mistake("rescaled", "What stays is divided by 1 − share.",
                "ConSERT erases and leaves the rest as it is; a cosine would not see the factor anyway."),
        Mistake("changed in place", "It erases in the caller's tensor.",
                "The other view needs it: use masked_fill without the underscore."),
        Mistake("graph cut", "The gradient does not pass.", "No detach, and no new tensor made from numbers."),
        Mistake("generator ignored", "The generator is not used: another run erases others.",
                "Pass it on, generator=generator."),
        Mistake("always the same", "It erases the same dimensions whatever generator it is given.",
                "Make no generator of your own."),
    ],
)  # fmt: skip

# ---- random span masking

DRAWS = 400


def mask_span(text: str, rng: random.Random, *, length: int = 5, mask: str = "[MASK]") -> str:
    return augment.mask_span(text, rng, length=length, mask=mask)


mask_span.__doc__ = augment.mask_span.__doc__


def plain_span(text, rng, *, length=5, mask="[MASK]", wrong=frozenset()):
    rng = random if "generator ignored" in wrong else random.Random(5) if "always the same" in wrong else rng
    length = 5 if "length fixed" in wrong else length
    mask = "[MASK]" if "mask fixed" in wrong else mask
    if "words" in wrong:
        words = text.split()
        start = rng.randrange(len(words))
        return " ".join([*words[:start], mask, *words[start + length :]])
    if "single characters" in wrong:
        gone = set(rng.sample(range(len(text)), length))
        return "".join(mask if i in gone else c for i, c in enumerate(text))
    last = len(text) - length + (0 if "last start missing" in wrong else 1)
    start = 0 if "at the start" in wrong else rng.randrange(len(text) if "over the end" in wrong else last)
    new = mask * length if "a mask for each" in wrong else "" if "deleted" in wrong else mask
    return text[:start] + new + text[start + (0 if "inserted" in wrong else length) :]


def spans_masked(answer, text: str, length: int, mask: str) -> dict[str, object]:
    views, repeated = [], ""
    for seed in range(DRAWS):
        view = returned(answer(text, random.Random(seed), length=length, mask=mask))
        if not isinstance(view, str):
            raise Unexpected(f"A text was expected, got {type(view).__name__}.")
        views.append(view)
        if seed % 100 == 0 and view != answer(text, random.Random(seed), length=length, mask=mask):
            repeated = "Two generators with one seed give different views"
    wrong = next((v for v in views if v.count(mask) != 1), "")
    starts, complaint = [], ""
    for view in views:
        before, _, after = view.partition(mask)
        starts.append(len(before))
        if not (text.startswith(before) and text.endswith(after)):
            complaint = f"“{view}” has more changes than one stretch"
    return {
        "there is one mask": f"“{wrong}”" if wrong else "",
        "how many characters are gone": sorted({len(text) + len(mask) - len(view) for view in views}),
        "what stands around it is as it was": complaint,
        "where it may start": sorted(set(starts)),
        "every start is as likely": Counts(starts),
        "the same rng gives the same view": repeated,
    }


MASK_SPAN = Algorithm(
    reference=mask_span,
    plain=plain_span,
    observe=spans_masked,
    cases=[
        case("a text of 20 characters, 5 of them", "The dog ran to a gap", 5, "[MASK]"),
        case("a text of 9 characters, 2 of them, the mask <mask>", "abcdefghi", 2, "<mask>"),
    ],
    mistakes=[
        Mistake("a mask for each", "Each of the characters has become a mask.", "The whole stretch becomes one mask."),
        Mistake("deleted", "The stretch is deleted, and no mask stands in its place.",
                "Put the mask between what stands before and after it."),
        Mistake("inserted", "The mask is put in, and nothing is taken out.",
                "Go on after the stretch, at start + length."),
        Mistake("single characters", "The characters are drawn one by one.",
                "Draw where the stretch begins; its characters are neighbours."),
        Mistake("words", "Words are masked.", "Mirror-BERT counts characters, blanks among them."),
        Mistake("at the start", "It always masks the beginning.", "Draw where the stretch begins."),
        Mistake("last start missing", "The last character is never masked.",
                "With n characters there are n − length + 1 starts; randrange leaves out its end."),
        Mistake("over the end", "Some stretches reach over the end of the text, and fewer characters are hidden.",
                "The last start is at n − length."),
        Mistake("length fixed", "The length is fixed at 5.", "It is an argument."),
        Mistake("mask fixed", "The mask is fixed.", "It is an argument: tokenizers differ."),
        Mistake("generator ignored", "The rng is not used: another run gives other views.",
                "Draw from the rng that is given, not from the module random."),
        Mistake("always the same", "It gives the same view whatever rng it is given.", "Make no rng of your own."),
    ],
)  # fmt: skip

# ---- a view with something to say


def judge_view(answer) -> Iterator[tuple[str, ...]]:
    try:
        change, share = answer[0], float(answer[1])
        fits = change in labs.CUTOFFS and 0 <= share <= 1
    except (TypeError, ValueError, IndexError):
        fits = False
    what = "it is a change and its share"
    says = f"Hand in one of {' and '.join(map(repr, labs.CUTOFFS))} and a share from 0 to 1, in this order."
    yield what, *(("",) if fits else (says, "no change"))
    _, found, apart = labs.two_cutoffs(change, share)
    says = f"The two views are {number(apart, digits=2)} times as far apart as strangers"
    yield (
        "the two views are at least 0.4 times as far apart as strangers",
        *(("",) if apart >= 0.4 else (f"{says}.", "too weak")),
    )
    says = f"{says}, and {number(found, digits=2)} % find their partner."
    wrong = "too strong" if change == "token cutoff" else "features too strong"
    yield "at least 60 % of the views find their partner", *(("",) if found >= 60 else (says, wrong))


VIEW_STRENGTH = Experiment(
    name="view_strength",
    reference=("token cutoff", 0.3),
    judge=judge_view,
    mistakes=[
        Mistake("no change", "This is no change with a share.", "Such as: ('token cutoff', 0.15).", ("shuffle", 0.3)),
        Mistake("too weak", "The two views are nearly one vector: holding them together is no task.",
                "Erase a larger share.", ("token cutoff", 0.05)),
        Mistake("too strong", "What is left does not tell which sentence it was.", "Erase a smaller share.",
                ("token cutoff", 0.7)),
        Mistake("features too strong", "What is left does not tell which sentence it was.",
                "All tokens lose the same dimensions, so no other token can stand in: erase far less.",
                ("feature cutoff", 0.3)),
    ],
)  # fmt: skip

EXERCISES = (CUTOFF_COSINE, FEATURE_CUTOFF, MASK_SPAN, VIEW_STRENGTH)
