"""Right answers: debiased NT-Xent, the chance of a false negative, mining below the positive, a guide's margin."""

import math

import torch
import torch.nn.functional as F


def debiased_loss__plain(view1, view2, *, temperature=0.5, class_prior=0.1):
    z, n = F.normalize(torch.cat([view1, view2]), dim=1), len(view1)
    scores = z @ z.T / temperature
    twin = torch.arange(2 * n).roll(n)
    positive = scores.gather(1, twin[:, None])[:, 0].exp()
    itself = torch.eye(2 * n, dtype=torch.bool)
    others = scores.masked_fill(itself, -torch.inf).scatter(1, twin[:, None], -torch.inf)
    mean = others.exp().sum(1) / (2 * n - 2)
    true = ((mean - class_prior * positive) / (1 - class_prior)).clamp_min(math.exp(-1 / temperature))
    return -torch.log(positive / (positive + (2 * n - 2) * true)).mean()


def debiased_loss__loops(view1, view2, *, temperature=0.5, class_prior=0.1):
    n, total = len(view1), 0.0
    z = [v / v.norm() for v in torch.cat([view1, view2])]
    for i in range(2 * n):
        positive = torch.exp(z[i] @ z[(i + n) % (2 * n)] / temperature)
        negatives = torch.stack([torch.exp(z[i] @ z[k] / temperature) for k in range(2 * n) if k % n != i % n])
        true = (negatives.mean() - class_prior * positive) / (1 - class_prior)
        true = torch.maximum(true, torch.tensor(math.exp(-1 / temperature), dtype=true.dtype))
        total = total + torch.log1p(len(negatives) * true / positive)
    return total / (2 * n)


def debiased_loss__sums(view1, view2, *, temperature=0.5, class_prior=0.1):
    """As the authors' code: sums instead of means."""
    a, b = F.normalize(view1, dim=1), F.normalize(view2, dim=1)
    z, n = torch.cat([a, b]), len(a)
    powers = torch.exp(z @ z.T / temperature)
    mask = ~torch.eye(n, dtype=torch.bool).repeat(2, 2)
    negative = powers[mask].view(2 * n, -1).sum(dim=-1)
    positive = torch.exp((a * b).sum(dim=-1) / temperature).repeat(2)
    count = 2 * n - 2
    rest = (-class_prior * count * positive + negative) / (1 - class_prior)
    rest = torch.clamp(rest, min=count * math.e ** (-1 / temperature))
    return (torch.log(positive + rest) - torch.log(positive)).mean()


def false_negative_chance__plain(class_prior, pairs):
    return 1 - (1 - class_prior) ** (2 * pairs - 2)


def false_negative_chance__one_after_the_other(class_prior, pairs):
    none = 1.0
    for _ in range(2 * (pairs - 1)):
        none *= 1 - class_prior
    return 1 - none


def false_negative_chance__logarithms(class_prior, pairs):
    return -math.expm1((2 * pairs - 2) * math.log1p(-class_prior))


def mine_negatives__plain(scores, positive, k, *, margin=0.05):
    rows = torch.arange(len(scores))
    own = scores[rows, positive]
    kept = scores.masked_fill(scores > (own - margin * own.abs())[:, None], -torch.inf)
    kept[rows, positive] = -torch.inf
    values, found = kept.topk(k, dim=1)
    return torch.where(values.isinf(), -1, found)


def mine_negatives__loops(scores, positive, k, *, margin=0.05):
    mined = []
    for row, p in zip(scores.tolist(), positive.tolist(), strict=True):
        limit = row[p] - margin * abs(row[p])
        allowed = [(s, j) for j, s in enumerate(row) if j != p and s <= limit]
        best = [j for _, j in sorted(allowed, reverse=True)[:k]]
        mined.append(best + [-1] * (k - len(best)))
    return torch.tensor(mined)


def mine_negatives__sorted(scores, positive, k, *, margin=0.05):
    own = scores.gather(1, positive[:, None])
    order = scores.argsort(dim=1, descending=True)
    ranked = scores.gather(1, order)
    suspect = (ranked > own - margin * own.abs()) | (order == positive[:, None])
    front = suspect.long().argsort(dim=1, stable=True)[:, :k]  # those that are allowed come first, in their order
    return order.gather(1, front).masked_fill(suspect.gather(1, front), -1)


guide_margin__plain = 0.3
guide_margin__tensor = torch.tensor(0.3)
guide_margin__a_little_more = 0.32
