"""Figures of the sixth deck: candidates that a guide or a limit leaves out."""

import random
from functools import cache

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from clt import augment, data, losses, plots
from clt.checks.negatives import MARGINS

from ._drawing import encoder, figure, ground, groups, ink, values
from .context_drawn import BROWN, GREEN
from .negatives import FALSE, GREY, LESSON, POSITIVE, TRUE

PURPLE = "#8f3d78"  # of false negatives, dark enough for white letters
PREMISE, LIMIT = 36, 0.2  # whose candidates are shown, and the lesson's margin below the positive


@figure
def negatives_guide() -> Figure:
    fig, ax = plt.subplots(figsize=(6.6, 4.6))
    shown, told = {"false negatives": ("found", FALSE, "-", "D"), "true negatives": ("lost", TRUE, "--", "X")}, []
    for name, (key, colour, dash, marker) in shown.items():
        line = values(LESSON, f"guide.{key}")[0]
        ax.plot(MARGINS, line, color=colour, linestyle=dash, marker=marker, markersize=11)
        told.append(f"{name}: {line[0]:.0f} % at margin 0, {line[4]:.1f} % at {MARGINS[4]:g}, {line[-1]:.0f} % at 1")
    ax.text(0.5, 92, "false negatives", fontsize=19, ha="left", va="top")
    ax.text(0.72, 16, "true negatives", fontsize=19, ha="right", va="bottom")
    ax.axvspan(0.2, 0.4, color=POSITIVE, alpha=0.18, linewidth=0)
    ax.set(xlabel="margin", ylabel="left out by the guide, %", ylim=(-3, 106), yticks=[0, 50, 100])
    ax.set(xlim=(-0.02, 1.02), xticks=[0, 0.5, 1])
    return plots.describe(fig, f"What the guide leaves out, by its margin. {'. '.join(told)}.")


@figure
def negatives_trap() -> Figure:
    both, told = torch.eye(3).repeat(2, 1), []  # three pairs, and their two sides are one vector
    sides = ["q₁", "q₂", "q₃", "p₁", "p₂", "p₃"]
    fig, axes = plt.subplots(1, 2, figsize=(11.0, 4.3))
    for ax, margin in zip(axes, (0.0, 0.3), strict=True):
        loss = losses.guided_info_nce_loss(both, both, both, both, margin=margin).item()
        for i in range(6):
            for j in range(6):
                own = j in (i, (i + 3) % 6)
                kept = i == j or not own or not both[i] @ both[j] > 1 - margin
                colour, mark = (GREEN, "+") if i == j else (PURPLE, "!") if own else (BROWN, "–")
                cell = {"facecolor": colour if kept else ground(), "edgecolor": GREY, "hatch": "" if kept else "///"}
                ax.add_patch(Rectangle((j + 0.05, i + 0.05), 0.9, 0.9, linewidth=0 if kept else 1, **cell))
                if kept:
                    ax.text(j + 0.5, i + 0.5, mark, color="white", fontsize=20, weight="bold", ha="center", va="center")
        ax.set(xlim=(0, 6), ylim=(6, 0), aspect="equal")
        ax.set_xticks([k + 0.5 for k in range(6)], [*sides[3:], *sides[:3]], fontsize=18)
        ax.set_yticks([k + 0.5 for k in range(6)], sides, fontsize=18)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        ax.set_title(f"margin {margin:g}: loss {loss:.2f}", fontsize=21)
        told.append(f"margin {margin:g}, loss {loss:.2f}")
    return plots.describe(
        fig,
        f"""Six rows that choose among six candidates. On the diagonal the positive; three columns beside it each row
        meets itself. {told[0]}: it stays among the negatives. {told[1]}: it is left out.""",
    )


@cache
def candidates() -> tuple[str, str, list[tuple[str, float, int]]]:
    """A premise, its entailment, and the collection as the encoder ranks it: text, score, whose wording it is."""
    rows, rng = data.load("nli", "train").select(range(250)), random.Random(0)

    def wordings(text: str) -> list[str]:
        found = [text, *(augment.synonyms(text, rng, share=0.5) for _ in range(2))]
        return [*found, augment.delete_words(text, rng, share=0.15)]

    texts = [wording for text in rows["entailment"] for wording in wordings(text)]
    vectors = encoder().encode(texts)
    middle, scale = vectors[::4].mean(dim=0), vectors[::4].std(dim=0)

    def place(found: Tensor) -> Tensor:
        return F.normalize((found - middle) / scale, dim=1)

    scores = (place(encoder().encode([rows["premise"][PREMISE]])) @ place(vectors).T)[0]
    order = scores.argsort(descending=True).tolist()
    ranked = [(texts[i], scores[i].item(), i // 4) for i in order]
    return rows["premise"][PREMISE], rows["entailment"][PREMISE], ranked


@figure
def negatives_mined() -> Figure:
    premise, entailment, ranked = candidates()
    own = next(score for text, score, _ in ranked if text == entailment)
    limit = own - LIMIT * abs(own)
    seen, nearest = set(), []
    for text, score, owner in ranked:
        one = text if owner == PREMISE else owner  # of other sentences the nearest wording is enough
        if one not in seen and len(nearest) < 7:
            nearest.append((text, score, owner == PREMISE))
        seen.add(one)
    fig, axes = plt.subplots(1, 2, figsize=(12.4, 4.2), width_ratios=(1, 1))
    ax, told = axes[0], []
    for row, (text, score, copy) in enumerate(nearest):
        kind = "positive" if text == entailment else "false" if copy else "true"
        colour = {"positive": POSITIVE, "false": FALSE, "true": TRUE}[kind]
        ax.barh(row, score, color=colour, height=0.7, hatch="//" if kind == "false" else "", edgecolor=ink(),
                linewidth=1 if kind == "false" else 0)  # fmt: skip
        told.append(f"{kind} {score:.2f}")
    names = [text if len(text) < 60 else text[:57].rsplit(" ", 1)[0] + " …" for text, *_ in nearest]
    ax.set_yticks(range(len(nearest)), names, fontsize=15)
    ax.axvline(limit, color=ink(), linewidth=2.5, linestyle="--")
    ax.set(ylim=(len(nearest) - 0.4, -0.6), xlim=(0, nearest[0][1] * 1.05), xlabel="cosine with the premise")
    ax.locator_params(axis="x", nbins=3)
    rows = {"none": "none", "at random": "at random", "the nearest": "all", "filtered": "filtered",
            "true ones": "true ones only"}  # fmt: skip
    plots.seeds(groups(LESSON, {shown: f"mined: {row}.search" for shown, row in rows.items()}),
                xlabel="found first, %", ax=axes[1])  # fmt: skip
    axes[1].locator_params(axis="x", nbins=3)
    seeds = fig.alt.lstrip(": ")
    return plots.describe(
        fig,
        f"""Left: the candidates nearest to the premise “{premise}”: {", ".join(told)}; the limit is at {limit:.2f}.
        Right, by which extra negatives were mined: {seeds}""",
    )
