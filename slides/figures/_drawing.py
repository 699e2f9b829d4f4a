"""What the decks' figures share: how one is entered, drawn and written, and a few shapes."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from clt import encoders, plots, results

INK = {"light": "#1d2530", "dark": "#e8eaed"}
GROUND = {"light": "#fcfcf9", "dark": "#14181e"}
FIGURES: dict[str, Callable[[], Figure]] = {}


def figure(make: Callable[[], Figure]) -> Callable[[], Figure]:
    """Enter a function into the list of figures, under its name."""
    FIGURES[make.__name__.replace("_", "-")] = make
    return make


def _style(scheme: str) -> dict[str, object]:
    plots.use_style()
    inked = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")
    sizes = {"font.size": 15, "axes.titlesize": 16, "lines.linewidth": 3, "lines.markersize": 9}
    return sizes | {"svg.hashsalt": "clt"} | dict.fromkeys(inked, INK[scheme])


@cache
def made(name: str, scheme: str) -> Figure:
    """The figure ``name`` in the ink of a scheme, drawn once."""
    with plt.rc_context(_style(scheme)):
        fig = FIGURES[name]()
        for drawn in fig.findobj(lambda artist: isinstance(artist, (Line2D, PathCollection))):
            colours = [drawn.get_color()] if isinstance(drawn, Line2D) else drawn.get_facecolor()[:1, :3]
            if any(to_rgb(colour) == (0, 0, 0) for colour in colours):  # one of the palette: ink on either ground
                drawn.set_color(ink())
            if scheme == "dark" and isinstance(drawn, PathCollection) and drawn.get_alpha() == 0.5:
                drawn.set_alpha(0.8)  # a dot of a seed: on the dark ground half of a dark colour is too little
        fig.draw_without_rendering()  # the layout of axes with a fixed aspect settles at the second pass
        plt.close(fig)
    if not getattr(fig, "alt", ""):
        raise ValueError(f"figure {name} has no alt text: plots.describe gives it one")
    return fig


def draw(name: str, folder: Path, scheme: str) -> tuple[str, str]:
    """Write the figure ``name`` to ``folder`` as SVG: its path beside the deck, and its alt text."""
    fig, target = made(name, scheme), folder / f"{name}.svg"
    folder.mkdir(parents=True, exist_ok=True)
    with plt.rc_context(_style(scheme)):
        fig.savefig(target, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return f"{folder.name}/{name}.svg", fig.alt


def values(lesson: str, key: str) -> list[float]:
    """One number per seed, as a lesson recorded it; a figure that asks for what nobody measured stops the build."""
    found = results.recorded(lesson).found
    if key not in found:
        raise ValueError(f"{lesson} has not recorded {key!r}; recorded are {', '.join(map(repr, found)) or 'none'}")
    return found[key]["values"]


def groups(lesson: str, keys: dict[str, str]) -> dict[str, list[float]]:
    """What a lesson recorded, under the names that a figure shows."""
    return {name: values(lesson, key) for name, key in keys.items()}


def strips(panels: dict[str, dict[str, list[float]]], size: tuple[float, float], before: str = "",
           at: Sequence[float] = ()) -> Figure:  # fmt: skip
    """Panels side by side, the same methods in each: a dot per seed, a bar at the mean.

    A dotted line stands ``at`` a value of each panel; ``before`` says what it is, for those who do not see it.
    """
    fig, axes = plt.subplots(1, len(panels), figsize=size, sharey=True, squeeze=False)
    for ax, (what, found) in zip(axes[0], panels.items(), strict=True):
        plots.seeds(found, xlabel=what, ax=ax)
        ax.locator_params(axis="x", nbins=4)
    told = fig.alt.lstrip(": ").replace(". : ", ". ")
    for ax, value in zip(axes[0], at, strict=False):
        ax.axvline(value, color=ink(), linewidth=2, linestyle=":")
    if at:
        told += f" {before}: {', '.join(f'{value:.0f}' for value in at)}."
    return plots.describe(fig, told[:1].upper() + told[1:])


def settled(fig: Figure) -> Figure:
    """The figure with its layout fixed: where axes of a fixed aspect meet, the solver's last digits vary, and the names
    of the clip paths in the SVG with them."""
    for _ in range(2):
        fig.draw_without_rendering()
    fig.set_layout_engine("none")
    for ax in fig.axes:
        ax.set_position(np.round(ax.get_position(original=True).bounds, 4))
    return fig


def ink() -> str:
    return plt.rcParams["text.color"]


def ground() -> str:
    """The colour of the slide behind the figure."""
    return GROUND[next(scheme for scheme, colour in INK.items() if colour == ink())]


@cache
def encoder() -> encoders.SentenceEncoder:
    return encoders.SentenceEncoder.load("clt-mini")


def bare(ax, limit: float = 1.2) -> None:
    ax.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def arrow(ax, start, end, **look) -> None:
    ax.annotate(
        "", end, start, arrowprops={"arrowstyle": "-|>", "mutation_scale": 20, "shrinkA": 0, "shrinkB": 0} | look
    )


def on_circle(degrees) -> np.ndarray:
    turn = np.deg2rad(np.asarray(degrees, dtype=float))
    return np.stack([np.cos(turn), np.sin(turn)], axis=-1)


def pairs_on_circle(ax, starts, ends, *, size: float = 11) -> None:
    ax.add_patch(plt.Circle((0, 0), 1, fill=False, color="#9aa0a6", linewidth=1.5))
    for i, (p, q) in enumerate(zip(on_circle(starts), on_circle(ends), strict=True)):
        ax.plot(
            *zip(p, q, strict=True), color=plots.COLOURS[i], marker=plots.MARKERS[i], markersize=size, linestyle="-"
        )
    bare(ax)
