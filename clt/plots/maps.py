"""Points where they lie, matrices as colours, pictures in rows."""

import textwrap
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from clt.plots.style import COLOURS, MARKERS, axes_of, dark, describe, extend, luminance
from clt.results import number


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
    ax = axes_of(ax, figsize=(4.6, 4.2))
    middles = {i: np.median(positions[labels == i], axis=0) for i in range(len(names)) if (labels == i).any()}
    line, written = 0.05 * np.ptp(positions, axis=0).max(), []  # the height of a name, and where there are some
    for i, (x, y) in sorted(middles.items(), key=lambda item: item[1][1]):
        colour, marker = COLOURS[i % len(COLOURS)], MARKERS[(i + i // len(COLOURS)) % len(MARKERS)]
        ax.scatter(*positions[labels == i].T, s=9, color=colour, marker=marker, alpha=0.6, linewidths=0)
        for left, below, other in written:
            if abs(x - left) < 0.2 * line * (len(names[i]) + len(other)):
                y = max(y, below + line)
        written.append((x, y, names[i]))
        text = ax.text(x, y, names[i], color=dark(colour), fontsize=8, weight="bold", ha="center", va="center")
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
    extend(ax, f"{told}.")
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
    ax = axes_of(ax, figsize=(3.4, 3.2))
    flat = (readings - readings.mean((0, 1))).reshape(-1, readings.shape[-1])
    places = flat @ np.linalg.svd(flat, full_matrices=False)[2][:2].T
    for i, cloud in enumerate(places.reshape(*readings.shape[:2], 2)):
        ax.scatter(*cloud.T, s=16, color=COLOURS[i // 2 % len(COLOURS)], marker="o^"[i % 2])
    ax.set(title=title, xticks=[], yticks=[], aspect="equal")
    extend(ax, f"{title}: {len(readings)} clouds of {readings.shape[1]} dots, two for each meaning.")
    return ax


def steps_on_circle(positions, moves, labels: Sequence[str], *, title: str = "", ax: Axes | None = None) -> Axes:
    """Points of the unit circle with their labels, and an arrow for where each of them moves.

    Args:
        positions, moves: ``(N, 2)``; the first point is the anchor, drawn as a star. Moves below 0.05 are left out.
        labels: N short texts, written outside the circle.
    """
    positions, moves = np.asarray(positions), np.asarray(moves)
    ax = axes_of(ax, figsize=(3.8, 3.8))
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
    extend(ax, f"{title}: points on a circle with arrows; {'; '.join(told)}.")
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
    ax = axes_of(ax, figsize=(1.6 + 0.52 * len(matrix), 1.0 + 0.46 * len(matrix)))
    seaborn.heatmap(matrix, vmin=low, vmax=high, cmap="viridis", annot=True, fmt=f".{digits}f", square=True,
                    annot_kws={"fontsize": 7}, cbar_kws={"shrink": 0.8}, xticklabels=labels, yticklabels=labels,
                    ax=ax)  # fmt: skip
    mesh = ax.collections[0]
    for text, colour in zip(ax.texts, mesh.cmap(mesh.norm(mesh.get_array().compressed())), strict=True):
        text.set_color("black" if luminance(colour) > 0.179 else "white")  # where both have the same contrast
    ax.tick_params("x", rotation=0 if max(len(str(x)) for x in labels) < 4 else 30)
    ax.tick_params("y", rotation=0)
    ax.set_title(title)
    off = matrix[~np.eye(len(matrix), dtype=bool)]
    extend(
        ax,
        f"{title}: heat map of {len(matrix)} by {len(matrix)} values; on the diagonal {number(np.diag(matrix).mean())} "
        f"on average, elsewhere {number(off.mean())}, from {number(off.min())} to {number(off.max())}.",
    )
    return ax


def similarity_image(matrix, *, xlabel: str, ylabel: str, title: str = "", ax: Axes | None = None) -> Axes:
    """A matrix that is too large for numbers in its cells, as an image; how its diagonal stands out is told."""
    matrix = np.asarray(matrix)
    ax = axes_of(ax, figsize=(3.8, 3.2))
    ax.get_figure().colorbar(ax.imshow(matrix, cmap="viridis", interpolation="nearest"), ax=ax, shrink=0.8)
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title, xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    own, rest = np.diag(matrix).mean(), matrix[~np.eye(len(matrix), dtype=bool)].mean()
    extend(ax, f"{title}: image of {len(matrix)} by {len(matrix)} similarities; on the diagonal {number(own)} on "
                f"average, elsewhere {number(rest)}.")  # fmt: skip
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
