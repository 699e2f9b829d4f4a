"""What this machine measured: written down by the notebook that runs, read by the cells that draw and compare."""

import json
import math
import os
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

from clt.results.files import write_json


def folder() -> Path:
    """Where measured numbers are kept: ``CLT_RESULTS`` if set, else ``build/results`` of the checkout.

    If there is no checkout, or it may not be written to, then ``build/results`` of the current folder.
    """
    if chosen := os.environ.get("CLT_RESULTS"):
        return Path(chosen)
    checkout = Path(__file__).resolve().parents[2]
    root = checkout if (checkout / "notebooks").is_dir() and os.access(checkout, os.W_OK) else Path.cwd()
    return root / "build" / "results"


def measured(lesson: str, key: str, values: float | Sequence, **setting: object) -> None:
    """Write down a number that was just measured, under ``lesson`` and ``key``, with the settings it was measured at.

    Args:
        lesson: the notebook's stem; one JSON file per lesson.
        key: dotted name, for example ``"dropout only.STS-B"``.
        values: one number, or one per seed; or one curve (a list of numbers) per seed, all of one length.
        setting: what a reader has to know to repeat it (seeds, steps, margin …); must be JSON.

    Measuring a key again replaces it. The file is replaced whole, so a killed run leaves the old one intact.

    Raises:
        ValueError: if a value is not finite, or curves differ in length.
        OSError: if the file cannot be written; it says how to choose another place.
    """
    one = not isinstance(values, Iterable) or getattr(values, "ndim", None) == 0
    listed = [plain(v) for v in ([values] if one else values)]
    flat = [x for v in listed for x in (v if isinstance(v, list) else [v])]
    if not flat or not all(map(math.isfinite, flat)):
        raise ValueError(f"{lesson}: {key} should be one or more finite numbers, got {values!r}")
    found = read(lesson)
    found[key] = summary(listed) | {"setting": setting}
    path = folder() / f"{lesson}.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, found)
    except OSError as error:
        where = "set CLT_RESULTS to a folder that can be written"
        raise OSError(error.errno, f"{key} cannot be kept ({error.strerror}): {where}", str(path)) from error


def summary(values: list) -> dict:
    """Values, one per seed, with their mean and (from two on) standard deviation; of curves, point by point."""
    if isinstance(values[0], list):
        if len({len(curve) for curve in values}) > 1:
            raise ValueError(f"curves should have one length, got {[len(curve) for curve in values]}")
        points = [summary(list(point)) for point in zip(*values, strict=True)]
        return {"values": values} | {k: [p[k] for p in points] for k in ("mean", "sd") if all(k in p for p in points)}
    return {"values": values, "mean": statistics.fmean(values)} | (
        {"sd": statistics.stdev(values)} if len(values) > 1 else {}
    )


def read(lesson: str) -> dict:
    """What was measured here for a lesson: ``{key: {"mean", "sd", "values", "setting"}}``, empty if nothing was.

    Raises:
        ValueError: if the file is not one that :func:`measured` wrote.
    """
    path = folder() / f"{lesson}.json"
    try:
        return entries(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ValueError(f"{path.name} is not readable JSON ({error}); delete it and run the lesson again") from error


def entries(found: object) -> dict:
    """``found``, if it is ``{key: {"values", "mean", "setting"}}`` with finite numbers; else ``ValueError``."""
    if not isinstance(found, dict):
        raise ValueError(f"expected numbers by name, got a {type(found).__name__}")
    for key, entry in found.items():
        values = entry.get("values") if isinstance(entry, dict) else None
        flat = [x for v in values for x in (v if isinstance(v, list) else [v])] if isinstance(values, list) else []
        if not flat or not all(isinstance(x, int | float) and math.isfinite(x) for x in flat):
            raise ValueError(f"{key!r} has no finite numbers")
        if not isinstance(entry.get("setting"), dict) or "mean" not in entry:
            raise ValueError(f"{key!r} has no mean and setting")
    return found


def plain(value) -> float | list[float]:
    """A number, or a curve, as JSON has it; tensors and arrays of one number are numbers."""
    if isinstance(value, Sequence) or getattr(value, "ndim", 0):
        return [float(v) for v in value]
    return float(value)
