"""When two results count as equal, and how a difference is told."""

from collections.abc import Iterable

import torch
from torch import Tensor

from clt.results import number


class Counts(dict):
    """How often each outcome came. Two of them are alike if chance explains the difference.

    The test is χ² for two samples, at six standard deviations: of a billion right samplers one would be rejected.
    """

    def __init__(self, outcomes: Iterable):
        super().__init__()
        for outcome in outcomes:
            self[outcome] = self.get(outcome, 0) + 1

    def gaps(self, other: "Counts") -> dict:
        """What each outcome adds to χ²."""
        a, b = sum(self.values()), sum(other.values())
        mine, theirs = (b / max(a, 1)) ** 0.5, (a / max(b, 1)) ** 0.5
        outcomes = [*other, *(outcome for outcome in self if outcome not in other)]
        pairs = {o: (self.get(o, 0), other.get(o, 0)) for o in outcomes}
        return {o: (mine * m - theirs * t) ** 2 / (m + t) for o, (m, t) in pairs.items()}

    def explained(self, other: "Counts") -> bool:
        gaps = self.gaps(other)
        freedom = len(gaps) - 1
        if freedom < 1 or not self or not other:
            return self.keys() == other.keys()
        spread = 2 / (9 * freedom)  # Wilson and Hilferty: the cube root of χ² is nearly normal
        return sum(gaps.values()) < freedom * (1 - spread + 6 * spread**0.5) ** 3

    def told(self, expected: "Counts") -> str:
        gaps, draws = self.gaps(expected), sum(self.values())
        outcome = max(gaps, key=gaps.get)
        due = round(expected.get(outcome, 0) * draws / sum(expected.values()))
        return f"{outcome!r} came {self.get(outcome, 0)} times in {draws}, where about {due} were expected"


def alike(got, expected, tolerance: float) -> bool:
    """Whether two observations of an algorithm are the same: see :class:`~clt.checks.Algorithm`."""
    if isinstance(expected, Counts):
        return isinstance(got, Counts) and got.explained(expected)
    if isinstance(expected, str) and isinstance(got, str):
        return bool(got) == bool(expected)
    x, y = numbers(got), numbers(expected)
    if x is not None and y is not None:
        return close(x, y, tolerance)
    return type(got) is type(expected) and got == expected


def told(got, expected) -> str:
    """How two observations differ."""
    if isinstance(expected, Counts) and isinstance(got, Counts):
        return got.told(expected)
    if isinstance(got, str) and isinstance(expected, str):
        return got or "It should not be so"
    x, y = numbers(got), numbers(expected)
    if x is None or y is None:
        return f"It gives {_short(got)} where {_short(expected)} was expected"
    if x.shape != y.shape:
        return f"The shape is {tuple(x.shape)} where {tuple(y.shape)} was expected"
    return difference(x, y)


def numbers(value) -> Tensor | None:
    """A tensor, a number or a list of numbers as a tensor; nothing for anything else."""
    if isinstance(value, Tensor):
        return None if value.is_complex() or value.is_sparse or value.device.type == "meta" else value
    try:
        found = torch.as_tensor(value)
        found = torch.as_tensor(value, dtype=torch.float64) if found.is_floating_point() else found
    except (TypeError, ValueError, RuntimeError):
        return None
    return None if isinstance(value, bool) else found


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


def _short(value) -> str:
    text = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
    return text if len(text) <= 120 else f"{text[:117]}…"
