"""Figures of the second deck: the batch as negatives."""

import math

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from sklearn.datasets import load_digits

from clt import losses, metrics, plots, results, similarity

from ._drawing import encoder, figure, groups, ink, strips
from .losses import GREY

QUESTIONS = {
    "ball": ("A boy kicks a ball across the park.", "A child is playing outdoors."),
    "onions": ("The cook is chopping onions.", "Someone is preparing food."),
    "train": ("Two women wait for the late train.", "People are standing at a station."),
    "bridge": ("A storm has damaged the old bridge.", "Bad weather broke a structure."),
}


def forces(ax, temperature: float) -> float:
    """A query, its positive, six negatives, and the loss's pull and pushes; returns the largest share of the push."""
    angle = torch.tensor([90.0, 62, 122, 30, 165, 225, 300, 345]).deg2rad()
    place = torch.stack([angle.cos(), angle.sin()], dim=1)
    cosines = []

    def score(query, keys):
        cosines.append((query @ keys.T).requires_grad_())
        return cosines[-1]

    losses.info_nce_loss(place[:1], place[1:2], place[2:], temperature=temperature, similarity=score).backward()
    push = cosines[1].grad[0] / cosines[1].grad.sum()
    ax.add_patch(plt.Circle((0, 0), 1, fill=False, color=GREY, linewidth=1.5))
    ax.scatter(*place[0], marker="*", s=520, color=ink(), zorder=3)
    ax.scatter(*place[1], marker="s", s=190, color=plots.COLOURS[2], zorder=3)
    ax.scatter(*place[2:].T, marker="X", s=50 + 500 * push, color=plots.COLOURS[1], zorder=3)
    along = torch.stack([-angle.sin(), angle.cos()], dim=1)[1:] * torch.sign(angle[1:] - angle[0])[:, None]
    along[angle[1:] - angle[0] > torch.pi] *= -1  # away from the query, on the shorter way round
    moves = along * torch.cat([-torch.ones(1), push])[:, None]
    ax.quiver(*place[1:].T, *moves.T, angles="xy", scale_units="xy", scale=2.3, width=0.016, zorder=2, color=ink())
    ax.set(xlim=(-1.55, 1.35), ylim=(-1.2, 1.4), aspect="equal")
    ax.axis("off")
    return push.max().item()


@figure
def losses_cover() -> Figure:
    fig, ax = plt.subplots(figsize=(4.8, 4.2))
    forces(ax, 0.3)
    return plots.describe(fig, "A star on a circle; one square is drawn to it, six crosses are pushed away from it.")


@figure
def infonce_rows() -> Figure:
    asked, answers = (encoder().encode(list(side)) for side in zip(*QUESTIONS.values(), strict=True))
    cosines = similarity.cosine_similarity(asked, answers)
    fig, axes = plt.subplots(1, 2, figsize=(11.0, 4.0))
    plots.heat_map(cosines, list(QUESTIONS), title="cosine", ax=axes[0])
    plots.heat_map((cosines / 0.05).softmax(dim=1), list(QUESTIONS), title="softmax of cosine / τ", ax=axes[1])
    for ax in axes:
        ax.collections[0].colorbar.remove()
        ax.tick_params("x", rotation=0)
        plt.setp(ax.texts, fontsize=17)
    return fig


@figure
def infonce_forces() -> Figure:
    fig, axes = plt.subplots(1, 3, figsize=(11.4, 3.9))
    told = []
    for temperature, ax in zip((0.05, 0.3, 3.0), axes, strict=True):
        largest = forces(ax, temperature)
        ax.set_title(f"τ = {results.number(temperature)}", fontsize=20, loc="center")
        told.append(f"at {results.number(temperature)} the nearest negative takes {largest:.0%} of the push")
    return plots.describe(
        fig, f"Three circles with a query, its positive and six negatives, as temperature grows: {'; '.join(told)}."
    )


@figure
def infonce_temperature() -> Figure:
    taus = ("0.001", "0.01", "0.05", "0.1", "1")
    entry = next(e for e in results.published("03_info_nce") if e["table"] == "temperature")
    paper = {row["name"].removeprefix("τ = "): row["paper"] for row in entry["rows"]}
    found = groups("03_info_nce", {tau: f"τ = {float(tau)}.sts" for tau in taus})
    fig, axes = plt.subplots(1, 2, figsize=(11.4, 3.6))
    at = range(len(taus))
    theirs, ours = [paper[tau] for tau in taus], [found[tau] for tau in taus]
    axes[0].plot(at, theirs, "-s", color=plots.COLOURS[1])
    axes[1].plot(at, [np.mean(values) for values in ours], "-", color=plots.COLOURS[0])
    for i, values in zip(at, ours, strict=True):
        axes[1].plot([i] * len(values), values, "o", color=plots.COLOURS[0], alpha=0.7)
    span = max(max(theirs) - min(theirs), np.ptp(np.array(ours))) + 4  # one scale for both
    for ax, values, name in zip(axes, (np.array(theirs), np.array(ours)), ("paper", "ours"), strict=True):
        middle = (values.max() + values.min()) / 2
        ax.set(ylim=(middle - span / 2, middle + span / 2), xticks=at, xticklabels=taus, xlabel="τ")
        ax.set_title(f"{name}: Spearman × 100", fontsize=17)
    told = "; ".join(f"{tau}: {a:.1f} and {np.mean(b):.1f}" for tau, a, b in zip(taus, theirs, ours, strict=True))
    return plots.describe(fig, f"Spearman × 100 by temperature, the paper's and ours, on one scale. {told}.")


@figure
def infonce_ceiling() -> Figure:
    generator, truth = torch.Generator().manual_seed(0), torch.linspace(0.5, 10, 12)

    def bound(information, n):
        return np.mean(
            [metrics.info_nce_bound(metrics.gaussian_scores(information, n, generator=generator)) for _ in range(10)]
        )

    bounds = {n: [bound(information, n) for information in truth.tolist()] for n in (512, 64, 8)}
    lines = {"the truth": truth.numpy()} | {f"N = {n}": found for n, found in bounds.items()}
    fig, ax = plt.subplots(figsize=(6.8, 4.9))
    plots.curves(
        lines, x=truth.numpy(), xlabel="true mutual information (nats)", ylabel="InfoNCE's bound (nats)", ax=ax
    )
    for n in bounds:
        ax.annotate(f"log {n}", (10.2, math.log(n)), va="center")
    ax.set(xlim=(0, 12), ylim=(0, 10.3))
    return plots.describe(fig, f"{fig.alt.lstrip(': ')} Each bound ends at log N.")


@figure
def soft_neighbours() -> Figure:
    labels, where = torch.tensor([0, 0, 0, 1, 1]), np.linspace(0.1, 3, 40)

    def cost(*positives):
        x = torch.tensor([0.0, *positives, 1.5, -1.5])[:, None]
        return losses.soft_nearest_neighbor_loss(x, labels, reduction="none")[0].item()

    lines = {"both move away": [cost(x, x) for x in where], "one stays near": [cost(0.1, x) for x in where]}
    fig, ax = plt.subplots(figsize=(6.3, 4.5))
    plots.curves(lines, x=where, xlabel="distance of the positives", ylabel="loss of the anchor", ax=ax)
    ax.axvline(1.5, color=GREY, linewidth=1.5, linestyle=":")
    ax.annotate("negatives", (1.5, ax.get_ylim()[1] * 0.42), (7, 0), textcoords="offset points")
    return plots.describe(fig, f"{fig.alt.lstrip(': ')} The two negatives stand at distance 1.5.")


@figure
def ntxent_matrix() -> Figure:
    n = 4
    fig, ax = plt.subplots(figsize=(5.4, 4.9))
    for i in range(2 * n):
        for j in range(2 * n):
            look = {"facecolor": plots.COLOURS[5], "alpha": 0.35}
            if i == j:
                look = {"facecolor": "none", "hatch": "///"}
            elif abs(i - j) == n:
                look = {"facecolor": plots.COLOURS[2]}
            ax.add_patch(plt.Rectangle((j, i), 1, 1, edgecolor=GREY, linewidth=1, **look))
            if abs(i - j) == n:
                ax.text(j + 0.5, i + 0.54, "+", ha="center", va="center", fontsize=22, color="white", weight="bold")
    names = [f"{i}{prime}" for prime in ("", "′") for i in range(1, n + 1)]
    ax.set(xlim=(0, 2 * n), ylim=(2 * n, 0), aspect="equal")
    ax.set_xticks(np.arange(2 * n) + 0.5, names)
    ax.set_yticks(np.arange(2 * n) + 0.5, names)
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return plots.describe(
        fig,
        "A square of two views of four examples, 8 by 8: oneself is left out, one twin is the positive in each row.",
    )


@figure
def ntxent_terms() -> Figure:
    names = {"digits, untrained": "untrained net", "3 epochs": "batch 32, 3 epochs", "9 epochs": "batch 32, 9 epochs"}
    found = groups("03_info_nce", {shown: f"{name}.cosine of others" for shown, name in names.items()})
    names = {"texts, untrained": "before training", "first force alone": "no negatives", "both": "τ = 0.05"}
    found |= groups("03_info_nce", {shown: f"{name}.mean cosine" for shown, name in names.items()})
    return strips({"mean cosine with others": found}, (5.5, 4.0))


@figure
def simclr_batches() -> Figure:
    entry = next(e for e in results.published("03_info_nce") if e["table"] == "batch_size")
    rows = [row for row in entry["rows"] if row["paper"] is not None]
    names = [row["key"].removesuffix(".accuracy") for row in rows]
    paper = {row["name"].partition(",")[0].partition(" (")[0] + (", long" if "long" in row["name"] else ", short"):
             [row["paper"]] for row in rows}  # fmt: skip
    ours = groups("03_info_nce", {name: f"{name}.accuracy" for name in names})
    fig, axes = plt.subplots(1, 2, figsize=(11.6, 3.9))
    for ax, found, title in zip(axes, (paper, ours), ("paper: ImageNet", "ours: digits, five seeds"), strict=True):
        plots.seeds(found, xlabel="accuracy in %", ax=ax)
        ax.set_title(title)
    theirs = "; ".join(f"{name} {values[0]}" for name, values in paper.items())
    mine = "; ".join(f"{name} {np.mean(values):.1f}" for name, values in ours.items())
    return plots.describe(
        fig, f"Accuracy in % by batch size and length of training. The paper: {theirs}. Ours: {mine}."
    )


@figure
def simclr_copies() -> Figure:
    names = {
        "96 pictures once": "batch 96, 3 epochs",
        "6 pictures, 16 times": "16 copies",
        "the same, copies masked": "16 copies, masked",
    }
    found = groups("03_info_nce", {name: f"{key}.cosine of others" for name, key in names.items()})
    return strips({"mean cosine of different test pictures": found}, (10.4, 2.7))


def view(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Lesson 03's: a random crop of 60 to 100 % of the side, shifted, scaled back to 8 × 8; and noise."""
    side = 0.6 + 0.4 * torch.rand(len(x), 1, 1, generator=generator)
    shift = 0.25 * (2 * torch.rand(len(x), 2, 1, generator=generator) - 1)
    grid = F.affine_grid(torch.cat([side * torch.eye(2), shift], dim=2), (len(x), 1, 8, 8), align_corners=False)
    crop = F.grid_sample(x[:, None], grid, align_corners=False)[:, 0]
    return crop + 0.1 * torch.randn(x.shape, generator=generator)


@figure
def simclr_views() -> Figure:
    images, generator = torch.from_numpy(load_digits().images[:6] / 16).float(), torch.Generator().manual_seed(0)
    rows = {"picture": images} | {f"view {i}": view(images, generator) for i in (1, 2)}
    fig = plt.figure(figsize=(11.8, 3.6))
    left, right = fig.subfigures(1, 2, width_ratios=(1.0, 1.25))
    for row, (name, pictures) in zip(left.subplots(3, 6), rows.items(), strict=True):
        for ax, picture in zip(row, pictures, strict=True):
            ax.imshow(picture, cmap="gray_r", vmin=0, vmax=1)
            ax.set(xticks=[], yticks=[])
        row[0].set_ylabel(name, rotation=0, ha="right", va="center")
    names = {"raw pixels": "raw pixels", "untrained": "untrained net", "3 epochs": "batch 32, 3 epochs",
             "9 epochs": "batch 32, 9 epochs"}  # fmt: skip
    found = groups("03_info_nce", {shown: f"{name}.accuracy" for shown, name in names.items()})
    plots.seeds(found, xlabel="views recognised, in %", ax=right.subplots())
    told = "; ".join(f"{name} {results.number(np.mean(values))}" for name, values in found.items())
    return plots.describe(fig, f"Left: six digits and two views of each, cropped and noisy. Right: % right, {told}.")
