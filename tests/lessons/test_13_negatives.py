"""Lesson 13 teaches the package's own losses; what it leaves out is false, and what it mines is not the positive."""

import random

import pytest
import torch
import torch.nn.functional as F
from kit import same

from clt import losses
from clt.checks import labs


@pytest.mark.parametrize("seed", range(4))
def test_the_losses(lesson, seed):
    a, b = torch.randn(2, 7, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    a, b = a.requires_grad_(), b.requires_grad_()
    labels = [0, 0, 1, 1, 2, 0, 3]
    lifted = losses.lifted_structure_loss(a, torch.tensor(labels))
    assert lesson["lifted_slow"](a.detach(), labels) == pytest.approx(lifted.item())
    theirs = losses.hard_negative_loss(a, b, hardness=0.0, class_prior=0.05)
    same(lesson["debiased_loss"](a, b, class_prior=0.05), theirs, a, b)
    nothing = torch.zeros(14, 14, dtype=torch.bool)
    theirs = losses.nt_xent_loss(a, b, temperature=0.3)
    same(lesson["nt_xent_without"](a, b, nothing, 0.3), theirs, a, b)


def test_what_is_left_out_is_what_a_guide_that_knows_the_classes_leaves_out(lesson):
    a, b = torch.randn(2, 7, 4, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    labels = torch.tensor([0, 0, 1, 1, 2, 0, 3])
    known = F.one_hot(labels).double().repeat(2, 1)
    guided = losses.guided_info_nce_loss(torch.cat([a, b]), torch.cat([b, a]), known, known, margin=0.5)
    out = lesson["together"](labels)
    assert lesson["nt_xent_without"](a, b, out, 0.05).item() == pytest.approx(guided.item())


def test_the_points_have_the_class_prior_they_are_said_to_have():
    view1, view2, labels = labs.two_views(20_000, torch.Generator().manual_seed(3))
    assert view1.shape == view2.shape == (20_000, 12)
    assert labels.bincount() / 20_000 == pytest.approx(torch.full((10,), 0.1).numpy(), abs=0.01)
    apart = [(view1 - other).square().sum(1).mean() for other in (view2, view2.roll(1, 0))]
    assert apart[0] < 0.3 * apart[1]


def test_what_mining_finds(lesson):
    """Six premises, four wordings of each entailment: copies are nearest, and only a filter keeps them away."""
    generator = torch.Generator().manual_seed(1)
    premises = torch.randn(6, 16, generator=generator)
    wordings = premises + 0.05 * torch.randn(4, 6, 16, generator=generator)
    wordings[0] = premises + 0.3 * torch.randn(6, 16, generator=generator)  # the positive itself
    lesson |= {"vectors": {"premise": premises[None]}, "collection": wordings.flatten(0, 1)}
    lesson |= {"owner": torch.arange(6).repeat(4), "numbers": torch.arange(6)}
    same_meaning = {}
    for how in ("all", "filtered", "true ones only"):
        rows = lesson["mined"](torch.nn.Identity(), how, 0)
        assert (rows != torch.arange(6)).all(), "never the positive"
        same_meaning[how] = (lesson["owner"][rows] == torch.arange(6)).sum().item()
    assert same_meaning == {"all": 6, "filtered": 0, "true ones only": 0}


def test_a_text_has_four_wordings(lesson):
    text = "The old man bought a small house near the lake because he liked the quiet."
    found = lesson["wordings"](text, random.Random(0))
    assert len(found) == 4
    assert found[0] == text
    assert len(set(found)) > 2
    assert len(found[3].split()) < len(text.split())
