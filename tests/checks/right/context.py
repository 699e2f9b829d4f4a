"""Right answers: QuickThoughts' loss and its floor, spans, XLNet's pairs, and a batch that teaches the order."""

import math

import torch
import torch.nn.functional as F

from clt.predicting import MASK, PAD


def quick_thoughts_loss__plain(anchor, context, texts):
    scores = (anchor @ context.T).fill_diagonal_(-torch.inf)
    place = torch.arange(len(scores))
    near = ((place - place[:, None]).abs() == 1) & (texts == texts[:, None])
    share = scores.log_softmax(dim=1)
    taken = torch.where(near, share, 0.0).sum(dim=1)
    some = near.any(dim=1)
    return -(taken[some] / near.sum(dim=1)[some]).mean()


def quick_thoughts_loss__cross_entropy(anchor, context, texts):
    """With the targets as probabilities."""
    n = len(anchor)
    target = torch.zeros(n, n, dtype=anchor.dtype)
    for i in range(n - 1):
        if texts[i] == texts[i + 1]:
            target[i, i + 1] = target[i + 1, i] = 1
    kept = target.sum(1) > 0
    target = target[kept] / target[kept].sum(1, keepdim=True)
    scores = (anchor @ context.T).masked_fill(torch.eye(n, dtype=torch.bool), -1e9)
    return F.cross_entropy(scores[kept], target)


def quick_thoughts_loss__loops(anchor, context, texts):
    rows = []
    for i in range(len(anchor)):
        near = [j for j in (i - 1, i + 1) if 0 <= j < len(anchor) and texts[i] == texts[j]]
        others = [k for k in range(len(anchor)) if k != i]
        scores = context @ anchor[i]
        if near:
            rows.append(scores[others].logsumexp(0) - scores[near].mean())
    return sum(rows) / len(rows)


def context_floor__plain(length):
    return (length - 2) / length * math.log(2)


def context_floor__by_the_entropy_of_the_target(length):
    counts = [2 - (i == 0) - (i == length - 1) for i in range(length)]
    return sum(math.log(count) for count in counts) / length


def context_floor__tensor(length):
    return torch.tensor(2.0).log() * (1 - 2 / length)


def positive_span__plain(start, length, total, rng, *, shortest, longest):
    size = int(rng.betavariate(2, 4) * (longest - shortest) + shortest)
    first = max(start - size, 0)
    last = min(start + length, total - size)
    return rng.randint(first, last), size


def positive_span__choice(start, length, total, rng, *, shortest, longest):
    size = shortest + math.floor(rng.betavariate(2, 4) * (longest - shortest))
    fits = [s for s in range(total - size + 1) if start - size <= s <= start + length]
    return (rng.choice(fits), size)


def positive_span__gamma(start, length, total, rng, *, shortest, longest):
    """Beta from two gammas, as a list."""
    a, b = rng.gammavariate(2, 1), rng.gammavariate(4, 1)
    size = int(a / (a + b) * (longest - shortest) + shortest)
    low, high = max(0, start - size), min(total - size, start + length)
    return [low + int(rng.random() * (high - low + 1)), size]


order_batch__plain = (2, 24)
order_batch__one_text = (1, 48)
order_batch__list = [torch.tensor(2), 24]


def permuted_pair__plain(row, rng):
    order = rng.sample(range(len(row)), len(row))
    rank = rng.randrange(0, len(row))
    a = [PAD] * len(row)
    for t in order[0:rank]:
        a[t] = row[t]
    a[order[rank]] = MASK
    return a, [row[order[rank]]]


def permuted_pair__shuffled(row, rng):
    """It sees what comes after it in the order, which is drawn alike."""
    places = list(range(len(row)))
    rng.shuffle(places)
    cut = rng.randint(1, len(row))
    at = places[cut - 1]
    a = [PAD] * len(row)
    for t in places[cut:]:
        a[t] = row[t]
    a[at] = MASK
    return a, (row[at],)


def permuted_pair__keys(row, rng):
    """A random number for each place: smaller ones come earlier."""
    keys = [rng.random() for _ in row]
    at = rng.randrange(len(row))
    a = [MASK if t == at else piece if keys[t] < keys[at] else PAD for t, piece in enumerate(row)]
    return [a, [row[at]]]
