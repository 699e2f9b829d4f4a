"""From a sentence to a point: the encoder that the lessons train."""

import json
from pathlib import Path

from clt.encoders.pooled import PooledEncoder
from clt.encoders.stored import read
from clt.encoders.upper import UpperLayers, layers_of


class SentenceEncoder(PooledEncoder):
    """A tokenizer, a ``transformers`` model and a way to pool its token vectors into one vector per sentence.

    Args:
        model: any encoder of ``transformers`` that returns hidden states, for example a ``BertModel``.
        tokenizer: the fast tokenizer that belongs to it.
        pooling: ``"cls"``, the last layer's vector at the first position; ``"mean"``, the last layer's mean over the
            tokens of the sentence; ``"first-last"``, that mean over the static embeddings and the last layer.
        max_length: longer sentences are cut to this many tokens; 128 by default, or fewer if the model has fewer
            positions.

    Calling the encoder on tokenized sentences gives an ``(N, D)`` tensor with a gradient, for training;
    :meth:`encode` takes strings and gives the same without a gradient, dropout or padding waste.

    Raises:
        ValueError: if the pooling is unknown, the tokenizer and the model have different vocabularies, or
            ``max_length`` is more than the model has positions or leaves no room for a word.
        TypeError: if ``max_length`` is not an integer.
    """

    @classmethod
    def load(cls, name: str | Path, *, pooling: str | None = None, max_length: int | None = None) -> "SentenceEncoder":
        """``"clt-mini"``, a folder that :meth:`save` or ``transformers`` wrote, or a name on the Hugging Face hub.

        Only safetensors weights are read and no code from the model's repository is run. ``pooling`` and
        ``max_length`` default to what was saved with the encoder, else to ``"mean"`` and 128. Like every new module it
        is in training mode, with dropout on; :meth:`encode` reads without.

        Raises:
            FileNotFoundError: if there is no such folder and the hub cannot be reached or does not know the name.
            ValueError: if a file is damaged, missing, or of another model; also as for the constructor.
        """
        model, tokenizer, saved = read(str(name))
        given = {"pooling": pooling, "max_length": max_length}
        return cls(model, tokenizer, **saved | {option: value for option, value in given.items() if value is not None})

    def save(self, folder: str | Path) -> None:
        """Write weights (safetensors), tokenizer, and pooling, for :meth:`load` and ``AutoModel.from_pretrained``."""
        from transformers.utils import logging  # late: 3 seconds that not every lesson needs

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        bars = logging.is_progress_bar_enabled()
        logging.disable_progress_bar()  # a bar for a file that is written in no time
        try:
            self.model.save_pretrained(folder)
        finally:
            if bars:
                logging.enable_progress_bar()
        self.tokenizer.save_pretrained(folder)
        settings = {"pooling": self.pooling, "max_length": self.max_length}
        (folder / "clt.json").write_text(json.dumps(settings), encoding="utf-8")

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
        lowest = next(layers_of(self.model, layer)[1][layer].parameters())
        above = False
        for parameter in self.model.parameters():  # from the embeddings up, as transformers registers them
            above = above or parameter is lowest
            parameter.requires_grad_(above)
        return self

    def above(self, layer: int, *, room: int = 10_000) -> UpperLayers:
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
