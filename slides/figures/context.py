"""Figures of the sixth deck: the positive is what stands next to a sentence."""

import math

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from clt import data, plots
from clt.checks import labs

from ._drawing import arrow, encoder, figure, ink, values

LESSON = "10_context"
GREY = "#9aa0a6"
SHAPES = ((24, 2), (12, 4), (8, 6), (4, 12), (2, 24), (1, 48))  # texts, and sentences of each


def seeds_of(name: str, measure: str) -> list[float]:
    return values(LESSON, f"{name}.{measure}")


@figure
def context_six() -> Figure:
    six = data.load("dialogues", "test")["turns"][0]
    unit = F.normalize(encoder().encode(six), dim=1)
    cosines = (unit @ unit.T).numpy()
    fig, ax = plt.subplots(figsize=(5.9, 5.2))
    others = cosines[~np.eye(6, dtype=bool)]
    plots.heat_map(cosines, range(1, 7), limits=(others.min(), others.max()), ax=ax)
    told = fig.alt.lstrip(": ").capitalize()
    for text in ax.texts:
        text.set_fontsize(15)
    for i in range(6):
        ax.add_patch(Rectangle((i, i), 1, 1, color=GREY))
        for j in (i - 1, i + 1):
            if 0 <= j < 6:
                frame = {"fill": False, "edgecolor": plots.COLOURS[1], "linewidth": 4}
                ax.add_patch(Rectangle((j + 0.06, i + 0.06), 0.88, 0.88, **frame))
    ax.set(xlabel="candidate: turn", ylabel="sentence that asks: turn")
    return plots.describe(fig, f"{told} The neighbours of each turn are framed; a turn with itself is covered.")


@figure
def context_replies() -> Figure:
    shown = {"tf-idf": "counting words", "untrained": "before training",
             "random neighbours, public": "random neighbours", "dropout, public": "dropout",
             "neighbours, public": "neighbours"}  # fmt: skip
    panels = {"replies, random": "reply before 5 random, %", "replies, shared words": "… 5 that share words, %",
              "sts/test": "STS, Spearman × 100"}  # fmt: skip
    fig, axes = plt.subplots(1, 3, figsize=(12.2, 3.9), sharey=True)
    for ax, (measure, what) in zip(axes, panels.items(), strict=True):
        plots.seeds({called: seeds_of(name, measure) for name, called in shown.items()}, xlabel=what, ax=ax)
        ax.locator_params(axis="x", nbins=4)
        if measure != "sts/test":
            ax.axvline(100 / 6, color=ink(), linewidth=1.5, linestyle=":")
    return plots.describe(fig, fig.alt.lstrip(": ").replace(". : ", ". ").capitalize() + " Guessing a reply: 17 %.")


@figure
def context_batch() -> Figure:
    tried, before = [labs.context(*shape) for shape in SHAPES], labs.context(*SHAPES[0], steps=0)
    fig, axes = plt.subplots(1, 2, figsize=(11.4, 3.9))
    told = []
    titles = {"order": "order: its neighbour?", "topic": "topic: its text?"}
    for i, (ax, (name, title)) in enumerate(zip(axes, titles.items(), strict=True)):
        line, start = [getattr(one, name) for one in tried], getattr(before, name)
        ax.bar(range(len(line)), line, color=plots.COLOURS[i], width=0.65)
        ax.axhline(start, color=ink(), linewidth=2, linestyle=":")
        ax.text((0.7, 4.55)[i], start + 1.5, "before training", ha="center", va="bottom", fontsize=16)
        ax.set_xticks(range(len(line)), [f"{texts}\n× {length}" for texts, length in SHAPES], fontsize=17)
        ax.set(xlabel="texts × sentences of each", ylabel="%", ylim=(0, 100))
        ax.set_title(title, fontsize=19)
        bars = ", ".join(f"{texts} × {length}: {y:.0f} %" for (texts, length), y in zip(SHAPES, line, strict=True))
        told.append(f"{title} {bars}; before training {start:.0f} %")
    return plots.describe(fig, f"Batches of 48 sentences, cut in six ways: what an encoder learns. {'. '.join(told)}.")


@figure
def context_stale() -> Figure:
    oldest, slow = 6720 // 32, 0.999  # keys in CERT's queue, and how many are new in a step
    half = math.log(0.5) / math.log(slow)
    ages = torch.arange(0, 1001).numpy()
    fig, ax = plt.subplots(figsize=(6.3, 4.9))
    ax.plot(ages, 100 * slow**ages, color=plots.COLOURS[0], linestyle="-", linewidth=4)
    kept = ages[: oldest + 1]
    ax.fill_between(kept, 0, 100 * slow**kept, color=plots.COLOURS[0], alpha=0.2, linewidth=0)
    for age, mark, said in ((oldest, "o", "oldest key:"), (half, "s", "half:")):
        share = 100 * slow**age
        ax.plot(age, share, marker=mark, markersize=13, color=plots.COLOURS[1])
        ax.text(age + 25, share + 2, f"{said} {age:.0f} steps,\n{share:.0f} %", fontsize=17, va="bottom")
    ax.plot(ages, 100 * 0.9**ages, color=plots.COLOURS[2], linestyle="--", linewidth=3)
    ax.text(55, 8, "m = 0.9", fontsize=17)
    ax.text(330, 48, "m = 0.999", fontsize=17)
    ax.set(xlabel="age of the weights, in steps", ylabel="their share in the slow copy, %")
    ax.set(xlim=(0, 1000), ylim=(0, 108), xticks=[0, 500, 1000], yticks=[0, 50, 100])
    return plots.describe(
        fig,
        f"""How much of the slow encoder is still made of weights of a given age. With m = 0.999 it falls slowly: after
        {oldest} steps, the age of the oldest key in the queue, {100 * slow**oldest:.0f} %, after {half:.0f} steps one
        half. With m = 0.9 nothing is left after 50 steps.""",
    )


@figure
def context_cover() -> Figure:
    fig, ax = plt.subplots(figsize=(4.6, 4.6))
    ax.set(xlim=(0, 4.6), ylim=(4.7, -0.1))
    ax.axis("off")
    for k in range(6):
        colour = plots.COLOURS[0] if k == 2 else plots.COLOURS[2] if k in (1, 3) else GREY
        ax.add_patch(Rectangle((0.2 + 1.3 * (k % 2), 0.8 * k), 2.9, 0.48, facecolor=colour, linewidth=0,
                               alpha=1 if colour != GREY else 0.55))  # fmt: skip
    for start, end in ((1.6, 1.3), (2.08, 2.38)):
        arrow(ax, (2.3, start), (2.3, end), color=ink(), linewidth=4)
    return plots.describe(
        fig, "Six turns of a conversation as bars. From one of them arrows lead to its two neighbours."
    )
