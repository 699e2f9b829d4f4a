"""How good is a representation? Its geometry on the sphere, and what a simple model can do with it."""

from clt.metrics.evaluation import linear_probe, nearest_neighbor, sts_spearman
from clt.metrics.geometry import (
    against_strangers,
    alignment,
    anisotropy,
    isotropy,
    modality_gap,
    uniformity,
)
from clt.metrics.information import (
    dv_bound,
    gaussian_scores,
    info_nce_bound,
    mine_bound,
    nwj_bound,
    smile_bound,
    tuned_bound,
)
from clt.metrics.maps import knn_accuracy, trustworthiness
from clt.metrics.retrieval import median_rank, ndcg, recall, reciprocal_rank

__all__ = [
    "against_strangers",
    "alignment",
    "anisotropy",
    "dv_bound",
    "gaussian_scores",
    "info_nce_bound",
    "isotropy",
    "knn_accuracy",
    "linear_probe",
    "median_rank",
    "mine_bound",
    "modality_gap",
    "ndcg",
    "nearest_neighbor",
    "nwj_bound",
    "recall",
    "reciprocal_rank",
    "smile_bound",
    "sts_spearman",
    "trustworthiness",
    "tuned_bound",
    "uniformity",
]
