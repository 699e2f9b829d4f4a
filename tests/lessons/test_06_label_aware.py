"""Lesson 06: what it builds from scratch is what the package computes, in values and in gradients."""

import math

import pytest
import torch
from kit import same
from torch import Tensor

from clt import losses
from clt.checks import labs


@pytest.fixture(params=range(5))
def batch(request) -> tuple[Tensor, Tensor, Tensor]:
    """Eight rows of four classes, the last of them alone; embeddings and class logits want a gradient."""
    generator = torch.Generator().manual_seed(request.param)
    embeddings = torch.randn(8, 5, generator=generator, dtype=torch.float64).requires_grad_()
    logits = 2 * torch.randn(8, 4, generator=generator, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0, 3])[torch.randperm(8, generator=generator)]
    return embeddings, labels, logits.requires_grad_()


@pytest.mark.parametrize("temperature", [0.1, 0.3, 1.0])
def test_label_aware(lesson, batch, temperature):
    embeddings, labels, logits = batch
    package = losses.label_aware_loss(embeddings, labels, logits, temperature=temperature)
    slow = lesson["label_aware_slow"](embeddings.detach(), labels, logits.detach(), temperature)
    assert slow == pytest.approx(package.item())
    same(lesson["label_aware_loss"](*batch, temperature=temperature), package, embeddings, logits)


def test_uniform_weights_are_sup_con(lesson, batch):
    """The lesson's claim (SupCon − log C) / C, at its own temperature and with an anchor that has no positive."""
    embeddings, labels, logits = batch
    ours = lesson["label_aware_loss"](embeddings, labels, torch.full_like(logits, 7.0), temperature=0.3)
    expected = (losses.sup_con_loss(embeddings, labels, temperature=0.3) - torch.tensor(4.0).log()) / 4
    same(ours, expected, embeddings)


@pytest.mark.parametrize("classes", [2, 4, 32])
def test_the_sign_turns_where_the_lesson_says(lesson, classes):
    """All cosines equal: SupCon is then the logarithm of the number of other rows."""
    turn = lesson["sign_condition"](classes)
    for n in (2, 4, 6, 30, 36, 128):
        embeddings, labels = torch.ones(n, 3, dtype=torch.float64), torch.arange(n) // 2
        logits = torch.zeros(n, max(classes, n), dtype=torch.float64)
        logits[:, classes:] = -torch.inf
        loss = lesson["label_aware_loss"](embeddings, labels % classes, logits)
        if abs(math.log(n - 1) - turn) > 1e-6:
            assert (loss < 0) == (math.log(n - 1) < turn)


def test_tiny_weights_stay_finite(lesson):
    """As the exercise promises: log_softmax keeps a weight of e⁻²⁰⁰ from becoming the logarithm of 0."""
    logits = torch.tensor([[100.0, -100.0], [-100.0, 100.0], [100.0, -100.0], [0.0, 0.0]], requires_grad=True)
    embeddings = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss = lesson["label_aware_loss"](embeddings, torch.tensor([0, 0, 1, 1]), logits)
    assert loss.isfinite()
    assert all(gradient.isfinite().all() for gradient in torch.autograd.grad(loss, (embeddings, logits)))


def test_at_full_strength_uniform_weights_are_sup_con_itself(lesson, batch):
    """What the control takes out is the factor 1/C, and nothing else; no gradient reaches the weighting network."""
    embeddings, labels, logits = batch
    ours = lesson["contrast"]("label-aware, full strength", embeddings, labels, torch.zeros_like(logits), 0.3)
    same(ours, losses.sup_con_loss(embeddings, labels, temperature=0.3) - math.log(4), embeddings)
    for method in ("label-aware, full strength", "label-aware, apart"):
        value = lesson["contrast"](method, embeddings, labels, logits, 0.3)
        assert torch.autograd.grad(value, logits, allow_unused=True)[0] is None
    value = lesson["contrast"]("label-aware", embeddings, labels, logits, 0.3)
    assert torch.autograd.grad(value, logits)[0].any()


def test_the_weights_of_exercise_4_push_harder_than_sup_con(lesson):
    assert labs.pushes(lesson["harder_push"])["devastated"] > 0.6
    assert labs.pushes([0.2] * 5, factor=False)["devastated"] == pytest.approx(0.487, abs=1e-3)
    assert labs.pushes(labs.BELIEF)["devastated"] == pytest.approx(0.436, abs=1e-3), "as the lesson's figure says"
