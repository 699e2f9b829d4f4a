"""Figures of the seventh deck: candidates that a guide or a limit leaves out."""

import random
from functools import cache

import matplotlib.pyplot as plt
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor

from clt import augment, data, plots
from clt.checks.negatives import MARGINS

from ._drawing import encoder, figure, groups, ink, values
from .negatives import FALSE, LESSON, POSITIVE, TRUE

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
