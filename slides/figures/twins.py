"""Figures of the fourth deck: twins, and a queue that forgets."""

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure

from clt import losses, plots, results

from ._drawing import bare, figure, ink, on_circle, strips, values

LESSON = "07_twin_loss"
DECAY, BATCHES = 0.7, 4  # the lesson's queue
KINDS = {"paraphrased": "paraphrases", "reworded": "by rule"}
PARTS = {"both twins": "both twins", "Twin Loss": "Twin Loss, step before", "measured once": "Twin Loss, once",
         "goal zero": "goal zero"}  # fmt: skip
QUEUES = {"k 0, decay 0.7": "no queue", "k 16, decay 1.0": "16 batches, plain",
          "k 16, decay 0.7": "16 batches, fading"}  # fmt: skip


def methods(kind: str, measure: str) -> dict[str, list[float]]:
    """SimCSE and what was trained with one kind of fraternal twin."""
    rows = {"SimCSE": values(LESSON, f"SimCSE.{measure}")}
    return rows | {shown: values(LESSON, f"{kind}: {name}.{measure}") for name, shown in PARTS.items()}


@figure
def twins_born() -> Figure:
    fig, axes = plt.subplots(1, 2, figsize=(9.8, 3.7), width_ratios=(1, 1.3))
    turn = np.linspace(0, 360, 100)
    axes[0].plot(*on_circle(turn).T, color="#9aa0a6", linewidth=1.5, linestyle="-")
    for k, start in enumerate((80, 200, 320)):
        for place, mark, size in zip(on_circle([start, start + 9, start + 38]), "*o^", (22, 13, 13), strict=True):
            face = "none" if mark == "o" else plots.COLOURS[k]
            axes[0].plot(*place, marker=mark, markersize=size, color=plots.COLOURS[k], markerfacecolor=face, mew=2.5)
    for mark, name in zip("*o^", ("sentence", "identical", "fraternal"), strict=True):
        look = {"marker": mark, "markersize": 13, "color": ink(), "linestyle": "", "label": name}
        axes[0].plot([], [], markerfacecolor="none" if mark == "o" else ink(), **look)
    axes[0].legend(loc="center", fontsize=15)
    bare(axes[0])
    shown = {"fraternal / strangers": "its rewording", "paraphrase / strangers": "its paraphrase",
             "changed / strangers": "one fact changed"}  # fmt: skip
    far = {name: np.mean(values(LESSON, f"cured.{key}")) for key, name in shown.items()}
    axes[1].barh(list(far), list(far.values()), color=plots.COLOURS[0], height=0.55)
    for row, value in enumerate(far.values()):
        axes[1].text(value, row, f" {results.number(value, digits=2)}", va="center", fontsize=16)
    axes[1].set(xlabel="distance, strangers = 1", xlim=(0, 1))
    axes[1].invert_yaxis()
    axes[1].set_title("from a sentence to …", fontsize=17)
    told = ", ".join(f"{name} {results.number(value, digits=2)}" for name, value in far.items())
    return plots.describe(
        fig,
        f"""Left: three stars on a circle, each with a ring close by and a triangle farther off. Right: bars of the
        distance of a sentence to other sentences, where strangers are 1: {told}.""",
    )


@figure
def twins_spring() -> Figure:
    fig, axes = plt.subplots(1, 2, figsize=(9.0, 2.9))
    gap = np.linspace(-0.2, 1.0, 121)
    axes[0].plot(gap, np.abs(gap - 0.4), color=plots.COLOURS[0], linestyle="-")
    axes[0].plot([0.4], [0], marker="o", markersize=13, color=plots.COLOURS[1])
    axes[0].text(0.4, 0.09, "M", ha="center", fontsize=20)
    axes[0].set(xlabel="gap between the twins", ylabel="Twin Loss", xticks=[0], yticks=[0], ylim=(-0.03, 0.65))
    axes[0].axvline(0, color=ink(), linewidth=1.5, linestyle=":")
    cosine = np.linspace(-1, 1, 81)
    axes[1].plot(cosine, np.exp(cosine), color=plots.COLOURS[2], linestyle="-")
    for x, mark in ((0.9, "o"), (0.5, "^")):
        axes[1].plot([x, x, -1], [0, np.exp(x), np.exp(x)], color=ink(), linewidth=1.2, linestyle=":")
        axes[1].plot(x, np.exp(x), marker=mark, markersize=14, color=plots.COLOURS[2])
    low, high = np.exp(0.5), np.exp(0.9)
    axes[1].annotate(
        "", (-0.5, high), (-0.5, low), arrowprops={"arrowstyle": "<->", "color": plots.COLOURS[1], "lw": 3}
    )
    axes[1].text(-0.58, (low + high) / 2, "gap", ha="right", va="center", fontsize=18)
    axes[1].set(
        xlabel="cosine with the sentence", ylabel="its exponential", xticks=[-1, 0, 1], yticks=[0, 1, 2], ylim=(0, 2.8)
    )
    return plots.describe(
        fig,
        """Left: the Twin Loss against the gap, a V whose tip is at the innate margin M. Right: the exponential of the
        cosine; the gap is the difference of heights of the ring, the identical twin, and the triangle, the fraternal
        one.""",
    )


@figure
def twins_kept() -> Figure:
    panels = {"paraphrases, strangers = 1": methods("paraphrased", "paraphrase / strangers")}
    panels |= {f"Spearman × 100, {shown}": methods(kind, "sts/test") for kind, shown in KINDS.items()}
    return strips(panels, (12.4, 3.9))


@figure
def twins_queue() -> Figure:
    queues = {
        "fading": losses.HippocampusQueue(BATCHES, decay=DECAY),
        "plain": losses.HippocampusQueue(BATCHES, decay=1),
    }
    fig, ax = plt.subplots(figsize=(6.4, 4.6))
    told = []
    for i, (name, queue) in enumerate(queues.items()):
        for _ in range(BATCHES + 2):  # two more than it remembers
            queue.push(torch.ones(1, 2))
        weights = queue.weights.tolist()
        at = np.arange(len(weights)) + 0.38 * i - 0.19
        look = {"color": plots.COLOURS[i], "hatch": ("", "//")[i], "edgecolor": "white", "linewidth": 1}
        bars = ax.bar(at, weights, width=0.36, label=name, **look)
        if i == 0:
            ax.bar_label(bars, [results.number(w, digits=2) for w in weights], fontsize=15, padding=2)
        told.append(f"{name}: {', '.join(results.number(w, digits=2) for w in weights)}")
    ages = ["oldest", *[""] * (BATCHES - 2), "newest"]
    ax.set(xticks=range(BATCHES), xticklabels=ages, yticks=[0, 1], ylim=(0, 1.35), ylabel="weight of a negative",
           xlabel="batches remembered")  # fmt: skip
    ax.legend(ncols=2, loc="upper left")
    return plots.describe(fig, f"Bars of the weights of the remembered batches, oldest first. {'; '.join(told)}.")


@figure
def twins_forgetting() -> Figure:
    found = {key: {shown: values(LESSON, f"cone: {name}.{key}") for name, shown in QUEUES.items()}
             for key in ("uniformity", "sts/test")}  # fmt: skip
    return strips({"uniformity (lower: wider)": found["uniformity"], "Spearman × 100 on sts": found["sts/test"]},
                        (11.8, 3.3))  # fmt: skip


@figure
def twins_information() -> Figure:
    names = {"untrained": "not trained", "SimCSE": "SimCSE", "reworded: both twins": "both twins",
             "reworded: Twin Loss": "Twin Loss"}  # fmt: skip
    task = {critic: {shown: values(LESSON, f"{name}.task {critic}") for name, shown in names.items()}
            for critic in ("fixed", "tuned")}  # fmt: skip
    return strips(
        {"bound (nats), critic as in the loss": task["fixed"], "bound (nats), critic tuned": task["tuned"]},
        (11.8, 3.3),
    )
