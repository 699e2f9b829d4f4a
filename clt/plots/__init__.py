"""Figures: one look for notebooks and slides, safe for colour-blind readers, with a text for those who see none.

Colour is never the only cue: points carry their label, lines their own dash, bars their value. Each function draws on
axes it is given or makes, and gives the figure its alt text, which the notebook stores beside the picture.
"""

from clt.plots.maps import class_cosines, classes, clouds, gallery, heat_map, similarity_image, steps_on_circle
from clt.plots.measured import curves, differences, label_curves, paths, record_and_live, seed_curves, seeds
from clt.plots.moving import LARGEST_ANIMATION, LiveCurve, animation, moving_points
from clt.plots.style import COLOURS, DASHES, MARKERS, colour_of, describe, use_style

__all__ = [
    "COLOURS", "DASHES", "LARGEST_ANIMATION", "MARKERS", "LiveCurve", "animation", "class_cosines", "classes", "clouds",
    "colour_of", "curves", "describe", "differences", "gallery", "heat_map", "label_curves", "moving_points", "paths",
    "record_and_live", "seed_curves", "seeds", "similarity_image", "steps_on_circle", "use_style",
]  # fmt: skip
