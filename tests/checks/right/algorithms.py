"""Right solutions: miners, training steps, samplers, crops, spans and ranking."""

import math
import random

import numpy as np
import torch
import torch.nn.functional as F


def semi_hard_mining__plain(distance, labels):
    triplets = []
    for a in range(len(labels)):
        far = distance[a][labels != labels[a]]
        index = (labels != labels[a]).nonzero().flatten()
        for p in range(len(labels)):
            if labels[p] == labels[a] and p != a:
                farther = far > distance[a, p]
                chosen = far.masked_fill(~farther, torch.inf).argmin() if farther.any() else far.argmax()
                triplets.append((a, p, int(index[chosen])))
    return torch.tensor(triplets)


def semi_hard_mining__vectorised(distance, labels):
    same = labels[:, None] == labels
    a, p = (same & ~torch.eye(len(labels), dtype=torch.bool)).nonzero(as_tuple=True)
    row = distance[a].masked_fill(same[a], -torch.inf)
    farther = row > distance[a, p][:, None]
    nearest = row.masked_fill(~farther, torch.inf).argmin(1)
    return torch.stack([a, p, torch.where(farther.any(1), nearest, row.argmax(1))], dim=1)


def semi_hard_mining__lists(distance, labels):
    d, y, found = distance.tolist(), labels.tolist(), []
    for a, p in [(a, p) for a in range(len(y)) for p in range(len(y)) if a != p and y[a] == y[p]][::-1]:
        order = sorted((k for k in range(len(y)) if y[k] != y[a]), key=lambda k, a=a: d[a][k])
        found.append([a, p, next((k for k in order if d[a][k] > d[a][p]), order[-1])])
    return found


def zipped_triplets__plain(premises, entailments, contradictions):
    entailed, contradicted = dict(entailments), dict(contradictions)
    triplets = []
    for number, premise in premises:
        if number in entailed and number in contradicted:
            triplets.append((premise, entailed[number], contradicted[number]))
    return triplets


def zipped_triplets__sets(premises, entailments, contradictions):
    first, second, third = dict(premises), dict(entailments), dict(contradictions)
    common = first.keys() & second.keys() & third.keys()
    return [(first[n], second[n], third[n]) for n in first if n in common]


def zipped_triplets__loops(premises, entailments, contradictions):
    return [[p, e, c] for i, p in premises for j, e in entailments for k, c in contradictions if i == j == k]


def span_tokens__plain(offsets, start, end):
    return [i for i, (first, last) in enumerate(offsets) if first < end and last > start]


def span_tokens__characters(offsets, start, end):
    wanted = set(range(start, end))
    return [i for i, (first, last) in enumerate(offsets) if wanted & set(range(first, last))]


def span_tokens__tensor(offsets, start, end):
    first, last = torch.tensor(offsets).unbind(1)
    return ((first < end) & (last > start) & (last > first)).nonzero().flatten()


def training_step__plain(model, optimizer, batch, loss_of):
    optimizer.zero_grad()
    loss = loss_of(model, batch)
    loss.backward()
    optimizer.step()
    return loss.detach()


def training_step__number(model, optimizer, batch, loss_of):
    loss = loss_of(model, batch)
    model.zero_grad(set_to_none=False)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()


def training_step__by_hand(model, optimizer, batch, loss_of):
    loss = loss_of(model, batch)
    parameters = list(model.parameters())
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        parameter.grad = gradient
    optimizer.step()
    return loss


def training_step__closure(model, optimizer, batch, loss_of):
    def closure():
        optimizer.zero_grad()
        loss = loss_of(model, batch)
        loss.backward()
        return loss

    return optimizer.step(closure)


def two_view_step__plain(encoder, sentences, *, temperature=0.05):
    encoder.train()
    first = encoder(encoder.tokenize(sentences))
    second = encoder(encoder.tokenize(sentences))
    first = first / first.norm(dim=1, keepdim=True)
    second = second / second.norm(dim=1, keepdim=True)
    logits = first @ second.T / temperature
    return -logits.log_softmax(dim=1).diagonal().mean()


def two_view_step__one_batch(encoder, sentences, temperature):
    batch = encoder.train(True).tokenize(sentences)
    first, second = encoder({name: torch.cat([part, part]) for name, part in batch.items()}).chunk(2)
    scores = F.cosine_similarity(first[:, None], second[None], dim=-1) / temperature
    return F.cross_entropy(scores, torch.arange(len(sentences)))


def two_view_step__loops(encoder, sentences, temperature):
    batch = encoder.train().tokenize(sentences)
    views = [F.normalize(encoder(batch)) for _ in range(2)]
    total = 0
    for i in range(len(sentences)):
        row = torch.stack([views[0][i] @ k for k in views[1]]) / temperature
        total = total + row.logsumexp(0) - row[i]
    return total / len(sentences)


def negative_sampler__plain(counts, n, generator, *, power=0.75):
    weight = counts.double() ** power
    share = weight / weight.sum()
    return torch.multinomial(share, n, replacement=True, generator=generator)


def negative_sampler__inverse(counts, n, generator, power):
    edges = counts.double().pow(power).cumsum(0)
    place = torch.rand(n, generator=generator, dtype=torch.float64) * edges[-1]
    return torch.searchsorted(edges, place, right=True).clamp_max(len(counts) - 1)


def negative_sampler__table(counts, n, generator, power):
    share = counts.double() ** power / (counts.double() ** power).sum()
    table = torch.repeat_interleave(torch.arange(len(counts)), (share * 200_000).round().long())
    return table[torch.randint(len(table), (n,), generator=generator)]


def negative_sampler__numpy(counts, n, generator, power):
    rng = np.random.default_rng(int(torch.randint(2**31, (1,), generator=generator)))
    share = counts.numpy().astype(float) ** power
    return torch.as_tensor(rng.choice(len(counts), size=n, p=share / share.sum()))


def crop_view__plain(words, rng, *, keep=0.75):
    kept = max(1, round(keep * len(words)))
    start = rng.randrange(len(words) - kept + 1)
    return words[start : start + kept]


def crop_view__randint(words, rng, keep):
    k = max(round(len(words) * keep), 1)
    begin = rng.randint(0, len(words) - k)
    return [words[begin + i] for i in range(k)]


def crop_view__choice(words, rng, keep):
    k = max(1, math.floor(keep * len(words) + 0.5))
    return rng.choice([words[i : i + k] for i in range(len(words) - k + 1)])


def crop_view__seeded(words, rng, keep):
    own = random.Random(rng.random())  # drawn from the one that is given: allowed
    k = max(1, round(keep * len(words)))
    start = int(own.random() * (len(words) - k + 1))
    return list(words[start:][:k])


def reciprocal_rank__plain(scores, relevance, *, k=10):
    order = scores.argsort(dim=1, descending=True)[:, :k]
    found = relevance.gather(1, order) > 0
    rank = torch.arange(found.shape[1]) + 1
    value = (found / rank).amax(dim=1)
    return value.mean()


def reciprocal_rank__loops(scores, relevance, k):
    values = []
    for s, r in zip(scores.tolist(), relevance.tolist(), strict=True):
        listed = sorted(range(len(s)), key=lambda i: -s[i])[:k]
        values.append(next((1 / (place + 1) for place, i in enumerate(listed) if r[i] > 0), 0.0))
    return sum(values) / len(values)


def reciprocal_rank__topk(scores, relevance, k):
    best = scores.topk(min(k, scores.shape[1]), dim=1).indices
    hit = (torch.take_along_dim(relevance, best, 1) > 0).double()
    return torch.where(hit.sum(1) > 0, 1 / (hit.argmax(1) + 1.0), 0.0).mean()


def ndcg__plain(scores, relevance, *, k=10):
    listed = relevance.gather(1, scores.argsort(dim=1, descending=True))[:, :k]
    best = relevance.sort(dim=1, descending=True).values[:, :k]
    discount = (torch.arange(listed.shape[1]) + 2.0).log2()
    return ((listed / discount).sum(dim=1) / (best / discount).sum(dim=1)).mean()


def ndcg__loops(scores, relevance, k):
    dcg = lambda grades: sum(g / math.log2(place + 2) for place, g in enumerate(grades[:k]))
    values = []
    for s, r in zip(scores.tolist(), relevance.tolist(), strict=True):
        listed = [g for _, g in sorted(zip(s, r, strict=True), reverse=True)]
        values.append(dcg(listed) / dcg(sorted(r, reverse=True)))
    return torch.tensor(values).mean()


def ndcg__natural_logarithm(scores, relevance, k):
    weight = 1 / np.log(np.arange(scores.shape[1]) + 2)
    weight[k:] = 0
    r = relevance.numpy()
    listed = np.take_along_axis(r, np.argsort(-scores.numpy(), axis=1), 1)
    return float(np.mean((listed @ weight) / (-np.sort(-r, axis=1) @ weight)))
