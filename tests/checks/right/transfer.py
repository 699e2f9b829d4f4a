"""Right answers of lesson 17: pairs from few labels, the loss over all pairs, chain-thaw, labels saved."""

import math
import random as chance
from itertools import combinations

import numpy as np
import torch
import torch.nn.functional as F


def positive_share__plain(classes, per_class):
    return (per_class - 1) / (classes * per_class - 1)


def positive_share__counted(classes, per_class):
    labels = [c for c in range(int(classes)) for _ in range(int(per_class))]
    pairs = list(combinations(labels, 2))
    return sum(a == b for a, b in pairs) / len(pairs)


def positive_share__binomials(classes, per_class):
    equal = classes * math.comb(per_class, 2)
    return equal / math.comb(classes * per_class, 2)


def label_pairs__plain(labels, repeats, generator):
    same = labels[:, None] == labels
    own = torch.eye(len(labels), dtype=torch.bool)
    fellows = torch.multinomial((same & ~own).float(), repeats, replacement=True, generator=generator)
    strangers = torch.multinomial((~same).float(), repeats, replacement=True, generator=generator)
    partners = torch.cat([fellows, strangers], dim=1)
    first = torch.arange(len(labels)).repeat_interleave(2 * repeats)
    pairs = torch.stack([first, partners.flatten()], dim=1)
    return pairs, (labels[pairs[:, 0]] == labels[pairs[:, 1]]).float()


def label_pairs__loops(labels, repeats, generator):
    pairs, same = [], []
    for i, label in enumerate(labels.tolist()):
        for wanted in (True, False):
            pool = [j for j, other in enumerate(labels.tolist()) if (other == label) == wanted and j != i]
            for j in torch.randint(len(pool), (repeats,), generator=generator).tolist():
                pairs.append([i, pool[j]])
                same.append(int(wanted))
    return torch.tensor(pairs), torch.tensor(same)


def label_pairs__python(labels, repeats, generator):
    rng = chance.Random(int(torch.randint(2**31, (), generator=generator)))
    y = labels.tolist()
    rows = []
    for i in range(len(y)):
        rows += [(i, rng.choice([j for j in range(len(y)) if y[j] == y[i] and j != i])) for _ in range(repeats)]
        rows += [(i, rng.choice([j for j in range(len(y)) if y[j] != y[i]])) for _ in range(repeats)]
    return torch.tensor(rows), torch.tensor([y[i] == y[j] for i, j in rows])


def all_pairs_loss__plain(embeddings, labels):
    z = F.normalize(embeddings, dim=1)
    i, j = torch.triu_indices(len(z), len(z), offset=1)
    cosine, same = (z[i] * z[j]).sum(dim=1), labels[i] == labels[j]
    return ((1 - cosine[same]) ** 2).mean() / 2 + (cosine[~same] ** 2).mean() / 2


def all_pairs_loss__masks(embeddings, labels):
    cosine = F.cosine_similarity(embeddings[:, None], embeddings[None], dim=2)
    same = (labels[:, None] == labels).to(cosine.dtype)
    other, same = 1 - same, same - torch.eye(len(labels), dtype=cosine.dtype, device=cosine.device)
    pulled = (same * (1 - cosine) ** 2).sum() / same.sum()
    pushed = (other * cosine**2).sum() / other.sum()
    return 0.5 * (pulled + pushed)


def all_pairs_loss__loops(embeddings, labels):
    z = embeddings / embeddings.norm(dim=1, keepdim=True)
    terms = {True: [], False: []}
    for i, j in combinations(range(len(z)), 2):
        same = bool(labels[i] == labels[j])
        terms[same].append((float(same) - z[i] @ z[j]) ** 2)
    return (torch.stack(terms[True]).mean() + torch.stack(terms[False]).mean()) / 2


def chain_thaw__plain(layers):
    last = len(layers) - 1
    phases = [[layers[last]]]
    for i in range(0, last):
        phases.append([layers[i]])
    phases.append(list(layers))
    return phases


def chain_thaw__starred(layers):
    *body, head = layers
    return [[head], *([layer] for layer in body), [*body, head]]


def chain_thaw__rotated(layers):
    order = [layers[-1], *layers[:-1]]
    return [[layer] for layer in order] + [order]


def chain_thaw__sets(layers):
    phases = [{layers[-1]}]
    for layer in layers[:-1]:
        phases.append({layer})
    phases.append(set(layers))
    return phases


def labels_needed__plain(counts, scores, goal):
    if scores[0] >= goal:
        return counts[0]
    for i in range(1, len(counts)):
        if scores[i] >= goal:
            part = (goal - scores[i - 1]) / (scores[i] - scores[i - 1])
            return counts[i - 1] * (counts[i] / counts[i - 1]) ** part
    return math.inf


def labels_needed__logarithms(counts, scores, goal):
    places = [math.log2(count) for count in counts]
    for i, score in enumerate(scores):
        if score >= goal:
            if i == 0:
                return counts[0]
            rise = (score - scores[i - 1]) / (places[i] - places[i - 1])
            return 2 ** (places[i - 1] + (goal - scores[i - 1]) / rise)
    return float("inf")


def labels_needed__numpy(counts, scores, goal):
    above = np.flatnonzero(np.array(scores) >= goal)
    if not len(above):
        return np.inf
    i = above[0]
    if i == 0:
        return counts[0]
    return float(np.exp(np.interp(goal, scores[i - 1 : i + 1], np.log(counts[i - 1 : i + 1]))))
