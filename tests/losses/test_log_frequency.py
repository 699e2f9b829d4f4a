"""What retrieval adds to the losses: log frequencies in InfoNCE, and distillation."""

import math

import pytest
import torch
import torch.nn.functional as F

from clt import losses
from clt.similarity import cosine_similarity

P = torch.tensor([0.30, 0.25, 0.20, 0.15, 0.07, 0.03], dtype=torch.float64)


def test_log_q_on_the_closed_form_input(official, path):
    """In every column as in Yi et al. and TFRS; subtracted before the division by τ it would be 1.554."""
    q, k = official["z1"], official["z2"]
    plain = losses.info_nce_loss(q, k, temperature=0.5)
    corrected = losses.info_nce_loss(q, k, temperature=0.5, log_frequency=P.log())
    assert plain.item() == pytest.approx(0.8616924136506254, rel=1e-10)
    assert corrected.item() == pytest.approx(1.0040938103615622, rel=1e-10)
    inputs = [x.clone().requires_grad_() for x in (q, k)]
    loss = losses.info_nce_loss(*inputs, temperature=0.5, log_frequency=P.log())
    norms = [g.norm().item() for g in torch.autograd.grad(loss, inputs)]
    assert norms == pytest.approx([0.21653027065094413, 0.1659194781136553], rel=1e-8)


def test_dpr_on_the_closed_form_input(official, path):
    """Raw dot products, and the hard negatives of all questions are candidates of each."""
    q, k, hard = (official[name] for name in ("z1", "z2", "z3"))
    options = {"temperature": 1.0, "similarity": "dot"}
    assert losses.info_nce_loss(q, k, **options).item() == pytest.approx(0.8953051193500983, rel=1e-10)
    assert losses.info_nce_loss(q, k, hard, **options).item() == pytest.approx(1.0986281860767992, rel=1e-10)


def test_equal_frequencies_change_nothing(official, path):
    q, k, hard = (official[name] for name in ("z1", "z2", "z3"))
    same = torch.full((6,), -math.log(6.0), dtype=torch.float64)
    ours = losses.info_nce_loss(q, k, log_frequency=same)
    torch.testing.assert_close(ours, losses.info_nce_loss(q, k))
    # not with extra negatives, which come from elsewhere
    assert losses.info_nce_loss(q, k, hard, log_frequency=same) < losses.info_nce_loss(q, k, hard)


def test_a_function_of_similarity_is_corrected_as_well(official, path):
    q, k, hard = (official[name] for name in ("z1", "z2", "z3"))
    for extra in ((), (hard,), (hard.expand(6, 6, 5),)):
        named, given = (
            losses.info_nce_loss(q, k, *extra, similarity=s, log_frequency=P.log())
            for s in ("cosine", cosine_similarity)
        )
        torch.testing.assert_close(given, named)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_very_rare_items_at_a_small_temperature(path, dtype):
    q = torch.eye(4, dtype=dtype).requires_grad_()
    rare = torch.tensor([-100.0, -50.0, -1e-3, 0.0], dtype=dtype)
    loss = losses.info_nce_loss(q, -q.detach(), temperature=0.01, log_frequency=rare, reduction="none")
    wanted = F.cross_entropy(-torch.eye(4).double() / 0.01 - rare.double(), torch.arange(4), reduction="none")
    torch.testing.assert_close(loss.double(), wanted, rtol=1e-5, atol=1e-8)
    assert torch.isfinite(torch.autograd.grad(loss.sum(), q)[0]).all()


def test_the_correction_takes_away_what_only_popularity_put_in():
    """200 items with frequency 1/rank, batches of 64: on average, how hard is the most popular item pushed away?"""
    generator = torch.Generator().manual_seed(0)
    frequency = 1 / torch.arange(1, 201.0).double()
    frequency /= frequency.sum()
    score, own = torch.randn(200, generator=generator).double(), 50
    exact = score.softmax(0)[0].item()
    pushes = {"plain": 0.0, "corrected": 0.0}
    for _ in range(500):
        rows = torch.multinomial(frequency, 64, replacement=True, generator=generator)
        rows[0] = own
        for name, log_frequency in (("plain", None), ("corrected", frequency.log()[rows])):
            query = score.repeat(64, 1).requires_grad_()  # with one-hot items a dot product is the score
            loss = losses.info_nce_loss(query, F.one_hot(rows, 200).double(), similarity="dot", temperature=1.0,
                                        log_frequency=log_frequency, reduction="none")  # fmt: skip
            pushes[name] += torch.autograd.grad(loss[0], query)[0][0, 0].item() / 500
    assert pushes["plain"] / exact > 15
    assert 0.7 < pushes["corrected"] / exact < 1.4


@pytest.mark.parametrize(
    ("frequency", "error", "message"),
    [
        (torch.zeros(3), ValueError, "must have shape"),
        (torch.zeros(4, dtype=torch.long), TypeError, "log_frequency must be"),
        (torch.tensor([0.0, 0.1, -1, -2]), ValueError, "at most 0, got 0.1"),
        (torch.tensor([0.0, torch.nan, -1, -2]), ValueError, "at most 0"),
        (torch.tensor([0.0, -torch.inf, -1, -2]), ValueError, "finite"),
    ],
)
def test_a_log_frequency_is_a_logarithm_of_a_probability(frequency, error, message):
    with pytest.raises(error, match=message):
        losses.info_nce_loss(torch.randn(4, 3), torch.randn(4, 3), log_frequency=frequency)


# ---- distillation


def test_distillation_is_torchs_cross_entropy_with_soft_targets():
    s, t = torch.randn(2, 5, 7, dtype=torch.float64)
    for reduction in ("none", "sum", "mean"):
        ours = losses.distillation_loss(s, t, reduction=reduction)
        torch.testing.assert_close(ours, F.cross_entropy(s, t.softmax(1), reduction=reduction))


def test_it_is_least_where_the_student_agrees_and_ignores_constants():
    t = torch.randn(5, 7, dtype=torch.float64)
    s = (t + 3).requires_grad_()
    loss = losses.distillation_loss(s, t - 40)
    assert loss.item() == pytest.approx(-(t.softmax(1) * t.log_softmax(1)).sum(1).mean().item())
    assert torch.autograd.grad(loss, s)[0].abs().max() < 1e-12


def test_the_teacher_gets_no_gradient():
    s, t = torch.randn(2, 5, 7, requires_grad=True).unbind()
    s, t = s.detach().requires_grad_(), t.detach().requires_grad_()
    losses.distillation_loss(s, t).backward()
    assert s.grad.any()
    assert t.grad is None


def test_what_the_teacher_leaves_out_asks_nothing():
    s, t = torch.randn(2, 2, 4, dtype=torch.float64)
    out = torch.tensor([[False, True, False, False]] * 2)
    both = losses.distillation_loss(s.masked_fill(out, -torch.inf), t.masked_fill(out, -torch.inf))
    torch.testing.assert_close(both, losses.distillation_loss(s[:, [0, 2, 3]], t[:, [0, 2, 3]]))


def test_large_scores_in_float32():
    s = torch.tensor([[1e4, -1e4, 0.0]], requires_grad=True)
    loss = losses.distillation_loss(s, torch.tensor([[-1e4, 1e4, 0.0]]))
    assert loss.item() == pytest.approx(2e4)
    loss.backward()
    assert torch.isfinite(s.grad).all()


@pytest.mark.parametrize(
    ("student", "teacher", "error", "message"),
    [
        (torch.zeros(2, 3), torch.zeros(2, 4), ValueError, "shapes must be equal"),
        (torch.zeros(0, 3), torch.zeros(0, 3), ValueError, "not be empty"),
        (torch.zeros(2, 3), torch.zeros(2, 3).long(), TypeError, "teacher_scores must be"),
        (torch.zeros(2, 3), torch.full((2, 3), -torch.inf), ValueError, "row of teacher_scores"),
        (torch.full((2, 3), torch.nan), torch.zeros(2, 3), ValueError, "row of student_scores"),
    ],
)
def test_distillation_says_what_it_expects(student, teacher, error, message):
    with pytest.raises(error, match=message):
        losses.distillation_loss(student, teacher)
    with pytest.raises(ValueError, match="reduction"):
        losses.distillation_loss(torch.zeros(2, 3), torch.zeros(2, 3), reduction="average")
