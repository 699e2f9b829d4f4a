"""Right answers: duels won, the Matryoshka loss, averaged weights, and losses that beat the triplet loss."""

import torch
import torch.nn.functional as F

from clt import losses


def borda__plain(scores):
    ahead = (scores[:, None] > scores).sum((1, 2))
    level = (scores[:, None] == scores).sum((1, 2)) - scores.shape[1]
    return (ahead + level / 2) / (scores.shape[1] * (len(scores) - 1))


def borda__loops(scores):
    rows = scores.tolist()
    found = []
    for i, row in enumerate(rows):
        won = 0.0
        for k, other in enumerate(rows):
            if k != i:
                won += sum(1.0 if s > t else 0.5 if s == t else 0.0 for s, t in zip(row, other, strict=True))
        found.append(won / (len(row) * (len(rows) - 1)))
    return torch.tensor(found)


def borda__signs(scores):
    sign = (scores[:, None] - scores).sign()
    return 0.5 + sign.sum((1, 2)) / (2 * scores.shape[1] * (len(scores) - 1))


def borda__list(scores):
    return borda__loops(scores).tolist()


def matryoshka_loss__plain(loss, *embeddings, dimensions):
    total = 0.0
    for d in dimensions:
        prefixes = [z.narrow(1, 0, d) for z in embeddings]
        total = total + loss(*prefixes)
    return total


def matryoshka_loss__one_line(loss, *embeddings, dimensions):
    return sum(loss(*(z[..., :d] for z in embeddings)) for d in dimensions)


def matryoshka_loss__stacked(loss, *embeddings, dimensions):
    return torch.stack([loss(*[z[:, :d] for z in embeddings]) for d in reversed(list(dimensions))]).sum()


def average_weights__plain(states, shares):
    found = {}
    for name, value in states[0].items():
        total = value
        if value.is_floating_point():
            total = sum(shares[i] * states[i][name] for i in range(len(states)))
        found[name] = total
    return found


def average_weights__stacked(states, shares):
    weight = torch.tensor(shares, dtype=torch.float64)
    found = {}
    for name in states[0]:
        values = torch.stack([state[name] for state in states])
        fits = values.is_floating_point()
        found[name] = torch.tensordot(weight.to(values.dtype), values, 1) if fits else values[0]
    return found


def average_weights__in_place(states, shares):
    found = {name: value.clone() for name, value in states[0].items()}
    for name, value in found.items():
        if value.dtype.is_floating_point:
            value.mul_(shares[0])
            for share, state in zip(shares[1:], states[1:], strict=True):
                value.add_(share * state[name])
    return found


def beats_the_triplet__plain(query, positive):
    cosine = F.normalize(query, dim=1) @ F.normalize(positive, dim=1).T
    cosine = cosine - 0.1 * torch.eye(len(cosine))
    return F.cross_entropy(cosine / 0.2, torch.arange(len(cosine)))


def beats_the_triplet__decoupled(query, positive):
    return losses.decoupled_loss(query, positive, temperature=0.5)


def beats_the_triplet__nt_xent(a, b):
    return losses.nt_xent_loss(a, b, temperature=0.5)
