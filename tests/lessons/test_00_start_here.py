"""Lesson 00: what the notebook builds is what `clt` has, and its published tables name what the notebook measures."""

import ast
import json
import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
import yaml

from clt import metrics, similarity

ROOT = Path(__file__).resolve().parents[2]
STEM = "00_start_here"


@pytest.fixture(scope="module")
def code() -> list[str]:
    """The code cells of the notebook, without the stubs of the exercises."""
    cells = json.loads((ROOT / "notebooks" / f"{STEM}.ipynb").read_text(encoding="utf-8"))["cells"]
    wanted = [c for c in cells if c["cell_type"] == "code" and "exercise" not in c["metadata"].get("tags", [])]
    return ["".join(c["source"]) for c in wanted]


@pytest.fixture(scope="module")
def lesson(code) -> dict:
    """Every function that the notebook defines, taken out of it."""
    space = {"torch": torch, "Tensor": torch.Tensor, "F": F, "metrics": metrics}
    exec("import math\nimport numpy as np\nfrom torch import nn", space)
    for source in code:
        for node in ast.parse(re.sub(r"^\s*%.*$", "    pass", source, flags=re.M)).body:
            if isinstance(node, ast.FunctionDef):
                exec(compile(ast.Module([node], []), STEM, "exec"), space)
    return space


def rows(seed: int, *shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(*shape, generator=generator, dtype=torch.float64)
    return (x * torch.linspace(0.1, 5, shape[-2], dtype=torch.float64)[:, None]).requires_grad_()


def same_gradient(ours, theirs, *inputs):
    weight = torch.randn(ours.shape, generator=torch.Generator().manual_seed(9), dtype=ours.dtype)
    for mine, its in zip(
        *(torch.autograd.grad((value * weight).sum(), inputs) for value in (ours, theirs)), strict=True
    ):
        torch.testing.assert_close(mine, its)


@pytest.mark.parametrize("seed", range(5))
def test_cosine(lesson, seed):
    x, y = rows(seed, 4, 6), rows(seed + 100, 5, 6)
    ours, theirs = lesson["similarity_matrix_solution"](x, y), similarity.cosine_similarity(x, y)
    torch.testing.assert_close(ours, theirs)
    same_gradient(ours, theirs, x, y)
    slow = [[lesson["cosine_slow"](a, b) for b in y.detach()] for a in x.detach()]
    torch.testing.assert_close(torch.tensor(slow, dtype=torch.float64), theirs.detach())


@pytest.mark.parametrize("seed", range(5))
def test_uniformity(lesson, seed):
    x = rows(seed, 7, 4)
    ours, theirs = lesson["uniformity_solution"](x), metrics.uniformity(x)
    torch.testing.assert_close(ours, theirs)
    same_gradient(ours, theirs, x)


def test_word_vectors_are_averaged_without_padding(lesson, tiny_folder):
    from clt.encoders import SentenceEncoder

    encoder = SentenceEncoder.load(tiny_folder)
    lesson["model"] = encoder
    pairs = {"sentence1": ["the cat sat", "a dog"], "sentence2": ["the cat sat on the mat and ran quickly", "tree"]}
    vectors = encoder.model.get_input_embeddings().weight.detach()
    for found, side in zip(lesson["pooled"](pairs, "words"), pairs.values(), strict=True):
        for one, text in zip(found, side, strict=True):
            mean = vectors[encoder.tokenizer(text)["input_ids"]].mean(0)
            torch.testing.assert_close(one, mean)


def test_answers_of_the_self_test():
    x = torch.randn(20, 8, generator=torch.Generator().manual_seed(0))
    one = x[:1].expand(20, 8)
    assert metrics.alignment(one, one).item() == 0
    assert abs(metrics.uniformity(one).item()) < 1e-6
    torch.testing.assert_close(metrics.uniformity(2 * x), metrics.uniformity(x))
    torch.testing.assert_close(similarity.dot_product(2 * x), 4 * similarity.dot_product(x))


def test_a_pooling_is_described_by_what_the_package_says(lesson):
    lesson["uniformity"] = metrics.uniformity
    x, y = (rows(seed, 7, 4).detach() for seed in (0, 1))
    scores = torch.tensor([5.0, 4.0, 1.0, 2.0, 0.0, 4.5, 3.0])
    found = lesson["describe"]([x, y], scores)
    close = [0, 1, 5]
    assert found[".alignment"] == pytest.approx(metrics.alignment(x[close], y[close]).item())
    assert found[".uniformity"] == pytest.approx(metrics.uniformity(torch.cat([x, y])).item())
    assert found[""] == pytest.approx(metrics.sts_spearman(x, y, scores))


def test_published_rows_are_measured(code):
    published = yaml.safe_load((ROOT / "clt" / "published" / f"{STEM}.yaml").read_text(encoding="utf-8"))
    source = "\n".join(code)
    for table in published:
        assert f'"{table["table"]}"' in source, "the lesson shows it"
        for row in table["rows"]:
            name = row["key"] and row["key"].partition(".")[2]
            assert name is None or f'"{name}"' in source or f".{name}" in source, f"{name} is never measured"
            assert row["paper"] is None or 0 < row["paper"] < 100
    assert 'f"{name}.{pooling}{measure}"' in source
