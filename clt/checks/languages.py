"""Other languages: characters as tokens, translation ranking with a margin, a rotation in closed form, hubs."""

import re

import torch
from torch import Tensor

from clt import losses
from clt.checks._algorithm import Algorithm, Derivation
from clt.checks._common import REDUCTION, mistakes, of_all_lengths, pairs, random, reduced, unit
from clt.checks._exercise import Mistake, case
from clt.checks._loss import Loss

# ---- characters as tokens

HAN = "\u4e00-\u9fff"


def characters(text: str) -> list[str]:
    """Each Chinese character alone, other words and numbers whole and in small letters, each mark alone."""
    return re.findall(rf"[{HAN}]|[^\W{HAN}_]+|[^\w\s]|_", text.lower())


def plain_characters(text, *, wrong=frozenset()):
    if "split at blanks" in wrong:
        return text.lower().split()
    if "every character" in wrong:
        return [c for c in text.lower() if not c.isspace()]
    if "blanks kept" in wrong:
        return re.findall(rf"[{HAN}]|[^\W{HAN}_]+|[^\w]|_", text.lower())
    found, word = [], ""
    for c in text if "capitals kept" in wrong else text.lower():
        han = "\u4e00" <= c <= "\u9fff"
        joins = (c.isalpha() if "digits alone" in wrong else c.isalnum()) and (
            not han or "Chinese words whole" in wrong
        )
        if joins or ("marks stay on words" in wrong and not han and not c.isspace()):
            word += c
            continue
        found += [word] if word else []
        word = ""
        if c.isspace() or ("marks dropped" in wrong and not c.isalnum()) or ("Chinese only" in wrong and not han):
            continue
        found.append(c)
    found += [word] if word else []
    return [token for token in found if "\u4e00" <= token <= "\u9fff"] if "Chinese only" in wrong else found


def tokens_of(answer, text: str) -> dict[str, object]:
    return {"the tokens": list(answer(text))}


CHARACTERS = Algorithm(
    reference=characters,
    plain=plain_characters,
    cases=[
        case("'我爱茶。'", "我爱茶。"),
        case("'她用 iPhone 15 拍照，很清楚！'", "她用 iPhone 15 拍照，很清楚！"),
        case("'The train (G7) left.'", "The train (G7) left."),
        case("'在北京住了3年'", "在北京住了3年"),
        case("'我家换了 Wifi'", "我家换了 Wifi"),
    ],
    observe=tokens_of,
    mistakes=[
        Mistake("split at blanks", "The text is split at blanks, so a Chinese sentence is a single token.",
                "Chinese is written without blanks: each character has to become a token."),
        Mistake("every character", "Every character is a token, and Latin words fall into letters.",
                "Only Chinese characters stand alone; a run of other letters or digits stays whole."),
        Mistake("blanks kept", "Blanks are among the tokens.", "White space ends a word and is then dropped."),
        Mistake("capitals kept", "Capital letters are kept.", "Put the text into small letters first."),
        Mistake("marks dropped", "Punctuation is dropped.", "Each mark is a token of its own."),
        Mistake("marks stay on words", "Punctuation stays on the word before or after it.",
                "Each mark is a token of its own."),
        Mistake("digits alone", "Digits stand alone.", "A run of letters and digits is one token: 15, g7."),
        Mistake("Chinese words whole", "A run of Chinese characters is one token.",
                "Each of them has to stand alone."),
        Mistake("Chinese only", "Only the Chinese characters are left.",
                "Words, numbers and marks are tokens as well."),
    ],
)  # fmt: skip

# ---- translation ranking with an additive margin


def additive_margin_loss(left: Tensor, right: Tensor, *, margin: float = 0.3, temperature: float = 0.05) -> Tensor:
    return losses.additive_margin_loss(left, right, margin=margin, temperature=temperature)


additive_margin_loss.__doc__ = losses.additive_margin_loss.__doc__


def plain_margin(left, right, *, margin=0.3, temperature=0.05, wrong=frozenset()):
    x, y = unit(left, wrong), unit(right, wrong)
    scores, own = x @ y.T, torch.eye(len(x), dtype=x.dtype)
    margin = 0.0 if "margin missing" in wrong else -margin if "margin added" in wrong else margin
    off = margin * own
    if "temperature missing" in wrong:
        logits, plain = scores - off, scores
    elif "margin after the temperature" in wrong:
        logits, plain = scores / temperature - off, scores / temperature
    else:
        logits, plain = (scores - off) / temperature, scores / temperature
    below = plain if "margin above only" in wrong else logits
    there = below.logsumexp(1) - logits.diagonal()
    back = below.logsumexp(0) - logits.diagonal()
    if "one direction" in wrong:
        return reduced(there, wrong)
    if "other direction" in wrong:
        return reduced(back, wrong)
    return reduced((there + back) / (2 if "mean of both" in wrong else 1), wrong)


ADDITIVE_MARGIN_LOSS = Loss(
    reference=additive_margin_loss,
    plain=plain_margin,
    cases=[
        case("6 pairs, margin 0.3, τ = 0.05", *pairs(6, 5, seed=1), margin=0.3, temperature=0.05),
        case("5 pairs of very different lengths, margin 0.1, τ = 0.5", *map(of_all_lengths, pairs(5, 4, seed=3)),
             margin=0.1, temperature=0.5),
        case("4 pairs, margin 0.7, τ = 0.2", *pairs(4, 8, seed=5), margin=0.7, temperature=0.2),
        case("1 pair", *pairs(1, 3, seed=7), margin=0.3, temperature=0.1),
    ],
    mistakes=[
        Mistake("margin above only", "The margin is taken off in the numerator only: this adds a constant to the loss.",
                "The positive stands in the denominator, too, and there as well its cosine is smaller by m."),
        Mistake("margin missing", "There is no margin: it is missing, or taken off every cosine, where it cancels.",
                "Take it off the diagonal alone, before dividing by τ."),
        Mistake("margin added", "The margin makes the task easier: it is added to the positive or taken off the rest.",
                "Take it off the positive, which then has to win with a handicap."),
        Mistake("margin after the temperature", "The margin is taken off after the division by the temperature.",
                "It is measured in cosines: (cos − m)/τ."),
        Mistake("one direction", "Only one direction is here: left looks for right.",
                "Add the loss in which right looks for left: sum along the columns as well."),
        Mistake("other direction", "Only one direction is here: right looks for left.",
                "Add the loss in which left looks for right."),
        Mistake("mean of both", "This is the mean of the two directions.", "They are added."),
        *mistakes("temperature missing", "not normalised", "normalised over the batch", *REDUCTION),
    ],
)  # fmt: skip

# ---- a rotation in closed form


def rotation(x: Tensor, y: Tensor) -> Tensor:
    """The orthogonal W for which x W comes nearest to y: U Vᵀ, where xᵀ y = U S Vᵀ.

    Args:
        x, y: ``(N, D)``; row i of one belongs to row i of the other.
    """
    u, _, vh = torch.linalg.svd(x.T @ y)
    return u @ vh


def plain_rotation(x, y, *, wrong=frozenset()):
    if "least squares" in wrong:
        return torch.linalg.lstsq(x, y).solution
    if "over the rows" in wrong:
        u, _, vh = torch.linalg.svd(x @ y.T)
        return u @ vh
    if "singular values kept" in wrong:
        return x.T @ y
    product = y.T @ x if "turned round" in wrong else x.T @ y
    u, _, vh = torch.linalg.svd(product)
    return u @ (vh.T if "V not transposed" in wrong else vh)


ROTATION = Derivation(
    reference=rotation,
    plain=plain_rotation,
    cases=[
        case("8 pairs of 3 numbers", random(8, 3, seed=1), random(8, 3, seed=2)),
        case("12 pairs of 4 numbers", random(12, 4, seed=3), random(12, 4, seed=4)),
        case("9 pairs of 2 numbers", random(9, 2, seed=5), 3 * random(9, 2, seed=6)),
    ],
    tolerance=1e-6,
    mistakes=[
        Mistake("least squares", "This is the best matrix of all, and it is not orthogonal: it stretches.",
                "Maximise the trace of Wᵀ xᵀ y among the orthogonal matrices: take its singular value decomposition."),
        Mistake("singular values kept", "This is xᵀ y, or its parts put together again: it stretches.",
                "Replace the singular values by 1: U Vᵀ."),
        Mistake("V not transposed", "The second factor is transposed once too often.",
                "`torch.linalg.svd` returns Vᵀ already, as its third value."),
        Mistake("turned round", "This turns y into x.", "Start from xᵀ y, or transpose the result."),
        Mistake("over the rows", "This is N × N: the decomposition is that of x yᵀ.",
                "W turns the D directions, so it comes from xᵀ y, which is D × D."),
    ],
)  # fmt: skip

# ---- hubs


def csls(cosines: Tensor, *, k: int = 10) -> Tensor:
    """Cross-domain similarity local scaling: 2 cos(x, y) − r(x) − r(y).

    Args:
        cosines: ``(N, M)``, of N sources with M targets.
        k: r(x) is the mean cosine of x with its k nearest targets, r(y) that of y with its k nearest sources.
    """
    there = cosines.topk(k, dim=1).values.mean(dim=1, keepdim=True)
    back = cosines.topk(k, dim=0).values.mean(dim=0, keepdim=True)
    return 2 * cosines - there - back


def plain_csls(cosines, *, k=10, wrong=frozenset()):
    rows = [sorted(row, reverse=True) for row in cosines.tolist()]
    columns = [sorted(column, reverse=True) for column in cosines.T.tolist()]
    if "farthest" in wrong:
        rows, columns = ([values[::-1] for values in side] for side in (rows, columns))
    if "all of them" in wrong:
        r, c = ([sum(v) / len(v) for v in side] for side in (rows, columns))
    elif "the k-th" in wrong:
        r, c = ([v[k - 1] for v in side] for side in (rows, columns))
    else:
        share = 1 if "sum" in wrong else k
        r, c = ([sum(v[:k]) / share for v in side] for side in (rows, columns))
    there, back = torch.tensor(r, dtype=cosines.dtype)[:, None], torch.tensor(c, dtype=cosines.dtype)
    there = 0 * there if "targets only" in wrong else there
    back = 0 * back if "sources only" in wrong else back
    factor = 1 if "factor missing" in wrong else 2
    sign = -1 if "added" in wrong else 1
    return factor * cosines - sign * there - sign * back


CSLS = Algorithm(
    reference=csls,
    plain=plain_csls,
    cases=[
        case("5 sources, 7 targets, k = 3", random(5, 7, seed=1).tanh(), k=3),
        case("6 of each, k = 2", random(6, 6, seed=2).tanh(), k=2),
        case("8 sources, 4 targets, k = 1", random(8, 4, seed=3).tanh(), k=1),
        case("12 of each, k = 10", random(12, 12, seed=4).tanh()),
    ],
    mistakes=[
        Mistake("sources only", "Only r of the sources is taken off, which changes no ranking of the targets.",
                "Take off the mean of each target's k nearest sources as well: that is what tames a hub."),
        Mistake("targets only", "Only r of the targets is taken off.",
                "The ranking of a source is right, but values of different sources cannot be compared."),
        Mistake("factor missing", "The factor 2 is missing.", "Two means are taken off, so the cosine counts twice."),
        Mistake("added", "The means are added.", "A hub is near to everything: it is to be set back."),
        Mistake("all of them", "The means are over all cosines.", "Only the k greatest count."),
        Mistake("farthest", "The means are over the smallest cosines.", "Near is a large cosine."),
        Mistake("the k-th", "This takes the k-th nearest instead of the mean of the k nearest.",
                "Take the mean of the k greatest."),
        Mistake("sum", "The k greatest are added up.", "Take their mean."),
    ],
)  # fmt: skip

EXERCISES = (CHARACTERS, ADDITIVE_MARGIN_LOSS, ROTATION, CSLS)
