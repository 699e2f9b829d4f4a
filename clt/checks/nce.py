"""The exercises of the lesson on noise-contrastive estimation and negative sampling: one logistic regression."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from clt import losses
from clt.checks._common import REDUCTION, mistakes, random, reduced, tensor
from clt.checks._exercise import Mistake, case
from clt.checks._loss import Loss


def log_sigmoid(x: Tensor, wrong: frozenset) -> Tensor:
    if "sigmoid missing" in wrong:
        return x
    if "log missing" in wrong:
        return torch.sigmoid(x)
    if "exp overflows" in wrong:  # the formula as it stands on paper
        return (1 / (1 + (-x).exp())).log()
    return F.logsigmoid(x)


def logistic(data: Tensor, noise: Tensor, wrong: frozenset) -> Tensor:
    """−log σ(data) − Σ log σ(−noise), reduced; ``data`` is (N,), ``noise`` (N, K)."""
    pushed = log_sigmoid(noise if "noise not negated" in wrong else -noise, wrong)
    if "one minus after the log" in wrong:
        pushed = 1 - log_sigmoid(noise, wrong)
    pushed = pushed.mean(dim=1) if "mean over noise" in wrong else pushed.sum(dim=1)
    if "noise subtracted" in wrong:
        pushed = -pushed
    pulled = 0 if "data missing" in wrong else log_sigmoid(data, wrong)
    if "noise missing" in wrong:
        pushed = 0 * pushed
    return reduced(-pulled - pushed, wrong)


def plain_nce(data_score, noise_scores, data_log_noise, noise_log_noise, *, wrong=frozenset()) -> Tensor:
    k = math.log(noise_scores.shape[1])
    k = 0 if "K missing" in wrong else math.exp(k) if "K without log" in wrong else k
    if "correction missing" in wrong:
        return logistic(data_score, noise_scores, wrong)
    if "correction added" in wrong:
        return logistic(data_score + data_log_noise + k, noise_scores + noise_log_noise + k, wrong)
    if "log of log" in wrong:  # q itself expected, log q given
        data_log_noise, noise_log_noise = data_log_noise.exp(), noise_log_noise.exp()
    noise = noise_scores if "noise uncorrected" in wrong else noise_scores - noise_log_noise - k
    return logistic(data_score - data_log_noise - k, noise, wrong)


def plain_negative_sampling(anchor, positive, negatives, *, temperature=1.0, wrong=frozenset()) -> Tensor:
    if "normalised" in wrong:
        anchor, positive, negatives = (F.normalize(x, dim=-1) for x in (anchor, positive, negatives))
    data, noise = (anchor * positive).sum(-1), torch.einsum("nd,nkd->nk", anchor, negatives)
    if "negatives of the positive" in wrong:
        noise = torch.einsum("nd,nkd->nk", positive, negatives)
    if "softmax" in wrong:
        logits = torch.cat([data[:, None], noise], dim=1) / temperature
        return reduced(-logits.log_softmax(1)[:, 0], wrong)
    if "noise averaged first" in wrong:
        noise = noise.mean(dim=1, keepdim=True)
    if "temperature multiplied" in wrong:
        return logistic(data * temperature, noise * temperature, wrong)
    if "temperature missing" in wrong:
        return logistic(data, noise, wrong)
    if "temperature of the noise missing" in wrong:
        return logistic(data / temperature, noise, wrong)
    if "temperature after the sigmoid" in wrong:
        return logistic(data, noise, wrong) / temperature
    return logistic(data / temperature, noise / temperature, wrong)


LOGISTIC = mistakes(
    *REDUCTION,
    Mistake(
        "noise not negated",
        "The noise is scored like the data: its sign inside the sigmoid is missing.",
        "The model should say no to noise: σ of minus the score.",
    ),
    Mistake(
        "noise subtracted",
        "The noise term has the wrong sign: the loss falls when noise is taken for data.",
        "Both logarithms are negative, and the loss is minus their sum.",
    ),
    Mistake(
        "one minus after the log",
        "1 − is taken of the logarithm instead of the probability.",
        "The probability of noise is 1 − σ(x), which is σ(−x); the log comes last.",
    ),
    Mistake(
        "mean over noise",
        "The noise samples are averaged.",
        "Their K terms are added up: with more noise there is more to get right.",
    ),
    Mistake("log missing", "The logarithm is missing.", "The loss is minus the log of a probability."),
    Mistake("sigmoid missing", "The sigmoid is missing.", "A score becomes a probability first, then a logarithm."),
    Mistake("data missing", "The term of the data sample is missing.", "Both sides count: yes to data, no to noise."),
    Mistake("noise missing", "The terms of the noise are missing.", "Both sides count: yes to data, no to noise."),
)


def scores(n: int, k: int, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    noise = random(n, k + 1, seed=seed + 1).log_softmax(1) - 0.3 * random(n, 1, seed=seed + 2).abs()
    score = noise + random(n, k + 1, seed=seed)
    return score[:, 0], score[:, 1:], noise[:, 0], noise[:, 1:]


NCE_LOSS = Loss(
    reference=losses.nce_loss,
    plain=plain_nce,
    cases=[
        case("5 samples, 4 of the noise each", *scores(5, 4, seed=1)),
        case("3 samples, 9 of the noise each", *scores(3, 9, seed=2)),
        case("1 sample, 2 of the noise", tensor(0.5), tensor([1.0, -1.0]), tensor(-2.0), tensor([-1.0, -3.0])),
        case("4 samples, 1 of the noise each", *scores(4, 1, seed=3)),
    ],
    extremes=[
        case(
            "scores of ±200",
            tensor(-200.0, 200.0),
            tensor([200.0, -1.0], [3.0, -200.0]),
            tensor(-2.0, -1.0),
            tensor([-1.0, -2.0], [-3.0, -1.0]),
        )
    ],
    mistakes=[
        *LOGISTIC,
        Mistake(
            "correction missing",
            "The correction log(K q) is missing: this is negative sampling.",
            "NCE knows how likely the noise is; subtract log(K q) from each score.",
        ),
        Mistake(
            "correction added",
            "The correction log(K q) is added to the scores.",
            "It is subtracted: the logit is the log-ratio of model and noise.",
        ),
        Mistake(
            "noise uncorrected",
            "Only the data sample is corrected by log(K q).",
            "The noise samples are scored by the same rule, with their own log q.",
        ),
        Mistake("K missing", "The K in log(K q) is missing.", "There are K noise samples to one of the data."),
        Mistake("K without log", "K is subtracted where its logarithm belongs.", "log(K q) = log K + log q."),
        Mistake(
            "log of log",
            "q is subtracted where log q belongs.",
            "The arguments are the logarithms already: use them as they come.",
        ),
    ],
)


def sampled(n: int, k: int, d: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    return random(n, d, seed=seed), random(n, d, seed=seed + 1), random(n, k, d, seed=seed + 2)


NEGATIVE_SAMPLING_LOSS = Loss(
    reference=losses.negative_sampling_loss,
    plain=plain_negative_sampling,
    cases=[
        case("5 anchors, 4 negatives each", *sampled(5, 4, 3, seed=1), temperature=0.5),
        case("3 anchors, 7 negatives each", *sampled(3, 7, 6, seed=5), temperature=2.0),
        case("1 anchor, 2 negatives", tensor([1.0, 0.5]), tensor([0.5, 1.0]), tensor([[1.0, 0.0], [-1.0, 1.0]]),
             temperature=0.8),
        case("long rows", *(2 * x for x in sampled(4, 3, 3, seed=9)), temperature=1.5),
    ],
    extremes=[
        case("scores of ±200", tensor([1.0, 0.0], [0.0, 1.0]), tensor([-2.0, 0.0], [0.0, 2.0]),
             tensor([[2.0, 1.0], [-1.0, 0.0]], [[0.0, 1.0], [1.0, -2.0]]), temperature=0.01),
    ],
    mistakes=[
        *LOGISTIC,
        *mistakes("temperature missing", "temperature multiplied", "normalised"),
        Mistake(
            "temperature of the noise missing",
            "Only the positive's score is divided by the temperature.",
            "The negatives' scores are on the same scale and are divided as well.",
        ),
        Mistake(
            "temperature after the sigmoid",
            "The temperature is applied after the logarithm, where it only scales the loss.",
            "It belongs to the scores, inside the sigmoid.",
        ),
        Mistake(
            "softmax",
            "This is a softmax over the candidates: InfoNCE.",
            "Negative sampling asks a yes-or-no question of each pair: a sigmoid each.",
        ),
        Mistake(
            "noise averaged first",
            "The negatives' scores are averaged before the sigmoid.",
            "Each negative has its own sigmoid and its own logarithm.",
        ),
        Mistake(
            "negatives of the positive",
            "The negatives are compared with the positive.",
            "All comparisons start from the anchor.",
        ),
    ],
)  # fmt: skip

EXERCISES = (NCE_LOSS, NEGATIVE_SAMPLING_LOSS)
