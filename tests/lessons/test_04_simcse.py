"""Lesson 4 teaches the package's own losses: its functions, taken out of the notebook, give the same."""

import ast
import json
import re
from pathlib import Path

import pytest
import torch

from clt import losses, metrics

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "04_simcse.ipynb"
NAMES = {"simcse_slow", "simcse_loss", "supervised_simcse_loss", "uniformity"}


@pytest.fixture(scope="module")
def lesson() -> dict:
    """The functions of the lesson, solutions where stubs come first."""
    space: dict = {}
    exec("import torch\nimport torch.nn.functional as F\nfrom torch import Tensor", space)
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] != "code" or "exercise" in cell["metadata"].get("tags", []):
            continue
        for node in ast.parse(re.sub(r"^\s*%.*$", "    pass", "".join(cell["source"]), flags=re.M)).body:
            if isinstance(node, ast.FunctionDef) and node.name in NAMES:
                exec(compile(ast.Module([node], []), NOTEBOOK.name, "exec"), space)
    assert set(space) >= NAMES, NAMES - set(space)
    return space


@pytest.fixture(params=range(5))
def triplet(request) -> torch.Tensor:
    generator = torch.Generator().manual_seed(request.param)
    return torch.randn(3, 7, 5, generator=generator, dtype=torch.float64).requires_grad_()


@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_unsupervised(lesson, triplet, temperature):
    ours = lesson["simcse_loss"](*triplet[:2], temperature=temperature)
    theirs = losses.simcse_loss(*triplet[:2], temperature=temperature)
    assert lesson["simcse_slow"](*triplet[:2].detach(), temperature) == pytest.approx(theirs.item())
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(*(torch.autograd.grad(value, triplet) for value in (ours, theirs)))


@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_supervised(lesson, triplet, temperature):
    ours = lesson["supervised_simcse_loss"](*triplet, temperature=temperature)
    theirs = losses.simcse_loss(*triplet, temperature=temperature)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(*(torch.autograd.grad(value, triplet) for value in (ours, theirs)))


def test_the_default_temperature_is_the_papers(lesson, triplet):
    torch.testing.assert_close(lesson["simcse_loss"](*triplet[:2]), losses.simcse_loss(*triplet[:2]))
    torch.testing.assert_close(lesson["supervised_simcse_loss"](*triplet), losses.simcse_loss(*triplet))


def test_uniformity(lesson, triplet):
    ours, theirs = lesson["uniformity"](triplet[0]), metrics.uniformity(triplet[0])
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(*(torch.autograd.grad(value, triplet) for value in (ours, theirs)))
