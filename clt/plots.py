"""Figures: one look for notebooks and slides, safe for colour-blind readers, with a text for those who see none.

Colour is never the only cue: points carry their label, lines their own dash, bars their value. Each function draws on
axes it is given or makes, and gives the figure its alt text, which the notebook stores beside the picture.
"""

import base64
import hashlib
import html
import io
import json
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from clt.results import number

# Okabe and Ito (2008): eight colours that people with any common form of colour blindness can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C8C00")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


def use_style() -> None:
    """Set the course's look, and have the notebook store each figure's alt text with its picture."""
    plt.rcParams.update(
        {
            "figure.figsize": (6.4, 3.6),
            "figure.dpi": 96,
            "figure.constrained_layout.use": True,
            "axes.prop_cycle": plt.cycler(color=COLOURS[: len(DASHES)]) + plt.cycler(linestyle=DASHES),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": 11,
            "axes.titlelocation": "left",
            "font.size": 10,
            "legend.frameon": False,
            "image.cmap": "viridis",
        }
    )
    try:
        from IPython import get_ipython
    except ImportError:  # outside a notebook there is nothing to store
        return
    shell = get_ipython()
    if shell is None or not hasattr(shell, "kernel"):
        return
    import matplotlib_inline.backend_inline  # noqa: F401  it registers its own printer first; ours replaces it
    from IPython.core.pylabtools import print_figure

    def picture(figure: Figure):
        # fixed metadata: the same figure is the same bytes, whatever version of matplotlib drew it
        png = print_figure(figure, fmt="png", base64=True, metadata={"Software": None})
        return png, {"alt": getattr(figure, "alt", "")}

    shell.display_formatter.formatters["image/png"].for_type(Figure, picture)


def describe(figure: Figure, text: str) -> Figure:
    """Give a figure its alt text: what a reader who cannot see it has to know."""
    figure.alt = " ".join(text.split())
    return figure


def _axes(ax: Axes | None, **options) -> Axes:
    return ax if ax is not None else plt.subplots(**options)[1]


def _dark(colour: str) -> tuple[float, ...]:
    """The colour, dark enough for small letters on white."""
    return tuple(0.65 * part for part in to_rgb(colour))


def _luminance(colour) -> float:
    """How bright a colour is, from 0 for black to 1 for white, as WCAG 2 defines it."""
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _extend(ax: Axes, text: str) -> None:
    """Add a sentence to the figure's alt text: a figure of several axes is described axis by axis."""
    figure = ax.get_figure()
    describe(figure, f"{getattr(figure, 'alt', '')} {text}")


def classes(positions, labels, names: Sequence[str], *, title: str = "", ax: Axes | None = None) -> Axes:
    """A two-dimensional map of many points: each class has its colour and mark, and its name in its middle.

    Args:
        positions: ``(N, 2)``.
        labels: N integers from 0.
        names: what each label is called.
    """
    positions, labels = np.asarray(positions), np.asarray(labels)
    if positions.shape != (len(labels), 2):
        raise ValueError(f"expected (N, 2) positions and N labels, got {positions.shape} and {labels.shape}")
    ax = _axes(ax, figsize=(4.6, 4.2))
    middles = {i: np.median(positions[labels == i], axis=0) for i in range(len(names)) if (labels == i).any()}
    line, written = 0.05 * np.ptp(positions, axis=0).max(), []  # the height of a name, and where there are some
    for i, (x, y) in sorted(middles.items(), key=lambda item: item[1][1]):
        colour, marker = COLOURS[i % len(COLOURS)], MARKERS[(i + i // len(COLOURS)) % len(MARKERS)]
        ax.scatter(*positions[labels == i].T, s=9, color=colour, marker=marker, alpha=0.6, linewidths=0)
        for left, below, other in written:
            if abs(x - left) < 0.2 * line * (len(names[i]) + len(other)):
                y = max(y, below + line)
        written.append((x, y, names[i]))
        text = ax.text(x, y, names[i], color=_dark(colour), fontsize=8, weight="bold", ha="center", va="center")
        text.set_path_effects([withStroke(linewidth=3, foreground="white")])
    ax.set(xticks=[], yticks=[], title=title, aspect="equal", adjustable="datalim")
    ax.spines[:].set_visible(False)
    near = ((positions[:, None] - positions) ** 2).sum(-1)
    np.fill_diagonal(near, np.inf)
    same = np.mean(labels[near.argmin(1)] == labels)
    told = f"{title}: map of {len(labels)} points"
    if len(names) > 1:
        told += f" of {len(names)} classes ({', '.join(names)}); {number(100 * same, digits=2)} % of them have their "
        told += "nearest point in their own class"
    _extend(ax, f"{told}.")
    return ax


def clouds(readings, *, title: str = "", ax: Axes | None = None) -> Axes:
    """A map of sentences that were read many times: one colour for a meaning, disc and triangle for its two wordings.

    Args:
        readings: ``(N, times, D)``, from :func:`clt.evaluation.readings`; rows 2i and 2i + 1 mean the same. The map
            shows the two directions in which they vary most.
    """
    readings = np.asarray(readings)
    if readings.ndim != 3 or len(readings) % 2:
        raise ValueError(f"expected (N, times, D) with an even N, got {readings.shape}")
    ax = _axes(ax, figsize=(3.4, 3.2))
    flat = (readings - readings.mean((0, 1))).reshape(-1, readings.shape[-1])
    places = flat @ np.linalg.svd(flat, full_matrices=False)[2][:2].T
    for i, cloud in enumerate(places.reshape(*readings.shape[:2], 2)):
        ax.scatter(*cloud.T, s=16, color=COLOURS[i // 2 % len(COLOURS)], marker="o^"[i % 2])
    ax.set(title=title, xticks=[], yticks=[], aspect="equal")
    _extend(ax, f"{title}: {len(readings)} clouds of {readings.shape[1]} dots, two for each meaning.")
    return ax


def heat_map(matrix, labels: Sequence, *, title: str = "", ax: Axes | None = None, digits: int = 2,
             limits: tuple[float, float] | None = None) -> Axes:  # fmt: skip
    """A square matrix as colours with the numbers in the cells.

    Args:
        matrix: ``(N, N)``, for up to about 12 rows: beyond that the numbers cannot be read.
        labels: N names for rows and columns.
        limits: the values of the darkest and the brightest colour, for panels to compare; default: the matrix's own.
    """
    import seaborn  # late: a second

    matrix, (low, high) = np.asarray(matrix), limits or (None, None)
    ax = _axes(ax, figsize=(1.6 + 0.52 * len(matrix), 1.0 + 0.46 * len(matrix)))
    seaborn.heatmap(matrix, vmin=low, vmax=high, cmap="viridis", annot=True, fmt=f".{digits}f", square=True,
                    annot_kws={"fontsize": 7}, cbar_kws={"shrink": 0.8}, xticklabels=labels, yticklabels=labels,
                    ax=ax)  # fmt: skip
    mesh = ax.collections[0]
    for text, colour in zip(ax.texts, mesh.cmap(mesh.norm(mesh.get_array().compressed())), strict=True):
        text.set_color("black" if _luminance(colour) > 0.179 else "white")  # where both have the same contrast
    ax.tick_params("x", rotation=0 if max(len(str(x)) for x in labels) < 4 else 30)
    ax.tick_params("y", rotation=0)
    ax.set_title(title)
    off = matrix[~np.eye(len(matrix), dtype=bool)]
    _extend(
        ax,
        f"{title}: heat map of {len(matrix)} by {len(matrix)} values; on the diagonal {number(np.diag(matrix).mean())} "
        f"on average, elsewhere {number(off.mean())}, from {number(off.min())} to {number(off.max())}.",
    )
    return ax


def gallery(rows: Mapping[str, Sequence], *, marked: Mapping[str, Sequence[bool]] | None = None, title: str = "",
            width: int = 30, columns: int = 1) -> Figure:  # fmt: skip
    """Rows of small pictures, each row with its text at the left.

    Args:
        rows: ``{text: pictures}``, each picture ``(3, H, W)`` from 0 to 1.
        marked: ``{text: for each of its pictures, whether to frame it}``: where the right one is.
        title: above all.
        width: letters in a line of the text.
        columns: rows stand in so many columns, side by side.
    """
    marked = marked or {}
    many, height = max(map(len, rows.values())), -(-len(rows) // columns)
    figure = plt.figure(figsize=(columns * (0.085 * width + 0.72 * many), 0.76 * height + 0.3 * bool(title)))
    grid = figure.add_gridspec(height, columns * (many + 1), width_ratios=columns * [0.1 * width, *[1] * many])
    told = []
    for place, (text, pictures) in enumerate(rows.items()):
        row, left = place % height, place // height * (many + 1)
        ax = figure.add_subplot(grid[row, left])
        ax.text(1, 0.5, textwrap.fill(text, width), ha="right", va="center", fontsize=8, transform=ax.transAxes)
        ax.axis("off")
        frames = marked.get(text, [False] * len(pictures))
        for k, (picture, framed) in enumerate(zip(pictures, frames, strict=True)):
            ax = figure.add_subplot(grid[row, left + 1 + k])
            few = np.round(24 * np.asarray(picture)) / 24  # with fewer levels than noise has, a notebook stays small
            ax.imshow(np.moveaxis(few, 0, -1), interpolation="nearest")
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set(visible=framed, linewidth=3, color="black")
        found = [str(k + 1) for k, framed in enumerate(frames) if framed]
        told.append(f"{text}: {len(pictures)} pictures" + (f", number {', '.join(found)} framed" if found else ""))
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    return describe(figure, f"{title}: rows of small pictures. {'; '.join(told)}.")


def similarity_image(matrix, *, xlabel: str, ylabel: str, title: str = "", ax: Axes | None = None) -> Axes:
    """A matrix that is too large for numbers in its cells, as an image; how its diagonal stands out is told."""
    matrix = np.asarray(matrix)
    ax = _axes(ax, figsize=(3.8, 3.2))
    ax.get_figure().colorbar(ax.imshow(matrix, cmap="viridis", interpolation="nearest"), ax=ax, shrink=0.8)
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title, xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    own, rest = np.diag(matrix).mean(), matrix[~np.eye(len(matrix), dtype=bool)].mean()
    _extend(ax, f"{title}: image of {len(matrix)} by {len(matrix)} similarities; on the diagonal {number(own)} on "
                f"average, elsewhere {number(rest)}.")  # fmt: skip
    return ax


def steps_on_circle(positions, moves, labels: Sequence[str], *, title: str = "", ax: Axes | None = None) -> Axes:
    """Points of the unit circle with their labels, and an arrow for where each of them moves.

    Args:
        positions, moves: ``(N, 2)``; the first point is the anchor, drawn as a star. Moves below 0.05 are left out.
        labels: N short texts, written outside the circle.
    """
    positions, moves = np.asarray(positions), np.asarray(moves)
    ax = _axes(ax, figsize=(3.8, 3.8))
    ax.add_patch(plt.Circle((0, 0), 1, fill=False, color="lightgrey", linewidth=1))
    told = []
    for k, (point, move, label) in enumerate(zip(positions, moves, labels, strict=True)):
        colour, length = COLOURS[k % len(COLOURS)], float(np.linalg.norm(move))
        ax.scatter(*point, s=170 if k == 0 else 60, marker="*" if k == 0 else MARKERS[k], color=colour, zorder=3)
        if length > 0.05:
            look = {"arrowstyle": "-|>", "color": colour, "linewidth": 2.2, "shrinkA": 0, "shrinkB": 0}
            ax.annotate("", point + move, point, arrowprops=look, zorder=4)
        side = "left" if point[0] > 0.3 else "right" if point[0] < -0.3 else "center"
        up = "bottom" if point[1] > 0.3 else "top" if point[1] < -0.3 else "center"
        ax.text(*(1.14 * point), label, ha=side, va=up, color=colour, fontsize=9)
        told.append(f"{' '.join(label.split())} moves by {number(length, digits=2)}")
    ax.set(xlim=(-1.9, 1.9), ylim=(-1.65, 1.65), aspect="equal", title=title, xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    _extend(ax, f"{title}: points on a circle with arrows; {'; '.join(told)}.")
    return ax


def curves(lines: Mapping[str, Sequence[float]], *, x: Sequence[float] | None = None, xlabel: str = "step",
           ylabel: str = "", title: str = "", log: bool = False, ax: Axes | None = None) -> Axes:  # fmt: skip
    """Named lines over a common axis, each with its own dash and its name in the legend."""
    ax = _axes(ax)
    for name, values in lines.items():
        ax.plot(range(1, len(values) + 1) if x is None else x, values, label=name)
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    if log:
        ax.set_yscale("log")
    ax.legend()
    told = "; ".join(f"{name} from {number(v[0])} to {number(v[-1])}" for name, v in lines.items())
    _extend(ax, f"{title}: {ylabel} against {xlabel}. {told}.")
    return ax


def seed_curves(record: Mapping[str, Sequence[Sequence[float]]], *, x: Sequence[float] | None = None,
                xlabel: str = "step", ylabel: str = "", title: str = "", ax: Axes | None = None) -> Axes:  # fmt: skip
    """One curve per seed, faint, and their mean, bold, with the method's name at its end.

    Args:
        record: ``{method: one curve per seed}``, from :func:`clt.results.recorded`.
        x: where the points of a curve lie; 1, 2, … if left out.
    """
    ax = _axes(ax)
    told, ends = [], []
    for row, (name, runs) in enumerate(record.items()):
        colour, dash = colour_of(name, row), DASHES[row % len(DASHES)]
        places = range(1, len(runs[0]) + 1) if x is None else x
        for run in runs:
            ax.plot(places, run, color=colour, alpha=0.25, linewidth=1, linestyle=dash)
        mean = np.mean(runs, axis=0)
        ax.plot(places, mean, color=colour, linewidth=2.5, linestyle=dash)
        ends.append((mean[-1], places[-1], name, colour))
        told.append(f"{name} from {number(mean[0])} to {number(mean[-1])}, halfway {number(mean[len(mean) // 2])}")
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    low, high = ax.get_ylim()
    free = -np.inf  # the lowest place that no name has taken: lines may end at one point
    for end, place, name, colour in sorted(ends):
        free = max(end, free)
        ax.annotate(name, (place, free), xytext=(5, 0), textcoords="offset points", color=_dark(colour), va="center",
                    fontsize=9, annotation_clip=False)  # fmt: skip
        free += 0.08 * (high - low)
    _extend(ax, f"{title}: {ylabel} against {xlabel}, one line per seed and their mean. {'; '.join(told)}.")
    return ax


def seeds(groups: Mapping[str, Sequence[float]], *, xlabel: str, title: str = "", ax: Axes | None = None) -> Axes:
    """One row per method, one dot per seed, a bar at the mean: the spread is what is drawn, not only the mean."""
    import seaborn  # late: a second

    ax, size = _axes(ax, figsize=(6.4, 1.1 + 0.36 * len(groups))), plt.rcParams["lines.markersize"]
    look = {"orient": "h", "palette": [colour_of(name, row) for row, name in enumerate(groups)], "ax": ax}
    seaborn.stripplot(groups, jitter=False, alpha=0.5, size=size, **look)
    bar = {"marker": "|", "markersize": 3 * size, "markeredgewidth": 2.5, "linestyle": "none"}
    seaborn.pointplot(groups, errorbar=None, **bar, **look)
    ax.set(xlabel=xlabel, ylim=(len(groups) - 0.5, -0.5), title=title)
    ax.grid(axis="x", alpha=0.3)
    told = "; ".join(
        f"{name} {number(np.mean(v))} (from {number(min(v))} to {number(max(v))})" for name, v in groups.items()
    )
    _extend(ax, f"{title}: {xlabel} per method, one dot per seed. {told}.")
    return ax


def record_and_live(record: Mapping[str, Sequence[float]], here: Mapping[str, Sequence[float]] | None = None, *,
                    xlabel: str, title: str = "", baseline: tuple[str, float] | None = None,
                    ax: Axes | None = None) -> Axes:  # fmt: skip
    """One row per method: the record's seeds as faint dots with a bar at their mean, this run as a bold diamond.

    Args:
        record: ``{method: one value per seed}``, from :func:`clt.results.recorded`.
        here: what this machine measured, for those methods it ran.
        xlabel, title: of the axes.
        baseline: a name and a value for a dotted line, such as the untrained encoder.
    """
    here = {name: values for name, values in (here or {}).items() if name in record}
    ax = seeds(record, xlabel=xlabel, title=title, ax=ax)
    ax.set_xlabel(xlabel + ("  (dots: seeds of the record; diamond: this run)" if here else "  (one dot a seed)"))
    for row, name in enumerate(record):
        if name in here:
            ax.scatter(here[name], [row] * len(here[name]), color=colour_of(name, row), marker="D", s=52,
                       edgecolors="black", zorder=4)  # fmt: skip
    if here:
        _extend(ax, f"This run: {'; '.join(f'{name} {number(np.mean(values))}' for name, values in here.items())}.")
    if baseline:
        ax.axvline(baseline[1], color="grey", linewidth=1, linestyle=(0, (1, 3)))
        ax.annotate(baseline[0], (baseline[1], 1), xycoords=("data", "axes fraction"), xytext=(3, 2),
                    textcoords="offset points", color="grey", fontsize=8)  # fmt: skip
        ax.set_title(title, pad=14)
        _extend(ax, f"{baseline[0]} is at {number(baseline[1])}.")
    return ax


def differences(values: Mapping[str, Mapping[str, float]], gaps: Mapping[str, Mapping[str, object]], rival: str, *,
                title: str = "", limit: float = 20.0) -> Axes:  # fmt: skip
    """A table of methods and measures: in each cell the mean, below it by how much it is above a rival's, in colour.

    Args:
        values: ``{method: {measure: mean}}``; every method has the same measures, or leaves some out.
        gaps: of the same form, each a :class:`clt.results.Difference` from the rival. A star marks a mean over
            several seeds whose 95 % interval leaves out 0; what has no gap stays white.
        rival: the name of the row that the others are held against.
        limit: the gap, up or down, that has the darkest colour.
    """
    measures = list(dict.fromkeys(measure for row in values.values() for measure in row))
    cells, told = np.full((len(values), len(measures)), np.nan), []
    ax = _axes(None, figsize=(2.4 + 0.86 * len(measures), 0.9 + 0.5 * len(values)))
    for i, (name, row) in enumerate(values.items()):
        for j, measure in enumerate(measures):
            gap, below = gaps.get(name, {}).get(measure), ""
            if gap is not None:
                cells[i, j] = gap.mean
                below = f"\n{gap.mean:+.1f}".replace("-", "−") + "*" * (gap.seeds > 1 and gap.low * gap.high > 0)
            text = f"{row[measure]:.1f}{below}" if measure in row else ""
            ax.text(j, i, text, ha="center", va="center", fontsize=8)
        told.append(f"{name}: " + ", ".join(f"{measure} {number(value)}" for measure, value in row.items()))
    image = ax.imshow(cells, vmin=-limit, vmax=limit, cmap="PuOr_r", aspect="auto")
    for text, colour in zip(ax.texts, image.cmap(image.norm(np.nan_to_num(cells.ravel()))), strict=True):
        text.set_color("black" if _luminance(colour) > 0.179 else "white")  # where both have the same contrast
    ax.set_xticks(range(len(measures)), [measure.replace(", ", ",\n") for measure in measures], fontsize=9)
    ax.set_yticks(range(len(values)), values)
    ax.tick_params(length=0, labeltop=True, labelbottom=False)
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
    ax.set_title(title, pad=12)
    _extend(ax, f"{title}: a table of means, each coloured by its distance from {rival}. {'; '.join(told)}.")
    return ax


def paths(record: Mapping[str, tuple], *, xlabel: str, ylabel: str, title: str = "",
          here: Mapping[str, tuple] | None = None, ax: Axes | None = None) -> Axes:  # fmt: skip
    """Paths through a plane: for each method the record's seeds as faint lines, their mean and this run as bold ones.

    Args:
        record: ``{method: (x, y)}``, each a list with one curve per seed, from :func:`clt.results.recorded`.
        here: ``{method: (x, y)}``, one curve each, drawn with a black edge.
    """
    ax = _axes(ax, figsize=(6.4, 4.2))
    told = []
    for row, (name, (xs, ys)) in enumerate(record.items()):
        colour, marker = colour_of(name, row), MARKERS[row % len(MARKERS)]
        for x, y in zip(xs, ys, strict=True):
            ax.plot(x, y, color=colour, alpha=0.25, linewidth=1, linestyle="-")
        x, y = np.mean(xs, axis=0), np.mean(ys, axis=0)
        ax.plot(x, y, color=colour, marker=marker, markersize=4, linestyle="-", linewidth=2, label=name)
        ax.annotate(name, (x[-1], y[-1]), xytext=(7, 0), textcoords="offset points", fontsize=9)
        told.append(f"{name} goes from ({number(x[0])}, {number(y[0])}) to ({number(x[-1])}, {number(y[-1])})")
        if here and name in here:
            ax.plot(*here[name], color=colour, marker="D", markersize=6, markeredgecolor="black", linewidth=2)
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    ax.margins(x=0.18)
    _extend(ax, f"{title}: {ylabel} against {xlabel}, one path per method. {'; '.join(told)}.")
    return ax


def label_curves(record: Mapping[str, Sequence[Sequence[float]]], *, x: Sequence[float],
                 here: Mapping[str, float] | None = None, saved: tuple[float, float] | None = None, xlabel: str = "",
                 ylabel: str = "", title: str = "", ax: Axes | None = None) -> Axes:  # fmt: skip
    """Curves over a logarithmic axis of label counts, one faint per seed and their mean bold, with a mark a method.

    Args:
        record: ``{method: one curve per seed}``, from :func:`clt.results.recorded`. A method without a curve keeps its
            place, so that the others look the same in every panel.
        x: how many labels each point of a curve had.
        here: what this machine measured at the first of them, as a diamond.
        saved: a count and a height: an arrow runs there from the first count, at that height, and says the count.
    """
    ax, told = _axes(ax), []
    for row, (name, runs) in enumerate(record.items()):
        if not runs:
            continue
        colour, mean = colour_of(name, row), np.mean(runs, axis=0)
        for run in runs:
            ax.plot(x, run, color=colour, alpha=0.2, linewidth=1, linestyle="-")
        ax.plot(x, mean, color=colour, linewidth=2.2, linestyle=DASHES[row % len(DASHES)], marker="osv^PX"[row % 6],
                label=name)  # fmt: skip
        told.append(f"{name} from {number(mean[0])} to {number(mean[-1])}")
        if name in (here or {}):
            ax.scatter(x[0], here[name], color=colour, marker="D", s=60, edgecolors="black", zorder=4)
    if saved:
        ax.annotate("", saved, (x[0], saved[1]), arrowprops={"arrowstyle": "->", "shrinkA": 5, "shrinkB": 0})
        ax.annotate(f"worth {number(saved[0], digits=2)}", saved, (4, -13), textcoords="offset points", fontsize=9)
        told.append(f"an arrow at {number(saved[1])} to {number(saved[0], digits=2)} labels")
    ax.set(xscale="log", xlabel=xlabel, ylabel=ylabel, title=title, xlim=(x[0] / 1.15, x[-1] * 1.15))
    ax.set_xticks(x, [str(count) for count in x])
    ax.minorticks_off()
    ax.legend(fontsize=8, loc="lower right")
    _extend(ax, f"{title}: {ylabel} against {xlabel}, one line per seed and their mean. {'; '.join(told)}.")
    return ax


def class_cosines(vectors: Mapping[str, object], labels) -> Figure:
    """Mean cosine between the rows of each two classes, a square per encoder; the diagonal is within a class.

    Each encoder's vectors are centred first: what all of them share would hide the rest. Rows with themselves are left
    out. ``labels`` are integers; classes stand in their order.
    """
    labels, squares = np.asarray(labels), {}
    one = (labels[:, None] == np.unique(labels)).astype(float)
    for name, x in vectors.items():
        x = np.asarray(x, dtype=float) - np.asarray(x, dtype=float).mean(axis=0)
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        cosines = x @ x.T
        np.fill_diagonal(cosines, 0)
        squares[name] = one.T @ cosines @ one / (one.T @ (1 - np.eye(len(x))) @ one)
    figure, axes = plt.subplots(1, len(squares), figsize=(3.4 * len(squares) + 0.6, 3.4), squeeze=False)
    limit, told = max(np.abs(square).max() for square in squares.values()), []
    for ax, (name, square) in zip(axes[0], squares.items(), strict=True):
        image = ax.imshow(square, vmin=-limit, vmax=limit, cmap="RdBu_r")
        within, between = np.diag(square).mean(), square[~np.eye(len(square), dtype=bool)].mean()
        ax.set(title=name, xticks=[], yticks=[], xlabel=f"within {within:.2f}, between {between:.2f}")
        told.append(f"{name} {within:.2f} within and {between:.2f} between classes")
    figure.colorbar(image, ax=axes[0], shrink=0.8)
    return describe(figure, f"Mean cosines of {len(square)} by {len(square)} classes: {'; '.join(told)}.")


# One colour for a method through all lessons; what has none here takes the next of the palette.
_OWN = {
    "untrained": "#7F7F7F", "dropout": COLOURS[0], "same mask": COLOURS[7], "labels": COLOURS[2], "SupCon": COLOURS[1],
    "cross entropy": COLOURS[4], "label-aware": COLOURS[3], "Twin Loss": COLOURS[5],
    "SimCSE": COLOURS[0], "both twins": COLOURS[6], "measured once": COLOURS[2], "goal zero": COLOURS[1],
    "IFCL": COLOURS[5], "cured": "#7F7F7F",
    "random": COLOURS[6], "words": COLOURS[6], "all": COLOURS[4], "semi-hard": COLOURS[0], "hard": COLOURS[1],
}  # fmt: skip


def colour_of(method: str, row: int = 0) -> str:
    """The colour of a method: its own, which is the same in every lesson, or the palette's for ``row``."""
    own = next((colour for name, colour in _OWN.items() if method.startswith(name)), None)
    return own or COLOURS[row % len(COLOURS)]


LARGEST_ANIMATION = 400_000  # bytes of what is stored in the notebook

_PLAYER = """<figure id="{id}" style="margin: 0">
<img src="{last}" alt="{alt}" style="max-width: 100%">
<div hidden><button type="button">Play</button>
<input type="range" min="0" max="{end}" value="{end}" step="1" aria-label="{label}"> <output>{said}</output></div>
</figure>
<script>
(function () {{
  document.querySelectorAll('[id="{id}"]:not([data-ready])').forEach(function (figure) {{
    var image = figure.querySelector("img"), button = figure.querySelector("button"), timer = null;
    var slider = figure.querySelector("input"), told = figure.querySelector("output");
    var frames = {frames}.concat(image.src), texts = {texts};
    function show(i) {{ image.src = frames[i]; slider.value = i; told.textContent = texts[i]; }}
    function stop() {{ clearInterval(timer); timer = null; button.textContent = "Play"; }}
    figure.setAttribute("data-ready", "");
    figure.querySelector("div").hidden = false;
    slider.oninput = function () {{ stop(); show(+slider.value); }};
    button.onclick = function () {{
      if (timer) {{ stop(); return; }}
      if (+slider.value === frames.length - 1) {{ show(0); }}
      button.textContent = "Pause";
      timer = setInterval(function () {{
        show(+slider.value + 1);
        if (+slider.value === frames.length - 1) {{ stop(); }}
      }}, {interval});
    }};
  }});
}})();
</script>"""


def animation(figure: Figure, draw: Callable[[int], object], frames: Sequence[int], *, alt: str, label: str = "step",
              interval: int = 120) -> None:  # fmt: skip
    """Show a figure that moves, with a button and a slider; where no script may run, its last frame stands still.

    Everything is in the notebook: pictures of few colours and a script of some lines, nothing from elsewhere
    (``matplotlib``'s ``to_jshtml`` asks the network for its buttons). Nothing moves before the button is pressed.

    Args:
        figure: drawn on by ``draw``, and closed at the end.
        draw: ``draw(frame)`` changes the figure to this frame.
        frames: the frames in their order, such as the steps of a run.
        alt: what a reader who does not see it has to know, how it moves included.
        label: what a frame is called; the slider says "step 40".
        interval: milliseconds from frame to frame.

    Raises:
        ValueError: if there are fewer than two frames, no alt text, or more than 400 KB to store.
    """
    from IPython.display import display

    frames = list(frames)
    if len(frames) < 2 or not alt.strip():
        raise ValueError(f"an animation needs two frames or more, and an alt text; got {len(frames)} and {alt!r}")
    pictures = []
    for frame in frames:
        draw(frame)
        pictures.append(_small_picture(figure))
    plt.close(figure)
    alt, texts = " ".join(alt.split()), [f"{label} {frame}" for frame in frames]
    page = _PLAYER.format(
        id="clt-" + hashlib.sha256("".join(pictures).encode()).hexdigest()[:12],
        alt=html.escape(alt), label=html.escape(label), said=html.escape(texts[-1]), last=pictures[-1],
        end=len(frames) - 1, frames=json.dumps(pictures[:-1]), texts=json.dumps(texts).replace("<", "\\u003c"),
        interval=interval,
    )  # fmt: skip
    if len(page) > LARGEST_ANIMATION:
        raise ValueError(
            f"{len(page) // 1000} KB to store, at most {LARGEST_ANIMATION // 1000} are allowed: draw fewer frames, "
            "or a smaller figure"
        )
    display({"text/html": page, "text/plain": f"An animation of {len(frames)} frames. {alt}"}, raw=True)


def moving_points(path: Sequence | Mapping[str, Sequence], labels: Sequence, *, frames: Sequence[int], alt: str,
                  title: str = "", circle: bool = False) -> None:  # fmt: skip
    """An animation of a few points in the plane, each with its label's colour and mark.

    Args:
        path: one ``(N, 2)`` array for each step of a run; or such a run for each title, side by side.
        labels: N labels.
        frames: the steps to show, in order.
        alt, title: see :func:`animation`.
        circle: whether to draw the circle of radius 1 that the points move on.
    """
    kinds = np.unique(np.asarray(labels), return_inverse=True)[1]
    runs = path if isinstance(path, Mapping) else {title: path}
    shown = {name: {step: np.asarray(run[step], dtype=float) for step in frames} for name, run in runs.items()}
    places = np.stack([x for run in shown.values() for x in run.values()])
    low, high = places.min(axis=(0, 1)), places.max(axis=(0, 1))
    middle, half = (np.zeros(2), 1.15) if circle else ((low + high) / 2, 0.6 * max(high - low))
    side = 4.2 if len(runs) == 1 else 3.0
    figure, axes = plt.subplots(1, len(runs), figsize=(side * len(runs), side), squeeze=False)

    def draw(step: int) -> None:
        for ax, (name, run) in zip(axes[0], shown.items(), strict=True):
            ax.clear()
            ax.spines[:].set_visible(not circle)
            if circle:
                ax.add_patch(plt.Circle((0, 0), 1, fill=False, color="lightgrey"))
            for (x, y), kind in zip(run[step], kinds, strict=True):
                ax.plot(x, y, color=COLOURS[kind % len(COLOURS)], marker=MARKERS[kind % len(MARKERS)], markersize=10,
                        alpha=0.7)  # fmt: skip
            ax.set(xlim=(middle[0] - half, middle[0] + half), ylim=(middle[1] - half, middle[1] + half), xticks=[],
                   yticks=[], aspect="equal", title=f"{name}, step {step}" if name else f"step {step}")  # fmt: skip

    animation(figure, draw, frames, alt=alt, interval=250)


def _small_picture(figure: Figure) -> str:
    """The figure as a data address: a PNG of 64 colours."""
    from PIL import Image

    drawn, stored = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=72)
    image = Image.open(drawn).convert("RGB").quantize(64, dither=Image.Dither.NONE)
    image.save(stored, format="png", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stored.getvalue()).decode("ascii")


class LiveCurve:
    """A loss curve that grows while a model trains; pass it to ``training.train(..., watch=LiveCurve())``."""

    def __init__(self, *, title: str = "training loss", seconds: float = 1.0):
        self.title, self.seconds = title, seconds
        self._drawn = self._handle = None

    def __call__(self, history: dict) -> None:
        now = time.monotonic()
        if self._drawn is None or now - self._drawn >= self.seconds:
            self._drawn = now
            self.draw(history)

    def draw(self, history: dict) -> None:
        """Draw the history as it is now, in the place of the last drawing."""
        from IPython.display import display

        figure, ax = plt.subplots(figsize=(5.6, 2.6))
        curves({"loss": history["loss"]}, ylabel="loss", title=self.title, ax=ax)
        ax.get_legend().remove()
        plt.close(figure)  # shown through the handle, not a second time at the end of the cell
        if self._handle is None:
            self._handle = display(figure, display_id=True)
        else:
            self._handle.update(figure)
