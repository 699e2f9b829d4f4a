"""Figures of the eighth deck: few labels, what another task is worth, emoji as labels, a model's text and yours."""

import csv
import itertools

import matplotlib.pyplot as plt
import numpy as np
import torch.nn.functional as F
from matplotlib.figure import Figure

from clt import data, plots

from ._drawing import arrow, encoder, figure, groups, ink, settled, values
from .context_drawn import BROWN, GREEN, GREY, box

LESSON = "17_transfer"
COUNTS = {"kinds": (8, 32, 128), "intents": (8, 32), "emoji": (8, 32)}
ROUTES = ("frozen", "words", "fine-tuning", "SetFit", "all pairs", "SupCon")
# Gururangan et al. (2020), table 5: RoBERTa, then pretrained further on the domain's text, the task's texts, on both
ADAPTED = {
    "ACL-ARC": (63.0, 75.4, 67.4, 75.6), "SciERC": (77.3, 80.8, 79.3, 81.3), "ChemProt": (81.9, 84.2, 82.6, 84.4),
    "Helpfulness": (65.1, 66.5, 68.5, 68.7), "HyperP.": (86.6, 88.2, 90.4, 90.0),
    "RCT": (87.2, 87.6, 87.7, 87.8), "IMDB": (95.0, 95.4, 95.5, 95.6), "AGNews": (93.9, 93.9, 94.5, 94.6),
}  # fmt: skip


@figure
def transfer_pairs() -> Figure:
    kinds, rows = ("headline", "question", "review"), data.load("everyday", "train")
    named = list(zip(rows["text"], rows["kind"], strict=True))
    six = [row for kind in kinds for row in [row for row in named if row[1] == kind][:2]]
    z = F.normalize(encoder().encode([text for text, _ in six]), dim=1)
    cosine = (z @ z.T).numpy()
    fig, axes = plt.subplots(1, 2, figsize=(12.2, 4.5), width_ratios=(1, 1))
    for k, (ax, title) in enumerate(zip(axes, ("untrained", "what the labels ask"), strict=True)):
        for i in range(6):
            for j in range(6):
                if i >= j:
                    continue
                same = six[i][1] == six[j][1]
                look = {"facecolor": GREEN if same else BROWN, "linewidth": 0}
                ax.add_patch(plt.Rectangle((j + 0.04, i + 0.04), 0.92, 0.92, **look))
                said = f"{int(same)}" if k else f"{cosine[i, j]:.2f}"
                ax.text(j + 0.5, i + 0.5, said, color="white", fontsize=19, ha="center", va="center")
        ax.set(xlim=(0.9, 6.05), ylim=(5.1, -0.05))
        short = {"headline": "headl.", "question": "quest.", "review": "review"}
        ax.set_xticks(np.arange(1, 6) + 0.5, [short[kind] for _, kind in six[1:]], fontsize=18)
        ax.set_yticks(np.arange(5) + 0.5, [kind for _, kind in six[:5]], fontsize=18)
        ax.xaxis.tick_top()
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        ax.set_xlabel(title, fontsize=19)
    low, high = cosine[~np.eye(6, dtype=bool)].min(), cosine[~np.eye(6, dtype=bool)].max()
    return plots.describe(
        fig,
        f"""The fifteen pairs of six sentences, two headlines, two questions and two reviews. Left: the untrained
        cosines, all from {low:.2f} to {high:.2f}. Right: the goals, 1 for the three pairs of one kind and 0 for the
        twelve others.""",
    )


@figure
def transfer_few() -> Figure:
    fig, axes = plt.subplots(1, 3, figsize=(12.4, 4.3), width_ratios=(1.2, 1, 1))
    told = []
    for ax, (name, counts) in zip(axes, COUNTS.items(), strict=True):
        for k, route in enumerate(ROUTES):
            if name == "emoji" and route in ("SetFit", "all pairs"):
                continue
            runs = [values(LESSON, f"{name}, {n}: {route}.accuracy") for n in counts]
            mean = [np.mean(run) for run in runs]
            colour, dash = plots.COLOURS[(0, 6, 3, 4, 2, 1)[k]], (":", "--", "-.", "-", "-", "-")[k]
            ax.plot(counts, mean, color=colour, linestyle=dash, marker="oXsv^D"[k], label=route)
            told.append(f"{name}, {route}: {', '.join(f'{v:.0f}' for v in mean)}")
        ax.set(xscale="log", xticks=counts, xticklabels=counts, xlabel="labels of each class")
        ax.minorticks_off()
        ax.locator_params(axis="y", nbins=4)
        ax.margins(x=0.12)
        ax.set_title(f"{name}: right, %", fontsize=19)
    look = {"fontsize": 17, "columnspacing": 1.2, "handlelength": 1.6}
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=6, **look)
    return plots.describe(settled(fig), f"Accuracy with 8, 32 and 128 labels of each class. {'; '.join(told)}.")


def needed(counts: tuple[int, ...], scores: list[float], goal: float) -> float:
    """Where straight lines on a logarithmic axis first reach a goal: the lesson's own reading."""
    if scores[0] >= goal:
        return counts[0]
    for (a, b), (low, high) in zip(itertools.pairwise(counts), itertools.pairwise(scores), strict=True):
        if high >= goal:
            return a * (b / a) ** ((goal - low) / (high - low))
    return float("inf")


@figure
def transfer_worth() -> Figure:
    fig, axes = plt.subplots(1, 2, figsize=(12.2, 3.9), sharey=True)
    told = []
    for ax, name in zip(axes, ("kinds", "intents"), strict=True):
        counts = COUNTS[name]
        base = [np.mean(values(LESSON, f"{name}, {n}: frozen.accuracy")) for n in counts]
        for k, route in enumerate(ROUTES[1:]):
            goal = needed(counts, base, np.mean(values(LESSON, f"{name}, 8: {route}.accuracy")))
            colour = plots.COLOURS[(6, 3, 4, 2, 1)[k]]
            ax.plot([8, goal], [k, k], color=colour, linewidth=7, linestyle="-", solid_capstyle="butt")
            ax.plot(goal, k, marker="Xsv^D"[k], color=colour, markersize=14)
            ax.text(goal * 1.12, k, f"{goal:.0f}", fontsize=20, va="center")
            told.append(f"{name}, {route}: {goal:.0f}")
        ax.set(xscale="log", xlim=(7, 48), xticks=(8, 16, 32), xticklabels=(8, 16, 32), ylim=(4.5, -0.5))
        ax.set_yticks(range(5), ROUTES[1:], fontsize=18)
        ax.minorticks_off()
        ax.set(xlabel="labels a class that the frozen encoder needs")
        ax.set_title(name, fontsize=19)
    return plots.describe(
        fig, f"Labels of each class that the frozen encoder needs to be as good as a route with 8. {'; '.join(told)}."
    )


@figure
def transfer_emoji() -> Figure:
    with (data.data_dir() / "emoji" / "train.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    shown = [min((row["message"] for row in rows if row["emoji"] == face and 28 <= len(row["message"]) <= 52), key=len)
             for face in "😳😴😍😱"]  # fmt: skip
    fig, ax = plt.subplots(figsize=(12.2, 2.7))
    ax.set(xlim=(0, 12.2), ylim=(-0.1, 2.7))
    ax.axis("off")
    for k, (text, face) in enumerate(zip(shown, "😳😴😍😱", strict=True)):
        y = 2.35 - 0.68 * k
        box(ax, 0.1, y, text, width=8.3, height=0.56, fontsize=18)
        arrow(ax, (8.5, y), (10.3, y), color=ink(), linewidth=2.5)
        ax.text(10.9, y, face, fontsize=34, ha="center", va="center")
    return plots.describe(fig, f"Four messages, an arrow from each to the emoji that ended it: {'; '.join(shown)}")


@figure
def transfer_thaw() -> Figure:
    layers = ["embedding", "LSTM 1", "LSTM 2", "attention", "softmax"]
    phases = [[4], [0], [1], [2], [3], [0, 1, 2, 3, 4]]
    fig, ax = plt.subplots(figsize=(6.6, 4.6))
    for j, phase in enumerate(phases):
        for i in range(5):
            learns = i in phase
            look = {"facecolor": GREEN if learns else "none", "edgecolor": GREY, "linewidth": 1.5}
            ax.add_patch(plt.Rectangle((j + 0.05, i + 0.05), 0.9, 0.9, **look))
            if learns:
                ax.text(j + 0.5, i + 0.5, "learns", color="white", fontsize=15, ha="center", va="center")
        ax.text(j + 0.5, -0.25, str(j + 1), fontsize=19, ha="center", va="center")
    ax.text(3, -0.75, "phase", fontsize=19, ha="center", va="center")
    for i, layer in enumerate(layers):
        ax.text(-0.15, i + 0.5, layer, fontsize=18, ha="right", va="center")
    ax.set(xlim=(-2.4, 6.05), ylim=(-1.0, 5.1))
    ax.axis("off")
    return plots.describe(
        fig,
        """Five layers from the embedding at the bottom to the softmax at the top, in six phases. First the softmax
        learns alone, then each other layer alone from the bottom up, in the last phase all of them.""",
    )


@figure
def transfer_first() -> Figure:
    after = {"nothing": "nothing: frozen", "kinds": "kinds: frozen", "emoji": "emoji: frozen"}
    rows = {name: f"emotions, 32, after {row}.accuracy" for name, row in after.items()}
    others = {"nothing": "intents, 8: frozen.accuracy"}
    others |= {name: f"intents, 8, after {after[name]}.accuracy" for name in ("kinds", "emoji")}
    others |= {f"other intents, {how}": f"intents, 8, after other intents: {how}.accuracy"
               for how in ("frozen", "full", "chain-thaw")}  # fmt: skip
    fig, axes = plt.subplots(1, 2, figsize=(12.2, 3.9))
    told = []
    for ax, (title, keys) in zip(axes, {"then emotions, 32 labels: right, %": rows,
                                        "then intents, 8 labels: right, %": others}.items(), strict=True):  # fmt: skip
        found = groups(LESSON, keys)
        plots.seeds(found, xlabel="", ax=ax)
        ax.set_xlabel("")
        told.append(f"{title}: {', '.join(f'after {name} {np.mean(seen):.1f}' for name, seen in found.items())}")
        ax.set_title(title, fontsize=18)
        ax.tick_params(axis="y", labelsize=17)
        ax.locator_params(axis="x", nbins=4)
    return plots.describe(fig, f"First one task, then another with few labels; a dot per seed. {'; '.join(told)}.")


@figure
def transfer_adapted() -> Figure:
    fig, ax = plt.subplots(figsize=(12.0, 4.5))
    told = []
    looks = {"the domain's text": (0, "o"), "the task's texts": (1, "s"), "both": (2, "^")}
    for column, (name, (colour, marker)) in enumerate(looks.items(), 1):
        gains = [row[column] - row[0] for row in ADAPTED.values()]
        places = np.arange(len(gains)) + 0.17 * (column - 2)
        ax.vlines(places, 0, gains, color=plots.COLOURS[colour], linewidth=3)
        ax.plot(places, gains, marker=marker, linestyle="", color=plots.COLOURS[colour], markersize=12, label=name)
        told.append(f"{name}: {', '.join(f'{task} {gain:.1f}' for task, gain in zip(ADAPTED, gains, strict=True))}")
    ax.axhline(0, color=ink(), linewidth=2, linestyle="-")
    ax.set_xticks(range(len(ADAPTED)), [f"{task}\n{row[0]:.0f}" for task, row in ADAPTED.items()], fontsize=15)
    ax.set(ylabel="F1 or accuracy: gain", yticks=(0, 5, 10), ylim=(-0.6, 13.5))
    ax.legend(fontsize=18, title="RoBERTa, pretrained further on", title_fontsize=18)
    return plots.describe(
        fig, f"Eight tasks, RoBERTa's score below each, and what is gained by pretraining further. {'; '.join(told)}."
    )
