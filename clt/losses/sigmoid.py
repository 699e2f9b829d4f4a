"""SigLIP's loss: each pair of the batch is a question of its own."""

import torch
import torch.nn.functional as F
from torch import Tensor

from clt.losses._shared import above_zero, floating, same_shape
from clt.similarity import cosine_similarity, full_precision


@full_precision
def sigmoid_loss(
    left: Tensor, right: Tensor, *, temperature: float | Tensor = 0.1, bias: float | Tensor = -10.0
) -> Tensor:
    r"""Do these two belong together? Asked of all N² pairs, one by one.

    .. math:: \ell = -\frac{1}{N} \sum_i \sum_j \log \sigma\big( z_{ij} (\cos(x_i, y_j)/\tau + b) \big), \qquad
              z_{ij} = \begin{cases} 1 & i = j \\ -1 & i \ne j \end{cases}

    No denominator joins the candidates of a row, so that a false negative costs its own term and no more. Only one
    pair in N is positive, and the bias says so in advance: where all cosines are 0, the best one is −log(N − 1).

    Args:
        left, right: both ``(N, D)``, normalised inside; row i of one belongs to row i of the other.
        temperature: τ; a number, or a tensor that is learnt.
        bias: b; a number, or a tensor that is learnt.

    Returns:
        A scalar: the sum over the rows of ``right``, averaged over those of ``left``. It grows with N.

    Raises:
        ValueError: if the shapes differ, are empty or not ``(N, D)``, or the temperature is not positive.

    Source: Zhai et al. (2023), SigLIP, algorithm 1; τ and b are where their training starts.
    """
    same_shape(left=left, right=right)
    above_zero(temperature=temperature)
    if isinstance(bias, Tensor):
        floating(bias=bias)
    logits = cosine_similarity(left, right) / temperature + bias
    sign = 2 * torch.eye(len(left), dtype=logits.dtype, device=logits.device) - 1
    return -F.logsigmoid(sign * logits).sum() / len(left)
