"""The upper layers of an encoder, trained alone: what the frozen layers below make of a sentence is remembered."""

import copy
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from clt.encoders.pooled import PooledEncoder


def layers_of(model: nn.Module, layer: int) -> tuple[str, nn.ModuleList]:
    """The name and the list of a model's layers, once it is sure that ``layer`` is one of them."""
    if not isinstance(layer, int) or isinstance(layer, bool):
        raise TypeError(f"layer should be an integer, got {layer!r}")
    count = model.config.num_hidden_layers
    lists = [(name, m) for name, m in model.named_modules() if isinstance(m, nn.ModuleList) and len(m) == count]
    if not lists:
        raise ValueError(f"{type(model).__name__} has no list of its {count} layers: freeze its parts by hand")
    if not 0 <= layer < count:
        raise ValueError(f"layer should be 0 to {count - 1} for an encoder of {count} layers, got {layer}")
    return lists[0]


class UpperLayers(PooledEncoder):
    """The trained part of a sentence encoder; :meth:`clt.encoders.SentenceEncoder.above` makes it.

    It is used like the whole. Its ``tokenize`` returns no token ids but what the frozen layers made of the tokens,
    ``(N, L, D)``, with the mask.
    """

    def __init__(self, encoder: PooledEncoder, layer: int, room: int):
        name, _ = layers_of(encoder.model, layer)
        if not hasattr(encoder.model, "embeddings") or hasattr(encoder.model, "embeddings_project"):
            raise ValueError(f"{type(encoder.model).__name__} does not begin with embeddings alone: use train_above")
        lower, model = copy.deepcopy(encoder), copy.deepcopy(encoder.model)
        super().__init__(model, encoder.tokenizer, pooling=encoder.pooling, max_length=encoder.max_length)
        lower.model.set_submodule(name, lower.model.get_submodule(name)[:layer])
        model.set_submodule(name, model.get_submodule(name)[layer:])
        model.embeddings = _Given()
        self.memory, self._place = _Memory(lower, room), name
        self.requires_grad_(True)

    def _read(self, sentences: list[str]) -> list[dict]:
        """What the frozen layers make of each sentence: ``(L, D)`` states, and a mask as long."""
        rows = []
        for states in self.memory(sentences):
            row = {"inputs_embeds": states[:, 0], "attention_mask": torch.ones(len(states), dtype=torch.long)}
            rows.append(row | ({"static": states[:, 1]} if self.pooling == "first-last" else {}))
        return rows

    def _padded(self, rows: list[dict]) -> dict[str, Tensor]:
        padded = {name: nn.utils.rnn.pad_sequence([row[name] for row in rows], batch_first=True) for name in rows[0]}
        return {name: tensor.to(self.device) for name, tensor in padded.items()}

    def whole(self) -> PooledEncoder:
        """The encoder that these upper layers were taken from, with their present weights: a copy, which can be saved.

        Its embeddings and lower layers are what they were, and all of it may be trained.
        """
        whole, upper = copy.deepcopy(self.memory.lower), copy.deepcopy(self.model)
        upper.embeddings = whole.model.embeddings
        layers = [*whole.model.get_submodule(self._place), *upper.get_submodule(self._place)]
        upper.set_submodule(self._place, nn.ModuleList(layers))
        whole.model, whole.max_length = upper, self.max_length
        return whole.requires_grad_(True)

    def save(self, folder: str | Path) -> None:
        raise TypeError("these are the upper layers of an encoder only: save what their `whole` returns")


class _Given(nn.Module):
    """Stands where the embeddings stood, and hands on what it is given."""

    def forward(self, inputs_embeds: Tensor | None = None, **_) -> Tensor:
        if inputs_embeds is None:
            raise TypeError("upper layers read what their `tokenize` returns, got token ids")
        return inputs_embeds


class _Memory:
    """What the lower layers make of each sentence, computed without dropout when first asked for: ``(L, 1, D)``.

    Where the pooling needs the static embeddings, they stand beside it: ``(L, 2, D)``.
    """

    def __init__(self, lower: PooledEncoder, room: int):
        self.lower, self.room, self.states = lower.eval().requires_grad_(False), room, {}

    def __deepcopy__(self, memo) -> "_Memory":
        return self  # frozen, so that copies of the layers above may share it

    def __call__(self, sentences: Sequence[str]) -> list[Tensor]:
        new = sorted({s for s in sentences if s not in self.states}, key=lambda s: (len(s), s))
        found = {}
        # A later call may want gradients above these states, or read without autocast: they are exact.
        exact = torch.autocast(self.lower.device.type, enabled=False)
        with torch.inference_mode(False), torch.no_grad(), exact:
            for start in range(0, len(new), 64):
                chosen = new[start : start + 64]
                batch = self.lower.tokenize(chosen)
                output = self.lower.model(**batch, output_hidden_states=True)
                last = output.last_hidden_state
                static = (output.hidden_states or (last,))[0]  # without layers there is but one state
                states = torch.stack([last, static] if self.lower.pooling == "first-last" else [last], dim=2)
                real = batch["attention_mask"].bool()
                found |= {s: states[i][real[i]] for i, s in enumerate(chosen)}
        for sentence in new[: max(0, self.room - len(self.states))]:
            self.states[sentence] = found[sentence]
        return [found[s] if s in found else self.states[s] for s in sentences]
