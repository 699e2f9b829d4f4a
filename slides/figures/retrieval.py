"""Figures of the seventh deck: counting words well, how a list is judged, popular items, two rankings joined."""

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure

from clt import data, metrics, plots, results

from ._drawing import figure, groups, ink, strips, values
from .context_drawn import BLUE, GREEN

LESSON = "14_retrieval"
GREY = "#9aa0a6"


@figure
def retrieval_bm25() -> Figure:
    fig, axes = plt.subplots(1, 3, figsize=(12.2, 3.5))
    k1, b, count = 1.2, 0.75, 500
    holding = np.arange(1, count + 1)
    idf = np.log1p((count - holding + 0.5) / (holding + 0.5))
    axes[0].plot(holding, idf, color=plots.COLOURS[0], linestyle="-")
    for n in (1, 50, count):
        axes[0].plot(n, idf[n - 1], marker="o", color=plots.COLOURS[0], markersize=11)
    axes[0].text(18, idf[0], f"in one: {idf[0]:.1f}", fontsize=18, va="center")
    axes[0].text(65, idf[49] + 0.1, f"in 50: {idf[49]:.1f}", fontsize=18, va="bottom")
    axes[0].text(count, 0.4, "in all: 0", fontsize=18, va="bottom", ha="right")
    axes[0].set(xlabel=f"of {count} passages have it", xticks=[0, 250, 500], yticks=[0, 3, 6], ylim=(-0.2, 7))
    axes[0].set_title("how rare is the word?", fontsize=19)
    often = np.arange(0, 11)
    axes[1].plot(often, often / (often + k1), color=plots.COLOURS[2], linestyle="-", marker="s")
    axes[1].axhline(1, color=ink(), linewidth=2, linestyle=":")
    for f in (1, 2, 10):
        axes[1].annotate(f"{f / (f + k1):.2f}", (f, f / (f + k1)), (6, -8), textcoords="offset points", fontsize=18,
                         va="top", ha="left" if f < 10 else "right")  # fmt: skip
    axes[1].set(xlabel="times in the passage", xticks=[0, 5, 10], yticks=[0, 0.5, 1], ylim=(-0.03, 1.12))
    axes[1].set_title("how often does it come?", fontsize=19)
    length, told = np.linspace(0.25, 4, 60), []
    for k, part in enumerate((0.0, b, 1.0)):
        line = 1 / (1 + k1 * (1 - part + part * length))
        axes[2].plot(length, line, color=plots.COLOURS[(3, 0, 1)[k]], linestyle=(":", "-", "--")[k])
        axes[2].text(4, line[-1] + (0.02, 0.035, -0.03)[k], f"b = {part:g}", fontsize=18, ha="right",
                     va=("bottom", "bottom", "top")[k])  # fmt: skip
        told.append(f"b = {part:g}: {line[-1]:.2f}")
    axes[2].set(xlabel="length / mean length", xticks=[1, 2, 3, 4], yticks=[0, 0.5, 1], ylim=(-0.03, 1.12))
    axes[2].set_title("in how long a passage?", fontsize=19)
    return plots.describe(
        fig,
        f"""BM25 by parts. Left: idf falls from {idf[0]:.1f} for a word in one of {count} passages to 0 for one in all.
        Middle: the second factor grows towards 1, from {1 / (1 + k1):.2f} for one occurrence to {10 / (10 + k1):.2f}
        for ten. Right: it falls with the length of the passage; at four times the mean {", ".join(told)}.""",
    )


@figure
def retrieval_metrics() -> Figure:
    rows = {
        "a good list": [2, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0], "the answer second": [0, 2, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0],
        "never the answer": [1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2],
    }  # fmt: skip
    columns = {"nDCG": metrics.ndcg, "RR": metrics.reciprocal_rank, "recall": metrics.recall}
    fig, ax = plt.subplots(figsize=(12.0, 4.5))
    ax.set(xlim=(-4.6, 15.7), ylim=(5.75, -0.95))
    ax.axis("off")
    down = torch.arange(12, 0, -1.0)[None]
    tied = torch.ones(1, 12)  # equal scores: the later column is first
    lists = {name: (down, grades) for name, grades in rows.items()}
    lists |= {"all equal, names in luck": (tied, rows["a good list"][::-1]),
              "all equal, out of luck": (tied, [2, 1, 1] + 9 * [0])}  # fmt: skip
    for j in range(10):
        ax.text(j + 0.5, -0.45, str(j + 1), fontsize=17, ha="center", va="center")
    for j, name in enumerate(columns):
        ax.text(11.2 + 1.8 * j, -0.45, name, fontsize=18, ha="center", va="center", weight="bold")
    told = []
    for i, (name, (scores, grades)) in enumerate(lists.items()):
        y, relevance = i + (0.35 if i > 2 else 0), torch.tensor([grades], dtype=torch.float32)
        ax.text(-0.3, y + 0.4, name, fontsize=18, ha="right", va="center")
        shown = grades[::-1] if i > 2 else grades
        for j, grade in enumerate(shown[:10]):
            look = {"facecolor": (None, BLUE, GREEN)[grade] or "none", "edgecolor": GREY, "linewidth": 1.5}
            ax.add_patch(plt.Rectangle((j + 0.06, y), 0.88, 0.8, **look))
            if grade:
                ax.text(j + 0.5, y + 0.4, str(grade), color="white", fontsize=19, weight="bold", ha="center",
                        va="center")  # fmt: skip
        found = [measure(scores, relevance, 10) for measure in columns.values()]
        for j, value in enumerate(found):
            ax.text(11.2 + 1.8 * j, y + 0.4, f"{value:.2f}", fontsize=19, ha="center", va="center")
        told.append(f"{name}: {', '.join(f'{m} {v:.2f}' for m, v in zip(columns, found, strict=True))}")
    return plots.describe(fig, f"Five lists of ten places with the grades of what stands there. {'. '.join(told)}.")


@figure
def retrieval_popular() -> Figure:
    popularity, generator = data.Shop(0).popularity, torch.Generator().manual_seed(0)
    logits = F.pad(torch.randn(199, generator=generator), (0, 1))  # last: the positive, the rarest item
    rows = torch.multinomial(popularity.expand(4000, -1), 64, True, generator=generator)
    rows[:, 0], exact = 199, logits.softmax(0)
    shifts = {"batch as it is": 0 * logits, "log-Q": popularity.log(), "negatives alone": (63 * popularity).log()}
    fig, ax = plt.subplots(figsize=(7.0, 4.8))
    told = []
    for k, (name, shift) in enumerate(shifts.items()):
        seen = (logits - shift)[rows]
        seen[:, 0] += shift[199] * (name == "negatives alone")
        push = torch.zeros(200).index_add(0, rows.flatten(), seen.softmax(1).flatten()) / 4000
        pull = ((1 - push[199]) / (1 - exact[199])).item()
        ratio = (push / exact)[:199]
        ax.plot(range(1, 200), ratio, color=plots.COLOURS[(1, 0, 2)[k]], linestyle=("-", "-", "--")[k], linewidth=3,
                label=f"{name}: {pull:.2f}")  # fmt: skip
        told.append(f"{name}: × {ratio[0]:.1f}; the rare positive is pulled × {pull:.2f}")
    ax.set(xscale="log", yscale="log", xlabel="item, by popularity", ylabel="push / exact push", ylim=(0.12, 90))
    ax.set(xticks=[1, 10, 100], xticklabels=["1st", "10th", "100th"], yticks=[1, 10], yticklabels=["1", "10"])
    ax.minorticks_off()
    ax.legend(fontsize=17, title="pull of a rare positive / exact", title_fontsize=17, loc="upper right")
    return plots.describe(
        fig,
        f"""How hard an item is pushed away, as a multiple of the softmax over all 200 items, by popularity. The most
        popular one: {". ".join(told)}.""",
    )


@figure
def retrieval_joined() -> Figure:
    kinds, m3 = ("all", "shared words", "no shared words"), "M3, self-distilled"
    rows = {"BM25": "BM25", "dense": "dense.dense", "M3 ensemble": f"{m3}.ensemble", "BM25 + dense, RRF": "dense.RRF",
            "BM25 + dense, sum": "dense.sum", "BM25 + M3, sum": f"{m3}.sum"}  # fmt: skip
    panels = {f"{kind}": groups(LESSON, {shown: f"{row}.{kind}" for shown, row in rows.items()}) for kind in kinds}
    fig = strips(
        panels, (12.2, 4.0), "The encoder before training", [values(LESSON, f"untrained.{k}")[0] for k in kinds]
    )
    return plots.describe(fig, f"nDCG at 10, × 100. {fig.alt}")


@figure
def retrieval_scifact() -> Figure:
    table = next(entry for entry in results.published(LESSON) if entry["table"] == "scifact")
    rows = [row for row in table["rows"] if row["name"] != "BM25, multifield"]
    fig, ax = plt.subplots(figsize=(11.6, 4.9))
    told = []
    for i, row in enumerate(rows):
        if row["paper"] is not None:
            ax.plot(row["paper"], i, "D", markersize=12, color=plots.COLOURS[1])
            told.append(f"{row['name']}, paper {row['paper']:.0f}")
        if row["key"] is not None:
            found = values(LESSON, row["key"])
            ax.plot(found, [i] * len(found), "o", markersize=11, color=plots.COLOURS[0], alpha=0.7)
            told.append(f"{row['name']}, ours {np.mean(found):.0f}")
    ax.set_yticks(range(len(rows)), [row["name"] for row in rows], fontsize=17)
    ax.axvline(values(LESSON, "BM25.abstracts")[0], color=ink(), linewidth=2, linestyle=":")
    ax.set(ylim=(len(rows) - 0.4, -0.6), xlim=(10, 75), xlabel="nDCG@10 × 100")
    ax.grid(axis="y", alpha=0.3)
    return plots.describe(fig, f"nDCG at 10 on SciFact: diamonds are published, dots are ours. {'; '.join(told)}.")
