"""How good is a representation? Its geometry on the sphere, and what a simple model can do with it."""

from clt.metrics.evaluation import linear_probe, nearest_neighbor, sts_spearman
from clt.metrics.geometry import alignment, anisotropy, uniformity
from clt.metrics.information import dv_bound, info_nce_bound, mine_bound, nwj_bound, smile_bound
from clt.metrics.retrieval import ndcg, recall, reciprocal_rank

__all__ = [
    "alignment",
    "anisotropy",
    "dv_bound",
    "info_nce_bound",
    "linear_probe",
    "mine_bound",
    "ndcg",
    "nearest_neighbor",
    "nwj_bound",
    "recall",
    "reciprocal_rank",
    "smile_bound",
    "sts_spearman",
    "uniformity",
]
