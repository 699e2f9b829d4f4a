"""InfoNCE: which of these candidates belongs to the query?"""

from collections.abc import Callable

import torch
from torch import Tensor

from clt.losses._contrast import NOTHING, dense_rows, log_add, weighted_sum
from clt.losses._gather import gather_rows
from clt.losses._positives import one_positive, row_weights
from clt.losses._shared import above_zero, constant, floating, log_probability, no_negative_weight, one_of, same_shape
from clt.similarity import full_precision, normalize, product


@full_precision
def info_nce_loss(
    query: Tensor,
    positive: Tensor,
    negatives: Tensor | None = None,
    negative_weights: Tensor | None = None,
    *,
    temperature: float = 0.07,
    similarity: str | Callable[[Tensor, Tensor], Tensor] = "cosine",
    log_frequency: Tensor | None = None,
    reduction: str = "mean",
    gather: bool = False,
) -> Tensor:
    r"""Cross entropy of picking a query's own positive among all positives and the extra negatives.

    .. math:: \ell_i = -\log \frac{e^{s(q_i, k_i)/\tau}}
              {\sum_j e^{s(q_i, k_j)/\tau} + \sum_m p_m\, e^{s(q_i, n_m)/\tau}}

    One-sided: the queries choose among the positives, not the other way round. log N minus the loss is a lower bound
    of the mutual information of queries and positives (see ``clt.metrics``).

    With ``log_frequency`` the logit s(q, k_j)/τ of every positive becomes s(q, k_j)/τ − log p_j. A batch shows popular
    items more often than rare ones, as negatives too; the correction takes out of the scores what only their
    frequency put in.

    Args:
        query, positive: both ``(N, D)``; row i of one belongs to row i of the other.
        negatives: extra candidates, shared by all queries ``(M, D)``, or each query's own ``(N, K, D)``; ``(0, 0)``, as
            an empty queue gives them, are none.
        negative_weights: p, at least 0: ``(M,)`` or ``(N, K)``; 1 if left out.
        temperature: τ.
        similarity: ``"cosine"``, ``"dot"``, or a function of ``(N, D)`` and ``(M, D)`` that returns ``(N, M)``.
        log_frequency: log p, ``(N,)``, at most 0: the logarithm of the probability with which each row of ``positive``
            comes into a batch; extra negatives are not touched by it.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        gather: the positives and shared negatives of all other processes are candidates too; after
            ``DistributedDataParallel`` has taken its mean, the gradients are those of one process with the whole batch.

    Returns:
        A scalar, or ``(N,)`` with ``reduction="none"``.

    Raises:
        ValueError: if the shapes do not fit or are empty, a weight is negative, the temperature is not positive, a log
            frequency is above 0 or not finite, or ``similarity`` is unknown or returns another shape.

    Source: van den Oord, Li and Vinyals (2018), CPC, eq. 4; weights as in Xiao, Li and Chen (2023), IFCL, where they
    fade the older rows of a queue; log frequencies as in Yi et al. (2019), "log-Q", taken off every column. The package
    info-nce-pytorch does not count the other positives when negatives are given.
    """
    same_shape(query=query, positive=positive)
    if isinstance(negatives, Tensor) and negatives.shape == (0, 0):
        negatives = negative_weights = None
    _check_negatives(query, negatives, negative_weights)
    _check_frequency(positive, log_frequency)
    above_zero(temperature=temperature)
    if callable(similarity):
        logits, target = _score(similarity, query, positive, negatives, negative_weights, temperature, gather)
        if log_frequency is not None:
            log_frequency = gather_rows(log_frequency, gather)[0]
            logits = torch.cat([logits[:, : len(log_frequency)] - log_frequency, logits[:, len(log_frequency) :]], 1)
        rows = dense_rows(logits, None, target, None, None)
        weight = row_weights(rows, None, None, reduction, gather)
        return rows * weight if reduction == "none" else weighted_sum(rows, weight)

    one_of(("cosine", "dot"), similarity=similarity)
    cosine = similarity == "cosine"
    options = {"temperature": temperature, "reduction": reduction, "gather": gather}
    if negatives is None and log_frequency is None:
        key, start = gather_rows(positive, gather)
        return one_positive(query, key, places(query, start), cosine=cosine, **options)
    if cosine:
        query, positive = normalize(query), normalize(positive)
        negatives = None if negatives is None else normalize(negatives)
    extra, shared = None, negatives
    if negatives is not None and negatives.dim() == 3:
        own = _weigh(product(query[:, None], negatives)[:, 0] / temperature, negative_weights)
        extra, shared = log_add(own, own.new_full((len(own),), -torch.inf)), None
    weighted = shared is not None and negative_weights is not None
    shifted = weighted or log_frequency is not None
    if shifted:  # [q, τ] · [n, log p] / τ = q · n / τ + log p: what is added to the logit of each candidate
        query = torch.cat([query, temperature * query.new_ones(len(query), 1)], dim=1)
        shift = positive.new_zeros(len(positive)) if log_frequency is None else -log_frequency
        positive = torch.cat([positive, shift[:, None]], dim=1)
    if shifted and shared is not None:
        weights = negative_weights if weighted else shared.new_ones(len(shared))
        log_weights = _weigh(torch.zeros_like(weights), weights).clamp_min(NOTHING)
        shared = torch.cat([shared, log_weights[:, None]], dim=1)
    key, start = gather_rows(positive, gather)
    key = key if shared is None else torch.cat([key, gather_rows(shared, gather)[0]])
    return one_positive(query, key, places(query, start), extra=extra, unit=cosine and not shifted, **options)


def places(query: Tensor, start: int) -> Tensor:
    """Which of all processes' positives belongs to each query of this one."""
    return constant(query, torch.arange, start, start + len(query))


def _score(similarity, query, positive, negatives, weights, temperature, gather) -> tuple[Tensor, Tensor]:
    """The logits of a similarity of the caller's, ``(N, N + M)`` or ``(N, N + K)``, and each query's target in them."""
    key, start = gather_rows(positive, gather)
    blocks = [_matrix(similarity, query, key) / temperature]
    if negatives is not None and negatives.dim() == 3:
        own = [_matrix(similarity, one[None], few) for one, few in zip(query, negatives, strict=True)]
        blocks.append(_weigh(torch.cat(own) / temperature, weights))
    elif negatives is not None:
        weights = None if weights is None else gather_rows(weights, gather)[0]
        blocks.append(_weigh(_matrix(similarity, query, gather_rows(negatives, gather)[0]) / temperature, weights))
    return torch.cat(blocks, dim=1), torch.arange(start, start + len(query), device=query.device)


def _matrix(similarity, x: Tensor, y: Tensor) -> Tensor:
    scores = similarity(x, y)
    if scores.shape != (len(x), len(y)):
        raise ValueError(f"similarity must return shape ({len(x)}, {len(y)}), got {tuple(scores.shape)}")
    return scores


def _weigh(logits: Tensor, weights: Tensor | None) -> Tensor:
    """``logits`` + log p; −inf, without a gradient, where p is 0."""
    if weights is None:
        return logits
    none = weights == 0
    return (logits + weights.masked_fill(none, 1.0).log()).masked_fill(none, -torch.inf)


def _check_frequency(positive: Tensor, log_frequency: Tensor | None) -> None:
    if log_frequency is None:
        return
    floating(log_frequency=log_frequency)
    if log_frequency.shape != positive.shape[:1]:
        raise ValueError(f"log_frequency must have shape ({len(positive)},), got {tuple(log_frequency.shape)}")
    log_probability(log_frequency=log_frequency)


def _check_negatives(query: Tensor, negatives: Tensor | None, weights: Tensor | None) -> None:
    if negatives is None:
        if weights is not None:
            raise ValueError("negative_weights were given without negatives")
        return
    floating(negatives=negatives)
    n, d = query.shape
    shared, own = negatives.dim() == 2, negatives.dim() == 3 and len(negatives) == n
    if not (shared or own) or negatives.shape[-1] != d:
        raise ValueError(f"negatives must have shape (M, {d}) or ({n}, K, {d}), got {tuple(negatives.shape)}")
    if weights is not None:
        floating(negative_weights=weights)
        if weights.shape != negatives.shape[:-1]:
            expected = tuple(negatives.shape[:-1])
            raise ValueError(f"negative_weights must have shape {expected}, got {tuple(weights.shape)}")
        no_negative_weight(weights)
