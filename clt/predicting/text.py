"""The text that all objectives read: a small vocabulary, and documents as rows of neighbouring sentences."""

import itertools
import math
import random
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

PAD, UNK, CLS, SEP, MASK = range(5)  # as in clt-mini
NOISES = ("masking", "deletion", "infilling", "permutation", "rotation")  # BART's
Infill = Callable[[list[int], list[tuple[int, int]], int], list[int]]  # of a row, its spans, and the mask


class Vocabulary:
    """The most frequent pieces of a tokenizer, numbered anew: a small softmax is a cheap one. All others are [UNK].

    Args:
        tokenizer: a fast WordPiece tokenizer whose first five pieces are [PAD], [UNK], [CLS], [SEP] and [MASK].
        texts: where the pieces are counted.
        size: how many pieces are kept, with those five.
    """

    def __init__(self, tokenizer, texts: Sequence[str], size: int):
        counts = Counter(piece for row in _pieces(tokenizer, texts) for piece in row)
        kept = [piece for piece, _ in counts.most_common() if piece > MASK][: size - 5]
        self.tokenizer, self.pieces = tokenizer, [*range(5), *sorted(kept)]
        self.number = {piece: i for i, piece in enumerate(self.pieces)}
        self.counts = torch.tensor([counts[piece] for piece in self.pieces])
        self.counts[UNK] += sum(counts.values()) - int(self.counts.sum())

    def __len__(self) -> int:
        return len(self.pieces)

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The numbers of the pieces of each text, without [CLS] and [SEP] unless they are written in it."""
        return [[self.number.get(piece, UNK) for piece in row] for row in _pieces(self.tokenizer, texts)]

    def text(self, ids: Sequence[int]) -> str:
        """The text that these numbers stand for."""
        pieces = self.tokenizer.convert_ids_to_tokens([self.pieces[i] for i in ids if i not in (PAD, CLS, SEP)])
        return self.tokenizer.convert_tokens_to_string(pieces)


def _pieces(tokenizer, texts: Sequence[str]) -> list[list[int]]:
    return [row.ids for row in tokenizer.backend_tokenizer.encode_batch(list(texts), add_special_tokens=False)]


def padded(rows: Sequence[Sequence[int]]) -> Tensor:
    """Rows of ids as one ``(B, L)`` tensor, the shorter ones filled up with [PAD]."""
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[PAD] * (longest - len(row))] for row in rows])


class Corpus:
    """Documents as rows of one or two neighbouring sentences: the one text from which every objective draws.

    Args:
        documents: each a list of sentences in order.
        tokenizer: as for :class:`Vocabulary`.
        pieces: size of the vocabulary.
        most: pieces of a sentence; longer ones are cut.

    Attributes:
        rows: ``(first, second)`` sentences as ids, each once; ``second`` is empty where a document has no more.
        pairs: every two neighbours, so that most sentences are once the first and once the second.
        document: the number of the document of each pair.
        ids, starts: all pieces in one array and where each document starts, for counting what stands near what.
    """

    def __init__(self, documents: Sequence[Sequence[str]], tokenizer, *, pieces: int = 3000, most: int = 30):
        sentences = [sentence for document in documents for sentence in document]
        self.vocabulary = Vocabulary(tokenizer, sentences, pieces)
        self.most = most
        coded, self.rows, self.pairs = iter(self.vocabulary.ids(sentences)), [], []
        self.document: list[int] = []
        flat: list[int] = []
        lengths = [0]
        for number, document in enumerate(documents):
            cut = [next(coded)[:most] for _ in document]
            self.rows += [(first, second) for first, second in zip(cut[::2], [*cut[1::2], []], strict=False)]
            self.pairs += itertools.pairwise(cut)
            self.document += [number] * (len(cut) - 1)
            flat += [piece for sentence in cut for piece in sentence]
            lengths.append(len(flat))
        self.ids, self.starts = np.array(flat), np.array(lengths)

    def draw(self, n: int, generator: torch.Generator, *, two: bool = False) -> list[tuple[list[int], list[int]]]:
        """``n`` rows by chance; with ``two`` pairs."""
        rows = self.pairs if two else self.rows
        return [rows[i] for i in torch.randint(len(rows), (n,), generator=generator).tolist()]

    def steps(self, tokens: int, n: int, *, two: bool = False) -> int:
        """How many batches of ``n`` rows hold so many pieces."""
        rows = self.pairs if two else self.rows
        return tokens * len(rows) // (n * sum(len(first) + len(second) for first, second in rows))

    def batch(self, n: int, generator: torch.Generator) -> Tensor:
        """``n`` rows as ids, ``(n, L)``."""
        return padded([joined(*row) for row in self.draw(n, generator)])

    def two_sentences(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """First and second sentences, ``(n, L)`` each, and which pairs are swapped, ``(n,)``, about half of them."""
        wrong = torch.rand(n, generator=generator) < 0.5
        pairs = [pair[::-1] if bad else pair for pair, bad in zip(self.draw(n, generator, two=True), wrong.tolist(),
                                                                  strict=True)]  # fmt: skip
        first, second = (padded([joined(sentence) for sentence in side]) for side in zip(*pairs, strict=True))
        return first, second, wrong.float()

    def next_or_not(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """As :meth:`two_sentences`, but the second of a wrong pair comes from another document."""
        places, others = (torch.randint(len(self.pairs), (n,), generator=generator).tolist() for _ in range(2))
        wrong = torch.rand(n, generator=generator) < 0.5
        wrong &= torch.tensor([self.document[i] != self.document[j] for i, j in zip(places, others, strict=True)])
        first = padded([joined(self.pairs[i][0]) for i in places])
        chosen = [j if bad else i for i, j, bad in zip(places, others, wrong.tolist(), strict=True)]
        return first, padded([joined(self.pairs[i][1]) for i in chosen]), wrong.float()

    def harmed(self, n: int, noise: str, infill: Infill, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """``n`` rows as ids, ``(n, L)``, and what is left of them after a noise, ``(n, M)``.

        Args:
            noise: one of ``NOISES``; see :func:`noises`. Permutation puts the two sentences of a row in either order.
            infill: as for :func:`noises`.
        """
        rows, read = self.draw(n, generator), []
        rng = random.Random(int(torch.randint(2**31, (), generator=generator)))
        for row in rows:
            if noise == "permutation":
                read.append(joined(*(row[::-1] if row[1] and rng.random() < 0.5 else row)))
            else:
                left = noises(joined(*row)[1:-1], infill, rng, MASK)[noise]
                read.append(joined(left[: 2 * self.most]))
        return padded([joined(*row) for row in rows]), padded(read)


def joined(first: Sequence[int], second: Sequence[int] = ()) -> list[int]:
    """One sentence or two as a row: [CLS] first [SEP] second [SEP]."""
    return [CLS, *first, SEP, *second, SEP] if second else [CLS, *first, SEP]


def poisson_spans(length: int, rng: random.Random, *, share: float = 0.3, mean: float = 3.0) -> list[tuple[int, int]]:
    """Spans, start and length, that hide about ``share`` of a row: BART's, but apart from one another.

    Lengths are drawn from a Poisson distribution until their sum reaches the share, rounded up; the last one is cut to
    what is left. Between two spans at least one piece stays.
    """
    left, sizes = math.ceil(share * length), []
    while left > 0 and sum(sizes) + len(sizes) < length:
        size, below = 0, rng.random()
        while (below := below - math.exp(-mean) * mean**size / math.factorial(size)) > 0:
            size += 1
        sizes.append(min(size, left))
        left -= sizes[-1]
    room = length - sum(sizes) - max(0, len(sizes) - 1)  # pieces that stay, one less between any two spans
    if room < 0:
        return poisson_spans(length, rng, share=share, mean=mean)
    gaps, start, spans = sorted(rng.randint(0, room) for _ in sizes), 0, []
    for i, (gap, size) in enumerate(zip(gaps, sizes, strict=True)):
        spans.append((start + gap + i, size))
        start += size
    return spans


def noises(row: Sequence, infill: Infill, rng: random.Random, mask: object) -> dict[str, list]:
    """What is left of a row of pieces or words under each of BART's noises; masking and deletion hide 30 % of them.

    Args:
        row: one entry or more.
        infill: puts one mask in the place of each span, given a row of numbers, spans as (start, length), and the mask.
        rng: what is drawn from.
        mask: what stands for what is hidden.
    """
    row, n = list(row), len(row)
    hidden, place = set(rng.sample(range(n), round(0.3 * n))), rng.randrange(1, n) if n > 1 else 0
    kept = infill(list(range(n)), poisson_spans(n, rng), -1)
    return {
        "masking": [mask if i in hidden else entry for i, entry in enumerate(row)],
        "deletion": [entry for i, entry in enumerate(row) if i not in hidden],
        "infilling": [mask if i < 0 else row[i] for i in kept],
        "shuffling words": rng.sample(row, n),
        "rotation": row[place:] + row[:place],
    }


def damaged(texts: Sequence[str], infill: Infill, *, seed: int = 0) -> dict[str, list[str]]:
    """The texts under each of the :func:`noises`, word by word.

    Args:
        texts: of one sentence or more.
        infill: as for :func:`noises`.
        seed: of what is drawn.
    """
    rng, found = random.Random(seed), {}
    for text in texts:
        for noise, row in noises(text.split(), infill, rng, "[MASK]").items():
            found.setdefault(noise, []).append(" ".join(row))
    return found
