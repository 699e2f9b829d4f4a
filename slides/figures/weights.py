"""Figures of the fourth deck: negatives that do not count alike."""

from collections.abc import Iterable

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure

from clt import losses, plots, results
from clt.checks import labs

from ._drawing import arrow, bare, figure, groups, ink, on_circle, strips, values
from .labels import box, canvas

LESSON = "06_label_aware"


@figure
def weights_six() -> Figure:
    fig, axes = plt.subplots(1, 2, figsize=(11.6, 4.8))
    belief, even = torch.tensor([labs.BELIEF, [0.2] * 5], dtype=torch.float64)
    both, names = {"SupCon": (even, "inside"), "label-aware": (belief, "outside")}, list(labs.SIX)
    kinds = torch.tensor([0, *(labs.CLASSES.index(name) for name in names[1:])])
    for ax, (title, (weights, place)) in zip(axes, both.items(), strict=True):
        points = torch.from_numpy(on_circle(list(labs.SIX.values()))).requires_grad_()
        loss = losses.label_aware_loss(
            points, kinds, weights.log().expand(6, 5), temperature=0.3, positive_weight=place, reduction="none"
        )[0]
        move = (-0.3 * torch.autograd.grad(loss, points)[0]).numpy()
        push = labs.pushes(weights, factor=place == "outside")
        ax.add_patch(plt.Circle((0, 0), 1, fill=False, color="#9aa0a6", linewidth=1.5))
        for k, (p, step) in enumerate(zip(points.detach().numpy(), move, strict=True)):
            colour = plots.COLOURS[(2, 2, 1, 0, 3, 4)[k]]
            size = 13 if title == "SupCon" else 7 + 36 * float(weights[kinds[k]]) ** 0.8
            ax.plot(*p, marker="*osD^v"[k], color=colour, markersize=max(size, 20 if k == 0 else 0))
            if np.linalg.norm(step) > 0.1:
                arrow(ax, p, p + step, color=colour, linewidth=3.5)
            told = f"{names[k]}\n{push[names[k]]:.2f}" if names[k] in ("devastated", "joyful") else names[k]
            ax.text(*(0.62 * p), told, ha="center", va="center", fontsize=15)
        bare(ax, 1.3)
        ax.set_xlim(-1.6, 1.6)
        ax.set_title(title, fontsize=19, loc="center")
    return plots.describe(
        fig,
        """Six points on a circle, twice. SupCon: devastated and joyful, on either side of the anchor sad, are pushed
        away equally far, with 0.49. Label-aware: devastated is pushed with 0.44, joyful hardly at all.""",
    )


@figure
def weights_networks() -> Figure:
    fig, ax = plt.subplots(figsize=(11.4, 4.2))
    canvas(ax, 12, 4.6)
    blue, orange, green = plots.COLOURS[0], "#a84300", "#00704f"
    ax.text(0, 2.3, "a text", va="center", fontsize=19, weight="bold")
    for low, name, colour in ((3.2, "main network", blue), (0.6, "weighting network", orange)):
        arrow(ax, (1.2, 2.3), (2.1, low + 0.4), color=ink(), linewidth=2)
        box(ax, 2.2, low, 3.2, name, colour=colour)
    arrow(ax, (5.45, 3.6), (7.25, 3.6), color=ink(), linewidth=2)
    ax.text(6.3, 3.82, "embedding", ha="center", fontsize=16)
    arrow(ax, (5.45, 1.0), (8.6, 3.1), color=orange, linewidth=3)
    ax.text(6.1, 2.45, "weight of\neach class", ha="center", va="center", fontsize=16)
    box(ax, 7.3, 3.2, 3.2, "label-aware loss", colour=green)
    arrow(ax, (5.45, 0.9), (7.25, 0.9), color=ink(), linewidth=2)
    box(ax, 7.3, 0.6, 3.2, "its own cross entropy", colour=green)
    ax.text(10.7, 3.6, "+ cross\nentropy", va="center", fontsize=16)
    return plots.describe(
        fig,
        """A text enters two networks. The main network gives an embedding to the label-aware loss and has a cross
        entropy of its own. The weighting network gives a weight for each class to the same loss, and learns by its own
        cross entropy.""",
    )


@figure
def weights_confidence() -> Figure:
    names = {"never asked": "label-aware, apart", "inside": "inside", "outside": "label-aware"}
    found = groups(LESSON, {shown: f"{name}, ours.weighting bits" for shown, name in names.items()})
    return strips({"doubt of the weighting network, in bits": found}, (6.4, 3.2))


@figure
def weights_broken() -> Figure:
    names = {"untrained": "untrained", "uniform weights": "no opinion", "one-hot weights": "certain"}
    found = groups(LESSON, {shown: f"{name}, ours.nearest mean" for name, shown in names.items()})
    return strips({"accuracy of the nearest class mean in %, contrastive loss alone": found}, (10.6, 2.9))


@figure
def weights_gains() -> Figure:
    rows = {"label-aware": "label-aware", "SupCon, light": "SupCon, light",
            "label-aware, full strength": "label-aware,\nfull strength", "cross entropy": "cross entropy"}  # fmt: skip
    fig, axes = plt.subplots(1, 2, figsize=(12.0, 4.4), sharey=True)
    told = []
    for ax, (task, title) in zip(axes, {"ours": "Our 15 classes", "ED": "Empathetic Dialogues"}.items(), strict=True):
        rival = values(LESSON, f"SupCon, {task}.accuracy")
        for row, name in enumerate(rows):
            gain = np.subtract(values(LESSON, f"{name}, {task}.accuracy"), rival)
            colour = plots.colour_of(name, row)
            ax.scatter(gain, [row] * len(gain), color=colour, s=60, alpha=0.8, zorder=2)
            ax.plot([gain.mean()] * 2, [row - 0.3, row + 0.3], color=colour, linewidth=3, linestyle="-", zorder=3)
            told.append(f"{title}, {name}: {gain.mean():+.1f}")
        ax.axvline(0, color=ink(), linewidth=1.5, linestyle=":")
        ax.set(xlabel="points above SupCon", ylim=(len(rows) - 0.4, -0.6), yticks=range(len(rows)))
        ax.set_yticklabels(rows.values(), fontsize=16)
        ax.set_title(title, fontsize=19)
    return plots.describe(fig, f"Points above SupCon at the same settings, a dot per seed. {'; '.join(told)}.")


def rows_of(sizes: Iterable[tuple[str, int, int]]) -> Figure:
    fig, ax = plt.subplots(figsize=(10.6, 3.7))
    told = []
    for row, (name, size, colour) in enumerate(sizes):
        look = {"color": plots.COLOURS[colour], "hatch": ("", "//")[colour], "edgecolor": "white", "linewidth": 1}
        ax.barh(row, size, height=0.6, **look)
        ax.text(size, row, f"  {size:,}", va="center", fontsize=18)
        told.append(f"{name}: {size:,}")
    ax.set_yticks(range(len(told)), [line.rpartition(":")[0] for line in told], fontsize=17)
    ax.set(ylim=(len(told) - 0.5, -0.5), xlabel="test sentences")
    ax.margins(x=0.16)
    return plots.describe(fig, f"Bars of numbers of test sentences. {'; '.join(told)}.")


@figure
def weights_power() -> Figure:
    record = results.recorded(LESSON)
    sizes = []
    for task, shown in {"ours": "our set", "ED": "Empathetic Dialogues"}.items():
        row = results.over_texts(record, f"label-aware, {task}", f"SupCon, {task}")
        sizes += [(f"needed, {shown}", row["needed"], 1), (f"there are, {shown}", row["texts"], 0)]
    return rows_of(sizes)
