"""Figures of the eighth deck: every loss on one budget, vectors that are cut, weights that are averaged."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from clt import plots

from ._drawing import figure, ink, values

LESSON = "19_capstone"
COLUMNS = {"own, ρ × 100": "sts/test", "STS-B, ρ × 100": "STS-B/test", "search, nDCG@10": "search",
           "emotions, %": "neighbours"}  # fmt: skip
ROWS = {
    "pairs": ("InfoNCE", "NT-Xent", "CLIP", "Matryoshka", "SigLIP", "triplet", "negative sampling"),
    "triplets": ("SimCSE", "triplet"), "stories": ("QuickThoughts",), "dropout": ("SimCSE",),
    "emotions": ("SupCon", "soft neighbour"), "grades": ("CoSENT",),
}  # fmt: skip
UNTRAINED = ("centred", "whitened", "tf-idf")
PARTS = (1, 2, 4, 8, 16, 32)


@figure
def capstone_board() -> Figure:
    names = [(texts, f"{texts}: {loss}") for texts, found in ROWS.items() for loss in found]
    names += [("untrained", name) for name in UNTRAINED]
    kinds = list(dict.fromkeys(kind for kind, _ in names))
    fig, axes = plt.subplots(1, 4, figsize=(12.4, 4.8), sharey=True)
    told = []
    for ax, (title, column) in zip(axes, COLUMNS.items(), strict=True):
        means = {}
        for y, (kind, name) in enumerate(names):
            k, found = kinds.index(kind), values(LESSON, f"{name}.{column}")
            look = {"marker": plots.MARKERS[k], "color": plots.COLOURS[k], "linestyle": ""}
            means[name] = np.mean(found)
            ax.plot(found, [y] * len(found), markersize=6, alpha=0.35, **look)
            ax.plot(means[name], y, markersize=11, **look)
        before = values(LESSON, f"untrained.{column}")[0]
        ax.axvline(before, color=ink(), linewidth=2, linestyle=":")
        for y in range(1, len(names)):
            if names[y][0] != names[y - 1][0]:
                ax.axhline(y - 0.5, color="#9aa0a6", linewidth=0.8, linestyle="-")
        ax.locator_params(axis="x", nbins=3)
        ax.set_title(title, fontsize=17)
        every = ", ".join(f"{name} {mean:.0f}" for name, mean in means.items())
        told.append(f"{title}: before training {before:.0f}, {every}")
    axes[0].set_yticks(range(len(names)), [name for _, name in names], fontsize=15.5)
    axes[0].set(ylim=(len(names) - 0.4, -0.6))
    return plots.describe(fig, f"{len(names)} rows in four columns, a faint mark per seed. {'; '.join(told)}.")


@figure
def capstone_cut() -> Figure:
    fig, axes = plt.subplots(1, 2, figsize=(12.2, 4.4), width_ratios=(1.1, 1))
    told, kept = [], [256 // part for part in PARTS]
    lines = {"Matryoshka": ("pairs: Matryoshka", "cut"), "ordinary": ("pairs: InfoNCE", "cut"),
             "ordinary, PCA": ("pairs: InfoNCE", "PCA"), "untrained": ("untrained", "cut")}  # fmt: skip
    for k, (label, (name, how)) in enumerate(lines.items()):
        line = [np.mean(values(LESSON, f"{name}.{how} 1/{part}")) for part in PARTS]
        axes[0].plot(range(len(PARTS)), line, color=plots.COLOURS[(2, 1, 0, 5)[k]], marker="oD^s"[k],
                     linestyle=("-", "--", "-.", ":")[k], label=label)  # fmt: skip
        told.append(f"{label}: {line[0]:.0f} with 256 numbers, {line[-2]:.0f} with 16, {line[-1]:.0f} with 8")
    axes[0].set_xticks(range(len(PARTS)), kept)
    axes[0].set(xlabel="numbers kept", ylabel="Spearman × 100")
    axes[0].locator_params(axis="y", nbins=4)
    axes[0].legend(fontsize=17, loc="lower left")
    x, y = (np.mean(values(LESSON, f"soup.{what}"), axis=0) for what in ("sts", "emotions"))
    axes[1].plot(x, y, marker="o", color=plots.COLOURS[2], linestyle="-", label="weights averaged")
    told.append(f"averaged weights: from {x[0]:.0f} and {y[0]:.1f} to {x[-1]:.0f} and {y[-1]:.1f}, halfway "
                f"{x[2]:.0f} and {y[2]:.1f}")  # fmt: skip
    at = [np.mean(values(LESSON, f"pairs, then emotions.{column}")) for column in ("sts/test", "neighbours")]
    axes[1].plot(*at, marker="^", color=plots.COLOURS[1], linestyle="", markersize=16, label="one after the other")
    axes[1].text(x[0], y[0] - 0.05, "pairs", fontsize=18, ha="right", va="top")
    axes[1].text(x[-1] + 0.3, y[-1] - 0.1, "emotions", fontsize=18, va="top")
    told.append(f"first pairs, then emotions: {at[0]:.0f} and {at[1]:.1f}")
    axes[1].set(xlabel="own pairs: Spearman × 100", ylabel="emotions, %", ylim=(8.7, 11.7))
    axes[1].locator_params(nbins=4)
    axes[1].legend(fontsize=17, loc="upper right")
    return plots.describe(fig, f"Left: scored pairs by the numbers kept. Right: two tasks at once. {'; '.join(told)}.")
