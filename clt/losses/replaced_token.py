"""Replaced-token detection: is this the word that stood here, or one that a small network put in its place?"""

import torch
import torch.nn.functional as F
from torch import Tensor

from clt.losses._shared import floating, reduce
from clt.similarity import full_precision


@full_precision
def replaced_token_loss(logits: Tensor, replaced: Tensor, mask: Tensor) -> Tensor:
    r"""Binary cross entropy over the tokens that are real, with *replaced* as the positive class.

    .. math:: \ell = -\frac{1}{|M|} \sum_{(i,t) \in M}
              \big[ y_{it} \log \sigma(s_{it}) + (1 - y_{it}) \log(1 - \sigma(s_{it})) \big]

    A token that was sampled and happens to be the original counts as not replaced: compare the texts, not the places.

    Args:
        logits: ``(B, L)``, s, the discriminator's score of each token; above 0 means *replaced*.
        replaced: ``(B, L)`` bool, y, whether the token differs from the original.
        mask: ``(B, L)`` bool, M, which tokens count: all but padding, or in the paper's ablation the chosen 15 %.

    Returns:
        A scalar, the mean over all tokens of the batch that count; 0, with its graph, if none does.

    Raises:
        ValueError: if the shapes differ, or there is no token.
        TypeError: if ``logits`` are not floating point, or ``replaced`` or ``mask`` are not bool.

    Source: Clark, Luong, Le and Manning (2020), ELECTRA, section 2. There its weight is 50, beside 1 for the
    generator's own loss.
    """
    floating(logits=logits)
    if logits.dim() != 2 or not logits.numel():
        raise ValueError(f"logits must have shape (B, L) and not be empty, got {tuple(logits.shape)}")
    for name, marks in {"replaced": replaced, "mask": mask}.items():
        if not isinstance(marks, Tensor) or marks.dtype != torch.bool:
            kind = marks.dtype if isinstance(marks, Tensor) else type(marks).__name__
            raise TypeError(f"{name} must be a tensor of bool, got {kind}")
        if marks.shape != logits.shape:
            raise ValueError(f"{name} must have the shape of logits, {tuple(logits.shape)}, got {tuple(marks.shape)}")
    target = replaced.to(logits.device, logits.dtype)
    loss = F.binary_cross_entropy_with_logits(logits, target, reduction="none")  # no overflow at either end
    return reduce(loss, "mean", mask.to(logits.device))
