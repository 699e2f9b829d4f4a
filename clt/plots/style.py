"""The look of all figures: palette, alt texts, and what the other modules of this package share."""

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

# Okabe and Ito (2008): eight colours that people with any common form of colour blindness can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C8C00")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")

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


def extend(ax: Axes, text: str) -> None:
    """Add a sentence to the figure's alt text: a figure of several axes is described axis by axis."""
    figure = ax.get_figure()
    describe(figure, f"{getattr(figure, 'alt', '')} {text}")


def axes_of(ax: Axes | None, **options) -> Axes:
    return ax if ax is not None else plt.subplots(**options)[1]


def dark(colour: str) -> tuple[float, ...]:
    """The colour, dark enough for small letters on white."""
    return tuple(0.65 * part for part in to_rgb(colour))


def luminance(colour) -> float:
    """How bright a colour is, from 0 for black to 1 for white, as WCAG 2 defines it."""
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
