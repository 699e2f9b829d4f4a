"""Figures of the sixth deck: two sentences read apart, and what the head between their vectors teaches."""

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure

from clt import plots

from ._drawing import encoder, figure, groups, ink, strips, values
from .context_drawn import BROWN, GREEN

LESSON = "11_siamese"
FOUR = ("A man is playing a guitar.", "Somebody strums a guitar.", "The shop closes at six.",
        "Nothing is sold there after six.")  # fmt: skip
# Reimers and Gurevych (2019), section 1: 10,000 sentences on a V100
TOGETHER, APART, COUNT = 65 * 3600, 5, 10_000


@figure
def siamese_cost() -> Figure:
    n = np.geomspace(10, 1e6, 60)
    lines = {"read together: n(n − 1) / 2 passes": TOGETHER * n * (n - 1) / (COUNT * (COUNT - 1)),
             "read apart: n passes": APART * n / COUNT}  # fmt: skip
    fig, ax = plt.subplots(figsize=(7.2, 4.9))
    for k, (name, seconds) in enumerate(lines.items()):
        colour = plots.COLOURS[(1, 0)[k]]
        ax.plot(n, seconds, color=colour, linestyle=("--", "-")[k], linewidth=4, label=name)
        ax.plot(COUNT, (TOGETHER, APART)[k], marker="*", markersize=24, color=colour, linestyle="")
    ax.text(COUNT * 0.7, TOGETHER, "65 hours", fontsize=20, ha="right", va="center")
    ax.text(COUNT * 1.4, APART * 0.8, "5 seconds", fontsize=20, ha="left", va="top")
    ax.set(xscale="log", yscale="log", xlabel="sentences, n", ylim=(3e-3, 1e10))
    ticks = {1: "1 s", 60: "1 min", 3600: "1 h", 86400: "1 day", 31557600: "1 year"}
    ax.set_yticks(list(ticks), list(ticks.values()))
    ax.set_xticks([10, 1000, 1e5], ["10", "1,000", "100,000"])
    ax.minorticks_off()
    ax.tick_params(labelsize=17)
    ax.legend(loc="upper left", fontsize=17)
    return plots.describe(
        fig,
        """Time to find the closest pair among n sentences, both axes logarithmic. Read together, the time grows with
        the square: 65 hours for 10,000 sentences. Read apart, it grows in proportion: 5 seconds.""",
    )


def square() -> dict[str, tuple[float, torch.Tensor]]:
    """What a linear head makes of the four pairs of two pairs of paraphrases: its loss and the chance of "same"."""
    a, b, c, d = F.normalize(encoder().encode(list(FOUR)), dim=1)
    u, v, same = torch.stack([a, a, c, c]), torch.stack([b, d, b, d]), torch.tensor([1.0, 0.0, 0.0, 1.0])
    found = {}
    for name, x in {"(u, v)": torch.cat([u, v], 1), "(u, v, |u − v|)": torch.cat([u, v, (u - v).abs()], 1)}.items():
        weight, bias = torch.zeros(x.shape[1], requires_grad=True), torch.zeros((), requires_grad=True)
        optimizer = torch.optim.Adam([weight, bias], lr=0.1)
        for _ in range(300):
            optimizer.zero_grad()
            loss = F.binary_cross_entropy_with_logits(x @ weight + bias, same)
            loss.backward()
            optimizer.step()
        found[name] = loss.item(), (x @ weight + bias).sigmoid().detach().reshape(2, 2)
    return found


@figure
def siamese_square() -> Figure:
    fig, axes = plt.subplots(1, 2, figsize=(7.4, 4.1))
    told = []
    for ax, (name, (loss, share)) in zip(axes, square().items(), strict=True):
        for i in range(2):
            for j in range(2):
                p = share[i, j].item()
                ax.add_patch(plt.Rectangle((j + 0.04, i + 0.04), 0.92, 0.92, linewidth=0,
                                           facecolor=GREEN if i == j else BROWN))  # fmt: skip
                ax.text(j + 0.5, i + 0.36, "same" if i == j else "different", color="white", fontsize=18, ha="center",
                        va="center")  # fmt: skip
                ax.text(j + 0.5, i + 0.66, f"{p:.2f}", color="white", fontsize=23, weight="bold", ha="center",
                        va="center")  # fmt: skip
                told.append(f"{name}, {'ac'[i]} with {'bd'[j]}, {'same' if i == j else 'different'}: {p:.2f}")
        ax.set(xlim=(0, 2), ylim=(2, 0), aspect="equal")
        ax.set_xticks([0.5, 1.5], ["b", "d"], fontsize=21)
        ax.set_yticks([0.5, 1.5], ["a", "c"], fontsize=21)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        ax.set_title(f"{name}: {loss:.2f}", fontsize=20, loc="center")
    return plots.describe(fig, f"The probability of “same” that a trained head gives four pairs. {'; '.join(told)}.")


@figure
def siamese_ring() -> Figure:
    rows = {"(u, v)": "(u, v)", "|u − v|": "|u − v|", "u∗v": "u∗v", "(u, v, |u − v|)": "(u, v, |u − v|)",
            "all four": "(u, v, |u − v|, u∗v)", "(u, v), hidden layer": "(u, v), hidden layer"}  # fmt: skip
    shown = {"accuracy": "new pairs right, %", "order": "cosine follows the ring: Spearman × 100"}
    panels = {what: groups(LESSON, {name: f"ring: {row}.{measure}" for name, row in rows.items()})
              for measure, what in shown.items()}  # fmt: skip
    return strips(panels, (12.0, 3.8), "Guessing, and no order", [100 / 3, 0])


@figure
def siamese_sentences() -> Figure:
    rows = {"v alone": "v alone", "(u, v)": "(u, v)", "(u, v, |u − v|)": "(u, v, |u − v|)",
            "all four": "(u, v, |u − v|, u∗v)"}  # fmt: skip
    fig, axes = plt.subplots(1, 2, figsize=(12.2, 3.8))
    found = {name: values(LESSON, f"{row}.accuracy") for name, row in rows.items()}
    plots.seeds(found, xlabel="labelled pairs right, %", ax=axes[0])
    rows |= {"in-batch contrast": "in-batch contrast"}
    found = {name: values(LESSON, f"{row}.sts/test") for name, row in rows.items()}
    plots.seeds(found, xlabel="STS of the cosine, Spearman × 100", ax=axes[1])
    start = values(LESSON, "untrained.sts/test")[0]
    for ax, at in zip(axes, (100 / 3, start), strict=True):
        ax.axvline(at, color=ink(), linewidth=2, linestyle=":")
        ax.locator_params(axis="x", nbins=5)
    told = fig.alt.lstrip(": ").replace(". : ", ". ")
    return plots.describe(fig, f"{told[:1].upper()}{told[1:]} Guessing a label: 33; the encoder as it is: {start:.0f}.")


@figure
def siamese_grades() -> Figure:
    goals = {"squared error": "squared error", "grades 0 to 5": "grades 0 to 5", "CoSENT, λ = 3": "CoSENT, λ = 3",
             "CoSENT, λ = 20": "CoSENT, λ = 20"}  # fmt: skip
    fig, axes = plt.subplots(1, 2, figsize=(12.2, 3.6), width_ratios=(1.15, 1))
    found = {name: values(LESSON, f"STS-B: {row}.STS-B/test") for name, row in goals.items()}
    plots.seeds(found, xlabel="STS-B, Spearman × 100", ax=axes[0])
    start = values(LESSON, "untrained.STS-B/test")[0]
    axes[0].axvline(start, color=ink(), linewidth=2, linestyle=":")
    told, at = [], {"squared error": 1, "grades 0 to 5": 0}
    for name, row in at.items():
        line = np.mean(values(LESSON, f"STS-B: {name}.cosines"), axis=0)
        x = np.arange(5) + 0.5
        axes[1].plot(x, line, color=plots.COLOURS[1 - row], linestyle=("--", "-")[row], marker="so"[row], markersize=11)
        axes[1].text(x[2] + (-0.15, 0.1)[row], line[2] + (0.06, -0.06)[row], name, fontsize=18,
                     ha=("right", "left")[row], va=("bottom", "top")[row])  # fmt: skip
        told.append(f"{name} {line[0]:.2f} at the lowest grades, {line[3]:.2f} at grades of 3 to 4")
    axes[1].plot([0, 5], [0, 1], color=ink(), linewidth=2, linestyle=":")
    axes[1].set(xlabel="grade", ylabel="mean cosine", xlim=(0, 5), ylim=(0, 1), yticks=[0, 0.5, 1])
    seeds = fig.alt.lstrip(": ")
    return plots.describe(
        fig,
        f"""Left, {seeds} The encoder as it is: {start:.0f}. Right: the mean cosine of pairs by their grade.
        {"; ".join(told)}; dotted, the grade itself.""",
    )


@figure
def siamese_words() -> Figure:
    rows = {"bag of words": "bag of words", "DAN": "DAN", "DAN, words dropped": "DAN, words dropped"}
    shown = {"negation": "invented reviews right, %", "SST-2": "film reviews right, %"}
    panels = {what: groups(LESSON, {name: f"{texts}: {row}.accuracy" for name, row in rows.items()})
              for texts, what in shown.items()}  # fmt: skip
    return strips(panels, (10.6, 2.6), "Guessing, and words and pairs of words counted",
                  [50, values(LESSON, "SST-2: words counted.accuracy")[0]])  # fmt: skip
