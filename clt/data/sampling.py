"""Batches of rows, drawn with a generator: what :func:`clt.training.train` calls ``sample``."""

from collections.abc import Callable, Sequence

import torch


def batches(*columns: Sequence, size: int) -> Callable[[torch.Generator], list[list]]:
    """Draw ``size`` different rows at a time: ``sample(generator)`` is a list with the chosen rows of each column.

    Args:
        columns: sequences of one length: sentences, labels, the parts of triplets.
        size: rows in a batch.

    Raises:
        ValueError: if the columns differ in length, or have fewer than ``size`` rows.
    """
    lengths = {len(column) for column in columns}
    if len(lengths) != 1 or not 1 <= size <= len(columns[0]):
        raise ValueError(f"expected columns of one length, of at least {size} rows; got lengths {sorted(lengths)}")

    def sample(generator: torch.Generator) -> list[list]:
        chosen = torch.randperm(len(columns[0]), generator=generator)[:size].tolist()
        return [[column[i] for i in chosen] for column in columns]

    return sample


def batches_alike(sentences: Sequence[str], *, size: int) -> Callable[[torch.Generator], list[str]]:
    """Draw ``size`` sentences of about one length at a time: little is spent on padding, and length gives nothing away.

    Sentences are sorted by their number of words, ties in their given order; a batch is a stretch that starts anywhere.

    Raises:
        ValueError: if there are fewer than ``size`` sentences.
    """
    if not 1 <= size <= len(sentences):
        raise ValueError(f"expected at least {size} sentences, got {len(sentences)}")
    ordered = sorted(sentences, key=lambda sentence: len(sentence.split()))

    def sample(generator: torch.Generator) -> list[str]:
        start = int(torch.randint(len(ordered) - size + 1, (1,), generator=generator))
        return ordered[start : start + size]

    return sample
