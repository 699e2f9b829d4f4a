"""Right answers: masks, infilling, replaced tokens, what their rate is worth, and the power of the noise."""

import math

import torch
import torch.nn.functional as F


def mask_tokens__plain(ids, rate, pieces, generator):
    chosen = (torch.rand(ids.shape, generator=generator) < rate) & (ids > 4)
    fate = torch.rand(ids.shape, generator=generator)
    noise = torch.randint(5, pieces, ids.shape, generator=generator)
    hidden = torch.where(chosen & (fate < 0.8), 4, ids)
    hidden = torch.where(chosen & (fate >= 0.9), noise, hidden)
    return hidden, chosen


def mask_tokens__copied(ids, rate, pieces, generator):
    """Written into a copy, with a draw of three outcomes."""
    hidden = ids.clone()
    chosen = torch.bernoulli(torch.full(ids.shape, rate), generator=generator).bool()
    chosen[ids <= 4] = False
    what = torch.multinomial(torch.tensor([0.8, 0.1, 0.1]), ids.numel(), replacement=True, generator=generator)
    what = what.reshape(ids.shape)
    hidden[chosen & (what == 0)] = 4
    swapped = chosen & (what == 1)
    hidden[swapped] = torch.randint(5, pieces, (int(swapped.sum()),), generator=generator)
    return hidden, chosen


def mask_tokens__loops(ids, rate, pieces, generator):
    rows, marks = [], []
    for row in ids.tolist():
        draws = torch.rand(len(row), 3, generator=generator).tolist()
        marks.append([piece > 4 and a < rate for piece, (a, _, _) in zip(row, draws, strict=True)])
        new = []
        for piece, chosen, (_, b, c) in zip(row, marks[-1], draws, strict=True):
            fate = 4 if b < 0.8 else piece if b < 0.9 else 5 + int(c * (pieces - 5))
            new.append(fate if chosen else piece)
        rows.append(new)
    return torch.tensor(rows), torch.tensor(marks)


def infill__plain(row, spans, mask):
    out, done = [], 0
    for start, length in sorted(spans):
        out += row[done:start]
        out.append(mask)
        done = start + length
    return out + row[done:]


def infill__from_the_right(row, spans, mask):
    out = list(row)
    for start, length in sorted(spans)[::-1]:
        out[start : start + length] = [mask]
    return out


def infill__piece_by_piece(row, spans, mask):
    starts = dict(spans)
    hidden = {start + i for start, length in spans for i in range(length)}
    out = []
    for place in range(len(row) + 1):
        if place in starts:
            out = [*out, mask]
        if place < len(row) and place not in hidden:
            out = [*out, row[place]]
    return out


def replaced_token_loss__plain(logits, replaced, mask):
    wrongness = torch.where(replaced, -1.0, 1.0) * logits
    terms = wrongness.clamp(min=0) + torch.log1p(torch.exp(-wrongness.abs()))
    return torch.where(mask, terms, 0.0).sum() / mask.sum()


def replaced_token_loss__selected(logits, replaced, mask):
    return F.binary_cross_entropy_with_logits(logits[mask], replaced[mask].to(logits.dtype))


def replaced_token_loss__softplus(logits, replaced, mask):
    signed = torch.where(replaced, -logits, logits)[mask]
    return F.softplus(signed).sum() / mask.sum()


def replaced_token_loss__two_classes(logits, replaced, mask):
    """A softmax over original and replaced, the score of the original being 0."""
    both = torch.stack([torch.zeros_like(logits), logits], dim=-1)[mask]
    return F.cross_entropy(both, replaced[mask].long())


def rate_alone__plain(share):
    return -share * math.log(share) - (1 - share) * math.log(1 - share)


def rate_alone__searched(share):
    """The best of many constants."""
    candidates = [i / 20000 for i in range(1, 20000)]
    return min(-share * math.log(p) - (1 - share) * math.log(1 - p) for p in candidates)


def rate_alone__torch(share):
    return torch.distributions.Bernoulli(torch.tensor(float(share))).entropy()


noise_power__plain = 1.0
noise_power__integer = 1
noise_power__near = torch.tensor(1.01)
