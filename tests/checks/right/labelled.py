"""Right solutions: losses that read labels, twins, and geometry."""

import math

import torch
import torch.nn.functional as F


def sup_con_loss__plain(embeddings, labels, *, temperature=0.1):
    z = embeddings / embeddings.norm(dim=1, keepdim=True)
    itself = torch.eye(len(z), dtype=torch.bool)
    logits = (z @ z.T / temperature).masked_fill(itself, -torch.inf)
    log_share = logits - logits.logsumexp(dim=1, keepdim=True)
    positive = (labels[:, None] == labels) & ~itself
    count = positive.sum(dim=1)
    loss = -log_share.masked_fill(~positive, 0).sum(dim=1) / count.clamp(min=1)
    return loss[count > 0].mean()


def sup_con_loss__loops(x, y, temperature):
    z, losses = F.normalize(x, dim=-1), []
    for i in range(len(y)):
        others = [k for k in range(len(y)) if k != i]
        below = torch.logsumexp(torch.stack([z[i] @ z[k] / temperature for k in others]), 0)
        terms = [below - z[i] @ z[p] / temperature for p in others if y[p] == y[i]]
        if terms:
            losses.append(sum(terms) / len(terms))
    return torch.stack(losses).mean()


def sup_con_loss__soft_targets(x, y, temperature):
    s = F.cosine_similarity(x[:, None], x[None], dim=-1) / temperature
    s = s - 1e9 * torch.eye(len(s))
    target = (y[:, None] == y[None]).double().fill_diagonal_(0)
    keep = target.sum(1) > 0
    target = target[keep] / target[keep].sum(1, keepdim=True)
    return F.cross_entropy(s[keep], target.to(s.dtype))


def sup_con_loss__mean_of_the_class(x, y, temperature):
    z = F.normalize(x.float())
    same = (y[:, None] == y).float() - torch.eye(len(y))
    count = same.sum(1)
    pull = torch.einsum("ij,ij->i", same, z @ z.T) / count.clamp_min(1) / temperature
    push = torch.stack([torch.cat([row[:i], row[i + 1 :]]).logsumexp(0) for i, row in enumerate(z @ z.T / temperature)])
    return ((push - pull) * (count > 0)).sum() / (count > 0).sum()


def soft_nearest_neighbor_loss__plain(embeddings, labels, *, temperature=1.0):
    distance = (embeddings[:, None] - embeddings).square().sum(dim=2)
    itself = torch.eye(len(labels), dtype=torch.bool)
    positive = (labels[:, None] == labels) & ~itself
    has_positive = positive.any(dim=1)
    logits = -distance[has_positive] / temperature
    above = logits.masked_fill(~positive[has_positive], -torch.inf).logsumexp(dim=1)
    below = logits.masked_fill(itself[has_positive], -torch.inf).logsumexp(dim=1)
    return (below - above).mean()


def soft_nearest_neighbor_loss__loops(x, y, temperature):
    losses = []
    for i in range(len(y)):
        near = lambda j: -((x[i] - x[j]) ** 2).sum() / temperature  # noqa: B023
        above = [near(j) for j in range(len(y)) if j != i and y[j] == y[i]]
        below = [near(j) for j in range(len(y)) if j != i]
        if above:
            losses.append(torch.stack(below).logsumexp(0) - torch.stack(above).logsumexp(0))
    return sum(losses) / len(losses)


def soft_nearest_neighbor_loss__log_softmax(x, y, temperature):
    squares = x.pow(2).sum(1)
    d = squares[:, None] + squares - 2 * torch.einsum("id,jd->ij", x, x)
    shares = torch.log_softmax(-d / temperature - 1e12 * torch.eye(len(x)), dim=1)
    values = []
    for i, row in enumerate(shares):
        mine = (y == y[i]) & (torch.arange(len(y)) != i)
        if mine.any():
            values.append(-torch.logsumexp(row[mine], 0))
    return torch.stack(values).mean()


def soft_nearest_neighbor_loss__float32(x, y, temperature):
    return soft_nearest_neighbor_loss__plain(x.float(), y, temperature=temperature)


def label_aware_loss__plain(embeddings, labels, class_logits, *, temperature=0.3):
    z = embeddings / embeddings.norm(dim=1, keepdim=True)
    log_weight = class_logits.log_softmax(dim=1)[:, labels]
    itself = torch.eye(len(z), dtype=torch.bool)
    logits = z @ z.T / temperature
    below = (logits + log_weight).masked_fill(itself, -torch.inf).logsumexp(dim=1, keepdim=True)
    positive = (labels[:, None] == labels) & ~itself
    count = positive.sum(dim=1)
    mean = (logits - below).masked_fill(~positive, 0).sum(dim=1) / count.clamp(min=1)
    loss = -log_weight.diagonal().exp() * mean
    return loss[count > 0].mean()


def label_aware_loss__loops(x, y, c, temperature):
    z, w, losses = F.normalize(x), F.log_softmax(c, 1), []
    for i in range(len(y)):
        others = [k for k in range(len(y)) if k != i]
        below = torch.stack([w[i, y[k]] + z[i] @ z[k] / temperature for k in others]).logsumexp(0)
        terms = torch.stack([z[i] @ z[k] / temperature - below if y[k] == y[i] else below * 0 for k in others])
        positives = sum(int(y[k] == y[i]) for k in others)
        if positives:
            losses.append(-w[i, y[i]].exp() * terms.sum() / positives)
    return torch.stack(losses).mean()


def label_aware_loss__one_hot(x, y, c, temperature):
    one_hot = F.one_hot(y, c.shape[1]).to(c.dtype)
    log_w = torch.einsum("nc,mc->nm", F.log_softmax(c, dim=-1), one_hot)
    s = F.cosine_similarity(x[:, None], x[None], dim=-1) / temperature
    below = torch.logsumexp(s + log_w - 1e9 * torch.eye(len(s)), dim=1)
    same = (one_hot @ one_hot.T).fill_diagonal_(0)
    keep = same.sum(1) > 0
    terms = (same * (below[:, None] - s)).sum(1)[keep] / same.sum(1)[keep]
    return (c.softmax(1).gather(1, y[:, None]).squeeze(1)[keep] * terms).mean()


def label_aware_loss__float32(x, y, c, temperature):
    return label_aware_loss__plain(x.float(), y, c.float(), temperature=temperature)


def twin_loss__plain(anchor, identical, fraternal, margin):
    a = anchor / anchor.norm(dim=1, keepdim=True)
    i = identical / identical.norm(dim=1, keepdim=True)
    f = fraternal / fraternal.norm(dim=1, keepdim=True)
    gap = (a * i).sum(dim=1).exp() - (a * f).sum(dim=1).exp()
    return (gap - margin.detach()).abs().mean()


def twin_loss__functional(a, i, f, margin):
    gap = torch.exp(F.cosine_similarity(a, i)) - torch.exp(F.cosine_similarity(a, f))
    return F.l1_loss(gap, margin.detach())


def twin_loss__loops(a, i, f, margin):
    cos = lambda x, y: x @ y / (x.norm() * y.norm())
    total = 0
    for n in range(len(a)):
        total += (cos(a[n], i[n]).exp() - cos(a[n], f[n]).exp() - margin[n].item()).abs()
    return total / len(a)


def twin_loss__einsum(a, i, f, margin):
    a, i, f = (F.normalize(x.float(), dim=1) for x in (a, i, f))
    gap = torch.einsum("nd,nd->n", a, i).exp() - torch.einsum("nd,nd->n", a, f).exp()
    with torch.no_grad():
        goal = margin.clone()
    return torch.maximum(gap - goal, goal - gap).mean()


def alignment__plain(x, y):
    x = x / x.norm(dim=1, keepdim=True)
    y = y / y.norm(dim=1, keepdim=True)
    return (x - y).square().sum(dim=1).mean()


def alignment__cosine(x, y):
    return (2 - 2 * F.cosine_similarity(x, y)).mean()


def alignment__norm(x, y):
    return (F.normalize(x.float()) - F.normalize(y.float())).norm(dim=1).pow(2).mean()


def alignment__loops(x, y):
    return sum(((a / a.norm() - b / b.norm()) ** 2).sum() for a, b in zip(x, y, strict=True)) / len(x)


def uniformity__plain(x):
    x = x / x.norm(dim=1, keepdim=True)
    distance = torch.pdist(x).square()
    return distance.mul(-2).exp().mean().log()


def uniformity__matrix(x):
    x = F.normalize(x, dim=1)
    s, n = torch.exp(4 * (x @ x.T - 1)), len(x)
    return torch.log((s.sum() - s.trace()) / (n * (n - 1)))


def uniformity__loops(x):
    x, values = F.normalize(x.float(), dim=1), []
    for i in range(len(x)):
        for j in range(i):
            values.append(torch.exp(-2 * ((x[i] - x[j]) ** 2).sum()))
    return torch.stack(values).mean().log()


def uniformity__logsumexp(x):
    x = F.normalize(x, dim=1)
    i, j = torch.triu_indices(len(x), len(x), 1)
    e = -2 * (x[i] - x[j]).pow(2).sum(1)
    return e.logsumexp(0) - math.log(len(e))
