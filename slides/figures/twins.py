"""Figures of the fourth deck: twins, and a queue that forgets."""

import copy
import random
from functools import cache

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure

from clt import augment, data, losses, plots, results

from ._drawing import bare, encoder, figure, ink, on_circle
from .labels import measured, one_each

LESSON = "07_twin_loss"
DECAY, BATCHES, TRAINED = 0.7, 4, 1  # the lesson's: of the queue, and layers that it trains, in which dropout acts
PARTS = {"untrained": "not trained", "SimCSE": "SimCSE", "no Twin Loss": "without Twin Loss",
         "no queue": "without queue", "IFCL": "IFCL"}  # fmt: skip
QUEUES = {"neither": "no queue", "no Twin Loss": "short, fading",
          "epoch, fading": "long, fading", "epoch, plain": "long, plain"}  # fmt: skip


def fusion(sentence: str, rng: random.Random) -> str:
    """Lesson 07's reading of the fusion augmentation."""
    return augment.synonyms(augment.crop(sentence, rng, keep=0.85), rng)


@cache
def innate() -> np.ndarray:
    """The margins of lesson 07's held-out sentences, before any training."""
    rows = data.load("nli", "dev")
    held = [sentence for column in ("premise", "entailment", "neutral") for sentence in rows[column]][:100]
    other = [fusion(sentence, random.Random(i)) for i, sentence in enumerate(held)]
    model = copy.deepcopy(encoder()).eval()
    model.model.encoder.layer[-TRAINED:].train()
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(0)
        tokens = model.tokenize(held)
        return losses.twin_margin(model(tokens), model(tokens), model(model.tokenize(other))).numpy()


@figure
def twins_born() -> Figure:
    fig, axes = plt.subplots(1, 2, figsize=(9.8, 3.7), width_ratios=(1, 1.3))
    turn = np.linspace(0, 360, 100)
    axes[0].plot(*on_circle(turn).T, color="#9aa0a6", linewidth=1.5, linestyle="-")
    for k, start in enumerate((80, 200, 320)):
        for place, mark, size in zip(on_circle([start, start + 9, start + 38]), "*o^", (22, 13, 13), strict=True):
            face = "none" if mark == "o" else plots.COLOURS[k]
            axes[0].plot(*place, marker=mark, markersize=size, color=plots.COLOURS[k], markerfacecolor=face, mew=2.5)
    for mark, name in zip("*o^", ("sentence", "identical", "fraternal"), strict=True):
        look = {"marker": mark, "markersize": 13, "color": ink(), "linestyle": "", "label": name}
        axes[0].plot([], [], markerfacecolor="none" if mark == "o" else ink(), **look)
    axes[0].legend(loc="center", fontsize=15)
    bare(axes[0])
    margins = innate()
    axes[1].hist(margins, bins=30, color=plots.COLOURS[0])
    axes[1].locator_params(axis="x", nbins=5)
    axes[1].set(xlabel="innate margin", ylabel="sentences")
    axes[1].set_title("before training, each sentence its own", fontsize=17)
    low, mean, high = (results.number(x, digits=2) for x in (margins.min(), margins.mean(), margins.max()))
    return plots.describe(
        fig,
        f"""Left: three stars on a circle, each with a ring close by and a triangle farther off. Right: histogram of
        {len(margins)} innate margins, from {low} to {high}, {mean} on average.""",
    )


@figure
def twins_spring() -> Figure:
    fig, axes = plt.subplots(1, 2, figsize=(9.0, 2.9))
    gap = np.linspace(-0.2, 1.0, 121)
    axes[0].plot(gap, np.abs(gap - 0.4), color=plots.COLOURS[0], linestyle="-")
    axes[0].plot([0.4], [0], marker="o", markersize=13, color=plots.COLOURS[1])
    axes[0].text(0.4, 0.09, "M", ha="center", fontsize=20)
    axes[0].set(xlabel="gap between the twins", ylabel="Twin Loss", xticks=[0], yticks=[0], ylim=(-0.03, 0.65))
    axes[0].axvline(0, color=ink(), linewidth=1.5, linestyle=":")
    cosine = np.linspace(-1, 1, 81)
    axes[1].plot(cosine, np.exp(cosine), color=plots.COLOURS[2], linestyle="-")
    for x, mark in ((0.9, "o"), (0.5, "^")):
        axes[1].plot([x, x, -1], [0, np.exp(x), np.exp(x)], color=ink(), linewidth=1.2, linestyle=":")
        axes[1].plot(x, np.exp(x), marker=mark, markersize=14, color=plots.COLOURS[2])
    low, high = np.exp(0.5), np.exp(0.9)
    axes[1].annotate(
        "", (-0.5, high), (-0.5, low), arrowprops={"arrowstyle": "<->", "color": plots.COLOURS[1], "lw": 3}
    )
    axes[1].text(-0.58, (low + high) / 2, "gap", ha="right", va="center", fontsize=18)
    axes[1].set(
        xlabel="cosine with the sentence", ylabel="its exponential", xticks=[-1, 0, 1], yticks=[0, 1, 2], ylim=(0, 2.8)
    )
    return plots.describe(
        fig,
        """Left: the Twin Loss against the gap, a V whose tip is at the innate margin M. Right: the exponential of the
        cosine; the gap is the difference of heights of the ring, the identical twin, and the triangle, the fraternal
        one.""",
    )


@figure
def twins_kept() -> Figure:
    drift = {shown: measured(LESSON, f"drift.{name}") for name, shown in PARTS.items()}
    strangers = {shown: measured(LESSON, f"strangers.{name}") for name, shown in PARTS.items()}
    margin = {shown: measured(LESSON, f"margin.{name}") for name, shown in PARTS.items()}
    panels = {"mean margin": margin, "drift of a margin": drift, "squared distance of strangers": strangers}
    return one_each(panels, (12.0, 3.9))


@figure
def twins_queue() -> Figure:
    queues = {
        "fading": losses.HippocampusQueue(BATCHES, decay=DECAY),
        "plain": losses.HippocampusQueue(BATCHES, decay=1),
    }
    fig, ax = plt.subplots(figsize=(6.4, 4.6))
    told = []
    for i, (name, queue) in enumerate(queues.items()):
        for _ in range(BATCHES + 2):  # two more than it remembers
            queue.push(torch.ones(1, 2))
        weights = queue.weights.tolist()
        at = np.arange(len(weights)) + 0.38 * i - 0.19
        look = {"color": plots.COLOURS[i], "hatch": ("", "//")[i], "edgecolor": "white", "linewidth": 1}
        bars = ax.bar(at, weights, width=0.36, label=name, **look)
        if i == 0:
            ax.bar_label(bars, [results.number(w, digits=2) for w in weights], fontsize=15, padding=2)
        told.append(f"{name}: {', '.join(results.number(w, digits=2) for w in weights)}")
    ages = ["oldest", *[""] * (BATCHES - 2), "newest"]
    ax.set(xticks=range(BATCHES), xticklabels=ages, yticks=[0, 1], ylim=(0, 1.35), ylabel="weight of a negative",
           xlabel="batches remembered")  # fmt: skip
    ax.legend(ncols=2, loc="upper left")
    return plots.describe(fig, f"Bars of the weights of the remembered batches, oldest first. {'; '.join(told)}.")


@figure
def twins_forgetting() -> Figure:
    found = results.recorded(LESSON).found
    names = {name: shown for name, shown in QUEUES.items() if f"strangers.{name}" in found}
    strangers = {shown: measured(LESSON, f"strangers.{name}") for name, shown in names.items()}
    sts = {shown: [100 * v for v in measured(LESSON, f"sts.{name}")] for name, shown in names.items()}
    return one_each({"squared distance of strangers": strangers, "Spearman × 100 on sts": sts}, (11.8, 3.7))


@figure
def twins_information() -> Figure:
    names = {name: PARTS[name] for name in ("untrained", "SimCSE", "no Twin Loss", "IFCL")}
    task, best = (
        {shown: measured(LESSON, f"{key}.{name}") for name, shown in names.items()}
        for key in ("task", "task, best critic")
    )
    return one_each(
        {"bound (nats), critic as in the loss": task, "bound (nats), critic of its choice": best}, (11.8, 3.3)
    )
