"""Inputs and switches the loss tests share."""

import numpy as np
import pytest
import torch
from cases import PATHS

from clt.losses import _contrast


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def official():
    """The closed-form input on which the reference figures were computed: z1, z2, z3 (6 × 5, float64) and labels."""
    i = torch.arange(1, 7, dtype=torch.float64)[:, None]
    j = torch.arange(1, 6, dtype=torch.float64)
    z1 = torch.sin(0.7 * i + 1.3 * j) + 0.1 * torch.cos(2.1 * i * j)
    return {
        "z1": z1,
        "z2": z1 + 0.5 * torch.sin(3.7 * i - 0.9 * j),
        "z3": torch.cos(1.1 * i - 0.4 * j),
        "labels": torch.tensor([0, 1, 0, 2, 1, 0]),
        "class_logits": torch.cos(0.5 * torch.arange(1, 13, dtype=torch.float64)[:, None] * torch.arange(1, 4)),
    }


def use_tiles(monkeypatch, elements=30):
    """Even the smallest matrix is cut into tiles, of a few rows each."""
    monkeypatch.setattr(_contrast, "DENSE", 0)
    monkeypatch.setattr(_contrast, "TILE", {"cpu": elements, "cuda": elements})


@pytest.fixture
def tiles(monkeypatch):
    use_tiles(monkeypatch)


@pytest.fixture
def dense(monkeypatch):
    monkeypatch.setattr(_contrast, "DENSE", 2**62)


@pytest.fixture(params=PATHS)
def path(request, monkeypatch):
    """The ways through the same operation: the whole matrix, tiles with a constant shift or with the row maximum."""
    if request.param == "dense":
        monkeypatch.setattr(_contrast, "DENSE", 2**62)
    else:
        use_tiles(monkeypatch)
    if request.param.endswith("maximum"):
        monkeypatch.setattr(_contrast, "LARGEST_EXPONENT", -1.0)
    return request.param
