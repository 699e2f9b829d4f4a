"""Lesson 13's losses: reference values, their limits, and where released code overflows or hides the wrong entries."""

import math

import pytest
import slow_losses as slow
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from clt import losses

# name of the options → loss, norms of the gradients of z1 and z2; computed with joshr17/HCL, image code, in float64
HARD = {
    (0.5, 0.0, 0.1): (1.0180281577901495, 0.34810201817769765, 0.16310215598549826),
    (0.5, 1.0, 0.0): (1.7939555347418876, 0.3170000238975516, 0.1883346627293332),
    (0.5, 0.0, 0.0): (1.2963381986664355, 0.23238070581945516, 0.11687581116432944),
    (0.5, 2.0, 0.1): (1.8992400813371406, 0.4181354461022479, 0.2487851309401604),
    (0.5, 1.0, 0.01): (1.7849458670738205, 0.3232919931301128, 0.19173726260954485),
    (0.1, 1.0, 0.1): (1.0076791469603303, 1.9316588319747792, 1.3138926640995956),
    (0.05, 1.0, 0.1): (0.6805785097743469, 1.9172432468749094, 1.7881177225176932),
}


def gradients(loss, *inputs):
    return torch.autograd.grad(loss, inputs)


def leaves(official, *names):
    return [official[name].clone().requires_grad_() for name in names]


def released_hard(view1, view2, temperature, hardness, class_prior):
    """The image code of joshr17/HCL: powers first."""
    z, n = F.normalize(torch.cat([view1, view2]), dim=1), len(view1)
    away = ~torch.eye(n, dtype=torch.bool).repeat(2, 2)
    negative = (z @ z.T / temperature).exp()[away].view(2 * n, -1)
    positive = (z[:n] * z[n:]).sum(1).div(temperature).exp().repeat(2)
    weights = (hardness * negative.log()).exp()
    mean = (weights * negative).sum(1) / weights.mean(1)
    count = 2 * n - 2
    true = (mean - class_prior * count * positive) / (1 - class_prior)
    true = true.clamp(min=count * math.exp(-1 / temperature))
    return -(positive / (positive + true)).log().mean()


@pytest.mark.parametrize("options", HARD, ids=str)
def test_hard_negatives_are_those_of_the_released_code(official, options):
    temperature, hardness, class_prior = options
    views = leaves(official, "z1", "z2")
    loss = losses.hard_negative_loss(*views, temperature=temperature, hardness=hardness, class_prior=class_prior)
    value, *norms = HARD[options]
    assert loss.item() == pytest.approx(value, rel=1e-12)
    assert [g.norm().item() for g in gradients(loss, *views)] == pytest.approx(norms, rel=1e-10)
    assert released_hard(*views, *options).item() == pytest.approx(value, rel=1e-12)


def test_the_released_code_overflows_and_ours_does_not(official):
    views = [official[name].float() for name in ("z1", "z2")]
    assert released_hard(*views, 0.02, 1.0, 0.1).isinf()
    assert released_hard(*views, 0.01, 1.0, 0.1).isnan()
    assert released_hard(*(v.half() for v in views), 0.05, 1.0, 0.1).isnan()
    found = losses.hard_negative_loss(*views, temperature=0.02)
    assert found.item() == pytest.approx(0.6550862916685926, rel=1e-5)
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        low = [official[name].to(dtype).requires_grad_() for name in ("z1", "z2")]
        exact = [x.detach().double().requires_grad_() for x in low]
        for temperature in (0.05, 0.01, 0.001):
            found, wanted = (losses.hard_negative_loss(*v, temperature=temperature) for v in (low, exact))
            assert found.item() == pytest.approx(wanted.item(), rel=1e-4, abs=1e-6)
            assert all(g.isfinite().all() for g in gradients(found, *low))


@pytest.mark.parametrize("temperature", [0.05, 0.5, 2.0])
def test_no_hardness_and_no_prior_is_nt_xent(official, temperature):
    views = leaves(official, "z1", "z2")
    plain = losses.nt_xent_loss(*views, temperature=temperature, reduction="none")
    ours = losses.hard_negative_loss(*views, temperature=temperature, hardness=0, class_prior=0, reduction="none")
    assert torch.allclose(ours, plain, rtol=1e-12)
    for a, b in zip(gradients(ours.sum(), *views), gradients(plain.sum(), *views), strict=True):
        assert torch.allclose(a, b, rtol=1e-10, atol=1e-13)


def test_great_hardness_counts_every_negative_as_the_hardest(official):
    z = F.normalize(torch.cat([official["z1"], official["z2"]]), dim=1)
    logits = z @ z.T / 0.5
    twin = torch.arange(12).roll(6)
    positive = logits[torch.arange(12), twin]
    hardest = logits.fill_diagonal_(-torch.inf).scatter(1, twin[:, None], -torch.inf).amax(1)
    wanted = F.softplus(math.log(10) + hardest - positive).mean().item()
    assert wanted == pytest.approx(2.143592, abs=1e-6)
    for hardness in (1e4, 1e8):
        found = losses.hard_negative_loss(official["z1"], official["z2"], hardness=hardness, class_prior=0)
        assert found.item() == pytest.approx(wanted, rel=1e-6)


def test_where_the_floor_is_active_negatives_have_no_gradient(official):
    z1 = official["z1"]
    loss = losses.hard_negative_loss(z1, z1, temperature=0.1, hardness=0, class_prior=0.1)
    assert loss.item() == pytest.approx(math.log1p(10 * math.exp(-20)), rel=1e-9), "all twelve anchors are at the floor"
    views = leaves(official, "z1", "z2")
    rows = losses.hard_negative_loss(*views, temperature=0.05, reduction="none")
    cosine = F.cosine_similarity(*views)
    at_floor = [
        i for i, row in enumerate(rows.tolist())
        if row == pytest.approx(math.log1p(10 * math.exp(-20 - cosine[i % 6].item() / 0.05)), rel=1e-9)
    ]  # fmt: skip
    assert len(at_floor) == 7
    for i in at_floor:
        one, two = torch.autograd.grad(rows[i], views, retain_graph=True)
        others = torch.arange(6) != i % 6
        assert one[others].abs().max() == two[others].abs().max() == 0


def test_near_the_floor_nothing_is_lost_but_what_rounding_takes():
    """The difference of two large numbers: its logarithm is taken of the ratio, not of the numbers."""
    view1 = torch.eye(4, dtype=torch.float64)
    view2 = F.normalize(view1 + 0.3, dim=1)
    for class_prior in (1e-12, 1e-3, 0.1, 0.5, 0.999):
        for temperature in (0.02, 0.2, 2.0):
            options = {"temperature": temperature, "hardness": 0.5, "class_prior": class_prior}
            rows = torch.stack(slow.hard_negative(view1, view2, **options))
            found = losses.hard_negative_loss(view1, view2, reduction="none", **options)
            assert torch.allclose(found, rows, rtol=1e-9)


def test_decoupled_is_nt_xent_without_its_positive(official):
    z1, z2 = official["z1"], official["z2"]
    for temperature, both in ((0.5, 1.910844766), (0.1, -2.0334788947695515), (0.02, -14.211115482641663)):
        rows = losses.decoupled_loss(z1, z2, temperature=temperature, reduction="none")
        assert 2 * rows.mean().item() == pytest.approx(both, rel=1e-9), "the reference adds the two directions"
        nt_xent = losses.nt_xent_loss(z1, z2, temperature=temperature, reduction="none")
        share = torch.exp(-nt_xent)
        assert torch.allclose(nt_xent - rows, -torch.log1p(-share), rtol=1e-8)


def test_a_mask_that_is_added_hides_nothing_at_small_temperatures():
    """A public implementation of DCL adds log 1e-45 = −103.6; a logit of 1/0.009 = 111 comes through."""
    z = torch.eye(3, dtype=torch.float64)
    for temperature, theirs in ((0.02, -48.61370563888011), (0.01, -98.60035457657061), (0.009, -102.92207066604117)):
        masked = z @ z.T / temperature + math.log(1e-45) * torch.eye(3, dtype=torch.float64)
        added = -1 / temperature + torch.cat([masked, masked], dim=1).logsumexp(1).mean().item()
        assert added == pytest.approx(theirs, rel=1e-9)
        ours = losses.decoupled_loss(z, z, temperature=temperature).item()
        assert ours == pytest.approx(-1 / temperature + math.log(4), rel=1e-12)
    assert added - ours > 6


@pytest.mark.parametrize("loss", [losses.hard_negative_loss, losses.decoupled_loss, losses.guided_info_nce_loss])
def test_one_pair_costs_nothing_and_keeps_its_graph(loss):
    x, y = (torch.randn(1, 4, requires_grad=True) for _ in range(2))
    value = loss(x, y, x, y) if loss is losses.guided_info_nce_loss else loss(x, y)
    assert value.item() == 0
    assert all(torch.equal(g, torch.zeros_like(g)) for g in gradients(value, x, y))


# ---- lifted structure


@pytest.mark.parametrize(
    ("names", "unit", "margin", "value", "norm"),
    [
        (["z1"], True, 1.0, 6.002901082, None),
        (["z1"], True, 0.5, 4.401497822, None),
        (["z1"], False, 1.0, 7.639365581, None),
        (["z1"], False, 0.5, 5.8221257263092046, 2.144855948313148),
        (["z1", "z2"], True, 1.0, 7.164961265714726, None),
        (["z1", "z2"], False, 1.0, 8.605066877153455, 1.5284726691999138),
    ],
)
def test_lifted_structure_is_that_of_pytorch_metric_learning(official, names, unit, margin, value, norm):
    x = torch.cat([official[name] for name in names]).requires_grad_()
    labels = official["labels"].repeat(len(names))
    by_hand = slow.lifted(F.normalize(x, dim=1) if unit else x, labels, margin=margin)
    loss = losses.lifted_structure_loss(F.normalize(x, dim=1) if unit else x, labels, margin=margin)
    assert loss.item() == pytest.approx(value, rel=1e-9)
    assert loss.item() == pytest.approx(by_hand.item(), rel=1e-12)
    wanted = gradients(by_hand, x)[0]
    assert torch.allclose(gradients(loss, x)[0], wanted, rtol=1e-9, atol=1e-12)
    if norm:
        assert wanted.norm().item() == pytest.approx(norm, rel=1e-9)


def test_lifted_structure_gradcheck(official):
    x = official["z1"].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: losses.lifted_structure_loss(x, official["labels"]), x)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_lifted_structure_in_lower_precision(official, dtype):
    x = official["z1"].to(dtype).requires_grad_()
    exact = x.detach().double().requires_grad_()
    found, wanted = (losses.lifted_structure_loss(v, official["labels"]) for v in (x, exact))
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(wanted.item(), rel=1e-5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(losses.lifted_structure_loss(x, official["labels"]), found)
    tolerance = 4 * torch.finfo(dtype).eps
    (a,), (b,) = gradients(found, x), gradients(wanted, exact)
    assert torch.allclose(a.double(), b, rtol=tolerance, atol=tolerance)


def test_lifted_structure_of_duplicates_has_a_gradient():
    """The Caffe layer divides by the distance, which is 0 here."""
    x = torch.ones(6, 3, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 1, 0, 2, 1, 0])
    loss = losses.lifted_structure_loss(x, labels)
    assert loss.item() == pytest.approx((3 * (math.log(6) + 1) ** 2 + (math.log(8) + 1) ** 2) / 8, rel=1e-12)
    assert gradients(loss, x)[0].isfinite().all()
    for length in (1e-18, 1e4, 1e15):
        y = (length * torch.randn(6, 3)).requires_grad_()
        loss = losses.lifted_structure_loss(y, labels)
        assert loss.isfinite()
        assert gradients(loss, y)[0].isfinite().all()


def test_on_the_sphere_the_hinge_of_lifted_structure_never_closes():
    """Two classes at opposite ends of a diameter cannot do better: D = 0 within, 2 between."""
    x = torch.tensor([[1.0, 0.0]] * 4 + [[-1.0, 0.0]] * 4, dtype=torch.float64, requires_grad=True)
    loss = losses.lifted_structure_loss(x, torch.arange(8) // 4)
    assert loss.item() == pytest.approx((math.log(8) - 1) ** 2 / 2, rel=1e-12)


@pytest.mark.parametrize("labels", [[0], [0, 1, 2], [4, 4, 4]], ids=str)
def test_lifted_structure_without_a_pair_or_without_negatives(labels):
    x = torch.randn(len(labels), 3, requires_grad=True)
    loss = losses.lifted_structure_loss(x, torch.tensor(labels))
    assert loss.item() == 0
    assert gradients(loss, x)[0].abs().max() == 0


# ---- SigLIP


@pytest.mark.parametrize(
    ("bias", "value", "norms", "to_bias"),
    [
        (-10.0, 1.2951285795568348, (0.7688665386018505, 0.821382653637859), -0.526468306753578),
        (-2.71, 7.230265658549487, (2.0510218850352233, 2.031015909536347), 1.9752128356700762),
        (0.0, 13.252587204, None, None),
    ],
)
def test_sigmoid_loss_is_that_of_big_vision(official, bias, value, norms, to_bias):
    views = leaves(official, "z1", "z2")
    loss = losses.sigmoid_loss(*views, bias=bias)
    assert loss.item() == pytest.approx(value, rel=1e-9)
    assert loss.item() == pytest.approx(slow.sigmoid(*views, temperature=0.1, bias=bias).item(), rel=1e-12)
    wanted = gradients(slow.sigmoid(*views, temperature=0.1, bias=bias), *views)
    assert all(map(torch.allclose, gradients(loss, *views), wanted))
    learnt = torch.tensor(bias, dtype=torch.float64, requires_grad=True)
    cosine = F.normalize(official["z1"], dim=1) @ F.normalize(official["z2"], dim=1).T
    (found,) = gradients(losses.sigmoid_loss(*views, bias=learnt), learnt)
    assert found.item() == pytest.approx((torch.sigmoid(10 * cosine + bias).sum().item() - 6) / 6, rel=1e-9)
    if norms:
        assert [g.norm().item() for g in wanted] == pytest.approx(norms, rel=1e-9)
        assert found.item() == pytest.approx(to_bias, rel=1e-9)


def test_sigmoid_loss_learns_temperature_and_bias(official):
    numbers = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (0.2, -3.0)]
    views = leaves(official, "z1", "z2")
    assert torch.autograd.gradcheck(lambda a, b, t, c: losses.sigmoid_loss(a, b, temperature=t, bias=c),
                                    (*views, *numbers))  # fmt: skip


def test_the_best_bias_of_unrelated_vectors_is_minus_log_of_the_others():
    n = 8
    left, right = torch.eye(2 * n, dtype=torch.float64).chunk(2)
    bias = torch.tensor(-math.log(n - 1), dtype=torch.float64, requires_grad=True)
    assert abs(gradients(losses.sigmoid_loss(left, right, bias=bias), bias)[0].item()) < 1e-12
    start = losses.sigmoid_loss(left, right).item()
    assert start == pytest.approx(10 + 1.0 * math.log1p(math.exp(-10)) * n, rel=1e-9)
    assert losses.sigmoid_loss(left, right, bias=0.0).item() == pytest.approx(n * math.log(2))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_sigmoid_loss_in_lower_precision_and_at_any_temperature(official, dtype):
    for temperature in (1e-3, 0.01, 0.1, 10.0):
        low = [official[name].to(dtype).requires_grad_() for name in ("z1", "z2")]
        exact = [x.detach().double().requires_grad_() for x in low]
        found, wanted = (losses.sigmoid_loss(*v, temperature=temperature) for v in (low, exact))
        assert found.dtype == torch.float32
        assert found.item() == pytest.approx(wanted.item(), rel=1e-5)
        for a, b in zip(gradients(found, *low), gradients(wanted, *exact), strict=True):
            assert torch.allclose(a.double(), b, rtol=1e-2, atol=1e-2 * b.abs().max().item())


# ---- a guide


def gist(query, positive, guide_query, guide_positive, *, temperature, diagonals):
    """GISTEmbed's rule with its three blocks: positives, other queries, and positives among themselves."""
    q, p, gq, gp = (F.normalize(x, dim=1) for x in (query, positive, guide_query, guide_positive))
    limit = (gq * gp).sum(1, keepdim=True)
    eye, blocks = torch.eye(len(q), dtype=torch.bool), []
    for (a, b), (ga, gb) in (((q, p), (gq, gp)), ((q, q), (gq, gq)), ((p, p), (gp, gp))):
        out = ga @ gb.T > limit + 1e-12
        if diagonals and blocks:
            out = out | eye
        blocks.append((a @ b.T / temperature).masked_fill(out, -torch.inf))
    return F.cross_entropy(torch.cat(blocks, dim=1), torch.arange(len(q)))


def guide():
    i, j = torch.arange(1, 7, dtype=torch.float64)[:, None], torch.arange(1, 5, dtype=torch.float64)
    query = torch.cos(0.8 * i + 1.9 * j)
    return query, query + 0.9 * torch.sin(2.3 * i + 0.6 * j)


def test_where_the_guide_finds_query_and_positive_equal_the_released_rule_forgets_the_row_itself(official):
    z1, same = official["z1"], guide()[0]
    trapped = gist(z1, z1, same, same, temperature=0.05, diagonals=False).item()
    assert trapped == pytest.approx(1.1140431640736839, rel=1e-9)
    assert trapped > math.log(3)
    clean = gist(z1, z1, same, same, temperature=0.05, diagonals=True).item()
    assert clean == pytest.approx(0.0455031470550449, rel=1e-9)
    assert losses.guided_info_nce_loss(z1, z1, same, same).item() < clean


def test_a_guide_that_finds_nothing_closer_changes_nothing(official):
    z1, z2 = official["z1"], official["z2"]
    plain = losses.info_nce_loss(z1, z2, temperature=0.05)
    eye = torch.eye(6)
    assert losses.guided_info_nce_loss(z1, z2, eye, eye).item() == pytest.approx(plain.item(), rel=1e-12)
    assert losses.guided_info_nce_loss(z1, z2, *guide(), margin=-3.0).item() == pytest.approx(plain.item(), rel=1e-12)
    assert losses.guided_info_nce_loss(z1, z2, *guide(), margin=3.0).item() == 0, "no candidate but its own"
    some = losses.guided_info_nce_loss(z1, z2, *guide()).item()
    assert 0 < some < plain.item()


def test_a_duplicate_of_the_positive_goes_with_a_margin():
    texts = torch.tensor([[1.0, 0.0, 0.2], [0.0, 1.0, 0.1], [1.0, 0.0, 0.2]])
    rows = losses.guided_info_nce_loss(texts, texts, texts, texts, margin=1e-3, reduction="none")
    assert rows.max() < 1e-6
    assert losses.info_nce_loss(texts, texts, temperature=0.05).item() > 0.4


def test_no_gradient_reaches_the_guide(official):
    views, guides = leaves(official, "z1", "z2"), [x.requires_grad_() for x in guide()]
    loss = losses.guided_info_nce_loss(*views, *guides)
    assert torch.autograd.grad(loss, guides, allow_unused=True) == (None, None)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(
    n=st.integers(2, 6),
    d=st.integers(2, 5),
    scale=st.sampled_from([1e-3, 1.0, 1e4]),
    temperature=st.sampled_from([0.1, 0.5, 2.0]),
    hardness=st.sampled_from([0.0, 0.5, 3.0]),
    class_prior=st.sampled_from([0.0, 0.05, 0.4]),
    seed=st.integers(0, 2**16),
)
def test_any_shape_and_scale(n, d, scale, temperature, hardness, class_prior, seed):
    generator = torch.Generator().manual_seed(seed)
    x, y, g, h = (scale * torch.randn(n, d, generator=generator, dtype=torch.float64) for _ in range(4))
    options = {"temperature": temperature, "hardness": hardness, "class_prior": class_prior}
    for found, wanted in (
        (losses.hard_negative_loss(x, y, reduction="none", **options), slow.hard_negative(x, y, **options)),
        (losses.decoupled_loss(x, y, reduction="none", temperature=temperature),
         slow.decoupled(x, y, temperature=temperature)),
        (losses.guided_info_nce_loss(x, y, g, h, temperature=temperature, margin=0.1, reduction="none"),
         slow.guided(x, y, g, h, temperature=temperature, margin=0.1)),
    ):  # fmt: skip
        assert torch.allclose(found, torch.stack(wanted), rtol=1e-7, atol=1e-10)


def test_options_are_checked():
    x, labels = torch.randn(4, 3), torch.tensor([0, 0, 1, 1])
    for call, message in (
        (lambda: losses.hard_negative_loss(x, x, class_prior=1.0), "class_prior must be below 1, got 1.0"),
        (lambda: losses.hard_negative_loss(x, x, class_prior=-0.1), "class_prior must not be negative, got -0.1"),
        (lambda: losses.hard_negative_loss(x, x, hardness=-1.0), "hardness must not be negative, got -1.0"),
        (lambda: losses.lifted_structure_loss(x, labels, margin=-1.0), "margin must not be negative"),
        (lambda: losses.guided_info_nce_loss(x, x, x[:2], x[:2]), "the guide must see the same 4 rows, got 2"),
        (lambda: losses.guided_info_nce_loss(x, x, x, x, margin=math.nan), "margin must be a number, got nan"),
        (lambda: losses.guided_info_nce_loss(x, x, x, x[:, :2]), "shapes must be equal"),
        (lambda: losses.guided_info_nce_loss(x, x, x, x, reduction="all"), "reduction must be one of"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
