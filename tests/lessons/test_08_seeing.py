"""Lesson 8 teaches the package's own functions, on family trees whose facts are right and clouds that are as told."""

import math

import pytest
import torch
from kit import same

from clt import data, losses, neighbors
from clt.checks import labs


@pytest.fixture(params=range(3))
def generator(request) -> torch.Generator:
    return torch.Generator().manual_seed(request.param)


def test_relational_loss(lesson, generator):
    mapped = torch.randn(7, 3, generator=generator, dtype=torch.float64).requires_grad_()
    concepts = torch.randn(5, 3, generator=generator, dtype=torch.float64).requires_grad_()
    target = torch.randint(5, (7,), generator=generator)
    theirs = losses.relational_loss(mapped, concepts, target, reduction="none")
    same(lesson["relational_loss"](mapped, concepts, target), theirs, mapped, concepts)
    slow = lesson["relational_slow"](mapped.detach(), concepts.detach(), target)
    assert slow == pytest.approx(theirs.mean().item())


def test_probabilities_and_gradients(lesson, generator):
    x = torch.randn(15, 4, generator=generator, dtype=torch.float64)
    y = torch.randn(15, 2, generator=generator, dtype=torch.float64).requires_grad_()
    conditional, joint = (
        f(x, perplexity=5.0) for f in (neighbors.conditional_probabilities, neighbors.joint_probabilities)
    )
    squared = (x[0] - x[1:]).square().sum(1)
    torch.testing.assert_close(lesson["row_at_perplexity"](squared, 5.0), conditional[0, 1:], rtol=1e-6, atol=1e-9)
    for name, p, cost in (
        ("sne_gradient", conditional, neighbors.sne_loss),
        ("symmetric_sne_gradient", joint, neighbors.symmetric_sne_loss),
        ("t_sne_gradient", joint, neighbors.t_sne_loss),
    ):
        (auto,) = torch.autograd.grad(cost(p, y), y)
        torch.testing.assert_close(lesson[name](p, y.detach()), auto, rtol=1e-8, atol=1e-11)


def test_the_lessons_descent_is_the_packages(lesson):
    """From the same start, with the same steps: one optimizer, written twice."""
    x, _ = labs.cloud("sizes", 0)
    p = neighbors.joint_probabilities(x.double(), perplexity=20.0)
    lesson["SETTINGS"] = {"t-SNE": (lesson["t_sne_gradient"], 50.0, 12)}
    start = neighbors._start(x.double(), 2, 0)
    ours = lesson["descend"]("t-SNE", p, start, steps=60)[-1]
    theirs = neighbors.t_sne(x.double(), perplexity=20.0, steps=60)
    torch.testing.assert_close(ours - ours.mean(0), theirs, rtol=1e-6, atol=1e-6)


def test_the_family_trees():
    people, relations, triples = data.family_trees()
    named = {(people[a], relations[r], people[b]) for a, r, b in triples}
    assert (len(people), len(relations), len(triples)) == (24, 12, 112)
    assert len({triple[:2] for triple in triples}) == 104
    assert ("Colin", "father", "James") in named
    assert {b for a, r, b in named if (a, r) == ("Charlotte", "uncle")} == {"Arthur", "Charles"}
    assert {b for a, r, b in named if (a, r) == ("Sophia", "aunt")} == {"Gina", "Angela"}
    counts = [sum(r == relations[i] for _, r, _ in named) for i in range(12)]
    assert counts == [10, 10, 12, 12, 12, 12, 6, 6, 8, 8, 8, 8]
    assert {(a + 12, r, b + 12) for a, r, b in triples if a < 12} == {t for t in triples if t[0] >= 12}
    inverse = {"husband": "wife", "wife": "husband"}
    assert all((b, inverse[r], a) in named for a, r, b in named if r in inverse)


def test_the_clouds_are_what_they_are_said_to_be():
    for seed in range(3):
        assert labs.shape(*labs.cloud("sizes", seed))["width"] == pytest.approx(10, rel=0.1)
        assert labs.shape(*labs.cloud("distances", seed))["distance"] == pytest.approx(5, rel=0.05)
        points, labels = labs.cloud("groups", seed)
        centres = torch.stack([points[labels == i].mean(0) for i in range(11)])
        assert torch.pdist(centres).std() < 0.1 * torch.pdist(centres).mean()
    assert labs.cloud("noise", 0)[0].shape == (200, 50)
    thrown = torch.rand(2000, 2, generator=torch.Generator().manual_seed(0))
    assert labs.shape(thrown, torch.zeros(2000))["evenness"] == pytest.approx(1, abs=0.05)
    with pytest.raises(ValueError, match="kind must be"):
        labs.cloud("lies", 0)


def test_umap_is_negative_sampling_with_another_kernel():
    """−ln q − Σ ln(1 − q) with q = 1/(1 + d²) is the formula of the lesson with w = 1/d² and c = 1."""
    squared = torch.tensor([0.3, 1.7, 4.0], dtype=torch.float64)
    w, q = 1 / squared, 1 / (1 + squared)
    ours = -(w[0] / (w[0] + 1)).log() - (1 / (w[1:] + 1)).log().sum()
    umap = -q[0].log() - (1 - q[1:]).log().sum()
    assert ours.item() == pytest.approx(umap.item())
    places = labs.sampled_map(labs.cloud("sizes", 0)[0], 100**2 / 5, steps=20)
    assert places.shape == (100, 2)
    assert math.isfinite(places.sum())
