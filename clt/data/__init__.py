"""The texts of the course, and the public sets: ``load(name, split)``, whichever place they come from.

Embedded sets come with the course and are checked against their SHA-256. Public sets are read from the folder named by
the environment variable ``CLT_DATA`` if it holds them, else from the Hugging Face hub. Loading runs no code that comes
with the data, and unpickles nothing.
"""

import csv
import difflib
import gzip
import hashlib
import itertools
import json
import math
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from clt.data.catalogue import CATALOGUE, EMBEDDED, OTHER_LANGUAGES, PUBLIC, Entry
from clt.data.family import family_trees
from clt.data.sampling import batches, batches_alike, batches_by_label, batches_in_order, batches_of_two
from clt.data.shop import Shop, StreamingFrequency
from clt.data.tasks import few, labelled, unlabelled

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

__all__ = [
    "CATALOGUE", "Entry", "Shop", "StreamingFrequency",
    "batches", "batches_alike", "batches_by_label", "batches_in_order", "batches_of_two",
    "data_dir", "digest", "family_trees", "few", "labelled", "load", "note", "parallel", "public_status", "sentences",
    "unasked", "unlabelled", "verify", "write_checksums",
]  # fmt: skip

CHECKSUMS = "checksums.sha256"
_POINTER = "version https://git-lfs"  # how what git leaves in the place of a file kept elsewhere begins


def _finite(value: object) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"expected a number, got {value}")
    return number


_NUMBERS = {"score": _finite, "relevance": int}  # all other columns are text, or lists of text


def data_dir() -> Path:
    """The folder of the embedded texts and of ``clt-mini``: inside the installed package, or in the checkout."""
    here = Path(__file__).resolve().parents[1]
    installed = here / "_data"
    return installed if installed.is_dir() else here.parent / "data"


def load(name: str, split: str | None = None) -> "Dataset | DatasetDict":
    """Load a data set by its name in :data:`CATALOGUE`.

    Args:
        name: for example ``"sts"`` (embedded) or ``"STS-B"`` (public).
        split: ``"train"``, ``"dev"`` or ``"test"``, as far as the set has them; None for all.

    Returns:
        A ``datasets.Dataset``, or with ``split=None`` a ``datasets.DatasetDict``. The columns are those of the
        catalogue, the same from every place; scores are floats.

    Raises:
        ValueError: if the name or split is unknown, a file is damaged or holds no rows, or an embedded file fails its
            checksum.
        FileNotFoundError: if a public set is neither in ``CLT_DATA`` nor to be had from the hub.
    """
    from datasets import Dataset, DatasetDict  # late: two seconds

    if name not in CATALOGUE:
        near = difflib.get_close_matches(name, CATALOGUE, n=1, cutoff=0.5)
        guess = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"there is no data set {name!r}; {guess}there are {', '.join(CATALOGUE)}")
    entry = CATALOGUE[name]
    if split is not None and split not in entry.files:
        raise ValueError(f"{name} has no split {split!r}; it has {', '.join(entry.files)}")
    found = {}
    for wanted in [split] if split else entry.files:
        path = _local(entry, wanted)
        found[wanted] = Dataset.from_dict(_columns(entry, path)) if path else _from_hub(entry, wanted)
        note(f"{name}/{wanted}")
    return found[split] if split else DatasetDict(found)


# The columns of the embedded sets that hold text to learn from.
TEXTS = ("text", "sentence1", "sentence2", "premise", "entailment", "neutral", "contradiction", "sentences", "turns",
         "sentence", "paraphrase", "changed", "english", "german", "french", "spanish")  # fmt: skip


def sentences(*names: str) -> list[str]:
    """All training sentences of embedded sets, each once and without its label: text for learning without labels.

    Passages and questions, which are there to be searched, are not among them, nor are the messages of ``emoji``.

    Args:
        names: of embedded sets; default: all that are in English.

    Raises:
        ValueError: if there is no embedded set of that name.
    """
    known = [entry.name for entry in EMBEDDED]
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"there is no embedded set {unknown[0]!r}; there are {', '.join(known)}")
    found: dict[str, None] = {}
    for entry in EMBEDDED:
        wanted = entry.name in names if names else entry.name not in OTHER_LANGUAGES
        if not wanted or "train" not in entry.files or not set(entry.columns) & set(TEXTS):
            continue
        rows = load(entry.name, "train")
        for column in (column for column in entry.columns if column in TEXTS):
            for cell in rows[column]:
                found |= dict.fromkeys(cell if isinstance(cell, list) else [cell])
    return list(found)


def unasked(name: str) -> list[str]:
    """The sentences of a set's training pairs that stand in none of its other splits: text for learning without labels.

    Each comes once. In published sets a few test sentences stand among those for training as well.

    Args:
        name: of a set of scored pairs, such as ``"STS-B"``; errors as for :func:`load`.
    """
    columns = ("sentence1", "sentence2")
    every = load(name)
    asked = {s for split in every if split != "train" for column in columns for s in every[split][column]}
    return [s for s in dict.fromkeys(s for column in columns for s in every["train"][column]) if s not in asked]


def parallel(name: str, split: str) -> dict[str, list[str]]:
    """The same sentences or words in several languages: ``{"english": [...], "german": [...]}``, row by row.

    A row is left out if one of its texts stands in an earlier row: where two words have one translation, it is right
    for both, and which of them it finds first says nothing.

    Args:
        name, split: of a set whose columns are languages, such as ``"translations"``; errors as for :func:`load`.
    """
    rows = load(name, split)
    seen, found = {language: set() for language in rows.column_names}, {language: [] for language in rows.column_names}
    for row in rows:
        if any(text in seen[language] for language, text in row.items()):
            continue
        for language, text in row.items():
            seen[language].add(text)
            found[language].append(text)
    return found


def verify() -> list[str]:
    """Hold every embedded file against its checksum; returns the problems in words, none when all is intact."""
    try:
        listed = _checksums()
    except FileNotFoundError:
        return [f"{CHECKSUMS} is missing: install clt again, or restore it with git"]
    problems = []
    for name, digest in listed.items():
        path = data_dir() / name
        if not path.is_file():
            problems.append(f"{name} is missing")
        elif _sha256(path) != digest:
            problems.append(f"{name} is not what it was when the course was released")
    return problems


def digest(part: str) -> str | None:
    """The SHA-256 of ``"clt-mini"`` (its weights) or of a split such as ``"sts/train"``; None if it is not here."""
    if part == "clt-mini":
        return _checksums().get("clt-mini/model.safetensors")
    name, _, split = part.partition("/")
    entry = CATALOGUE.get(name)
    if entry is None or split not in entry.files:
        return None
    if entry.embedded:
        return _checksums().get(entry.files[split])
    path = _local(entry, split)
    return _sha256(path) if path else None


def note(part: str) -> None:
    """Note that ``part`` was loaded, while a record is made: a record says what it was made from."""
    if place := os.environ.get("CLT_RECORD_LOADED"):
        with open(place, "a", encoding="utf-8") as file:
            file.write(json.dumps([part, digest(part)]) + "\n")


def public_status() -> list[tuple[str, str]]:
    """For each public set, where :func:`load` would look first. Opens no connection."""
    status = []
    for entry in PUBLIC:
        local = [split for split in entry.files if _local(entry, split)]
        if len(local) == len(entry.files):
            where = "in CLT_DATA"
        elif local:
            where = f"in CLT_DATA: {', '.join(local)}; the rest on the hub as {entry.hub}"
        elif entry.hub:
            where = f"on the hub as {entry.hub}"
        else:
            where = f"only from its authors ({entry.citation}), as {' and '.join(entry.files.values())} in CLT_DATA"
        status.append((entry.name, where))
    return status


def write_checksums() -> Path:
    """Write the checksum of every embedded file; for those who change ``data/``."""
    top = data_dir()
    files = sorted(p for p in top.rglob("*") if p.is_file() and p.name != CHECKSUMS and p.suffix != ".md")
    lines = [f"{_sha256(path)}  {path.relative_to(top).as_posix()}\n" for path in files]
    (top / CHECKSUMS).write_text("".join(lines), encoding="utf-8", newline="\n")
    return top / CHECKSUMS


def _local(entry: Entry, split: str) -> Path | None:
    """Where the split lies on this machine, if it does."""
    if entry.embedded:
        path = data_dir() / entry.files[split]
        listed = _checksums()
        if not path.is_file() or _sha256(path) != listed.get(entry.files[split]):
            state = "is missing" if not path.is_file() else "does not match its checksum: it was edited or damaged"
            raise ValueError(f"{entry.files[split]} {state}. Restore it with git, or install clt again")
        return path
    folder = os.environ.get("CLT_DATA")
    path = Path(folder, entry.files[split]) if folder else None
    return path if path and path.is_file() else None


def _checksums() -> dict[str, str]:
    try:
        lines = (data_dir() / CHECKSUMS).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{CHECKSUMS} is missing from the data folder: restore it with git") from error
    return {name: digest for digest, name in (line.split("  ", 1) for line in lines)}


def _sha256(path: Path) -> str:
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def _columns(entry: Entry, path: Path) -> dict[str, list]:
    """Read a file of the catalogue into columns."""
    columns: dict[str, list] = {column: [] for column in entry.columns}
    called = {column: there for there, column in entry.file_columns.items()}
    read = 0
    try:
        for row in _rows(path):
            for column, values in columns.items():
                value = row[called.get(column, column)]
                values.append(_NUMBERS.get(column, _text)(value))
            read += 1
    except KeyError as error:
        raise ValueError(f"{path.name} has no column {error}; expected {', '.join(entry.columns)}") from error
    except (ValueError, TypeError, EOFError, gzip.BadGzipFile, zlib.error, csv.Error) as error:
        raise ValueError(f"{path.name} is damaged near row {read + 1}: {error}") from error
    if not read:
        raise ValueError(f"{path.name} holds no rows")
    return columns


def _text(value: object) -> str | list[str]:
    if not all(isinstance(part, str) for part in (value if isinstance(value, list) else [value])):
        raise ValueError(f"expected text, got {value!r}")
    return value


def _rows(path: Path) -> Iterator[dict]:
    opener = gzip.open if path.suffix == ".gz" else open
    kind = path.name.removesuffix(".gz").rsplit(".", 1)[-1]
    with opener(path, "rt", encoding="utf-8-sig", newline="") as lines:  # sig: Excel begins a file with a mark
        first = next(lines, "")
        if first.startswith(_POINTER):
            raise ValueError("it is a git-lfs pointer to the file: run `git lfs pull` where it came from")
        lines = itertools.chain([first], lines)
        if kind == "csv":
            reader = csv.DictReader(lines, strict=True)
            for row in reader:
                if None in row or None in row.values():
                    raise ValueError(f"expected {len(reader.fieldnames)} fields")
                yield row
        elif kind == "jsonl":
            yield from (json.loads(line) for line in lines if line.strip())
        else:
            yield from ({"text": line.rstrip("\r\n")} for line in lines if line.strip())


def _from_hub(entry: Entry, split: str) -> "Dataset":
    """The split from the Hugging Face hub, brought to the columns of the catalogue."""
    from datasets import load_dataset

    folder = os.environ.get("CLT_DATA")
    tried = f"{entry.files[split]} in {'CLT_DATA' if folder else 'CLT_DATA (not set)'}"
    if entry.hub is None:
        raise FileNotFoundError(
            f"{entry.name} is not on this machine. Tried: {tried}. There is no copy on the hub to fall back on: get it "
            f"from its authors ({entry.citation}; {entry.licence}) and put it there with columns "
            f"{', '.join(entry.columns)}"
        )
    try:
        if entry.hub_files:
            if split not in entry.hub_files:
                raise FileNotFoundError(f"the hub has no split {split!r}")
            kind = "csv" if entry.hub_files[split].endswith("csv") else "text"
            url = f"hf://datasets/{entry.hub}/{entry.hub_files[split]}"
            data = load_dataset(kind, data_files={split: url}, split=split)
        else:
            there = entry.hub_splits.get(split, split)
            data = load_dataset(entry.hub, entry.hub_config, split=there, revision=entry.revision)
    except Exception as error:  # the hub client raises many kinds: no network, no such set, gated, moved
        raise FileNotFoundError(
            f"{entry.name} ({split}) could not be had. Tried: {tried}; then {entry.hub} on the Hugging Face hub "
            f"({type(error).__name__}: {str(error).partition(chr(10))[0]}). Set CLT_DATA to a folder that holds it, "
            f"or go online once: datasets keeps a copy"
        ) from error
    return _as_in_catalogue(entry, data)


def _as_in_catalogue(entry: Entry, data: "Dataset") -> "Dataset":
    """Rename, put label names for numbers, drop rows without a label, and keep the catalogue's columns."""
    taken = set(entry.hub_columns.values())
    data = data.remove_columns([c for c in data.column_names if c in taken])
    data = data.rename_columns({old: new for old, new in entry.hub_columns.items() if old in data.column_names})
    if missing := [column for column in entry.columns if column not in data.column_names]:
        raise ValueError(
            f"{entry.hub} has changed: it lacks {', '.join(missing)}; it has {', '.join(data.column_names)}"
        )
    data = data.select_columns(list(entry.columns))
    if not len(data):
        raise ValueError(f"{entry.hub} has changed: it holds no rows")
    for column in _NUMBERS.keys() & set(data.column_names):
        if wrong := [value for value in data[column] if value is None or not math.isfinite(value)]:
            raise ValueError(f"{entry.hub} has changed: {len(wrong)} of its {column}s are no numbers, {wrong[0]} first")
    if "labels" in data.column_names:  # several labels a row: their names, joined with a bar
        names = data.features["labels"].feature.names
        return _with(data, "labels", ["|".join(names[i] for i in row) for row in data["labels"]])
    if entry.label_names:
        data = data.filter(lambda row: row["label"] >= 0)  # −1: the annotators did not agree
        return _with(data, "label", [entry.label_names[i] for i in data["label"]])
    return data


def _with(data: "Dataset", column: str, values: list) -> "Dataset":
    """``data`` with the values of one column replaced, the order of columns kept."""
    order = data.column_names
    return data.remove_columns(column).add_column(column, values).select_columns(order)
