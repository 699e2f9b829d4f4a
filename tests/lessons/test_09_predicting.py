"""Lesson 09 teaches the package's own loss, and its batches ask of each objective what the lesson says."""

import pytest
import torch
from kit import same

from clt import losses, predicting
from clt.checks import labs
from clt.predicting import CLS, MASK, PAD, SEP


@pytest.mark.parametrize("seed", range(4))
def test_replaced_tokens(lesson, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(4, 6, generator=generator, dtype=torch.float64).requires_grad_()
    replaced, real = torch.rand(2, 4, 6, generator=generator) < 0.6
    theirs = losses.replaced_token_loss(logits, replaced, real)
    assert lesson["replaced_token_slow"](logits.detach(), replaced, real) == pytest.approx(theirs.item())
    same(lesson["replaced_token_loss"](logits, replaced, real), theirs, logits)


@pytest.mark.parametrize("share", [0.05, 0.11, 0.5])
def test_the_rate_alone_is_a_minimum(lesson, share):
    replaced = torch.arange(100) < round(100 * share)
    paid = [
        losses.replaced_token_loss(torch.full((1, 100), s / 10), replaced[None], torch.ones(1, 100, dtype=torch.bool))
        for s in range(-60, 61)
    ]
    assert min(paid).item() == pytest.approx(lesson["rate_alone"](share), abs=1e-3)


@pytest.fixture
def model():
    vectors = torch.randn(50, 16)
    return lambda task: predicting.model_for(task, vectors, torch.ones(50))


IDS = torch.tensor([[CLS, 7, 8, 9, SEP], [CLS, 11, 12, SEP, PAD]])


def test_losses_are_means_over_what_is_predicted(lesson, model):
    """At first each place expects what its own piece is like: worked out by hand."""
    net = model("masked words").eval()
    hidden, chosen = IDS.clone(), IDS == 8
    hidden[chosen] = MASK
    expected = -net.net.logits(net.net(hidden))[0, 2].log_softmax(0)[8]
    assert lesson["masked_loss"](net, (IDS, hidden, chosen)).item() == pytest.approx(expected.item(), rel=1e-5)
    writer = model("left to right").eval()
    logits = writer.net.logits(writer.net(IDS)).log_softmax(-1)
    terms = [-logits[i, t, IDS[i, t + 1]] for i in range(2) for t in range(4) if IDS[i, t + 1] != PAD]
    assert lesson["next_word_loss"](writer, IDS).item() == pytest.approx(sum(terms).item() / len(terms), rel=1e-5)


def test_a_writer_pays_for_every_word_but_padding(lesson, model):
    m = model("infilling").eval()
    for weight in m.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    damaged = torch.tensor([[CLS, MASK, 9, SEP], [CLS, MASK, SEP, PAD]])
    logits = m.writer.logits(m.writer(IDS[:, :-1], m.net(damaged), damaged)).log_softmax(-1)
    terms = [-logits[i, t, IDS[i, t + 1]] for i in range(2) for t in range(4) if IDS[i, t + 1] != PAD]
    loss = lesson["writing_loss"](m, (IDS, damaged))
    assert loss.item() == pytest.approx(sum(terms).item() / len(terms), rel=1e-5)
    loss.backward()
    assert m.net.blocks[0].into.weight.grad.abs().sum() > 0, "the reader learns from what is written"


def test_a_lucky_guess_is_no_fake_and_the_generator_gets_no_gradient_from_the_judge(lesson, model):
    m = model("replaced tokens").eval()
    hidden, chosen = IDS.clone(), (IDS == 8) | (IDS == 12)
    hidden[chosen] = MASK
    torch.manual_seed(0)
    guesses, fake, scores = lesson["judged"](m, (IDS, hidden, chosen))
    assert guesses.shape == (2, 50)
    assert torch.equal(fake[~chosen], IDS[~chosen])
    scores.sum().backward()
    own = [weight for name, weight in m.generator.named_parameters() if not name.startswith("table")]
    assert own
    assert all(weight.grad is None for weight in own), "the table of words is shared"


@pytest.mark.parametrize("task", ["sentence order", "next sentence"])
def test_two_sentences_are_judged_by_their_vectors(lesson, model, task):
    m = model(task).eval()
    torch.nn.init.normal_(m.judge.weight)
    swapped = torch.tensor([1.0, 0.0])
    u, v = (m.scale(predicting.pooled(m.net(ids), ids)) for ids in (IDS, IDS.flip(0)))
    share = m.judge(predicting.together(u, v)).sigmoid()[:, 0]
    expected = -(share[0].log() + (1 - share[1]).log()) / 2
    assert lesson["pair_loss"](m, (IDS, IDS.flip(0), swapped)).item() == pytest.approx(expected.item(), rel=1e-5)


def test_rarity_is_chance_where_noise_is_the_text():
    assert labs.rarity(1.0) == pytest.approx(0.5, abs=1e-9)
    assert labs.rarity(0.0) > 0.85 > labs.rarity(0.75) > 0.6
    assert labs.rarity(2.0) < 0.2
