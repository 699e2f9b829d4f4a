"""Figures of the sixth deck: what one may change in a sentence, and whether training on it taught anything."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from clt import plots

from ._drawing import figure, ink, values

LESSON, SENTENCES = "12_augmentation", "04_simcse"
CHANGES = ("none", "shuffle", "token cutoff", "feature cutoff", "dropout")
BEST, WORST = (1, 3), (3, 3)  # of the grid, as places in CHANGES


def cell(i: int, j: int) -> float:
    """A cell of the grid, the mean over its seeds; the lesson names it by the change that comes first in CHANGES."""
    first, second = sorted((i, j))
    return float(np.mean(values(LESSON, f"{CHANGES[first]} × {CHANGES[second]}.sts/test")))


@figure
def views_grid() -> Figure:
    means = np.array([[cell(i, j) for j in range(5)] for i in range(5)])
    fig, ax = plt.subplots(figsize=(6.7, 5.2))
    plots.heat_map(means, CHANGES, digits=1, ax=ax)
    ax.collections[0].colorbar.remove()
    plt.setp(ax.texts, fontsize=18)
    ax.tick_params(labelsize=15.5, length=0)
    ax.set_xticks(np.arange(5) + 0.5, [name.replace(" ", "\n") for name in CHANGES], rotation=0)
    for i, j in {BEST, BEST[::-1]}:
        ax.add_patch(plt.Rectangle((j + 0.05, i + 0.05), 0.9, 0.9, fill=False, edgecolor=plots.COLOURS[1], linewidth=5))
    before = values(LESSON, "untrained.sts/test")[0]
    return plots.describe(
        fig,
        f"""A grid of five by five: the change of one view against that of the other, Spearman × 100 on graded pairs.
        Two equal views {means[0, 0]:.1f}; framed, shuffle with feature cutoff, {means[BEST]:.1f}, the best; feature
        cutoff in both views {means[WORST]:.1f}, the worst. Before training: {before:.1f}.""",
    )


def rows(ax, lesson: str, names: dict[str, str], measure: str, what: str, before: str) -> str:
    """One row per variant of a record, a dotted line at the one called ``before``; returns what is to be seen."""
    found = {name: values(lesson, f"{key}.{measure}") for name, key in names.items()}
    plots.seeds(found, xlabel=what, ax=ax)
    ax.axvline(found[before][0], color=ink(), linewidth=2, linestyle=":")
    ax.locator_params(axis="x", nbins=5)
    told = "; ".join(f"{name} {np.mean(measured):.1f}" for name, measured in found.items())
    return f"{what}: {told}."


@figure
def views_strings() -> Figure:
    names = {"before training": "untrained", "mean taken off": "centred", "random strings": "random strings",
             "words": "words", "words, random weights": "words, random weights",
             "its word vectors": "word vectors"}  # fmt: skip
    panels = {"MEN/test": "graded pairs of words, Spearman × 100", "synonyms": "nearest word is a synonym, %"}
    fig, axes = plt.subplots(1, 2, figsize=(12.2, 3.9), sharey=True)
    told = [rows(ax, LESSON, names, key, what, "before training")
            for ax, (key, what) in zip(axes, panels.items(), strict=True)]  # fmt: skip
    return plots.describe(fig, f"A dot per seed. Left, {told[0]} Right, {told[1]}")


@figure
def views_crop() -> Figure:
    fig, axes = plt.subplots(1, 2, figsize=(12.2, 3.4))
    passages = {"before training": "untrained", "equal views": "passages: negatives alone",
                "dropout": "passages: network dropout", "two crops": "passages: crop"}  # fmt: skip
    sentences = {"before training": "untrained", "equal views": "dropout 0.0", "dropout": "dropout 0.1",
                 "dropout, one crop": "view: crop 30%"}  # fmt: skip
    told = [rows(axes[0], LESSON, passages, "search", "passages: search, nDCG at 10, × 100", "before training"),
            rows(axes[1], SENTENCES, sentences, "STS-B/dev", "sentences: STS-B, Spearman × 100",
                 "before training")]  # fmt: skip
    return plots.describe(fig, f"A dot per seed. Left, {told[0]} Right, {told[1]}")
