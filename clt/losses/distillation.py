"""Distillation: a ranking is learned from another ranking."""

import torch
from torch import Tensor

from clt.losses._shared import finite_largest, reduce, same_shape
from clt.similarity import full_precision


@full_precision
def distillation_loss(student_scores: Tensor, teacher_scores: Tensor, *, reduction: str = "mean") -> Tensor:
    r"""Cross entropy of the student's softmax to the teacher's, row by row.

    .. math:: \ell_i = -\sum_j \mathrm{softmax}(t_i)_j \, \log \mathrm{softmax}(s_i)_j

    The teacher gets no gradient. The loss is smallest, not 0 but the teacher's entropy, where both distributions agree;
    adding a constant to a row of either changes nothing.

    Args:
        student_scores, teacher_scores: ``(N, M)``: row i scores the M candidates of query i, already divided by the
            temperature. A candidate with −inf is none: what the teacher leaves out asks nothing of the student.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Returns:
        A scalar, or ``(N,)`` with ``reduction="none"``.

    Raises:
        ValueError: if the shapes differ or are empty, or a row of a side has no candidate.

    Source: Hinton, Vinyals and Dean (2015); as self-distillation of an ensemble of scores in Chen et al. (2024),
    M3-Embedding, section 3.3.
    """
    same_shape(student_scores=student_scores, teacher_scores=teacher_scores)
    finite_largest(student_scores=student_scores, teacher_scores=teacher_scores)
    share = teacher_scores.detach().softmax(1)
    asked = torch.where(share > 0, student_scores.log_softmax(1), 0.0)  # 0 · −inf is NaN
    return reduce(-(share * asked).sum(1), reduction)
