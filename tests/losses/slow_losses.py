"""Every contrastive loss as its formula says, one anchor after the other: slow, and obviously right.

Float64 tensors come in, a list with one scalar for each anchor comes out, ``None`` for an anchor that does not count.
The plain exp and log are safe for the moderate values the tests use, and autograd gives the gradient.
"""

import math

import torch


def cosine(x, y):
    return (x @ y) / ((x @ x) * (y @ y)).sqrt()


def dot(x, y):
    return x @ y


def nt_xent(view1, view2, *, temperature):
    views, n = [*view1, *view2], len(view1)
    rows = []
    for i, anchor in enumerate(views):
        twin = i + n if i < n else i - n
        below = sum(torch.exp(cosine(anchor, views[k]) / temperature) for k in range(2 * n) if k != i)
        rows.append(-torch.log(torch.exp(cosine(anchor, views[twin]) / temperature) / below))
    return rows


def info_nce(query, positive, negatives=None, weights=None, *, temperature, similarity=cosine, log_frequency=None):
    rows = []
    shift = torch.zeros(len(positive)) if log_frequency is None else log_frequency
    for i, anchor in enumerate(query):
        logit = [similarity(anchor, k) / temperature - s for k, s in zip(positive, shift, strict=True)]
        below = sum(map(torch.exp, logit))
        extra = [] if negatives is None else negatives[i] if negatives.dim() == 3 else negatives
        for m, other in enumerate(extra):
            weight = 1.0 if weights is None else weights[i, m] if weights.dim() == 2 else weights[m]
            below = below + weight * torch.exp(similarity(anchor, other) / temperature)
        rows.append(-torch.log(torch.exp(logit[i]) / below))
    return rows


def clip(left, right, *, temperature):
    """Rows and columns of one matrix."""
    n = len(left)
    s = [[torch.exp(cosine(x, y) / temperature) for y in right] for x in left]
    rows = []
    for i in range(n):
        row, column = sum(s[i][j] for j in range(n)), sum(s[j][i] for j in range(n))
        rows.append(-(torch.log(s[i][i] / row) + torch.log(s[i][i] / column)) / 2)
    return rows


def additive_margin(left, right, *, margin, temperature):
    """Both directions, each against all others; the own pair with its margin taken off, above and below."""
    rows = []
    for i in range(len(left)):
        own = torch.exp((cosine(left[i], right[i]) - margin) / temperature)
        total = torch.zeros((), dtype=torch.float64)
        for anchor, others in ((left[i], right), (right[i], left)):
            rest = sum(torch.exp(cosine(anchor, o) / temperature) for j, o in enumerate(others) if j != i)
            total = total - torch.log(own / (own + rest))
        rows.append(total)
    return rows


def distillation(student, teacher):
    rows = []
    for s, t in zip(student, teacher.detach(), strict=True):
        share = [torch.exp(x) / sum(torch.exp(y) for y in t) for x in t]
        rows.append(-sum(p * torch.log(torch.exp(x) / sum(map(torch.exp, s))) for p, x in zip(share, s, strict=True)))
    return rows


def simcse(anchor, positive, hard_negative=None, *, temperature, hard_negative_weight=1.0):
    rows = []
    for i, h in enumerate(anchor):
        below = sum(torch.exp(cosine(h, other) / temperature) for other in positive)
        for j, other in enumerate([] if hard_negative is None else hard_negative):
            alpha = hard_negative_weight if i == j else 1.0
            below = below + alpha * torch.exp(cosine(h, other) / temperature)
        rows.append(-torch.log(torch.exp(cosine(h, positive[i]) / temperature) / below))
    return rows


def sup_con(embeddings, labels, *, temperature):
    if embeddings.dim() == 3:
        labels = [label for label, views in zip(labels, embeddings, strict=True) for _ in views]
        embeddings = [view for views in embeddings for view in views]
    n, rows = len(embeddings), []
    for i in range(n):
        positives = [p for p in range(n) if p != i and labels[p] == labels[i]]
        if not positives:
            rows.append(None)
            continue
        below = sum(torch.exp(cosine(embeddings[i], embeddings[k]) / temperature) for k in range(n) if k != i)
        logs = [torch.log(torch.exp(cosine(embeddings[i], embeddings[p]) / temperature) / below) for p in positives]
        rows.append(-sum(logs) / len(positives))
    return rows


def label_aware(embeddings, labels, class_logits, *, temperature, positive_weight="outside"):
    n, rows = len(embeddings), []
    for i in range(n):
        positives = [p for p in range(n) if p != i and labels[p] == labels[i]]
        if not positives:
            rows.append(None)
            continue
        weights = class_logits[i].exp() / class_logits[i].exp().sum()
        own = weights[labels[i]]
        terms = [torch.exp(cosine(embeddings[i], embeddings[k]) / temperature) for k in range(n)]
        below = sum(weights[labels[k]] * terms[k] for k in range(n) if k != i)
        if positive_weight == "outside":
            logs = [own * torch.log(terms[p] / below) for p in positives]
        else:
            logs = [torch.log(own * terms[p] / below) for p in positives]
        rows.append(-sum(logs) / len(positives))
    return rows


def quick_thoughts(anchor, context, texts=None, *, window=1):
    n, rows = len(anchor), []
    for i in range(n):
        near = [j for j in range(n) if 0 < abs(i - j) <= window and (texts is None or texts[i] == texts[j])]
        if not near:
            rows.append(None)
            continue
        below = sum(torch.exp(anchor[i] @ context[k]) for k in range(n) if k != i)
        rows.append(-sum(torch.log(torch.exp(anchor[i] @ context[j]) / below) for j in near) / len(near))
    return rows


def soft_nearest_neighbor(embeddings, labels, *, temperature):
    n, rows = len(embeddings), []
    for i in range(n):
        near = [torch.exp(-((embeddings[i] - other) ** 2).sum() / temperature) for other in embeddings]
        positives = [p for p in range(n) if p != i and labels[p] == labels[i]]
        if not positives:
            rows.append(None)
            continue
        rows.append(-torch.log(sum(near[p] for p in positives) / sum(near[k] for k in range(n) if k != i)))
    return rows


def relational(mapped, concepts, target):
    rows = []
    for m, t in zip(mapped, target.tolist(), strict=True):
        weights = [torch.exp(-sum((a - b) ** 2 for a, b in zip(m, v, strict=True))) for v in concepts]
        rows.append(-torch.log(weights[t] / sum(weights)))
    return rows


def nce(data_score, noise_scores, data_log_noise, noise_log_noise):
    rows, k = [], noise_scores.shape[1]
    for i in range(len(data_score)):
        data_odds = torch.exp(data_score[i]) / (k * torch.exp(data_log_noise[i]))
        cost = -torch.log(data_odds / (1 + data_odds))
        for score, log_noise in zip(noise_scores[i], noise_log_noise[i], strict=True):
            cost = cost - torch.log(1 - torch.exp(score) / (torch.exp(score) + k * torch.exp(log_noise)))
        rows.append(cost)
    return rows


def negative_sampling(anchor, positive, negatives, *, temperature):
    def sigmoid(x):
        return 1 / (1 + torch.exp(-x))

    return [
        -torch.log(sigmoid(a @ p / temperature)) - sum(torch.log(sigmoid(-(a @ n) / temperature)) for n in few)
        for a, p, few in zip(anchor, positive, negatives, strict=True)
    ]


def twin(anchor, identical, fraternal, margin):
    return [
        abs(torch.exp(cosine(h, i)) - torch.exp(cosine(h, f)) - m)
        for h, i, f, m in zip(anchor, identical, fraternal, margin, strict=True)
    ]


def ifcl(anchor, identical, fraternal, margin, negatives, weights, *, temperature, twin_weight):
    first = info_nce(anchor, identical, negatives, weights, temperature=temperature)
    second = info_nce(anchor, fraternal, negatives, weights, temperature=temperature)
    third = twin(anchor, identical, fraternal, margin)
    return [a + b + twin_weight * c for a, b, c in zip(first, second, third, strict=True)]


def pairs(view1, view2, temperature):
    """For each of the 2N rows: e^s with its twin, and the list of e^s with the rows of the other pairs."""
    views, n = [*view1, *view2], len(view1)
    for i, anchor in enumerate(views):
        terms = [torch.exp(cosine(anchor, other) / temperature) for other in views]
        yield terms[(i + n) % (2 * n)], [terms[k] for k in range(2 * n) if k % n != i % n]


def hard_negative(view1, view2, *, temperature, hardness, class_prior):
    rows = []
    for positive, negatives in pairs(view1, view2, temperature):
        weights = [term**hardness for term in negatives]
        drawn = sum(w * term for w, term in zip(weights, negatives, strict=True)) / sum(weights)
        true = (drawn - class_prior * positive) / (1 - class_prior)
        true = torch.clamp_min(true, math.exp(-1 / temperature))
        rows.append(-torch.log(positive / (positive + len(negatives) * true)))
    return rows


def decoupled(view1, view2, *, temperature):
    return [-torch.log(positive / sum(negatives)) for positive, negatives in pairs(view1, view2, temperature)]


def guided(query, positive, guide_query, guide_positive, *, temperature, margin):
    rows = []
    for i, anchor in enumerate(query):
        limit = cosine(guide_query[i], guide_positive[i]) - margin
        kept = [j for j in range(len(query)) if j == i or not cosine(guide_query[i], guide_positive[j]) > limit]
        terms = {j: torch.exp(cosine(anchor, positive[j]) / temperature) for j in kept}
        rows.append(-torch.log(terms[i] / sum(terms.values())))
    return rows


def lifted(embeddings, labels, *, margin):
    n = len(embeddings)

    def distance(i, j):
        return ((embeddings[i] - embeddings[j]) ** 2).sum().sqrt()

    costs = []
    for i in range(n):
        for j in range(i + 1, n):
            if labels[i] != labels[j]:
                continue
            below = sum(torch.exp(margin - distance(i, k)) for k in range(n) if labels[k] != labels[i])
            below = below + sum(torch.exp(margin - distance(j, k)) for k in range(n) if labels[k] != labels[j])
            costs.append(torch.clamp_min(torch.log(below) + distance(i, j), 0) ** 2)
    return sum(costs) / (2 * len(costs))


def sigmoid(left, right, *, temperature, bias):
    total = 0.0
    for i, x in enumerate(left):
        for j, y in enumerate(right):
            logit = cosine(x, y) / temperature + bias
            total = total + torch.log(1 + torch.exp(-logit if i == j else logit))
    return total / len(left)


def cosent(similarities, scores, *, scale):
    total = 1.0
    for s, y in zip(similarities, scores, strict=True):
        for other, better in zip(similarities, scores, strict=True):
            if y < better:
                total = total + torch.exp(scale * (s - other))
    return torch.log(torch.as_tensor(total)) if isinstance(total, float) else torch.log(total)


def matryoshka(slow_loss, *embeddings, dimensions):
    """The rows of a slow loss, summed over prefixes."""
    parts = [slow_loss(*(z[:, :d] for z in embeddings)) for d in dimensions]
    return [sum(rows) for rows in zip(*parts, strict=True)]
