"""Lesson 3: what the notebook builds is what `clt` computes, and its published tables name what it records."""

import ast
import json
from pathlib import Path

import pytest
import torch

from clt import losses, results

ROOT = Path(__file__).resolve().parents[2]
STEM = "03_info_nce"


@pytest.fixture(scope="module")
def cells() -> list[tuple[list[str], str]]:
    """Tags and source of the code cells, without the stubs of the exercises and the setup."""
    raw = json.loads((ROOT / "notebooks" / f"{STEM}.ipynb").read_text(encoding="utf-8"))["cells"]
    code = [(c["metadata"].get("tags", []), "".join(c["source"])) for c in raw if c["cell_type"] == "code"]
    return [(tags, source) for tags, source in code if not {"exercise", "setup"} & set(tags)]


@pytest.fixture(scope="module")
def lesson(cells) -> dict:
    """The lesson's imports, parameters and functions, without running it."""
    space: dict = {}
    for tags, source in cells:
        for node in ast.parse(source).body:
            if "parameters" in tags or isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef):
                exec(compile(ast.Module([node], []), STEM, "exec"), space)
    for name in ("symmetric_info_nce", "info_nce_bound", "nt_xent_split"):
        space[name] = space[f"{name}_solution"]
    return space


def batch(seed: int, *shape: int) -> torch.Tensor:
    """Rows of very different length."""
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (x * torch.linspace(0.1, 5, shape[-2], dtype=torch.float64)[:, None]).requires_grad_()


def same(ours, theirs, inputs):
    torch.testing.assert_close(ours, theirs)
    weight = torch.randn(ours.shape, generator=torch.Generator().manual_seed(9), dtype=ours.dtype)
    gradients = [torch.autograd.grad((value * weight).sum(), inputs) for value in (ours, theirs)]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("temperature", [0.05, 0.5, 2.0])
def test_its_losses_are_the_packages(lesson, seed, temperature):
    x = batch(seed, 2, 7, 5)
    one, other = (losses.info_nce_loss(*pair, temperature=temperature) for pair in (x, x.flip(0)))
    assert lesson["info_nce_slow"](*x.detach(), temperature) == pytest.approx(one.item())
    same(lesson["symmetric_info_nce"](*x, temperature=temperature), (one + other) / 2, x)
    ours = torch.stack(lesson["nt_xent_split"](*x, temperature=temperature))
    same(ours, torch.stack(losses.nt_xent_terms(*x, temperature=temperature)), x)


def test_its_default_temperatures_are_the_packages(lesson):
    x = batch(0, 2, 6, 4)
    both = losses.info_nce_loss(*x) + losses.info_nce_loss(*x.flip(0))
    torch.testing.assert_close(lesson["symmetric_info_nce"](*x), both / 2)
    torch.testing.assert_close(sum(lesson["nt_xent_split"](*x)) / 0.5, losses.nt_xent_loss(*x))


def test_masked_copies_are_no_candidates(lesson):
    """Without copies the mask changes nothing; with them, the loss is that of a batch without the copies' rows."""
    views, picture = batch(1, 2, 6, 4).detach(), torch.arange(6)
    drawn = [*views, picture]
    plain, masked = (lesson["digits_loss"](torch.nn.Identity(), drawn, masked) for masked in (False, True))
    torch.testing.assert_close(plain, masked)
    twice = [*(x.repeat(2, 1) for x in views), picture.repeat(2)]
    unmasked, masked = (lesson["digits_loss"](torch.nn.Identity(), twice, masked) for masked in (False, True))
    assert plain < masked < unmasked, "other pictures count twice, copies of the own one not at all"


def test_its_views_keep_the_picture(lesson):
    x = torch.zeros(50, 8, 8)
    x[:, 2:6, 2:6] = 1
    one, again, other = (lesson["view"](x, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert one.shape == x.shape
    assert torch.equal(one, again)
    assert not torch.allclose(one, other)
    correlation = torch.corrcoef(torch.stack([one.mean(0).flatten(), x[0].flatten()]))[0, 1]
    assert correlation > 0.7, "on average the square is where it was"


def test_published_tables_name_what_is_recorded(cells):
    tables = {entry["table"]: entry for entry in results.published(STEM)}
    record = results.recorded(STEM)
    assert {row["key"] for entry in tables.values() for row in entry["rows"]} - {None} <= record.found.keys()
    code = "\n".join(source for _, source in cells)
    assert "results.beside_paper(LESSON, name)" in code
    assert all(f'"{table}"' in code for table in tables)
