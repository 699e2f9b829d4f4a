"""Two towers, one for pictures and one for captions, that end in one space."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from clt.encoders.sentence import SentenceEncoder


class PictureTower(nn.Module):
    """Three convolutions with stride 2 and a linear layer: ``(N, 3, 48, 48)`` → ``(N, dimension)``, not normalised."""

    def __init__(self, dimension: int = 64, *, width: int = 16, size: int = 48):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, width, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(2 * width, 4 * width, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(4 * width * (size // 8) ** 2, 128),
            nn.ReLU(),
        )
        self.head = nn.Linear(128, dimension, bias=False)

    def features(self, pictures: Tensor) -> Tensor:
        """``(N, 128)``, before the projection into the space shared with the texts."""
        return self.layers(pictures - 0.5)

    def forward(self, pictures: Tensor) -> Tensor:
        return self.head(self.features(pictures))


class CaptionTower(nn.Module):
    """Captions → ``(N, dimension)``, above a frozen sentence encoder: one layer of self-attention, or none.

    Args:
        encoder: its embeddings and its first ``layer`` layers are used as they are, and remembered for each caption.
        dimension: of the shared space.
        order: with self-attention; without it the captions' word vectors are averaged, a bag of words.
        scratch: with word vectors of its own, which start at random, in the place of the encoder's.
    """

    def __init__(self, encoder: SentenceEncoder, dimension: int = 64, *, layer: int = 2, order: bool = True,
                 scratch: bool = False, width: int = 96):  # fmt: skip
        super().__init__()
        self.order, self.scratch = order, scratch
        self.below = [encoder, encoder.above(layer) if order and not scratch else None]  # a list: nothing to train
        hidden = encoder.model.config.hidden_size
        if scratch:
            self.words = nn.Embedding(encoder.model.config.vocab_size, hidden)
            nn.init.normal_(self.words.weight, std=0.02)
        self.places = nn.Parameter(torch.zeros(64, width)) if scratch else None
        self.enter = nn.Linear(hidden, width)
        options = {"dim_feedforward": 2 * width, "dropout": 0.0, "batch_first": True, "norm_first": True}
        self.mix = nn.TransformerEncoderLayer(width, 4, **options) if order else nn.ReLU()
        self.head = nn.Linear(width, dimension, bias=False)

    def read(self, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """The word vectors of each caption, ``(N, L, hidden)``, and a mask of its words, ``(N, L)``."""
        encoder, upper = self.below
        if upper is not None:
            batch = upper.tokenize(list(captions))
            return batch["inputs_embeds"], batch["attention_mask"].bool()
        batch = encoder.tokenize(list(captions))
        words = self.words if self.scratch else encoder.model.embeddings.word_embeddings
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.scratch):
            return words(batch["input_ids"]), batch["attention_mask"].bool()

    def forward(self, captions: Sequence[str]) -> Tensor:
        x, real = self.read(captions)
        x = self.enter(x)
        if self.places is not None:
            x = x + self.places[: x.shape[1]]
        x = self.mix(x, src_key_padding_mask=~real) if self.order else self.mix(x)
        x = (x * real[:, :, None]).sum(1) / real.sum(1, keepdim=True)
        return self.head(x)
