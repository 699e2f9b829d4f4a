"""How good is a representation? Its geometry on the sphere, and what a simple model can do with it."""

from clt.metrics.evaluation import linear_probe, sts_spearman
from clt.metrics.geometry import alignment, anisotropy, uniformity

__all__ = ["alignment", "anisotropy", "linear_probe", "sts_spearman", "uniformity"]
