"""Figures of the first deck: representations."""

from functools import cache

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure

from clt import data, metrics, plots, results, similarity

from ._drawing import arrow, bare, encoder, figure, groups, ink, on_circle, pairs_on_circle, values

LESSON = "00_start_here"
PAIRS = {
    "A  roles swapped": ["The violinist was louder than the pianist.", "The pianist was louder than the violinist."],
    "B  same meaning": [
        "The soup was cold and the waiter was rude.",
        "We were served lukewarm soup by an unfriendly waiter.",
    ],
    "C  unrelated": ["He proposed to her on the Ferris wheel.", "The rent will rise by three per cent in April."],
}
STRANGERS = {
    "bakery": "Our village bakery opens at half past five.",
    "lava": "Lava cools into black rock when it meets the sea.",
    "chess": "She lost her queen on the ninth move.",
    "soup": "The soup was cold and the waiter was rude.",
    "puppies": "Two puppies are pulling at opposite ends of a rope.",
    "rent": "The rent will rise by three per cent in April.",
    "wheel": "He proposed to her on the Ferris wheel.",
    "wifi": "The wifi drops every time someone uses the microwave.",
}
WORDS = {
    "months": ["january", "march", "july", "october"],
    "cities": ["london", "paris", "berlin", "rome"],
    "family": ["mother", "father", "sister", "brother"],
    "numbers": ["two", "three", "four", "seven"],
}


@cache
def scored(pooling: str = "mean", split: str = "test") -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Both sides of the scored pairs, and their scores."""
    rows, model = data.load("sts", split), encoder()
    usual, model.pooling = model.pooling, pooling
    sides = [model.encode(rows[side]) for side in ("sentence1", "sentence2")]
    model.pooling = usual
    return *sides, torch.tensor(rows["score"])


@figure
def cover() -> Figure:
    fig, ax = plt.subplots(figsize=(4.6, 4.6))
    turns = np.arange(6) * 60 + 12
    pairs_on_circle(ax, turns - 5, turns + 5, size=15)
    return plots.describe(fig, "A circle with six pairs of points; the two points of a pair lie side by side.")


@figure
def words() -> Figure:
    tokenizer, table = encoder().tokenizer, encoder().model.get_input_embeddings().weight.detach()
    names = [word for group in WORDS.values() for word in group]
    ids = tokenizer.convert_tokens_to_ids(names)
    if tokenizer.unk_token_id in ids:
        raise ValueError("every word of the figure should be one piece of the vocabulary")
    vectors = F.normalize(table[ids])
    centred = vectors - vectors.mean(0)
    u, s, _ = torch.linalg.svd(centred, full_matrices=False)
    flat = (u * s)[:, :2].numpy()
    flat = flat * np.sign(flat[np.abs(flat).argmax(0), [0, 1]])  # an SVD leaves the signs open
    fig, ax = plt.subplots(figsize=(6.2, 5.0))
    step = 0.062 * np.ptp(flat[:, 1])
    for i, members in enumerate(WORDS.values()):
        group = flat[4 * i : 4 * i + 4]
        side = 1 if group[:, 0].mean() < flat[:, 0].mean() else -1  # names stand where there is room
        column = (group[:, 0].max() if side > 0 else group[:, 0].min()) + side * 0.09 * np.ptp(flat[:, 0])
        for rank, j in enumerate(group[:, 1].argsort()):
            at = column, group[:, 1].mean() + (rank - 1.5) * step
            ax.plot(*zip(group[j], at, strict=True), color="#9aa0a6", linewidth=1, linestyle="-", zorder=1)
            ax.text(*at, f" {members[j]} ", ha="left" if side > 0 else "right", va="center", fontsize=15)
        ax.plot(*group.T, marker=plots.MARKERS[i], color=plots.COLOURS[i], markersize=9, linestyle="none")
    ax.margins(0.1)
    ax.set(xticks=[], yticks=[], xlabel="strongest direction", ylabel="second")
    return plots.describe(fig, f"Word vectors of {', '.join(names)} in two dimensions; marks show the four groups.")


@figure
def pooling() -> Figure:
    fig, ax = plt.subplots(figsize=(6.2, 5.0))
    pieces = ["[CLS]", "the", "soup", "was", "cold", "[SEP]"]
    ax.add_patch(plt.Rectangle((-0.5, 1.0), 6, 0.9, facecolor=plots.COLOURS[0], edgecolor="none"))
    ax.text(2.5, 1.45, "encoder", color="white", ha="center", va="center", fontsize=18)

    def vector(x: float, y: float, colour: str) -> None:
        for k in range(4):
            ax.add_patch(plt.Rectangle((x - 0.14, y + 0.2 * k), 0.28, 0.2, facecolor=colour, edgecolor="white"))

    for i, piece in enumerate(pieces):
        ax.text(i, 0.3, piece, ha="center", va="center", fontsize=15)
        arrow(ax, (i, 0.55), (i, 0.97), color=ink(), linewidth=1.5)
        arrow(ax, (i, 1.93), (i, 2.3), color=ink(), linewidth=1.5)
        vector(i, 2.35, plots.COLOURS[4] if i == 0 else plots.COLOURS[5])
        arrow(ax, (i, 3.2), (3 + 0.08 * (i - 3), 3.95), color=plots.COLOURS[2], linewidth=1.5)
    vector(3, 4.0, plots.COLOURS[2])
    ax.text(3.3, 4.4, "the mean", va="center", fontsize=16)
    arrow(ax, (0, 3.2), (0, 3.95), color=plots.COLOURS[4], linewidth=2.5)
    vector(0, 4.0, plots.COLOURS[4])
    ax.text(0.3, 4.4, "or [CLS]", va="center", fontsize=16)
    ax.set(xlim=(-0.7, 5.7), ylim=(0, 4.9), xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return plots.describe(
        fig, "Six word pieces enter the encoder, six vectors leave it. One is kept: their mean, or that of [CLS]."
    )


@figure
def angle() -> Figure:
    fig, ax = plt.subplots(figsize=(5.4, 4.6))
    ax.add_patch(plt.Circle((0, 0), 1, fill=False, color="#9aa0a6", linewidth=1.5))
    turns, lengths = (15, 60, 160), (1.5, 0.7, 1.35)
    beside = ((0.13, 0.0), (-0.15, -0.02), (-0.1, 0.12))
    for i, (p, length, name) in enumerate(zip(on_circle(turns), lengths, "xyz", strict=True)):
        arrow(ax, (0, 0), p * length, color=plots.COLOURS[i], linewidth=3)
        ax.plot(*p, marker=plots.MARKERS[i], color=plots.COLOURS[i], markersize=11)
        ax.plot(*zip(p * min(length, 1), p, strict=True), color=plots.COLOURS[i], linewidth=1.5, linestyle=":")
        ax.text(*(p * length + beside[i]), name, fontsize=22, style="italic", ha="center", va="center")
    arc = on_circle(np.linspace(15, 60, 30)) * 0.35
    ax.plot(*arc.T, color=ink(), linewidth=2, linestyle="-")
    bare(ax, 1.7)
    ax.set(ylim=(-1.1, 1.2))
    return plots.describe(fig, "Three arrows from the origin; each is marked where it crosses the circle of radius 1.")


@figure
def answers() -> Figure:
    cosines = {name: F.cosine_similarity(*encoder().encode(two), dim=0).item() for name, two in PAIRS.items()}
    fig, ax = plt.subplots(figsize=(8.6, 3.4))
    for i, (name, cosine) in enumerate(cosines.items()):
        ax.barh(i, cosine, color=plots.COLOURS[i], height=0.6)
        ax.text(cosine + 0.01, i, f"{cosine:.2f}", va="center", fontsize=18)
        ax.text(-0.02, i, name, va="center", ha="right", fontsize=18)
    ax.set(xlim=(0, 1.2), xticks=[0, 0.5, 1], ylim=(2.6, -0.6), yticks=[], xlabel="cosine of the two sentences")
    ax.spines["left"].set_visible(False)
    told = "; ".join(f"{name}: {cosine:.2f}" for name, cosine in cosines.items())
    return plots.describe(fig, f"Bars of the cosine for each pair. {told}.")


@figure
def maps() -> Figure:
    turns = np.arange(6) * 60
    three = {
        "aligned only": (88 + turns / 15, 90 + turns / 15),
        "uniform only": (turns, turns + 150),
        "both": (turns - 4, turns + 4),
    }
    fig, axes = plt.subplots(1, 3, figsize=(11.4, 4.3))
    for ax, (name, two) in zip(axes, three.items(), strict=True):
        pairs_on_circle(ax, *two)
        ends = [torch.from_numpy(on_circle(turn)) for turn in two]
        gap, cover = metrics.alignment(*ends).item(), metrics.uniformity(torch.cat(ends)).item()
        gap, cover = (results.number(x, digits=2).replace("-", "−") for x in (gap, cover))
        ax.set_xlabel(f"alignment {gap}\nuniformity {cover}", fontsize=17)
        ax.set_title(name, fontsize=20, loc="center")
    return plots.describe(
        fig,
        """Three circles with six pairs of points, each pair joined by a line. Aligned only: all points on one spot.
        Uniform only: points spread around the circle, the lines of the pairs cross it. Both: the pairs are spread
        around the circle, and the two points of each pair lie side by side.""",
    )


@figure
def people() -> Figure:
    left, right, scores = scored()
    fig, ax = plt.subplots(figsize=(6.2, 4.7))
    ax.scatter(scores, F.cosine_similarity(left, right), s=30, alpha=0.8, color=plots.COLOURS[0], linewidth=0)
    ax.set(xlabel="score, from 0 to 5", ylabel="cosine")
    found = np.mean(values(LESSON, "sts.mean"))
    return plots.describe(fig, f"{len(scores)} pairs as dots: cosine against score. Spearman {found:.2f}.")


@figure
def plane() -> Figure:
    variants = {name: scored(pooling) for name, pooling in
                (("last layer, mean", "mean"), ("[CLS]", "cls"), ("first and last", "first-last"))}  # fmt: skip
    pile = torch.cat(scored("first-last", "train")[:2])
    _, sizes, directions = torch.linalg.svd(pile - pile.mean(0), full_matrices=False)
    *sides, scores = variants["first and last"]
    variants["whitened"] = *((x - pile.mean(0)) @ (directions.T / sizes) for x in sides), scores
    fig, ax = plt.subplots(figsize=(6.4, 4.9))
    told = []
    for i, (name, (left, right, scores)) in enumerate(variants.items()):
        alike = scores > 4  # the pairs that belong together
        near = metrics.alignment(left[alike], right[alike]).item()
        filled = metrics.uniformity(torch.cat([left, right])).item()
        ax.plot(near, filled, marker=plots.MARKERS[i], color=plots.COLOURS[i], markersize=14, label=name, linestyle="")
        told.append(f"{name}: alignment {near:.2f}, uniformity {filled:.2f}")
    ax.plot(0, -4, marker="*", color=plots.COLOURS[4], markersize=26, clip_on=False, linestyle="")
    ax.text(0.05, -3.98, "wanted", va="center", fontsize=16)
    ax.set(xlabel="alignment (lower is better)", ylabel="uniformity (lower is better)", ylim=(-4.3, 0.2))
    ax.set(xlim=(-0.04, None))
    ax.legend(loc="upper right", fontsize=15)
    return plots.describe(fig, f"Uniformity against alignment. {'; '.join(told)}. Wanted: alignment 0, uniformity −4.")


@figure
def probe() -> Figure:
    names = ("random weights", "this encoder", "its word vectors")
    found = groups(LESSON, {name: f"probe.{name}" for name in names})
    fig, ax = plt.subplots(figsize=(10.5, 3.1))
    plots.seeds(found, xlabel="linear-probe accuracy on test texts", ax=ax)
    ax.axvline(1 / 32, color=ink(), linewidth=1.5, linestyle=":")
    ax.text(1 / 32 + 0.004, 2.35, "guessing", fontsize=13)
    return plots.describe(fig, f"{fig.alt.lstrip(': ')} A dotted line marks guessing, 1 in 32.")


@figure
def strangers() -> Figure:
    vectors = encoder().encode(list(STRANGERS.values()))
    fig, ax = plt.subplots(figsize=(6.6, 4.9))
    plots.heat_map(similarity.cosine_similarity(vectors, vectors), list(STRANGERS), limits=(0, 1), ax=ax)
    plt.setp(ax.texts, fontsize=12.5)
    ax.tick_params(labelsize=13)
    return plots.describe(fig, "Eight unrelated sentences" + fig.alt)


@figure
def cone() -> Figure:
    left, right, _ = scored()
    everything = torch.cat([left, right])
    evenly = torch.randn(everything.shape, generator=torch.Generator().manual_seed(0))
    fig, axes = plt.subplots(1, 2, figsize=(11, 3.9))
    clouds = {"this encoder": everything, "random directions": evenly}
    for i, (ax, (name, cloud)) in enumerate(zip(axes, clouds.items(), strict=True)):
        unit = F.normalize(cloud)
        turn = torch.acos(similarity.cosine_similarity(unit, unit.mean(0, keepdim=True)))[:150, 0]
        turn = turn * (torch.arange(len(turn)) % 2 * 2 - 1)  # every other one to the left, to be seen
        for a in turn:
            ax.plot([0, a.sin()], [0, a.cos()], color=plots.COLOURS[i], linestyle="-", linewidth=1.2, alpha=0.6)
        arrow(ax, (0, 0), (0, 1.12), color=ink(), linewidth=2, linestyle="--", mutation_scale=16)
        ax.text(0.09, 1.12, "average", va="center", fontsize=15)
        bare(ax, 1.1)
        ax.set(xlim=(-1.3, 1.3), ylim=(-0.2, 1.25))
        ax.set_title(name, fontsize=18, loc="center")
    return plots.describe(
        fig,
        """Sentences as arrows at their true angle to the average of all: a narrow cone. Random arrows: all nearly at
        right angles to their average.""",
    )


@figure
def crowding() -> Figure:
    fig, ax = plt.subplots(figsize=(6.0, 4.2))
    distance = np.linspace(0, 2, 100)
    ax.fill_between(distance, np.exp(-2 * distance**2), color=plots.COLOURS[0], alpha=0.25, linewidth=0)
    ax.plot(distance, np.exp(-2 * distance**2), color=plots.COLOURS[0], linestyle="-")
    for at, name in ((0, "one spot"), (np.sqrt(2), "right angle"), (2, "opposite poles")):
        ax.plot(at, np.exp(-2 * at**2), marker="o", color=plots.COLOURS[1], clip_on=False, zorder=3)
        ax.annotate(name, (at, np.exp(-2 * at**2)), xytext=(24 if at == 0 else 0, {0: 0, 2: 12}.get(at, 38)),
                    textcoords="offset points", fontsize=15, va="center" if at == 0 else "bottom",
                    ha="left" if at == 0 else "right" if at == 2 else "center")  # fmt: skip
    ax.set(xlabel="distance of two points on the sphere", ylabel="what the pair counts", xticks=[0, 1, 2],
           yticks=[0, 1], xlim=(0, 2), ylim=(0, 1.05))  # fmt: skip
    return plots.describe(
        fig,
        """What a pair of points adds, exp of minus 2 times the squared distance: 1 on one spot, almost nothing from a
        right angle on.""",
    )


@figure
def protocols() -> Figure:
    fig, axes = plt.subplots(1, 2, figsize=(11.4, 2.0))
    trained, frozen = plots.COLOURS[0], "#5f6870"
    for ax, encoder_is in zip(axes, ("frozen", "trained"), strict=True):
        for x, name, state in ((1.5, "encoder", encoder_is), (5.6, "one layer", "trained")):
            colour = frozen if state == "frozen" else trained
            ax.add_patch(plt.Rectangle((x, 0.3), 2.9, 1.6, facecolor=colour, edgecolor="none"))
            ax.text(x + 1.45, 1.1, f"{name}\n{state}", color="white", ha="center", va="center", fontsize=17)
        ax.text(0.55, 1.1, "text", ha="center", va="center", fontsize=17)
        ax.text(9.55, 1.1, "label", ha="center", va="center", fontsize=17)
        for start, end in ((1.05, 1.45), (4.5, 5.5), (8.55, 8.95)):
            arrow(ax, (start, 1.1), (end, 1.1), color=ink(), linewidth=2, mutation_scale=14)
        ax.set(xlim=(0, 10.1), ylim=(0.2, 2), xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
    return plots.describe(
        fig,
        """Linear protocol: text, a frozen encoder, one trained layer, label. Downstream task: the same with the
        encoder trained as well.""",
    )


@figure
def relational() -> Figure:
    fig, ax = plt.subplots(figsize=(5.4, 4.8))
    hours = {hour: on_circle(90 - 30 * hour) for hour in range(1, 13)}
    for hour, p in hours.items():
        ax.plot(*p, marker="o", color=plots.COLOURS[0], markersize=13)
        ax.text(*(p * 1.18), str(hour), ha="center", va="center", fontsize=15)
    for i, (start, end) in enumerate([(1, 3), (5, 7), (10, 12)]):
        arrow(ax, hours[start] * 0.95, hours[end] * 0.95, color=plots.COLOURS[1], linewidth=3,
              connectionstyle="arc3,rad=0.25")  # fmt: skip
        if i == 0:
            ax.text(0.08, 0.33, "“two hours\nlater”", fontsize=14, ha="center", va="center")
    bare(ax, 1.32)
    return plots.describe(
        fig, "The twelve hours as points on a circle; three arrows of one relation, two hours later, are one rotation."
    )


@figure
def neighbours() -> Figure:
    # four neighbours of one point: squared distances in the space, and on the map
    far, near = np.array([1.0, 1.6, 3.0, 4.0]), np.array([0.7, 2.4, 1.9, 3.6])
    p, q = (np.exp(-x) / np.exp(-x).sum() for x in (far, near))
    fig, ax = plt.subplots(figsize=(5.8, 4.3))
    at = np.arange(4)
    ax.bar(at - 0.2, p, width=0.38, color=plots.COLOURS[0], label="p: in the space")
    ax.bar(at + 0.2, q, width=0.38, color=plots.COLOURS[1], hatch="//", edgecolor="white", label="q: on the map")
    ax.set(xticks=at, xticklabels=[f"j = {j}" for j in (1, 2, 3, 4)], ylabel="chance to be picked by i", yticks=[])
    ax.legend()
    told = "; ".join(f"neighbour {j + 1}: {p[j]:.2f} and {q[j]:.2f}" for j in at)
    return plots.describe(fig, f"For each of four neighbours, its chance in the space and on the map. {told}.")


@figure
def heavy_tail() -> Figure:
    fig, axes = plt.subplots(1, 2, figsize=(11.6, 4.0), width_ratios=(1, 1.1))
    distance = np.linspace(0, 4, 80)
    kernels = {"Gauss": np.exp(-(distance**2)), "Student t": 1 / (1 + distance**2)}
    plots.curves(kernels, x=distance, xlabel="distance on the map", ylabel="weight of a pair", ax=axes[0])
    axes[0].set(yticks=[0, 1])
    names = ("PCA", "SNE", "symmetric SNE", "t-SNE", "all dimensions")
    found = groups("08_seeing", {name: f"digits: {name}.own class" for name in names})
    plots.seeds(found, xlabel="nearest point is the same digit, in %", ax=axes[1])
    told = "; ".join(f"{name} {results.number(np.mean(values))}" for name, values in found.items())
    return plots.describe(
        fig,
        f"""Left: weight against distance; the Gaussian falls to nothing, Student's t keeps a heavy tail. Right: in how
        many % of handwritten digits the nearest point on the map is the same digit: {told}.""",
    )
