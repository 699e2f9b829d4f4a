"""NCE and negative sampling: where their optimum lies, and that they survive any score."""

import math

import pytest
import torch

from clt.losses import nce_loss, negative_sampling_loss

DATA = torch.tensor([0.4, 0.3, 0.2, 0.1], dtype=torch.float64)  # p and q over a vocabulary of four
NOISE = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)


def expected(loss_of, k):
    """E over w ~ p and w' ~ q of a loss with K noise samples, exactly: all 16 pairs, the K samples all w'.

    The loss is a sum over its samples, so K equal ones have the expectation of K independent ones.
    """
    w, noise = (grid.flatten() for grid in torch.meshgrid(torch.arange(4), torch.arange(4), indexing="ij"))
    return (DATA[w] * NOISE[noise] * loss_of(w, noise[:, None].expand(-1, k))).sum()


@pytest.mark.parametrize("k", [1, 5, 20])
def test_nce_is_least_at_the_log_probability(k):
    def nce(scores):
        log_q = NOISE.log()
        return expected(lambda w, n: nce_loss(scores[w], scores[n], log_q[w], log_q[n], reduction="none"), k)

    best = DATA.log().requires_grad_()
    assert torch.autograd.grad(nce(best), best)[0].abs().max() < 1e-14
    for shift in (-0.1, 0.1):  # normalised without being told: another constant is worse
        assert nce(best + shift) > nce(best) + 1e-4


@pytest.mark.parametrize("k", [1, 5, 20])
def test_negative_sampling_is_least_at_pmi_minus_log_k(k):
    one = torch.ones(16, 1, dtype=torch.float64)

    def sampling(scores):
        return expected(
            lambda w, n: negative_sampling_loss(one, scores[w, None], scores[n][:, :, None], reduction="none"), k
        )

    best = ((DATA / NOISE).log() - math.log(k)).requires_grad_()
    assert torch.autograd.grad(sampling(best), best)[0].abs().max() < 1e-14


def test_the_noise_correction_is_all_that_differs(rng):
    anchor, positive = (torch.tensor(x) for x in rng.normal(size=(2, 5, 3)))
    negatives = torch.tensor(rng.normal(size=(5, 4, 3)))
    scores = (anchor * positive).sum(1), torch.einsum("nd,nkd->nk", anchor, negatives)
    uncorrected = [torch.full_like(s, -math.log(4)) for s in scores]  # log(K q) = 0
    assert torch.allclose(nce_loss(*scores, *uncorrected), negative_sampling_loss(anchor, positive, negatives))


@pytest.mark.parametrize("score", [-1e4, -200.0, 200.0, 1e4])
def test_extreme_scores(score):
    data = torch.tensor([score], requires_grad=True)
    noise = torch.tensor([[-score]], requires_grad=True)
    zero = torch.zeros(1)
    loss = nce_loss(data, noise, zero, zero[None])
    loss.backward()
    assert loss.item() == pytest.approx(max(0.0, -2 * score), rel=1e-6, abs=1e-30)
    assert data.grad.item() == (-1.0 if score < 0 else pytest.approx(0, abs=1e-30))
