"""Figures of the seventh deck that draw how a method works: a batch of two towers, late interaction, three scores."""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure

from clt import encoders, plots

from ._drawing import arrow, encoder, figure, ground, ink
from .context_drawn import BLUE, BROWN, GREEN, box

GREY = "#9aa0a6"
QUESTION, PASSAGE = (
    "Why do trout survive when the pond is frozen?",
    "ice forms at the top, where it shields the fish below.",
)


@figure
def retrieval_batch() -> Figure:
    fig, ax = plt.subplots(figsize=(5.6, 4.6))
    ax.set(xlim=(-1.2, 8.6), ylim=(6.1, -1.5))
    ax.axis("off")
    for i in range(4):
        ax.text(-0.25, i + 0.5, f"q{'₁₂₃₄'[i]}", fontsize=21, ha="right", va="center")
        for j in range(8):
            left = j + 0.3 * (j > 3)
            colour = GREEN if i == j else BROWN if j < 4 else BLUE
            ax.add_patch(plt.Rectangle((left + 0.05, i + 0.05), 0.9, 0.9, facecolor=colour, linewidth=0))
            ax.text(left + 0.5, i + 0.5, "+" if i == j else "–", color="white", fontsize=19, ha="center", va="center")
    ax.text(2, -0.35, "answers", fontsize=19, ha="center", va="bottom")
    ax.text(6.3, -0.35, "BM25's", fontsize=19, ha="center", va="bottom")
    ax.text(2, 4.3, "3 negatives\nof the batch", fontsize=18, ha="center", va="top")
    ax.text(6.3, 4.3, "4 hard negatives\nfor each question", fontsize=18, ha="center", va="top")
    return plots.describe(
        fig,
        """Four questions as rows. Columns: the four answers, with each question's own on the diagonal, then four
        passages that BM25 ranked first although they do not answer. All but the diagonal are negatives.""",
    )


def token_states(text: str) -> tuple[list[str], torch.Tensor]:
    """The word pieces of a text, and what the encoder makes of each, of length 1."""
    reader = encoder()
    was_training, batch = reader.training, reader.tokenize([text])
    reader.eval()  # without dropout
    with torch.no_grad():
        states = reader.model(**batch).last_hidden_state[0, 1:-1]
    reader.train(was_training)
    return reader.tokenizer.convert_ids_to_tokens(batch["input_ids"][0])[1:-1], F.normalize(states.float(), dim=1)


@figure
def retrieval_tokens() -> Figure:
    words, states = zip(*(token_states(text) for text in (QUESTION, PASSAGE)), strict=True)
    best, where = (states[0] @ states[1].T).max(dim=1)
    fig, ax = plt.subplots(figsize=(12.2, 3.5))
    places = []
    for row, (names, y) in enumerate(zip(words, (1.0, 0.0), strict=True)):
        width = [0.24 + 0.15 * len(name) for name in names]
        left = [sum(width[:k]) + 0.06 * k for k in range(len(names))]
        shift = 0.5 * (12.2 - left[-1] - width[-1])
        places.append([shift + x + w / 2 for x, w in zip(left, width, strict=True)])
        for name, x, w in zip(names, left, width, strict=True):
            box(ax, shift + x, y, name, width=w, height=0.2, fontsize=18, colour=(BLUE, GREEN)[row])
    for i, j in enumerate(where.tolist()):
        ax.plot([places[0][i], places[1][j]], [0.9, 0.1], color=plots.COLOURS[1], zorder=0, linestyle="-",
                linewidth=1 + 22 * (best[i].item() - 0.5))  # fmt: skip
    ax.set(xlim=(0, 12.2), ylim=(-0.2, 1.2))
    ax.axis("off")
    told = ", ".join(f"{words[0][i]}–{words[1][j]} {best[i]:.2f}" for i, j in enumerate(where.tolist()))
    return plots.describe(
        fig,
        f"""The words of a question above, those of a passage below. From each word of the question a line leads to the
        word of the passage that is nearest to it: {told}.""",
    )


@figure
def retrieval_heads() -> Figure:
    share = encoders.M3Encoder.SHARE
    fig, ax = plt.subplots(figsize=(5.9, 4.9))
    ax.set(xlim=(0, 5.9), ylim=(-0.6, 4.6))
    ax.axis("off")
    box(ax, 1.2, 0, "one encoder", width=3.5, height=0.75, fontsize=20, colour=BLUE)
    for k, (head, part) in enumerate(share.items()):
        x = (0.95, 2.95, 4.95)[k]
        arrow(ax, (2.95, 0.4), (x, 1.25), color=ink(), linewidth=2)
        name = head.replace("multi-vector", "multi-\nvector")
        box(ax, x - 0.85, 1.7, name, width=1.7, height=0.85, fontsize=18, colour=GREEN)
        arrow(ax, (x - 0.15, 2.15), (2.95 - 0.25 + 0.25 * k, 3.3), color=ink(), linewidth=2)
        arrow(ax, (2.95 + 0.9 * (k - 1) + 0.25, 3.3), (x + 0.25, 2.15), color=plots.COLOURS[1], linewidth=2.5,
              linestyle="--")  # fmt: skip
        at = ((1.15, 2.95), (2.2, 2.42), (4.95, 2.95))[k]
        ax.text(*at, f"× {part:g}", fontsize=18, ha="center", va="center",
                bbox={"facecolor": ground(), "edgecolor": "none", "pad": 1})  # fmt: skip
    box(ax, 1.2, 3.7, "ensemble", width=3.5, height=0.75, fontsize=20, colour=BROWN)
    ax.text(5.9, 4.25, "teaches (dashed)", fontsize=17, ha="right", va="bottom")
    return plots.describe(
        fig,
        f"""One encoder, from which arrows lead to the heads dense, sparse and multi-vector, and from these, with the
        weights {", ".join(f"{part:g}" for part in share.values())}, to an ensemble. Dashed arrows lead back from the
        ensemble to each head.""",
    )
