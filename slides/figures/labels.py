"""Figures of the fourth deck: labels that make positives. Those of its other parts are in ``weights`` and ``twins``."""

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure

from clt import losses, plots, results

from ._drawing import arrow, bare, figure, groups, ink, on_circle, strips, values

LESSON = "05_supcon"


def box(ax, left: float, low: float, width: float, text: str, *, colour: str, height: float = 0.8, **look) -> None:
    ax.add_patch(plt.Rectangle((left, low), width, height, facecolor=colour, edgecolor=ink(), linewidth=1.5, **look))
    ax.text(left + width / 2, low + height / 2, text, color="white", ha="center", va="center", fontsize=17)


def canvas(ax, width: float, height: float) -> None:
    ax.set(xlim=(0, width), ylim=(0, height), xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


@figure
def labels_cover() -> Figure:
    fig, ax = plt.subplots(figsize=(4.8, 4.8))
    ax.add_patch(plt.Circle((0, 0), 1, fill=False, color="#9aa0a6", linewidth=1.5))
    families = {"*": (90,), "o": (104,), "^": (62,), "s": (150, 168), "D": (215, 232, 250), "v": (300, 320)}
    sizes = {"*": 34, "o": 20, "^": 20, "s": 26, "D": 12, "v": 8}
    anchor = on_circle(90)
    for i, (mark, turns) in enumerate(families.items()):
        for p in on_circle(turns):
            pulled = mark in "o^"
            look = {"linewidth": 5 if pulled else sizes[mark] / 7, "linestyle": "-" if pulled else ":"}
            if mark != "*":
                ax.plot(*zip(anchor, p, strict=True), color=plots.COLOURS[i], zorder=1, alpha=0.75, **look)
            ax.plot(*p, marker=mark, markersize=sizes[mark], color=plots.COLOURS[i], zorder=3)
    bare(ax, 1.25)
    return plots.describe(
        fig,
        """A star on a circle with two positives near it, tied by solid lines, and seven negatives in three sizes, tied
        by dotted lines: the larger the point, the thicker its line.""",
    )


@figure
def labels_masks() -> Figure:
    sentence, emotion = torch.arange(4).repeat_interleave(2), torch.arange(2).repeat_interleave(4)
    names = [f"{'happy' if kind == 0 else 'sad'} {'abcd'[who]}" for who, kind in zip(sentence, emotion, strict=True)]
    fig, axes = plt.subplots(1, 2, figsize=(11.4, 4.6))
    counts = []
    for ax, owner, title in zip(axes, (sentence, emotion), ("SimCSE: my own view", "SupCon: my label"), strict=True):
        positive = (owner[:, None] == owner) & ~torch.eye(8, dtype=torch.bool)
        counts.append(int(positive.sum()))
        for i in range(8):
            for j in range(8):
                colour, sign = ("none", "") if i == j else (plots.COLOURS[1], "–")
                if positive[i, j]:
                    colour, sign = plots.COLOURS[0], "+"
                ax.add_patch(plt.Rectangle((j - 0.5, i - 0.5), 1, 1, facecolor=colour, edgecolor="white"))
                ax.text(j, i, sign, color="white", ha="center", va="center", fontsize=20, weight="bold")
        ax.set(xlim=(-0.5, 7.5), ylim=(7.5, -0.5), aspect="equal", xticks=[], yticks=range(8), yticklabels=names)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        ax.set_title(title, fontsize=19)
    return plots.describe(
        fig,
        f"""Two tables of eight rows: two views each of two happy and two sad sentences. Plus: pulled together; minus:
        pushed apart. With own views {counts[0]} plus signs in pairs, with labels {counts[1]}, in two blocks.""",
    )


@figure
def labels_arrows() -> Figure:
    circle = torch.from_numpy(on_circle([48, 56, 124, 132, 228, 236, 304, 312]))
    sentence, emotion = torch.arange(4).repeat_interleave(2), torch.arange(2).repeat_interleave(4)
    fig, axes = plt.subplots(1, 2, figsize=(11.0, 4.7))
    titles = ("own view is the positive", "same label is a positive")
    for ax, who, title in zip(axes, (sentence, emotion), titles, strict=True):
        x = circle.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(losses.sup_con_loss(x, who, temperature=0.5), x)
        move = -0.55 * gradient / gradient.norm(dim=1).max()
        ax.add_patch(plt.Circle((0, 0), 1, fill=False, color="#9aa0a6", linewidth=1.5))
        for point, step, kind in zip(circle.numpy(), move.numpy(), emotion, strict=True):
            colour, marker = plots.COLOURS[kind], "o^"[kind]
            ax.plot(*point, marker=marker, color=colour, markersize=14)
            arrow(ax, point, point + step, color=colour, linewidth=3)
        for height, kind in ((0.45, "happy"), (-0.5, "fearful")):
            ax.text(0, height, kind, ha="center", fontsize=18)
        bare(ax, 1.3)
        ax.set_title(title, fontsize=19, loc="center")
    return plots.describe(
        fig,
        """Twice the same eight points on a circle: two pairs of circles at the top, two pairs of triangles at the
        bottom. Left: arrows drive the two pairs of one shape apart. Right: they drive them towards each other.""",
    )


@figure
def labels_pulls() -> Figure:
    cosine = torch.tensor([0.9, 0.4, -0.2] + [0.0] * 10, dtype=torch.float64, requires_grad=True)
    share = (cosine / 0.5).log_softmax(dim=0)[:3]
    both = {"mean outside the log": -share.mean(), "mean inside the log": -(share.logsumexp(dim=0) - np.log(3))}
    fig, axes = plt.subplots(1, 2, figsize=(11.0, 4.3), sharey=True)
    told = []
    for i, (ax, (name, loss)) in enumerate(zip(axes, both.items(), strict=True)):
        pull = -torch.autograd.grad(loss, cosine, retain_graph=True)[0][:3]
        look = {"color": plots.COLOURS[i], "hatch": ("", "//")[i], "edgecolor": "white", "linewidth": 1}
        bars = ax.bar(["0.9\n(near)", "0.4", "−0.2\n(far)"], pull, **look)
        ax.bar_label(bars, [results.number(v, digits=2) for v in pull.tolist()], fontsize=18, padding=3)
        ax.axhline(0, color=ink(), linewidth=1.5, linestyle="-")
        ax.margins(y=0.2)
        ax.set(yticks=[], xlabel="cosine of the positive with the anchor")
        ax.set_title(name, fontsize=19)
        ax.tick_params(axis="x", labelsize=17)
        told.append(f"{name}: {', '.join(results.number(v, digits=2) for v in pull.tolist())}")
    axes[0].set_ylabel("pull towards the anchor")
    return plots.describe(fig, f"Bars of the pull on three positives, from near to far. {'; '.join(told)}.")


@figure
def labels_stages() -> Figure:
    fig, ax = plt.subplots(figsize=(11.4, 4.5))
    canvas(ax, 12, 5)
    blue, orange, green, grey = plots.COLOURS[0], "#a84300", "#00704f", "#6b747d"
    rows = {
        "stage 1": (3.8, [(2.2, 2.6, "encoder", blue), (5.4, 2.2, "head", orange)], "SupCon"),
        "stage 2": (2.0, [(2.2, 2.6, "encoder, frozen", grey), (5.4, 2.2, "linear", green)], "cross entropy"),
        "the rival": (0.2, [(2.2, 2.6, "encoder", blue), (5.4, 2.2, "linear", green)], "cross entropy"),
    }
    for name, (low, boxes, loss) in rows.items():
        ax.text(0, low + 0.4, name, va="center", fontsize=18, weight="bold")
        arrow(ax, (1.75, low + 0.4), (2.15, low + 0.4), color=ink(), linewidth=2)
        for left, width, text, colour in boxes:
            box(ax, left, low, width, text, colour=colour)
            end = left + width
            arrow(ax, (end + 0.05, low + 0.4), (end + 0.55, low + 0.4), color=ink(), linewidth=2)
        ax.text(8.35, low + 0.4, loss, va="center", fontsize=18)
    arrow(ax, (3.5, 3.75), (3.5, 2.85), color=blue, linewidth=3)
    ax.text(3.7, 3.3, "kept", va="center", fontsize=16)
    arrow(ax, (7.3, 3.75), (8.1, 3.1), color="#c45100", linewidth=3)
    ax.text(8.3, 3.05, "thrown away", va="center", fontsize=16)
    return plots.describe(
        fig,
        """Stage 1: encoder and projection head are trained with SupCon. Stage 2: the head is thrown away, the encoder
        frozen, a linear classifier trained with cross entropy. The rival: encoder and linear classifier together.""",
    )


@figure
def labels_neighbours() -> Figure:
    names = {"words alone": "words, public.body", "not trained": "untrained, public.body"}
    for name in ("cross entropy", "SupCon"):
        names |= {f"{name}, {part}": f"{name}, public.{part}" for part in ("body", "head")}
    found = groups(LESSON, {shown: f"{name}.neighbours" for shown, name in names.items()})
    fig = strips({"% of the five neighbours with the same emotion": found}, (10.8, 4.3))
    fig.axes[0].axvline(100 / 32, color=ink(), linewidth=1.5, linestyle=":")
    fig.axes[0].text(100 / 32, -0.62, " chance", fontsize=14, va="bottom")
    return plots.describe(fig, f"{fig.alt} A dotted line marks chance, 1 in 32.")


@figure
def labels_steady() -> Figure:
    panels: dict[str, dict[str, list[float]]] = {}
    for kind in ("misspelt", "dropped"):
        for name, shown in {"untrained": "not trained", "cross entropy": "cross entropy", "SupCon": "SupCon"}.items():
            hurt, whole = (values(LESSON, f"{name}, public.{key}") for key in (kind, "body.probe"))
            lost = [100 * (1 - after / before) for after, before in zip(hurt, whole, strict=True)]
            panels.setdefault(f"% of accuracy lost, words {kind}", {})[shown] = lost
    return strips(panels, (12.0, 3.6))


@figure
def labels_collapse() -> Figure:
    names = {"not trained": "untrained", "cross entropy": "cross entropy", "SupCon": "SupCon"}
    asked = {"below the head": "body", "at the head": "head"}
    key = "{}, families.32 emotions, {}.neighbours".format
    fig = strips({f"% with the same emotion, {shown}": groups(LESSON, {n: key(m, part) for n, m in names.items()})
                  for shown, part in asked.items()}, (11.6, 3.6))  # fmt: skip
    plt.setp(fig.axes, xlim=(6, 11.5))
    return fig
