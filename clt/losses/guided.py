"""InfoNCE among the candidates that a second encoder, the guide, takes for negatives."""

import torch
from torch import Tensor

from clt.losses._contrast import dense_rows
from clt.losses._shared import above_zero, reduce, same_shape
from clt.similarity import cosine_similarity, full_precision


@full_precision
def guided_info_nce_loss(
    query: Tensor,
    positive: Tensor,
    guide_query: Tensor,
    guide_positive: Tensor,
    *,
    temperature: float = 0.05,
    margin: float = 0.0,
    reduction: str = "mean",
) -> Tensor:
    r"""InfoNCE in which a candidate that the guide finds closer than the positive is left out of the denominator.

    .. math:: \ell_i = -\log \frac{e^{s_{ii}}}{e^{s_{ii}} + \sum_{j \in K(i)} e^{s_{ij}}}, \qquad
              K(i) = \{j \ne i : g_{ij} \le g_{ii} - m\}

    s are the cosines of queries and positives divided by τ; g are the guide's cosines, from which no gradient comes. A
    query's own positive always stays. An exact duplicate of it elsewhere in the batch has :math:`g_{ij} = g_{ii}` and
    stays a negative at m = 0; the smallest margin above rounding (0.001) takes it out.

    Args:
        query, positive: both ``(N, D)``, normalised inside; row i of one belongs to row i of the other.
        guide_query, guide_positive: the same texts as the guide sees them, both ``(N, E)``.
        temperature: τ.
        margin: m; above 0 also what is nearly as close as the positive is left out, below 0 only what is much closer.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Returns:
        A scalar, or ``(N,)`` with ``reduction="none"``.

    Raises:
        ValueError: if the shapes do not fit or are empty, the temperature is not positive, or the margin is NaN.

    Source: Solatorio (2024), GISTEmbed, whose candidates are also the other queries. There a row is hidden from itself
    only because its similarity, 1, is above the positive's; where query and positive are equal it is not, and the loss
    cannot fall below log 3. The margin is that of sentence-transformers (``margin_strategy="absolute"``).
    """
    same_shape(query=query, positive=positive)
    same_shape(guide_query=guide_query, guide_positive=guide_positive)
    if len(guide_query) != len(query):
        raise ValueError(f"the guide must see the same {len(query)} rows, got {len(guide_query)}")
    above_zero(temperature=temperature)
    if margin != margin:
        raise ValueError("margin must be a number, got nan")
    own = torch.eye(len(query), dtype=torch.bool, device=query.device)
    closeness = cosine_similarity(guide_query.detach(), guide_positive.detach())
    left_out = (closeness > closeness.diagonal()[:, None] - margin) & ~own
    logits = (cosine_similarity(query, positive) / temperature).masked_fill(left_out, -torch.inf)
    target = torch.arange(len(query), device=query.device)
    return reduce(dense_rows(logits, None, target, None, query.new_zeros(len(query))), reduction)
