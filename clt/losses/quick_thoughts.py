"""QuickThoughts: which sentences of the batch stand beside this one in the text?"""

import torch
from torch import Tensor

from clt.losses._positives import several_positives
from clt.losses._shared import labelled, same_shape
from clt.similarity import full_precision


@full_precision
def quick_thoughts_loss(
    anchor: Tensor, context: Tensor, texts: Tensor | None = None, *, window: int = 1, reduction: str = "mean"
) -> Tensor:
    r"""Cross entropy of picking a sentence's neighbours among all other sentences of the batch.

    .. math:: \ell_i = -\frac{1}{|N(i)|} \sum_{j \in N(i)}
              \log \frac{e^{f_i \cdot g_j}}{\sum_{k \ne i} e^{f_i \cdot g_k}}, \qquad
              N(i) = \{j \ne i : |j - i| \le w,\ t_j = t_i\}

    The target is uniform over the neighbours, so the loss of a row cannot fall below the logarithm of their number.

    Args:
        anchor, context: f and g, both ``(N, D)``, rows in the order of the text; used as given, not normalised. For
            cosines at temperature τ give unit rows, one side of them divided by τ. Both may be one tensor.
        texts: t, ``(N,)`` integers: which text each row is from. Rows of two texts are never neighbours, and remain
            candidates of one another. All rows are from one text if left out.
        window: w, how far a neighbour may be.
        reduction: ``"mean"`` over the rows that have a neighbour, ``"sum"`` or ``"none"``.

    Returns:
        A scalar, or ``(N,)`` with ``reduction="none"``, 0 for rows without a neighbour.

    Raises:
        ValueError: if the shapes do not fit, the batch is empty or ``window`` is below 1.
        TypeError: if ``window`` or the texts are not integers.

    Source: Logeswaran and Lee (2018), eq. 3. Their released code sets a row's own score to 0 where the paper leaves the
    row out: its e⁰ = 1 stays in the denominator. Its batches are 400 sentences in a row, without ``texts``.
    """
    same_shape(anchor=anchor, context=context)
    if not isinstance(window, int) or isinstance(window, bool):
        raise TypeError(f"window must be an integer, got {window!r}")
    if window < 1:
        raise ValueError(f"window must be at least 1, got {window}")
    texts = anchor.new_zeros(len(anchor), dtype=torch.int64) if texts is None else labelled(anchor, texts, "texts")
    neighbours, count = torch.zeros_like(context), torch.zeros_like(texts)
    for step in range(1, min(window, len(anchor) - 1) + 1):
        same = texts[step:] == texts[:-step]
        shown = same[:, None].to(context.dtype)
        none = context.new_zeros(step, context.shape[1])
        neighbours = neighbours + torch.cat([shown * context[step:], none]) + torch.cat([none, shown * context[:-step]])
        count = count + torch.cat([same, same.new_zeros(step)]) + torch.cat([same.new_zeros(step), same])
    mean_logit = (anchor * neighbours).sum(dim=1) / count.clamp_min(1)
    return several_positives(anchor, context, mean_logit, count, temperature=1.0, left_out=0, reduction=reduction)
