"""Lesson 01: the dot-product loss, the choice of triplets and the measures, as the notebook has them."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from kit import same

from clt import losses, results


def triplet(seed: int, n: int = 8, d: int = 5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(3, n, d, generator=generator, dtype=torch.float64).requires_grad_()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("margin", [0.2, 1.0])
def test_squared_distances(lesson, seed, margin):
    x = triplet(seed)
    ours = losses.triplet_loss(*x, margin=margin)
    assert lesson["triplet_loss_slow"](*x.detach(), margin=margin) == pytest.approx(ours.item())
    same(lesson["triplet_loss"](*x, margin=margin), ours, x)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("margin", [0.0, 0.2, 1.0])
def test_dot_product_loss(lesson, seed, margin):
    x = triplet(seed)
    same(lesson["margin_triplet_loss"](*x, margin=margin), losses.margin_triplet_loss(*x, margin=margin), x)


@pytest.mark.parametrize("seed", range(5))
def test_half_of_facenet_on_the_sphere_and_only_there(lesson, seed):
    x = triplet(seed)
    sphere = F.normalize(x, dim=-1)
    distances = lesson["triplet_loss"](*sphere, margin=0.4)
    dots = lesson["margin_triplet_loss"](*sphere, margin=0.2)
    same(distances, 2 * dots, x)
    assert not torch.isclose(lesson["triplet_loss"](*x, margin=0.4), 2 * lesson["margin_triplet_loss"](*x, margin=0.2))


def test_random_triplets_are_triplets(lesson):
    """Rows of one class lie on one point, far from the others: a wrong positive or negative would cost much."""
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1, 2])
    z = F.one_hot(labels).double() * 10
    torch.manual_seed(0)
    for _ in range(50):
        assert lesson["mined"]("random", z, labels, margin=1.0).item() == 0
        assert lesson["mined"]("random", z, labels, margin=201.0).item() == pytest.approx(1.0)  # 0 − 200 + 201
    noise = torch.randn(9, 4, dtype=torch.float64)
    costs = {lesson["mined"]("random", noise, labels, margin=1.0).item() for _ in range(10)}
    assert len(costs) > 5, "the choice is random"


@pytest.mark.parametrize("mining", ["all", "semi-hard", "hard"])
def test_mined_triplets_are_the_packages(lesson, mining):
    z, labels = triplet(0)[0], torch.tensor([0, 0, 1, 1, 2, 2, 0, 1])
    theirs = losses.batch_triplet_loss(z, labels, margin=0.2, mining=mining)
    torch.testing.assert_close(lesson["mined"](mining, z, labels, margin=0.2), theirs)


def test_a_batch_holds_each_example_once(lesson):
    groups = [torch.arange(10), torch.arange(10, 16), torch.arange(16, 40)]
    for seed in range(20):
        drawn = lesson["draw"](groups, torch.Generator().manual_seed(seed))
        assert len(set(drawn.tolist())) == len(drawn) == 3 * lesson["per_class"]
        assert sum(int(i) < 10 for i in drawn) == lesson["per_class"]


def test_gap_and_nearest(lesson):
    points = {"a": [1.0, 0.0], "b": [0.6, 0.8], "c": [0.0, 2.0], "d": [-3.0, 0.1]}
    model = SimpleNamespace(encode=lambda texts: torch.tensor([points[text] for text in texts]))
    lesson["held_out"] = [["a", "c"], ["b", "b"], ["c", "a"]]
    gaps, alike = lesson["gap"](model)
    torch.testing.assert_close(gaps, torch.tensor([0.6, 0.8]))
    assert alike == pytest.approx(0, abs=1e-6)
    lesson["texts"], lesson["feeling"] = {"test": list("abcd")}, {"test": torch.tensor([0, 1, 1, 1])}
    right, alike = lesson["nearest"](model)
    assert right == pytest.approx(0.75)  # a → b, b → c, c → b, d → c
    x = F.normalize(torch.tensor(list(points.values())))
    assert alike == pytest.approx(((x @ x.T).sum().item() - 4) / 12, abs=1e-6)  # all pairs but a point with itself


def test_extent_is_zero_when_all_coincide(lesson):
    lesson["images"], lesson["test"] = torch.randn(6, 3), torch.arange(6)
    assert lesson["extent"](lambda x: torch.ones(len(x), 2)) == 0
    assert lesson["extent"](lambda x: x) > 0.5


def test_published_rows_are_recorded(code, lesson, stem):
    source = "\n".join(code)
    for entry in results.published(stem):
        assert f'beside_paper("{stem}", "{entry["table"]}")' in source
        dimensions = {row["key"].split(".")[1] for row in entry["rows"] if row["key"]}
        assert dimensions <= {str(d) for d in [*lesson["dimensions"], lesson["dimension"]]}
