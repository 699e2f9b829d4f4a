"""Figures of the fifth deck that draw how a task works: who sees whom, what is hidden, what is written, who judges."""

from textwrap import fill

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from clt import plots

from ._drawing import arrow, figure, ground, ink
from .context_drawn import BLUE, BROWN, GREEN, box

GREY = "#9aa0a6"
WORDS = ["Two", "hours", "before", "curtain", "the", "leading", "lady", "lost", "her", "voice"]


@figure
def predicting_sight() -> Figure:
    words = ["she", "drank", "cold", "water"]
    panels = {"BERT: all, except the holes": lambda i, j: i != j, "GPT, LSTM: what stands before": lambda i, j: j < i,
              "ELMo: two LSTMs, apart": lambda i, j: i != j}  # fmt: skip
    fig, axes = plt.subplots(1, 3, figsize=(12.2, 4.1))
    for ax, (title, sees) in zip(axes, panels.items(), strict=True):
        for i in range(4):
            for j in range(4):
                colour = None
                if sees(i, j):
                    colour = BROWN if "ELMo" in title and j > i else BLUE
                look = {"facecolor": colour or ground(), "edgecolor": GREY, "linewidth": 1.5}
                ax.add_patch(plt.Rectangle((j + 0.05, i + 0.05), 0.9, 0.9, **look))
                if colour:
                    mark = ("←" if j > i else "→") if "BERT" not in title else "•"
                    ax.text(j + 0.5, i + 0.5, mark, color="white", fontsize=22, ha="center", va="center")
        ax.set(xlim=(-0.05, 4.05), ylim=(4.05, -0.05), aspect="equal")
        ax.set_xticks([k + 0.5 for k in range(4)], words, fontsize=17)
        ax.set_yticks([k + 0.5 for k in range(4)], words, fontsize=17)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        ax.set_title(title, fontsize=18, loc="center")
    axes[0].set_ylabel("word to be predicted", fontsize=17)
    axes[1].set_xlabel("word that is read", fontsize=17)
    return plots.describe(
        fig,
        """Three grids of four words: rows are predicted, columns are read. BERT predicts a hidden word from all the
        others. From left to right only the words before it are read. ELMo has one network for the words before and
        another one for those after, and no place sees both at once.""",
    )


def row_of(ax, y: float, words: list[str], hidden: set[str], *, left: float = 0.0) -> None:
    """Words in boxes, side by side; what is hidden stands out."""
    for word in words:
        width = 0.25 + 0.142 * len(word)
        box(ax, left, y, word, width=width, height=0.66, fontsize=16, colour=BROWN if word in hidden else None)
        left += width + 0.08


@figure
def predicting_damage() -> Figure:
    hole, x, y = "▢", "⟨X⟩", "⟨Y⟩"
    rows = {
        "BERT": ([*WORDS[:3], hole, *WORDS[4:8], hole, *WORDS[9:]], "the holes, all at once", "curtain … her"),
        "MASS": ([*WORDS[:2], *5 * [hole], *WORDS[7:]], "the piece", " ".join(WORDS[2:7])),
        "T5": ([*WORDS[:3], x, *WORDS[5:7], y], "what is missing", f"{x} curtain the {y} lost her voice"),
        "BART": ([hole, *WORDS[2:4], hole, *WORDS[7:]], "the whole text", " ".join(WORDS)),
    }
    fig, ax = plt.subplots(figsize=(13.6, 4.75))
    ax.set(xlim=(0, 13.6), ylim=(4.5, -0.75))
    ax.axis("off")
    ax.text(1.1, -0.5, "reads", fontsize=18, weight="bold", va="center")
    ax.text(10.0, -0.5, "writes", fontsize=18, weight="bold", va="center")
    told = []
    for k, (name, (read, what, written)) in enumerate(rows.items()):
        at = 0.25 + 1.15 * k
        ax.text(0, at, name, fontsize=20, weight="bold", va="center")
        row_of(ax, at, read, {hole, x, y}, left=1.1)
        ax.text(10.0, at, f"{what}:\n{fill(written, 32)}", fontsize=16, va="center", linespacing=1.15)
        told.append(f"{name} reads “{' '.join(read)}” and writes {what}, “{written}”")
    alt = "; ".join(told).replace(hole, "[mask]")
    return plots.describe(fig, f"One sentence, damaged in four ways, and what has to be written. {alt}.")


@figure
def predicting_electra() -> Figure:
    text = ["the", "otter", "caught", "a", "small", "fish"]
    drawn = ["the", "cat", "caught", "a", "small", "fish"]
    fig, ax = plt.subplots(figsize=(12.4, 4.0))
    ax.set(xlim=(0, 14.6), ylim=(4.0, -0.5))
    ax.axis("off")
    hidden = ["▢" if k in (1, 4) else word for k, word in enumerate(text)]
    columns = {0.0: (text, {}), 2.55: (hidden, {1: BROWN, 4: BROWN}), 6.7: (drawn, {1: BROWN, 4: GREEN})}
    for left, (words, colours) in columns.items():
        for k, word in enumerate(words):
            box(ax, left, 0.1 + 0.68 * k, word, width=1.7, height=0.58, fontsize=18, colour=colours.get(k))
    for k, word in enumerate(drawn):
        fake = word != text[k]
        ax.text(12.2, 0.1 + 0.68 * k, "replaced" if fake else "original", fontsize=19, va="center",
                weight="bold" if fake else "normal")  # fmt: skip
    ax.add_patch(plt.Rectangle((4.55, 0.9), 1.85, 1.8, facecolor=BLUE, edgecolor="none"))
    ax.text(5.47, 1.8, "generator\n(small)", color="white", fontsize=17, ha="center", va="center")
    ax.add_patch(plt.Rectangle((8.85, 0.9), 2.35, 1.8, facecolor=BLUE, edgecolor="none"))
    ax.text(10.02, 1.8, "discriminator\n(this we keep)", color="white", fontsize=17, ha="center", va="center")
    for start, end in ((1.75, 2.5), (4.28, 4.53), (6.42, 6.68), (8.43, 8.82), (11.24, 12.05)):
        arrow(ax, (start, 1.8), (end, 1.8), color=ink(), linewidth=2)
    return plots.describe(
        fig,
        """From left to right: a sentence; the same with the words otter and small hidden; a small generator, which
        fills in cat and, by luck, small again; a discriminator, which has to say replaced of cat and original of all
        other words, the lucky guess among them.""",
    )
