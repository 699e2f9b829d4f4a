"""Right answers: characters as tokens, translation ranking with a margin, a rotation in closed form, CSLS."""

import re

import torch
import torch.nn.functional as F
from scipy.linalg import orthogonal_procrustes


def characters__plain(text):
    found, word = [], ""
    for c in text.lower() + " ":
        if c.isalnum() and not "\u4e00" <= c <= "\u9fff":
            word += c
            continue
        if word:
            found.append(word)
            word = ""
        if not c.isspace():
            found.append(c)
    return found


def characters__pattern(text):
    return re.findall(r"[\u4e00-\u9fff]|[^\W\u4e00-\u9fff_]+|[^\w\s]|_", text.lower())


def characters__blanks(text):
    """Blanks around each Chinese character and each mark, then split: as BERT's tokenizer does it."""
    spaced = re.sub(r"([\u4e00-\u9fff]|[^\w\s])", r" \1 ", text)
    return spaced.lower().split()


def additive_margin_loss__plain(left, right, *, margin=0.3, temperature=0.05):
    cosines = F.normalize(left, dim=1) @ F.normalize(right, dim=1).T
    logits = (cosines - margin * torch.eye(len(left), dtype=left.dtype)) / temperature
    own = torch.arange(len(left))
    return F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)


def additive_margin_loss__negatives(left, right, margin=0.3, temperature=0.05):
    """The margin added to all others instead: only differences count."""
    cosines = F.cosine_similarity(left[:, None], right, dim=2)
    others = margin * (1 - torch.eye(len(left), dtype=left.dtype))
    logits = (cosines + others) / temperature
    return -(logits.log_softmax(1) + logits.log_softmax(0)).diagonal().mean()


def additive_margin_loss__loops(left, right, margin=0.3, temperature=0.05):
    total = 0.0
    for i, (x, y) in enumerate(zip(left, right, strict=True)):
        for anchor, others in ((x, right), (y, left)):
            terms = [(F.cosine_similarity(anchor, o, dim=0) - margin * (i == j)) / temperature
                     for j, o in enumerate(others)]  # fmt: skip
            total = total + torch.stack(terms).logsumexp(0) - terms[i]
    return total / len(left)


def rotation__plain(x, y):
    u, _, vh = torch.linalg.svd(x.T @ y)
    return u @ vh


def rotation__other_way(x, y):
    u, _, vh = torch.linalg.svd(y.T @ x)
    return (u @ vh).T


def rotation__scipy(x, y):
    return torch.from_numpy(orthogonal_procrustes(x.numpy(), y.numpy())[0])


def csls__plain(cosines, *, k=10):
    there = cosines.topk(k, dim=1).values.mean(dim=1, keepdim=True)
    back = cosines.topk(k, dim=0).values.mean(dim=0, keepdim=True)
    return 2 * cosines - there - back


def csls__sorted(cosines, k=10):
    by_row = cosines.sort(dim=1, descending=True).values[:, :k].mean(1)
    by_column = cosines.sort(dim=0, descending=True).values[:k].mean(0)
    return (cosines - by_row[:, None]) + (cosines - by_column[None])


def csls__loops(cosines, k=10):
    out = torch.zeros_like(cosines)
    for i in range(len(cosines)):
        for j in range(cosines.shape[1]):
            r = cosines[i].topk(k).values.mean() + cosines[:, j].topk(k).values.mean()
            out[i, j] = 2 * cosines[i, j] - r
    return out
