"""How much an encoder forgets while it trains: one number for all of its dropout."""

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
