"""The maps of lesson 08 that the fifth deck draws again: the lesson's costs, descent, points and settings."""

import math
from functools import cache

import torch
from sklearn.datasets import load_digits
from torch import Tensor

from clt import data, neighbors
from clt.checks import labs
from clt.similarity import squared_euclidean

from ._drawing import encoder

FEELINGS = ("grateful", "terrified", "jealous", "nostalgic", "disgusted", "lonely")
SETTINGS = {"symmetric SNE": (10.0, 1), "t-SNE": (50.0, 12)}  # learning rate, exaggeration


@cache
def points_of(name: str) -> tuple[Tensor, Tensor]:
    """What is drawn, ``(N, D)``, and its labels, as the lesson's first seed draws them."""
    first = torch.Generator().manual_seed(0)
    if name == "digits":
        found = load_digits()
        some = torch.randperm(len(found.data), generator=first)[:400]
        return torch.tensor(found.data / 16, dtype=torch.float32)[some], torch.tensor(found.target)[some]
    if name == "emotions":
        rows = [row for split in ("train", "test") for row in data.load("emotions", split) if row["label"] in FEELINGS]
        some = [rows[i] for i in torch.randperm(len(rows), generator=first)[:300]]
        vectors = encoder().encode([row["text"] for row in some])
        return vectors.float(), torch.tensor([FEELINGS.index(row["label"]) for row in some])
    return labs.cloud(name, 0)


def gradient(how: str, p: Tensor, y: Tensor) -> Tensor:
    """Of the cost ``how`` by the map ``y``."""
    squared = squared_euclidean(y)
    weight = (1 / (1 + squared) if how == "t-SNE" else (-squared).exp()).fill_diagonal_(0)
    force = p - weight / weight.sum()
    force = force * weight if how == "t-SNE" else force
    return 4 * (force.sum(dim=1, keepdim=True) * y - force @ y)


@cache
def placed(name: str, how: str, perplexity: float, steps: int = 500) -> Tensor:
    """The map ``(N, 2)`` of :func:`points_of` after the lesson's descent."""
    x, _ = points_of(name)
    p = neighbors.joint_probabilities(x, perplexity=perplexity)
    rate, factor = SETTINGS[how]
    components = principal(name)
    noise = torch.randn(len(x), 2, generator=torch.Generator().manual_seed(0))
    y = 0.01 * components / components[:, 0].std() + 1e-4 * noise
    update, gain = torch.zeros_like(y), torch.ones_like(y)
    for step in range(steps):
        early = step < steps // 3
        slope = gradient(how, factor * p if early else p, y)
        gain = torch.where(update * slope < 0, gain + 0.2, 0.8 * gain).clamp(min=0.01)
        update = (0.5 if early else 0.8) * update - rate * gain * slope
        y = y + update
    return y


@cache
def principal(name: str) -> Tensor:
    """The first two principal components."""
    x, _ = points_of(name)
    centred = x - x.mean(dim=0)
    return centred @ torch.linalg.svd(centred, full_matrices=False).Vh[:2].T


def width_at(squared: Tensor, perplexity: float) -> float:
    """The β at which a point with these squared distances to all others has the perplexity: by halving."""
    low, high, beta = 0.0, math.inf, 1.0
    for _ in range(60):
        log_p = (-beta * squared).log_softmax(dim=0)
        even = -(log_p.exp() * log_p).sum() > math.log(perplexity)
        low, high = (beta, high) if even else (low, beta)
        beta = 2 * beta if high == math.inf else (low + high) / 2
    return beta
