"""Tiny networks for all objectives: one reads in both directions or from left to right, one is an LSTM, one writes."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clt.data import data_dir
from clt.predicting.text import CLS, MASK, NOISES, PAD, SEP, UNK, Vocabulary, padded


class Block(nn.Module):
    """Attention, then a small network at each place; what they find is added to what came in, and at first is 0."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm, self.into, self.out = nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.last_norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        for last in (self.out, self.down):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, x: Tensor, bias: Tensor, other: Tensor | None = None) -> Tensor:
        """``x`` looks at itself, or at the states of ``other``; ``bias`` is added to the scores of its attention."""
        q, k, v = self.into(self.norm(x)).chunk(3, dim=-1)
        if other is not None:
            _, k, v = self.into(self.norm(other)).chunk(3, dim=-1)
        x = x + self.out(self._attend(q, k, v, bias))
        return x + self.down(F.gelu(self.up(self.last_norm(x))))

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
        q, k, v = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in (q, k, v))
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype)).transpose(1, 2).flatten(2)


class _Scores(nn.Module):
    """What turns states into scores of pieces: a norm, a head, and the table of word vectors."""

    def logits(self, states: Tensor) -> Tensor:
        """A score of each piece, ``(…, pieces)``, in float32."""
        return F.linear(self.head(self.norm(states)), self.table.weight, self.bias).float()


class Transformer(_Scores):
    """From ids, ``(B, L)``, to a state at each place, ``(B, L, D)``; and from states to logits of pieces.

    It begins as a bag of words: the state of a place is the vector of its piece, until training adds something.

    Args:
        vectors: ``(pieces, D)``, where the table of word vectors begins; or the table of another network, to share it.
            It serves both for reading and for the logits, and is trained.
        layers, heads: the number of blocks, and of heads in each. The first two heads look to the left and the right
            neighbour from the start, by a bias; the others begin with the whole text.
        positions: the longest text.
        causal: whether a place sees only itself and what stands before it.
    """

    def __init__(self, vectors: Tensor | nn.Embedding, *, layers: int = 2, heads: int = 4, positions: int = 64,
                 dropout: float = 0.1, causal: bool = False):  # fmt: skip
        super().__init__()
        shared = isinstance(vectors, nn.Embedding)
        self.table = vectors if shared else nn.Embedding.from_pretrained(vectors.clone(), freeze=False)
        self.causal, (pieces, width) = causal, self.table.weight.shape
        self.places, self.dropout = nn.Parameter(torch.zeros(positions, width)), nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm, self.head, self.bias = nn.LayerNorm(width), _head(width), nn.Parameter(torch.zeros(pieces))
        step = torch.arange(positions) - torch.arange(positions)[:, None]
        near = [-(step + 1).abs(), -(step - 1).abs(), *[0 * step] * (heads - 2)]
        self.register_buffer("near", torch.stack(near).float(), persistent=False)  # (heads, L, L)

    def forward(self, ids: Tensor) -> Tensor:
        length = ids.shape[1]
        hidden = (ids == PAD)[:, None, None]  # padding is never attended to
        if self.causal:
            hidden = hidden | torch.ones(length, length, dtype=torch.bool, device=ids.device).triu(1)
        bias = self.near[:, :length, :length].masked_fill(hidden, -torch.inf)
        x = self.dropout(self.table(ids) + self.places[:length])
        for block in self.blocks:
            x = self.dropout(block(x, bias))
        return x


class Recurrent(_Scores):
    """An LSTM, which reads one piece after the other: from ids, ``(B, L)``, to a state at each place, ``(B, L, D)``.

    It begins as a bag of words too: what the LSTM finds is added to the vector of the piece, and at first is 0.

    Args:
        vectors: ``(pieces, D)``, where the table of word vectors begins; it is trained.
        layers: of the LSTM, one above the other.

    Source: Hochreiter and Schmidhuber (1997). One direction of ELMo (Peters et al., 2018), without its characters.
    """

    def __init__(self, vectors: Tensor, *, layers: int = 2, dropout: float = 0.1):
        super().__init__()
        self.table, width = nn.Embedding.from_pretrained(vectors.clone(), freeze=False), vectors.shape[1]
        self.lstm = nn.LSTM(width, width, num_layers=layers, batch_first=True)
        self.last_norm, self.out, self.dropout = nn.LayerNorm(width), nn.Linear(width, width), nn.Dropout(dropout)
        self.norm, self.head, self.bias = nn.LayerNorm(width), _head(width), nn.Parameter(torch.zeros(len(vectors)))
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.dropout(self.table(ids))  # padding stands behind the text, so that no piece has read it
        return self.dropout(x + self.out(self.lstm(self.last_norm(x))[0]))


class Writer(_Scores):
    """Writes a text from left to right while it looks at the states of what was read.

    Args:
        table: the word vectors of the network that reads, to share them.
        heads: in each attention. The first two look from the start at the piece to be written and at the one before
            it, where they stand if nothing was moved; the others begin with the whole text.

    Source: the decoder of Vaswani et al. (2017) and of BART (Lewis et al., 2020), with one layer.
    """

    def __init__(self, table: nn.Embedding, *, heads: int = 4, positions: int = 64):
        super().__init__()
        width = table.weight.shape[1]
        self.own = Transformer(table, layers=1, heads=heads, positions=positions, causal=True)
        self.look = Block(width, heads)
        self.table, self.head, self.norm, self.bias = table, self.own.head, self.own.norm, self.own.bias
        step = torch.arange(positions) - torch.arange(positions)[:, None]
        near = [-(step - 1).abs(), -step.abs(), *[0 * step] * (heads - 2)]
        self.register_buffer("near", torch.stack(near).float(), persistent=False)  # (heads, L, M)

    def forward(self, ids: Tensor, states: Tensor, read: Tensor) -> Tensor:
        """From ids written so far, ``(B, L)``, the states of what was read, ``(B, M, D)``, and its ids, ``(B, M)``."""
        bias = self.near[:, : ids.shape[1], : read.shape[1]].masked_fill((read == PAD)[:, None, None], -torch.inf)
        return self.look(self.own(ids), bias, states)


def _head(width: int) -> nn.Linear:
    head = nn.Linear(width, width)
    nn.init.eye_(head.weight)
    nn.init.zeros_(head.bias)
    head.weight.data *= 0.05
    return head


class Reader(nn.Module):
    """A network with its vocabulary: from sentences to one vector each, the mean of the states over their pieces.

    It has what the course's other encoders have: ``tokenize``, a call with a gradient, ``encode`` without.
    """

    def __init__(self, net: nn.Module, vocabulary: Vocabulary, *, longest: int = 64):
        super().__init__()
        self.net, self.vocabulary, self.longest = net, vocabulary, longest

    def tokenize(self, sentences: Sequence[str]) -> Tensor:
        """Ids, ``(N, L)``: [CLS], the pieces, [SEP], padding."""
        rows = [[CLS, *row[: self.longest - 2], SEP] for row in self.vocabulary.ids(sentences)]
        return padded(rows).to(self.net.table.weight.device)

    def forward(self, ids: Tensor) -> Tensor:
        return pooled(self.net(ids), ids)

    @torch.inference_mode()
    def encode(self, sentences: Sequence[str]) -> Tensor:
        """The ``(N, D)`` float32 vectors of N sentences, on the CPU."""
        training = self.training
        self.eval()
        order = sorted(range(len(sentences)), key=lambda i: len(sentences[i]))
        out = torch.empty(len(sentences), self.net.table.weight.shape[1])
        for start in range(0, len(order), 64):
            chosen = order[start : start + 64]
            out[chosen] = self(self.tokenize([sentences[i] for i in chosen])).float().cpu()
        self.train(training)
        return out


def pooled(states: Tensor, ids: Tensor) -> Tensor:
    """The mean of the states, ``(B, D)``, over the pieces of the text: neither [CLS] nor [SEP] nor padding."""
    real = ((ids != PAD) & (ids != CLS) & (ids != SEP))[..., None].to(states.dtype)
    return (states * real).sum(1) / real.sum(1).clamp_min(1)


def model_for(task: str, vectors: Tensor, counts: Tensor) -> nn.Module:
    """A model with a network ``net``, and what else its task needs: a generator, a judge, a writer.

    Args:
        task: ``"left to right"`` reads in that direction, ``"LSTM"`` as well but one by one, all others in both. Those
            about a sentence get a judge of two sentence vectors; what begins with *replaced* a judge of states, and a
            generator of one block, which shares the table of word vectors; one of the ``NOISES`` a writer, which shares
            it as well.
        vectors: ``(pieces, D)``, where the word vectors begin.
        counts: ``(pieces,)``, how often each comes: where the logits begin.
    """
    model, width = nn.Module(), vectors.shape[1]
    model.net = Recurrent(vectors) if task == "LSTM" else Transformer(vectors, causal=task == "left to right")
    if task.startswith("replaced"):
        model.generator, model.judge = Transformer(model.net.table, layers=1), nn.Linear(width, 1)
    if "sentence" in task:
        model.scale = nn.Identity()
        if task == "next sentence":  # whether two texts are alike shows in u * v, which at first is too small to count
            model.scale = nn.LayerNorm(width, elementwise_affine=False)
        model.judge = nn.Linear(4 * width, 1)
    if task in NOISES:
        model.writer = Writer(model.net.table)
    for part in model.children():
        if isinstance(part, _Scores):
            part.bias.data = ((counts + 1.0) / (counts + 1.0).sum()).log()
    return model


@torch.inference_mode()
def generate(
    net: nn.Module, start: Sequence[int], length: int, *, temperature: float = 0.8, seed: int = 0
) -> list[int]:
    """Go on with ``start`` piece by piece, each drawn from what the network expects next, up to ``length`` pieces."""
    generator, ids = torch.Generator().manual_seed(seed), list(start)
    net.eval()
    while len(ids) < length:
        logits = net.logits(net(torch.tensor([ids], device=net.table.weight.device))[0, -1]).cpu() / temperature
        logits[[PAD, UNK, CLS, MASK]] = -torch.inf
        ids.append(int(torch.multinomial(logits.softmax(0), 1, generator=generator)))
        if ids[-1] == SEP:
            break
    return ids


def word_filler() -> nn.Module:
    """``clt-mini`` with the head that it was pretrained with; called on tokens, it gives ``logits`` of all pieces."""
    from transformers import AutoModelForMaskedLM
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()  # it would tell at length that the encoder's pooler is not used here
    logging.disable_progress_bar()
    try:
        return AutoModelForMaskedLM.from_pretrained(data_dir() / "clt-mini", variant="mlm").eval()
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
