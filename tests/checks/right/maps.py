"""Right answers: relational embedding, perplexity by bisection, a gradient, and clouds whose map misleads."""

import math

import torch
import torch.nn.functional as F
from scipy.optimize import brentq


def relational_loss__plain(mapped, concepts, target):
    squared = (mapped[:, None] - concepts).square().sum(dim=2)
    share = (-squared).log_softmax(dim=1)
    return -share.gather(1, target[:, None])[:, 0]


def relational_loss__cross_entropy(mapped, concepts, target):
    return F.cross_entropy(-torch.cdist(mapped, concepts).square(), target, reduction="none")


def relational_loss__loops(mapped, concepts, target):
    rows = []
    for m, t in zip(mapped, target, strict=True):
        away = torch.stack([(m - v) @ (m - v) for v in concepts])
        rows.append(away[t] + (-away).logsumexp(0))
    return torch.stack(rows)


def row_at_perplexity__plain(squared, perplexity):
    low, high, beta = 0.0, math.inf, 1.0
    for _ in range(100):
        p = (-beta * squared).softmax(dim=0)
        entropy = -torch.special.xlogy(p, p).sum()
        if entropy > math.log(perplexity):
            low = beta
        else:
            high = beta
        beta = 2 * beta if high == math.inf else (low + high) / 2
    return p


def row_at_perplexity__root(squared, perplexity):
    """By somebody else's root finder, on a logarithmic scale."""

    def gap(log_beta):
        log_p = (-math.exp(log_beta) * squared).log_softmax(0)
        return -(log_p.exp() * log_p).sum().item() - math.log(perplexity)

    return (-math.exp(brentq(gap, -20, 25)) * squared).softmax(0)


def row_at_perplexity__bits(squared, perplexity):
    low, high = 1e-9, 1e9
    for _ in range(200):
        beta = math.sqrt(low * high)
        weight = torch.exp(-beta * (squared - squared.min()))
        p = weight / weight.sum()
        bits = -(p * torch.where(p > 0, p, 1.0).log2()).sum()
        low, high = (beta, high) if 2**bits > perplexity else (low, beta)
    return p.tolist()


def symmetric_sne_gradient__plain(joint, y):
    away = y[:, None] - y
    weight = (-away.square().sum(dim=2)).exp()
    weight = weight.fill_diagonal_(0)
    q = weight / weight.sum()
    return 4 * ((joint - q)[:, :, None] * away).sum(dim=1)


def symmetric_sne_gradient__laplacian(joint, y):
    weight = torch.exp(-(torch.cdist(y, y) ** 2)) * (1 - torch.eye(len(y), dtype=y.dtype))
    force = joint - weight / weight.sum()
    return 4 * (torch.diag(force.sum(1)) - force) @ y


def symmetric_sne_gradient__autograd(joint, y):
    y = y.clone().requires_grad_()
    with torch.enable_grad():
        logits = -(y[:, None] - y).square().sum(-1)
        beside = ~torch.eye(len(y), dtype=torch.bool)
        cost = logits[beside].logsumexp(0) - (joint * logits).sum()
        return torch.autograd.grad(cost, y)[0]


def _clouds(n: int, places, seed: int) -> tuple:
    generator = torch.Generator().manual_seed(seed)
    centres = torch.tensor(places, dtype=torch.float64)
    noise = torch.randn(len(places), n, centres.shape[1], generator=generator, dtype=torch.float64)
    return (centres[:, None] + noise).flatten(0, 1), torch.arange(3).repeat_interleave(n)


false_distances__plain = _clouds(40, [[0.0] * 10, [12.0] + [0.0] * 9, [100.0] + [0.0] * 9], 0)
false_distances__plane = list(_clouds(45, [[0.0, 0], [15, 0], [200, 50]], 1))
_POINTS, _LABELS = _clouds(40, [[0.0] * 20, [8.0] + [0.0] * 19, [0.0] * 19 + [90.0]], 2)
false_distances__named = (_POINTS.float(), 7 * _LABELS - 3)
