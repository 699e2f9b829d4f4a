"""Muon: an optimiser for the matrices inside a transformer, where it needs fewer steps than AdamW."""

from collections import defaultdict

import torch
from torch import Tensor


def orthogonalize(matrices: Tensor, steps: int = 5) -> Tensor:
    r"""Bring all singular values of ``(B, m, n)`` matrices, m ≤ n, near 1, and keep their singular vectors.

    .. math:: X \leftarrow aX + (bA + cA^2)X, \qquad A = XX^\top

    five times, from :math:`X / \lVert X \rVert_F`: a Newton–Schulz iteration. Its coefficients lift small values fast
    and leave all between about 0.7 and 1.2, which is near enough.

    Source: Jordan et al. (2024), Muon.
    """
    x = matrices / matrices.norm(dim=(1, 2), keepdim=True).clamp_min(1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=-4.7750, alpha=2.0315), x, beta=3.4445)
    return x


class Muon(torch.optim.Optimizer):
    """Momentum, then :func:`orthogonalize`: every direction of a weight matrix moves by the same amount.

    ``torch.optim.Muon`` computes in bfloat16, which most processors without a GPU only emulate: there it is a hundred
    times slower. This one stays in the weights' own type, and takes matrices of one shape together.

    Args:
        params: matrices, ``(m, n)``.
        lr: each update has a root mean square of 0.2 × ``lr``, about AdamW's, so that both can share a schedule
            (Liu et al., 2025).
    """

    def __init__(self, params, *, lr: float, momentum: float = 0.95, weight_decay: float = 0.01):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            alike = defaultdict(list)
            for weight in group["params"]:
                alike[tuple(sorted(weight.shape))].append(weight)
            for (_, long), weights in alike.items():
                directions = orthogonalize(torch.stack([self._wide(w, group["momentum"]) for w in weights]))
                for weight, direction in zip(weights, directions, strict=True):
                    weight.mul_(1 - group["lr"] * group["weight_decay"])
                    update = direction if direction.shape == weight.shape else direction.T
                    weight.add_(update, alpha=-0.2 * long**0.5 * group["lr"])

    def _wide(self, weight: Tensor, momentum: float) -> Tensor:
        """The gradient with Nesterov momentum, turned so that its rows are the short side."""
        state = self.state[weight]
        if not state:
            state["mean"] = torch.zeros_like(weight)
        state["mean"].lerp_(weight.grad, 1 - momentum)
        nesterov = weight.grad.lerp(state["mean"], momentum)
        return nesterov if weight.shape[0] <= weight.shape[1] else nesterov.T
