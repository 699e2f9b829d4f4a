"""What a notebook found: numbers printed in one way, and written down as JSON for slides and report."""

import json
import math
import os
import statistics
import tempfile
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

PUBLISHED = Path(__file__).parent / "published"
_TEXTS = ("table", "title", "source", "measure", "ours", "differences")


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
    print("\n".join(aligned(text)))


def aligned(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """The lines of a text table: a header, a rule, the rows."""
    width = {k: max(len(k), *(len(row[k]) for row in rows)) for k in rows[0]}
    rule = {k: "-" * width[k] for k in width}
    return ["  ".join(row[k].ljust(width[k]) for k in width).rstrip() for row in ({k: k for k in width}, rule, *rows)]


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


def published(lesson: str) -> list[dict]:
    """The published tables that a lesson measures again, from ``clt/published/LESSON.yaml``.

    Returns:
        A list of tables, each a dictionary: ``table`` (its key), ``title``, ``source`` (paper and table), ``measure``
        (what the paper measured), ``ours`` (what the lesson measured), ``differences`` (in setting), ``scale`` (from
        our recorded number to the paper's unit, 1 unless given), and ``rows``, each ``{"name", "paper", "key"}``: the
        paper's number, and the key of ours in :func:`record`. Either is None where there is none.

    Raises:
        ValueError: if the lesson has no published table, or its file is not of this form.
    """
    import yaml  # late: most who print a number publish none

    known = sorted(path.stem for path in PUBLISHED.glob("*.yaml"))
    if lesson not in known:
        raise ValueError(f"no published tables for {lesson!r}; there are for {', '.join(known) or 'no lesson yet'}")
    name = f"published/{lesson}.yaml"
    try:
        entries = yaml.safe_load((PUBLISHED / f"{lesson}.yaml").read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{name} is not readable YAML: {' '.join(str(error).split())}") from error
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError(f"{name} should be a list of tables")
    for entry in entries:
        where = f"{name}, table {entry.get('table')!r}"
        if entry.keys() - {"scale"} != {*_TEXTS, "rows"}:
            raise ValueError(f"{where} should have {', '.join(_TEXTS)}, rows and perhaps scale, got {', '.join(entry)}")
        if wrong := [field for field in _TEXTS if not isinstance(entry[field], str)]:
            raise ValueError(f"{where}: {wrong[0]} should be text, got {entry[wrong[0]]!r}")
        if not isinstance(entry.setdefault("scale", 1), int | float):
            raise ValueError(f"{where}: scale should be a number, got {entry['scale']!r}")
        for row in entry["rows"] if isinstance(entry["rows"], list) and entry["rows"] else [entry["rows"]]:
            if not isinstance(row, dict) or row.keys() != {"name", "paper", "key"}:
                raise ValueError(f"{where}: a row should have name, paper and key, got {row!r}")
    if len({entry["table"] for entry in entries}) < len(entries):
        raise ValueError(f"{name} has two tables of one key")
    return entries


def compare(entry: Mapping, recorded: Mapping) -> list[dict[str, str]]:
    """The rows of a published table as text: the paper's number as printed there, ours with its spread over seeds.

    ``recorded`` is what :func:`read` returns; a number that is missing there is called "not measured".
    """
    decimals = max(len(str(row["paper"]).partition(".")[2]) * isinstance(row["paper"], float) for row in entry["rows"])
    rows = []
    for row in entry["rows"]:
        paper = "-" if row["paper"] is None else str(row["paper"])
        if isinstance(row["paper"], float):
            paper = f"{row['paper']:.{decimals}f}"  # YAML reads 68.40 as 68.4
        ours = "-"
        if row["key"] is not None:
            values = [entry["scale"] * value for value in recorded.get(row["key"], {"values": []})["values"]]
            ours = spread(values) if len(values) > 1 else number(values[0]) if values else "not measured"
        rows.append({"": str(row["name"]), "paper": paper, "ours": ours})
    return rows


def beside_paper(lesson: str, key: str) -> None:
    """Print the published table ``key`` beside what this lesson recorded, with what differs in setting below it.

    Raises:
        ValueError: if the lesson has no such published table, or a number in it was not recorded.
    """
    entries = {entry["table"]: entry for entry in published(lesson)}
    if key not in entries:
        raise ValueError(f"{lesson} has no published table {key!r}; it has {', '.join(map(repr, entries))}")
    entry, recorded = entries[key], read(lesson)
    if missing := [row["key"] for row in entry["rows"] if row["key"] is not None and row["key"] not in recorded]:
        raise ValueError(
            f"{lesson} has not recorded {', '.join(map(repr, missing))}; "
            f"recorded are {', '.join(map(repr, recorded)) or 'none'}"
        )
    print(entry["title"].strip(), end="\n\n")
    table(compare(entry, recorded))
    print()
    for line in notes(entry):
        print(textwrap.fill(line, 100, subsequent_indent="  ", break_on_hyphens=False))


def notes(entry: Mapping) -> list[str]:
    """What a reader has to know to compare the two columns of a published table."""
    return [
        f"paper: {entry['source'].strip().rstrip('.')}. {entry['measure'].strip()}",
        f"ours: {entry['ours'].strip()}",
        f"differs: {entry['differences'].strip()}",
    ]
