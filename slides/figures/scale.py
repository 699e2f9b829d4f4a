"""Figures of the eighth deck: a batch in pieces, its memory, the gradients of several processes, the size that pays."""

import math

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure

from clt import plots, scale

from ._drawing import arrow, encoder, figure, ink, settled, values
from .context_drawn import BLUE, BROWN, GREEN, GREY, box

LESSON = "16_scale"
SIZES = (8, 32, 128, 512)
RATES = {"labels": ("0.0003", "0.001", "0.003", "0.01"), "dropout": ("0.001", "0.003")}


def pieces(ax, rows: int, parts: int) -> None:
    """The matrix of a batch in so many parts: what no part computes is only an outline."""
    each = rows // parts
    for i in range(rows):
        for j in range(rows):
            computed = i // each == j // each
            look = {"facecolor": GREEN if i == j else BLUE, "linewidth": 0} if computed else {
                "facecolor": "none", "edgecolor": GREY, "linewidth": 1.2, "linestyle": ":"}  # fmt: skip
            ax.add_patch(plt.Rectangle((j + 0.06, i + 0.06), 0.88, 0.88, **look))
    ax.set(xlim=(-0.1, rows + 0.1), ylim=(rows + 0.1, -0.1), aspect="equal", xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


@figure
def scale_cover() -> Figure:
    fig, ax = plt.subplots(figsize=(4.6, 4.6))
    pieces(ax, 8, 4)
    return plots.describe(
        settled(fig),
        """A grid of eight by eight cells. Only four blocks of two by two along the diagonal are filled, with the
        diagonal itself in another colour; all other cells are dotted outlines.""",
    )


@figure
def scale_memory() -> Figure:
    fig, axes = plt.subplots(1, 2, figsize=(12.2, 4.2))
    told = []
    for k, name in enumerate(("at once", "chunks of 8")):
        sizes = (8, 16, 32, 64)
        line = [values(LESSON, f"encoder.{name}, MB.{n}")[0] for n in sizes]
        axes[0].plot(sizes, line, color=plots.COLOURS[(1, 2)[k]], linestyle=("--", "-")[k], marker="so"[k])
        axes[0].text(sizes[-1], line[-1] + (0, 6)[k], f"{name}: {line[-1]:.0f} MB", fontsize=19, ha="right",
                     va=("top", "bottom")[k])  # fmt: skip
        told.append(f"encoder, {name}: {line[0]:.0f} to {line[-1]:.0f} MB from 8 to 64 pairs")
    axes[0].texts[0].set_position((57, 122))
    axes[0].set(xlabel="pairs", ylabel="MB", xticks=(8, 16, 32, 64), xlim=(4, 68), ylim=(0, 138), yticks=(0, 50, 100))
    axes[0].set_title("the encoder, half of it frozen", fontsize=19)
    for k, name in enumerate(("whole matrix", "in tiles")):
        sizes = [2**p for p in range(9, 14 + k)]
        line = [values(LESSON, f"loss.{name}.{n}")[0] for n in sizes]
        axes[1].plot(sizes, line, color=plots.COLOURS[(1, 2)[k]], linestyle=("--", "-")[k], marker="so"[k])
        at = (sizes[-1] * 0.8, sizes[-1])[k], (line[-1], line[-1] * 1.5)[k]
        axes[1].text(*at, f"{name}: {line[-1]:.0f} MB", fontsize=19, ha="right", va=("center", "bottom")[k])
        told.append(f"loss, {name}: {line[0]:.0f} to {line[-1]:.0f} MB from 512 to {sizes[-1]:,} pairs")
    axes[1].set(xscale="log", yscale="log", xlabel="pairs", ylabel="MB", ylim=(1.3, 2000))
    axes[1].set(xticks=(512, 2048, 8192), xticklabels=("512", "2,048", "8,192"), yticks=(10, 100, 1000))
    axes[1].set_yticklabels(("10", "100", "1,000"))
    axes[1].minorticks_off()
    axes[1].set_title("the loss", fontsize=19)
    return plots.describe(fig, f"Memory at the peak, against pairs. {'; '.join(told)}.")


@figure
def scale_cache() -> Figure:
    fig, ax = plt.subplots(figsize=(12.2, 3.7))
    ax.set(xlim=(0, 12.2), ylim=(0, 3.7))
    ax.axis("off")
    for k in range(4):
        y = 3.05 - 0.72 * k
        box(ax, 0.1, y, f"chunk {k + 1}", width=1.6, height=0.58, fontsize=18)
        arrow(ax, (1.75, y), (2.75, y), color=GREY, linewidth=2.5, linestyle="--")
        box(ax, 2.8, y, f"z{'₁₂₃₄'[k]}", width=0.85, height=0.58, fontsize=20, colour=BLUE)
        arrow(ax, (3.7, y), (4.65, 2 + 0.2 * (1.5 - k)), color=ink(), linewidth=2)
        arrow(ax, (6.75, 2 + 0.2 * (1.5 - k)), (7.7, y), color=plots.COLOURS[1], linewidth=2.5)
        box(ax, 7.75, y, f"g{'₁₂₃₄'[k]}", width=0.85, height=0.58, fontsize=20, colour=BROWN)
        arrow(ax, (8.65, y), (9.55, y), color=plots.COLOURS[1], linewidth=2.5)
        box(ax, 9.6, y, f"chunk {k + 1}, again", width=2.5, height=0.58, fontsize=18, colour=GREEN)
    box(ax, 4.7, 2, "loss of all", width=2.0, height=1.2, fontsize=20, colour=BLUE)
    for x, text in ((1.9, "1 · read, keep no graph"), (5.7, "2 · one loss"), (9.95, "3 · same dropout, backward")):
        ax.text(x, 0.2, text, fontsize=19, ha="center", va="center")
    return plots.describe(
        fig,
        """Four chunks are read without a graph and give the embeddings z. One loss of all of them gives a gradient g
        for each embedding. Then each chunk is read again, one at a time, and g goes backward through it.""",
    )


@figure
def scale_same() -> Figure:
    rows = scale.nli_pairs(64, seed=0)(0)
    texts = [text for pair in rows for text in pair]
    raw = encoder().encode(texts)
    pairs = ((raw - raw.mean(dim=0)) / raw.std(dim=0)).double().reshape(64, 2, -1)
    generator = torch.Generator().manual_seed(1)
    first, second = (torch.rand(pairs.shape, generator=generator) > 0.1 for _ in range(2))

    def gradient(*parts: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Of the mean loss over parts of a batch: which embeddings the loss sees, and which ones carry its gradient."""
        weight = torch.eye(pairs.shape[-1], dtype=torch.float64).requires_grad_()
        total = torch.zeros_like(weight)
        for seen, read in parts:
            z = (seen @ weight).detach().requires_grad_()
            unit = F.normalize(z, dim=-1)
            loss = F.cross_entropy(unit[:, 0] @ unit[:, 1].T / 0.05, torch.arange(len(z)))
            (g,) = torch.autograd.grad(loss, z)
            total += torch.autograd.grad(read @ weight, weight, g)[0] / len(parts)
        return total.flatten()

    a, b = pairs * first / 0.9, pairs * second / 0.9
    true = gradient((a, a))
    ways = {"two readings": true, "… other dropout": gradient((a, b)),
            "8 small batches added": gradient(*((part, part) for part in a.split(8)))}  # fmt: skip
    found = {"cosine with the true gradient": [F.cosine_similarity(g, true, dim=0).item() for g in ways.values()],
             "length / true length": [(g.norm() / true.norm()).item() for g in ways.values()]}  # fmt: skip
    fig, axes = plt.subplots(1, 2, figsize=(12.2, 3.1), sharey=True)
    for ax, (title, line) in zip(axes, found.items(), strict=True):
        bars = ax.barh(list(ways), line, color=[plots.COLOURS[k] for k in (2, 5, 1)], height=0.62, edgecolor=ink())
        for bar, hatch in zip(bars, ("", "//", ".."), strict=True):
            bar.set_hatch(hatch)
        ax.bar_label(bars, [f"{v:.2f}" for v in line], fontsize=20, padding=6)
        ax.set(xlim=(0, 1.22), ylim=(2.5, -0.5), xticks=(0, 0.5, 1))
        ax.set_title(title, fontsize=19)
        ax.tick_params(axis="y", labelsize=18)
    told = "; ".join(f"{name} {c:.2f} and {r:.2f}" for name, c, r in zip(ways, *found.values(), strict=True))
    return plots.describe(fig, f"Cosine with the gradient of one batch of 64 pairs, and ratio of lengths: {told}.")


@figure
def scale_ways() -> Figure:
    shown = {"A · no exchange": "no exchange", "B · copies, own rows": "copies, own rows' loss",
             "C · copies, all rows": "copies but for its own, full loss",
             "D · with gradient": "with gradient, own rows' loss"}  # fmt: skip
    _, true = scale.averaged(lambda q, k: scale.in_one_process(scale.WAYS["no exchange"], q, k), processes=1)
    fig, axes = plt.subplots(1, 4, figsize=(12.4, 3.3))
    told = []
    for k, (ax, (title, name)) in enumerate(zip(axes, shown.items(), strict=True)):
        way = scale.WAYS[name]
        loss, g = scale.averaged(lambda q, k, way=way: scale.in_one_process(way, q, k), processes=2)
        cosine, ratio = F.cosine_similarity(g, true, dim=0).item(), (g.norm() / true.norm()).item()
        turn = math.acos(min(1.0, cosine))
        arrow(ax, (0, 0), (1, 0), color=GREY, linewidth=9, mutation_scale=36)
        arrow(ax, (0, 0), (ratio * math.cos(turn), ratio * math.sin(turn)), color=plots.COLOURS[(5, 1, 4, 2)[k]],
              linewidth=4, mutation_scale=24)  # fmt: skip
        ax.set(xlim=(-0.08, 1.15), ylim=(-0.45, 1.0), aspect="equal", xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
        ax.set_title(title, fontsize=19)
        ax.text(0.5, -0.28, f"prints {loss:.3f}", fontsize=19, ha="center", va="center")
        told.append(f"{title}: loss {loss:.3f}, cosine {cosine:.2f}, length {ratio:.2f}")
    return plots.describe(
        settled(fig), f"Four gradients as arrows, each beside the true one, which is grey. {'; '.join(told)}."
    )


def best(task: str, measure: str, size: int) -> str:
    """The key of the learning rate that is best on the dev split."""
    keys = [f"{task}: {size}, rate {rate}.{measure}" for rate in RATES[task]]
    return max(keys, key=lambda key: np.mean(values(LESSON, f"{key}/dev")))


@figure
def scale_batch() -> Figure:
    panels = {"search, %": ("labels", "search"), "scored pairs": ("labels", "sts"),
              "dropout, scored": ("dropout", "sts")}  # fmt: skip
    fig, axes = plt.subplots(1, 3, figsize=(12.4, 4.3))
    told = []
    for ax, (title, (task, measure)) in zip(axes, panels.items(), strict=True):
        for rate in RATES[task]:
            k = RATES["labels"].index(rate)
            line = [np.mean(values(LESSON, f"{task}: {n}, rate {rate}.{measure}/test")) for n in SIZES]
            look = {"color": plots.COLOURS[(0, 2, 1, 3)[k]], "linestyle": ("-", "--", "-.", ":")[k], "linewidth": 2}
            ax.plot(SIZES, line, marker="osD^"[k], label=rate, **look)
        keys = [f"{best(task, measure, n)}/test" for n in SIZES]
        edge = [np.mean(values(LESSON, key)) for key in keys]
        ax.plot(SIZES, edge, color=ink(), linewidth=9, alpha=0.22, linestyle="-", zorder=0)
        told.append(f"{title}, at the best rate, for batches of 8 to 512: {', '.join(f'{v:.1f}' for v in edge)}")
        before = values(LESSON, f"untrained.{measure}/test")[0]
        ax.axhline(before, color=ink(), linewidth=2, linestyle=":")
        ax.set(xscale="log", xticks=SIZES, xticklabels=SIZES, xlabel="pairs in the batch")
        ax.minorticks_off()
        ax.locator_params(axis="y", nbins=4)
        ax.set_title(title, fontsize=19)
    axes[0].legend(fontsize=16, title="learning rate", title_fontsize=16, loc="lower right", labelspacing=0.2)
    return plots.describe(
        fig, f"Three panels, a line for each learning rate, dotted: before training. {'; '.join(told)}."
    )


@figure
def scale_cost() -> Figure:
    pairs, gpus, width, sentence = 2.0 ** np.arange(12, 25), 1024, 768, 14.2e6
    lines = {
        "logits, all rows": 3 * 4 * pairs**2, "logits, own rows": 3 * 4 * pairs**2 / gpus,
        "encoder, at once": 2 * sentence * pairs / gpus, "embeddings": 2 * 4 * pairs * width,
        "encoder, 256 at a time": np.minimum(512 * sentence, 2 * sentence * pairs / gpus),
    }  # fmt: skip
    fig, ax = plt.subplots(figsize=(12.0, 4.6))
    told = []
    for k, (name, size) in enumerate(lines.items()):
        ax.plot(pairs, size / 1e9, color=plots.COLOURS[(1, 3, 0, 4, 2)[k]], linestyle=("-", "--", "-.", ":", "-")[k],
                linewidth=3.5, label=name)  # fmt: skip
        over = pairs[size > 80e9]
        told.append(f"{name} {f'above 80 GB from {over[0]:,.0f} pairs' if len(over) else 'stays below'}")
    ax.axhline(80, color=ink(), linewidth=2.5)
    ax.text(4500, 95, "80 GB", fontsize=19, va="bottom")
    ax.set(xscale="log", yscale="log", ylim=(0.02, 20000), xlim=(4096, 2**24), ylabel="GB")
    ax.set_xlabel("pairs, on 1,024 GPUs")
    ticks = {2**13: "8,192", 2**17: "131,072", 2**20: "1 million", 2**24: "16 million"}
    ax.set(xticks=list(ticks), xticklabels=list(ticks.values()), yticks=(0.1, 1, 10, 100, 1000))
    ax.set_yticklabels(("0.1", "1", "10", "100", "1,000"))
    ax.minorticks_off()
    ax.legend(fontsize=18, loc="center left", bbox_to_anchor=(1.0, 0.5), labelspacing=0.7)
    return plots.describe(
        settled(fig), f"Memory of one of 1,024 GPUs against pairs, both axes logarithmic. {'; '.join(told)}."
    )
