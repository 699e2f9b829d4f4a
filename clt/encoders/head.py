"""A head that only training sees."""

from collections.abc import Sequence

from torch import Tensor, nn


class WithHead(nn.Module):
    """An encoder with a layer on top that is trained with it and thrown away afterwards.

    The loss is taken on what the head makes of the sentence vectors. :meth:`encode` gives the vectors beneath it, so
    whatever is measured is measured on them. The encoder is trained in place and stays what it is: keep using it.

    Args:
        encoder: what gives the sentence vectors, ``(N, D)``.
        head: what is put on top of them; else a linear layer from D to D and a tanh, drawn anew.

    Source: Gao, Yao and Chen (2021), section 6.3: unsupervised SimCSE keeps its head in training only.
    """

    def __init__(self, encoder: nn.Module, head: nn.Module | None = None):
        super().__init__()
        self.encoder = encoder
        if head is None:
            head = nn.Sequential(nn.Linear(encoder.dimension, encoder.dimension), nn.Tanh())
        self.head = head.to(encoder.device)

    def tokenize(self, sentences: Sequence[str]) -> dict[str, Tensor]:
        """As the encoder's."""
        return self.encoder.tokenize(sentences)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """``(N, D)``: what the head makes of the vectors of a tokenised batch."""
        return self.head(self.encoder(batch))

    def encode(self, sentences: Sequence[str], **options) -> Tensor:
        """``(N, D)``: the encoder's own vectors, without the head."""
        return self.encoder.encode(sentences, **options)
