"""Figures of the second deck: triplets, and data against noise."""

import math

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from torch.distributions import Normal

from clt import data, losses, plots, results

from . import _losses_runs as runs
from ._drawing import INK, figure, ink, recorded

GREY = "#9aa0a6"
GROUND = {INK["light"]: "#fcfcf9", INK["dark"]: "#14181e"}  # of the theme: a rim that parts a text from a line below it


def groups(lesson: str, keys: dict[str, str]) -> dict[str, list[float]]:
    """What a lesson recorded, under the names that a figure shows."""
    return {name: recorded(lesson, key)["values"] for name, key in keys.items()}


def dots(found: dict[str, list[float]], *, xlabel: str, size: tuple[float, float]) -> Figure:
    fig, ax = plt.subplots(figsize=size)
    plots.seeds(found, xlabel=xlabel, ax=ax)
    return plots.describe(fig, fig.alt.lstrip(": "))


@figure
def triplet_negatives() -> Figure:
    six = torch.tensor([[0.0, 0.0], [0.8, 0.6], [-1.6, -0.9], [-0.9, 0.8], [0.5, -0.7], [0.2, 0.3]])
    names = ["anchor", "positive", "easy", "semi-hard", "hard", "very hard"]
    anchor, positive = six[:1].expand(4, 2), six[1:2].expand(4, 2)
    cost = [None, None, *losses.triplet_loss(anchor, positive, six[2:], margin=1.0, reduction="none").tolist()]
    fig, ax = plt.subplots(figsize=(6.6, 5.4))
    turn = np.linspace(0, 2 * np.pi, 100)
    for radius, dash, name in [(1.0, "-", "as far as the positive"), (2**0.5, "--", "and the margin")]:
        ax.plot(radius * np.cos(turn), radius * np.sin(turn), dash, color=plots.COLOURS[2], linewidth=2, label=name)
    looks = [("*", ink()), ("o", plots.COLOURS[2]), *[("X", plots.COLOURS[1])] * 4]
    for i, (point, (marker, colour)) in enumerate(zip(six.tolist(), looks, strict=True)):
        ax.scatter(*point, marker=marker, s=420 if i == 0 else 170, color=colour, zorder=3)
        text = names[i] if cost[i] is None else f"{names[i]}: {results.number(cost[i])}"
        place = {"anchor": (-14, -22)}.get(names[i], (11, 6))
        shown = ax.annotate(text, point, textcoords="offset points", xytext=place, ha="right" if i == 0 else "left")
        shown.set_path_effects([withStroke(linewidth=6, foreground=GROUND[ink()])])
    ax.set(xlim=(-2.1, 2.3), ylim=(-1.55, 2.0), aspect="equal", xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.legend(loc="upper right")
    told = "; ".join(f"{names[i]} costs {results.number(cost[i])}" for i in range(2, 6))
    return plots.describe(
        fig, f"An anchor in two circles: the inner runs through the positive, the outer adds the margin. {told}."
    )


@figure
def triplet_costly() -> Figure:
    steps, everyone, hardest = runs.still_costly()
    fig, ax = plt.subplots(figsize=(6.4, 4.6))
    lines = {"the hardest of each anchor": hardest, "all triplets": everyone}
    plots.curves(lines, x=steps, ylabel="share that costs something", ax=ax)
    ax.set(ylim=(0, 1.32), yticks=[0, 0.5, 1])
    ax.legend(loc="upper right")
    return plots.describe(fig, fig.alt.lstrip(": "))


@figure
def triplet_mining() -> Figure:
    kinds = ("untrained", "raw pixels", "random", "all", "semi-hard", "hard")
    found = groups("01_triplet_loss", {kind: f"{kind}.digits" for kind in kinds})
    return dots(found, xlabel="recognised from one picture each, in %", size=(10.4, 3.7))


@figure
def triplet_collapse() -> Figure:
    fig, ax = plt.subplots(figsize=(6.5, 4.8))
    plots.curves(runs.collapse(), ylabel="loss", ax=ax)
    ax.axhline(1, color=GREY, linewidth=1.5, linestyle="-", zorder=0)
    ax.annotate("the margin", (160, 1), (160, 1.03), ha="right", va="bottom")
    ax.set(ylim=(0, 1.75))
    ax.legend(loc="upper right")
    return plots.describe(fig, f"{fig.alt.lstrip(': ')} A grey line marks the margin, 1.")


@figure
def triplet_sentences() -> Figure:
    names = {"untrained": "untrained", "a stranger": "stranger", "a contradiction": "contradiction", "both": "both"}
    found = groups("01_triplet_loss", {name: f"{key}.order" for name, key in names.items()})
    return dots(found, xlabel="test triplets in the right order, in %", size=(10.4, 3.0))


@figure
def triplet_undecided() -> Figure:
    found = groups("01_triplet_loss", {kind: f"{kind}.emotion" for kind in ("random", "semi-hard", "hard")})
    count = len(data.load("emotions", "test"))
    fig, ax = plt.subplots(figsize=(10.4, 3.7))
    plots.seeds(found, xlabel="nearest text has the same emotion, in %", ax=ax)
    middle = float(np.mean(list(found.values())))
    error = 2 * math.sqrt(middle * (100 - middle) / count)
    ax.axvspan(middle - error, middle + error, color=GREY, alpha=0.2, linewidth=0, zorder=0)
    ax.set_xlim(middle - 2.2 * error, middle + 2.2 * error)
    ax.text(middle, -0.85, f"what {count} texts cannot tell apart", ha="center", va="top")
    ax.set_ylim(2.5, -0.95)
    told = f"A band of two standard errors of a share of {count}, from {middle - error:.1f} to {middle + error:.1f} %."
    return plots.describe(fig, f"{fig.alt.lstrip(': ')} {told}")


@figure
def nce_game() -> Figure:
    words = ["the", "snow", "dog", "boat", "violin"]
    p, q, k = torch.tensor([0.5, 0.25, 0.15, 0.07, 0.03]), torch.full((5,), 0.2), 2
    rounds, generator = 50_000, torch.Generator().manual_seed(0)
    from_data = torch.multinomial(p, rounds, True, generator=generator).bincount(minlength=5)
    from_noise = torch.multinomial(q, k * rounds, True, generator=generator).bincount(minlength=5)
    found = k * q * from_data / from_noise
    fig, ax = plt.subplots(figsize=(6.4, 4.4))
    at = np.arange(5)
    ax.bar(at - 0.2, p.numpy(), width=0.38, color=plots.COLOURS[0], label="p, hidden")
    ax.bar(
        at + 0.2, found.numpy(), width=0.38, color=plots.COLOURS[1], hatch="//", edgecolor="white", label="K q · odds"
    )
    ax.set(xticks=at, xticklabels=words, ylabel="probability")
    ax.legend()
    told = "; ".join(f"{word} {a:.2f} and {b:.2f}" for word, a, b in zip(words, p, found, strict=True))
    return plots.describe(fig, f"For five words the hidden probability, and K q times the counted odds: {told}.")


@figure
def nce_noise() -> Figure:
    points, line, _ = runs.humps()
    setups = {"good noise": (0.0, 2.5, True), "noise too easy": (8.0, 1.0, True), "no correction": (0.0, 2.5, False)}
    fig, axes = plt.subplots(1, 3, figsize=(11.6, 3.6), sharey=True)
    told = []
    for ax, (name, (centre, width, correction)) in zip(axes, setups.items(), strict=True):
        learned = runs.density(centre, width, correction=correction)
        ax.hist(points.numpy(), 60, density=True, color=plots.COLOURS[5], alpha=0.5, label="data")
        ax.plot(line, Normal(centre, width).log_prob(line).exp(), "--", color=plots.COLOURS[1], label="noise")
        ax.plot(line, learned, "-", color=ink(), linewidth=2.5, label="exp(score)")
        area = torch.trapezoid(learned, line).item()
        ax.set(xlim=(-6, 11), ylim=(0, 0.75), yticks=[], xlabel="x")
        ax.set_title(f"{name}: area {results.number(area, digits=2)}", fontsize=17)
        told.append(f"{name}: area below exp(score) {results.number(area, digits=2)}")
    axes[0].legend(loc="upper right", borderaxespad=0)
    return plots.describe(
        fig,
        f"""Data in two humps, noise as a dashed bell, the learned exp(score). {"; ".join(told)}. With good noise the
        curve follows the humps, in the other two it does not.""",
    )


@figure
def nce_shift() -> Figure:
    several = (1, 5, 20)
    found = groups("02_nce", {str(k): f"k = {k}.shift" for k in several})
    fig, ax = plt.subplots(figsize=(6.2, 4.5))
    ends = np.linspace(0.8, 20, 50)
    ax.plot(ends, -np.log(ends), "--", color=plots.COLOURS[1], label="theory: −log K")
    for i, k in enumerate(several):
        ax.plot([k] * len(found[str(k)]), found[str(k)], "o", color=plots.COLOURS[0], markersize=11,
                label=None if i else "learned: dot product − PMI")  # fmt: skip
    ax.set_xscale("log")
    ax.set_xticks(several, [f"K = {k}" for k in several])
    ax.minorticks_off()
    ax.set(ylabel="shift", ylim=(min(-3.3, *found["20"]), 1.2))
    ax.legend(loc="upper right")
    told = "; ".join(f"K = {k}: {np.mean(found[str(k)]):.2f}, theory {0.0 - math.log(k):.2f}" for k in several)
    return plots.describe(fig, f"Mean of dot product minus PMI against the number of noise words. {told}.")
