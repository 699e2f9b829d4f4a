"""One training loop for the whole course, short enough to read before it is used.

A checkpoint is one safetensors file (tensors, and a JSON header for the rest), written beside its final name and then
renamed: a run killed at any moment, also in the middle of writing, leaves the last complete checkpoint. It holds the
random states too, of Python, NumPy and torch, so a resumed run gives the numbers that an unbroken one would have given.
"""

import contextlib
import json
import math
import os
import random
from collections.abc import Callable
from numbers import Integral
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm.auto import tqdm

from clt.training.cached import cached_backward
from clt.training.counting import CountMemory

__all__ = [
    "CountMemory", "autocast", "cached_backward", "computes_in_bf16", "load_checkpoint", "pick_device",
    "save_checkpoint", "seed_everything", "train",
]  # fmt: skip


def pick_device(device: str = "auto") -> torch.device:
    """``"auto"`` is CUDA if there is one, else Apple's MPS, else the CPU; any other name is taken as it is."""
    if device != "auto":
        return torch.device(device)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def seed_everything(seed: int) -> None:
    """Seed Python's, NumPy's and torch's generators (CUDA's and MPS's among them)."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  scikit-learn draws from NumPy's global generator
    torch.manual_seed(seed)


def computes_in_bf16(device: torch.device) -> bool:
    """Whether the hardware multiplies in bfloat16: CUDA from Ampere on, CPUs with AMX or AVX512-BF16."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    questions = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")  # not every torch asks both
    return device.type == "cpu" and any(getattr(torch.cpu, question, bool)() for question in questions)


def autocast(device: torch.device) -> contextlib.AbstractContextManager:
    """bfloat16 autocast where :func:`computes_in_bf16` says yes; else nothing."""
    return torch.autocast(device.type, torch.bfloat16) if computes_in_bf16(device) else contextlib.nullcontext()


def train(
    model: nn.Module,
    sample: Callable[[torch.Generator], object],
    loss_of: Callable[[nn.Module, object], Tensor],
    *,
    steps: int,
    learning_rate: float,
    weight_decay: float = 0.0,
    warmup: int = 0,
    clip: float = 1.0,
    seed: int = 0,
    measure: Callable[[nn.Module], dict[str, float]] | None = None,
    every: int = 50,
    checkpoint: str | Path | None = None,
    watch: Callable[[dict], None] | None = None,
    progress: bool = True,
) -> dict[str, list]:
    """Train ``model`` with AdamW, a linear warm-up and a linear decay to zero.

    Args:
        model: trained in place, on the device it is on; parameters without ``requires_grad`` stay as they are.
        sample: draws a batch with the given CPU generator, and with no other source of chance.
        loss_of: ``loss_of(model, batch)`` is the scalar to minimise.
        steps: updates in all; a resumed run continues up to this number. 0 leaves the model as it is.
        learning_rate, weight_decay, warmup, clip: AdamW's, the number of warm-up steps, the largest gradient norm.
        seed: seeds batches and dropout, and so the run. (The model's initial weights are the caller's.)
        measure: ``measure(model)`` gives numbers worth a curve; called before the first update, then each ``every``
            steps and after the last, in evaluation mode, without gradient, and with all random states put back.
        every: steps between two measurements, and between two checkpoints.
        checkpoint: file to write to; if it is already there, the run resumes from it.
        watch: called with the history after each step, for a live curve.
        progress: whether to show a progress bar.

    Returns:
        The history: ``{"loss": [one per step], "measured": [{"step": …, name: value …}, …]}``.

    Raises:
        FloatingPointError: if the loss or its gradient stops being finite. Neither the weights nor the last checkpoint
            are touched by that step.
        ValueError: if a number is out of range, the loss is not one number with a gradient, nothing in the model is
            trainable, or the checkpoint cannot be read, belongs to another model or has more than ``steps`` steps.
        TypeError: if a number of steps is not an integer.
        OSError: if the checkpoint cannot be written; noticed before the first step.
    """
    _in_range(steps=(steps, 0), warmup=(warmup, 0), every=(every, 1))
    if not 0 <= learning_rate < math.inf or not clip > 0:
        raise ValueError(f"expected a finite learning rate and a positive clip, got {learning_rate} and {clip}")
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trained:
        raise ValueError("the model has nothing to train: no parameter requires a gradient")
    optimizer = _adamw(trained, lr=learning_rate, weight_decay=weight_decay)
    device = next(model.parameters()).device
    batches = torch.Generator().manual_seed(seed)
    history: dict[str, list] = {"loss": [], "measured": []}
    seed_everything(seed)
    if checkpoint is not None and Path(checkpoint).exists():
        history = load_checkpoint(checkpoint, model, optimizer, batches)
    done = len(history["loss"])
    if done > steps:
        raise ValueError(f"the checkpoint {checkpoint} has {done} steps, and {steps} are asked for; delete it to "
                         f"start again")  # fmt: skip
    if checkpoint is not None and done < steps:
        _writable(Path(checkpoint))
    if measure and not done:
        history["measured"].append({"step": 0} | _measured(measure, model))
    model.train()
    bar = tqdm(range(done, steps), initial=done, total=steps, disable=not progress, desc="training", unit="step")
    for step in bar:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * min((step + 1) / (warmup + 1), (steps - step) / max(1, steps - warmup), 1.0)
        with autocast(device):
            loss = loss_of(model, sample(batches))
        _sound(loss, step)
        optimizer.zero_grad()
        loss.backward()
        _clip(model, trained, clip, step)
        optimizer.step()

        history["loss"].append(loss.item())
        last = step + 1 == steps
        if measure and (last or (step + 1) % every == 0):
            history["measured"].append({"step": step + 1} | _measured(measure, model))
        if checkpoint is not None and (last or (step + 1) % every == 0):
            save_checkpoint(checkpoint, model, optimizer, batches, history)
        if watch:
            watch(history)
        bar.set_postfix(loss=f"{history['loss'][-1]:.3f}", refresh=False)
    model.eval()
    return history


def _in_range(**given: tuple[int, int]) -> None:
    """Each number of steps against the least that it may be."""
    for name, (value, least) in given.items():
        if not isinstance(value, Integral) or value < least:
            kind = ValueError if isinstance(value, Integral) else TypeError
            raise kind(f"{name} should be an integer of at least {least}, got {value!r}")


def _adamw(parameters: list[nn.Parameter], **options) -> torch.optim.AdamW:
    """AdamW as one fused kernel where torch has it for these parameters: a step of the course is a fifth faster."""
    try:
        if all(parameter.device.type in ("cpu", "cuda") for parameter in parameters):
            return torch.optim.AdamW(parameters, fused=True, **options)
    except RuntimeError:  # complex numbers, say
        pass
    return torch.optim.AdamW(parameters, **options)


def _sound(loss: Tensor, step: int) -> None:
    """Stop at a loss that cannot be minimised."""
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        came = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else f"a {type(loss).__name__}"
        raise ValueError(f"loss_of should return a tensor of one number, such as a mean; got {came}")
    if not loss.requires_grad:
        raise ValueError("the loss has no gradient: was the graph cut by .detach(), .item() or torch.no_grad()?")
    if not torch.isfinite(loss):
        raise FloatingPointError(f"the loss is {loss.item()} at step {step}: lower the learning rate, or look at it")


def _clip(model: nn.Module, trained: list[nn.Parameter], clip: float, step: int) -> None:
    """Clip the gradient, or stop before a step that would spoil every weight."""
    try:
        nn.utils.clip_grad_norm_(trained, clip, error_if_nonfinite=True)
    except RuntimeError as error:
        gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        wrong = [name for name, gradient in gradients.items() if not torch.isfinite(gradient).all()]
        where = f"that of {wrong[0]} is not finite" if wrong else "its norm overflows"
        raise FloatingPointError(
            f"the loss is finite at step {step}, but not its gradient: {where}. Look for a root or a logarithm at 0"
        ) from error


def _measured(measure: Callable, model: nn.Module) -> dict[str, float]:
    """What ``measure`` finds, leaving no trace in the run: a run that is measured gives the same weights."""
    device = next(model.parameters()).device
    before = _random_state(device)
    model.eval()
    try:
        with torch.no_grad():
            return {name: float(value) for name, value in measure(model).items()}
    finally:
        model.train()
        _restore_random_state(before, device)


def _random_state(device: torch.device) -> dict:
    """Where Python's, NumPy's and torch's global generators are: torch's as tensors, the others as lists."""
    kind, words, *rest = np.random.get_state()  # noqa: NPY002  as in seed_everything
    state = {"python": random.getstate(), "numpy": [kind, words.tolist(), *rest], "torch": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        state["mps"] = torch.mps.get_rng_state()
    return state


def _restore_random_state(state: dict, device: torch.device) -> None:
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    kind, words, *rest = state["numpy"]
    np.random.set_state((kind, np.array(words, np.uint32), *rest))  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if device.type == "cuda" and "cuda" in state:  # a run may go on elsewhere than it was begun
        torch.cuda.set_rng_state(state["cuda"], device)
    elif device.type == "mps" and "mps" in state:
        torch.mps.set_rng_state(state["mps"])


def _trained(model: nn.Module) -> list[str]:
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]


def _scratch(path: Path) -> Path:
    """Where a checkpoint is written before it is renamed."""
    return path.with_name(path.name + ".tmp")


def _writable(path: Path) -> None:
    """Notice before an hour of training that there is no place for its checkpoint."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _scratch(path).touch()
        _scratch(path).unlink()
    except OSError as error:
        raise OSError(f"the checkpoint {path} cannot be written ({error}): choose another place") from error


def save_checkpoint(
    path, model: nn.Module, optimizer, batches: torch.Generator, history: dict, *, write: bool = True
) -> None:
    """Write everything a run needs to go on, as one file that is either the old one or the new one.

    Of weights that are spread over processes the file holds the whole. All processes have to take part in putting them
    together, and but for one they do so with ``write=False``.
    """
    path = Path(path)
    tensors = {f"model.{name}": value.detach() for name, value in model.state_dict().items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": value for name, value in state.items()}
    tensors = {name: value.full_tensor() if hasattr(value, "full_tensor") else value for name, value in tensors.items()}
    if not write:
        return
    chance = _random_state(next(model.parameters()).device)
    tensors |= {f"random.{name}": value for name, value in chance.items() if isinstance(value, Tensor)}
    tensors["random.batches"] = batches.get_state()
    # Clones: safetensors refuses tensors that share memory, as tied embeddings do.
    tensors = {name: value.clone().contiguous() for name, value in tensors.items()}
    notes = {"history": history, "trained": _trained(model), "python": chance["python"], "numpy": chance["numpy"]}
    save_file(tensors, _scratch(path), metadata={name: json.dumps(note) for name, note in notes.items()})
    with open(_scratch(path), "rb+") as f:
        os.fsync(f.fileno())
    os.replace(_scratch(path), path)


def load_checkpoint(path, model: nn.Module, optimizer, batches: torch.Generator) -> dict:
    """Put a run back to where :func:`save_checkpoint` left it; returns its history."""
    try:
        with safe_open(path, framework="pt") as f:
            tensors = {name: f.get_tensor(name) for name in f.keys()}  # noqa: SIM118  not a dict
            notes = {name: json.loads(text) for name, text in f.metadata().items()}
    except (SafetensorError, OSError, ValueError, AttributeError) as error:
        raise ValueError(f"the checkpoint {path} cannot be read ({error}); delete it to start again") from error
    if missing := {"history", "trained", "python", "numpy"} - notes.keys():
        raise ValueError(
            f"the checkpoint {path} lacks {', '.join(sorted(missing))}: another version of clt wrote it; delete it to "
            f"start again"
        )

    def part(prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

    try:
        model.load_state_dict(part("model."))
    except RuntimeError as error:
        raise ValueError(f"the checkpoint {path} belongs to another model; delete it to start again") from error
    if notes["trained"] != _trained(model):  # the optimizer's state is numbered by these
        raise ValueError(f"the checkpoint {path} trains other parameters of the model; delete it to start again")
    state: dict[int, dict] = {}
    for name, value in part("optimizer.").items():
        number, field = name.split(".", 1)
        state.setdefault(int(number), {})[field] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    batches.set_state(tensors["random.batches"])
    _restore_random_state(part("random.") | notes, next(model.parameters()).device)
    return notes["history"]
