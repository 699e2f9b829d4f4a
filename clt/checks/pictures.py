"""Pictures and words: a loss without repeated captions, classes from prompts, SigLIP's bias, and a false caption."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from clt.checks._algorithm import Algorithm, Derivation, result, returned
from clt.checks._common import (
    COSINE,
    REDUCTION,
    mistakes,
    of_all_lengths,
    pairs,
    random,
    reduced,
    scaled,
    tensor,
    unit,
)
from clt.checks._exercise import Mistake, case
from clt.checks._loss import Loss
from clt.similarity import full_precision, normalize, product

# ---- the loss, without the pairs that only look like negatives


@full_precision
def masked_clip_loss(image: Tensor, text: Tensor, same: Tensor, *, temperature: float = 0.07) -> Tensor:
    """CLIP's loss, where ``same`` (N, N) says which other captions and pictures fit as well: they are left out."""
    logits = product(normalize(image), normalize(text)) / temperature
    own = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    logits = logits.masked_fill(same & ~own, -torch.inf)
    rows = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, rows) + F.cross_entropy(logits.T, rows)) / 2


def plain_masked_clip(image, text, same, *, temperature=0.07, wrong=frozenset()):
    x, y = unit(image, wrong), unit(text, wrong)
    logits = scaled(x @ y.T, temperature, wrong)
    own = torch.eye(len(x), dtype=torch.bool, device=x.device)
    out = torch.zeros_like(own) if "nothing left out" in wrong else same & ~own
    if "the others left out" in wrong:
        out = ~same & ~own
    value = 0.0 if "set to 0" in wrong else -torch.inf
    masked = logits.masked_fill(out, value)
    there = masked.diagonal() - masked.logsumexp(1)
    columns = logits if "rows masked only" in wrong else masked
    back = columns.diagonal() - columns.logsumexp(0)
    if "positive not below" in wrong:
        masked = masked.masked_fill(own, -torch.inf)
        there, back = (logits.diagonal() - masked.logsumexp(axis) for axis in (1, 0))
    if "pictures only" in wrong:
        back = there
    if "texts only" in wrong:
        there = back
    both = there + back if "added" in wrong else (there + back) / 2
    return reduced(-both.exp() if "log missing" in wrong else -both, wrong)


def repeats(n: int, *labels: int) -> Tensor:
    labels = torch.tensor(labels[:n])
    return labels[:, None] == labels


MASKED_CLIP_LOSS = Loss(
    reference=masked_clip_loss,
    plain=plain_masked_clip,
    cases=[
        case("6 pairs, two captions come twice, τ = 0.2", *pairs(6, 4, seed=1), repeats(6, 0, 1, 0, 2, 1, 3),
             temperature=0.2),
        case("3 pairs, all captions different", *pairs(3, 8, seed=3), repeats(3, 0, 1, 2), temperature=1.7),
        case("5 pairs, one caption three times", *pairs(5, 5, seed=5), repeats(5, 4, 4, 1, 4, 2), temperature=0.4),
        case("2 pairs", tensor([1.0, 0.0], [0.0, 2.0]), tensor([1.0, 1.0], [-1.0, 1.0]), repeats(2, 0, 1),
             temperature=0.8),
        case("rows of very different length", *map(of_all_lengths, pairs(5, 3, seed=7)), repeats(5, 0, 1, 2, 1, 3),
             temperature=0.6),
    ],
    extremes=[
        case("temperature 0.01, positives at cosine −1", tensor([1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]),
             tensor([-1.0, 0.0], [1.0, 0.0], [0.1, 1.0]), repeats(3, 0, 1, 2), temperature=0.01),
    ],
    batch_order_free=False,  # the matrix would have to be turned along both sides
    mistakes=[
        Mistake("nothing left out", "Repeated captions still count as negatives.",
                "Where `same` is true and it is not the pair itself, the logit becomes −∞."),
        Mistake("the others left out", "The true negatives are left out, and the repeated captions stay.",
                "`same` marks what has to go, except on the diagonal."),
        Mistake("rows masked only", "Only the direction from pictures to texts leaves the repeats out.",
                "Mask the matrix once, before it is read along rows and along columns."),
        Mistake("set to 0", "The logit is set to 0, and e⁰ = 1 still counts.", "Only −∞ leaves a candidate out."),
        Mistake("pictures only", "This is one direction: pictures look for captions.",
                "Captions look for pictures as well: the same matrix, read along its columns."),
        Mistake("texts only", "This is one direction: captions look for pictures.",
                "Pictures look for captions as well: the same matrix, read along its rows."),
        Mistake("added", "The two directions are added.", "CLIP takes their mean."),
        *mistakes("positive not below", "log missing", "temperature missing", "temperature multiplied", *COSINE,
                  *REDUCTION),
    ],
)  # fmt: skip

# ---- classes from prompts


def zero_shot(images: Tensor, prompts: Tensor) -> Tensor:
    """``(N, C)``: the cosine of each picture with each class, whose vector is made of P prompts, ``(C, P, D)``."""
    return plain_zero_shot(images, prompts)


def plain_zero_shot(images, prompts, *, wrong=frozenset()):
    each = prompts if "prompts not normalised" in wrong else F.normalize(prompts, dim=-1)
    pictures = images if "images not normalised" in wrong else F.normalize(images, dim=-1)
    if "best prompt" in wrong:
        return torch.einsum("nd,cpd->ncp", pictures, each).amax(2)
    if "first prompt" in wrong:
        each = each[:, :1]
    classes = each.sum(1) if "summed" in wrong else each.mean(1)
    if "over classes" in wrong:
        classes = each.mean(0)
    if not wrong & {"mean not normalised", "summed"}:
        classes = F.normalize(classes, dim=-1)
    scores = pictures @ classes.T
    if "softmax" in wrong:
        return scores.softmax(1)
    if "predictions" in wrong:
        return scores.argmax(1)
    return scores.T if "transposed" in wrong else scores


def uneven(classes: int, prompts: int, d: int, seed: int) -> Tensor:
    """Prompts of very different length, whose plain mean points elsewhere than that of their directions."""
    return random(classes, prompts, d, seed=seed) * torch.logspace(-1, 1, prompts, dtype=torch.float64)[:, None]


ZERO_SHOT = Algorithm(
    reference=zero_shot,
    plain=plain_zero_shot,
    observe=result,
    cases=[
        case("4 pictures, 3 classes of 2 prompts", random(4, 5, seed=1), uneven(3, 2, 5, seed=2)),
        case("3 pictures, 2 classes of 3 prompts", random(3, 4, seed=3), uneven(2, 3, 4, seed=4)),
        case("2 pictures, 4 classes of 1 prompt", 3 * random(2, 3, seed=5), random(4, 1, 3, seed=6)),
    ],
    mistakes=[
        Mistake("prompts not normalised", "Long prompt vectors have more say than short ones.",
                "Bring each prompt to length 1 before the mean."),
        Mistake("mean not normalised", "The mean of unit vectors is shorter than 1, the more its prompts differ.",
                "Normalise again after the mean, or classes whose prompts agree get higher scores."),
        Mistake("summed", "The prompts are added up and not normalised again.",
                "Take the mean and bring it to length 1."),
        Mistake("images not normalised", "The pictures are not normalised: these are no cosines.",
                "Bring each picture's vector to length 1."),
        Mistake("best prompt", "Each class gets the cosine of its best prompt.",
                "Average the prompts' vectors first, so that a class is one vector."),
        Mistake("first prompt", "Only the first prompt of each class is used.", "Average all P of them."),
        Mistake("over classes", "The mean runs over the classes.", "It runs over the prompts: dimension 1."),
        Mistake("softmax", "These are probabilities.", "Asked are the cosines themselves."),
        Mistake("predictions", "These are the predicted classes.", "Asked are the cosines, (N, C)."),
        Mistake("transposed", "The table is transposed.", "Rows are pictures, columns are classes."),
    ],
)  # fmt: skip

# ---- SigLIP's bias


def best_bias(pairs: int) -> float:
    """The bias at which SigLIP's loss is smallest while all cosines are 0: −log(N − 1)."""
    return -math.log(pairs - 1)


def plain_best_bias(pairs, *, wrong=frozenset()):
    for name, value in {
        "sign": math.log(pairs - 1),
        "all pairs": -math.log(pairs * pairs - 1),
        "batch": -math.log(pairs),
        "share": 1 / pairs,
        "odds": 1 / (pairs - 1),
        "zero": 0.0,
        "paper": -10.0,
        "halved": -math.log((pairs - 1) / 2),
    }.items():
        if name in wrong:
            return value
    return -math.log(pairs - 1)


BEST_BIAS = Derivation(
    reference=best_bias,
    plain=plain_best_bias,
    cases=[case("a batch of 16", 16), case("a batch of 128", 128), case("a batch of 32,768", 32768)],
    mistakes=[
        Mistake("sign", "The sign is wrong.", "Most pairs do not belong together, so σ(b) is below ½ and b below 0."),
        Mistake("batch", "This is −log N: σ(b) would be 1/(N + 1).", "σ(b) = 1/N means e^(−b) = N − 1."),
        Mistake("all pairs", "This counts one positive in N² pairs.", "There are N positives among N² pairs."),
        Mistake("share", "This is the share of the positives, σ(b).", "Solve σ(b) = 1/N for b."),
        Mistake("odds", "These are the odds of a positive.", "b is their logarithm."),
        Mistake("zero", "At b = 0 each pair costs log 2, and there are N² of them.",
                "Set the derivative with respect to b to 0."),
        Mistake("paper", "−10 is where the paper starts, for a batch of 32,768.", "Asked is the best b for any N."),
        Mistake("halved", "The two kinds of pairs do not weigh the same.",
                "One positive against N − 1 negatives in each row, all with weight 1."),
    ],
)  # fmt: skip

# ---- a caption that keeps its words


def swap_colours(caption: str) -> str:
    """The caption with the two colours exchanged; unchanged where it has not got two different ones."""
    return plain_swap(caption)


NAMES = ("red", "green", "blue", "yellow", "purple", "black")


def plain_swap(caption, *, wrong=frozenset()):
    words = caption.split()
    at = [i for i, word in enumerate(words) if word in NAMES]
    if len(at) == 2 and "nothing" not in wrong:
        i, j = at
        if "first only" in wrong:
            words[i] = words[j]
        elif "second only" in wrong:
            words[j] = words[i]
        elif "things" in wrong:
            words[i], words[i + 1], words[j], words[j + 1] = words[j], words[j + 1], words[i], words[i + 1]
        elif "shapes" in wrong:
            words[i + 1], words[j + 1] = words[j + 1], words[i + 1]
        elif "reversed" in wrong:
            words.reverse()
        else:
            words[i], words[j] = words[j], words[i]
    elif "one colour" in wrong and at:
        words[at[0]] = "green" if words[at[0]] == "red" else "red"
    found = " ".join(words)
    return words if "list" in wrong else found


def words_of(answer, caption: str) -> dict[str, object]:
    found = returned(answer(caption))
    told = found.split() if isinstance(found, str) else found
    return {"it returns a text": isinstance(found, str), "the words": tuple(told)}


SWAP_COLOURS = Algorithm(
    reference=swap_colours,
    plain=plain_swap,
    observe=words_of,
    cases=[
        case("“a red square left of a blue circle”", "a red square left of a blue circle"),
        case("“a green star on the left and a black cross on the right”",
             "a green star on the left and a black cross on the right"),
        case("“a yellow circle below a purple triangle”", "a yellow circle below a purple triangle"),
        case("“three red stars”", "three red stars"),
        case("“a picture of a single blue cross”", "a picture of a single blue cross"),
    ],
    mistakes=[
        Mistake("nothing", "The caption is as it was.", "Two colours: each has to stand where the other stood."),
        Mistake("first only", "Now both things have the second colour.",
                "Keep the first colour before it is written over: find both, then write both."),
        Mistake("second only", "Now both things have the first colour.",
                "Keep the second colour before it is written over: find both, then write both."),
        Mistake("things", "Colour and shape were exchanged together.",
                "Only the two words for the colours change places."),
        Mistake("shapes", "The shapes were exchanged.",
                "The shapes stay where they are: their colours change places."),
        Mistake("reversed", "The words stand in reverse order.", "Only two words change places."),
        Mistake("one colour", "A caption with one colour was changed as well.", "There is nothing to exchange."),
        Mistake("list", "This is a list of words.", "Join them again, with spaces."),
    ],
)  # fmt: skip

EXERCISES = (MASKED_CLIP_LOSS, ZERO_SHOT, BEST_BIAS, SWAP_COLOURS)
