"""Inputs the loss tests share."""

import numpy as np
import pytest
import torch


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
