"""SimCSE: InfoNCE between two encodings of a sentence, and contradictions as hard negatives."""

import torch
from torch import Tensor

from clt.losses._contrast import one_positive
from clt.losses._gather import gather_rows
from clt.losses._shared import above_zero, not_negative, same_shape
from clt.losses.info_nce import info_nce_loss
from clt.similarity import full_precision, normalize


@full_precision
def simcse_loss(
    anchor: Tensor,
    positive: Tensor,
    hard_negative: Tensor | None = None,
    *,
    temperature: float = 0.05,
    hard_negative_weight: float = 1.0,
    reduction: str = "mean",
    gather: bool = False,
) -> Tensor:
    r"""Each sentence finds its positive among the batch's positives and, if given, the batch's hard negatives.

    .. math:: \ell_i = -\log \frac{e^{\cos(h_i, h_i^+)/\tau}}
              {\sum_j \big( e^{\cos(h_i, h_j^+)/\tau} + \alpha^{[i = j]} e^{\cos(h_i, h_j^-)/\tau} \big)}

    Args:
        anchor, positive, hard_negative: sentence embeddings, all ``(N, D)``, normalised inside. Unsupervised: the same
            sentences encoded twice, with different dropout. Supervised: premise, entailment, contradiction.
        temperature: τ.
        hard_negative_weight: α, at least 0, the weight of an anchor's own hard negative; 0 removes it.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        gather: the rows of all other processes are candidates too; after ``DistributedDataParallel`` has taken its
            mean, the gradients are those of one process with the whole batch.

    Returns:
        A scalar, or ``(N,)`` with ``reduction="none"``.

    Raises:
        ValueError: if the shapes differ, are empty or not ``(N, D)``, the temperature is not positive, or α negative.

    Source: Gao, Yao and Chen (2021), eqs. 4, 5 and 8. The option of the same name in the authors' code is ln α.
    """
    above_zero(temperature=temperature)
    not_negative(hard_negative_weight=hard_negative_weight)
    if hard_negative is None:
        same_shape(anchor=anchor, positive=positive)
        return info_nce_loss(anchor, positive, temperature=temperature, reduction=reduction, gather=gather)
    same_shape(anchor=anchor, positive=positive, hard_negative=hard_negative)
    anchor, positive, hard_negative = normalize(anchor), normalize(positive), normalize(hard_negative)
    positives, start = gather_rows(positive, gather)
    key = torch.cat([positives, gather_rows(hard_negative, gather)[0]])
    own = torch.arange(start, start + len(anchor), device=anchor.device)
    own_hard = (anchor * hard_negative).sum(dim=1) / temperature
    log_alpha = torch.tensor(float(hard_negative_weight), dtype=anchor.dtype, device=anchor.device).log()
    return one_positive(
        anchor,
        key,
        own,
        temperature=temperature,
        excluded=own[:, None] + len(positives),
        extra=own_hard + log_alpha,
        unit=True,
        reduction=reduction,
        gather=gather,
    )
