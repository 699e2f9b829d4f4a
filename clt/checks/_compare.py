"""When two results count as equal, and how a difference is told."""

import torch
from torch import Tensor

from clt.results import number


def close(got: Tensor, expected: Tensor, tolerance: float) -> bool:
    if got.shape != expected.shape:
        return False
    if torch.bool in (got.dtype, expected.dtype):
        return got.dtype == expected.dtype and torch.equal(got.cpu(), expected.cpu())
    return torch.allclose(comparable(got), comparable(expected), rtol=tolerance, atol=tolerance, equal_nan=True)


def same_gradient(got: Tensor | None, expected: Tensor | None, tolerance: float) -> bool:
    """Relative to the largest entry: a gradient is used as a whole. None is 0: nothing arrives."""
    if got is None or expected is None:
        return all(g is None or not g.any() for g in (got, expected))
    got, expected = comparable(got), comparable(expected)
    within = 10 * tolerance * expected.abs().max().clamp_min(1e-3)
    return bool(((got - expected).abs() <= within).all())


def comparable(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().double()


def difference(got: Tensor, expected: Tensor) -> str:
    if torch.bool in (got.dtype, expected.dtype) and got.dtype != expected.dtype:
        return f"The result is a tensor of {got.dtype}, and {expected.dtype} was expected"
    x, y = comparable(got), comparable(expected)
    gap = torch.where(torch.isfinite(x), (x - y).abs(), torch.inf)
    place = tuple(int(i) for i in torch.unravel_index(gap.argmax(), gap.shape))
    where = f"At {list(place)} the value" if place else "The value"
    if not torch.isfinite(x[place]):
        return f"{where} is {x[place].item()}: often a log of 0, a division by 0, or 0 times infinity"
    got, expected = x[place].item(), y[place].item()
    digits = next((d for d in range(3, 9) if number(got, digits=d) != number(expected, digits=d)), 9)
    return f"{where} is {number(got, digits=digits)} where {number(expected, digits=digits)} was expected"


def written(value) -> str:
    if isinstance(value, Tensor):
        return written(value.tolist())
    if isinstance(value, list):
        return f"[{', '.join(map(written, value))}]"
    return str(value) if isinstance(value, bool | int) else number(value)
