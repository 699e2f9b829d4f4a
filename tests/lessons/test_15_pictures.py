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


class Looked:
    """Towers whose vectors are looked up; the caption tower gives each call another shift, as a batch norm might."""

    temperature = torch.tensor(0.2)

    def __init__(self, x, vectors):
        self.pictures, self.vectors, self.calls = lambda _: x, vectors, 0

    def captions(self, texts):
        self.calls += 1
        return torch.stack([self.vectors[text] for text in texts]) if texts else torch.zeros(0, 4)


@pytest.mark.parametrize("two", [False, True])
def test_hard_captions_ask_a_second_question(lesson, two):
    said = ["a red star", "two red stars", "a red star left of a blue cross", "a red star above a blue cross"]
    false = [scenes.swap_places(text) for text in said[2:]]
    x = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    y = torch.randn(6, 4, generator=torch.Generator().manual_seed(1))
    lesson |= {"HARD": {"places": scenes.swap_places}, "CAPTIONS": [[text] for text in said]}
    model = Looked(x, dict(zip(said + false, y, strict=True)))
    options = {"loss": "places", "masked": True, "two": two}
    ours = lesson["loss_of"](options)(model, (x, torch.arange(4)))
    expected = losses.clip_loss(x, y[:4], temperature=0.2)
    for i in (2, 3):
        right, wrong = (torch.nn.functional.cosine_similarity(x[i], y[i + k], dim=0) / 0.2 for k in (0, 2))
        expected = expected - torch.log(right.exp() / (right.exp() + wrong.exp())) / 2
    assert ours.item() == pytest.approx(expected.item(), rel=1e-5)
    assert model.calls == 1 + two, "one call for true and false captions, unless they are read apart"


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


def test_swapped_captions_are_those_of_another_content(lesson):
    for pair in scenes.pairs()[::50]:
        swapped = pair._replace(colour=pair.other_colour, other_colour=pair.colour)
        assert [lesson["swap_colours"](text) for text in scenes.captions(pair)] == scenes.captions(swapped)
        turned = scenes.Pair(*pair[3:], pair.place, *pair[:2])
        assert scenes.swap_places(scenes.captions(pair)[1]) == scenes.captions(turned)[0]
        assert not {scenes.swap_places(text) for text in scenes.captions(pair)} & set(scenes.captions(pair))
    assert lesson["swap_colours"]("three red stars") == "three red stars"
