"""The two forms that contrastive losses have: one positive among the candidates, or several.

One positive is taken out of the sum over the candidates, where its term is e^{p − p} = 1, and comes back as a floor of
0: a loss of 1e-6 keeps its digits, as in ``log1p``. Of several positives the mean logit is p; they stay among the
candidates, and the floor is −inf. Where the matrix of logits is small, a second one may hold their weights: p is then
made beside the sum, and its gradient with that of the sum.
"""

import torch
from torch import Tensor

from clt.losses._contrast import contrast
from clt.losses._gather import processes, total
from clt.losses._shared import REDUCTIONS, one_of
from clt.similarity import transformed


def one_positive(
    query: Tensor,
    key: Tensor,
    target: Tensor,
    *,
    temperature: float | Tensor,
    left_out: int | None = None,
    extra: Tensor | None = None,
    unit: bool = False,
    cosine: bool = False,
    reduction: str = "mean",
    gather: bool = False,
) -> Tensor:
    r"""Cross entropy of picking each query's target among the keys.

    .. math:: \ell_i = -\log \frac{e^{s_{i,t(i)}}}{\sum_{k \ne i + o} e^{s_{ik}} + e^{x_i}}, \qquad
              s_{ik} = \frac{q_i \cdot k_k}{\tau}

    Args:
        query: ``(N, D)``, the anchors.
        key: ``(M, D)``, the candidates.
        target: t, ``(N,)`` int64: which key is the positive.
        temperature: τ; a tensor gets its gradient, too.
        left_out: o: key i + o, as a rule the row itself, is no candidate of row i; every key is one if left out.
        extra: x, ``(N,)``: the logarithm of what else stands in the denominator.
        unit: the rows of ``query`` and ``key`` have length 1.
        cosine: their cosines are wanted, not their dot products; not together with ``extra``.
        gather: the keys are those of all processes; mean and sum are then scaled for what follows (``_gather``).
    """
    weight = row_weights(query, None, None, reduction, gather)
    options = {"temperature": temperature, "unit": unit, "cosine": cosine, "reduction": reduction}
    floor = positive = None
    if extra is not None:
        positive = (query * key[target]).sum(dim=1) / temperature
        floor = torch.logaddexp(torch.zeros_like(positive), extra - positive)
    return contrast(query, key, positive, target, left_out, floor, weight, **options)


def several_positives(
    query: Tensor,
    key: Tensor,
    mean_logit: Tensor,
    positives: Tensor,
    *,
    temperature: float | Tensor,
    left_out: int,
    weight: Tensor | None = None,
    unit: bool = False,
    cosine: bool = False,
    reduction: str = "mean",
    gather: bool = False,
) -> Tensor:
    r"""Mean over an anchor's positives of the cross entropy of picking each.

    .. math:: \ell_i = -\frac{w_i}{|P(i)|} \sum_{p \in P(i)} \log \frac{e^{s_{ip}}}{\sum_{k \ne i + o} e^{s_{ik}}}
              = w_i \Big( \log \sum_{k \ne i + o} e^{s_{ik}} - \bar s_i \Big)

    Args:
        mean_logit: s̄, ``(N,)``, the mean logit of each anchor's positives; or, where the matrix is ``kept_whole``,
            ``(N, M)``, the weights of the mean: 1/|P(i)| for a positive, else 0.
        positives: ``(N,)``, how many it has; an anchor without any costs 0 and is left out of the mean.
        weight: w, ``(N,)``; 1 if left out.
        query, key, temperature, left_out, unit, cosine, gather: as for :func:`one_positive`.
    """
    options = {"temperature": temperature, "unit": unit, "cosine": cosine, "reduction": reduction}
    quick = weight is None and mean_logit.dim() == 2 and positives.is_cpu and not (gather or transformed())
    if quick and positives.amin().item() > 0:  # every anchor has one: the fewest steps
        equal = row_weights(query, None, None, reduction, gather)
        return contrast(query, key, mean_logit, None, left_out, None, equal, **options)
    valid = positives > 0
    weight = valid.to(query.dtype) if weight is None else valid * weight
    weight = row_weights(query, weight, valid.sum(), reduction, gather)
    floor = query.new_zeros(len(query)).masked_fill(valid, -torch.inf)  # finite where the weight is 0
    return contrast(query, key, mean_logit, None, left_out, floor, weight, **options)


def row_weights(
    rows: Tensor, weight: Tensor | None, count: Tensor | None, reduction: str, gather: bool
) -> Tensor | None:
    """``(N,)``: the factors with which the rows are to be summed, or multiplied where they are not reduced; nothing
    where their mean is wanted."""
    one_of(REDUCTIONS, reduction=reduction)
    gather = gather and processes() > 1
    if reduction == "mean" and count is None and not gather:
        return None
    weight = rows.new_ones(len(rows)) if weight is None else weight
    if reduction == "mean":
        count = rows.new_tensor(len(rows)) if count is None else count
        weight = weight / (total(count) if gather else count).clamp_min(1)
    return weight * processes() if gather and reduction != "none" else weight
