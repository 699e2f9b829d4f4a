"""What every encoder of sentences does: turn sentences into tokens, read them, and pool them into one vector each."""

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

POOLINGS = ("cls", "mean", "first-last")
USUAL_LENGTH = 128


class PooledEncoder(nn.Module):
    """A tokenizer, a ``transformers`` model and a pooling: from sentences to an ``(N, D)`` tensor.

    Arguments and errors are those of :class:`clt.encoders.SentenceEncoder`.
    """

    def __init__(self, model: nn.Module, tokenizer, *, pooling: str = "mean", max_length: int | None = None):
        super().__init__()
        if pooling not in POOLINGS:
            raise ValueError(f"pooling should be one of {', '.join(POOLINGS)}, got {pooling!r}")
        self.model, self.tokenizer, self.pooling = model, tokenizer, pooling
        if tokenizer is not None:
            _vocabulary_fits(model, tokenizer)
        self.max_length = min(USUAL_LENGTH, _positions(model) or USUAL_LENGTH) if max_length is None else max_length

    @property
    def max_length(self) -> int:
        """Longer sentences are cut to this many tokens; between what one word needs and the model's positions."""
        return self._max_length

    @max_length.setter
    def max_length(self, value: int) -> None:
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"max_length should be an integer, got {value!r}")
        least = 1 + (self.tokenizer.num_special_tokens_to_add() if self.tokenizer is not None else 0)
        most = _positions(self.model) or math.inf
        if not least <= value <= most:
            marks = f"{least - 1} tokens mark its ends" if least > 1 else "no sentence is shorter"
            raise ValueError(
                f"max_length should be at least {least} ({marks}) and at most {most}, the positions of the model; "
                f"got {value}"
            )
        self._max_length = value

    @property
    def dimension(self) -> int:
        """D, the length of an embedding."""
        return self.model.config.hidden_size

    @property
    def device(self) -> torch.device:
        """Where the weights are, and so where the work is done."""
        return next(self.parameters()).device

    def tokenize(self, sentences: Sequence[str]) -> dict[str, Tensor]:
        """Token ids and mask, ``(N, L)``, padded to the longest sentence, on the encoder's device.

        Raises:
            TypeError: if given one string, a mapping or a set, or anything in the sequence is not a string.
            ValueError: if there is no sentence, or one has a token that the model has no embedding for.
        """
        sentences = strings(sentences)
        if not sentences:
            raise ValueError("expected at least one sentence, got none")
        return self._padded(self._read(sentences))

    def _read(self, sentences: list[str]) -> list[dict]:
        """The tokens of each sentence, not padded: its ids, its mask, and what else the model asks for."""
        read = self.tokenizer(sentences, truncation=True, max_length=self.max_length)
        return [dict(zip(read, values, strict=True)) for values in zip(*read.values(), strict=True)]

    def _padded(self, rows: list[dict]) -> dict[str, Tensor]:
        """Rows of :meth:`_read` as one batch."""
        warned = getattr(self.tokenizer, "deprecation_warnings", {})
        warned["Asking-to-pad-a-fast-tokenizer"] = True  # its advice would tokenize every sentence twice
        batch = self.tokenizer.pad(rows, return_tensors="pt")
        highest, count = int(batch["input_ids"].max()), getattr(self.model.config, "vocab_size", math.inf)
        if highest >= count:
            token = self.tokenizer.convert_ids_to_tokens(highest)
            raise ValueError(
                f"the token {token!r} has number {highest}, and the model has {count} embeddings: give it more with "
                f"encoder.model.resize_token_embeddings(len(encoder.tokenizer))"
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

        A sentence that comes twice is encoded once, and sentences are batched with others of as many tokens, so that
        little is spent on padding. Training mode, if it was on, is back on afterwards.

        Raises:
            TypeError: if given one string, a mapping or a set, anything in the sequence is not a string, or
                ``batch_size`` is not an integer.
            ValueError: if ``batch_size`` is not positive, or as :meth:`tokenize`.
        """
        sentences = strings(sentences)
        if not isinstance(batch_size, int) or isinstance(batch_size, bool):
            raise TypeError(f"batch_size should be an integer, got {batch_size!r}")
        if batch_size < 1:
            raise ValueError(f"batch_size should be at least 1, got {batch_size}")
        different = list(dict.fromkeys(sentences))
        out = torch.empty(len(different), self.dimension)
        was_training = self.training
        self.eval()
        try:
            with torch.inference_mode():
                batches, count = self._batches(different, batch_size), math.ceil(len(different) / batch_size)
                for chosen, batch in tqdm(batches, total=count, disable=not progress, desc="encoding", unit="batch"):
                    out[chosen] = self(batch).float().cpu()
        finally:
            self.train(was_training)
        if len(different) == len(sentences):
            return out
        place = {sentence: i for i, sentence in enumerate(different)}
        return out[[place[sentence] for sentence in sentences]]

    def _batches(self, sentences: list[str], batch_size: int) -> Iterator[tuple[list[int], dict[str, Tensor]]]:
        """Batches of sentences with about as many tokens, the longest first, and which sentences they are."""
        order = sorted(range(len(sentences)), key=lambda i: -len(sentences[i]))
        many = 64 * batch_size  # tokens of so many sentences are held at a time
        for start in range(0, len(order), many):
            chosen = order[start : start + many]
            rows = zip(chosen, self._read([sentences[i] for i in chosen]), strict=True)
            rows = sorted(rows, key=lambda pair: -len(pair[1]["attention_mask"]))
            for i in range(0, len(rows), batch_size):
                numbers, tokens = zip(*rows[i : i + batch_size], strict=True)
                yield list(numbers), self._padded(list(tokens))


def strings(sentences: Sequence[str]) -> list[str]:
    """``sentences`` as a list, once it is sure that they are strings in an order."""
    if isinstance(sentences, str):
        raise TypeError(f"expected a sequence of sentences, got one string: pass [{sentences[:20]!r}…]")
    if isinstance(sentences, Mapping | AbstractSet):
        raise TypeError(f"expected a sequence of sentences, got a {type(sentences).__name__}: pass a list of strings")
    sentences = list(sentences)
    if wrong := [s for s in sentences if not isinstance(s, str)]:
        raise TypeError(f"expected strings, got {type(wrong[0]).__name__}: {wrong[0]!r}")
    return sentences


def _positions(model: nn.Module) -> int | None:
    """The longest sequence that a table of positions allows; None where positions are not learned one by one."""
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            skipped = 0 if module.padding_idx is None else module.padding_idx + 1  # RoBERTa counts from 2
            return module.num_embeddings - skipped
    return None


def _vocabulary_fits(model: nn.Module, tokenizer) -> None:
    """Refuse a tokenizer that is not the model's: its numbers would stand for other words, or for none."""
    count = getattr(model.config, "vocab_size", None)
    # A model may have a few rows to spare, up to a round number; a tokenizer may have tokens added, to be met later.
    if count is not None and not (0.9 * count <= len(tokenizer) and tokenizer.vocab_size <= count):
        raise ValueError(
            f"the tokenizer has {len(tokenizer)} tokens and the model {count} embeddings: they do not belong together. "
            f"Is a file of the vocabulary missing (tokenizer.json, vocab.txt), or another model's?"
        )


def random_weights(encoder: PooledEncoder) -> PooledEncoder:
    """A copy that has not been pretrained: the same tokenizer and layers, with weights drawn anew by torch's seed."""
    fresh = copy.deepcopy(encoder)
    fresh.model = type(fresh.model)(fresh.model.config).to(encoder.device)
    return fresh
