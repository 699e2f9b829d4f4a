"""Lesson 15 teaches the package's own functions: its solutions, taken out of the notebook, give the same."""

import math

import pytest
import torch
from kit import rows, same

from clt import losses
from clt.data import scenes


@pytest.mark.parametrize("temperature", [0.05, 0.5])
@pytest.mark.parametrize("seed", range(3))
def test_masked_clip_loss(lesson, seed, temperature):
    x, y = rows(seed, 7, 5), rows(seed + 10, 7, 5)
    none = torch.eye(7, dtype=torch.bool)
    ours = lesson["masked_clip_loss"](x, y, none, temperature=temperature)
    same(ours, losses.clip_loss(x, y, temperature=temperature), x, y)
    assert lesson["clip_slow"](x.detach(), y.detach(), temperature) == pytest.approx(ours.item())
    twice = torch.tensor([0, 1, 2, 3, 4, 5, 5])
    masked = lesson["masked_clip_loss"](x, y, twice[:, None] == twice, temperature=temperature)
    kept = [losses.clip_loss(x[k], y[k], temperature=temperature, reduction="none") for k in
            ([0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 6])]  # fmt: skip
    assert masked < ours
    assert torch.isfinite(masked)
    assert kept[0].shape == (6,)


def test_hard_captions_are_columns_and_no_rows(lesson):
    x, y, wrong = rows(1, 6, 4), rows(2, 6, 4), rows(3, 3, 4)
    none = torch.eye(6, dtype=torch.bool)
    ours = lesson["hard_clip_loss"](x, y, wrong, none, torch.tensor(0.2, dtype=torch.float64))
    there = losses.info_nce_loss(x, y, wrong, temperature=0.2)
    same(ours, (there + losses.info_nce_loss(y, x, temperature=0.2)) / 2, x, y, wrong)


def test_classes_are_means_of_unit_vectors(lesson):
    images, prompts = rows(1, 4, 6).detach(), rows(2, 3, 5, 6).detach()
    classes = torch.stack([sum(p / p.norm() for p in few) for few in prompts])
    expected = torch.nn.functional.cosine_similarity(images[:, None], classes[None], dim=2)
    torch.testing.assert_close(lesson["zero_shot"](images, prompts), expected)


@pytest.mark.parametrize("n", [2, 16, 128])
def test_the_best_bias_is_where_the_loss_is_smallest(lesson, n):
    x, y = torch.eye(2 * n, dtype=torch.float64)[:n], torch.eye(2 * n, dtype=torch.float64)[n:]
    bias = torch.tensor(lesson["best_bias"](n), dtype=torch.float64, requires_grad=True)
    losses.sigmoid_loss(x, y, bias=bias).backward()
    assert bias.grad.item() == pytest.approx(0, abs=1e-9)
    assert lesson["best_bias"](n) == pytest.approx(-math.log(n - 1))


def test_a_falsified_caption_is_false(lesson):
    for pair in scenes.pairs()[::50]:
        swapped = pair._replace(colour=pair.other_colour, other_colour=pair.colour)
        turned = scenes.Pair(*pair[3:], pair.place, *pair[:2])
        said = scenes.captions(pair)
        assert [lesson["falsified"](text, "colours") for text in said] == scenes.captions(swapped)
        places = [set(lesson["falsified"](text, "places").split()) for text in said]
        assert places[0] == set(scenes.captions(turned)[1].split())
        assert all(lesson["falsified"](text, "places") not in said for text in said)
    assert lesson["swap_colours"]("three red stars") == "three red stars"
