"""What a notebook found: numbers printed in one way, and written down as JSON for slides and report."""

import json
import math
import os
import statistics
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path


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
    """Mean and standard deviation over seeds, as text: ``0.941 ± 0.006 (n = 3)``.

    Raises:
        ValueError: if there are fewer than two values: one run has no spread.
    """
    values = [float(v) for v in values]
    if len(values) < 2:
        raise ValueError(f"a spread needs at least two runs, got {len(values)}")
    mean, deviation = statistics.fmean(values), statistics.stdev(values)
    return f"{number(mean, digits=digits)} ± {number(deviation, digits=1)} (n = {len(values)})"


def table(rows: Sequence[Mapping[str, object]], *, digits: int = 3) -> None:
    """Print rows of equal keys as an aligned text table; floats through :func:`number`."""
    if not rows:
        raise ValueError("a table needs at least one row")
    text = [{k: number(v, digits=digits) if isinstance(v, float) else str(v) for k, v in row.items()} for row in rows]
    width = {k: max(len(k), *(len(row[k]) for row in text)) for k in text[0]}
    print("  ".join(k.ljust(width[k]) for k in width).rstrip())
    print("  ".join("-" * width[k] for k in width))
    for row in text:
        print("  ".join(row[k].ljust(width[k]) for k in width).rstrip())


def folder() -> Path:
    """Where results are kept: ``CLT_RESULTS`` if set, else ``build/results`` of the checkout or the current folder."""
    if chosen := os.environ.get("CLT_RESULTS"):
        return Path(chosen)
    checkout = Path(__file__).resolve().parent.parent
    root = checkout if (checkout / "notebooks").is_dir() else Path.cwd()
    return root / "build" / "results"


def record(lesson: str, key: str, values: float | Sequence[float], **setting: object) -> None:
    """Write down a measured number under ``lesson`` and ``key``, with the settings it was measured at.

    Args:
        lesson: the notebook's stem; one JSON file per lesson.
        key: dotted name, for example ``"probe.semi_hard"``.
        values: one number, or one per seed.
        setting: what a reader has to know to repeat it (seeds, steps, margin …); must be JSON.

    Recording a key again replaces it. The file is replaced whole, so a killed run leaves the old one intact.

    Raises:
        ValueError: if a value is not finite: a number that was not measured is not recorded.
    """
    listed = [float(v) for v in values] if isinstance(values, Iterable) else [float(values)]
    if not listed or not all(map(math.isfinite, listed)):
        raise ValueError(f"{lesson}: {key} should be one or more finite numbers, got {values!r}")
    entry = {"mean": statistics.fmean(listed), "values": listed, "setting": setting}
    if len(listed) > 1:
        entry["sd"] = statistics.stdev(listed)
    found = read(lesson)
    found[key] = entry
    path = folder() / f"{lesson}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, scratch = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    with os.fdopen(handle, "w", encoding="utf-8") as f:
        json.dump(found, f, indent=1, sort_keys=True, ensure_ascii=False)
    os.replace(scratch, path)


def read(lesson: str) -> dict:
    """What was recorded for a lesson: ``{key: {"mean", "sd", "values", "setting"}}``, empty if nothing was."""
    path = folder() / f"{lesson}.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except json.JSONDecodeError as error:
        raise ValueError(f"{path.name} is not readable JSON ({error}); delete it and run the lesson again") from error
