"""Figures of the second deck: triplets, and data against noise."""

import math

import matplotlib.pyplot as plt
import numpy as np
import seaborn
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from sklearn.datasets import load_digits
from torch.distributions import Normal

from clt import data, losses, plots, results, similarity

from ._drawing import INK, figure, groups, ink, strips, values

GREY = "#9aa0a6"
MARGIN = 0.2  # FaceNet's, and the lesson's
GROUND = {INK["light"]: "#fcfcf9", INK["dark"]: "#14181e"}  # of the theme: a rim that parts a text from a line below it


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
    pixels, digit = load_digits(return_X_y=True)
    four = np.concatenate([np.flatnonzero(digit == k)[:4] for k in range(10)])
    distance = similarity.squared_euclidean(F.normalize(torch.from_numpy(pixels[four]), dim=1)).numpy()
    same = digit[four, None] == digit[four]
    a, p, n = np.nonzero((same & ~np.eye(40, dtype=bool))[:, :, None] & ~same[:, None, :])
    farther = distance[a, n] - distance[a, p]
    costs = np.where(farther < MARGIN, "costs something", "costs nothing")
    silent, wrong = np.mean(farther >= MARGIN), np.mean(farther < 0)
    fig, ax = plt.subplots(figsize=(6.4, 4.6))
    look = {"hue_order": ["costs something", "costs nothing"], "palette": [plots.COLOURS[1], plots.COLOURS[0]]}
    seaborn.histplot(x=farther, hue=costs, binwidth=0.05, binrange=(-0.8, 1.4), multiple="stack", ax=ax, **look)
    ax.axvline(0, color=ink(), linewidth=1.5, linestyle=":")
    ax.text(0.97, 0.62, f"{silent:.0%} silent", transform=ax.transAxes, ha="right")
    ax.set(xlabel="negative farther than positive by", ylabel="triplets")
    seaborn.move_legend(ax, "upper right", title=None, fontsize=13, borderaxespad=0)
    return plots.describe(
        fig,
        f"""Histogram of {len(a):,} triplets of raw pixels: how much farther the negative is than the positive.
        {silent:.0%} lie beyond the margin and cost nothing; only in {wrong:.0%} is the negative nearer.""",
    )


@figure
def triplet_mining() -> Figure:
    kinds = ("untrained", "raw pixels", "random", "all", "semi-hard", "hard")
    found = groups("01_triplet_loss", {kind: f"{kind}.digits" for kind in kinds})
    return strips({"recognised from one picture each, in %": found}, (10.4, 3.7))


@figure
def triplet_collapse() -> Figure:
    fig, ax = plt.subplots(figsize=(6.5, 4.8))
    names = ("semi-hard", "hard")
    plots.seed_curves({name: values("01_triplet_loss", f"{name}.loss") for name in names}, ylabel="loss", ax=ax)
    ax.axhline(MARGIN, color=GREY, linewidth=1.5, linestyle="-", zorder=0)
    ax.annotate("the margin", (50, MARGIN), xytext=(0, -5), textcoords="offset points", ha="right", va="top")
    plt.setp(ax.texts, fontsize=15, color=ink())
    ax.set(ylim=(0.1, None), xlim=(0, 64), xticks=[1, 25, 50])
    return plots.describe(fig, f"{fig.alt.lstrip(': ')} A grey line marks the margin, {MARGIN}.")


@figure
def triplet_sentences() -> Figure:
    names = {"untrained": "untrained", "a stranger": "stranger", "a contradiction": "contradiction", "both": "both"}
    found = groups("01_triplet_loss", {name: f"{key}.order" for name, key in names.items()})
    return strips({"test triplets in the right order, in %": found}, (10.4, 3.0))


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
    names = ("good noise", "easy noise", "no correction")
    fig, axes = plt.subplots(1, 3, figsize=(12.0, 3.6), width_ratios=(1.15, 1, 1))
    line = torch.linspace(-6, 11, 400)
    humps = 0.6 * Normal(-2.0, 0.5).log_prob(line).exp() + 0.4 * Normal(1.5, 0.9).log_prob(line).exp()
    axes[0].fill_between(line, humps, color=plots.COLOURS[5], alpha=0.5, linewidth=0, label="data")
    for bell, dash, name in ((Normal(0.0, 2.5), "--", "good noise"), (Normal(8.0, 1.0), ":", "easy noise")):
        axes[0].plot(line, bell.log_prob(line).exp(), dash, color=plots.COLOURS[1], label=name)
    axes[0].set(yticks=[], ylim=(0, 0.75), xticks=[-5, 0, 5, 10])
    axes[0].legend(loc="upper right", borderaxespad=0)
    found = {m: groups("02_nce", {name: f"{name}.{m}" for name in names}) for m in ("last loss", "from log p")}
    plots.describe(fig, "Data in two humps; one noise covers both, the other stands beside them.")
    for ax, (measure, label) in zip(axes[1:], (("last loss", "loss"), ("from log p", "error of log p")), strict=True):
        plots.seeds(found[measure], xlabel=label, ax=ax)
    axes[2].tick_params("y", labelleft=False)
    return plots.describe(fig, fig.alt.replace(" : ", " "))


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
