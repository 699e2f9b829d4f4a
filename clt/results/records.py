"""The record of a lesson: a long run made once, committed, and read by notebooks, slides, site and report.

``clt record`` writes it to ``clt/recorded/LESSON.json``: every number the run measured, and what made it. A lesson
asserts its claims on the record, where there are seeds enough, and holds what the reader's machine measures now
against it.
"""

import json
import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from clt.results.measured import entries, read
from clt.results.text import number, spread, table

RECORDED = Path(__file__).resolve().parents[1] / "recorded"


@dataclass(frozen=True)
class Record:
    """What ``clt record`` found for a lesson.

    Attributes:
        lesson: the notebook's stem.
        found: ``{key: {"values", "mean", "sd", "setting"}}``, as :func:`clt.results.read` gives it.
        made: what made it: parameters, versions, processor, threads, seconds, and the SHA-256 of the encoder, of the
            data sets and of the code cells that ran.
    """

    lesson: str
    found: Mapping[str, dict]
    made: Mapping[str, object] = field(default_factory=dict)

    def __getitem__(self, key: str) -> list:
        """The values under ``key``, one per seed: numbers or curves."""
        if key not in self.found:
            part = key.split(".")[0]
            near = [name for name in self.found if part in name] or list(self.found)
            raise KeyError(f"the record of {self.lesson} has no {key!r}; it has {', '.join(near[:12])}")
        return self.found[key]["values"]

    def __contains__(self, key: str) -> bool:
        return key in self.found

    def mean(self, key: str) -> float:
        """The mean over the seeds."""
        return statistics.fmean(self[key])

    def told(self, key: str) -> str:
        """``mean ± sd`` over the seeds as text; a number where no seed varies it, a dash where it was not measured."""
        return _short(self.found[key]["values"]).split(" (")[0] if key in self.found else "-"

    def group(self, measure: str, names: list[str] | None = None) -> dict[str, list]:
        """``{variant: values}`` for all variants that have ``measure``, or for ``names`` in their order."""
        end = f".{measure}"
        chosen = [key.removesuffix(end) for key in self.found if key.endswith(end)] if names is None else names
        return {name: self[f"{name}{end}"] for name in chosen}


def recorded(lesson: str) -> Record:
    """The record of a lesson.

    Raises:
        FileNotFoundError: if there is none, with the command that makes one.
        ValueError: if it cannot be read.
    """
    path = RECORDED / f"{lesson}.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Record(lesson, entries(content["found"]), dict(content["made"]))
    except FileNotFoundError as error:
        known = ", ".join(sorted(p.stem for p in RECORDED.glob("*.json"))) or "none yet"
        raise FileNotFoundError(
            f"there is no record of {lesson!r} (there are: {known}). Make it with: clt record {lesson}"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        said = f"no {error}" if isinstance(error, KeyError) else error
        raise ValueError(f"{path.name} is not a readable record ({said}); restore it with git") from error


@dataclass(frozen=True)
class Difference:
    """A paired difference over seeds: its mean, a 95 % interval, and how many seeds agree in sign with the mean."""

    mean: float
    low: float
    high: float
    agree: int
    seeds: int

    def __str__(self) -> str:
        if self.seeds == 1:
            return f"{self.mean:+.3g} (one seed)"
        low, high = number(self.low, digits=2), number(self.high, digits=2)
        return f"{self.mean:+.3g} [{low}, {high}], {self.agree} of {self.seeds} seeds"


def difference(record: Record, a: str, b: str, *, scale: float = 1.0) -> Difference:
    """``a`` minus ``b``, seed by seed; either may be a single value, such as the untrained encoder's.

    The interval is Student's, for the mean difference over the seeds.

    Raises:
        ValueError: if the two were measured with different seeds.
    """
    left, right = record[a], record[b]
    alone = 1 in (len(left), len(right))
    if alone:
        left, right = (values * max(len(left), len(right)) if len(values) == 1 else values for values in (left, right))
    seeds = [record.found[key]["setting"].get("seeds") for key in (a, b)]
    if len(left) != len(right) or (not alone and None not in seeds and seeds[0] != seeds[1]):
        raise ValueError(f"{a!r} and {b!r} were not measured with the same seeds: {seeds[0]} and {seeds[1]}")
    gaps = [scale * (x - y) for x, y in zip(left, right, strict=True)]
    mean = statistics.fmean(gaps)
    half = _quantile(0.975, len(gaps) - 1) * statistics.stdev(gaps) / math.sqrt(len(gaps)) if len(gaps) > 1 else 0.0
    agree = sum(gap * mean > 0 for gap in gaps)
    return Difference(mean, mean - half, mean + half, agree, len(gaps))


def assert_above(record: Record, a: str, b: str, *, by: float = 0.0, scale: float = 1.0) -> Difference:
    """Claim that ``a`` is above ``b`` by more than ``by``, paired over the record's seeds.

    Args:
        record: from :func:`recorded`.
        a, b: keys of the record, for example ``"dropout only.STS-B"`` and ``"untrained.STS-B"``.
        by: the whole 95 % interval of the mean difference has to lie above this.
        scale: multiplies the difference first, so that ``by`` can be in points of Spearman × 100.

    Returns:
        The difference, to be printed.

    Raises:
        AssertionError: if the interval does not lie above ``by``; it says where it lies.
        ValueError: if there are fewer than three seeds: that is no basis for a claim.
    """
    gap = difference(record, a, b, scale=scale)
    if gap.seeds < 3:
        raise ValueError(f"a claim needs at least three seeds, {a!r} has {gap.seeds}")
    assert gap.low > by, f"{a} is not above {b} by {by:g}: {gap}"
    return gap


def assert_live(lesson: str, *, show: bool = True, granted: Mapping[str, float] | None = None) -> None:
    """Claim that what was measured here lies within what the record's seeds span, and show both.

    A number counts when the record has the same key at the same settings (seeds apart). It has to lie within the
    record's 99.9 % prediction interval for one more seed: a run that does not is not explained by chance.

    Args:
        lesson: the notebook's stem.
        show: whether to print the numbers.
        granted: by how much another processor may move a measure that no seed varies, ``{end of its key: amount}``.
            For shares of few texts: if one of 120 falls the other way, that is 0.8 points.

    Raises:
        AssertionError: if a number lies outside.
        ValueError: if nothing measured here was measured in the record at the same settings.
    """
    record, rows, outside = recorded(lesson), [], []
    for key, entry in read(lesson).items():
        there = record.found.get(key)
        curves = any(isinstance(found["values"][0], list) for found in (entry, there or entry))
        if there is None or curves or _unseeded(entry) != _unseeded(there):
            continue
        values, n = there["values"], len(there["values"])
        spread_ = statistics.stdev(values) if n > 1 else 0.0
        # Another processor rounds otherwise: half a per cent of the value is granted where nothing varies by seed.
        half = max(
            _quantile(0.9995, n - 1) * spread_ * math.sqrt(1 + 1 / n) if n > 1 else 0.0, 0.005 * abs(there["mean"]),
            *(amount for end, amount in (granted or {}).items() if key.endswith(end)),
        )  # fmt: skip
        wrong = [value for value in entry["values"] if abs(value - there["mean"]) > half]
        outside += [f"{key}: {number(value)} here, {_short(values)} in the record" for value in wrong]
        rows.append({"": key, "record": _short(values), "here": _short(entry["values"])})
    if not rows:
        raise ValueError(f"{lesson}: nothing measured here was measured in the record at the same settings")
    if show:
        table(rows)
    assert not outside, "; ".join(outside)


def _unseeded(entry: Mapping) -> dict:
    return {name: value for name, value in entry["setting"].items() if name != "seeds"}


def _short(values: list[float]) -> str:
    return spread(values) if len(values) > 1 else number(values[0])


def _quantile(p: float, freedom: int) -> float:
    """Student's t."""
    from scipy.stats import t

    return float(t.ppf(p, freedom))
