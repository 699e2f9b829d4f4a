"""Right solutions: similarities and losses with a softmax along the rows."""

import torch
import torch.nn.functional as F


def similarity_matrix__plain(x, y):
    x = x / x.norm(dim=1, keepdim=True)
    y = y / y.norm(dim=1, keepdim=True)
    return x @ y.T


def similarity_matrix__functional(x, y):
    return F.cosine_similarity(x[:, None, :], y[None, :, :], dim=-1)


def similarity_matrix__einsum(x, y):
    lengths = torch.outer(x.pow(2).sum(1).sqrt(), y.pow(2).sum(1).sqrt())
    return torch.einsum("nd,md->nm", x, y) / lengths


def similarity_matrix__loops(x, y):
    return torch.stack([torch.stack([F.normalize(a, dim=0) @ F.normalize(b, dim=0) for b in y]) for a in x])


def info_nce_loss__plain(query, positive, *, temperature=0.07):
    q = query / query.norm(dim=1, keepdim=True)
    k = positive / positive.norm(dim=1, keepdim=True)
    logits = q @ k.T / temperature
    return (logits.logsumexp(dim=1) - logits.diagonal()).mean()


def info_nce_loss__cross_entropy(query, positive, *, temperature=0.07):
    logits = F.normalize(query, dim=-1) @ F.normalize(positive, dim=-1).T / temperature
    return F.cross_entropy(logits, torch.arange(len(query)))


def info_nce_loss__nll(query, positive, temperature):
    logits = F.cosine_similarity(query.unsqueeze(1), positive.unsqueeze(0), dim=2).div(temperature)
    return F.nll_loss(logits.log_softmax(1), torch.arange(logits.shape[0]))


def info_nce_loss__loops(query, positive, temperature):
    total = 0
    for i in range(len(query)):
        row = torch.stack([F.cosine_similarity(query[i], k, dim=0) for k in positive]) / temperature
        total -= torch.log_softmax(row, 0)[i]
    return total / len(query)


def info_nce_loss__float32(query, positive, temperature):
    return info_nce_loss__cross_entropy(query.float(), positive.float(), temperature=temperature)


def simcse_loss__plain(anchor, positive, *, temperature=0.05):
    a = anchor / anchor.norm(dim=1, keepdim=True)
    p = positive / positive.norm(dim=1, keepdim=True)
    logits = a @ p.T / temperature
    return -logits.log_softmax(dim=1).diagonal().mean()


def simcse_loss__functional(a, p, temperature):
    return F.cross_entropy(F.cosine_similarity(a[:, None], p[None], dim=-1) / temperature, torch.arange(len(a)))


def simcse_loss__einsum(a, p, temperature):
    s = torch.einsum("id,jd->ij", F.normalize(a), F.normalize(p)) / temperature
    return torch.logsumexp(s - torch.diag(s)[:, None], 1).mean()


def simcse_loss__max_subtracted(a, p, temperature):
    s = (F.normalize(a.float()) @ F.normalize(p.float()).t()) / temperature
    top = s.max(1, keepdim=True).values.detach()
    return (-(s - top).diag() + (s - top).exp().sum(1).log()).sum() / len(s)


def supervised_simcse_loss__plain(anchor, positive, hard_negative, *, temperature=0.05):
    a = anchor / anchor.norm(dim=1, keepdim=True)
    p = positive / positive.norm(dim=1, keepdim=True)
    n = hard_negative / hard_negative.norm(dim=1, keepdim=True)
    logits = torch.cat([a @ p.T, a @ n.T], dim=1) / temperature
    return -logits.log_softmax(dim=1).diagonal().mean()


def supervised_simcse_loss__functional(a, p, n, temperature):
    candidates = torch.cat([p, n])
    logits = F.cosine_similarity(a.unsqueeze(1), candidates.unsqueeze(0), dim=-1) / temperature
    return F.cross_entropy(logits, torch.arange(len(a)))


def supervised_simcse_loss__logaddexp(a, p, n, temperature):
    a, p, n = map(F.normalize, (a.float(), p.float(), n.float()))
    below = torch.logaddexp((a @ p.T / temperature).logsumexp(1), (a @ n.T / temperature).logsumexp(1))
    return (below - (a * p).sum(1) / temperature).mean()


def supervised_simcse_loss__loops(a, p, n, temperature):
    total = 0.0
    for i, x in enumerate(a):
        row = [F.cosine_similarity(x, y, dim=0) / temperature for y in [*p, *n]]
        total = total + torch.logsumexp(torch.stack(row), 0) - row[i]
    return total / len(a)


def nt_xent_loss__plain(view1, view2, *, temperature=0.5):
    z = torch.cat([view1, view2])
    z = z / z.norm(dim=1, keepdim=True)
    logits = z @ z.T / temperature
    logits = logits.masked_fill(torch.eye(len(z), dtype=torch.bool), -torch.inf)
    twin = torch.arange(len(z)).roll(len(view1))
    return F.cross_entropy(logits, twin)


def nt_xent_loss__gathered(a, b, temperature):
    n = len(a)
    z = F.normalize(torch.cat([a, b]).float(), dim=1)
    s = F.cosine_similarity(z[:, None], z[None], dim=-1) / temperature
    positive = torch.cat([s.diagonal(n), s.diagonal(-n)])
    others = s[~torch.eye(2 * n, dtype=torch.bool)].view(2 * n, 2 * n - 1)
    return (others.logsumexp(1) - positive).mean()


def nt_xent_loss__subtracted(a, b, temperature):
    a, b, big = F.normalize(a, dim=1), F.normalize(b, dim=1), 1e9 * torch.eye(len(a))
    target = torch.arange(len(a))
    one = torch.cat([a @ b.T / temperature, a @ a.T / temperature - big], 1)
    two = torch.cat([b @ a.T / temperature, b @ b.T / temperature - big], 1)
    return (F.cross_entropy(one, target) + F.cross_entropy(two, target)) / 2


def nt_xent_loss__loops(a, b, temperature):
    z, n, total = F.normalize(torch.cat([a, b])), len(a), 0
    for i in range(2 * n):
        t = (i + n) % (2 * n)
        row = torch.stack([z[i] @ z[k] for k in range(2 * n) if k != i]) / temperature
        total = total + row.logsumexp(0) - z[i] @ z[t] / temperature
    return total / (2 * n)


def symmetric_info_nce__plain(left, right, *, temperature=0.07):
    q = left / left.norm(dim=1, keepdim=True)
    k = right / right.norm(dim=1, keepdim=True)
    logits = q @ k.T / temperature
    rows = logits.log_softmax(dim=1).diagonal().mean()
    columns = logits.log_softmax(dim=0).diagonal().mean()
    return -(rows + columns) / 2


def symmetric_info_nce__cross_entropy(left, right, temperature):
    logits = F.normalize(left) @ F.normalize(right).T / temperature
    target = torch.arange(len(left))
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def symmetric_info_nce__loops(left, right, temperature):
    total, n = 0, len(left)
    for a, b in ((left, right), (right, left)):
        for i in range(n):
            row = torch.stack([F.cosine_similarity(a[i], k, dim=0) for k in b]) / temperature
            total = total + row.logsumexp(0) - row[i]
    return total / (2 * n)


def weighted_info_nce__plain(query, positive, negatives, weights, *, temperature=0.07):
    q = query / query.norm(dim=1, keepdim=True)
    k = positive / positive.norm(dim=1, keepdim=True)
    old = negatives / negatives.norm(dim=1, keepdim=True)
    logits = torch.cat([q @ k.T / temperature, q @ old.T / temperature + weights.log()], dim=1)
    return -logits.log_softmax(dim=1).diagonal().mean()


def weighted_info_nce__cross_entropy(query, positive, negatives, weights, temperature):
    candidates = F.normalize(torch.cat([positive, negatives]))
    log_weight = torch.cat([torch.zeros(len(positive)), weights.log()])
    logits = F.normalize(query) @ candidates.T / temperature + log_weight
    return F.cross_entropy(logits, torch.arange(len(query)))


def weighted_info_nce__logaddexp(q, k, n, w, temperature):
    q, k, n = (F.normalize(x.float(), dim=-1) for x in (q, k, n))
    batch, past = q @ k.T / temperature, q @ n.T / temperature
    below = torch.logaddexp(batch.logsumexp(1), (past + w.float().log()).logsumexp(1))
    return (below - batch.diagonal()).mean()


def nt_xent_split__plain(view1, view2, *, temperature=0.5):
    z = torch.cat([view1, view2])
    z = z / z.norm(dim=1, keepdim=True)
    cosine = z @ z.T
    logits = cosine.masked_fill(torch.eye(len(z), dtype=torch.bool), -torch.inf) / temperature
    alignment = -cosine.diagonal(len(view1)).mean()
    return alignment, temperature * logits.logsumexp(dim=1).mean()


def nt_xent_split__from_the_loss(a, b, temperature):
    alignment = -F.cosine_similarity(a, b).mean()
    return alignment, temperature * nt_xent_loss__plain(a, b, temperature=temperature) - alignment


def nt_xent_split__list(a, b, temperature):
    a, b, n = F.normalize(a), F.normalize(b), len(a)
    z = torch.cat([a, b])
    rows = [torch.cat([row[:i], row[i + 1 :]]) for i, row in enumerate(z @ z.T)]
    return [-(a * b).sum() / n, temperature * torch.stack(rows).div(temperature).logsumexp(1).mean()]
