"""Right solutions as students write them, at least three for each exercise: ``EXERCISE__how``.

The one called ``__plain`` is also what the mutants are made from.
"""

import math

import torch
import torch.nn.functional as F

# ---- triplets


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


# ---- logistic regression


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


# ---- softmax


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


# ---- labels


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


# ---- twins and geometry


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


SOLUTIONS: dict[str, dict] = {}
for _name, _function in list(globals().items()):
    if "__" in _name.strip("_") and callable(_function) and getattr(_function, "__module__", "") == __name__:
        _exercise, _how = _name.split("__")
        SOLUTIONS.setdefault(_exercise, {})[_how] = _function
