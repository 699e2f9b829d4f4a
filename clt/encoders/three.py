"""One encoder read in three ways, as BGE-M3 does: a vector, weights of words, and a vector for each word."""

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clt import retrieval, similarity
from clt.encoders.sentence import SentenceEncoder

Reading = dict[str, Tensor]


class M3Encoder(nn.Module):
    r"""Dense, sparse and multi-vector scores from one encoder.

    Calling it on N texts gives their *reading*: ``dense`` ``(N, D)``, the mean over the words; ``weights`` ``(N, L)``,
    max(0, w·h + b) of each token, 0 for special tokens and padding; ``tokens`` ``(N, L)``, their numbers; ``vectors``
    ``(N, L, width)``, a linear map of each token's state; and ``mask`` ``(N, L)``, which of them are words.

    Args:
        encoder: a sentence encoder, trained with the rest.
        width: dimensions of a token's vector.

    Source: Chen et al. (2024), M3-Embedding, section 3.2. There the dense vector is that of [CLS], and the token that
    ends a text takes part in the multi-vector score.
    """

    SHARE: ClassVar = {"dense": 1.0, "sparse": 0.3, "multi-vector": 1.0}  # in the ensemble

    def __init__(self, encoder: SentenceEncoder, *, width: int = 64):
        super().__init__()
        self.encoder = encoder
        self.weigh = nn.Linear(encoder.dimension, 1)
        # At first each word weighs the same. A random map has much the same sign for all words: max(0, ·) of it could
        # be 0 for all of them, and then for good.
        nn.init.zeros_(self.weigh.weight)
        nn.init.constant_(self.weigh.bias, 0.3)
        self.project = nn.Linear(encoder.dimension, width, bias=False)

    def forward(self, texts: Sequence[str]) -> Reading:
        batch = self.encoder.tokenize(texts)
        tokens = batch["input_ids"]
        hidden = self.encoder.model(**batch).last_hidden_state
        own = ~torch.isin(tokens, tokens.new_tensor(self.encoder.tokenizer.all_special_ids))
        own[:, 0] |= ~own.any(1)  # a text without a word is read by its first token
        weights = F.relu(self.weigh(hidden)[..., 0]).float() * own
        mean = (hidden * own[..., None]).sum(1).float() / own.sum(1, keepdim=True)
        vectors = self.project(hidden).float()
        return {"dense": mean, "weights": weights, "tokens": tokens, "vectors": vectors, "mask": own}

    @torch.no_grad()
    def encode(self, texts: Sequence[str], *, batch_size: int = 64) -> Reading:
        """The reading of any number of texts, in their order, without dropout, on the CPU, padded to one length."""
        was_training = self.training
        self.eval()
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # texts of like length, little padding
        parts = []
        for start in range(0, len(texts), batch_size):
            part = self([texts[i] for i in order[start : start + batch_size]])
            parts.append({name: value.cpu() for name, value in part.items()})
        self.train(was_training)
        longest = max(part["tokens"].shape[1] for part in parts)
        back = torch.tensor(order).argsort()
        for part in parts:
            gap = longest - part["tokens"].shape[1]
            part |= {name: F.pad(part[name], (0, gap)) for name in ("weights", "tokens", "mask")}
            part["vectors"] = F.pad(part["vectors"], (0, 0, 0, gap))
        return {name: torch.cat([part[name] for part in parts])[back] for name in parts[0]}

    @classmethod
    def scores(cls, query: Reading, passage: Reading) -> dict[str, Tensor]:
        """``(Q, M)`` each: ``dense``, ``sparse``, ``multi-vector``, and their sum by ``SHARE``, the ``ensemble``."""
        words = ("weights", "tokens")
        found = {
            "dense": similarity.cosine_similarity(query["dense"], passage["dense"]),
            "sparse": retrieval.sparse_scores(*(query[w] for w in words), *(passage[w] for w in words)),
            "multi-vector": retrieval.multi_vector_scores(
                query["vectors"], passage["vectors"], query["mask"], passage["mask"]
            ),
        }
        return found | {"ensemble": sum(cls.SHARE[head] * score for head, score in found.items())}

    def rank(self, queries: Sequence[str], documents: Sequence[str]) -> dict[str, Tensor]:
        """The :meth:`scores` of every query with every document, without dropout and gradient."""
        return self.scores(self.encode(queries), self.encode(documents))
