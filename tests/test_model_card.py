"""The card of clt-mini: what it says of lesson 04's record is what the record says."""

import re
import statistics
from pathlib import Path

import pytest

from clt import results

CARD = (Path(__file__).resolve().parent.parent / "data" / "clt-mini" / "README.md").read_text(encoding="utf-8")
COLUMNS = ("STS-B/dev", "STS-B/test", "STS12/test", "STS14/test", "STS15/test", "sts/test", "search")
ROWS = {
    "before training": "untrained",
    "dropout alone, 600 steps": "dropout",
    "2,000 own triplets, 150 steps": "labels",
    "6,800 public triplets, 400 steps": "public labels",
    "upper half, dropout, 60 steps": "dropout, short",
    "upper half, the same dropout mask twice, 60 steps": "same mask, short",
    "upper half, own triplets, 60 steps": "labels, short",
}


@pytest.mark.parametrize(("row", "variant"), ROWS.items())
def test_row_of_the_card(row, variant):
    (line,) = re.findall(rf"^\| {re.escape(row)} \| (.*) \|$", CARD, flags=re.MULTILINE)
    for column, cell in zip(COLUMNS, line.split(" | "), strict=True):
        values = results.recorded("04_simcse")[f"{variant}.{column}"]
        spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
        assert cell == f"{statistics.mean(values):.1f}{spread}", column


def test_average_of_the_four_public_sets():
    (line,) = re.findall(r"The average of the four test sets here is .*?labels", CARD)
    for said, variant in zip(re.findall(r"\d+\.\d", line), ("untrained", "dropout", "labels"), strict=True):
        found = [results.recorded("04_simcse").mean(f"{variant}.{name}") for name in COLUMNS[1:5]]
        assert abs(float(said) - statistics.mean(found)) < 0.051
