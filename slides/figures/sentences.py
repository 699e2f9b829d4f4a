"""Figures of the third deck: sentences as their own positives. Nothing is trained here: the record has the results."""

from functools import cache

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor

from clt import plots, results

from ._drawing import encoder, figure, ink

LESSON = "04_simcse"
FOUR = ["A man feeds the ducks.", "The train to Leeds is late.", "The court adjourned at noon.", "Rain fell all night."]
MEANINGS = [
    "A man feeds the ducks.", "Somebody gives bread to the birds.",
    "The train arrived late.", "The train was not on time.",
    "Heavy rain fell all night.", "It rained until the morning.",
]  # fmt: skip
SHOWN = ["same mask, short", "dropout", "labels"]


@cache
def record() -> results.Record:
    return results.recorded(LESSON)


def start_line(ax, x: float, *, label: str = "before", at: float = 0.0) -> None:
    ax.axvline(x, color=ink(), linewidth=1.5, linestyle=":")
    ax.text(x, at, f" {label}", fontsize=13, va="bottom", ha="left")


@torch.no_grad()
def readings(sentences: list[str], times: int) -> Tensor:
    """``(N, times, D)`` unit vectors: each sentence read several times by the untrained encoder, with dropout on."""
    model = encoder()
    torch.manual_seed(0)
    model.train()
    batch = model.tokenize(sentences)
    vectors = torch.stack([F.normalize(model(batch).float(), dim=1) for _ in range(times)], dim=1)
    model.eval()
    return vectors


@figure
def sentences_cover() -> Figure:
    reads = readings(MEANINGS, 15)
    flat = reads.flatten(0, 1) - reads.mean((0, 1))
    u, s, _ = torch.linalg.svd(flat, full_matrices=False)
    places = (u * s)[:, :2].numpy()
    places = places * np.sign(places[np.abs(places).argmax(0), [0, 1]])  # an SVD leaves the signs open
    fig, ax = plt.subplots(figsize=(4.6, 4.6))
    for i, cloud in enumerate(places.reshape(6, 15, 2)):
        ax.scatter(*cloud.T, s=46, alpha=0.75, color=plots.COLOURS[i // 2], marker="o^"[i % 2], linewidth=0)
    ax.set(xticks=[], yticks=[], aspect="equal")
    ax.set_xlabel("six sentences, each read fifteen times", fontsize=14)
    ax.spines[:].set_visible(False)
    return plots.describe(fig, "Six clouds of dots: six sentences, each read fifteen times, three meanings.")


@figure
def sentences_two_readings() -> Figure:
    reads = readings(FOUR, 2)
    cosine = reads[:, 0] @ reads[:, 1].T
    fig, ax = plt.subplots(figsize=(6.4, 4.9))
    plots.heat_map(cosine, [1, 2, 3, 4], limits=(0, 1), digits=3, ax=ax)
    plt.setp(ax.texts, fontsize=17)
    ax.set(xlabel="second reading of sentence", ylabel="first reading of sentence")
    return plots.describe(fig, "Four sentences, first reading against second" + fig.alt)


@figure
def sentences_pick() -> Figure:
    reads = readings(FOUR, 2)
    cosine = reads[:, 0] @ reads[:, 1].T
    fig, axes = plt.subplots(1, 2, figsize=(6.0, 3.3))
    for ax, matrix, name in zip(
        axes, (cosine, (cosine / 0.05).softmax(1)), ("cosine", "share of the row"), strict=True
    ):
        plots.heat_map(matrix, range(4), limits=(0, 1), ax=ax)
        ax.collections[0].colorbar.remove()
        plt.setp(ax.texts, fontsize=15)
        for i in range(4):
            ax.add_patch(plt.Rectangle((i, i), 1, 1, fill=False, edgecolor=plots.COLOURS[1], linewidth=4))
        ax.set(xticks=[], yticks=[])
        ax.set_title(name, loc="center", fontsize=17)
    return plots.describe(
        fig,
        f"""Two matrices of four by four with the diagonal framed: cosines of first and second readings, and the softmax
        of each row after division by 0.05, {results.number((cosine / 0.05).softmax(1).diagonal().mean(), digits=2)} on
        the diagonal on average.""",
    )


def groups(names: dict[str, str], measure: str, ax, xlabel: str) -> None:
    """One row per variant of the record, one dot a seed, and a dotted line for the encoder before training."""
    plots.record_and_live({name: record()[f"{key}.{measure}"] for key, name in names.items()}, xlabel="", ax=ax)
    ax.set_xlabel(xlabel)
    plt.setp(ax.get_yticklabels(), fontsize=16)
    start_line(ax, record()[f"untrained.{measure}"][0], at=len(names) - 0.6)


@figure
def sentences_works() -> Figure:
    fig, axes = plt.subplots(1, 2, figsize=(11.6, 3.9), sharey=True)
    names = {"same mask, short": "same mask twice", "dropout": "dropout", "labels": "labels"}
    groups(names, "sts/test", axes[0], "test pairs, Spearman × 100")
    groups(names, "search", axes[1], "search, % found first")
    return plots.describe(fig, fig.alt.lstrip(": "))


@figure
def sentences_public() -> Figure:
    sets = {"STS12/test": "STS12", "STS14/test": "STS14", "STS15/test": "STS15", "STS-B/test": "STS-B"}
    fig, ax = plt.subplots(figsize=(10.8, 4.2))
    told, width = [], 0.26
    for i, name in enumerate(SHOWN):
        gains = [np.array(record()[f"{name}.{key}"]) - record()[f"untrained.{key}"][0] for key in sets]
        at, means = np.arange(len(sets)) + (i - 1) * width, [gain.mean() for gain in gains]
        colour = plots.colour_of(name, i)
        ax.bar(at, means, width=width * 0.9, color=colour, alpha=0.5, label=name)
        for x, gain in zip(at, gains, strict=True):
            ax.scatter([x] * len(gain), gain, s=24, color=colour, linewidth=0, zorder=3)
        told.append(f"{name} " + ", ".join(f"{s} {m:+.1f}" for s, m in zip(sets.values(), means, strict=True)))
    ax.axhline(0, color=ink(), linewidth=1.5, linestyle="-")
    ax.set_xticks(range(len(sets)), sets.values())
    ax.set_ylabel("gain, Spearman × 100")
    ax.legend(ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=16)
    return plots.describe(
        fig, f"Gain over the untrained encoder on four public sets, one dot a seed. {'; '.join(told)}."
    )


@figure
def sentences_dropout() -> Figure:
    rows = next(t for t in results.published(LESSON) if t["table"] == "dropout")["rows"]
    rows = [row for row in rows if row["paper"]]  # without the untrained encoder, which is a line
    names = ["0" if row["name"] == "no dropout" else row["name"] for row in rows[:-1]] + ["same\nmask"]
    colours = [plots.COLOURS[0]] * (len(rows) - 1) + [plots.COLOURS[1]]
    fig, (left, right) = plt.subplots(1, 2, figsize=(11.6, 4.0))
    left.bar(range(len(rows)), [row["paper"] for row in rows], color=colours, width=0.66)
    for x, row in enumerate(rows):
        left.text(x, row["paper"] + 1, f"{row['paper']:.0f}", ha="center", fontsize=14)
    told = []
    for x, (row, colour) in enumerate(zip(rows, colours, strict=True)):
        if row["key"] in record():
            found = record()[row["key"]]
            right.scatter([x] * len(found), found, s=30, color=colour, alpha=0.5, linewidth=0)
            right.plot([x - 0.3, x + 0.3], [np.mean(found)] * 2, color=colour, linestyle="-", marker="")
            told.append(f"{row['name']}: {np.mean(found):.1f}")
    before = record()["untrained.STS-B/dev"][0]
    right.axhline(before, color=ink(), linewidth=1.5, linestyle=":")
    right.text(len(rows) - 0.4, before, "before", fontsize=13, ha="right", va="bottom")
    for ax, title in ((left, "the paper, BERT-base"), (right, "this course, one dot a seed")):
        ax.set_xticks(range(len(rows)), names, fontsize=14)
        ax.set(xlabel="dropout", title=title, xlim=(-0.6, len(rows) - 0.4))
    left.set_ylabel("Spearman × 100, STS-B dev")
    paper = "; ".join(f"{row['name']}: {row['paper']}" for row in rows)
    return plots.describe(
        fig,
        f"Spearman × 100 by dropout rate. The paper: {paper}. Ours: {'; '.join(told)}; before training {before:.1f}.",
    )


@figure
def sentences_plane() -> Figure:
    fig, ax = plt.subplots(figsize=(10.4, 5.0))
    plots.paths(
        {name: (record()[f"{name}.path.uniformity"], record()[f"{name}.path.alignment"]) for name in SHOWN},
        xlabel="uniformity (lower: more evenly spread)",
        ylabel="alignment (lower: paraphrases closer)",
        ax=ax,
    )
    for text in ax.texts:
        text.set_fontsize(16)
    return plots.describe(fig, fig.alt.lstrip(": "))
