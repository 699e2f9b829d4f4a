"""How good is a representation? Its geometry on the sphere, and what a simple model can do with it."""

from clt.metrics.evaluation import linear_probe, nearest_neighbor, sts_spearman
from clt.metrics.geometry import against_strangers, alignment, anisotropy, uniformity
from clt.metrics.information import dv_bound, info_nce_bound, mine_bound, nwj_bound, smile_bound, tuned_bound

__all__ = [
    "against_strangers",
    "alignment",
    "anisotropy",
    "dv_bound",
    "info_nce_bound",
    "linear_probe",
    "mine_bound",
    "nearest_neighbor",
    "nwj_bound",
    "smile_bound",
    "sts_spearman",
    "tuned_bound",
    "uniformity",
]
