"""Siamese encoders: what a head without interaction cannot say, SBERT's loss, the mean of a DAN, angles and order."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from clt import losses
from clt.checks._algorithm import Algorithm, Derivation
from clt.checks._common import REDUCTION, mistakes, random, reduced, tensor
from clt.checks._exercise import Mistake, case
from clt.checks._loss import Loss

# ---- a head on (u, v) alone


def fourth_logit(ab: float, ad: float, cb: float) -> float:
    """What a head on (u, v) has to give (c, d): f(c) + g(d) = (f(a) + g(d)) + (f(c) + g(b)) − (f(a) + g(b))."""
    return ad + cb - ab


def plain_fourth(ab, ad, cb, *, wrong=frozenset()):
    for name, value in {
        "mean of the other two": (ad + cb) / 2,
        "mean of three": (ab + ad + cb) / 3,
        "all added": ab + ad + cb,
        "the two that share": ad + cb,
        "same as the first": ab,
        "products": ad * cb / ab,
        "turned round": ab - ad - cb,
        "other diagonal": ab + ad - cb,
    }.items():
        if name in wrong:
            return value
    return ad + cb - ab


FOURTH_LOGIT = Derivation(
    reference=fourth_logit,
    plain=plain_fourth,
    cases=[
        case("(a, b) 3, (a, d) −1, (c, b) −2", 3.0, -1.0, -2.0),
        case("(a, b) 0.5, (a, d) 1.5, (c, b) 2.25", 0.5, 1.5, 2.25),
        case("(a, b) −4, (a, d) 2, (c, b) 0.3", -4.0, 2.0, 0.3),
    ],
    mistakes=[
        Mistake("products", "This treats the logit as a product of two numbers.",
                "Without interaction it is a sum, f of the first sentence plus g of the second."),
        Mistake("mean of the other two", "This is the mean of the two pairs that share a sentence with (c, d).",
                "Write all four logits as f + g, and look for what cancels."),
        Mistake("mean of three", "This is the mean of the three known logits.",
                "No guess is needed: write all four logits as f + g, and the fourth follows."),
        Mistake("all added", "All three are added, so f(a) and g(b) are still in the sum.",
                "They have to go: take one of the three logits off."),
        Mistake("the two that share", "The sum of these two still holds f(a) and g(b).",
                "Both stand together in the third logit: take it off."),
        Mistake("same as the first", "This is what one would wish for: (c, d) like (a, b).",
                "The head has no such choice: its other two logits fix the fourth."),
        Mistake("turned round", "The sign is wrong.",
                "Start from f(c) + g(d): each of them stands in one known logit."),
        Mistake("other diagonal", "f(c) and g(d) have to come in with a plus.",
                "f(c) stands in (c, b), g(d) in (a, d)."),
    ],
)  # fmt: skip

# ---- SBERT's loss


def pair_loss(u: Tensor, v: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
    """Cross entropy of the softmax of W (u, v, \\|u − v\\|).

    Args:
        u, v: ``(N, D)``, the vectors of the two sentences of each pair.
        labels: ``(N,)`` integers, the class of each pair.
        weight: ``(C, 3D)``, the head's matrix.
    """
    return F.cross_entropy(torch.cat([u, v, (u - v).abs()], dim=1) @ weight.T, labels)


def plain_pair(u, v, labels, weight, *, wrong=frozenset()):
    if "normalised" in wrong:
        u, v = F.normalize(u, dim=1), F.normalize(v, dim=1)
    apart = (u - v).abs()
    for name, value in {
        "no absolute value": u - v,
        "other way round": v - u,
        "squared": (u - v) ** 2,
        "product": u * v,
    }.items():
        apart = value if name in wrong else apart
    parts = [v, u, apart] if "v first" in wrong else [u, v, apart]
    parts = [apart, u, v] if "difference first" in wrong else parts
    logits = torch.cat(parts, dim=1) @ weight.T
    if "softmax twice" in wrong:
        logits = logits.softmax(1)
    shares = logits.log_softmax(0 if "over the batch" in wrong else 1)
    picked = shares.gather(1, labels[:, None])[:, 0]
    return reduced(-picked.exp() if "log missing" in wrong else -picked, wrong)


def _pair(n: int, d: int, classes: int, seed: int) -> tuple[Tensor, ...]:
    u = random(n, d, seed=seed)
    v = 0.5 * u + random(n, d, seed=seed + 1)
    labels = torch.randint(classes, (n,), generator=torch.Generator().manual_seed(seed))
    return u, v, labels, random(classes, 3 * d, seed=seed + 2)


PAIR_LOSS = Loss(
    reference=pair_loss,
    plain=plain_pair,
    cases=[
        case("4 pairs, 3 classes", *_pair(4, 5, 3, seed=1)),
        case("7 pairs, 2 classes", *_pair(7, 3, 2, seed=4)),
        case("1 pair", tensor([1.0, -2.0]), tensor([0.5, 1.0]), torch.tensor([1]), random(3, 6, seed=7)),
        case("5 pairs of equal sentences", *(2 * [random(5, 4, seed=8)]), torch.tensor([0, 1, 2, 0, 1]),
             random(3, 12, seed=9)),
    ],
    mistakes=[
        Mistake("no absolute value", "The difference has lost its absolute value.",
                "u − v is a sum of a function of u and one of v: without |·| there is no interaction."),
        Mistake("other way round", "The difference is v − u, without an absolute value.",
                "Take |u − v|, which does not depend on the order."),
        Mistake("squared", "The difference is squared.", "SBERT takes its absolute value, number by number."),
        Mistake("product", "The third part is the product u∗v.", "The third part of SBERT's head is |u − v|."),
        Mistake("v first", "u and v have changed places.", "The order is u, v, |u − v|."),
        Mistake("difference first", "|u − v| stands first.",
                "The order is u, v, |u − v|: the columns of W belong to it."),
        Mistake("normalised", "The vectors are normalised inside.", "SBERT's head takes them as they are."),
        Mistake("softmax twice", "The logits go through a softmax before the cross entropy, which takes one itself.",
                "Hand the plain products to `F.cross_entropy`."),
        Mistake("over the batch", "The softmax runs over the pairs of the batch.",
                "Each pair chooses among the classes: along its row."),
        *mistakes("log missing", *REDUCTION),
    ],
)  # fmt: skip

# ---- the mean of a deep averaging network


def kept_mean(vectors: Tensor, real: Tensor, kept: Tensor) -> Tensor:
    """The mean of the word vectors that are real and kept; where none of a sentence is kept, of all its real ones.

    Args:
        vectors: ``(N, L, D)``, padded to one length.
        real: ``(N, L)`` bool, False at padding.
        kept: ``(N, L)`` bool, what word dropout spares.
    """
    left = real & kept
    left = torch.where(left.any(1, keepdim=True), left, real)
    return (vectors * left[..., None]).sum(1) / left.sum(1, keepdim=True)


def plain_kept(vectors, real, kept, *, wrong=frozenset()):
    rows = []
    for row, is_real, is_kept in zip(vectors, real.tolist(), kept.tolist(), strict=True):
        if "dropped ones kept" in wrong:
            is_kept = [not k for k in is_kept]
        if "dropout ignored" in wrong:
            is_kept = [True] * len(is_kept)
        allowed = [True] * len(is_real) if "padding counted" in wrong else is_real
        left = [i for i in range(len(row)) if allowed[i] and is_kept[i]]
        if not left and "all dropped is 0" not in wrong:
            left = [i for i in range(len(row)) if allowed[i]]
        number = len(left)
        if "divided by the length" in wrong:
            number = sum(allowed)
        if "divided by L" in wrong:
            number = len(row)
        if "root" in wrong:
            number = math.sqrt(number)
        if "sum" in wrong:
            number = 1
        total = sum((row[i] for i in left), torch.zeros_like(row[0]))
        rows.append(total / max(number, 1))
    return torch.stack(rows)


def _sentences(*lengths: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    most = max(lengths)
    vectors = random(len(lengths), most, 3, seed=seed)
    real = torch.arange(most) < torch.tensor(lengths)[:, None]
    kept = random(len(lengths), most, seed=seed + 1) > -0.3
    kept[:, 0], kept[0] = True, False  # of the first sentence nothing is kept
    kept[-1, -1] = True
    return vectors, real, kept


KEPT_MEAN = Algorithm(
    reference=kept_mean,
    plain=plain_kept,
    cases=[
        case("3 sentences of 4, 5 and 2 words, none kept of the first", *_sentences(4, 5, 2, seed=1)),
        case("5 sentences, none kept of the first", *_sentences(3, 7, 1, 6, 2, seed=3)),
        case("2 sentences of one length, none kept of the first", *_sentences(4, 4, seed=5)),
    ],
    mistakes=[
        Mistake("divided by the length", "The sum over the kept words is divided by the length of the sentence.",
                "Divide by how many are left, or the vector shrinks with every dropped word."),
        Mistake("divided by L", "The sum is divided by the padded length L.",
                "Divide by how many real words are left."),
        Mistake("padding counted", "Padding takes part in the mean.", "A word has to be real and kept."),
        Mistake("all dropped is 0", "A sentence of which nothing is kept becomes 0.",
                "In the published code it then keeps all its words."),
        Mistake("dropped ones kept", "The mean is over the dropped words.", "`kept` is True for words that stay."),
        Mistake("dropout ignored", "All real words are averaged: nothing is dropped.", "Use `kept` as well."),
        Mistake("root", "The sum is divided by the root of the number of words.",
                "That is the pooling of USE; a DAN takes the mean."),
        Mistake("sum", "This is the sum of the kept words.", "Divide by how many are left."),
    ],
)  # fmt: skip

# ---- angular similarity


def angular_slope(cosine: float) -> float:
    """The derivative of 1 − arccos(c)/π: 1 / (π √(1 − c²))."""
    return 1 / (math.pi * math.sqrt(1 - cosine**2))


def plain_slope(cosine, *, wrong=frozenset()):
    c = float(cosine)
    for name, value in {
        "sign": -1 / (math.pi * math.sqrt(1 - c * c)),
        "pi missing": 1 / math.sqrt(1 - c * c),
        "pi above": math.pi / math.sqrt(1 - c * c),
        "root missing": 1 / (math.pi * (1 - c * c)),
        "the similarity": 1 - math.acos(c) / math.pi,
        "root above": math.sqrt(1 - c * c) / math.pi,
        "plus": 1 / (math.pi * math.sqrt(1 + c * c)),
        "not squared": 1 / (math.pi * math.sqrt(1 - c)),
        "of the angle": 1 / math.pi,
    }.items():
        if name in wrong:
            return value
    return 1 / (math.pi * math.sqrt(1 - c * c))


ANGULAR_SLOPE = Derivation(
    reference=angular_slope,
    plain=plain_slope,
    cases=[case("a cosine of 0.5", 0.5), case("a cosine of 0.99", 0.99), case("a cosine of −0.3", -0.3)],
    mistakes=[
        Mistake("sign", "The sign is wrong: a larger cosine is a greater similarity.",
                "The derivative of arccos is negative, and it is taken off."),
        Mistake("pi missing", "The division by π is missing.", "The angle is measured in parts of π."),
        Mistake("pi above", "π stands in the numerator.", "The angle is divided by π, and so is its derivative."),
        Mistake("root missing", "The root is missing.", "The derivative of arccos(c) is −1/√(1 − c²)."),
        Mistake("the similarity", "This is the similarity itself.", "Asked is its derivative by the cosine."),
        Mistake("root above", "The root stands in the numerator: this falls to 0 at a cosine of 1.",
                "The derivative of arccos(c) is −1/√(1 − c²)."),
        Mistake("plus", "This is the derivative of another function: 1 + c² under the root.",
                "sin² = 1 − cos²: it is 1 − c²."),
        Mistake("not squared", "The cosine under the root is not squared.",
                "The derivative of arccos(c) is −1/√(1 − c²)."),
        Mistake("of the angle", "This is the derivative by the angle.",
                "By the cosine, arccos has a slope of its own."),
    ],
)  # fmt: skip

# ---- CoSENT


def cosent_loss(similarities: Tensor, scores: Tensor, *, scale: float = 20.0) -> Tensor:
    return losses.cosent_loss(similarities, scores, scale=scale)


cosent_loss.__doc__ = losses.cosent_loss.__doc__


def plain_cosent(similarities, scores, *, scale=20.0, wrong=frozenset()):
    factor = {"scale missing": 1.0, "divided by the scale": 1 / scale}
    factor = next((f for name, f in factor.items() if name in wrong), scale)
    n, terms = len(scores), []
    for a in range(n):
        for b in range(n):
            below, equal = bool(scores[a] < scores[b]), bool(scores[a] == scores[b])
            if "neighbours only" in wrong and b != a + 1:
                continue
            if below or ("ties counted" in wrong and equal) or "all counted" in wrong:
                gap = factor * (similarities[a] - similarities[b])
                gap = -gap if "wrong way" in wrong else gap
                terms.append((scores[b] - scores[a]) * gap.exp() if "weighed" in wrong else gap.exp())
    total = sum(terms, 0.0 * similarities.sum())
    if "mean of the terms" in wrong:
        total = total / max(len(terms), 1)
    total = total if "log missing" in wrong or "1 missing" in wrong else 1 + total
    total = total if "log missing" in wrong else total.log()
    return total / n if "divided by N" in wrong else total


COSENT_LOSS = Loss(
    reference=cosent_loss,
    plain=plain_cosent,
    cases=[
        case("6 pairs, two of one score", tensor(0.1, 0.7, 0.3, 0.35, -0.2, 0.9), tensor(0.2, 0.9, 0.4, 0.4, 0.0, 1.0),
             scale=20.0),
        case("5 pairs, in the wrong order", tensor(0.9, 0.5, 0.6, 0.2, -0.1), tensor(0.0, 1.0, 2.5, 4.0, 5.0),
             scale=3.0),
        case("3 pairs, scores 0, 1, 1", tensor(0.4, 0.1, 0.5), tensor(0.0, 1.0, 1.0), scale=5.0),
        case("8 pairs", random(8, seed=1).tanh(), random(8, seed=2), scale=7.0),
    ],
    mistakes=[
        Mistake("wrong way", "The sign inside the exponential is wrong: this grows as the order gets better.",
                "Where b deserves more than a, a similarity of a above that of b is what costs."),
        Mistake("all counted", "Every pair of pairs is counted, whichever deserves more.",
                "Only (a, b) with y_a < y_b count."),
        Mistake("ties counted", "Pairs of equal score are counted, each pair with itself among them.",
                "Equal scores ask nothing of each other: < and not ≤."),
        Mistake("scale missing", "The scale is missing.", "Differences of cosines are multiplied by λ."),
        Mistake("divided by the scale", "The differences are divided by the scale.",
                "λ is the inverse of a temperature: multiply."),
        Mistake("1 missing", "The 1 inside the logarithm is missing.",
                "Without it the loss falls for ever, and is −∞ where no pair counts."),
        Mistake("log missing", "The logarithm is missing.", "This is the sum itself: take log(1 + sum)."),
        Mistake("mean of the terms", "The mean of the terms stands inside the logarithm.", "It is their sum."),
        Mistake("weighed", "Each term is weighed by the difference of the scores.",
                "Only the order of the scores counts."),
        Mistake("neighbours only", "Each pair is compared with the next one only.", "Compare all pairs of the batch."),
        Mistake("divided by N", "The loss is divided by the number of pairs.", "It is one loss for the whole batch."),
    ],
)  # fmt: skip

EXERCISES = (FOURTH_LOGIT, PAIR_LOSS, ANGULAR_SLOPE, COSENT_LOSS, KEPT_MEAN)
