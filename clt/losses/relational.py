"""Relational embedding: a relation is a map, and what it makes of one concept should land on another."""

import torch.nn.functional as F
from torch import Tensor

from clt.losses._shared import labelled, reduce, same_shape
from clt.similarity import full_precision, squared_euclidean


@full_precision
def relational_loss(mapped: Tensor, concepts: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    r"""Where a mapped concept lands, the right concept should be nearer than all others.

    .. math:: \ell_i = -\log \frac{e^{-\lVert m_i - v_{t_i} \rVert^2}}{\sum_{k=1}^{V} e^{-\lVert m_i - v_k \rVert^2}}

    No temperature, no margin, nothing normalised. If all rows have length 1, it is one-sided InfoNCE at τ = 1/2,
    because there ``−‖m − v‖² = 2 m·v − 2``.

    Args:
        mapped: ``(N, D)``, what the relations made of N concepts: in linear relational embedding ``R a``, a matrix
            times a vector.
        concepts: ``(V, D)``, all there are; the concept that was mapped is a candidate like any other.
        target: ``(N,)`` integers, the row of ``concepts`` that each should land on.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``. A question with K right answers is K rows; the paper weights
            each of them by 1/K.

    Returns:
        A scalar, or ``(N,)`` with ``reduction="none"``.

    Raises:
        ValueError: if the widths differ, something is empty, or a target is no row of ``concepts``.
        TypeError: if ``target`` does not hold integers.

    Source: Paccanaro and Hinton (2001), linear relational embedding: minus the logarithm of their discriminative
    goodness.
    """
    same_shape(mapped=mapped)
    same_shape(concepts=concepts)
    if mapped.shape[1] != concepts.shape[1]:
        raise ValueError(
            f"mapped and concepts must have one width, got shapes {tuple(mapped.shape)} and {tuple(concepts.shape)}"
        )
    target = labelled(mapped, target, "target")
    if target.min() < 0 or target.max() >= len(concepts):
        low, high = target.min().item(), target.max().item()
        raise ValueError(f"target must be rows of concepts, 0 to {len(concepts) - 1}, got {low} to {high}")
    return reduce(F.cross_entropy(-squared_euclidean(mapped, concepts), target, reduction="none"), reduction)
