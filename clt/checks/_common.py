"""What the exercises share: inputs without luck in them, the mistakes every loss invites, and a plain softmax loss."""

import torch
import torch.nn.functional as F
from torch import Tensor

from clt.checks._exercise import Mistake


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def tensor(*rows) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def of_all_lengths(x: Tensor) -> Tensor:
    """The same directions, rows from very short to very long: nothing changes for a loss that normalises."""
    return x * torch.logspace(-2, 2, len(x), dtype=x.dtype)[:, None]


def pairs(n: int, d: int, seed: int) -> tuple[Tensor, Tensor]:
    """Two views, a little alike."""
    first = random(n, d, seed=seed)
    return first, 0.8 * first + random(n, d, seed=seed + 1)


COMMON = {
    "per row": ("This is the loss of each row, not of the batch.", "One number is asked for: take the mean."),
    "sum": (
        "This is the sum over the batch where the mean belongs.",
        "A sum grows with the batch, and so would the learning rate.",
    ),
    "sign": ("The sign is wrong: this loss falls as the embeddings get worse.", "Minimising must help the positive."),
    "twice": ("The value is twice what it should be.", "Count how many anchors the mean is over."),
    "temperature missing": ("The temperature is missing.", "Similarities are scaled by it before the softmax."),
    "temperature multiplied": (
        "The similarities are multiplied by the temperature.",
        "A small temperature has to make the softmax sharper, not flatter.",
    ),
    "temperature after the softmax": (
        "The temperature is applied after the softmax, where it only scales the loss.",
        "It belongs to the similarities, inside the exponentials.",
    ),
    "not normalised": (
        "The embeddings are not normalised: this is a dot product, not a cosine.",
        "Bring each row to length 1 first.",
    ),
    "normalised over the batch": (
        "The embeddings are normalised along the wrong axis, over the batch.",
        "Each row is one embedding, and it is the row that gets length 1.",
    ),
    "softmax before the temperature": (
        "The softmax is applied before the temperature, and its shares are taken for similarities.",
        "Divide the similarities by the temperature first; the softmax comes last, and once.",
    ),
    "log missing": (
        "The logarithm is missing: this is minus the probability itself.",
        "The loss is minus the log of the share; at a share of 1 it is 0.",
    ),
    "exponential missing": (
        "The similarities go into the fraction without exp.",
        "A share needs positive numbers: exponentials, above and below the line.",
    ),
    "positive not below": (
        "The positive is missing below the line: the denominator holds the negatives only.",
        "The fraction is the positive's share of everything, itself included; it cannot exceed 1.",
    ),
    "itself below": (
        "The anchor is left among its own candidates.",
        "Its similarity with itself is always the greatest and says nothing: mask the diagonal.",
    ),
    "itself is 0": (
        "The anchor's own similarity is set to 0 instead of being taken out: exp(0) = 1 still counts.",
        "What must not count below the line is −inf before the exponential.",
    ),
    "over columns": (
        "The softmax runs over the columns: each candidate picks among the anchors.",
        "Each anchor picks among the candidates: sum along its row.",
    ),
    "both directions": (
        "This is the mean of both directions.",
        "Here only the anchors choose among the candidates, not the other way round.",
    ),
    "mean below": (
        "Below the line stands a mean where a sum belongs.",
        "All candidates add up; the loss is about log N for random embeddings.",
    ),
    "not squared": (
        "The distance is not squared.",
        "The formula has the squared Euclidean distance: no root.",
    ),
    "averaged over dimensions": (
        "The squared differences are averaged over the dimensions.",
        "A squared distance is their sum.",
    ),
    "normalised": (
        "The embeddings are normalised inside.",
        "This loss takes them as they are; who wants the sphere normalises before.",
    ),
    "itself is a positive": (
        "The anchor counts as one of its own positives.",
        "Positives share the label and are another row: clear the diagonal of that mask.",
    ),
    "lonely counted": (
        "Anchors without a positive are counted in the mean.",
        "They have nothing to say: divide by the number of anchors that have a positive.",
    ),
    "positives summed": (
        "The terms of an anchor's positives are added up.",
        "Divide by how many it has, or large classes outweigh small ones.",
    ),
    "positives pooled": (
        "The mean is taken over all positive pairs at once.",
        "Take the mean over each anchor's positives first, then over the anchors.",
    ),
    "mean inside the log": (
        "The mean over the positives stands inside the logarithm: this is L_in.",
        "For L_out each positive gets its own logarithm, and the mean is taken of those.",
    ),
}


def mistakes(*names: str | Mistake) -> list[Mistake]:
    """The common mistakes of these names; an exercise's own ones stay as they are."""
    return [Mistake(name, *COMMON[name]) if isinstance(name, str) else name for name in names]


def reduced(values: Tensor, wrong: frozenset, valid: Tensor | None = None) -> Tensor:
    """The mean of the rows that are valid, or what is made of them instead."""
    values = -values if "sign" in wrong else values
    values = 2 * values if "twice" in wrong else values
    if valid is None or "lonely counted" in wrong:
        valid = torch.ones_like(values, dtype=torch.bool) if valid is None else torch.ones_like(valid)
    values = torch.where(valid, values, 0.0)
    if "per row" in wrong:
        return values
    return values.sum() if "sum" in wrong else values.sum() / valid.sum()


def unit(x: Tensor, wrong: frozenset) -> Tensor:
    if "not normalised" in wrong:
        return x
    return F.normalize(x, dim=0 if "normalised over the batch" in wrong else -1)


def scaled(similarity: Tensor, temperature: float, wrong: frozenset) -> Tensor:
    if "temperature missing" in wrong or "temperature after the softmax" in wrong:
        return similarity
    return similarity * temperature if "temperature multiplied" in wrong else similarity / temperature


def log_share(logits: Tensor, candidates: Tensor, positives: Tensor, wrong: frozenset) -> Tensor:
    """``(N, M)``: log of each candidate's share of its row's exponentials, or what is computed instead."""
    axis = 0 if "over columns" in wrong else 1
    if "itself below" in wrong:
        candidates = torch.ones_like(candidates)
    if "itself is 0" in wrong:
        logits, candidates = logits.masked_fill(~candidates, 0.0), torch.ones_like(candidates)
    if "exponential missing" in wrong:
        return (logits / torch.where(candidates, logits, 0.0).sum(axis, keepdim=True)).log()
    if "positive not below" in wrong:
        candidates = candidates & ~positives
    below = logits.masked_fill(~candidates, -torch.inf).logsumexp(axis, keepdim=True)
    if "mean below" in wrong:
        below = below - candidates.sum(axis, keepdim=True).log()
    if "exp overflows" in wrong:  # the formula as it stands on paper
        below = torch.where(candidates, logits.exp(), 0.0).sum(axis, keepdim=True)
        return (logits.exp() / below).log()
    return logits - below


def one_positive(
    similarity: Tensor, candidates: Tensor, target: Tensor, temperature: float, wrong: frozenset
) -> Tensor:
    """``(N,)``: minus the log-share of each row's only positive."""
    positives = F.one_hot(target, similarity.shape[1]).bool()
    if "softmax before the temperature" in wrong:
        similarity = similarity.masked_fill(~candidates, -torch.inf).softmax(1)
    shares = log_share(scaled(similarity, temperature, wrong), candidates, positives, wrong)
    if "temperature after the softmax" in wrong:
        shares = shares / temperature
    shares = shares.gather(1, target[:, None])[:, 0]
    return -shares.exp() if "log missing" in wrong else -shares


SOFTMAX = ("temperature missing", "temperature multiplied", "temperature after the softmax", "log missing",
           "exponential missing", "positive not below", "mean below")  # fmt: skip
PAIRED = (*SOFTMAX, "softmax before the temperature")  # where each row has one positive
COSINE = ("not normalised", "normalised over the batch")
REDUCTION = ("per row", "sum", "sign")
