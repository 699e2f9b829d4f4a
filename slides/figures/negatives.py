"""Figures of the seventh deck: how many negatives a batch has, how hard they are, and how true."""

import math

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor

from clt import losses, plots

from ._drawing import arrow, bare, figure, groups, ink, on_circle, strips, values
from .context_drawn import BLUE, BROWN, GREEN

LESSON = "13_negatives"
GREY = "#9aa0a6"
POSITIVE, TRUE, FALSE = plots.COLOURS[2], plots.COLOURS[1], plots.COLOURS[3]  # a square, a cross, a diamond


@figure
def negatives_cover() -> Figure:
    degrees = np.array([90, 122, 64, 25, 170, 215, 262, 315])  # anchor, positive, a false negative, true ones
    place = on_circle(degrees)
    share = np.exp(place[0] @ place[2:].T / 0.3)
    share /= share.sum()
    fig, ax = plt.subplots(figsize=(4.6, 4.6))
    ax.add_patch(plt.Circle((0, 0), 1, fill=False, color=GREY, linewidth=1.5))
    turn = np.stack([-place[:, 1], place[:, 0]], axis=1) * np.sign((degrees - 90 + 180) % 360 - 180)[:, None]
    arrow(ax, place[1], place[1] - 0.42 * turn[1], color=POSITIVE, linewidth=4)
    for k, (p, step) in enumerate(zip(place[2:], share, strict=True)):
        colour, marker = (FALSE, "D") if k == 0 else (TRUE, "X")
        if step > 0.02:
            arrow(ax, p, p + 1.1 * step * turn[k + 2], color=colour, linewidth=4)
        ax.plot(*p, marker=marker, color=colour, markersize=14 + 14 * step)
    ax.plot(*place[1], marker="s", color=POSITIVE, markersize=19)
    ax.plot(*place[0], marker="*", color=ink(), markersize=30)
    bare(ax, 1.35)
    return plots.describe(
        fig,
        """A star on a circle with its positive, a square. Of six others, which are pushed away, the nearest is drawn as
        a diamond, and its arrow is by far the longest.""",
    )


def derivatives() -> dict[str, Tensor]:
    """Three losses on six points of the classes a, b, c: their derivatives by the distances, above the diagonal."""
    places, labels = torch.tensor([0.0, 0.9, 1.3, 2.4, 3.0, 4.4]), torch.tensor([0, 0, 1, 1, 2, 2])
    apart = (places[:, None] - places).abs().requires_grad_()
    same = labels[:, None] == labels
    near = (1 - apart).masked_fill(same, -torch.inf).logsumexp(dim=1)
    hinge = F.relu(apart + torch.logaddexp(near[:, None], near))
    found = {
        "contrastive": apart[0, 1] ** 2 + (F.relu(3 - apart[[2, 3], [4, 5]]) ** 2).sum(),
        "triplets": F.relu(apart[0, 1] - apart[0, 2] + 1) + F.relu(apart[3, 2] - apart[3, 4] + 1),
        "lifted structure": (hinge[same.triu(1)] ** 2).mean() / 2,
    }
    pulls = {name: torch.autograd.grad(loss, apart, retain_graph=True)[0] for name, loss in found.items()}
    return {name: (pull + pull.T).triu(1) for name, pull in pulls.items()}


@figure
def negatives_pairs() -> Figure:
    x = [0.0, 0.9, 1.3, 2.4, 3.0, 4.4]
    turn = np.linspace(0, np.pi, 60)
    fig, axes = plt.subplots(1, 3, figsize=(12.0, 3.5))
    told = []
    for ax, (name, pull) in zip(axes, derivatives().items(), strict=True):
        for i, j in pull.nonzero().tolist():
            force, middle, radius = pull[i, j].item(), (x[i] + x[j]) / 2, (x[j] - x[i]) / 2
            height = (0.55 + 0.5 * radius) * (1 if force > 0 else -1)
            look = {"linestyle": "-", "color": POSITIVE} if force > 0 else {"linestyle": ":", "color": TRUE}
            ax.plot(middle + radius * np.cos(turn), height * np.sin(turn), zorder=1,
                    linewidth=1.5 + 6 * abs(force) / pull.abs().max().item(), **look)  # fmt: skip
        for place, letter, colour in zip(x, "aabbcc", (BLUE, BLUE, GREEN, GREEN, BROWN, BROWN), strict=True):
            ax.plot(place, 0, marker="o", markersize=21, color=colour, zorder=2)
            ax.text(place, -0.02, letter, color="white", fontsize=17, weight="bold", ha="center", va="center")
        pairs = int((pull != 0).sum())
        ax.set_title(f"{name}: {pairs} pairs", fontsize=20)
        ax.set(xlim=(-0.5, 4.9), ylim=(-1.8, 1.4))
        ax.axis("off")
        told.append(f"{name} uses {pairs} pairs")
    return plots.describe(
        fig,
        f"""Six points of the classes a, a, b, b, c, c on a line, three times. Solid arcs above the line pull a pair
        together, dotted arcs below it push one apart, thick where the force is large. {"; ".join(told)}.""",
    )


@figure
def negatives_chance() -> Figure:
    fig, axes = plt.subplots(1, 2, figsize=(12.0, 3.8), width_ratios=(1, 1.1))
    cosines, told = torch.tensor([0.7, 0.5, 0.3, 0.1]), []
    for k, tau in enumerate((1.0, 0.1, 0.05)):
        share = 100 * (cosines / tau).softmax(dim=0)
        axes[0].bar(np.arange(4) + 0.27 * (k - 1), share, width=0.25, color=plots.COLOURS[(5, 4, 1)[k]],
                    label=f"τ = {tau:g}", hatch=("", "//", "")[k], edgecolor=ink(), linewidth=1)  # fmt: skip
        told.append(f"{share[0]:.0f} % at τ = {tau:g}")
    axes[0].set(xticks=range(4), xticklabels=[f"{c:g}" for c in cosines.tolist()], ylim=(0, 108), yticks=[0, 50, 100])
    axes[0].set(xlabel="cosine of a negative with the anchor", ylabel="%")
    axes[0].set_title("its share of the push", fontsize=19)
    axes[0].legend(fontsize=18)
    pairs = 2 ** np.arange(3, 11)
    for k, one_in in enumerate((32, 100, 1000)):
        chance = 100 * (1 - (1 - 1 / one_in) ** (2 * pairs - 2))
        colour, dash = plots.COLOURS[(0, 1, 2)[k]], ("-", "--", "-.")[k]
        axes[1].plot(pairs, chance, color=colour, linestyle=dash, marker="osD"[k])
        at, right = (2, 3, 4)[k], k > 0
        axes[1].text(pairs[at] * (1.2 if right else 0.85), chance[at] - (0, 8, 4)[k], f"1 in {one_in:,}", fontsize=18,
                     ha="left" if right else "right", va="top" if right else "bottom")  # fmt: skip
        told.append(f"1 in {one_in}: {chance[4]:.0f} % at 128 pairs")
        if one_in == 100:
            axes[1].text(pairs[4] * 1.12, chance[4] - 4, f"{chance[4]:.0f} %", fontsize=18, va="top")
    axes[1].set_xscale("log", base=2)
    axes[1].set(xticks=pairs[::2], xticklabels=[f"{n:,}" for n in pairs[::2]], ylim=(0, 108), yticks=[0, 50, 100])
    axes[1].minorticks_off()
    axes[1].set(xlabel="pairs in the batch (lines: class prior)", ylabel="%")
    axes[1].set_title("anchors with a false negative", fontsize=19)
    return plots.describe(
        fig,
        f"""Left: four negatives' shares of the push; the nearest has {", ".join(told[:3])}. Right: how many anchors
        have at least one false negative, by the size of the batch. {"; ".join(told[3:])}.""",
    )


@figure
def negatives_debias() -> Figure:
    tau, prior = 0.5, 0.1
    cosine = {"true": np.linspace(-0.5, 0.5, 9), "false": np.array([0.7])}
    power = {kind: np.exp(c / tau) for kind, c in cosine.items()}
    truth, every = power["true"].mean(), np.concatenate(list(power.values())).mean()
    left = {c: (every - prior * math.exp(c / tau)) / (1 - prior) for c in (0.7, 0.95)}
    fig, axes = plt.subplots(1, 2, figsize=(12.0, 3.6), sharey=True, width_ratios=(1.15, 1))
    axes[0].bar(range(9), power["true"], color=TRUE, width=0.7)
    axes[0].bar([9], power["false"], color=FALSE, width=0.7, hatch="//", edgecolor=ink())
    axes[0].axhline(every, color=ink(), linewidth=2.5, linestyle="--")
    axes[0].text(-0.4, every + 0.12, f"mean of all ten: {every:.2f}", fontsize=18, va="bottom")
    axes[0].text(8.4, power["false"][0], "false", fontsize=18, ha="right", va="top")
    axes[0].set(xticks=[], xlabel="ten negatives of one anchor", ylabel="$e^{\\,s}$")
    axes[0].yaxis.label.set_fontsize(22)
    shown = {"all ten": every, "share off,\npositive like\nthe false one": left[0.7],
             "share off,\npositive much\ncloser": left[0.95]}  # fmt: skip
    bars = axes[1].bar(list(shown), list(shown.values()), color=[GREY, POSITIVE, plots.COLOURS[5]], width=0.6)
    told = [f"{v:.2f}" for v in shown.values()]
    axes[1].bar_label(bars, told, fontsize=19, label_type="center", color="#111111")
    axes[1].axhline(truth, color=ink(), linewidth=2.5, linestyle="--")
    axes[1].text(2.45, truth + 0.85, f"the nine true ones: {truth:.2f}", fontsize=18, va="bottom", ha="right")
    axes[1].annotate("", (2.42, truth + 0.03), (2.42, truth + 0.85), arrowprops={"arrowstyle": "-|>", "color": ink()})
    axes[1].tick_params(axis="x", labelsize=17)
    return plots.describe(
        fig,
        f"""Left: bars for nine true negatives and a higher one for a false negative; the mean of all ten is
        {every:.2f}. Right: that mean beside what is left of it after a tenth of the positive was taken off. With a
        positive like the false negative {left[0.7]:.2f}, the mean of the nine true ones; with a much closer positive
        {left[0.95]:.2f}.""",
    )


@figure
def negatives_hard() -> Figure:
    fig, axes = plt.subplots(1, 2, figsize=(12.0, 3.8), width_ratios=(1, 1.1))
    cosines, told = torch.linspace(-0.5, 0.7, 10), []
    for k, (beta, tau) in enumerate(((0, 0.5), (1, 0.5), (1, 0.05))):
        weights = 100 * (beta * cosines / tau).softmax(dim=0)
        name = f"β = {beta}" + (f", τ = {tau:g}" if beta else "")
        axes[0].plot(cosines, weights, color=plots.COLOURS[(0, 2, 1)[k]], linestyle=("--", "-", "-.")[k],
                     marker="osD"[k], label=name)  # fmt: skip
        told.append(f"{name}: {weights[-1]:.0f} %")
    axes[0].set(xlabel="cosine of a negative", ylabel="%", ylim=(0, 108), yticks=[0, 50, 100], xticks=[-0.5, 0, 0.5])
    axes[0].set_title("weight of each of ten negatives", fontsize=19)
    axes[0].legend(fontsize=18, loc="upper left")
    tau = np.geomspace(0.2, 0.006, 100)
    for k, (power, name) in enumerate({1: "e to the 1/τ", 2: "its square"}.items()):
        size = power / tau / math.log(10)
        colour, at = plots.COLOURS[(0, 1)[k]], (48, 40)[k]
        axes[1].plot(tau, size, color=colour, linestyle=("-", "--")[k])
        axes[1].text(tau[at] * (0.93, 1.07)[k], size[at] * (0.93, 1.1)[k], name, fontsize=18,
                     ha=("left", "right")[k], va=("top", "bottom")[k])  # fmt: skip
        for most in (torch.finfo(torch.float16).max, torch.finfo(torch.float32).max):
            axes[1].plot(power / math.log(most), math.log10(most), marker="os"[k], color=colour, markersize=12)
    for name, kind in {"float16 ends": torch.float16, "float32 ends": torch.float32}.items():
        most, half = math.log10(torch.finfo(kind).max), kind == torch.float16
        axes[1].axhline(most, color=ink(), linewidth=2, linestyle=":")
        axes[1].text(0.0062 if half else 0.195, most * (0.93 if half else 1.05), name, fontsize=18,
                     ha="right" if half else "left", va="top" if half else "bottom")  # fmt: skip
    axes[1].set(xscale="log", yscale="log", xlim=(0.2, 0.006), ylim=(1.8, 170), xlabel="τ", ylabel="digits")
    axes[1].set(xticks=[0.1, 0.05, 0.02, 0.01], xticklabels=["0.1", "0.05", "0.02", "0.01"])
    axes[1].set(yticks=[2, 10, 50], yticklabels=["2", "10", "50"])
    axes[1].minorticks_off()
    axes[1].set_title("the largest number on the way", fontsize=19)
    ends = [math.log(torch.finfo(kind).max) for kind in (torch.float16, torch.float32)]
    half, single = (" and ".join(f"{power / end:.2g}" for power in (1, 2)) for end in ends)
    return plots.describe(
        fig,
        f"""Left: weights of ten negatives by their cosine; the nearest has {", ".join(told)}. Right: how many digits e
        to the 1/τ and its square have as τ falls. Float32 ends at τ = {single}, float16 at {half}.""",
    )


@figure
def negatives_duplicates() -> Figure:
    rows = {"no duplicates": "no duplicates", "duplicates": "duplicates", "as many at random": "duplicates, random",
            "expected share off": "duplicates, debiased", "weighted by hardness": "duplicates, hard",
            "guided": "duplicates, guided", "true ones only": "duplicates, true ones only"}  # fmt: skip
    panels = {f"{name}: found first, %": groups(LESSON, {shown: f"{row}.{name}" for shown, row in rows.items()})
              for name in ("search", "near misses")}  # fmt: skip
    at = [values(LESSON, f"untrained.{name}")[0] for name in ("search", "near misses")]
    return strips(panels, (12.0, 4.1), "Before training", at)


@figure
def negatives_decoupled() -> Figure:
    fig, ax = plt.subplots(figsize=(6.6, 4.6))
    cosine = np.linspace(0, 1, 100)
    told = []
    for k, pairs in enumerate((8, 64, 1024)):
        others = 2 * pairs - 2
        left = others / (others + np.exp(cosine / 0.1))
        ax.plot(cosine, left, color=plots.COLOURS[(1, 4, 0)[k]], linestyle=("-", "--", "-.")[k])
        at = (30, 50, 66)[k]
        ax.text(cosine[at] + (-0.04, 0.03, 0.04)[k], left[at], f"{pairs:,} pairs", fontsize=18,
                ha=("right", "left", "left")[k], va="center")  # fmt: skip
        told.append(f"{pairs:,} pairs: {left[49]:.2f}")
    ax.axhline(1, color=plots.COLOURS[2], linewidth=4, linestyle="-")
    ax.text(0.02, 1.03, "decoupled, any batch", fontsize=18, va="bottom")
    ax.set(xlabel="cosine with the positive", ylabel="factor of the gradient", ylim=(0, 1.2), yticks=[0, 0.5, 1])
    ax.set(xlim=(0, 1), xticks=[0, 0.5, 1])
    return plots.describe(
        fig,
        f"""The factor that shrinks NT-Xent's gradient, against the cosine with the positive, where all negatives have a
        cosine of 0. At 0.5, {"; ".join(told)}. The decoupled loss has no such factor: a line at 1.""",
    )


@figure
def negatives_sigmoid() -> Figure:
    fig, axes = plt.subplots(1, 3, figsize=(12.2, 4.0), width_ratios=(1, 1, 1.25))
    for ax, title in zip(axes, ("InfoNCE: 5 choices", "SigLIP: 25 questions"), strict=False):
        gap = 0.0 if "Info" in title else 0.06
        for i in range(5):
            for j in range(5):
                colour = GREEN if i == j else BROWN
                ax.add_patch(plt.Rectangle((j + gap, i + gap), 1 - 2 * gap, 1 - 2 * gap, facecolor=colour, linewidth=0))
                ax.text(j + 0.5, i + 0.5, "+" if i == j else "–", color="white", fontsize=22, ha="center", va="center")
            if not gap:
                ax.add_patch(plt.Rectangle((0, i), 5, 1, fill=False, edgecolor=ink(), linewidth=4))
        ax.set(xlim=(-0.1, 5.1), ylim=(5.1, -0.1), aspect="equal", xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
        ax.set_title(title, fontsize=19)
    told = []
    for k, n in enumerate((16, 256)):
        left, right = torch.eye(2 * n)[:n], torch.eye(2 * n)[n:]  # all cosines are 0
        bias = torch.linspace(-12, 1, 60)
        line = torch.stack([losses.sigmoid_loss(left, right, bias=b) for b in bias])
        axes[2].plot(bias, line, color=plots.COLOURS[k], linestyle=("-", "--")[k])
        best = -math.log(n - 1)
        least = losses.sigmoid_loss(left, right, bias=best).item()
        axes[2].plot(best, least, marker="os"[k], markersize=13, color=plots.COLOURS[k])
        axes[2].text((-1.0, -3.4)[k], line[(50, 42)[k]].item() * (0.8, 1.1)[k], f"{n} pairs", fontsize=18,
                     ha=("left", "right")[k], va=("top", "bottom")[k])  # fmt: skip
        told.append(f"{n} pairs: {line[-5]:.0f} near 0, least {least:.1f} at {best:.1f}")
    axes[2].set_yscale("log")
    axes[2].set(xlabel="bias b", xticks=[-10, -5, 0], xlim=(-12, 2.4), ylim=(2, 500), yticks=[10, 100],
                yticklabels=["10", "100"])  # fmt: skip
    axes[2].minorticks_off()
    axes[2].set_title("loss at the start", fontsize=19)
    return plots.describe(
        fig,
        f"""A grid of five by five pairs, twice: on the left each row is framed as one choice, on the right every cell
        stands alone. Then the sigmoid loss by its bias where all cosines are 0. {"; ".join(told)}.""",
    )
