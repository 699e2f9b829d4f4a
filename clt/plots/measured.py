"""Numbers that were measured: curves and rows, with every seed of the record, and with this run."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from clt.plots.style import DASHES, MARKERS, axes_of, colour_of, dark, extend, luminance
from clt.results import number


def curves(lines: Mapping[str, Sequence[float]], *, x: Sequence[float] | None = None, xlabel: str = "step",
           ylabel: str = "", title: str = "", log: bool = False, ax: Axes | None = None) -> Axes:  # fmt: skip
    """Named lines over a common axis, each with its own dash and its name in the legend."""
    ax = axes_of(ax)
    for name, values in lines.items():
        ax.plot(range(1, len(values) + 1) if x is None else x, values, label=name)
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    if log:
        ax.set_yscale("log")
    ax.legend()
    told = "; ".join(f"{name} from {number(v[0])} to {number(v[-1])}" for name, v in lines.items())
    extend(ax, f"{title}: {ylabel} against {xlabel}. {told}.")
    return ax


def seed_curves(record: Mapping[str, Sequence[Sequence[float]]], *, x: Sequence[float] | None = None,
                xlabel: str = "step", ylabel: str = "", title: str = "", ax: Axes | None = None) -> Axes:  # fmt: skip
    """One curve per seed, faint, and their mean, bold, with the method's name at its end.

    Args:
        record: ``{method: one curve per seed}``, from :func:`clt.results.recorded`.
        x: where the points of a curve lie; 1, 2, … if left out.
    """
    ax = axes_of(ax)
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
        ax.annotate(name, (place, free), xytext=(5, 0), textcoords="offset points", color=dark(colour), va="center",
                    fontsize=9, annotation_clip=False)  # fmt: skip
        free += 0.08 * (high - low)
    extend(ax, f"{title}: {ylabel} against {xlabel}, one line per seed and their mean. {'; '.join(told)}.")
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
    ax, told = axes_of(ax), []
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
    extend(ax, f"{title}: {ylabel} against {xlabel}, one line per seed and their mean. {'; '.join(told)}.")
    return ax


def paths(record: Mapping[str, tuple], *, xlabel: str, ylabel: str, title: str = "",
          here: Mapping[str, tuple] | None = None, ax: Axes | None = None) -> Axes:  # fmt: skip
    """Paths through a plane: for each method the record's seeds as faint lines, their mean and this run as bold ones.

    Args:
        record: ``{method: (x, y)}``, each a list with one curve per seed, from :func:`clt.results.recorded`.
        here: ``{method: (x, y)}``, one curve each, drawn with a black edge.
    """
    ax = axes_of(ax, figsize=(6.4, 4.2))
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
    extend(ax, f"{title}: {ylabel} against {xlabel}, one path per method. {'; '.join(told)}.")
    return ax


def seeds(groups: Mapping[str, Sequence[float]], *, xlabel: str, title: str = "", ax: Axes | None = None) -> Axes:
    """One row per method, one dot per seed, a bar at the mean: the spread is what is drawn, not only the mean."""
    import seaborn  # late: a second

    ax, size = axes_of(ax, figsize=(6.4, 1.1 + 0.36 * len(groups))), plt.rcParams["lines.markersize"]
    look = {"orient": "h", "palette": [colour_of(name, row) for row, name in enumerate(groups)], "ax": ax}
    seaborn.stripplot(groups, jitter=False, alpha=0.5, size=size, **look)
    bar = {"marker": "|", "markersize": 3 * size, "markeredgewidth": 2.5, "linestyle": "none"}
    seaborn.pointplot(groups, errorbar=None, **bar, **look)
    ax.set(xlabel=xlabel, ylim=(len(groups) - 0.5, -0.5), title=title)
    ax.grid(axis="x", alpha=0.3)
    told = "; ".join(
        f"{name} {number(np.mean(v))} (from {number(min(v))} to {number(max(v))})" for name, v in groups.items()
    )
    extend(ax, f"{title}: {xlabel} per method, one dot per seed. {told}.")
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
        extend(ax, f"This run: {'; '.join(f'{name} {number(np.mean(values))}' for name, values in here.items())}.")
    if baseline:
        ax.axvline(baseline[1], color="grey", linewidth=1, linestyle=(0, (1, 3)))
        ax.annotate(baseline[0], (baseline[1], 1), xycoords=("data", "axes fraction"), xytext=(3, 2),
                    textcoords="offset points", color="grey", fontsize=8)  # fmt: skip
        ax.set_title(title, pad=14)
        extend(ax, f"{baseline[0]} is at {number(baseline[1])}.")
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
    ax = axes_of(None, figsize=(2.4 + 0.86 * len(measures), 0.9 + 0.5 * len(values)))
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
        text.set_color("black" if luminance(colour) > 0.179 else "white")  # where both have the same contrast
    ax.set_xticks(range(len(measures)), [measure.replace(", ", ",\n") for measure in measures], fontsize=9)
    ax.set_yticks(range(len(values)), values)
    ax.tick_params(length=0, labeltop=True, labelbottom=False)
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
    ax.set_title(title, pad=12)
    extend(ax, f"{title}: a table of means, each coloured by its distance from {rival}. {'; '.join(told)}.")
    return ax
