"""Relational loss: InfoNCE and SupCon at τ = 1/2 on the sphere, its values on the family trees, its limits."""

import pytest
import torch
import torch.nn.functional as F

from clt import data, losses
from clt.losses import relational_loss


def test_on_the_sphere_it_is_info_nce_at_one_half(official):
    u, v = (F.normalize(official[k], dim=1) for k in ("z1", "z2"))
    rows = torch.arange(6)
    assert relational_loss(u, v, rows).item() == pytest.approx(0.8616924136506251, rel=1e-12)
    torch.testing.assert_close(relational_loss(u, v, rows), losses.info_nce_loss(u, v, temperature=0.5))


def test_weights_of_one_over_k_make_it_sup_con(official):
    """The 1/K rule on labels, an anchor itself no candidate: L_out at τ = 1/2."""
    u, labels = F.normalize(official["z1"], dim=1), official["labels"]
    total, anchors = 0.0, 0
    for i in range(6):
        others = torch.arange(6) != i
        right = (labels[others] == labels[i]).nonzero().flatten()
        if len(right):
            rows = relational_loss(u[i].expand(len(right), -1), u[others], right)  # the mean is the weight 1/K
            total, anchors = total + rows.item(), anchors + 1
    assert total / anchors == pytest.approx(3.136563629866301, rel=1e-12)
    assert losses.sup_con_loss(u, labels, temperature=0.5).item() == pytest.approx(total / anchors, rel=1e-12)


# The order of people in which the closed-form vectors are numbered.
ORACLE = (
    "Christopher Penelope Andrew Christine Margaret Arthur Victoria James Jennifer Charles Colin Charlotte "
    "Roberto Maria Pierro Francesca Gina Emilio Lucia Marco Angela Tomaso Alfonso Sophia"
)


def test_goodness_of_the_family_trees():
    """Closed-form vectors and matrices in four dimensions: goodness, gradients, and the divergence it amounts to."""
    people, relations, facts = data.family_trees()
    assert " ".join(people) == ORACLE
    triples = torch.tensor(facts)
    i, j = torch.arange(1, 25, dtype=torch.float64)[:, None], torch.arange(1, 5, dtype=torch.float64)
    V = (0.8 * torch.sin(0.9 * i + 1.7 * j)).requires_grad_()
    r, p, q = torch.meshgrid(*(torch.arange(1, n + 1, dtype=torch.float64) for n in (12, 4, 4)), indexing="ij")
    R = ((p == q) + 0.3 * torch.cos(0.5 * r + 1.1 * p - 0.7 * q)).requires_grad_()
    mapped = torch.einsum("nij,nj->ni", R[triples[:, 1]], V[triples[:, 0]])
    rows = relational_loss(mapped, V, triples[:, 2], reduction="none")
    _, which, count = triples[:, :2].unique(dim=0, return_inverse=True, return_counts=True)
    assert rows.sum().item() == pytest.approx(467.36778809053436, rel=1e-12)
    loss = (rows / count[which]).sum()
    assert loss.item() == pytest.approx(432.16281083246474, rel=1e-12)
    loss.backward()
    assert V.grad.norm().item() == pytest.approx(80.87047601365227, rel=1e-10)
    assert R.grad.norm().item() == pytest.approx(60.93252776247176, rel=1e-10)
    assert (-V.grad[0]).tolist() == pytest.approx(
        [-2.0400022071688735, 3.6791562667727753, 0.6630753856377893, -0.8978039198940226], rel=1e-9
    )
    divergence = loss.item() - count.double().log().sum().item()
    assert divergence == pytest.approx(426.617633387985, rel=1e-12)
    assert len(relations) == 12


def test_far_and_equal_points_stay_finite():
    m = torch.tensor([[0.0, 0.0], [1e4, 0.0]], requires_grad=True)
    v = torch.tensor([[1e4, 0.0], [0.0, 0.1]], requires_grad=True)
    rows = relational_loss(m, v, torch.tensor([0, 1]), reduction="none")
    rows.sum().backward()
    assert rows.isfinite().all()
    assert m.grad.isfinite().all()
    assert v.grad.isfinite().all()
    same = torch.ones(24, 3)
    assert relational_loss(same, same, torch.arange(24)).item() == pytest.approx(torch.tensor(24.0).log().item())


@pytest.mark.parametrize(
    ("mapped", "concepts", "target", "error", "says"),
    [
        (torch.ones(2, 3), torch.ones(4, 2), torch.tensor([0, 1]), ValueError, "one width"),
        (torch.ones(2), torch.ones(4, 2), torch.tensor([0, 1]), ValueError, r"mapped must have shape \(N, D\)"),
        (torch.ones(2, 3), torch.ones(0, 3), torch.tensor([0, 1]), ValueError, "must not be empty"),
        (torch.ones(2, 3), torch.ones(4, 3), torch.tensor([0, 4]), ValueError, r"0 to 3, got 0 to 4"),
        (torch.ones(2, 3), torch.ones(4, 3), torch.tensor([-1, 0]), ValueError, r"got -1 to 0"),
        (torch.ones(2, 3), torch.ones(4, 3), torch.tensor([0]), ValueError, r"shape \(2,\)"),
        (torch.ones(2, 3), torch.ones(4, 3), torch.tensor([0.0, 1.0]), TypeError, "integers, got torch.float32"),
        (torch.ones(2, 3), torch.ones(4, 3), [0, 1], TypeError, "integers, got list"),
        (torch.ones(2, 3).long(), torch.ones(4, 3), torch.tensor([0, 1]), TypeError, "floating-point"),
    ],
)
def test_bad_input(mapped, concepts, target, error, says):
    with pytest.raises(error, match=says):
        relational_loss(mapped, concepts, target)
