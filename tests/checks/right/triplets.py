"""Right solutions: triplets, and logistic regression on noise."""

import math

import torch
import torch.nn.functional as F


def triplet_loss__plain(anchor, positive, negative, *, margin=1.0):
    near = (anchor - positive).square().sum(dim=1)
    far = (anchor - negative).square().sum(dim=1)
    return torch.relu(near - far + margin).mean()


def triplet_loss__loops(anchor, positive, negative, *, margin=1.0):
    total = 0.0
    for a, p, n in zip(anchor, positive, negative, strict=True):
        total = total + torch.clamp((a - p) @ (a - p) - (a - n) @ (a - n) + margin, min=0)
    return total / len(anchor)


def triplet_loss__einsum(a, p, n, margin=1.0):
    near = torch.einsum("nd,nd->n", a - p, a - p)
    far = torch.einsum("nd,nd->n", a - n, a - n)
    return F.relu(margin + near - far).mean()


def triplet_loss__multiplied_out(a, p, n, margin=1.0):
    value = -2 * (a * p).sum(1) + (p * p).sum(1) + 2 * (a * n).sum(1) - (n * n).sum(1) + margin
    return torch.stack([value, torch.zeros_like(value)]).amax(0).mean()


def triplet_loss__float32(a, p, n, margin=1.0):
    return triplet_loss__plain(a.float(), p.float(), n.float(), margin=margin)


def triplet_loss__torch(a, p, n, margin=1.0):
    squared = lambda x, y: F.mse_loss(x, y, reduction="none").sum(1)
    return F.margin_ranking_loss(squared(a, n), squared(a, p), torch.ones(len(a)), margin=margin)


def margin_triplet_loss__plain(anchor, positive, negative, *, margin=1.0):
    near = (anchor * positive).sum(dim=1)
    far = (anchor * negative).sum(dim=1)
    return torch.relu(margin - near + far).mean()


def margin_triplet_loss__einsum(a, p, n, margin):
    return torch.einsum("nd,nd->n", a, n - p).add(margin).clamp_min(0).sum() / a.shape[0]


def margin_triplet_loss__loops(a, p, n, margin):
    return sum(F.relu(margin - torch.dot(a[i], p[i]) + torch.dot(a[i], n[i])) for i in range(len(a))) / len(a)


def margin_triplet_loss__diagonal(a, p, n, margin):
    return F.relu(margin - (a @ p.T).diagonal() + (a @ n.T).diag()).float().mean()


def positive_mask__plain(labels):
    same = labels[:, None] == labels
    return same & ~torch.eye(len(labels), dtype=torch.bool)


def positive_mask__loops(y):
    return torch.tensor([[bool(a == b) and i != j for j, b in enumerate(y)] for i, a in enumerate(y)])


def positive_mask__xor(y):
    return y.unsqueeze(0).eq(y.unsqueeze(1)).logical_xor(torch.eye(len(y)).bool())


def positive_mask__fill(y):
    mask = y.view(-1, 1) == y.view(1, -1)
    mask.fill_diagonal_(False)
    return mask


def batch_triplet_loss__plain(embeddings, labels, *, margin=1.0):
    distance = (embeddings[:, None] - embeddings).square().sum(dim=2)
    same = labels[:, None] == labels
    positive = same & ~torch.eye(len(labels), dtype=torch.bool)
    valid = positive[:, :, None] & ~same[:, None, :]
    value = torch.relu(distance[:, :, None] - distance[:, None, :] + margin)
    return value[valid].mean()


def batch_triplet_loss__loops(x, y, margin):
    d, n, values = torch.cdist(x, x) ** 2, len(y), []
    for a in range(n):
        for p in range(n):
            for q in range(n):
                if a != p and y[a] == y[p] and y[a] != y[q]:
                    values.append(torch.clamp_min(d[a, p] - d[a, q] + margin, 0))
    return torch.stack(values).mean()


def batch_triplet_loss__where(x, y, margin):
    squares = (x * x).sum(1)
    d = squares[:, None] + squares[None] - 2 * x @ x.T
    other = torch.ones(len(y), len(y)).fill_diagonal_(0)
    same = torch.eq(y[:, None], y[None]).float()
    weight = torch.einsum("ap,an->apn", same * other, 1 - same)
    return (weight * F.relu(d.unsqueeze(2) - d.unsqueeze(1) + margin)).sum() / weight.sum()


def batch_triplet_loss__indices(x, y, margin):
    a, p, n = [], [], []
    for i in range(len(y)):
        for j in (y == y[i]).nonzero().flatten().tolist():
            for k in (y != y[i]).nonzero().flatten().tolist():
                if i != j:
                    a, p, n = [*a, i], [*p, j], [*n, k]
    return triplet_loss__plain(x[a], x[p], x[n], margin=margin)


def batch_hard_loss__plain(embeddings, labels, *, margin=1.0):
    distance = (embeddings[:, None] - embeddings).square().sum(dim=2)
    same = labels[:, None] == labels
    farthest = distance.masked_fill(~same, -torch.inf).amax(dim=1)
    nearest = distance.masked_fill(same, torch.inf).amin(dim=1)
    return torch.relu(farthest - nearest + margin).mean()


def batch_hard_loss__loops(embeddings, labels, *, margin=1.0):
    values = []
    for i in range(len(labels)):
        d = [(x - embeddings[i]).square().sum() for x in embeddings]
        near = [d[j] for j in range(len(d)) if labels[j] == labels[i] and j != i]
        far = [d[j] for j in range(len(d)) if labels[j] != labels[i]]
        values.append(torch.relu(max(near) - min(far) + margin))
    return torch.stack(values).mean()


def batch_hard_loss__cdist(embeddings, labels, *, margin=1.0):
    d = torch.cdist(embeddings, embeddings).square()
    same = labels.unsqueeze(0) == labels.unsqueeze(1)
    nearest = (d + same * 1e9).min(1).values
    return F.relu((d * same).max(1).values - nearest + margin).mean()


def batch_hard_loss__sorting(embeddings, labels, *, margin=1.0):
    d = (embeddings[:, None] - embeddings[None]).pow(2).sum(-1)
    same = labels[:, None] == labels
    far = d.masked_fill(same, float("inf")).sort(1)[0][:, 0]
    near = d.masked_fill(~same, 0).sort(1, descending=True)[0][:, 0]
    return torch.clamp_min(near - far + margin, 0).mean()


def nce_loss__plain(data_score, noise_scores, data_log_noise, noise_log_noise):
    log_k = math.log(noise_scores.shape[1])
    data = data_score - data_log_noise - log_k
    noise = noise_scores - noise_log_noise - log_k
    return (-F.logsigmoid(data) - F.logsigmoid(-noise).sum(dim=1)).mean()


def nce_loss__cross_entropy(s, t, ls, lt):
    k = t.size(1)
    logits = torch.cat([s[:, None], t], 1) - torch.cat([ls[:, None], lt], 1) - math.log(k)
    target = torch.zeros_like(logits)
    target[:, 0] = 1
    return F.binary_cross_entropy_with_logits(logits, target, reduction="sum") / len(s)


def nce_loss__softplus(s, t, ls, lt):
    ratio = lambda score, log_q: score - (torch.tensor(float(t.shape[-1])).log() + log_q)
    return (F.softplus(-ratio(s, ls)) + F.softplus(ratio(t, lt)).sum(-1)).mean()


def nce_loss__loops(s, t, ls, lt):
    total = 0
    for i in range(len(s)):
        total = total - F.logsigmoid(s[i] - ls[i] - math.log(t.shape[1]))
        for k in range(t.shape[1]):
            total = total - F.logsigmoid(-t[i, k] + lt[i, k] + math.log(t.shape[1]))
    return total / len(s)


def negative_sampling_loss__plain(anchor, positive, negatives, *, temperature=1.0):
    data = (anchor * positive).sum(dim=1) / temperature
    noise = torch.einsum("nd,nkd->nk", anchor, negatives) / temperature
    return (-F.logsigmoid(data) - F.logsigmoid(-noise).sum(dim=1)).mean()


def negative_sampling_loss__bmm(a, p, n, temperature):
    scores = torch.bmm(torch.cat([p[:, None], n], 1), a[:, :, None]).squeeze(2) / temperature
    sign = torch.ones_like(scores)
    sign[:, 1:] = -1
    return -F.logsigmoid(sign * scores).sum(1).mean()


def negative_sampling_loss__softplus(a, p, n, temperature):
    a = a.float() / temperature
    pulled = F.softplus(-torch.einsum("nd,nd->n", a, p.float()))
    return (pulled + F.softplus((n.float() * a.unsqueeze(1)).sum(-1)).sum(-1)).mean()


def negative_sampling_loss__loops(a, p, n, temperature):
    losses = []
    for i in range(len(a)):
        losses.append(
            -F.logsigmoid(a[i] @ p[i] / temperature) - sum(F.logsigmoid(-(x @ a[i]) / temperature) for x in n[i])
        )
    return sum(losses) / len(losses)
