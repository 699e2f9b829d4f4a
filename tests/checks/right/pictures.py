"""Right answers: CLIP's loss without repeats, classes from prompts, SigLIP's bias, exchanged colours."""

import math
import re

import torch
import torch.nn.functional as F


def masked_clip_loss__plain(image, text, same, *, temperature=0.07):
    logits = F.normalize(image, dim=1) @ F.normalize(text, dim=1).T / temperature
    own = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    logits = logits.masked_fill(same & ~own, -torch.inf)
    rows = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, rows) + F.cross_entropy(logits.T, rows)) / 2


def masked_clip_loss__logsumexp(image, text, same, temperature=0.07):
    logits = F.cosine_similarity(image[:, None], text[None], dim=2) / temperature
    repeated = same.clone().fill_diagonal_(False)
    left = logits.masked_fill(repeated, -torch.inf)
    return (left.logsumexp(0) + left.logsumexp(1)).mean() / 2 - logits.diagonal().mean()


def masked_clip_loss__loops(image, text, same, *, temperature=0.07):
    n, total = len(image), 0.0
    x, y = ([v / v.norm() for v in rows] for rows in (image, text))
    for i in range(n):
        others = [j for j in range(n) if j == i or not same[i, j]]
        there = torch.stack([x[i] @ y[j] for j in others]) / temperature
        back = torch.stack([x[j] @ y[i] for j in others]) / temperature
        total = total + (there.logsumexp(0) + back.logsumexp(0)) / 2 - x[i] @ y[i] / temperature
    return total / n


def zero_shot__plain(images, prompts):
    classes = F.normalize(F.normalize(prompts, dim=2).mean(dim=1), dim=1)
    return F.normalize(images, dim=1) @ classes.T


def zero_shot__sum(images, prompts):
    """The sum points where the mean points."""
    classes = (prompts / prompts.norm(dim=2, keepdim=True)).sum(1)
    return F.cosine_similarity(images[:, None], classes[None], dim=2)


def zero_shot__loops(images, prompts):
    columns = []
    for few in prompts:
        mean = torch.stack([p / p.norm() for p in few]).mean(0)
        columns.append(torch.stack([x @ mean / (x.norm() * mean.norm()) for x in images]))
    return torch.stack(columns, 1)


def best_bias__plain(pairs):
    return -math.log(pairs - 1)


def best_bias__logit(pairs):
    share = 1 / pairs
    return math.log(share / (1 - share))


def best_bias__search(pairs):
    """The derivative σ(b) · N − 1 of a row changes its sign there."""
    low, high = -100.0, 100.0
    for _ in range(200):
        b = (low + high) / 2
        low, high = (low, b) if pairs / (1 + math.exp(-b)) > 1 else (b, high)
    return low


COLOURS = ("red", "green", "blue", "yellow", "purple", "black")


def swap_colours__plain(caption):
    words = caption.split()
    places = [i for i, word in enumerate(words) if word in COLOURS]
    if len(places) == 2:
        i, j = places
        words[i], words[j] = words[j], words[i]
    return " ".join(words)


def swap_colours__regular(caption):
    found = re.findall("|".join(COLOURS), caption)
    if len(found) != 2:
        return caption
    left = iter(found[::-1])
    return re.sub("|".join(COLOURS), lambda _: next(left), caption)


def swap_colours__replaced(caption):
    found = [word for word in caption.split() if word in COLOURS]
    if len(found) < 2:
        return caption
    first, second = found
    return caption.replace(first, "*").replace(second, first).replace("*", second)
