"""NT-Xent: two views of every example, and each view must find its twin among all other rows."""

import torch
from torch import Tensor

from clt.losses._gather import gather_rows
from clt.losses._positives import one_positive, several_positives
from clt.losses._shared import above_zero, constant, same_shape
from clt.similarity import full_precision, normalize


@full_precision
def nt_xent_loss(
    view1: Tensor, view2: Tensor, *, temperature: float = 0.5, reduction: str = "mean", gather: bool = False
) -> Tensor:
    r"""Cross entropy of finding the other view of the same example among the 2N − 1 other rows.

    .. math:: \ell_i = -\log \frac{e^{s_{i,t(i)}}}{\sum_{k \ne i} e^{s_{ik}}}, \qquad
              s_{ik} = \frac{\cos(z_i, z_k)}{\tau}, \qquad z = [\text{view1}; \text{view2}],\quad t(i) = i \pm N

    Args:
        view1, view2: embeddings, both ``(N, D)``, normalised inside; row i of one is the twin of row i of the other.
        temperature: τ.
        reduction: ``"mean"`` over the 2N anchors, ``"sum"`` or ``"none"``.
        gather: the rows of all other processes are candidates too; after ``DistributedDataParallel`` has taken its
            mean, the gradients are those of one process with the whole batch.

    Returns:
        A scalar, or ``(2N,)`` with ``reduction="none"``: the anchors of ``view1``, then those of ``view2``.

    Raises:
        ValueError: if the shapes differ, are empty or not ``(N, D)``, or the temperature is not positive.

    Source: Chen et al. (2020), SimCLR, eq. 1. The authors' code (and ConSERT's) returns the sum of the two views'
    means, which is twice this value, and hides the diagonal by subtracting 1e9.
    """
    same_shape(view1=view1, view2=view2)
    above_zero(temperature=temperature)
    views, n = torch.cat([view1, view2]), view1.shape[0]
    candidates, start = gather_rows(views, gather)
    target = constant(views, _twins, n)
    return one_positive(
        views,
        candidates,
        target + start if start else target,
        temperature=temperature,
        left_out=start,
        cosine=True,
        reduction=reduction,
        gather=gather,
    )


def _twins(n: int, device: torch.device) -> Tensor:
    """i ± N, the row of each row's twin."""
    return torch.arange(n, 3 * n, device=device) % (2 * n)


@full_precision
def nt_xent_terms(view1: Tensor, view2: Tensor, *, temperature: float = 0.5) -> tuple[Tensor, Tensor]:
    r"""NT-Xent taken apart: twins near each other, and everything spread out.

    .. math:: \tau \cdot \text{NT-Xent} = \underbrace{-\frac{1}{N} \sum_i \cos(z_i, z_{t(i)})}_{\text{alignment}}
              + \underbrace{\frac{\tau}{2N} \sum_i \log \sum_{k \ne i} e^{\cos(z_i, z_k)/\tau}}_{\text{distribution}}

    The first sum runs over the N pairs, the second over the 2N anchors.

    Args, Raises: as :func:`nt_xent_loss`.

    Returns:
        Two scalars, ``alignment`` and ``distribution``.

    Source: Chen, Luo and Li (2021), Intriguing properties of contrastive losses, section 2.
    """
    same_shape(view1=view1, view2=view2)
    above_zero(temperature=temperature)
    view1, view2 = normalize(view1), normalize(view2)
    views = torch.cat([view1, view2])
    log_sums = several_positives(
        views,
        views,
        views.new_zeros(len(views)),  # relative to nothing: the plain log-sum-exp
        views.new_ones(len(views)),
        temperature=temperature,
        left_out=0,
        unit=True,
    )
    return -(view1 * view2).sum(dim=1).mean(), temperature * log_sums
