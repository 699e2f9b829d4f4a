"""Figures that draw how a method works: skip-thought (fifth deck and sixth), spans, order, prediction in steps."""

import random

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from clt import data, evaluation, plots
from clt.checks.context import positive_span

from ._drawing import arrow, figure, ground, ink

GREY = "#9aa0a6"
BLUE, GREEN, BROWN = "#00629b", "#007556", "#a84300"  # dark enough for white letters
SHORTEST, LONGEST = 4, 24  # words of a span, as in lesson 10
STORY = 3  # of the held-out stories, for what is written and recognised


def box(ax, x: float, y: float, text: str, *, width: float, height: float = 0.62, fontsize: float = 16, colour=None):
    """A box with a text in its middle."""
    look = {"facecolor": colour or ground(), "edgecolor": colour or GREY, "linewidth": 2}
    ax.add_patch(plt.Rectangle((x, y - height / 2), width, height, **look))
    ax.text(x + width / 2, y, text, ha="center", va="center", fontsize=fontsize, color="white" if colour else ink())


def start(text: str, words: int = 3) -> str:
    found = text.split()
    return " ".join(found[:words]) + (" …" if len(found) > words else "")


def written(ax, before: str, after: str) -> None:
    """From a sentence to its neighbours, word by word."""
    ax.set(xlim=(0, 10), ylim=(-0.2, 4.4))
    ax.axis("off")
    box(ax, 0, 2, "sentence", width=2.3, fontsize=18, colour=BLUE)
    for y, text in ((3.4, before), (0.6, after)):
        words = [*text.split()[:3], "…"]
        arrow(ax, (2.4, 2), (3.5, y), color=ink(), linewidth=2.5)
        for k, word in enumerate(words):
            box(ax, 3.6 + 1.78 * k, y, word, width=1.66 if k < 3 else 0.9, height=0.8)
    ax.text(6.8, 2, "word by word, each out of\nthe whole vocabulary", ha="center", va="center", fontsize=17)


@figure
def context_skip() -> Figure:
    story = data.load("stories", "test")["sentences"][STORY]
    fig, ax = plt.subplots(figsize=(7.0, 4.2))
    written(ax, story[1], story[3])
    return plots.describe(
        fig, "From a sentence, arrows to the one before and the one after, which are written word by word."
    )


@figure
def context_write() -> Figure:
    stories = data.load("stories", "test")["sentences"]
    before, after, other = stories[STORY][1], stories[STORY][3], stories[STORY + 7][1]
    fig, axes = plt.subplots(1, 2, figsize=(12.2, 4.4))
    for ax, title in zip(axes, ("Skip-thought: write them", "QuickThoughts: recognise them"), strict=True):
        ax.set_title(title, fontsize=20)
    written(axes[0], before, after)
    ax = axes[1]
    ax.set(xlim=(0, 10), ylim=(-0.2, 4.4))
    ax.axis("off")
    box(ax, 0, 2, "sentence", width=2.3, fontsize=18, colour=BLUE)
    rows = ((3.7, start(before), True), (2.6, start(other), False), (1.5, "any other in the batch", False),
            (0.4, start(after), True))  # fmt: skip
    for y, text, right in rows:
        if right:
            arrow(ax, (2.4, 2), (3.5, y), color=plots.COLOURS[2], linewidth=4)
        else:
            ax.plot([2.4, 3.5], [2, y], color=GREY, linewidth=2, linestyle=":")
        box(ax, 3.6, y, text, width=6.3, fontsize=17, colour=GREEN if right else None, height=0.8)
    return plots.describe(
        fig,
        """Left: from a sentence, arrows to the one before and the one after, which are written word by word. Right:
        from a sentence, arrows to the same two among others of the batch; they only have to be chosen.""",
    )


@figure
def context_spans() -> Figure:
    fig, axes = plt.subplots(2, 1, figsize=(12.0, 4.4), height_ratios=(1.25, 1))
    ax = axes[0]
    ax.set(xlim=(0, 60), ylim=(-2.6, 1.8))
    ax.axis("off")
    ax.add_patch(plt.Rectangle((0, 0.6), 60, 0.7, facecolor="none", edgecolor=GREY, linewidth=2))
    ax.text(0.6, 0.95, "a text", va="center", fontsize=17)
    ax.add_patch(plt.Rectangle((18, 0.6), 20, 0.7, facecolor=plots.COLOURS[0], edgecolor="none"))
    ax.text(28, 0.95, "anchor", color="white", va="center", ha="center", fontsize=18, weight="bold")
    cuts = {"subsumed": (20, 9), "overlapping": (33, 11), "adjacent": (38, 8)}
    for (name, (first, size)), y in zip(cuts.items(), (-0.4, -1.3, -2.2), strict=True):
        ax.add_patch(plt.Rectangle((first, y - 0.3), size, 0.6, facecolor=plots.COLOURS[2], edgecolor="none"))
        ax.text(first + size + 0.8, y, name, va="center", fontsize=18)
    for x in (18, 38):
        ax.plot([x, x], [0.55, -2.6], color=ink(), linewidth=1.2, linestyle=":")
    rng, stories = random.Random(0), data.load("stories", "test")["sentences"]
    kinds = {kind: [] for kind in ("subsumed", "overlapping", "adjacent")}
    for _ in range(1000):
        words = " ".join(rng.choice(stories)).split()
        size = int(rng.betavariate(4, 2) * (LONGEST - SHORTEST) + SHORTEST)
        begin = rng.randint(0, len(words) - size)
        first, n = positive_span(begin, size, len(words), rng, shortest=SHORTEST, longest=LONGEST)
        touching, inside = first == begin + size or first + n == begin, begin <= first and first + n <= begin + size
        kind = "adjacent" if touching else "subsumed" if inside else "overlapping"
        cut = [" ".join(words[a : a + k]) for a, k in ((begin, size), (first, n))]
        kinds[kind] += evaluation.word_overlap(cut[:1], cut[1:])
    shares = {kind: 100 * sum(found) / len(found) for kind, found in kinds.items()}
    bars = axes[1].barh(list(shares), list(shares.values()), color=plots.COLOURS[2], height=0.6)
    axes[1].bar_label(bars, [f"{share:.0f} %" for share in shares.values()], fontsize=17, padding=4)
    axes[1].set(xlim=(0, 100), xlabel="words in common with the anchor, out of all words of both", xticks=[])
    axes[1].tick_params(axis="y", labelsize=17)
    axes[1].spines["bottom"].set_visible(False)
    axes[1].invert_yaxis()
    told = ", ".join(f"{kind} {share:.0f} %" for kind, share in shares.items())
    return plots.describe(
        fig,
        f"""Above: a text as a bar, in it the anchor, and below three positives: subsumed within the anchor, overlapping
        sticks out of it, adjacent begins where it ends. Below: words in common with the anchor: {told}.""",
    )


@figure
def context_order() -> Figure:
    exchanges = ("How was the exam?\nI passed.", "So you start in May?\nOn the second.",
                 "Then we celebrate.\nMy place, at eight.")  # fmt: skip
    fig, axes = plt.subplots(1, 2, figsize=(12.2, 4.3), width_ratios=(1.25, 1))
    ax = axes[0]
    ax.set(xlim=(0, 10), ylim=(-0.3, 4.5))
    ax.axis("off")
    for k, text in enumerate(exchanges):
        box(ax, 0.9, 3.7 - 1.5 * k, text, width=7.2, height=1.2, fontsize=18)
        ax.text(0.3, 3.7 - 1.5 * k, str(k + 1), fontsize=24, weight="bold", ha="center", va="center", color=ink())
        if k:
            arrow(ax, (4.5, 5.2 - 1.5 * k - 0.62), (4.5, 3.7 - 1.5 * k + 0.62), color=ink(), linewidth=2)
    ax = axes[1]
    ax.set(xlim=(0, 6), ylim=(-0.4, 6.2))
    ax.axis("off")
    for row, order in enumerate(((1, 2, 3), (1, 3, 2), (2, 1, 3), (2, 3, 1), (3, 1, 2), (3, 2, 1))):
        for k, number in enumerate(order):
            box(ax, 0.2 + 1.05 * k, 5.6 - 1.05 * row, str(number), width=0.9, height=0.8, fontsize=20,
                colour=(BLUE, GREEN, BROWN)[number - 1])  # fmt: skip
        ax.text(3.6, 5.6 - 1.05 * row, "misordered" if row else "ordered", fontsize=19, va="center",
                weight="normal" if row else "bold")  # fmt: skip
    return plots.describe(
        fig,
        """Left: three exchanges of a conversation, numbered 1 to 3. Right: the six orders in which they can stand; 1 2
        3 is called ordered, the other five misordered.""",
    )
