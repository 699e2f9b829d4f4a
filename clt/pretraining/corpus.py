"""From text to pieces and first embeddings: what :mod:`clt.pretraining` does before it trains.

Text becomes a WordPiece vocabulary and one long array of pieces. Counting which pieces stand near each other gives
an embedding table before any gradient: PPMI, then an SVD.
"""

import gzip
import json
import re
import tempfile
from array import array
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import click
import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from torch import Tensor
from transformers import BertTokenizerFast

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]  # their ids are their places: 0 to 4
PAD, UNK, CLS, SEP, MASK = range(5)
RUN, LONG_RUN = 64, 128  # pieces in a run of sentences; every fifth paragraph may fill all positions
SENTENCE_END = re.compile(r"(?<=[.!?])[\"'”’)]?\s+")


def read_texts(source: str, limit: int | None = None) -> Iterator[str]:
    """Yield the paragraphs of ``source``: a ``.txt`` or ``.jsonl`` file (``.gz`` too), or ``"wikipedia"`` from the hub.

    A line of text is a paragraph; a JSON line has ``paragraphs`` or ``sentences`` (lists) or ``text``.
    ``limit`` is the number of lines or articles read.
    """
    if source == "wikipedia":
        from datasets import load_dataset  # only here: it takes seconds to import

        articles = load_dataset("wikimedia/wikipedia", "20231101.en", split="train", streaming=True)
        for article in islice(articles, limit):
            yield from article["text"].split("\n")
        return
    name = source.removesuffix(".gz")
    with (gzip.open if source != name else open)(source, "rt", encoding="utf-8-sig") as lines:
        for number, line in enumerate(islice(lines, limit), 1):
            if not name.endswith(".jsonl"):
                yield line
                continue
            try:
                row = json.loads(line)
                found = next(row[key] for key in ("paragraphs", "sentences", "text") if key in row)
            except (ValueError, TypeError, StopIteration):
                raise click.ClickException(
                    f"{source}, line {number}: expected a JSON object with 'paragraphs', 'sentences' or 'text', "
                    f"got {line[:60].strip()!r}"
                ) from None
            yield from [found] if isinstance(found, str) else found


def train_tokenizer(texts: Iterable[str], vocabulary_size: int) -> BertTokenizerFast:
    """Learn a lower-cased WordPiece vocabulary, BERT's kind of tokenizer.

    The trainer breaks ties in no fixed order, so two trainings may differ in a few pieces and in their numbers.
    """
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocabulary_size, special_tokens=SPECIAL, limit_alphabet=200, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    pieces = tokenizer.get_vocab()
    with tempfile.TemporaryDirectory() as folder:  # a file of pieces is what transformers 4 and 5 both read
        lines = (f"{piece}\n" for piece in sorted(pieces, key=pieces.get))
        Path(folder, "vocab.txt").write_text("".join(lines), encoding="utf-8")
        return BertTokenizerFast.from_pretrained(folder, do_lower_case=True, model_max_length=LONG_RUN)


def pack(sentences: list[list[int]], longest: int) -> Iterator[list[int]]:
    """Join sentences in order while they fit into ``longest`` pieces with [CLS] and [SEP]; cut one that never fits."""
    run: list[int] = []
    for sentence in sentences:
        if run and len(run) + len(sentence) > longest - 2:
            yield [CLS, *run, SEP]
            run = []
        run = run + sentence[: longest - 2]
    if run:
        yield [CLS, *run, SEP]


def encode(texts: Iterable[str], tokenizer: BertTokenizerFast) -> tuple[np.ndarray, np.ndarray]:
    """Turn paragraphs into runs of sentences: all pieces in one ``(T,)`` uint16 array, and where each run starts.

    ``starts`` is ``(R + 1,)``: run ``r`` is ``pieces[starts[r]:starts[r + 1]]``.
    """
    pieces, starts, paragraphs, texts = array("H"), [0], 0, iter(texts)
    while chunk := list(islice(texts, 5000)):
        split = [[sentence for sentence in SENTENCE_END.split(text.strip()) if sentence] for text in chunk]
        flat = [sentence for sentences in split for sentence in sentences]
        encoded = iter(tokenizer.backend_tokenizer.encode_batch(flat, add_special_tokens=False))
        for sentences in split:
            paragraphs += 1
            for run in pack([next(encoded).ids for _ in sentences], LONG_RUN if paragraphs % 5 == 0 else RUN):
                if len(run) > 5:  # three pieces or fewer teach nothing
                    pieces.extend(run)
                    starts.append(len(pieces))
    return np.array(pieces, np.uint16), np.array(starts)


def cooccurrences(pieces: np.ndarray, starts: np.ndarray, size: int, window: int = 5) -> np.ndarray:
    """Count how often two pieces stand within ``window`` places of each other in a run: ``(size, size)``, symmetric."""
    counts = np.zeros(size * size, np.float32)
    run = np.repeat(np.arange(len(starts) - 1, dtype=np.int32), np.diff(starts))
    for begin in range(0, len(pieces), 1 << 22):  # in stretches, to spare memory; a few pairs at the seams are lost
        ids, same = pieces[begin : begin + (1 << 22)].astype(np.int64), run[begin : begin + (1 << 22)]
        for distance in range(1, window + 1):
            near = same[distance:] == same[:-distance]
            np.add.at(counts, ids[:-distance][near] * size + ids[distance:][near], 1.0)
    counts = counts.reshape(size, size)
    counts += counts.T.copy()
    for special in (PAD, CLS, SEP, MASK):  # they mark places, not words
        counts[special] = counts[:, special] = 0
    return counts


def log_frequencies(pieces: np.ndarray, size: int) -> Tensor:
    """``(size,)``: how likely a piece is before its context is seen, where the model's output bias starts.

    A gradient would take thousands of steps to move it there. Every count is one higher, and the pieces that are
    never predicted keep that one.
    """
    counts = np.bincount(pieces, minlength=size) + 1.0
    counts[[PAD, CLS, SEP, MASK]] = 1.0
    return torch.from_numpy(np.log(counts / counts.sum())).float()


def ppmi(counts: np.ndarray, smoothing: float = 0.75) -> np.ndarray:
    r"""Positive pointwise mutual information of pieces and contexts, the contexts' frequencies flattened.

    .. math:: M_{wc} = \Big[\log \frac{P(w, c)}{P(w)\, P_\alpha(c)}\Big]_+, \qquad
              P_\alpha(c) = \frac{\#(c)^\alpha}{\sum_{c'} \#(c')^\alpha}

    Source: Levy, Goldberg and Dagan (2015), with their α = 0.75: without it, rare contexts look too telling.
    """
    total = float(counts.sum(dtype=np.float64))
    word = counts.sum(1, dtype=np.float64) / total
    context = counts.sum(0, dtype=np.float64) ** smoothing
    context /= context.sum()
    with np.errstate(divide="ignore", invalid="ignore"):  # a pair never seen: log 0, cut to 0 below
        information = np.log(counts / total) - np.log(word)[:, None].astype(np.float32)
        information -= np.log(context).astype(np.float32)
    information[~(information > 0)] = 0
    return information


def svd_embeddings(information: np.ndarray, width: int, std: float = 0.04) -> Tensor:
    r"""Factor the matrix, ``M ≈ U S Vᵀ``, and take ``U √S`` as ``(size, width)`` embeddings, scaled to ``std``.

    Pieces never seen, [MASK] among them, get normal noise of that size.
    """
    left, values, _ = torch.svd_lowrank(torch.from_numpy(information), q=width + 32, niter=4)
    vectors = (left * values.sqrt())[:, :width]
    seen = vectors.norm(dim=1) > 1e-6
    vectors = vectors * (std / vectors[seen].std())
    return torch.where(seen[:, None], vectors, torch.randn_like(vectors) * std)
