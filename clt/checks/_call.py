"""One call of a student's function, on copies, with everything that may go wrong caught and put into words."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from clt.checks._exercise import Case, NotAttempted


@dataclass(frozen=True)
class Setting:
    """Where and in which precision a function is called, and how far off it may be there, relatively."""

    device: str
    dtype: torch.dtype
    tolerance: float


@dataclass
class Answer:
    """What a function gave: a value with its gradients (None where none arrives), or the problem in words."""

    value: object = None
    gradients: tuple[Tensor | None, ...] = ()
    problem: str = ""
    crashed: bool = False


def settings() -> list[Setting]:
    """float64 on the CPU; and where a function cannot work there, float32, and the accelerator if there is one."""
    # A student may compute in float32 whatever comes in: 1e-5 lets that pass, but no forgotten term.
    exact = Setting("cpu", torch.float64, 1e-5)
    found = [exact, replace(exact, dtype=torch.float32, tolerance=1e-4)]
    if torch.cuda.is_available():
        found += [replace(setting, device="cuda") for setting in found]
    elif torch.backends.mps.is_available():  # Apple's GPUs have no float64
        found.append(replace(found[1], device="mps"))
    return found


def suitable(function: Callable, first: Case) -> Setting:
    """The first setting in which the function does not crash; the plain one if it crashes in all."""
    found = settings()
    return next((s for s in found if not call(function, first, s, gradient=False).crashed), found[0])


def stopped(error: BaseException) -> str:
    """What to say of an error in submitted code. A stub is what raises ``NotImplementedError`` and says no more."""
    if isinstance(error, NotAttempted) or (isinstance(error, NotImplementedError) and not error.args):
        raise NotAttempted from None
    return f"It stopped with {type(error).__name__}: {_one_line(error)}"


def call(function: Callable, case: Case, setting: Setting, *, gradient: bool) -> Answer:
    """The function's answer on copies of the inputs. Raises only :class:`NotAttempted`."""
    originals = [_placed(a, setting) for a in case.arguments]
    leaves = [a.clone().requires_grad_() if gradient and _floating(a) else a for a in originals]
    # A copy that is no leaf: a leaf that wants a gradient cannot be changed in place, and that is to be seen, too.
    given = [a.clone() if isinstance(a, Tensor) else a for a in leaves]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = function(*given, **case.options)
    except (Exception, SystemExit) as error:
        shapes = ", ".join(str(tuple(a.shape)) for a in originals if isinstance(a, Tensor))
        return Answer(problem=f"{stopped(error)} (inputs of shape {shapes}).", crashed=True)
    if value is ...:
        raise NotAttempted
    if value is None:
        return Answer(problem="It returned None. Is the return missing?")
    if any(isinstance(a, Tensor) and not torch.equal(a, b) for a, b in zip(originals, given, strict=True)):
        return Answer(problem="It changed one of its inputs in place. The caller still needs them: make a new tensor.")
    if isinstance(value, tuple | list) and value and all(isinstance(v, Tensor) and v.ndim == 0 for v in value):
        value = torch.stack([v.to(value[0]) for v in value])  # several numbers: one of each place
    if not isinstance(value, Tensor):
        kind = type(value).__name__
        return Answer(
            problem=f"It returned a {kind}, and a tensor was expected. Did .item() or .numpy() cut the graph?"
        )
    if value.is_complex():
        return Answer(problem=f"It returned a tensor of {value.dtype}, and real numbers were expected.")
    if not gradient:
        return Answer(value)
    try:
        return Answer(value, _gradients(value, leaves))
    except Exception as error:
        return Answer(value, problem=f"Its gradient cannot be computed: {type(error).__name__}: {_one_line(error)}.")


def _gradients(value: Tensor, leaves: list) -> tuple[Tensor | None, ...]:
    wanted = [a for a in leaves if _floating(a)]
    if not value.requires_grad or not wanted:
        return (None,) * len(leaves)
    weight = torch.linspace(1, 2, value.numel(), dtype=value.dtype, device=value.device).view(value.shape)
    found = iter(torch.autograd.grad((weight * value).sum(), wanted, allow_unused=True))
    return tuple(next(found) if _floating(a) else None for a in leaves)


def _placed(argument, setting: Setting):
    if _floating(argument):
        return argument.to(setting.device, setting.dtype)
    return argument.to(setting.device) if isinstance(argument, Tensor) else argument


def _floating(argument) -> bool:
    return isinstance(argument, Tensor) and argument.is_floating_point()


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300].rstrip(".")
