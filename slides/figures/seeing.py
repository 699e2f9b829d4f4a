"""Figures of the fifth deck: relations as matrices, and maps on which neighbours stay neighbours."""

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from clt import data, plots, results
from clt.similarity import squared_euclidean

from ._drawing import arrow, bare, figure, ground, ink, on_circle, values
from ._seeing_maps import FEELINGS, placed, points_of, principal, width_at

LESSON = "08_seeing"
GREY = "#9aa0a6"
CLOUDS = {"sizes": 20.0, "distances": 20.0, "noise": 2.0}  # and the perplexity of their maps


def mean(key: str) -> float:
    return sum(values(LESSON, key)) / len(values(LESSON, key))


def scatter(ax, positions, labels, names=(), *, size: float = 26, fontsize: float = 18, above: float = 0) -> None:
    """A map: a colour and a mark for each class, and its name in its middle, or above it."""
    positions, labels = np.asarray(positions), np.asarray(labels)
    for i in range(labels.max() + 1):
        colour, marker = plots.COLOURS[i % len(plots.COLOURS)], plots.MARKERS[(i + i // 8) % len(plots.MARKERS)]
        colour = ink() if colour == "#000000" else colour  # black cannot be seen on the dark slides
        own = positions[labels == i]
        ax.scatter(*own.T, s=size, color=colour, marker=marker, alpha=0.7, linewidths=0)
        if names:
            x, y = np.median(own, axis=0)
            text = ax.text(x, own[:, 1].max() + above * np.ptp(positions, axis=0).max() if above else y, names[i],
                           fontsize=fontsize, weight="bold", ha="center", va="center", color=ink())  # fmt: skip
            text.set_path_effects([withStroke(linewidth=4, foreground=ground())])
    ax.margins(0.12 if above else 0.04)
    ax.set(xticks=[], yticks=[], aspect="equal", adjustable="datalim")
    ax.spines[:].set_visible(False)


@figure
def seeing_cover() -> Figure:
    fig, ax = plt.subplots(figsize=(4.6, 4.6))
    scatter(ax, placed("digits", "t-SNE", 30.0), points_of("digits")[1], size=40)
    return plots.describe(fig, "A map of many points in ten colours, which lie in ten groups. Nothing is named.")


@figure
def seeing_turn() -> Figure:
    concepts = on_circle([0, 90, 180, 270])
    landed = on_circle([60])[0]
    share = np.exp(-((landed - concepts) ** 2).sum(axis=1))
    share /= share.sum()
    fig, ax = plt.subplots(figsize=(5.6, 5.2))
    ax.add_patch(plt.Circle((0, 0), 1, fill=False, color=GREY, linewidth=1.5))
    for k, (place, p) in enumerate(zip(concepts, share, strict=True)):
        look = {"color": plots.COLOURS[2], "linestyle": "-", "linewidth": 1 + 12 * p, "alpha": 0.6}
        ax.plot(*zip(landed, place, strict=True), **look)
        ax.plot(*place, marker="o", markersize=34, color=plots.COLOURS[0])
        ax.text(*place, str(k + 1), color="white", ha="center", va="center", fontsize=20, weight="bold")
        ax.text(*((1.45, 1.32)[k % 2] * place), f"{p:.0%}", ha="center", va="center", fontsize=21)
    turn = 0.62 * on_circle(np.linspace(4, 56, 30))
    ax.plot(*turn[:-1].T, color=ink(), linewidth=2.5, linestyle="-")
    arrow(ax, turn[-3], turn[-1], color=ink(), linewidth=2.5)
    ax.text(*(0.42 * on_circle([30])[0]), "R", ha="center", va="center", fontsize=24, style="italic", weight="bold")
    ax.plot(*landed, marker="*", markersize=30, color=plots.COLOURS[1], markeredgecolor=ground())
    bare(ax, 1.7)
    told = ", ".join(f"number {k + 1} {p:.0%}" for k, p in enumerate(share))
    return plots.describe(
        fig,
        f"""Four concepts on a circle. From number 1 a matrix turns by 60 degrees, which ends short of number 2. Lines
        lead from there to all four, with their probabilities: {told}.""",
    )


@figure
def seeing_family() -> Figure:
    people, _, _ = data.family_trees()
    at = {0: (0.6, 2), 1: (2.4, 2), 2: (6.6, 2), 3: (8.4, 2), 4: (-0.7, 1), 5: (1.1, 1), 6: (3.4, 1), 7: (5.2, 1),
          8: (7.5, 1), 9: (9.3, 1), 10: (3.4, 0), 11: (5.2, 0)}  # fmt: skip
    fig, ax = plt.subplots(figsize=(11.6, 4.4))
    for couple, children in {(0, 1): (5, 6), (2, 3): (7, 8), (6, 7): (10, 11)}.items():
        middle, top = (at[couple[0]][0] + at[couple[1]][0]) / 2, at[couple[0]][1]
        for child in children:
            x, y = at[child]
            ax.plot([middle, middle, x, x], [top, top - 0.45, top - 0.45, y], color=GREY, linewidth=2, linestyle="-",
                    zorder=0)  # fmt: skip
    for a, b in ((0, 1), (2, 3), (4, 5), (6, 7), (8, 9)):
        ax.plot([at[a][0], at[b][0]], [at[a][1]] * 2, color=plots.COLOURS[1], linewidth=4, linestyle="-", zorder=0)
    for i, (x, y) in at.items():
        asked = {"Colin": plots.COLOURS[0], "James": plots.COLOURS[0]}.get(people[i])
        look = {"facecolor": asked or ground(), "edgecolor": GREY, "linewidth": 1.5, "boxstyle": "round,pad=0.3"}
        ax.text(x, y, people[i], ha="center", va="center", fontsize=16, color="white" if asked else ink(), bbox=look)
        ax.text(x, y - 0.235, people[i + 12], ha="center", va="center", fontsize=15, color=ink(), style="italic",
                bbox={"facecolor": ground(), "edgecolor": "none", "pad": 1})  # fmt: skip
    arrow(ax, (3.75, 0.13), (4.8, 0.7), color=plots.COLOURS[0], linewidth=3, connectionstyle="arc3,rad=0.15")
    ax.text(4.45, 0.36, "father", fontsize=17, color=ink(), weight="bold", ha="left", va="center",
            bbox={"facecolor": ground(), "edgecolor": "none", "pad": 1})  # fmt: skip
    ax.set(xlim=(-1.6, 10.2), ylim=(-0.42, 2.25))
    ax.axis("off")
    return plots.describe(
        fig,
        """A family tree of twelve people over three generations, each with an English name and below it an Italian one
        in the same place. An arrow called father leads from Colin to James.""",
    )


@figure
def seeing_understood() -> Figure:
    fig, axes = plt.subplots(1, 2, figsize=(11.4, 4.0), sharey=True)
    steps, told = range(0, 601, 20), []
    for ax, part in zip(axes, ("trained", "held out"), strict=True):
        for i, (called, name) in enumerate({"weight decay": "0.003", "no decay": "0.0"}.items()):
            runs = values(LESSON, f"weight decay {name}.path.{part}")
            colour, dash = plots.COLOURS[i], ("-", "--")[i]
            for run in runs:
                ax.plot(steps, run, color=colour, alpha=0.3, linewidth=1.2, linestyle=dash)
            line = np.mean(runs, axis=0)
            ax.plot(steps, line, color=colour, linewidth=4, linestyle=dash, label=called)
            told.append(f"facts {part}, {called}: {line[1]:.0f} % after 20 steps, {line[-1]:.0f} % at the end")
        ax.axhline(mean("chance.held out"), color=ink(), linewidth=1.5, linestyle=":")
        ax.set(xlabel="step", ylim=(-3, 105), xticks=[0, 200, 400, 600], yticks=[0, 50, 100])
        ax.set_title(f"facts {part}", fontsize=18)
    axes[0].set_ylabel("right, %")
    axes[0].text(600, mean("chance.held out") + 3, "guessing", ha="right", va="bottom", fontsize=15)
    axes[0].legend(loc="center right", fontsize=17)
    return plots.describe(fig, f"Right answers in % against the step, a thin line per seed. {'; '.join(told)}.")


@figure
def seeing_push() -> Figure:
    rows = {"no decay": "weight decay 0.0", "decay 0.0003": "weight decay 0.0003", "decay 0.001": "weight decay 0.001",
            "decay 0.003": "weight decay 0.003",
            "only pull, no decay": "no push, decay 0.0", "only pull, decay 0.001": "no push, decay 0.001"}  # fmt: skip
    fig, axes = plt.subplots(1, 2, figsize=(11.6, 4.1), sharey=True)
    measures = {"held out": "held-out facts right, %", "length": "mean length of a vector"}
    for ax, (measure, what) in zip(axes, measures.items(), strict=True):
        found = {shown: values(LESSON, f"{name}.{measure}") for shown, name in rows.items()}
        plots.seeds(found, xlabel=what, ax=ax)
        ax.axhline(3.5, color=ink(), linewidth=1.5, linestyle=":")
    axes[0].axvline(mean("chance.held out"), color=ink(), linewidth=1.5, linestyle=":")
    axes[0].set(xlim=(-4, 104), xticks=[0, 50, 100])
    axes[1].set(xlim=(-0.12, 3), xticks=[0, 1, 2, 3])
    return plots.describe(fig, fig.alt.lstrip(": ").replace(". : ", ". ").capitalize())


@figure
def seeing_perplexity() -> Figure:
    generator = torch.Generator().manual_seed(3)
    dense = 0.75 * torch.randn(50, 2, generator=generator) + torch.tensor([-1.6, 0.0])
    sparse = 1.2 * torch.randn(25, 2, generator=generator) + torch.tensor([1.9, 0.0])
    x = torch.cat([dense, sparse])
    perplexity, told = 10, []
    fig, ax = plt.subplots(figsize=(7.0, 4.9))
    ax.scatter(*x.T, s=30, color=GREY, linewidths=0, zorder=1)
    for k, (called, centre) in enumerate({"dense": (-1.6, 0.0), "sparse": (1.9, 0.0)}.items()):
        i = int((x - torch.tensor(centre)).square().sum(dim=1).argmin())
        others = torch.arange(len(x)) != i
        squared = squared_euclidean(x.double())[i, others]
        beta = width_at(squared, perplexity)
        p = (-beta * squared).softmax(dim=0).numpy()
        ax.scatter(*x[others].T, s=2000 * p, color=plots.COLOURS[k], alpha=0.75, linewidths=0, zorder=2)
        radius = (1 / (2 * beta)) ** 0.5
        ax.add_patch(plt.Circle(x[i].tolist(), radius, fill=False, color=ink(), linewidth=3, linestyle="--", zorder=4))
        ax.plot(*x[i], marker="*", markersize=15, color=ink(), markeredgecolor=ground(), zorder=5)
        told.append(f"{called} {radius:.2f}")
    ax.set(xlim=(-3.4, 4.5), ylim=(-2.7, 2.7), aspect="equal", xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return plots.describe(
        fig,
        f"""A dense and a sparse group of points. A star in each picks neighbours at perplexity {perplexity}, drawn the
        larger the more probable, within a dashed circle, the width of its Gaussian: {", ".join(told)}.""",
    )


@figure
def seeing_crowding() -> Figure:
    fig, axes = plt.subplots(1, 3, figsize=(11.8, 4.2))
    d = np.linspace(0, 4, 200)
    shown = {"Gaussian": np.exp(-(d**2)), "heavy tail": 1 / (1 + d**2)}
    for i, (name, line) in enumerate(shown.items()):
        axes[0].plot(d, line, color=plots.COLOURS[i], linestyle=("-", "--")[i], linewidth=4, label=name)
    axes[0].set(
        xlabel="distance on the map", ylabel="weight of a pair", xticks=[0, 2, 4], yticks=[0, 1], ylim=(0, 1.25)
    )
    axes[0].legend(loc="upper right", fontsize=16)
    told, letters = [], [*"ABCDEFGHIJK"]
    for ax, how in zip(axes[1:], ("symmetric SNE", "t-SNE"), strict=True):
        scatter(ax, placed("groups", how, 8.0), points_of("groups")[1], letters, size=60, above=0.05)
        cost = results.number(mean(f"groups: {how}, 2-D.cost"), digits=2)
        ax.set_xlabel(f"{how}: cost {cost}", fontsize=18)
        told.append(f"{how} at a cost of {cost}")
    return plots.describe(
        fig,
        f"""Left: the Gaussian falls to nothing at distance 2, the heavy tail does not. Right: eleven equally distant
        groups on two maps, {" and ".join(told)}; under symmetric SNE they touch, under t-SNE there is room
        between.""",
    )


@figure
def seeing_maps() -> Figure:
    shown = [("digits", "symmetric SNE"), ("digits", "t-SNE"), ("emotions", "t-SNE")]
    fig, axes = plt.subplots(1, 3, figsize=(12.2, 4.3))
    told = []
    for ax, (name, how) in zip(axes, shown, strict=True):
        scatter(ax, placed(name, how, 30.0), points_of(name)[1], [*"0123456789"] if name == "digits" else (), size=30)
        share, whole = mean(f"{name}: {how}.own class"), mean(f"{name}: all dimensions.own class")
        ax.set_title({"digits": "digits", "emotions": f"{len(FEELINGS)} feelings"}[name] + f", {how}", fontsize=18)
        ax.set_xlabel(f"own class: {share:.0f} %\nall dimensions: {whole:.0f} %", fontsize=18)
        told.append(f"{name}, {how}: {share:.0f} %, and by all dimensions {whole:.0f} %")
    return plots.describe(fig, f"Three maps. Points whose ten nearest are mostly of their class: {'; '.join(told)}.")


@figure
def seeing_riddle() -> Figure:
    fig, axes = plt.subplots(1, 3, figsize=(11.8, 4.1))
    for ax, letter, (name, perplexity) in zip(axes, "ABC", CLOUDS.items(), strict=True):
        labels = points_of(name)[1]
        names = "123"[: labels.max() + 1] if name != "noise" else ()
        scatter(ax, placed(name, "t-SNE", perplexity), labels, names, size=40, fontsize=22, above=0.1)
        ax.set_xlabel(f"map {letter}", fontsize=21)
    return plots.describe(
        fig,
        """Three t-SNE maps. A: two groups, equally wide. B: three groups, about equally far apart. C: many small
        clumps.""",
    )


@figure
def seeing_truth() -> Figure:
    fig, axes = plt.subplots(1, 3, figsize=(11.8, 3.7))
    said = {"sizes": ("width", "width of group 2", "all dimensions"), "noise": ("evenness", "evenness", "PCA"),
            "distances": ("distance", "distance 2–3", "all dimensions")}  # fmt: skip
    told = []
    for ax, letter, (name, perplexity) in zip(axes, "ABC", CLOUDS.items(), strict=True):
        labels = points_of(name)[1]
        names = "123"[: labels.max() + 1] if name != "noise" else ()
        scatter(ax, principal(name), labels, names, size=36, fontsize=22, above=0.1)
        measure, called, true = said[name]
        here, drawn = mean(f"{name}: {true}.{measure}"), mean(f"{name}: t-SNE at {perplexity:g}.{measure}")
        ax.set_title(f"{letter}, as the data are", fontsize=19)
        line = f"{called}: {results.number(here, digits=2)}\non the map: {results.number(drawn, digits=2)}"
        ax.set_xlabel(line, fontsize=17)
        told.append(f"{letter}, {line.replace(chr(10), ', ')}")
    return plots.describe(fig, f"The same points, two principal components. {'; '.join(told)}.")
