"""The papers' tables, from ``clt/published``, beside the record and this run."""

import os
import textwrap
from collections.abc import Mapping
from pathlib import Path

from clt.results.measured import read
from clt.results.records import recorded
from clt.results.text import number, spread, table

PUBLISHED = Path(__file__).resolve().parents[1] / "published"
_TEXTS = ("table", "title", "source", "measure", "ours", "differences")


def published(lesson: str) -> list[dict]:
    """The published tables that a lesson measures again, from ``clt/published/LESSON.yaml``.

    Returns:
        A list of tables, each a dictionary: ``table`` (its key), ``title``, ``source`` (paper and table), ``measure``
        (what the paper measured), ``ours`` (what the lesson measured), ``differences`` (in setting), ``scale`` (from
        our measured number to the paper's unit, 1 unless given), and ``rows``, each ``{"name", "paper", "key"}``: the
        paper's number, and the key of ours in the record. Either is None where there is none.

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
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
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


def compare(entry: Mapping, record: Mapping, here: Mapping | None = None) -> list[dict[str, str]]:
    """The rows of a published table as text: the paper's number as printed there, the record's with its spread.

    Args:
        entry: one of :func:`published`.
        record: what the record found, ``{key: {"values", …}}``; a number that is missing is called "not measured".
        here: what :func:`clt.results.read` found on this machine, for a column of its own; a row that was not measured
            here is left empty there.
    """
    decimals = max(len(str(row["paper"]).partition(".")[2]) * isinstance(row["paper"], float) for row in entry["rows"])
    rows = []
    for row in entry["rows"]:
        paper = "-" if row["paper"] is None else str(row["paper"])
        if isinstance(row["paper"], float):
            paper = f"{row['paper']:.{decimals}f}"  # YAML reads 68.40 as 68.4
        text = {"": str(row["name"]), "paper": paper}
        text["record"] = "-" if row["key"] is None else _ours(entry, record, row["key"], "not measured")
        if here is not None:
            text["here"] = "" if row["key"] is None else _ours(entry, here, row["key"], "")
        rows.append(text)
    return rows


def _ours(entry: Mapping, found: Mapping, key: str, missing: str) -> str:
    values = [entry["scale"] * value for value in found.get(key, {"values": []})["values"]]
    return spread(values) if len(values) > 1 else number(values[0]) if values else missing


def beside_paper(lesson: str, key: str) -> None:
    """Print the published table ``key`` beside the record of this lesson and what was measured here.

    What differs in setting stands below it.

    Raises:
        ValueError: if the lesson has no such published table, or a number in it is not in the record.
    """
    entries = {entry["table"]: entry for entry in published(lesson)}
    if key not in entries:
        raise ValueError(f"{lesson} has no published table {key!r}; it has {', '.join(map(repr, entries))}")
    # While a record is being made there is none to show: what was measured so far stands in for it.
    entry, found = entries[key], read(lesson) if os.environ.get("CLT_RECORD") else recorded(lesson).found
    if missing := [row["key"] for row in entry["rows"] if row["key"] is not None and row["key"] not in found]:
        raise ValueError(f"the record of {lesson} lacks {', '.join(map(repr, missing))}; renew it: clt record {lesson}")
    here = read(lesson)
    print(entry["title"].strip(), end="\n\n")
    table(compare(entry, found, here if any(row["key"] in here for row in entry["rows"]) else None))
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
