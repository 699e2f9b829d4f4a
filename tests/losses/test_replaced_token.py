"""Replaced-token detection: a slow loop, the reference values, every precision, and what must not count."""

import math

import pytest
import torch

from clt import losses

ROWS, PLACES = 2, 8


@pytest.fixture
def known():
    """Two texts of eight and six tokens; three tokens are fake, and one more was chosen and guessed right."""
    b, t = torch.arange(1, ROWS + 1, dtype=torch.float64)[:, None], torch.arange(1, PLACES + 1, dtype=torch.float64)
    replaced, chosen, real = (torch.zeros(ROWS, PLACES, dtype=torch.bool) for _ in range(3))
    replaced[0, [1, 4]] = replaced[1, 3] = True
    chosen[0, [1, 4, 6]] = chosen[1, 3] = True
    real[0], real[1, :6] = True, True
    return torch.sin(0.9 * t + 0.4 * b) - 1, replaced, chosen, real


def slow(logits, replaced, mask):
    terms = []
    for row, fake, counts in zip(logits.tolist(), replaced.tolist(), mask.tolist(), strict=True):
        for score, y, real in zip(row, fake, counts, strict=True):
            if real:
                share = 1 / (1 + math.exp(-score))
                terms.append(-math.log(share if y else 1 - share))
    return sum(terms) / len(terms)


def test_it_is_the_formula(rng):
    logits = torch.tensor(rng.normal(size=(5, 7)))
    replaced, mask = torch.tensor(rng.random((2, 5, 7)) < 0.4)
    assert losses.replaced_token_loss(logits, replaced, mask).item() == pytest.approx(slow(logits, replaced, mask))


def test_the_reference_values(known):
    logits, replaced, chosen, real = known
    logits = logits.requires_grad_()
    every = losses.replaced_token_loss(logits, replaced, real)
    assert every.item() == pytest.approx(0.66515, abs=5e-6)
    assert 3.0 + 50 * every.item() == pytest.approx(36.25738581231099, rel=1e-12), "beside a generator's loss of 3"
    (gradient,) = torch.autograd.grad(every, logits)
    assert gradient.norm().item() == pytest.approx(0.12578215625234468, rel=1e-12)
    first = [0.03506361103202866, -0.03912357988658421, 0.019799627244044337, 0.01051366122335432]
    assert gradient[0, :4].tolist() == pytest.approx(first, rel=1e-12)
    assert (gradient[~real] == 0).all(), "padding pulls nowhere"
    chosen_only = losses.replaced_token_loss(logits, replaced, chosen).item()
    assert chosen_only == pytest.approx(1.3571494201434464, rel=1e-12), "the ablation: the chosen tokens alone"


def test_a_constant_score_pays_the_entropy_of_the_rate_at_best(known):
    _, replaced, _, real = known
    share = replaced[real].double().mean().item()
    best = torch.full((ROWS, PLACES), math.log(share / (1 - share)), dtype=torch.float64)
    paid = losses.replaced_token_loss(best, replaced, real).item()
    assert paid == pytest.approx(0.5195798391305154, rel=1e-12)
    assert losses.replaced_token_loss(best + 0.1, replaced, real).item() > paid


def test_gradcheck(known):
    logits, replaced, _, real = known
    scores = logits.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda s: losses.replaced_token_loss(s, replaced, real), (scores,))


@pytest.mark.parametrize(("dtype", "close"), [(torch.float32, 1e-6), (torch.float16, 2e-3), (torch.bfloat16, 2e-2)])
def test_half_precision_is_summed_in_float32(known, dtype, close):
    logits, replaced, _, real = known
    found = losses.replaced_token_loss(logits.to(dtype), replaced, real)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(losses.replaced_token_loss(logits, replaced, real).item(), rel=close)


@pytest.mark.parametrize("size", [1e3, 1e30])
def test_extreme_scores(known, size):
    _, replaced, _, real = known
    right = torch.where(replaced, size, -size).requires_grad_()
    assert losses.replaced_token_loss(right, replaced, real).item() == 0
    wrong = (-right.detach()).requires_grad_()
    loss = losses.replaced_token_loss(wrong, replaced, real)
    assert loss.item() == pytest.approx(size, rel=1e-6)
    assert torch.isfinite(torch.autograd.grad(loss, wrong)[0]).all()


def test_what_does_not_count_does_not_matter(known):
    logits, replaced, _, real = known
    other = torch.where(real, logits, torch.inf)
    expected = losses.replaced_token_loss(logits, replaced, real).item()
    assert losses.replaced_token_loss(other, replaced | ~real, real).item() == expected
    order = torch.randperm(PLACES)
    turned = losses.replaced_token_loss(logits[:, order], replaced[:, order], real[:, order])
    assert turned.item() == pytest.approx(expected, rel=1e-12)


def test_no_token_counts(known):
    logits, replaced, _, real = known
    scores = logits.clone().requires_grad_()
    loss = losses.replaced_token_loss(scores, replaced, torch.zeros_like(real))
    assert loss.item() == 0
    assert (torch.autograd.grad(loss, scores)[0] == 0).all()


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda s, r, m: (s[0], r[0], m[0]), ValueError, r"logits must have shape \(B, L\) and not be .*\(8,\)"),
        (lambda s, r, m: (s[:0], r[:0], m[:0]), ValueError, r"not be empty, got \(0, 8\)"),
        (lambda s, r, m: (s, r[:1], m), ValueError, r"replaced must have the shape of logits, \(2, 8\), got \(1, 8\)"),
        (lambda s, r, m: (s, r, m[:, :3]), ValueError, r"mask must have the shape of logits, \(2, 8\), got \(2, 3\)"),
        (lambda s, r, m: (s, r.double(), m), TypeError, "replaced must be a tensor of bool, got torch.float64"),
        (lambda s, r, m: (s, r, m.long()), TypeError, "mask must be a tensor of bool, got torch.int64"),
        (lambda s, r, m: (s.long(), r, m), TypeError, "logits must be a tensor of floating-point numbers"),
    ],
)  # fmt: skip
def test_bad_input(known, call, error, said):
    logits, replaced, _, real = known
    with pytest.raises(error, match=said):
        losses.replaced_token_loss(*call(logits, replaced, real))
