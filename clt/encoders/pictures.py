"""Two towers, one for pictures and one for captions, that end in one space."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from clt.encoders.sentence import SentenceEncoder


class PictureTower(nn.Module):
    """Two convolutions with batch normalisation and two linear layers: ``(N, 3, 48, 48)`` → ``(N, dimension)``.

    The result is not normalised.
    """

    def __init__(self, dimension: int = 64, *, width: int = 32, size: int = 48):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, width, 8, stride=4, padding=2, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(width * (size // 8) ** 2, 128),
            nn.ReLU(),
        )
        self.head = nn.Linear(128, dimension, bias=False)

    def features(self, pictures: Tensor) -> Tensor:
        """``(N, 128)``, before the projection into the space shared with the texts."""
        return self.layers(pictures.contiguous(memory_format=torch.channels_last) - 0.5)

    def forward(self, pictures: Tensor) -> Tensor:
        return self.head(self.features(pictures))


class CaptionTower(nn.Module):
    """Two layers above a frozen sentence encoder: captions → ``(N, dimension)``, not normalised.

    What the encoder makes of a caption never changes, so it is computed once and remembered; towers of one ``memory``
    share it.

    Args:
        encoder: frozen; it is not among the tower's parameters.
        dimension: of the shared space.
        order: read the encoder's vector of the caption. Without it, the mean of its words' vectors as they stand in the
            vocabulary: a bag of words, in which their order is lost.
        memory: of captions that have been read.
    """

    def __init__(self, encoder: SentenceEncoder, dimension: int = 64, *, order: bool = True,
                 memory: dict[str, Tensor] | None = None):  # fmt: skip
        super().__init__()
        self.order, self.memory = order, {} if memory is None else memory
        self.below = [encoder.eval()]  # in a list, so that nothing of it is trained
        width = encoder.dimension
        self.layers = nn.Sequential(
            nn.BatchNorm1d(width, affine=False),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, dimension, bias=False),
        )

    def read(self, captions: Sequence[str]) -> Tensor:
        """What the frozen encoder makes of the captions, ``(N, width)``."""
        new = [caption for caption in dict.fromkeys(captions) if caption not in self.memory]
        if new:
            self.memory |= zip(new, self.below[0].encode(new) if self.order else self._bags(new), strict=True)
        return torch.stack([self.memory[caption] for caption in captions])

    @torch.no_grad()
    def _bags(self, captions: list[str]) -> Tensor:
        encoder = self.below[0]
        batch = encoder.tokenize(captions)
        real = batch["attention_mask"][:, :, None]
        words = encoder.model.get_input_embeddings()(batch["input_ids"])
        return (words * real).sum(1) / real.sum(1)

    def forward(self, captions: Sequence[str]) -> Tensor:
        # in float32, whatever autocast multiplies in: the pictures' vectors meet these in a loss
        return self.layers(self.read(captions).to(self.layers[1].weight.device)).float()
