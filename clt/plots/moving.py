"""Figures that move: animations that a notebook stores, and a curve that grows while a model trains."""

import base64
import hashlib
import html
import io
import json
import time
from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from clt.plots.measured import curves
from clt.plots.style import COLOURS, MARKERS

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
