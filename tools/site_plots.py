"""The figures of the results page: the paper's numbers on one axis, the course's on the other."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
from scipy.stats import spearmanr

from clt import plots

FEWEST = 3  # rows with both numbers that make a figure


def both(entry: Mapping, found: Mapping) -> dict[int, tuple[float, float, float]]:
    """Number of a row, from 1 → the paper's number, our mean and its standard deviation, where there are both."""
    pairs = {}
    for place, row in enumerate(entry["rows"], 1):
        if isinstance(row["paper"], int | float) and row["key"] in found:
            ours = found[row["key"]]
            pairs[place] = (row["paper"], entry["scale"] * ours["mean"], abs(entry["scale"]) * ours.get("sd", 0.0))
    return pairs if len(pairs) >= FEWEST else {}


def agreement(pairs: Mapping[int, tuple]) -> float:
    """Spearman's correlation of the two columns: 1 if the course has the paper's order."""
    paper, ours, _ = zip(*pairs.values(), strict=True)
    if len(set(paper)) == 1 or len(set(ours)) == 1:
        return float("nan")
    return float(spearmanr(paper, ours).statistic)


def draw(pairs: Mapping[int, tuple], path: Path) -> str:
    """Write the figure of one table to ``path`` as SVG, and return its alt text."""
    plots.use_style()
    with plt.rc_context({"svg.hashsalt": "clt", "svg.fonttype": "none", "font.family": "sans-serif"}):
        fig, ax = plt.subplots(figsize=(3.6, 3.2), layout="constrained")
        for place, (paper, ours, sd) in pairs.items():
            ax.errorbar(paper, ours, yerr=sd, color=plots.COLOURS[0], elinewidth=1.5, zorder=1)
            ax.scatter(paper, ours, s=130, color="white", edgecolors=plots.COLOURS[0], linewidths=1.5, zorder=2)
            ax.text(paper, ours, str(place), ha="center", va="center", fontsize=8, zorder=3)
        ax.margins(0.12)
        ax.set(xlabel="paper", ylabel="this course")
        ax.locator_params(nbins=5)
        path.parent.mkdir(parents=True, exist_ok=True)
        fig.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
        plt.close(fig)
    order = agreement(pairs)
    said = "" if order != order else f" Spearman's correlation of the two columns is {order:.2f}."
    rows = "; ".join(f"row {n}: {paper:g} and {ours:.3g}" for n, (paper, ours, _) in pairs.items())
    return f"The paper's number and this course's, a circle for each row of the table. {rows}.{said}"
