"""Lesson 4 teaches the package's own losses: its functions, taken out of the notebook, give the same."""

import pytest
import torch
from kit import same

from clt import losses
from clt.encoders import SentenceEncoder, set_dropout


@pytest.fixture(params=range(5))
def triplet(request) -> torch.Tensor:
    generator = torch.Generator().manual_seed(request.param)
    return torch.randn(3, 7, 5, generator=generator, dtype=torch.float64).requires_grad_()


@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_unsupervised(lesson, triplet, temperature):
    ours = lesson["simcse_loss"](*triplet[:2], temperature=temperature)
    theirs = losses.simcse_loss(*triplet[:2], temperature=temperature)
    assert lesson["simcse_slow"](*triplet[:2].detach(), temperature) == pytest.approx(theirs.item())
    same(ours, theirs, triplet)


@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_supervised(lesson, triplet, temperature):
    ours = lesson["supervised_simcse_loss"](*triplet, temperature=temperature)
    theirs = losses.simcse_loss(*triplet, temperature=temperature)
    same(ours, theirs, triplet)


def test_the_default_temperature_is_the_papers(lesson, triplet):
    torch.testing.assert_close(lesson["simcse_loss"](*triplet[:2]), losses.simcse_loss(*triplet[:2]))
    torch.testing.assert_close(lesson["supervised_simcse_loss"](*triplet), losses.simcse_loss(*triplet))


def test_two_readings_make_the_loss_of_a_batch(lesson):
    encoder = set_dropout(SentenceEncoder.load("clt-mini"), 0.0)
    sentences = ["A man feeds the ducks.", "Rain fell all night.", "The court adjourned at noon."]
    ours = lesson["two_view_step"](encoder.eval(), sentences, temperature=0.2)
    assert encoder.training, "dropout is switched on"
    vectors = encoder.encode(sentences)
    torch.testing.assert_close(ours, losses.simcse_loss(vectors, vectors, temperature=0.2), atol=1e-3, rtol=1e-3)
