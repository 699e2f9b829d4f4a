"""Was a gain luck of the test texts? Intervals over texts, beside those over seeds."""

import math
from collections.abc import Sequence

from clt.results.records import Record, difference


def packed(right: Sequence[bool]) -> list[float]:
    """Which test texts were right, fifty to a number, so that a record stays small; the last number is filled up."""
    import numpy as np

    right = np.asarray(right, dtype=np.float64)
    groups = np.pad(right, (0, -len(right) % 50)).reshape(-1, 50)
    return (groups @ 2.0 ** np.arange(50)).tolist()


def unpacked(packed: Sequence[Sequence[float]], texts: int | None = None):
    """For each seed and test text 1 if it was right and else 0, from what :func:`packed` made."""
    import numpy as np

    groups = np.asarray(packed, dtype=np.float64)[..., None]
    return (groups // 2.0 ** np.arange(50) % 2).reshape(len(packed), -1)[:, :texts]


def over_texts(record: Record, a: str, b: str, *, found: float = 1.5) -> dict[str, str | int]:
    """How far variant ``a`` is above ``b`` in accuracy, in points: over seeds and over test texts, as a table's row.

    For each test text the share of seeds that had it right under ``a``, minus that under ``b``, is one gain. The
    interval over texts is 1.96 standard errors of their mean, and a gain of ``found`` points is noticed in 80 of 100
    test sets of ``n = (2.8 σ / found)²`` texts, by a two-sided test at 5 %.

    Raises:
        KeyError: if the record has no ``accuracy`` or ``right`` of one of the variants.
    """
    gap = difference(record, f"{a}.accuracy", f"{b}.accuracy")
    right = unpacked(record[f"{a}.right"])[0].sum()
    texts = round(100 * right / record[f"{a}.accuracy"][0])  # of how many this is the accuracy
    one, two = (unpacked(record[f"{variant}.right"], texts).mean(0) for variant in (a, b))
    deviation = 100 * float((one - two).std(ddof=1))
    half = 1.96 * deviation / math.sqrt(texts)
    low, high = gap.mean - half, gap.mean + half
    return {
        "gain": f"{gap.mean:+.1f}", "over seeds": f"{gap.low:+.1f} to {gap.high:+.1f}",
        "over texts": f"{low:+.1f} to {high:+.1f}", "texts": texts,
        "needed": math.ceil((2.8 * deviation / found) ** 2),
    }  # fmt: skip
