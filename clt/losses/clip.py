"""CLIP's loss: each picture looks for its caption, and each caption for its picture."""

from torch import Tensor

from clt.losses._gather import gather_rows
from clt.losses._positives import one_positive
from clt.losses._shared import above_zero, same_shape
from clt.losses.info_nce import places
from clt.similarity import full_precision


@full_precision
def clip_loss(
    left: Tensor,
    right: Tensor,
    *,
    temperature: float | Tensor = 0.07,
    reduction: str = "mean",
    gather: bool = False,
) -> Tensor:
    r"""The mean of InfoNCE from left to right and from right to left.

    .. math:: \ell_i = -\frac{1}{2} \log \frac{e^{s_{ii}}}{\sum_j e^{s_{ij}}}
                       -\frac{1}{2} \log \frac{e^{s_{ii}}}{\sum_j e^{s_{ji}}}, \qquad
              s_{ij} = \frac{\cos(x_i, y_j)}{\tau}

    One matrix, read along its rows and along its columns. Both sides only meet across: two pictures are never compared
    with each other, as two views are in NT-Xent.

    Args:
        left, right: both ``(N, D)``, normalised inside; row i of one belongs to row i of the other.
        temperature: τ; a number, or a tensor that is learnt.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        gather: the rows of all other processes are candidates too; after ``DistributedDataParallel`` has taken its
            mean, the gradients are those of one process with the whole batch.

    Returns:
        A scalar, or ``(N,)`` with ``reduction="none"``: for each pair the mean of its two directions.

    Raises:
        ValueError: if the shapes differ, are empty or not ``(N, D)``, or the temperature is not positive.

    Source: Radford et al. (2021), CLIP, figure 3. The paper learns log 1/τ, from τ = 0.07, and keeps 1/τ at 100 or
    less; here that is the caller's part.
    """
    same_shape(left=left, right=right)
    above_zero(temperature=temperature)
    options = {"temperature": temperature, "cosine": True, "reduction": reduction, "gather": gather}
    keys, start = gather_rows(right, gather)
    there = one_positive(left, keys, places(left, start), **options)
    keys, start = gather_rows(left, gather)
    return (there + one_positive(right, keys, places(right, start), **options)) / 2
