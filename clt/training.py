"""One training loop for the whole course, short enough to read before it is used.

A checkpoint is one safetensors file (tensors, and a JSON header for the rest), written beside its final name and then
renamed: a run killed at any moment, also in the middle of writing, leaves the last complete checkpoint. It holds the
random states too, so a resumed run gives the numbers that an unbroken one would have given.
"""

import contextlib
import json
import os
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm.auto import tqdm


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


def autocast(device: torch.device) -> contextlib.AbstractContextManager:
    """bfloat16 autocast where the hardware computes in it: CUDA from Ampere on, CPUs with AMX; else nothing."""
    fast = torch.cuda.is_bf16_supported(including_emulation=False) if device.type == "cuda" else (
        device.type == "cpu" and torch.cpu._is_amx_tile_supported()
    )  # fmt: skip
    return torch.autocast(device.type, torch.bfloat16) if fast else contextlib.nullcontext()


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
        steps: updates in all; a resumed run continues up to this number.
        learning_rate, weight_decay, warmup, clip: AdamW's, the number of warm-up steps, the largest gradient norm.
        seed: seeds batches and dropout, and so the run. (The model's initial weights are the caller's.)
        measure: ``measure(model)`` gives numbers worth a curve; called before the first update, then each ``every``
            steps and after the last, in evaluation mode, without gradient, and with the random state put back.
        every: steps between two measurements, and between two checkpoints.
        checkpoint: file to write to; if it is already there, the run resumes from it.
        watch: called with the history after each step, for a live curve.
        progress: whether to show a progress bar.

    Returns:
        The history: ``{"loss": [one per step], "measured": [{"step": …, name: value …}, …]}``.

    Raises:
        FloatingPointError: if the loss stops being a finite number; the last checkpoint stays.
        ValueError: if the checkpoint cannot be read or belongs to another model, or nothing in the model is trainable.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trained:
        raise ValueError("the model has nothing to train: no parameter requires a gradient")
    optimizer = torch.optim.AdamW(trained, lr=learning_rate, weight_decay=weight_decay)
    device = next(model.parameters()).device
    batches = torch.Generator().manual_seed(seed)
    history: dict[str, list] = {"loss": [], "measured": []}
    seed_everything(seed)
    if checkpoint is not None and Path(checkpoint).exists():
        history = load_checkpoint(checkpoint, model, optimizer, batches)
    done = len(history["loss"])
    if measure and not done:
        history["measured"].append({"step": 0} | _measured(measure, model))
    model.train()
    bar = tqdm(range(done, steps), initial=done, total=steps, disable=not progress, desc="training", unit="step")
    for step in bar:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * min((step + 1) / (warmup + 1), (steps - step) / max(1, steps - warmup), 1.0)
        with autocast(device):
            loss = loss_of(model, sample(batches))
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f"the loss is {loss.item()} at step {step}: lower the learning rate, or look at it"
            )
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(trained, clip)
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


def _measured(measure: Callable, model: nn.Module) -> dict[str, float]:
    """What ``measure`` finds, leaving no trace in the run: a run that is measured gives the same weights."""
    with torch.random.fork_rng(), torch.no_grad():
        model.eval()
        found = {name: float(value) for name, value in measure(model).items()}
        model.train()
    return found


def _trained(model: nn.Module) -> list[str]:
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]


def save_checkpoint(path, model: nn.Module, optimizer, batches: torch.Generator, history: dict) -> None:
    """Write everything a run needs to go on, as one file that is either the old one or the new one."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {f"model.{name}": value.detach() for name, value in model.state_dict().items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": value for name, value in state.items()}
    tensors |= {"random.torch": torch.get_rng_state(), "random.batches": batches.get_state()}
    if torch.cuda.is_available():
        tensors["random.cuda"] = torch.cuda.get_rng_state()
    # Clones: safetensors refuses tensors that share memory, as tied embeddings do.
    tensors = {name: value.clone().contiguous() for name, value in tensors.items()}
    scratch = path.with_name(path.name + ".tmp")
    notes = {"history": history, "python": random.getstate(), "trained": _trained(model)}
    save_file(tensors, scratch, metadata={name: json.dumps(note) for name, note in notes.items()})
    with open(scratch, "rb+") as f:
        os.fsync(f.fileno())
    os.replace(scratch, path)


def load_checkpoint(path, model: nn.Module, optimizer, batches: torch.Generator) -> dict:
    """Put a run back to where :func:`save_checkpoint` left it; returns its history."""
    try:
        with safe_open(path, framework="pt") as f:
            tensors = {name: f.get_tensor(name) for name in f.keys()}  # noqa: SIM118  not a dict
            notes = {name: json.loads(text) for name, text in f.metadata().items()}
    except (SafetensorError, OSError, ValueError, AttributeError) as error:
        raise ValueError(f"the checkpoint {path} cannot be read ({error}); delete it to start again") from error

    def part(prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

    try:
        model.load_state_dict(part("model."))
    except RuntimeError as error:
        raise ValueError(f"the checkpoint {path} belongs to another model; delete it to start again") from error
    if notes.get("trained", _trained(model)) != _trained(model):  # the optimizer's state is numbered by these
        raise ValueError(f"the checkpoint {path} trains other parameters of the model; delete it to start again")
    state: dict[int, dict] = {}
    for name, value in part("optimizer.").items():
        number, field = name.split(".", 1)
        state.setdefault(int(number), {})[field] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    torch.set_rng_state(tensors["random.torch"])
    batches.set_state(tensors["random.batches"])
    if "random.cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["random.cuda"])
    version, words, gauss = notes["python"]
    random.setstate((version, tuple(words), gauss))
    return notes["history"]
