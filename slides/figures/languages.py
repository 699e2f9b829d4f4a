"""Figures of the eighth deck: what characters tell, translations ranked, where the language is kept."""

from collections import Counter
from functools import cache

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure

from clt import data, plots

from ._drawing import arrow, encoder, figure, groups, ink, settled, strips, values
from .context_drawn import BLUE, BROWN, GREEN, GREY, box

LESSON = "18_languages"
LANGUAGES = ("english", "german", "french", "spanish")
FOUR = {
    "猫在追老鼠。": "The cat is chasing the mouse.", "老鼠在追猫。": "The mouse is chasing the cat.",
    "爸爸戒酒了。": "Dad has given up alcohol.", "父亲不再喝酒。": "Father doesn't drink any more.",
}  # fmt: skip
# Multilingual USE's card on TF Hub: translations found first in the United Nations corpus, from English, %
FOUND = {"Spanish": (85.8, 86.1), "French": (82.7, 83.3), "Russian": (87.4, 88.9), "Chinese": (79.5, 78.8)}


@figure
def languages_four() -> Figure:
    counts = [Counter(text) for text in FOUR]
    known = sorted(set("".join(FOUR)))
    unit = F.normalize(torch.tensor([[float(count[c]) for c in known] for count in counts]), dim=1)
    cosine = unit @ unit.T
    fig, ax = plt.subplots(figsize=(12.0, 3.9))
    for i, gloss in enumerate(FOUR.values()):
        ax.text(-0.1, i + 0.5, f"{gloss}  {'abcd'[i]}", fontsize=20, ha="right", va="center")
        ax.text(i + 0.5, -0.3, "abcd"[i], fontsize=20, ha="center", va="center")
        for j in range(4):
            marked = {i, j} in ({0, 1}, {2, 3})
            colour = GREY if i == j else BROWN if {i, j} == {0, 1} else GREEN if marked else BLUE
            ax.add_patch(plt.Rectangle((j + 0.03, i + 0.04), 0.94, 0.92, facecolor=colour, linewidth=0))
            look = {"color": "#111111" if i == j else "white", "weight": "bold" if marked and i != j else "normal"}
            ax.text(j + 0.5, i + 0.5, f"{cosine[i, j]:.2f}", fontsize=21, ha="center", va="center", **look)
    ax.text(4.25, 1, "same characters,\nroles changed: 3.2 of 5", fontsize=19, va="center")
    ax.text(4.25, 3, "other characters,\nsame meaning: 4.3 of 5", fontsize=19, va="center")
    ax.set(xlim=(-4.9, 8.1), ylim=(4.1, -0.6))
    ax.axis("off")
    return plots.describe(
        fig,
        f"""Four Chinese sentences by their English glosses, and the cosines of their character counts. The cat that
        chases the mouse and the mouse that chases the cat have {cosine[0, 1]:.2f}; the two about giving up alcohol
        {cosine[2, 3]:.2f}.""",
    )


@figure
def languages_chinese() -> Figure:
    rows = {"before training": "untrained", "SimCSE": "SimCSE", "IFCL": "IFCL", "halves": "halves"}
    panels = {"our pairs: Spearman × 100": ("ours", "chinese_sts"), "STS-B in Chinese": ("public", "STS-B-zh"),
              "PAWS-X in Chinese": ("public", "PAWS-X-zh")}  # fmt: skip
    found = {what: groups(LESSON, {name: f"{row}, {texts}.{pairs}/test" for name, row in rows.items()})
             for what, (texts, pairs) in panels.items()}  # fmt: skip
    at = [values(LESSON, f"tf-idf, {texts}.{pairs}/test")[0] for texts, pairs in panels.values()]
    return strips(found, (12.2, 3.7), "Counted characters", at)


@figure
def languages_found() -> Figure:
    rows = {"not trained": "not trained", "100 pairs": "100 pairs", "English as a bridge": "English as a bridge",
            "m = 0": "margin 0", "m = 0.3": "margin 0.3", "m = 0.5": "margin 0.5"}  # fmt: skip
    panels = {"found first, %": "found first", "… with CSLS": "CSLS", "… without English": "without English"}
    found = {what: groups(LESSON, {name: f"{row}.{key}" for name, row in rows.items()}) for what, key in panels.items()}
    return strips(found, (12.2, 3.7))


@figure
def languages_muse() -> Figure:
    fig, axes = plt.subplots(1, 2, figsize=(12.2, 4.1), width_ratios=(1.35, 1))
    ax = axes[0]
    ax.set(xlim=(0, 7.2), ylim=(-0.5, 4.1))
    ax.axis("off")
    box(ax, 0.1, 0, "16 languages, one list of word pieces", width=7.0, height=0.75, fontsize=19)
    box(ax, 1.35, 1.5, "CNN, or Transformer", width=4.5, height=0.8, fontsize=20, colour=BLUE)
    arrow(ax, (3.6, 0.42), (3.6, 1.05), color=ink(), linewidth=2.5)
    for k, (text, colour) in enumerate((("question,\nanswer", GREEN), ("translation\nranking", BROWN), ("NLI", GREEN))):
        arrow(ax, (3.6, 1.95), (1.15 + 2.45 * k, 2.75), color=ink(), linewidth=2.5)
        box(ax, 0.05 + 2.45 * k, 3.25, text, width=2.2, height=0.95, fontsize=19, colour=colour)
    told = []
    for k, kind in enumerate(("CNN", "Transformer")):
        line = [pair[k] for pair in FOUND.values()]
        axes[1].plot(line, np.arange(4) + 0.14 * (2 * k - 1), marker="os"[k], linestyle="", markersize=13,
                     color=plots.COLOURS[(1, 0)[k]], label=kind)  # fmt: skip
        told.append(f"{kind} {', '.join(f'{name} {v:.0f}' for name, v in zip(FOUND, line, strict=True))}")
    axes[1].set_yticks(range(4), FOUND, fontsize=19)
    axes[1].set(ylim=(3.5, -0.5), xlim=(75, 92), xticks=(75, 80, 85, 90), xlabel="translation found first, %")
    axes[1].legend(fontsize=17, loc="lower right")
    axes[1].grid(axis="y", alpha=0.3)
    return plots.describe(
        fig,
        f"""Left: word pieces of sixteen languages go into one encoder, which learns question answering, translation
        ranking and natural language inference. Right: found first from English, in %: {"; ".join(told)}.""",
    )


@cache
def vectors(split: str) -> torch.Tensor:
    """The first hundred sentences of a split in each of four languages, by an encoder of English: (4, 100, D)."""
    parallel = data.load("translations", split)
    return torch.stack([encoder().encode(list(parallel[name])[:100]) for name in LANGUAGES])


@figure
def languages_clouds() -> Figure:
    train, test = vectors("train"), vectors("test")
    middle = train.flatten(0, 1).mean(dim=0)
    axes_ = torch.linalg.svd(train.flatten(0, 1) - middle, full_matrices=False)[2]
    fig, axes = plt.subplots(1, 3, figsize=(12.4, 4.0), width_ratios=(1, 1, 1.15))
    for ax, k in zip(axes, (0, 3), strict=False):
        z = (test - middle) @ (torch.eye(test.shape[-1]) - axes_[:k].T @ axes_[:k])
        flat = z @ torch.linalg.svd(z.flatten(0, 1), full_matrices=False)[2][:2].T
        for row, name in enumerate(LANGUAGES):
            ax.scatter(*flat[row].T, color=plots.COLOURS[row], marker="osD^"[row], s=34, alpha=0.8, label=name)
        ax.set(xticks=[], yticks=[])
        ax.set_title(f"{k} components removed", fontsize=19)
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower left", ncols=4, fontsize=17, columnspacing=1.0,
               handletextpad=0.2)  # fmt: skip
    told = []
    for k, (name, place) in enumerate({"language told": (2.9, 52), "found first": (2.9, -4)}.items()):
        line = values(LESSON, f"clt-mini.{name}")[0]
        axes[2].plot(range(len(line)), line, color=plots.COLOURS[(1, 2)[k]], marker="so"[k], linestyle=("--", "-")[k])
        axes[2].text(*place, f"{name}, %", fontsize=19)
        told.append(f"{name}: {', '.join(f'{v:.0f}' for v in line)}")
    axes[2].axhline(25, color=ink(), linewidth=2, linestyle=":")
    axes[2].text(-0.2, 27, "guessing", fontsize=17, va="bottom")
    axes[2].set(xlabel="components removed", ylim=(-8, 104), yticks=(0, 50, 100), xticks=range(7))
    return plots.describe(
        settled(fig),
        f"""Sentences of four languages as an English encoder sees them. Left: four clouds. Middle: without three
        components they lie on each other. Right, in %, for 0 to 6 components removed: {"; ".join(told)}.""",
    )


@figure
def languages_turn() -> Figure:
    x = np.array([(-1.5, -0.2), (-0.7, 0.5), (0.0, -0.6), (0.2, 0.4), (0.8, -0.4), (1.2, 0.3)])
    near = 0.08 * np.array([(1, -1), (-1, 1), (1, 1), (-1, -1), (0, 1), (0, -1)])
    turn = np.deg2rad(65)
    y = x @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) + near
    u, _, vt = np.linalg.svd(x.T @ y)
    fig, axes = plt.subplots(1, 3, figsize=(12.4, 3.9), width_ratios=(1, 1, 1.5))
    for ax, cloud, title in zip(axes, (x, x @ u @ vt), ("x and y", "x W and y"), strict=False):
        for a, b in zip(cloud, y, strict=True):
            ax.plot(*zip(a, b, strict=True), color=GREY, linewidth=1.5, linestyle=":")
        ax.plot(*cloud.T, marker="o", linestyle="", color=plots.COLOURS[0], markersize=13)
        ax.plot(*y.T, marker="^", linestyle="", color=plots.COLOURS[1], markersize=13)
        ax.set(xlim=(-1.9, 1.9), ylim=(-1.9, 1.9), aspect="equal", xticks=[], yticks=[])
        ax.set_title(title, fontsize=20)
    told = []
    steps = {"as it is": "as it is", "3 components\nremoved": "3 components removed", "turned": "turned"}
    for k, how in enumerate(("cosine", "CSLS")):
        line = [values(LESSON, f"clt-mini, {step}.{how}")[0] for step in steps.values()]
        bars = axes[2].barh(np.arange(3) + 0.4 * k - 0.2, line, height=0.36, color=plots.COLOURS[(5, 2)[k]], label=how,
                            hatch=("", "//")[k], edgecolor=ink())  # fmt: skip
        axes[2].bar_label(bars, [f"{v:.0f}" for v in line], fontsize=19, padding=5)
        told.append(f"{how} {', '.join(f'{v:.0f}' for v in line)}")
    axes[2].set_yticks(range(3), steps, fontsize=18)
    axes[2].set(ylim=(2.55, -0.55), xlim=(0, 24), xticks=(0, 10, 20), xlabel="translation found first, %")
    axes[2].legend(fontsize=18, loc="upper right")
    return plots.describe(
        settled(fig),
        f"""Left: two clouds of six points, the second one turned. Middle: after the best rotation they coincide. Right:
        translations found first, by an encoder as it is, without three components, and turned: {"; ".join(told)}.""",
    )
