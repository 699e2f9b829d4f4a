"""What lesson 5 has its readers write is what the package computes, values and gradients."""

import math
import types
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from kit import same

from clt import losses


@pytest.fixture(params=range(5))
def batch(request):
    """Rows of different lengths, three classes of several rows and one of a single row, in any order."""
    generator = torch.Generator().manual_seed(request.param)
    x = torch.randn(11, 5, generator=generator, dtype=torch.float64) * torch.rand(11, 1, generator=generator).exp()
    labels = torch.tensor([0, 0, 1, 1, 1, 2, 2, 2, 2, 2, 3])[torch.randperm(11, generator=generator)]
    return x.requires_grad_(), labels


@pytest.mark.parametrize("temperature", [0.05, 0.1, 1.0])
def test_lesson_5_teaches_the_packages_losses(lesson, batch, temperature):
    x, labels = batch
    theirs = losses.sup_con_loss(x, labels, temperature=temperature)
    assert lesson["sup_con_slow"](x.detach(), labels, temperature) == pytest.approx(theirs.item())
    same(lesson["sup_con_loss"](x, labels, temperature=temperature), theirs, x)
    same(
        lesson["soft_nearest_neighbor_loss"](x, labels, temperature=temperature),
        losses.soft_nearest_neighbor_loss(x, labels, temperature=temperature),
        x,
    )


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_the_form_with_the_mean_inside_is_equation_3(lesson, batch, temperature):
    x, labels = batch
    logits = F.normalize(x, dim=1) @ F.normalize(x, dim=1).T / temperature
    expected = []
    for i in range(len(x)):
        others = [a for a in range(len(x)) if a != i]
        positives = [p for p in others if labels[p] == labels[i]]
        if positives:
            below = logits[i, others].exp().sum()
            expected.append(-(logits[i, positives].exp() / below).mean().log())
    inside = lesson["sup_con_in"](x, labels, temperature=temperature)
    same(inside, torch.stack(expected).mean(), x)
    assert inside < losses.sup_con_loss(x, labels, temperature=temperature), "Jensen"


def test_inside_and_outside_agree_with_one_positive(lesson):
    x = torch.randn(8, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    labels = torch.arange(4).repeat(2)
    same(lesson["sup_con_in"](x, labels), losses.sup_con_loss(x, labels), x)
    torch.testing.assert_close(losses.sup_con_loss(x, labels), losses.nt_xent_loss(x[:4], x[4:], temperature=0.1))


def test_the_derived_gradient_is_autograds(lesson, batch):
    x, _ = batch
    cosines = F.cosine_similarity(x[:1], x[1:]).detach().requires_grad_()
    positive = torch.arange(len(cosines)) % 3 == 0
    loss = -(cosines / 0.2).log_softmax(dim=0)[positive].mean()
    expected = torch.autograd.grad(loss, cosines)[0]
    torch.testing.assert_close(lesson["l_out_gradient"](cosines.detach(), positive, temperature=0.2), expected)


def test_the_formula_as_one_reads_it_fails_where_the_lesson_says(lesson):
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(1))
    typed, right = lesson["as_one_reads_it"], losses.sup_con_loss
    even, lonely = torch.tensor([0, 0, 0, 1, 1, 1]), torch.tensor([0, 0, 0, 0, 0, 1])
    for labels, temperature in ((lonely, 0.1), (even, 0.01)):
        assert not math.isfinite(typed(x, labels, temperature))
        assert torch.isfinite(right(x, labels, temperature=temperature))


def test_the_mask_has_no_one_for_their_own_positive(lesson):
    labels = torch.tensor([4, 2, 4, 4])
    expected = torch.tensor([[0, 0, 1, 1], [0, 0, 0, 0], [1, 0, 0, 1], [1, 0, 1, 0]], dtype=torch.bool)
    assert torch.equal(lesson["positive_mask"](labels), expected)


@pytest.mark.parametrize("classes", [8, 32])
def test_a_batch_has_as_many_texts_of_each_of_its_labels(lesson, classes):
    y = torch.arange(32).repeat(10)
    rows = lesson["batches"](y, SimpleNamespace(classes=classes, size=64))(torch.Generator().manual_seed(0))
    assert len(rows.unique()) == 64, "no text comes twice"
    labels, count = y[rows].unique(return_counts=True)
    assert len(labels) == classes
    assert set(count.tolist()) == {64 // classes}


@pytest.mark.parametrize("loss", ["SupCon", "L_in", "cross entropy"])
def test_what_trains_is_the_loss_that_was_asked_for(lesson, batch, loss):
    x, y = batch
    space = lesson | {"device": "cpu"}
    loss_of = types.FunctionType(lesson["loss_of"].__code__, space)
    found = loss_of(lambda texts: x[[int(text) for text in texts]], torch.arange(11),
                    SimpleNamespace(texts=[str(i) for i in range(11)], y=y), loss)  # fmt: skip
    function = {
        "SupCon": lambda: losses.sup_con_loss(x.float(), y, temperature=0.1),
        "L_in": lambda: lesson["sup_con_in"](x.float(), y, temperature=0.1),
        "cross entropy": lambda: F.cross_entropy(x.float(), y),
    }[loss]
    torch.testing.assert_close(found, function())
