"""Lesson 01: the loss, the choice of triplets and the measures, as the notebook has them."""

import ast
import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
import yaml

from clt import losses, metrics, results
from clt.similarity import squared_euclidean

ROOT = Path(__file__).resolve().parents[2]
STEM = "01_triplet_loss"


@pytest.fixture(scope="module")
def code() -> list[str]:
    """The code cells of the notebook, without the stubs of the exercises."""
    cells = json.loads((ROOT / "notebooks" / f"{STEM}.ipynb").read_text(encoding="utf-8"))["cells"]
    wanted = [c for c in cells if c["cell_type"] == "code" and "exercise" not in c["metadata"].get("tags", [])]
    return ["".join(c["source"]) for c in wanted]


@pytest.fixture
def lesson(code) -> dict:
    """Every function that the notebook defines, taken out of it, its parameters, and what `choose` gives unsolved."""
    space = {"torch": torch, "F": F, "losses": losses, "metrics": metrics, "squared_euclidean": squared_euclidean}
    exec("from torch import Tensor, nn\nfrom clt import encoders, training", space)
    exec(next(source for source in code if source.startswith('device = "auto"')), space)
    for source in code:
        for node in ast.parse(re.sub(r"^\s*%.*$", "    pass", source, flags=re.M)).body:
            if isinstance(node, ast.FunctionDef):
                exec(compile(ast.Module([node], []), STEM, "exec"), space)
    for name in [name for name in space if name.endswith("_solution")]:
        space[name.removesuffix("_solution")] = space[name]
    return space


def triplet(seed: int, n: int = 8, d: int = 5) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(3, n, d, generator=generator, dtype=torch.float64).requires_grad_()


@pytest.mark.parametrize("seed", range(5))
def test_half_of_facenet_on_the_sphere_and_only_there(lesson, seed):
    x = triplet(seed)
    sphere = F.normalize(x, dim=-1)
    distances = lesson["triplet_loss"](*sphere, margin=0.4)
    dots = losses.margin_triplet_loss(*sphere, margin=0.2)
    torch.testing.assert_close(distances, 2 * dots)
    assert not torch.isclose(lesson["triplet_loss"](*x, margin=0.4), 2 * losses.margin_triplet_loss(*x, margin=0.2))


@pytest.mark.parametrize("seed", range(5))
def test_the_gradients_in_the_text(lesson, seed):
    q, p, n = triplet(seed, n=1).unbind()
    loss = lesson["triplet_loss"](q, p, n, margin=100.0)  # something is missing
    found = torch.autograd.grad(loss, [q, p, n])
    for gradient, told in zip(found, [2 * (n - p), 2 * (p - q), 2 * (q - n)], strict=True):
        torch.testing.assert_close(gradient, told)


def test_random_triplets_are_triplets(lesson):
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1, 2])
    torch.manual_seed(0)
    drawn = [lesson["random_triplets"](labels) for _ in range(50)]
    for anchor, positive, negative in (chosen.T for chosen in drawn):
        assert torch.equal(anchor, torch.arange(9))
        assert (labels[positive] == labels[anchor]).all()
        assert (positive != anchor).all()
        assert (labels[negative] != labels[anchor]).all()
    assert len({tuple(chosen.flatten().tolist()) for chosen in drawn}) > 40, "the choice is random"


@pytest.mark.parametrize("mining", ["all", "semi-hard", "hard"])
@pytest.mark.parametrize("seed", range(3))
def test_mined_triplets_are_the_packages(lesson, mining, seed):
    z, labels = triplet(seed)[0], torch.tensor([0, 0, 1, 1, 2, 2, 0, 1])
    ours = lesson["mined"](mining, z, labels, margin=0.2)
    theirs = losses.batch_triplet_loss(z, labels, margin=0.2, mining=mining)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(torch.autograd.grad(ours, z), torch.autograd.grad(theirs, z))


def test_triplets_in_order(lesson):
    points = {"a": [1.0, 0.0], "b": [0.6, 0.8], "c": [0.0, 2.0], "d": [-3.0, 0.1]}
    model = SimpleNamespace(encode=lambda texts: torch.tensor([points[text] for text in texts]))
    lesson["held_out"] = [["a", "c", "d"], ["b", "b", "a"], ["c", "a", "c"]]
    found = lesson["in_order"](model)
    assert found["order"] == pytest.approx(200 / 3)
    premises = F.normalize(torch.tensor([points[x] for x in "acd"]))
    assert found["cosine"] == pytest.approx(((premises @ premises.T).sum().item() - 3) / 6, abs=1e-6)


def test_nearest_text_with_the_same_emotion(lesson):
    points = {"a": [1.0, 0.0], "b": [0.6, 0.8], "c": [0.0, 2.0], "d": [-3.0, 0.1]}
    model = SimpleNamespace(encode=lambda texts: torch.tensor([points[text] for text in texts]))
    lesson["told"] = {"dev": ["a", "c"], "test": ["b", "d", "a"]}
    lesson["feeling"] = {"dev": ["sad", "glad"], "test": ["glad", "sad", "sad"]}
    found = lesson["same_emotion"](model)  # b → c, d → c, a → a
    assert found["emotion"] == pytest.approx(200 / 3)


def test_one_shot_is_the_mean_over_the_galleries(lesson):
    lesson["y"], lesson["test"] = torch.tensor([0, 1, 0, 1]), torch.tensor([2, 3])
    lesson["galleries"] = [torch.tensor([0, 1]), torch.tensor([1, 0])]
    z = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 0.1], [3.0, 1.0]])
    assert lesson["one_shot"](z) == 50.0


def test_published_rows_are_measured(code):
    source = "\n".join(code)
    record = yaml.safe_load((ROOT / "notebooks" / "parameters" / "record.yaml").read_text(encoding="utf-8"))[STEM]
    keys = {f"{size} dimensions.digits" for size in record["dimensions"]} | {"semi-hard.digits"}
    for entry in results.published(STEM):
        assert f'beside_paper(LESSON, "{entry["table"]}")' in source
        assert {row["key"] for row in entry["rows"] if row["key"]} <= keys
