"""How much an encoder forgets while it trains: one number for all of its dropout, or whole heads of its attention."""

from functools import partial

import torch
from torch import nn


def set_dropout(model: nn.Module, rate: float) -> nn.Module:
    """Set the probability of all dropout in ``model``, that inside the attention included.

    A ``transformers`` model keeps that of its attention in a layer, in a plain number or in its configuration,
    depending on the family, the version and the implementation of attention: all three are set, and so a saved model
    keeps the rate.

    Args:
        model: changed in place; an encoder of this course, a ``transformers`` model, or any other module.
        rate: the probability of dropping an activation, from 0 up to, but not including, 1.

    Returns:
        ``model`` itself.

    Raises:
        ValueError: if ``rate`` is not such a number.
    """
    if not 0 <= rate < 1:
        raise ValueError(f"the rate of dropout should be at least 0 and below 1, got {rate!r}")
    for module in model.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = rate
        for owner in (module, getattr(module, "config", None)):
            for name in [name for name, value in getattr(owner, "__dict__", {}).items() if _is_rate(name, value)]:
                setattr(owner, name, rate)
    return model


def _is_rate(name: str, value: object) -> bool:
    """Whether an attribute is a probability of dropout: ``attention_dropout``, ``dropout_prob``, ``attn_pdrop``, …"""
    return ("dropout" in name or "pdrop" in name) and isinstance(value, int | float) and not isinstance(value, bool)


def drop_heads(model: nn.Module, rate: float) -> nn.Module:
    """Let whole heads of the attention fall silent while ``model`` trains: drophead.

    For each text of a batch and in each layer, every head is left out with probability ``rate``, and what the others
    say is multiplied by H / (how many of the H heads are left), so that the sum keeps its size. If none would be left,
    all stay. In evaluation mode nothing changes. A second call puts another rate beside the first: call it once, on a
    copy.

    Args:
        model: changed in place; an encoder of this course or a BERT of ``transformers``, or anything else whose layers
            keep their attention, with its number of heads, in a part called ``attention.self``.
        rate: the probability, from 0 up to, but not including, 1; at 0 the model stays as it is.

    Returns:
        ``model`` itself.

    Raises:
        ValueError: if ``rate`` is not such a number, or the model has no such layer.

    Source: Zhou, Ge, Wei, Zhou and Xu (2020), Scheduled DropHead; as an augmentation, Liu et al. (2021), Mirror-BERT.
    """
    if not 0 <= rate < 1:
        raise ValueError(f"the rate of drophead should be at least 0 and below 1, got {rate!r}")
    parts = [part for name, part in model.named_modules()
             if name.endswith("attention.self") and hasattr(part, "num_attention_heads")]  # fmt: skip
    if not parts:
        raise ValueError(f"{type(model).__name__} has no part called attention.self, as the layers of a BERT have")
    for part in parts if rate else ():
        part.register_forward_hook(partial(_without_heads, rate=rate))
    return model


def _without_heads(part: nn.Module, given, output: tuple, *, rate: float) -> tuple | None:
    """The output of an attention, ``(B, L, D)`` with its H heads side by side, with some of them set to 0."""
    if not part.training:
        return None
    states, heads = output[0], part.num_attention_heads
    kept = torch.rand(len(states), 1, heads, 1, device=states.device) >= rate
    kept = torch.where(kept.any(dim=2, keepdim=True), kept, True)
    share = kept.to(states.dtype)
    share = share * heads / share.sum(dim=2, keepdim=True)
    return ((states.unflatten(2, (heads, -1)) * share).flatten(2), *output[1:])
