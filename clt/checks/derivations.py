"""The derivations: what a student works out on paper, answered with a number or a function of a few numbers."""

import math

import torch
from torch import Tensor

from clt.checks import labs
from clt.checks._algorithm import Derivation
from clt.checks._common import random, tensor
from clt.checks._exercise import Mistake, case


def random_cosine(dimension: int) -> float:
    """The standard deviation of the cosine of two random directions in ``dimension`` dimensions: 1/√dimension."""
    return 1 / math.sqrt(dimension)


def plain_random_cosine(dimension, *, wrong=frozenset()):
    for name, value in {
        "the variance": 1 / dimension,
        "root of D": math.sqrt(dimension),
        "the mean": 0.0,
        "one dimension less": 1 / math.sqrt(dimension - 1),
        "two sums": math.sqrt(2 / dimension),
        "a root too many": dimension**-0.25,
        "dot product": 1.0,
        "mean size": math.sqrt(2 / (math.pi * dimension)),
    }.items():
        if name in wrong:
            return value
    return 1 / math.sqrt(dimension)


RANDOM_COSINE = Derivation(
    reference=random_cosine,
    plain=plain_random_cosine,
    cases=[case("2 dimensions", 2), case("256 dimensions", 256), case("768 dimensions", 768)],
    mistakes=[
        Mistake("the variance", "This is the variance, the mean of the squared cosine.",
                "The standard deviation is its root."),
        Mistake("root of D", "This grows with the dimension.",
                "A cosine is at most 1: with more room it gets smaller."),
        Mistake("the mean", "This is the mean of the cosine.", "How far from 0 is a typical one?"),
        Mistake("one dimension less", "The D squared coordinates add up to 1, so each of them is 1/D on average.",
                "No coordinate is lost: it is not the estimate of a variance."),
        Mistake("two sums", "Only one of the two directions has to be random.",
                "Turn the sphere until the other is the first axis: the cosine is then one coordinate."),
        Mistake("a root too many", "One root too many was taken.", "The mean squared cosine is 1/D."),
        Mistake("dot product", "This does not depend on the dimension.", "How many coordinates share the length 1?"),
        Mistake("mean size", "This is about the mean of |cosine|.", "The root of the mean square is asked for."),
    ],
)  # fmt: skip


def nce_optimum(p: float, q: float, k: int) -> float:
    """The score of a word with probability p in the data and q in the noise, where NCE is least: log p."""
    return math.log(p)


def plain_optimum(p, q, k, *, wrong=frozenset()):
    for name, value in {
        "the logit": math.log(p / (k * q)),
        "pointwise information": math.log(p / q),
        "correction added": math.log(p * k * q),
        "only K taken off": math.log(p / k),
        "the posterior": p / (p + k * q),
        "the probability": p,
        "odds": p / (k * q),
        "sign": -math.log(p),
        "base 2": math.log2(p),
    }.items():
        if name in wrong:
            return value
    return math.log(p)


NCE_OPTIMUM = Derivation(
    reference=nce_optimum,
    plain=plain_optimum,
    cases=[
        case("p = 0.2, q = 0.1, K = 5", 0.2, 0.1, 5),
        case("p = 0.01, q = 0.3, K = 1", 0.01, 0.3, 1),
        case("p = 0.5, q = 0.5, K = 20", 0.5, 0.5, 20),
    ],
    mistakes=[
        Mistake("the logit", "This is the optimum of the logit, log p/(Kq), and not of the score.",
                "The logit is s − log(Kq). Set it to log p/(Kq) and solve for s."),
        Mistake("pointwise information", "This is log p/q.",
                "The loss takes log(Kq) off the score before the sigmoid: q cancels."),
        Mistake("correction added", "log(Kq) was added where it cancels.", "s − log(Kq) = log p − log(Kq)."),
        Mistake("only K taken off", "log K is left over: that is negative sampling's habit.",
                "NCE takes off log(Kq) as a whole, and neither K nor q is left in the optimum."),
        Mistake("the posterior", "This is the probability that the word came from the data.",
                "Its logit is s − log(Kq). Solve for s."),
        Mistake("the probability", "This is p itself.", "A score is a logarithm: exp of it is the probability."),
        Mistake("odds", "These are the odds of data against noise.", "The score is a logarithm; solve for it."),
        Mistake("sign", "The sign is wrong.", "More probable words have higher scores."),
        Mistake("base 2", "This is a logarithm to base 2.", "The sigmoid has e in it: natural logarithms."),
    ],
)  # fmt: skip


def info_nce_bound(loss: float, n: int) -> float:
    """The mutual information that a loss of InfoNCE with n candidates proves: log n − loss."""
    return math.log(n) - loss


def plain_bound(loss, n, *, wrong=frozenset()):
    log_n = math.log(n - 1) if "negatives counted" in wrong else math.log2(n) if "base 2" in wrong else math.log(n)
    log_n = n if "log missing" in wrong else math.log(2 * n - 1) if "both views counted" in wrong else log_n
    if "ceiling only" in wrong:
        return log_n
    value = log_n + loss if "loss added" in wrong else loss - log_n if "sign" in wrong else log_n - loss
    value = math.exp(-loss) if "probability" in wrong else -loss if "loss only" in wrong else value
    return max(value, 0.0) if "cut at 0" in wrong else value


INFO_NCE_BOUND = Derivation(
    reference=info_nce_bound,
    plain=plain_bound,
    cases=[
        case("a loss of 1.5 among 64 candidates", 1.5, 64),
        case("a loss of 0.2 among 8 candidates", 0.2, 8),
        case("a loss above log n: 3 among 10", 3.0, 10),
    ],
    mistakes=[
        Mistake("sign", "The sign is wrong: this bound falls as the loss falls.", "A smaller loss proves more."),
        Mistake("loss added", "The loss is added.",
                "The better the guesses, the smaller the loss and the higher the bound."),
        Mistake("negatives counted", "The candidates are n, not n − 1: the positive is one of them.",
                "A loss of log n is guessing among all n, and proves nothing: the bound is 0 there."),
        Mistake("both views counted", "These are NT-Xent's 2n − 1 candidates.",
                "InfoNCE's are the n rows of one side."),
        Mistake("ceiling only", "This is the ceiling of the bound.", "The loss is taken off it."),
        Mistake("loss only", "log n is missing.", "Start from guessing: a loss of log n proves 0."),
        Mistake("log missing", "The logarithm of n is missing.", "The loss of a blind guess among n is log n."),
        Mistake("base 2", "The logarithm is to base 2.", "The loss is in nats, and so is the bound."),
        Mistake("probability", "This is the geometric mean of the probability of the positive.",
                "The bound is a logarithm: log n − loss."),
        Mistake("cut at 0", "The bound is cut at 0.",
                "A loss above log n gives a negative number, which is true and proves nothing."),
    ],
)  # fmt: skip


def l_out_gradient(similarity: Tensor, positive: Tensor, *, temperature: float) -> Tensor:
    """``(M,)``: the gradient of one anchor's L_out by its cosines with the M other rows."""
    return plain_l_out(similarity, positive, temperature=temperature)


def plain_l_out(similarity, positive, *, temperature, wrong=frozenset()):
    logits = similarity * temperature if "temperature multiplied" in wrong else similarity / temperature
    target = positive / positive.sum()
    share = logits.softmax(0)
    if "negatives only" in wrong:
        share = logits.masked_fill(positive, -torch.inf).softmax(0)
    if "L_in" in wrong:
        target = logits.masked_fill(~positive, -torch.inf).softmax(0)
    if "count missing" in wrong:
        target = positive.double()
    if "count multiplied" in wrong:
        return (positive.sum() * share - positive.double()) / temperature
    if "denominator forgotten" in wrong:
        share = torch.zeros_like(share)
    if "numerator forgotten" in wrong:
        target = torch.zeros_like(share)
    gradient = target - share if "sign" in wrong else share - target
    if "positives only" in wrong:
        gradient = gradient * positive
    return gradient if wrong & {"temperature missing"} else gradient / temperature


L_OUT_GRADIENT = Derivation(
    reference=l_out_gradient,
    plain=plain_l_out,
    tolerance=1e-5,
    cases=[
        case("cosines 0.9, 0.5, 0.1, the first two positive", tensor(0.9, 0.5, 0.1), torch.tensor([True, True, False]),
             temperature=0.5),
        case("six rows, three positives", random(6, seed=1).tanh(), torch.tensor([0, 1, 1, 0, 0, 1]).bool(),
             temperature=0.2),
        case("one positive", random(5, seed=2).tanh(), torch.tensor([0, 0, 1, 0, 0]).bool(), temperature=1.5),
    ],
    mistakes=[
        Mistake("temperature missing", "The factor 1/τ is missing.",
                "The cosine stands in the exponent divided by τ: chain rule."),
        Mistake("temperature multiplied", "The cosines are multiplied by the temperature.",
                "They are divided by it: s = cos/τ."),
        Mistake("sign", "The sign is wrong: a step downhill would push the positives away.",
                "A positive whose share is below 1/|P| has a negative gradient."),
        Mistake("count missing", "Each positive is asked for the whole probability.",
                "The mean over the positives asks each for 1/|P|."),
        Mistake("count multiplied", "The factor 1/|P| is missing.",
                "L_out is the mean over the positives, not their sum."),
        Mistake("L_in", "This is the gradient of L_in, where the positives share by how near they are.",
                "In L_out each positive is asked for 1/|P|, near or far."),
        Mistake("negatives only", "The softmax runs over the negatives only.", "The denominator holds all other rows."),
        Mistake("denominator forgotten", "The denominator has no gradient here.",
                "log Σ exp has the gradient softmax: every row gets its share."),
        Mistake("numerator forgotten", "The numerator has no gradient here.", "Each positive gets −1/|P|."),
        Mistake("positives only", "The negatives get nothing.",
                "They get their share of the softmax, and are pushed away."),
    ],
)  # fmt: skip


def plain_anchor(*, wrong=frozenset()):
    own, rows, weights, temperature = labs.ANCHOR.values()
    weights = dict.fromkeys(weights, 1.0) if "weights missing" in wrong else weights
    scale = 1.0 if "temperature missing" in wrong else temperature
    terms = [
        (1.0 if c == own and "positive not weighted" in wrong else weights[c]) * math.exp(s / scale) for c, s in rows
    ]
    positive = math.exp(rows[0][1] / scale)
    below = sum(terms[1:]) if "positive not below" in wrong else sum(terms)
    share = positive * weights[own] / below if "inside" in wrong or "both" in wrong else positive / below
    value = math.log10(share) if "base 10" in wrong else share if "log missing" in wrong else math.log(share)
    value = value if "sign" in wrong else -value
    return value if wrong & {"inside", "weight outside missing", "weights missing"} else weights[own] * value


LABEL_AWARE_ANCHOR = Derivation(
    name="label_aware_anchor",
    reference=plain_anchor(),
    plain=plain_anchor,
    tolerance=5e-3,
    cases=[case("the anchor of labs.ANCHOR")],
    mistakes=[
        Mistake("inside", "The weight of the anchor's own class stands inside the logarithm.",
                "It stands in front: w · (−log …), with the plain exponential above."),
        Mistake("both", "The weight of the anchor's own class stands in front and inside the logarithm.",
                "It stands in front of it, and in the denominator."),
        Mistake("weight outside missing", "The weight in front of the logarithm is missing.",
                "The anchor counts with its weight for its own class."),
        Mistake("weights missing", "The weights are missing: this is SupCon.",
                "Each row counts with the weight of its class."),
        Mistake("positive not weighted", "The positive counts fully in the denominator.",
                "It has the weight of its class there, like every other row."),
        Mistake("positive not below", "The positive is missing in the denominator.", "All other rows are in it."),
        Mistake("temperature missing", "The temperature is missing.", "Divide each cosine by it first."),
        Mistake("sign", "The sign is wrong.",
                "The loss is minus the logarithm. It may be negative: the share exceeds 1 here."),
        Mistake("log missing", "The logarithm is missing.", "w · (−log of the share)."),
        Mistake("base 10", "The logarithm is to base 10.", "Take the natural one."),
    ],
)  # fmt: skip


def sign_condition(classes: int) -> float:
    """With uniform weights over C classes the label-aware loss is negative where SupCon is below this: log C."""
    return math.log(classes)


def plain_sign(classes, *, wrong=frozenset()):
    for name, value in {
        "the weight": 1 / classes,
        "log of the weight": -math.log(classes),
        "number of classes": float(classes),
        "one class less": math.log(classes - 1) if classes > 1 else 0.0,
        "divided by C": math.log(classes) / classes,
        "base 2": math.log2(classes),
        "zero": 0.0,
    }.items():
        if name in wrong:
            return value
    return math.log(classes)


SIGN_CONDITION = Derivation(
    reference=sign_condition,
    plain=plain_sign,
    cases=[case("4 classes", 4), case("32 classes", 32), case("7 classes", 7)],
    mistakes=[
        Mistake("the weight", "This is the weight of a class.",
                "It multiplies every exponential below: what does its logarithm add?"),
        Mistake("log of the weight", "This is the logarithm of the weight, log 1/C.",
                "In −log(e^s / (1/C · Σ)) it becomes SupCon + log 1/C: solve for SupCon."),
        Mistake("number of classes", "The logarithm is missing.", "A factor 1/C below is a log C taken off the loss."),
        Mistake("one class less", "All C classes have a weight.",
                "The weights are 1/C each, the anchor's own class included."),
        Mistake("divided by C", "The factor 1/C in front does not move the zero.",
                "(SupCon − log C)/C is 0 where SupCon = log C."),
        Mistake("base 2", "The logarithm is to base 2.", "The loss has natural logarithms."),
        Mistake("zero", "SupCon itself is never negative.",
                "The weights below take log C off it: where is the rest 0?"),
    ],
)  # fmt: skip

EXERCISES = (RANDOM_COSINE, NCE_OPTIMUM, INFO_NCE_BOUND, L_OUT_GRADIENT, LABEL_AWARE_ANCHOR, SIGN_CONDITION)
