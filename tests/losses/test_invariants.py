"""What must be equal to what: limits, symmetries and closed forms."""

import math

import pytest
import torch
import torch.nn.functional as F
from cases import CASES_AND_PATHS, QUEUE, queue_of
from hypothesis import given, settings
from hypothesis import strategies as st

from clt import losses
from clt.similarity import cosine_similarity, dot_product, normalize


@pytest.fixture
def views():
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(6, 4, generator=generator, dtype=torch.float64) for _ in range(3)]


def same(a, b):
    return torch.allclose(a, b, rtol=1e-12, atol=1e-14)


def test_sup_con_with_two_views_and_no_shared_label_is_nt_xent(views, path):
    one = losses.sup_con_loss(torch.stack(views[:2], 1), torch.arange(6), temperature=0.5)
    assert same(one, losses.nt_xent_loss(*views[:2]))


def test_nt_xent_is_cross_entropy_without_the_diagonal(views, path):
    z = normalize(torch.cat(views[:2]))
    logits = (z @ z.T / 0.5).fill_diagonal_(-torch.inf)
    expected = F.cross_entropy(logits, torch.arange(12).roll(6), reduction="none")
    assert same(losses.nt_xent_loss(*views[:2], reduction="none"), expected)


@pytest.mark.skipif(not hasattr(F, "linear_cross_entropy"), reason="this PyTorch is older than linear_cross_entropy")
def test_info_nce_is_pytorchs_linear_cross_entropy(views, path):
    query, key = normalize(views[0]), normalize(views[1])
    expected = F.linear_cross_entropy(query / 0.07, key, torch.arange(6))
    assert same(losses.info_nce_loss(query, key), expected)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
def test_temperature_times_nt_xent_is_alignment_plus_distribution(views, path, temperature):
    alignment, distribution = losses.nt_xent_terms(*views[:2], temperature=temperature)
    assert same(alignment, -F.cosine_similarity(*views[:2]).mean())
    assert same(alignment + distribution, temperature * losses.nt_xent_loss(*views[:2], temperature=temperature))
    inputs = [x.requires_grad_() for x in views[:2]]
    parts = torch.autograd.grad(sum(losses.nt_xent_terms(*inputs, temperature=temperature)), inputs)
    whole = torch.autograd.grad(temperature * losses.nt_xent_loss(*inputs, temperature=temperature), inputs)
    assert all(map(same, parts, whole))


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_one_tensor_given_twice_gets_both_gradients(views, path, similarity, reduction):
    options = {"similarity": similarity, "reduction": reduction, "temperature": 0.5}
    twice, query, key = (views[0].clone().requires_grad_() for _ in range(3))
    one, two = losses.info_nce_loss(twice, twice, **options), losses.info_nce_loss(query, key, **options)
    assert same(one, two)
    one.backward()
    two.backward()
    assert same(twice.grad, query.grad + key.grad)


def test_simcse_without_hard_negatives_is_info_nce(views, path):
    assert same(losses.simcse_loss(*views[:2]), losses.info_nce_loss(*views[:2], temperature=0.05))


def test_hard_negatives_of_weight_one_are_shared_negatives(views, path):
    query, positive, hard = views
    assert same(losses.simcse_loss(*views), losses.info_nce_loss(query, positive, hard, temperature=0.05))


def test_hard_negatives_of_weight_zero_lose_their_own_and_no_other(views, path):
    query, positive, hard = (x.requires_grad_() for x in views)
    loss = losses.simcse_loss(query, positive, hard, hard_negative_weight=0.0, reduction="none")
    for i in range(6):
        others = hard[[j for j in range(6) if j != i]]
        assert same(loss[i], losses.info_nce_loss(query, positive, others, temperature=0.05, reduction="none")[i])
    own = torch.autograd.grad(loss[2], hard)[0][2]
    assert torch.equal(own, torch.zeros_like(own))


def test_weights_of_one_change_nothing_and_weights_of_zero_remove(views, path):
    query, positive, negatives = views
    plain = losses.info_nce_loss(query, positive, negatives)
    assert same(losses.info_nce_loss(query, positive, negatives, torch.ones(6)), plain)
    none = losses.info_nce_loss(query, positive, negatives, torch.zeros(6))
    assert same(none, losses.info_nce_loss(query, positive))
    own = negatives.expand(6, 6, 4)
    assert same(losses.info_nce_loss(query, positive, own), plain)
    assert same(losses.info_nce_loss(query, positive, own, torch.zeros(6, 6)), losses.info_nce_loss(query, positive))
    half = torch.tensor([1.0, 0.0, 1.0, 0.0, 0.0, 1.0])
    kept = losses.info_nce_loss(query, positive, negatives[half > 0])
    assert same(losses.info_nce_loss(query, positive, negatives, half), kept)
    assert same(losses.info_nce_loss(query, positive, own, half.expand(6, 6)), kept)


@pytest.mark.parametrize("shape", [(0, 4), (6, 0, 4)], ids=str)
def test_no_negatives_are_no_negatives(views, path, shape):
    none = torch.empty(shape, dtype=torch.float64)
    assert same(losses.info_nce_loss(*views[:2], none), losses.info_nce_loss(*views[:2]))
    assert same(losses.info_nce_loss(*views[:2], none, none[..., 0]), losses.info_nce_loss(*views[:2]))


def test_a_function_of_similarity_is_as_good_as_its_name(views, path):
    weights = torch.linspace(0, 2, 6, dtype=torch.float64)
    for function, name in ((cosine_similarity, "cosine"), (dot_product, "dot")):
        for extra in ((), (views[2],), (views[2], weights), (views[2].expand(6, 6, 4), weights.expand(6, 6))):
            named = losses.info_nce_loss(*views[:2], *extra, similarity=name)
            assert same(losses.info_nce_loss(*views[:2], *extra, similarity=function), named)


def test_temperature_may_be_learnt(views, path):
    for loss in (losses.nt_xent_loss, losses.info_nce_loss, losses.simcse_loss):
        temperature = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
        assert same(loss(*views[:2], temperature=temperature), loss(*views[:2], temperature=0.3))
        assert torch.autograd.gradcheck(lambda t, f=loss: f(*views[:2], temperature=t), temperature)


def test_constant_class_logits_make_label_aware_a_sup_con(views, path):
    """(SupCon − ln C) / C outside the logarithm, SupCon inside."""
    x, labels, logits = torch.cat(views[:2]), torch.tensor([0, 1, 2, 0, 1, 0] * 2), torch.full((12, 3), 0.7)
    sup_con = losses.sup_con_loss(x, labels, temperature=0.3)
    assert losses.label_aware_loss(x, labels, logits).item() == pytest.approx((sup_con.item() - math.log(3)) / 3)
    assert same(losses.label_aware_loss(x, labels, logits, positive_weight="inside"), sup_con)


def test_label_aware_ignores_a_shift_of_the_logits_and_divides_among_classes(views, path):
    x, labels, logits = views[0], torch.tensor([0, 1, 0, 2, 1, 0]), views[1][:, :3]
    for where in ("inside", "outside"):
        loss = losses.label_aware_loss(x, labels, logits, positive_weight=where)
        shifted = logits + torch.linspace(-5, 5, 6, dtype=torch.float64)[:, None]
        assert same(losses.label_aware_loss(x, labels, shifted, positive_weight=where), loss)


def test_a_sure_weighting_network_leaves_only_the_own_class_below(views, path):
    x, labels = torch.cat(views[:2]), torch.tensor([0, 1, 2, 0, 1, 0] * 2)
    sure = 300.0 * F.one_hot(labels, 3).double()
    for where in ("inside", "outside"):
        loss = losses.label_aware_loss(x, labels, sure, positive_weight=where, reduction="none")
        for c in range(3):
            mine = labels == c
            alone = losses.sup_con_loss(x[mine], labels[mine], temperature=0.3, reduction="none")
            assert same(loss[mine], alone)


def test_sup_con_is_at_least_its_form_with_the_sum_inside(views, path):
    x, labels = torch.cat(views), torch.tensor([0, 1, 2, 0, 1, 0] * 3)
    logits = (normalize(x) @ normalize(x).T / 0.1).fill_diagonal_(-torch.inf)
    same_class = (labels[:, None] == labels).fill_diagonal_(False)
    share = (logits.softmax(1) * same_class).sum(1) / same_class.sum(1)
    outside = losses.sup_con_loss(x, labels, reduction="none")
    assert (outside >= -share.log() - 1e-12).all()
    collapsed = F.one_hot(labels).double()  # all positives alike: the two forms meet, at log of their number
    least = losses.sup_con_loss(collapsed, labels, temperature=0.01, reduction="none")
    assert same(least, same_class.sum(1).double().log())


def test_sup_con_of_views_is_sup_con_of_rows(views, path):
    labels = torch.tensor([0, 1, 0, 2, 1, 0])
    stacked, rows = torch.stack(views, 1), torch.stack(views, 1).flatten(0, 1)
    together = losses.sup_con_loss(stacked, labels, reduction="none")
    assert together.shape == (6, 3)
    assert same(together.flatten(), losses.sup_con_loss(rows, labels.repeat_interleave(3), reduction="none"))


def test_a_queue_that_forgets_all_or_holds_nothing_is_simcse_twice(views, path):
    anchor, identical, fraternal = views
    margin = losses.twin_margin(*views)
    twice = losses.simcse_loss(anchor, identical) + losses.simcse_loss(anchor, fraternal)
    forgetful, small, new = (losses.HippocampusQueue(k, decay=p) for k, p in ((2, 0.0), (0, 0.5), (2, 0.5)))
    forgetful.push(QUEUE @ torch.randn(3, 4, dtype=torch.float64))
    small.push(views[0])
    for queue in (None, forgetful, small, new):
        assert same(losses.ifcl_loss(*views, margin, queue), twice)  # the margin is the present one: no Twin Loss
    assert (losses.ifcl_loss(*views, margin + 0.5) - twice).item() == pytest.approx(0.5)


def test_a_queue_that_never_forgets_is_a_plain_queue():
    generator = torch.Generator().manual_seed(0)
    views = [torch.randn(5, 3, generator=generator, dtype=torch.float64) for _ in range(3)]
    queue = losses.HippocampusQueue(2, decay=1.0)
    for batch in QUEUE.split(4):
        queue.push(batch)
    plain = sum(losses.info_nce_loss(views[0], other, QUEUE, temperature=0.05) for other in views[1:])
    assert same(losses.ifcl_loss(*views, losses.twin_margin(*views), queue), plain)
    assert torch.equal(queue_of(QUEUE).weights, torch.tensor([0.25] * 4 + [0.5] * 4).double())


NOT_COSINES = {"info_nce, dot product", "info_nce, bilinear", "soft_nearest_neighbor", "nce", "negative_sampling",
               "relational", "quick_thoughts", "quick_thoughts, texts", "quick_thoughts, one encoder",
               "distillation"}  # fmt: skip
COSINES = [(case, path) for case, path in CASES_AND_PATHS if case.name not in NOT_COSINES]


@pytest.mark.parametrize(("case", "path"), COSINES, indirect=["path"], ids=str)
def test_scale_and_direction_of_the_gradient(case, path):
    """Cosine losses ignore the length of a row, and their gradient is orthogonal to it."""
    inputs = [x.requires_grad_() for x in case.inputs()]
    rows = [x for x in inputs if x.shape[-1] == 3]  # the embeddings; not weights or class logits
    loss = case.loss(*inputs)
    for x, gradient in zip(rows, torch.autograd.grad(loss, rows), strict=True):
        assert (x * gradient).sum(-1).abs().max() < 1e-13
        assert gradient.abs().max() > 1e-6
    for factor in (1e-3, 30.0):
        scaled = [x * factor if x.shape[-1] == 3 else x for x in inputs]
        assert case.loss(*scaled).item() == pytest.approx(loss.item(), rel=1e-12)


@settings(deadline=None, derandomize=True, max_examples=30)
@given(n=st.integers(1, 9), d=st.integers(1, 6), seed=st.integers(0, 2**16), temperature=st.floats(0.02, 5.0))
def test_the_order_of_the_batch_does_not_matter(n, d, seed, temperature):
    generator = torch.Generator().manual_seed(seed)
    x, y, z = torch.randn(3, n, d, generator=generator, dtype=torch.float64)
    labels = torch.randint(3, (n,), generator=generator)
    order = torch.randperm(n, generator=generator)
    for loss, inputs in (
        (losses.nt_xent_loss, (x, y)),
        (losses.info_nce_loss, (x, y)),
        (losses.simcse_loss, (x, y, z)),
        (losses.sup_con_loss, (x, labels)),
        (losses.soft_nearest_neighbor_loss, (x, labels)),
    ):
        shuffled = [i[order] for i in inputs]
        found = loss(*shuffled, temperature=temperature)
        assert found.item() == pytest.approx(loss(*inputs, temperature=temperature).item(), rel=1e-9, abs=1e-12)


def test_random_directions_cost_about_the_logarithm_of_the_candidates():
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(2, 512, 4096, generator=generator)
    assert losses.info_nce_loss(x, y, temperature=1.0).item() == pytest.approx(math.log(512), rel=1e-3)
    assert losses.nt_xent_loss(x, y, temperature=1.0).item() == pytest.approx(math.log(1023), rel=1e-3)
