"""Figures of the seventh deck: pictures and words in one space."""

from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure

from clt import data, plots
from clt.data import scenes

from ._drawing import figure, groups, ink, settled, strips, values
from .context_drawn import BROWN, GREEN

LESSON = "15_pictures"
SHOWN = scenes.Pair("red", "square", "left", "blue", "circle")
WHO = {"CLIP": "CLIP", "bag of words": "bag of words", "hard: places": "hard: places",
       "hard: colours": "hard: colours"}  # fmt: skip


def picture_of(ax, pixels: torch.Tensor) -> None:
    ax.imshow(np.moveaxis(pixels.numpy(), 0, -1), interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


@figure
def pictures_matrix() -> Figure:
    once = scenes.Group(1, "red", "circle")
    captions = ["a red square left of a blue circle", "a red circle", "one red circle"]
    pixels = scenes.album([SHOWN, once, once], 1, seed=3)[:, 0]
    logits = torch.tensor([[0.8, 0.2, 0.3], [0.1, 0.7, 0.6], [0.2, 0.6, 0.5]]) / 0.2
    shares = {"a picture chooses": logits.softmax(dim=1), "a caption chooses": logits.softmax(dim=0)}
    fig = plt.figure(figsize=(12.2, 4.4))
    grid = fig.add_gridspec(3, 3, width_ratios=(0.4, 1, 1))
    for i in range(3):
        picture_of(fig.add_subplot(grid[i, 0]), pixels[i])
    told = []
    for k, (title, share) in enumerate(shares.items()):
        ax = fig.add_subplot(grid[:, 1 + k])
        for i in range(3):
            for j in range(3):
                p = share[i, j].item()
                look = {"facecolor": GREEN if i == j else BROWN, "linewidth": 0}
                ax.add_patch(plt.Rectangle((j, i + 0.08), 1, 0.84, **look) if k == 0 else
                             plt.Rectangle((j + 0.06, i), 0.88, 1, **look))  # fmt: skip
                ax.text(j + 0.5, i + 0.5, f"{p:.2f}", color="white", fontsize=22, ha="center", va="center",
                        weight="bold" if i == j else "normal")  # fmt: skip
        ax.set(xlim=(-0.03, 3.03), ylim=(3.03, -0.03), yticks=[])
        ax.set_xticks([0.5, 1.5, 2.5], [fill(text, 14) for text in captions], fontsize=16)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        ax.set_title(title, fontsize=19)
        told.append(f"{title}: {', '.join(f'{share[i, i]:.2f}' for i in range(3))} for the right ones")
    return plots.describe(
        settled(fig),
        f"""Three pictures as rows, three captions as columns, of which the last two say the same. {"; ".join(told)}. A
        row is one choice on the left, a column on the right.""",
    )


@figure
def pictures_gallery() -> Figure:
    hand = data.load("scenes", "test")
    rows = [hand["things"][i] for i in (4, 13, 30)]
    by_hand = scenes.draw([[scenes.Thing.read(thing) for thing in row] for row in rows], seed=5)
    contents = [scenes.Group(3, "red", "circle"), scenes.Group(4, "yellow", "triangle"), SHOWN]
    shown = [(scenes.captions(content)[0], pixels) for content, pixels in
             zip(contents, scenes.album(contents, 1, seed=1)[:, 0], strict=True)]  # fmt: skip
    shown += [(hand["caption"][i], pixels) for i, pixels in zip((4, 13, 30), by_hand, strict=True)]
    fig, axes = plt.subplots(2, 3, figsize=(6.7, 5.8))
    for ax, (text, pixels) in zip(axes.flat, shown, strict=True):
        picture_of(ax, pixels)
        ax.set_xlabel(fill(text, 19), fontsize=16)
    told = "; ".join(text for text, _ in shown)
    return plots.describe(
        fig, f"Six pictures of coloured shapes and their captions, three of a grammar and three by hand: {told}"
    )


@figure
def pictures_search() -> Figure:
    rows = {"untrained": "untrained", "CLIP": "CLIP", "bag of words": "bag of words", "SigLIP": "SigLIP",
            "CLIP, 16 pairs": "CLIP, 16 pairs"}  # fmt: skip
    panels = {what: groups(LESSON, {name: f"{row}.{key}: picture first" for name, row in rows.items()})
              for key, what in {"grammar": "grammar: first, %", "by hand": "by hand: first, %"}.items()}  # fmt: skip
    return strips(panels, (7.0, 3.7))


@figure
def pictures_classes() -> Figure:
    rows = {"CLIP, one prompt": "CLIP.one prompt", "CLIP, prompts averaged": "CLIP.prompts",
            "CLIP, a probe": "CLIP.probe", "trained with labels": "labels.labels"}  # fmt: skip
    kinds = {"colour": 6, "shape": 5, "count": 4}
    panels = {f"{kind}: right, %": groups(LESSON, {name: f"{row}, {kind}" for name, row in rows.items()})
              for kind in kinds}  # fmt: skip
    return strips(panels, (12.2, 3.0), "Guessing", [100 / n for n in kinds.values()])


@figure
def pictures_who() -> Figure:
    fig, axes = plt.subplots(1, 2, figsize=(12.4, 4.6), width_ratios=(0.34, 1))
    picture_of(axes[0], scenes.album([SHOWN], 1, seed=3)[0, 0])
    axes[0].set_xlabel(fill(scenes.captions(SHOWN)[0], 21), fontsize=18)
    ax, told = axes[1], []
    for k, (name, row) in enumerate(WHO.items()):
        colour, marker = plots.COLOURS[(0, 3, 1, 2)[k]], "osD^"[k]
        for y, kind in enumerate(scenes.CHANGES):
            seeds = values(LESSON, f"{row}.{kind}")
            height = y + 0.17 * (k - 1.5)
            ax.plot(seeds, [height] * len(seeds), marker=marker, color=colour, linestyle="", markersize=6, alpha=0.35)
            ax.plot(np.mean(seeds), height, marker=marker, color=colour, linestyle="", markersize=12,
                    label=name if y == 0 else None)  # fmt: skip
        found = ", ".join(f"{kind} {np.mean(values(LESSON, f'{row}.{kind}')):.0f}" for kind in scenes.CHANGES)
        told.append(f"{name}: {found}")
    for y in range(1, len(scenes.CHANGES)):
        ax.axhline(y - 0.5, color="#9aa0a6", linewidth=0.8, linestyle="-")
    ax.axvline(50, color=ink(), linewidth=2, linestyle=":")
    said = [fill(scenes.changed(SHOWN, kind), 26) for kind in scenes.CHANGES]
    ax.set_yticks(range(len(said)), said, fontsize=16)
    ax.set(ylim=(len(said) - 0.5, -0.5), xlim=(-3, 103), xticks=[0, 50, 100], xlabel="the true caption is preferred, %")
    ax.legend(loc="lower left", fontsize=16, ncols=4, bbox_to_anchor=(-0.45, 1.0), columnspacing=1.2, handletextpad=0.2)
    return plots.describe(
        fig,
        f"""A picture of a red square left of a blue circle, and five false captions. How often the true one is
        preferred, in %. {"; ".join(told)}.""",
    )


@figure
def pictures_gap() -> Figure:
    lines = {"τ learned": "CLIP", "τ = 0.01": "τ 0.01", "τ = 1": "τ 1", "SigLIP": "SigLIP"}
    fig, ax = plt.subplots(figsize=(5.8, 4.7))
    told = []
    for k, (name, row) in enumerate(lines.items()):
        runs = values(LESSON, f"{row}.gap while training")
        steps, colour, dash = np.arange(5) * 100, plots.COLOURS[(0, 1, 2, 3)[k]], ("-", "--", "-.", ":")[k]
        for run in runs:
            ax.plot(steps, run, color=colour, alpha=0.35, linewidth=1.2, linestyle=dash)
        line = np.mean(runs, axis=0)
        ax.plot(steps, line, color=colour, linewidth=4, linestyle=dash, label=name)
        told.append(f"{name} from {line[0]:.2f} to {line[-1]:.2f}")
    ax.legend(loc="upper right", bbox_to_anchor=(1.02, 0.76), fontsize=18, handlelength=2.6)
    ax.set(xlabel="step", ylabel="distance of the two means", ylim=(0, 1.5), xticks=[0, 200, 400], yticks=[0, 0.5, 1])
    return plots.describe(fig, f"The gap between pictures and texts while training, a thin line per seed: "
                               f"{'; '.join(told)}.")  # fmt: skip
