"""Numbers as text: printed in one way everywhere, with no more digits than were measured."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence


def number(value: float, *, digits: int = 3) -> str:
    """``value`` with at most ``digits`` significant digits, as plain text: 0.123, 45.7, 1230, 1.2e-05.

    Every number in the notebooks is printed through this: it shows what is meant and hides the last bits, which
    differ from one processor to the next.
    """
    value = float(value)
    if not math.isfinite(value):
        return str(value)
    short = float(f"{value:.{digits}g}")
    if abs(value) < 1e-6:
        return "0"  # float32's own noise: there is nothing to tell
    if short != 0 and (abs(short) < 1e-4 or abs(short) >= 1e6):
        return f"{short:.{digits - 1}e}"
    return f"{short:.10f}".rstrip("0").rstrip(".")


def spread(values: Iterable[float], *, digits: int = 3) -> str:
    """Mean and standard deviation over seeds, to the same decimal: ``0.941 ± 0.006 (n = 3)``.

    Raises:
        ValueError: if there are fewer than two values: one run has no spread.
    """
    values = [float(v) for v in values]
    if len(values) < 2:
        raise ValueError(f"a spread needs at least two runs, got {len(values)}")
    mean, deviation = statistics.fmean(values), statistics.stdev(values)
    size = max(abs(mean), deviation)
    if not 1e-4 <= size < 1e6:
        return f"{number(mean, digits=digits)} ± {number(deviation, digits=1)} (n = {len(values)})"
    decimals = max(0, digits - 1 - math.floor(math.log10(size)))
    return f"{mean:.{decimals}f} ± {deviation:.{decimals}f} (n = {len(values)})"


def table(rows: Sequence[Mapping[str, object]], *, digits: int = 3) -> None:
    """Print rows of equal keys as an aligned text table; floats through :func:`number`."""
    if not rows:
        raise ValueError("a table needs at least one row")
    text = [{k: number(v, digits=digits) if isinstance(v, float) else str(v) for k, v in row.items()} for row in rows]
    print("\n".join(aligned(text)))


def aligned(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """The lines of a text table: a header, a rule, the rows."""
    width = {k: max(len(k), *(len(row[k]) for row in rows)) for k in rows[0]}
    rule = {k: "-" * width[k] for k in width}
    return ["  ".join(row[k].ljust(width[k]) for k in width).rstrip() for row in ({k: k for k in width}, rule, *rows)]
