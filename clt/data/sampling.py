"""Batches of rows, drawn with a generator: what :func:`clt.training.train` calls ``sample``."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def batches(*columns: Sequence, size: int) -> Callable[["torch.Generator"], list[list]]:
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

    def sample(generator: "torch.Generator") -> list[list]:
        import torch  # late: whoever only loads texts need not wait for it

        chosen = torch.randperm(len(columns[0]), generator=generator)[:size].tolist()
        return [[column[i] for i in chosen] for column in columns]

    return sample


def batches_of_two(
    *columns: Sequence[str], size: int, hub: int | None = None
) -> Callable[["torch.Generator"], list[list[str]]]:
    """Draw ``size`` different rows of two columns at a time: sentences, and their translations.

    Args:
        columns: two or more sequences of one length, such as the languages of a text.
        size: rows in a batch.
        hub: the number of a column that is in every batch; left out, any two columns are drawn.

    Returns:
        ``sample(generator)``: two lists, of two different columns; with a hub, the first is its.

    Raises:
        ValueError: if there are fewer than two columns, they differ in length or have fewer than ``size`` rows, or
            there is no column ``hub``.
    """
    rows = batches(*columns, size=size)
    if len(columns) < 2 or hub not in (None, *range(len(columns))):
        raise ValueError(f"expected two columns or more, and the number of one of them as the hub, got {hub}")
    others = [i for i in range(len(columns)) if i != hub]

    def sample(generator: "torch.Generator") -> list[list[str]]:
        import torch  # late: whoever only loads texts need not wait for it

        drawn = [others[i] for i in torch.randperm(len(others), generator=generator)[:2].tolist()]
        chosen = rows(generator)
        return [chosen[i] for i in (drawn if hub is None else [hub, drawn[0]])]

    return sample


def batches_alike(sentences: Sequence[str], *, size: int) -> Callable[["torch.Generator"], list[str]]:
    """Draw ``size`` sentences of about one length at a time: little is spent on padding, and length gives nothing away.

    Sentences are sorted by their number of words, ties in their given order; a batch is a stretch that starts anywhere.

    Raises:
        ValueError: if there are fewer than ``size`` sentences.
    """
    if not 1 <= size <= len(sentences):
        raise ValueError(f"expected at least {size} sentences, got {len(sentences)}")
    ordered = sorted(sentences, key=lambda sentence: len(sentence.split()))

    def sample(generator: "torch.Generator") -> list[str]:
        import torch  # late: whoever only loads texts need not wait for it

        start = int(torch.randint(len(ordered) - size + 1, (1,), generator=generator))
        return ordered[start : start + size]

    return sample


def batches_in_order(
    texts: Sequence[Sequence[str]], *, size: int
) -> Callable[["torch.Generator"], tuple[list[str], "torch.Tensor"]]:
    """Draw ``size`` different texts at a time, each whole and in its order: batches whose context is intact.

    Args:
        texts: each a sequence of sentences.
        size: texts in a batch.

    Returns:
        ``sample(generator)``: the sentences of the chosen texts, text after text, and for each the number of its text
        in the batch, ``(N,)``.

    Raises:
        ValueError: if there are fewer than ``size`` texts, or one of them has no sentence.
    """
    if not 1 <= size <= len(texts) or not all(texts):
        raise ValueError(f"expected at least {size} texts, none of them empty; got {len(texts)}")

    def sample(generator: "torch.Generator") -> tuple[list[str], "torch.Tensor"]:
        import torch  # late: whoever only loads texts need not wait for it

        chosen = [texts[i] for i in torch.randperm(len(texts), generator=generator)[:size].tolist()]
        lengths = torch.tensor([len(text) for text in chosen])
        return [sentence for text in chosen for sentence in text], torch.arange(size).repeat_interleave(lengths)

    return sample


def batches_by_label(
    labels: Sequence, *, classes: int, per_class: int
) -> Callable[["torch.Generator"], "torch.Tensor"]:
    """Draw ``per_class`` rows of each of ``classes`` labels at a time, so that every anchor finds its positives.

    Args:
        labels: one label a row, of any kind that can be sorted.
        classes: different labels in a batch, drawn anew each time.
        per_class: different rows of each; a label with fewer rows gives all it has.

    Returns:
        ``sample(generator)``: the numbers of the chosen rows, label by label.

    Raises:
        ValueError: if there are fewer than ``classes`` labels, or a number is not positive.

    Source: Hermans, Beyer and Leibe (2017), section 2: batches of P classes with K examples each.
    """
    rows: dict[object, list[int]] = {}
    for row, label in enumerate(labels):
        rows.setdefault(label, []).append(row)
    if not 1 <= classes <= len(rows) or per_class < 1:
        raise ValueError(
            f"expected 1 to {len(rows)} classes, the labels there are, and a positive number of rows of each; "
            f"got {classes} and {per_class}"
        )
    import torch  # late: whoever only loads texts need not wait for it

    groups = [torch.tensor(rows[label]) for label in sorted(rows)]

    def sample(generator: "torch.Generator") -> "torch.Tensor":
        chosen = [groups[i] for i in torch.randperm(len(groups), generator=generator)[:classes]]
        return torch.cat([group[torch.randperm(len(group), generator=generator)[:per_class]] for group in chosen])

    return sample
