"""Right answers: how far a change moves a vector, feature cutoff, random span masking."""

import math

import torch


def cutoff_cosine__plain(first, second):
    return math.sqrt((1 - first) * (1 - second))


def cutoff_cosine__product_over_lengths(first, second):
    left = (1 - first) * (1 - second)
    return left / (math.sqrt(1 - first) * math.sqrt(1 - second))


def cutoff_cosine__tensor(first, second):
    return torch.tensor([1 - first, 1 - second]).prod().sqrt()


def feature_cutoff__plain(tokens, attention_mask, generator, *, share=0.2):
    draw = torch.rand(len(tokens), 1, tokens.shape[2], generator=generator)
    rank = draw.argsort(dim=2).argsort(dim=2)
    return tokens.masked_fill(rank < round(share * tokens.shape[2]), 0.0)


def feature_cutoff__loops(tokens, attention_mask, generator, share=0.2):
    view = tokens.clone()
    for i in range(len(tokens)):
        order = torch.randperm(tokens.shape[2], generator=generator)
        view[i, :, order[: round(share * tokens.shape[2])]] = 0
    return view


def feature_cutoff__topk(tokens, attention_mask, generator, *, share=0.2):
    n, _, d = tokens.shape
    kept = torch.rand(n, d, generator=generator).topk(d - round(share * d), dim=1).indices
    mask = torch.zeros(n, d, dtype=tokens.dtype).scatter(1, kept, 1.0)
    return tokens * mask[:, None]


view_strength__plain = ("token cutoff", 0.3)
view_strength__list = ["token cutoff", torch.tensor(0.35)]
view_strength__few_features = ("feature cutoff", 0.05)


def mask_span__plain(text, rng, *, length=5, mask="[MASK]"):
    start = rng.randrange(len(text) - length + 1)
    return text[:start] + mask + text[start + length :]


def mask_span__randint(text, rng, length=5, mask="[MASK]"):
    i = rng.randint(0, len(text) - length)
    return mask.join([text[:i], text[i + length :]])


def mask_span__list(text, rng, *, length=5, mask="[MASK]"):
    letters = list(text)
    i = rng.choice(range(len(text) - length + 1))
    letters[i : i + length] = [mask]
    return "".join(letters)
