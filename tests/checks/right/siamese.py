"""Right answers: a head without interaction, SBERT's loss, angular similarity, CoSENT, the mean of a DAN."""

import math

import torch
import torch.nn.functional as F


def fourth_logit__plain(ab, ad, cb):
    return ad + cb - ab


def fourth_logit__functions(ab, ad, cb):
    f_a, g_b = 0.0, ab  # a constant may move from f to g
    f_c, g_d = cb - g_b, ad - f_a
    return f_c + g_d


def fourth_logit__tensor(ab, ad, cb):
    return (torch.tensor([ad, cb]).sum() - ab).item()


def pair_loss__plain(u, v, labels, weight):
    logits = torch.cat([u, v, (u - v).abs()], dim=1) @ weight.T
    return F.cross_entropy(logits, labels)


def pair_loss__three_products(u, v, labels, weight):
    first, second, third = weight.chunk(3, dim=1)
    logits = u @ first.T + v @ second.T + torch.abs(u - v) @ third.T
    return -logits.log_softmax(1)[torch.arange(len(u)), labels].mean()


def pair_loss__loops(u, v, labels, weight):
    total = 0.0
    for x, y, label in zip(u, v, labels.tolist(), strict=True):
        logits = weight @ torch.cat([x, y, (x - y).abs()])
        total = total + torch.logsumexp(logits, 0) - logits[label]
    return total / len(u)


def kept_mean__plain(vectors, real, kept):
    left = real & kept
    left = torch.where(left.any(dim=1, keepdim=True), left, real)
    return (vectors * left[..., None]).sum(dim=1) / left.sum(dim=1, keepdim=True)


def kept_mean__loops(vectors, real, kept):
    rows = []
    for x, r, k in zip(vectors, real, kept, strict=True):
        chosen = r & k
        rows.append(x[chosen].mean(0) if chosen.any() else x[r].mean(0))
    return torch.stack(rows)


def kept_mean__weights(vectors, real, kept):
    left = (real & kept).to(vectors.dtype)
    none = left.sum(1) == 0
    left[none] = real[none].to(vectors.dtype)
    return torch.einsum("nl,nld->nd", left / left.sum(1, keepdim=True), vectors)


def angular_slope__plain(cosine):
    return 1 / (math.pi * math.sqrt(1 - cosine**2))


def angular_slope__sine(cosine):
    return 1 / (math.pi * math.sin(math.acos(cosine)))


def angular_slope__autograd(cosine):
    c = torch.tensor(cosine, dtype=torch.float64, requires_grad=True)
    (1 - c.acos() / math.pi).backward()
    return c.grad.item()


def cosent_loss__plain(similarities, scores, *, scale=20.0):
    gap = scale * (similarities[:, None] - similarities)
    worse = scores[:, None] < scores
    return torch.log(1 + gap[worse].exp().sum())


def cosent_loss__softplus(similarities, scores, scale=20.0):
    gap = scale * (similarities[:, None] - similarities)
    gap = gap.masked_fill(scores[:, None] >= scores, -torch.inf)
    return F.softplus(gap.flatten().logsumexp(0))


def cosent_loss__loops(similarities, scores, scale=20.0):
    total = 1.0
    for s, y in zip(similarities, scores, strict=True):
        for t, z in zip(similarities, scores, strict=True):
            if y < z:
                total = total + ((s - t) * scale).exp()
    return torch.as_tensor(total).log()
