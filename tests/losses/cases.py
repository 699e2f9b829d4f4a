"""The contrastive losses with inputs for each: what the tests that hold for all of them run over."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import slow_losses as slow
import torch

from clt import losses

LABELS = torch.tensor([0, 1, 0, 2, 1, 0, 3, 0])  # 2 and 3 are alone
TEXTS = torch.tensor([4, 4, 4, 1, 0, 0, 7, 4])  # rows 3, 6 and 7 have no neighbour
BILINEAR = torch.tensor([[1.0, 0.2, -0.3], [0.0, 0.8, 0.1], [0.4, 0.0, 1.1]], dtype=torch.float64)


@dataclass
class Case:
    name: str
    loss: Callable  # takes the inputs, reduction=...
    slow: Callable  # takes the inputs, returns a list of rows
    shapes: tuple  # of the differentiable inputs
    tiled: bool = True  # whether it goes through the tiled operation

    def inputs(self, seed: int = 0, dtype=torch.float64) -> list[torch.Tensor]:
        generator = torch.Generator().manual_seed(seed)
        return [torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for shape in self.shapes]

    def __repr__(self):
        return self.name


def bilinear(x, y):
    return x @ BILINEAR.to(x) @ y.T


def queue_of(negatives):
    queue = losses.HippocampusQueue(2, decay=0.5)
    for batch in negatives.split(4):
        queue.push(batch)
    return queue


# with no more digits than bfloat16 has: exact in every precision
QUEUE = torch.randn(8, 3, generator=torch.Generator().manual_seed(7)).bfloat16().double()
FADED = torch.tensor([0.25] * 4 + [0.5] * 4, dtype=torch.float64)
MARGIN = torch.tensor([0.25, -0.125, 0.0625, 0.5, 0.0], dtype=torch.float64)
TEACHER = torch.randn(4, 6, generator=torch.Generator().manual_seed(8)).bfloat16().double()
ROWS = (5, 3)
GUIDE = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(8)).bfloat16().double()
TARGET = torch.tensor([0, 6, 2, 2, 4])  # of five questions about seven concepts

CASES = [
    Case(
        "nt_xent",
        lambda a, b, **o: losses.nt_xent_loss(a, b, temperature=0.3, **o),
        lambda a, b: slow.nt_xent(a, b, temperature=0.3),
        (ROWS, ROWS),
    ),
    Case(
        "info_nce",
        lambda q, k, **o: losses.info_nce_loss(q, k, temperature=0.2, **o),
        lambda q, k: slow.info_nce(q, k, temperature=0.2),
        (ROWS, ROWS),
    ),
    Case(
        "info_nce, shared negatives",
        lambda q, k, n, **o: losses.info_nce_loss(q, k, n, temperature=0.2, **o),
        lambda q, k, n: slow.info_nce(q, k, n, temperature=0.2),
        (ROWS, ROWS, (7, 3)),
    ),
    Case(
        "info_nce, weighted negatives",
        lambda q, k, n, w, **o: losses.info_nce_loss(q, k, n, w.abs(), temperature=0.2, **o),
        lambda q, k, n, w: slow.info_nce(q, k, n, w.abs(), temperature=0.2),
        (ROWS, ROWS, (7, 3), (7,)),
    ),
    Case(
        "info_nce, own negatives",
        lambda q, k, n, **o: losses.info_nce_loss(q, k, n, temperature=0.2, **o),
        lambda q, k, n: slow.info_nce(q, k, n, temperature=0.2),
        (ROWS, ROWS, (5, 4, 3)),
    ),
    Case(
        "info_nce, own weighted negatives",
        lambda q, k, n, w, **o: losses.info_nce_loss(q, k, n, w.abs(), temperature=0.2, **o),
        lambda q, k, n, w: slow.info_nce(q, k, n, w.abs(), temperature=0.2),
        (ROWS, ROWS, (5, 4, 3), (5, 4)),
    ),
    Case(
        "info_nce, dot product",
        lambda q, k, n, **o: losses.info_nce_loss(q, k, n, temperature=0.7, similarity="dot", **o),
        lambda q, k, n: slow.info_nce(q, k, n, temperature=0.7, similarity=slow.dot),
        (ROWS, ROWS, (7, 3)),
    ),
    Case(
        "info_nce, bilinear",
        lambda q, k, n, w, **o: losses.info_nce_loss(q, k, n, w.abs(), temperature=0.7, similarity=bilinear, **o),
        lambda q, k, n, w: slow.info_nce(
            q, k, n, w.abs(), temperature=0.7, similarity=lambda x, y: bilinear(x[None], y[None])[0, 0]
        ),
        (ROWS, ROWS, (5, 4, 3), (5, 4)),
        tiled=False,
    ),
    Case(
        "info_nce, log frequencies",
        lambda q, k, f, **o: losses.info_nce_loss(q, k, temperature=0.2, log_frequency=-f.abs(), **o),
        lambda q, k, f: slow.info_nce(q, k, temperature=0.2, log_frequency=-f.abs()),
        (ROWS, ROWS, (5,)),
    ),
    Case(
        "info_nce, log frequencies, weighted negatives",
        lambda q, k, f, n, w, **o: losses.info_nce_loss(q, k, n, w.abs(), temperature=0.2, log_frequency=-f.abs(), **o),
        lambda q, k, f, n, w: slow.info_nce(q, k, n, w.abs(), temperature=0.2, log_frequency=-f.abs()),
        (ROWS, ROWS, (5,), (7, 3), (7,)),
    ),
    Case(
        "info_nce, log frequencies, own negatives",
        lambda q, k, f, n, **o: losses.info_nce_loss(q, k, n, temperature=0.2, log_frequency=-f.abs(), **o),
        lambda q, k, f, n: slow.info_nce(q, k, n, temperature=0.2, log_frequency=-f.abs()),
        (ROWS, ROWS, (5,), (5, 4, 3)),
    ),
    Case(
        "distillation",
        lambda s, **o: losses.distillation_loss(s, TEACHER.to(s), **o),
        lambda s: slow.distillation(s, TEACHER),
        ((4, 6),),
        tiled=False,
    ),
    Case(
        "clip",
        lambda a, b, **o: losses.clip_loss(a, b, temperature=0.2, **o),
        lambda a, b: slow.clip(a, b, temperature=0.2),
        (ROWS, ROWS),
    ),
    Case(
        "additive margin",
        lambda a, b, **o: losses.additive_margin_loss(a, b, margin=0.25, temperature=0.2, **o),
        lambda a, b: slow.additive_margin(a, b, margin=0.25, temperature=0.2),
        (ROWS, ROWS),
        tiled=False,
    ),
    Case(
        "simcse",
        lambda a, p, **o: losses.simcse_loss(a, p, temperature=0.1, **o),
        lambda a, p: slow.simcse(a, p, temperature=0.1),
        (ROWS, ROWS),
    ),
    Case(
        "simcse, hard negatives",
        lambda a, p, h, **o: losses.simcse_loss(a, p, h, temperature=0.1, **o),
        lambda a, p, h: slow.simcse(a, p, h, temperature=0.1),
        (ROWS, ROWS, ROWS),
    ),
    Case(
        "simcse, weighted hard negatives",
        lambda a, p, h, **o: losses.simcse_loss(a, p, h, temperature=0.1, hard_negative_weight=2.5, **o),
        lambda a, p, h: slow.simcse(a, p, h, temperature=0.1, hard_negative_weight=2.5),
        (ROWS, ROWS, ROWS),
    ),
    Case(
        "sup_con",
        lambda x, **o: losses.sup_con_loss(x, LABELS, temperature=0.2, **o),
        lambda x: slow.sup_con(x, LABELS, temperature=0.2),
        ((8, 3),),
    ),
    Case(
        "sup_con, views",
        lambda x, **o: losses.sup_con_loss(x, LABELS[:4], temperature=0.2, **o),
        lambda x: slow.sup_con(x, LABELS[:4], temperature=0.2),
        ((4, 3, 3),),
    ),
    Case(
        "label_aware, outside",
        lambda x, w, **o: losses.label_aware_loss(x, LABELS, w, temperature=0.3, **o),
        lambda x, w: slow.label_aware(x, LABELS, w, temperature=0.3),
        ((8, 3), (8, 4)),
    ),
    Case(
        "label_aware, inside",
        lambda x, w, **o: losses.label_aware_loss(x, LABELS, w, temperature=0.3, positive_weight="inside", **o),
        lambda x, w: slow.label_aware(x, LABELS, w, temperature=0.3, positive_weight="inside"),
        ((8, 3), (8, 4)),
    ),
    Case(
        "quick_thoughts",
        losses.quick_thoughts_loss,
        slow.quick_thoughts,
        (ROWS, ROWS),
    ),
    Case(
        "quick_thoughts, texts",
        lambda f, g, **o: losses.quick_thoughts_loss(f, g, TEXTS, window=2, **o),
        lambda f, g: slow.quick_thoughts(f, g, TEXTS, window=2),
        ((8, 3), (8, 3)),
    ),
    Case(
        "quick_thoughts, one encoder",
        lambda f, **o: losses.quick_thoughts_loss(f, f, **o),
        lambda f: slow.quick_thoughts(f, f),
        (ROWS,),
    ),
    Case(
        "soft_nearest_neighbor",
        lambda x, **o: losses.soft_nearest_neighbor_loss(x, LABELS, temperature=0.8, **o),
        lambda x: slow.soft_nearest_neighbor(x, LABELS, temperature=0.8),
        ((8, 3),),
        tiled=False,
    ),
    Case(
        "relational",
        lambda m, v, **o: losses.relational_loss(m, v, TARGET, **o),
        lambda m, v: slow.relational(m, v, TARGET),
        (ROWS, (7, 3)),
        tiled=False,
    ),
    *(
        Case(
            f"hard_negative, β = {beta}, τ⁺ = {prior}",
            lambda a, b, beta=beta, prior=prior, **o: losses.hard_negative_loss(
                a, b, temperature=0.3, hardness=beta, class_prior=prior, **o
            ),
            lambda a, b, beta=beta, prior=prior: slow.hard_negative(
                a, b, temperature=0.3, hardness=beta, class_prior=prior
            ),
            (ROWS, ROWS),
            tiled=False,
        )
        for beta, prior in ((1.5, 0.1), (0.0, 0.2), (0.7, 0.0))  # the floor is active for some anchors
    ),
    Case(
        "decoupled",
        lambda a, b, **o: losses.decoupled_loss(a, b, temperature=0.3, **o),
        lambda a, b: slow.decoupled(a, b, temperature=0.3),
        (ROWS, ROWS),
        tiled=False,
    ),
    Case(
        "guided_info_nce",
        lambda q, k, **o: losses.guided_info_nce_loss(q, k, *GUIDE.to(q), temperature=0.2, margin=0.05, **o),
        lambda q, k: slow.guided(q, k, *GUIDE, temperature=0.2, margin=0.05),
        (ROWS, ROWS),
        tiled=False,
    ),
    Case(
        "matryoshka",
        lambda q, k, **o: losses.matryoshka_loss(
            partial(losses.info_nce_loss, temperature=0.2, **o), q, k, dimensions=(3, 2, 1)
        ),
        lambda q, k: slow.matryoshka(partial(slow.info_nce, temperature=0.2), q, k, dimensions=(3, 2, 1)),
        (ROWS, ROWS),
    ),
    Case("nce", losses.nce_loss, slow.nce, ((5,), (5, 4), (5,), (5, 4)), tiled=False),
    Case(
        "negative_sampling",
        lambda a, p, n, **o: losses.negative_sampling_loss(a, p, n, temperature=0.6, **o),
        lambda a, p, n: slow.negative_sampling(a, p, n, temperature=0.6),
        (ROWS, ROWS, (5, 4, 3)),
        tiled=False,
    ),
    Case(
        "twin",
        lambda a, i, f, **o: losses.twin_loss(a, i, f, MARGIN.to(a), **o),
        lambda a, i, f: slow.twin(a, i, f, MARGIN),
        (ROWS, ROWS, ROWS),
        tiled=False,
    ),
    Case(
        "ifcl",
        lambda a, i, f, **o: losses.ifcl_loss(
            a, i, f, MARGIN.to(a), queue_of(QUEUE.to(a)), temperature=0.2, twin_weight=0.7, **o
        ),
        lambda a, i, f: slow.ifcl(a, i, f, MARGIN, QUEUE, FADED, temperature=0.2, twin_weight=0.7),
        (ROWS, ROWS, ROWS),
    ),
]
TILED = [case for case in CASES if case.tiled]
PATHS = ["dense", "tiled", "tiled, row maximum"]  # the ways through the operation: see the fixture ``path``
CASES_AND_PATHS = [(case, path) for case in CASES for path in (PATHS if case.tiled else PATHS[:1])]
