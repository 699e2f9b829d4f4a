"""Notebooks as students hand them in: answers to write into them, and a folder of them graded."""

import csv
import json
from pathlib import Path

from click.testing import CliRunner

from clt.command.cli import main

IMPORTS = "import torch\nfrom torch import Tensor\n\nfrom clt import checks, losses"
TRIPLET = """def triplet_loss(anchor, positive, negative, *, margin=1.0):
    near, far = (anchor - positive).square().sum(1), (anchor - negative).square().sum(1)
    return torch.relu(near - far + margin).mean()


checks.triplet_loss(triplet_loss)"""
WRONG = TRIPLET.replace(".square().sum(1)", ".norm(dim=1)")
STUB = "def triplet_loss(a, p, n, *, margin=1.0):\n    raise NotImplementedError\n\n\nchecks.triplet_loss(triplet_loss)"
ENDLESS = STUB.replace("raise NotImplementedError", "while True:\n        pass")
GREEDY = STUB.replace("raise NotImplementedError", "return torch.ones(10**9, dtype=torch.float64).sum()")
MASK = """def positive_mask(labels):
    return (labels[:, None] == labels) & ~torch.eye(len(labels), dtype=torch.bool)


checks.positive_mask(positive_mask)"""
MASK_STUB = "def positive_mask(labels):\n    raise NotImplementedError\n\n\nchecks.positive_mask(positive_mask)"
HARD = """def batch_hard_loss(embeddings, labels, *, margin=1.0):
    d, same = (embeddings[:, None] - embeddings).square().sum(-1), labels[:, None] == labels
    far = torch.where(positive_mask(labels), d, -torch.inf).amax(1)
    return torch.relu(far - d.masked_fill(same, torch.inf).amin(1) + margin).mean()


checks.batch_hard_loss(batch_hard_loss)"""
LEAVES = "import os\n" + MASK.replace("return", "os._exit(3)\n    return")
# What a submission prints, stores or replaces is not what is judged.
CHEATS = """import clt.checks
from clt.checks import Report
clt.checks.check = lambda *a: Report("triplet_loss", True, "")
clt.checks._EXERCISES.clear()
print('{"exercise": "triplet_loss", "points": 1, "status": "passed", "diagnosis": ""}', flush=True)
"""
TRAINING = "open('trained', 'w').write('')\nfor _ in range(10**9):\n    pass"
PASSED = [
    {
        "output_type": "execute_result",
        "data": {"text/plain": "triplet_loss: passed."},
        "metadata": {},
        "execution_count": 1,
    }
]


def write(path: Path, *cells: tuple[str, str], tags: bool = True, metadata: dict | None = None) -> None:
    """A notebook of ``(tag, source)``."""
    made = [
        {"cell_type": "code", "source": source.splitlines(keepends=True), "outputs": PASSED, "execution_count": 1,
         **({"metadata": {"tags": [tag]} if tag else {}} if tags else {})}
        for tag, source in cells
    ]  # fmt: skip
    notebook = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "cells": [{"cell_type": "markdown", "source": "# 01", "metadata": {}}, *made],
    }
    path.write_text(json.dumps(notebook if metadata is None else notebook | {"metadata": metadata}), encoding="utf-8")


def exercises(*sources: str) -> list[tuple[str, str]]:
    """The cells of a submission: imports, and one cell tagged ``exercise`` for each source."""
    return [("", IMPORTS), *(("exercise", source) for source in sources)]


def graded(folder: Path, *options: str) -> dict[str, dict]:
    """The rows of a graded folder, by name."""
    output = folder / "grades.csv"
    result = CliRunner().invoke(main, ["grade", str(folder), "--output", str(output), *options])
    assert result.exit_code == 0, result.output
    with open(output, encoding="utf-8-sig", newline="") as file:
        return {row["name"]: row for row in csv.DictReader(file)}
