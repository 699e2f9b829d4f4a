"""Figures of the sixth deck that draw how a method works: SBERT, averaged words, three tasks, two languages."""

from itertools import pairwise

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from clt import plots

from ._drawing import arrow, figure, ink
from .context_drawn import BLUE, BROWN, GREEN, box

GREY = "#9aa0a6"
ENGLISH = ("It has rained.", "We are closed.", "She can swim.")
FRENCH = ("Il a plu.", "C'est fermé.", "Elle sait nager.")


def middle(ax, x: float, y: float, text: str, width: float, **look) -> None:
    """A box with its middle at a place."""
    box(ax, x - width / 2, y, text, width=width, **({"height": 0.72, "fontsize": 17} | look))


@figure
def siamese_sbert() -> Figure:
    fig, axes = plt.subplots(1, 3, figsize=(12.6, 4.9), width_ratios=(0.85, 1, 1))
    titles = ("cross-encoder", "SBERT, while it trains", "SBERT, in use")
    for ax, title in zip(axes, titles, strict=True):
        ax.set(xlim=(0, 5), ylim=(-0.1, 6.1))
        ax.axis("off")
        ax.set_title(title, fontsize=19, loc="center")
    ax = axes[0]
    for y, text, colour in ((0.4, "A [SEP] B", None), (2.1, "BERT", BLUE), (3.8, "head", GREEN)):
        middle(ax, 2.5, y, text, 3.4, colour=colour)
    for low, high in ((0.78, 1.72), (2.48, 3.42), (4.18, 5.0)):
        arrow(ax, (2.5, low), (2.5, high), color=ink(), linewidth=2)
    ax.text(2.5, 5.3, "score of this pair", fontsize=18, ha="center", va="center")
    for ax in axes[1:]:
        for x, text, name in ((1.25, "A", "u"), (3.75, "B", "v")):
            middle(ax, x, 0.4, text, 1.7)
            middle(ax, x, 1.7, "BERT", 1.9, colour=BLUE)
            middle(ax, x, 2.9, f"mean: {name}", 1.9, colour=BLUE)
            arrow(ax, (x, 0.78), (x, 1.32), color=ink(), linewidth=2)
            arrow(ax, (x, 2.08), (x, 2.52), color=ink(), linewidth=2)
        ax.text(2.5, 1.7, "=", fontsize=24, weight="bold", ha="center", va="center")
        used = ax is axes[2]
        middle(ax, 2.5, 4.2, "cos(u, v)" if used else "(u, v, |u − v|)", 3.4, colour=GREEN)
        for x in (1.25, 3.75):
            arrow(ax, (x, 3.28), (2.5 + 0.4 * (x - 2.5), 3.82), color=ink(), linewidth=2)
        arrow(ax, (2.5, 4.58), (2.5, 5.15), color=ink(), linewidth=2)
        text = "similarity" if used else "softmax: follows,\nneutral, contradicts"
        ax.text(2.5, 5.55, text, fontsize=18, ha="center", va="center")
    return plots.describe(
        fig,
        """Left: a cross-encoder, one BERT that reads A and B as one text, and a head. Middle: SBERT while it trains,
        the same BERT twice, once for A and once for B, the means u and v, then (u, v, |u − v|) into a softmax with
        three classes. Right: SBERT in use, with the cosine of u and v in the place of the head.""",
    )


@figure
def siamese_dan() -> Figure:
    words = ["not", "a", "bad", "film"]
    fig, axes = plt.subplots(1, 2, figsize=(7.4, 4.9))
    for ax, deep in zip(axes, (False, True), strict=True):
        ax.set(xlim=(0, 5.6), ylim=(-0.1, 6.4))
        ax.axis("off")
        ax.set_title("DAN" if deep else "bag of words", fontsize=20, loc="center")
        for k, word in enumerate(words):
            x = 0.7 + 1.4 * k
            middle(ax, x, 0.4, word, 1.25, colour=BROWN if word == "not" else None)
            arrow(ax, (x, 0.78), (2.8 + 0.25 * (x - 2.8), 1.5), color=ink(), linewidth=2)
        boxes = [("mean", BLUE), *([("layer, ReLU", GREEN)] * 2 if deep else []), ("softmax", BLUE)]
        at = (1.9, 3.1, 4.3, 5.5) if deep else (1.9, 5.5)
        for (text, colour), y in zip(boxes, at, strict=True):
            middle(ax, 2.8, y, text, 3.2, colour=colour)
        for low, high in pairwise(at):
            arrow(ax, (2.8, low + 0.38), (2.8, high - 0.4), color=ink(), linewidth=2)
    return plots.describe(
        fig,
        """Two networks on the words not, a, bad, film. A bag of words sends their mean into a softmax. A deep
        averaging network has two layers with ReLU in between.""",
    )


@figure
def siamese_use() -> Figure:
    fig, ax = plt.subplots(figsize=(12.2, 4.0))
    ax.set(xlim=(0, 12.2), ylim=(-0.3, 4.6))
    ax.axis("off")
    middle(ax, 6.1, 0.5, "one encoder for all: a Transformer, or a DAN", 7.6, colour=BLUE, fontsize=18)
    tasks = (("neighbours", "which sentences stand\naround this one?"),
             ("conversation", "which answer\nwas given to this?"),
             ("inference", "softmax on\n(u, v, |u − v|, u∗v)"))  # fmt: skip
    for k, (name, what) in enumerate(tasks):
        x = 1.9 + 4.2 * k
        middle(ax, x, 3.9, name, 3.2, colour=GREEN, fontsize=19)
        ax.text(x, 2.75, what, fontsize=18, ha="center", va="center")
        arrow(ax, (6.1 + 0.55 * (x - 6.1), 0.9), (x, 2.15), color=ink(), linewidth=2)
    return plots.describe(
        fig,
        """One encoder, a Transformer or a deep averaging network, from which arrows lead to three tasks: neighbours,
        which sentences stand around this one; conversation, which answer was given; inference, a softmax on u, v,
        their difference and their product.""",
    )


@figure
def siamese_languages() -> Figure:
    fig, ax = plt.subplots(figsize=(8.4, 4.3))
    ax.set(xlim=(-2.15, 6.35), ylim=(3.1, -0.75))
    ax.axis("off")
    for i, text in enumerate(ENGLISH):
        ax.text(-0.12, i + 0.5, text, fontsize=18, ha="right", va="center")
        for j in range(4):
            left, colour = 1.5 * j + 0.25 * (j == 3), GREEN if i == j else BLUE if j == 3 else BROWN
            ax.add_patch(plt.Rectangle((left + 0.05, i + 0.05), 1.4, 0.9, facecolor=colour, linewidth=0))
            ax.text(left + 0.75, i + 0.5, "+" if i == j else "–", color="white", fontsize=23, ha="center", va="center")
    for j, text in enumerate((*FRENCH, "hard ones")):
        said = text.replace("Elle sait", "Elle sait\n").replace("\n ", "\n")
        ax.text(1.5 * j + 0.75 + 0.25 * (j == 3), -0.1, said, fontsize=17, ha="center", va="bottom")
    return plots.describe(
        fig,
        f"""Rows: the English sentences {" ".join(ENGLISH)} Columns: their French translations, and hard negatives. On
        the diagonal the translation is the positive; all else are negatives.""",
    )
