"""Right answers: BM25, the corrected softmax of a batch, fused ranks."""

import math
from fractions import Fraction

import torch
import torch.nn.functional as F


def bm25__plain(asked, counts, *, k1=1.2, b=0.75):
    holding = (counts > 0).sum(dim=0)
    idf = torch.log1p((len(counts) - holding + 0.5) / (holding + 0.5))
    length = counts.sum(dim=1, keepdim=True)
    saturated = counts / (counts + k1 * (1 - b + b * length / length.mean()))
    return asked @ (idf * saturated).T


def bm25__loops(asked, counts, k1=1.2, b=0.75):
    n, v = counts.shape
    mean = counts.sum().item() / n
    scores = torch.zeros(len(asked), n, dtype=counts.dtype)
    for i in range(len(asked)):
        for j in range(n):
            for word in range(v):
                f = counts[j, word].item()
                if not f or not asked[i, word]:
                    continue
                holding = sum(counts[m, word].item() > 0 for m in range(n))
                idf = math.log(1 + (n - holding + 0.5) / (holding + 0.5))
                rest = k1 * (1 - b + b * counts[j].sum().item() / mean)
                scores[i, j] += asked[i, word].item() * idf * f / (f + rest)
    return scores


def bm25__of_one(asked, counts, k1=1.2, b=0.75):
    df = counts.bool().sum(0)
    idf = ((len(counts) + 1) / (df + 0.5)).log()  # 1 + (N − n + ½)/(n + ½), over one denominator
    norm = k1 * (1 - b + b * counts.sum(1) / counts.sum(1).mean())
    return torch.einsum("qv,v,mv->qm", asked, idf, counts / (counts + norm[:, None]))


def log_q_loss__plain(query, positive, log_frequency, *, temperature=0.05):
    cosines = F.normalize(query, dim=1) @ F.normalize(positive, dim=1).T
    logits = cosines / temperature - log_frequency
    return F.cross_entropy(logits, torch.arange(len(query), device=query.device))


def log_q_loss__logsumexp(query, positive, log_frequency, temperature=0.05):
    cosines = F.cosine_similarity(query[:, None], positive[None], dim=2)
    logits = cosines / temperature - log_frequency[None, :]
    return (logits.logsumexp(1) - logits.diagonal()).mean()


def log_q_loss__rows(query, positive, log_frequency, temperature=0.05):
    rows = []
    for i, q in enumerate(query):
        logits = F.cosine_similarity(q[None], positive) / temperature - log_frequency
        rows.append(-logits.log_softmax(0)[i])
    return torch.stack(rows).mean()


def agreement_rank__plain(k):
    return k + 2


def agreement_rank__solved(k):
    return 2 * (k + 1) - k


def agreement_rank__of_the_score(k):
    return float(2 / (1 / Fraction(k + 1)) - Fraction(k))


def ndcg__lesson(scores, relevance, *, k=10):
    order = scores.argsort(dim=1, descending=True)[:, :k]
    listed = relevance.gather(1, order)
    ideal = relevance.sort(dim=1, descending=True).values[:, :k]
    discount = torch.arange(2, listed.shape[1] + 2).log2()
    return ((listed / discount).sum(1) / (ideal / discount).sum(1)).mean()
