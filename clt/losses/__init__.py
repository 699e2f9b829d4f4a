"""The losses, one short file per family, all pure functions of tensors."""

from clt.losses.additive_margin import additive_margin_loss
from clt.losses.clip import clip_loss
from clt.losses.cosent import cosent_loss
from clt.losses.distillation import distillation_loss
from clt.losses.guided import guided_info_nce_loss
from clt.losses.hard_negatives import decoupled_loss, hard_negative_loss
from clt.losses.info_nce import info_nce_loss
from clt.losses.label_aware import label_aware_loss
from clt.losses.lifted import lifted_structure_loss
from clt.losses.matryoshka import matryoshka_loss
from clt.losses.nce import nce_loss, negative_sampling_loss
from clt.losses.nt_xent import nt_xent_loss, nt_xent_terms
from clt.losses.quick_thoughts import quick_thoughts_loss
from clt.losses.relational import relational_loss
from clt.losses.replaced_token import replaced_token_loss
from clt.losses.sigmoid import sigmoid_loss
from clt.losses.simcse import simcse_loss
from clt.losses.soft_nearest_neighbor import soft_nearest_neighbor_loss
from clt.losses.sup_con import sup_con_loss
from clt.losses.triplet import batch_triplet_loss, margin_triplet_loss, triplet_loss
from clt.losses.twin import HippocampusQueue, ifcl_loss, twin_loss, twin_margin

__all__ = [
    "HippocampusQueue",
    "additive_margin_loss",
    "batch_triplet_loss",
    "clip_loss",
    "cosent_loss",
    "decoupled_loss",
    "distillation_loss",
    "guided_info_nce_loss",
    "hard_negative_loss",
    "ifcl_loss",
    "info_nce_loss",
    "label_aware_loss",
    "lifted_structure_loss",
    "margin_triplet_loss",
    "matryoshka_loss",
    "nce_loss",
    "negative_sampling_loss",
    "nt_xent_loss",
    "nt_xent_terms",
    "quick_thoughts_loss",
    "relational_loss",
    "replaced_token_loss",
    "sigmoid_loss",
    "simcse_loss",
    "soft_nearest_neighbor_loss",
    "sup_con_loss",
    "triplet_loss",
    "twin_loss",
    "twin_margin",
]
