"""Label-aware contrastive loss: the more a class is confused with the anchor's, the more its rows count below."""

import torch
import torch.nn.functional as F
from torch import Tensor

from clt.losses._contrast import several_positives
from clt.losses._shared import above_zero, floating, labelled, one_of, same_shape
from clt.losses.sup_con import mean_positive_cosine
from clt.similarity import full_precision, normalize


@full_precision
def label_aware_loss(
    embeddings: Tensor,
    labels: Tensor,
    class_logits: Tensor,
    *,
    temperature: float = 0.3,
    positive_weight: str = "outside",
    reduction: str = "mean",
) -> Tensor:
    r"""SupCon in which a second network says how much each class matters to each anchor.

    .. math:: \ell_i = -\frac{w_{i,y_i}}{|P(i)|} \sum_{p \in P(i)}
              \log \frac{e^{s_{ip}}}{\sum_{k \ne i} w_{i,y_k} e^{s_{ik}}} \quad \text{(outside)}, \qquad
              -\frac{1}{|P(i)|} \sum_{p \in P(i)}
              \log \frac{w_{i,y_i} e^{s_{ip}}}{\sum_{k \ne i} w_{i,y_k} e^{s_{ik}}} \quad \text{(inside)}

    with :math:`s_{ik} = \cos(z_i, z_k)/\tau` and :math:`w_i = \text{softmax}(\text{class\_logits}_i)`.

    Args:
        embeddings: ``(N, D)``, normalised inside; two views of a text are two rows with the same label.
        labels: ``(N,)`` integers from 0 to C − 1.
        class_logits: ``(N, C)``, the weighting network's output for the same rows; gradients flow into it.
        temperature: τ.
        positive_weight: where the weight of the anchor's own class stands: ``"outside"`` the logarithm, as in the
            authors' code, whose results are the published ones, or ``"inside"``, as in their talk.
        reduction: ``"mean"`` over the anchors that have a positive, ``"sum"`` or ``"none"``.

    Returns:
        A scalar, or ``(N,)`` with ``reduction="none"``, 0 for anchors without a positive.

    Raises:
        ValueError: if the shapes do not fit, the batch is empty, a label is not a class, the temperature is not
            positive or ``positive_weight`` is unknown.
        TypeError: if the labels are not integers.

    Source: Suresh and Ong (2021), eq. 3, whose printed form has the weight inside; the authors name it a misprint.
    """
    same_shape(embeddings=embeddings)
    labels = labelled(embeddings, labels)
    _check_classes(embeddings, labels, class_logits)
    above_zero(temperature=temperature)
    one_of(("outside", "inside"), positive_weight=positive_weight)
    anchors = normalize(embeddings)
    log_weights = F.log_softmax(class_logits, dim=1)
    log_own_weight = log_weights.gather(1, labels[:, None])[:, 0]
    cosine, positives = mean_positive_cosine(anchors, labels, anchors, labels, start=0)
    score = cosine / temperature
    outside = positive_weight == "outside"
    return several_positives(
        # [z_i, τ log w_i] · [z_k, one-hot y_k] / τ = s_ik + log w_{i, y_k}
        torch.cat([anchors, temperature * log_weights], dim=1),
        torch.cat([anchors, F.one_hot(labels, class_logits.shape[1])], dim=1),
        score if outside else score + log_own_weight,
        positives,
        temperature=temperature,
        excluded=torch.arange(len(anchors), device=anchors.device)[:, None],
        weight=log_own_weight.exp() if outside else None,
        reduction=reduction,
    )


def _check_classes(embeddings: Tensor, labels: Tensor, class_logits: Tensor) -> None:
    floating(class_logits=class_logits)
    if class_logits.dim() != 2 or len(class_logits) != len(embeddings):
        raise ValueError(f"class_logits must have shape ({len(embeddings)}, C), got {tuple(class_logits.shape)}")
    low, high = labels.aminmax()
    if low < 0 or high >= class_logits.shape[1]:
        raise ValueError(f"labels must lie in 0..{class_logits.shape[1] - 1}, got {low.item()}..{high.item()}")
