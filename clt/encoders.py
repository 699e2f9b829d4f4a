"""From a sentence, or a small picture, to a point: the encoders of the course."""

import copy
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

POOLINGS = ("cls", "mean", "first-last")


class SentenceEncoder(nn.Module):
    """A tokenizer, a ``transformers`` model and a way to pool its token vectors into one vector per sentence.

    Args:
        model: any encoder of ``transformers`` that returns hidden states, for example a ``BertModel``.
        tokenizer: the fast tokenizer that belongs to it.
        pooling: ``"cls"``, the last layer's vector at the first position; ``"mean"``, the last layer's mean over the
            tokens of the sentence; ``"first-last"``, that mean over the static embeddings and the last layer.
        max_length: longer sentences are cut to this many tokens.

    Calling the encoder on tokenized sentences gives an ``(N, D)`` tensor with a gradient, for training;
    :meth:`encode` takes strings and gives the same without a gradient, dropout or padding waste.
    """

    def __init__(self, model: nn.Module, tokenizer, *, pooling: str = "mean", max_length: int = 128):
        super().__init__()
        if pooling not in POOLINGS:
            raise ValueError(f"pooling should be one of {', '.join(POOLINGS)}, got {pooling!r}")
        self.model, self.tokenizer, self.pooling, self.max_length = model, tokenizer, pooling, max_length

    @classmethod
    def load(cls, name: str | Path, *, pooling: str | None = None, max_length: int | None = None) -> "SentenceEncoder":
        """``"clt-mini"``, a folder that :meth:`save` or ``transformers`` wrote, or a name on the Hugging Face hub.

        Only safetensors weights are read and no code from the model's repository is run. ``pooling`` and
        ``max_length`` default to what was saved with the encoder, else to ``"mean"`` and 128.

        Raises:
            FileNotFoundError: if there is no such folder and the hub cannot be reached or does not know the name.
        """
        from transformers import AutoModel, AutoTokenizer  # late: 3 seconds that not every lesson needs
        from transformers.utils import logging

        from clt.data import data_dir, note

        place = str(name)
        if place == "clt-mini":
            place = str(data_dir() / "clt-mini")
            note("clt-mini")
        bars = logging.is_progress_bar_enabled()
        logging.disable_progress_bar()  # a bar for a file that is read in no time; downloads keep theirs
        try:
            tokenizer = AutoTokenizer.from_pretrained(place)
            model = AutoModel.from_pretrained(place, use_safetensors=True)
        except (OSError, ValueError) as error:
            raise FileNotFoundError(
                f"no encoder {str(name)!r}: expected 'clt-mini', a folder with config.json and model.safetensors, or a "
                f"model on the Hugging Face hub that can be reached from here ({str(error).splitlines()[0]})"
            ) from error
        finally:
            if bars:
                logging.enable_progress_bar()
        own = Path(place) / "clt.json"
        saved = json.loads(own.read_text(encoding="utf-8")) if own.is_file() else {}
        return cls(
            model,
            tokenizer,
            pooling=pooling or saved.get("pooling", "mean"),
            max_length=max_length or saved.get("max_length", 128),
        )

    def save(self, folder: str | Path) -> None:
        """Write weights (safetensors), tokenizer, and pooling, for :meth:`load` and ``AutoModel.from_pretrained``."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        settings = {"pooling": self.pooling, "max_length": self.max_length}
        (folder / "clt.json").write_text(json.dumps(settings), encoding="utf-8")

    @property
    def dimension(self) -> int:
        """D, the length of an embedding."""
        return self.model.config.hidden_size

    @property
    def device(self) -> torch.device:
        """Where the weights are, and so where the work is done."""
        return next(self.parameters()).device

    def train_above(self, layer: int) -> "SentenceEncoder":
        """Train only what stands above encoder layer ``layer``; the embeddings and the layers below keep their weights.

        ``train_above(0)`` freezes the embeddings alone, ``train_above(3)`` the embeddings and the first three layers.
        The backward pass ends where the frozen part begins, which saves most of its time and memory. Dropout still acts
        in the frozen layers. A second call replaces the first; ``encoder.requires_grad_(True)`` undoes it.

        Args:
            layer: 0 up to the number of encoder layers, minus 1: at least one layer is trained.

        Returns:
            The encoder itself, so that ``SentenceEncoder.load("clt-mini").train_above(2)`` is one line.

        Raises:
            TypeError: if ``layer`` is not an integer.
            ValueError: if ``layer`` is out of range, or the model has no list of layers of its own (ALBERT shares one).
        """
        lowest = next(_layers(self.model, layer)[1][layer].parameters())
        above = False
        for parameter in self.model.parameters():  # from the embeddings up, as transformers registers them
            above = above or parameter is lowest
            parameter.requires_grad_(above)
        return self

    def above(self, layer: int, *, room: int = 10_000) -> "UpperLayers":
        """A copy that trains what stands above encoder layer ``layer``, and computes what stands below once a sentence.

        What the embeddings and the first ``layer`` layers make of a sentence never changes while only the others learn.
        The copy remembers it for the first ``room`` sentences it meets, and its own copies share that memory: with
        three of four layers frozen, training and encoding take a third of the time. Dropout acts in the upper layers
        alone, where :meth:`train_above` has it in all.

        Args:
            layer: as for :meth:`train_above`, whose errors it shares.
            room: sentences remembered; one of 12 tokens takes 12 · D floats (12 KB for ``clt-mini``).
        """
        return UpperLayers(self, layer, room)

    def tokenize(self, sentences: Sequence[str]) -> dict[str, Tensor]:
        """Token ids and mask, ``(N, L)``, padded to the longest sentence, on the encoder's device."""
        batch = self.tokenizer(
            list(sentences), padding=True, truncation=True, max_length=self.max_length, return_tensors="pt"
        )
        return {name: tensor.to(self.device) for name, tensor in batch.items()}

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """The ``(N, D)`` embeddings of tokenized sentences; not normalised."""
        batch = dict(batch)
        static = batch.pop("static", None)  # the upper layers alone are told: they do not see the embeddings
        output = self.model(**batch, output_hidden_states=self.pooling == "first-last")
        if self.pooling == "cls":
            return output.last_hidden_state[:, 0]
        tokens = output.last_hidden_state
        if self.pooling == "first-last":
            tokens = ((output.hidden_states[0] if static is None else static) + tokens) / 2
        real = batch["attention_mask"].unsqueeze(-1).to(tokens.dtype)  # padding has no say in the mean
        return (tokens * real).sum(1) / real.sum(1)

    def encode(self, sentences: Sequence[str], *, batch_size: int = 64, progress: bool = False) -> Tensor:
        """The ``(N, D)`` float32 embeddings of N sentences, in their order, on the CPU.

        Sentences are batched with others of their length, so that little is spent on padding. Training mode, if it
        was on, is back on afterwards.

        Raises:
            TypeError: if given one string, or anything in the sequence is not a string.
        """
        if isinstance(sentences, str):
            raise TypeError(f"expected a sequence of sentences, got one string: pass [{sentences[:20]!r}…]")
        sentences = list(sentences)
        if wrong := [s for s in sentences if not isinstance(s, str)]:
            raise TypeError(f"expected strings, got {type(wrong[0]).__name__}: {wrong[0]!r}")
        order = sorted(range(len(sentences)), key=lambda i: -len(sentences[i]))
        out = torch.empty(len(sentences), self.dimension)
        was_training = self.training
        self.eval()
        try:
            with torch.inference_mode():
                starts = range(0, len(order), batch_size)
                for start in tqdm(starts, disable=not progress, desc="encoding", unit="batch"):
                    chosen = order[start : start + batch_size]
                    out[chosen] = self(self.tokenize([sentences[i] for i in chosen])).float().cpu()
        finally:
            self.train(was_training)
        return out


def _layers(model: nn.Module, layer: int) -> tuple[str, nn.ModuleList]:
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

    def __init__(self, lower: SentenceEncoder, room: int):
        self.lower, self.room, self.states = lower.eval().requires_grad_(False), room, {}

    def __deepcopy__(self, memo) -> "_Memory":
        return self  # frozen, so that copies of the layers above may share it

    def __call__(self, sentences: Sequence[str]) -> list[Tensor]:
        new = sorted({s for s in sentences if s not in self.states}, key=lambda s: (len(s), s))
        found = {}
        with torch.inference_mode(False), torch.no_grad():  # a later call may want gradients above these states
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


class UpperLayers(SentenceEncoder):
    """The trained part of a sentence encoder; :meth:`SentenceEncoder.above` makes it. It is used like the whole.

    Its ``tokenize`` returns no token ids but what the frozen layers made of the tokens, ``(N, L, D)``, with the mask.
    """

    def __init__(self, encoder: SentenceEncoder, layer: int, room: int):
        name, _ = _layers(encoder.model, layer)
        if not hasattr(encoder.model, "embeddings") or hasattr(encoder.model, "embeddings_project"):
            raise ValueError(f"{type(encoder.model).__name__} does not begin with embeddings alone: use train_above")
        lower, model = copy.deepcopy(encoder), copy.deepcopy(encoder.model)
        super().__init__(model, encoder.tokenizer, pooling=encoder.pooling, max_length=encoder.max_length)
        lower.model.set_submodule(name, lower.model.get_submodule(name)[:layer])
        model.set_submodule(name, model.get_submodule(name)[layer:])
        model.embeddings = _Given()
        self.memory = _Memory(lower, room)
        self.requires_grad_(True)

    def tokenize(self, sentences: Sequence[str]) -> dict[str, Tensor]:
        """What the frozen layers make of each token, padded with zeros, and which tokens are real: ``(N, L)``."""
        states = self.memory(sentences)
        real = nn.utils.rnn.pad_sequence([torch.ones(len(s), dtype=torch.long) for s in states], batch_first=True)
        padded = nn.utils.rnn.pad_sequence(states, batch_first=True).to(self.device)
        batch = {"inputs_embeds": padded[:, :, 0], "attention_mask": real.to(self.device)}
        return batch | ({"static": padded[:, :, 1]} if self.pooling == "first-last" else {})

    def save(self, folder: str | Path) -> None:
        raise TypeError("these are the upper layers of an encoder only: to save it, train the whole with train_above")


class ImageEncoder(nn.Module):
    """A small convolutional network for small grey pictures: ``(N, H, W)`` → ``(N, dimension)``, not normalised.

    Two 3 × 3 convolutions, a max-pool and two linear layers; about 12,000 weights for 8 × 8 pictures and 32 dimensions.
    """

    def __init__(self, dimension: int, *, size: int = 8, width: int = 16):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(width * (size // 2) ** 2, 2 * width),
            nn.ReLU(),
            nn.Linear(2 * width, dimension),
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images.unsqueeze(1))
