"""``clt record``: run lessons long, once, and keep what they found; and say of a record what it no longer fits."""

import hashlib
import json
import os
import platform
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from clt.command.plan import NOTEBOOKS, Refused, read_parameters
from clt.command.runner import Lesson

PARAMETERS = NOTEBOOKS / "parameters" / "record.yaml"
# Cells that a record does not run: they draw and compare, and may change without making it stale.
SHOW = "show"
PACKAGES = ("clt", "torch", "transformers", "numpy", "scikit-learn")


def wanted(lesson: Lesson) -> dict:
    """The parameters of a lesson's record: those of ``record.yaml``."""
    values = read_parameters(PARAMETERS).get(lesson.name, {})
    if unknown := [name for name in values if name not in lesson.accepts]:
        raise Refused(f"{lesson.name} has no parameter {', '.join(map(repr, unknown))} (from {PARAMETERS.name}).")
    return values


def absent_sets(parameters: dict) -> list[str]:
    """Public sets that the parameters name and ``CLT_DATA`` does not hold."""
    from clt.data import CATALOGUE, public_status

    local = {name for name, where in public_status() if where.startswith("in CLT_DATA")}
    named = {text for text in _texts(parameters) if text in CATALOGUE and not CATALOGUE[text].embedded}
    return sorted(named - local)


def _texts(value) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in (*value.keys(), *value.values()):
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def cells(notebook: Path) -> list[dict]:
    """The code cells that a record of the notebook runs: ``{"cell": number, "line": its first, "sha256": …}``.

    The number is the cell's place in the notebook, from 1. The digest is of what the code does to numbers:
    :func:`clt.results.trials.meaning`. The cell of parameters counts with the values of the record, not its own.
    """
    from clt.results.trials import meaning

    found = []
    for number, cell in enumerate(json.loads(notebook.read_text(encoding="utf-8"))["cells"], 1):
        tags, source = cell["metadata"].get("tags", []), "".join(cell["source"])
        if cell["cell_type"] != "code" or {SHOW, "parameters", "setup", "exercise"} & set(tags):
            continue
        line = next((line.strip() for line in source.splitlines() if line.strip()), "")
        found.append({"cell": number, "line": line[:80], "sha256": _digest(meaning(source))})
    return found


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def used(store: Path, lesson: str) -> tuple[str | None, dict[str, str]]:
    """What the kernel loaded while it recorded: the encoder's digest, and that of each split of each data set."""
    path = store / lesson / "loaded.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    found = dict(sorted(json.loads(line) for line in lines))
    return found.pop("clt-mini", None), found


def compose(lesson: Lesson, store: Path, threads: int) -> dict:
    """The content of a record, from what the run measured."""
    encoder, sets = used(store, lesson.name)
    made = {
        "parameters": lesson.parameters,
        "versions": {name: version(name) for name in PACKAGES} | {"python": platform.python_version()},
        "processor": processor(),
        "threads": threads,
        "seconds": round(seconds_of_trials(store / lesson.name) or lesson.seconds),
        "encoder": encoder,
        "data": sets,
        "code": cells(lesson.path),
    }
    found = json.loads((store / "found" / f"{lesson.name}.json").read_text(encoding="utf-8"))
    return {"made": made, "found": found}


def seconds_of_trials(folder: Path) -> float:
    """The time all trials of a record took, over however many runs it was made."""
    return sum(json.loads(path.read_text(encoding="utf-8"))["seconds"] for path in folder.glob("*.json"))


def processor() -> str:
    """What the processor calls itself, and whether torch computes in bfloat16 on it."""
    import torch

    from clt.training import autocast

    name = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").is_file():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()}, bfloat16"
    precise = "bfloat16" if isinstance(autocast(torch.device("cpu")), torch.autocast) else "float32"
    return f"{name}, {precise}"


def stale(notebook: Path, made: dict) -> list[str]:
    """Why the record of a notebook is out of date, in words; empty if it is not.

    Compared are the code cells that a record runs, the parameters in ``record.yaml``, the encoder and the data sets;
    a public set only where ``CLT_DATA`` holds it.
    """
    reasons = []
    now, then = cells(notebook), made["code"]
    known = {entry["sha256"] for entry in then}
    reasons += [f"cell {c['cell']} `{c['line']}` is new or has changed" for c in now if c["sha256"] not in known]
    still = {entry["sha256"] for entry in now}
    if not reasons:
        reasons += [f"a cell is gone that it ran: `{c['line']}`" for c in then if c["sha256"] not in still]
    if not reasons and [c["sha256"] for c in now] != [c["sha256"] for c in then]:
        reasons.append("its cells stand in another order")
    parameters = read_parameters(PARAMETERS).get(notebook.stem, {})
    for name in sorted(parameters.keys() | made["parameters"].keys()):
        if parameters.get(name) != made["parameters"].get(name):
            reasons.append(f"the parameter {name} of {PARAMETERS.name} has changed")
    return reasons + _other_files(made)


def _other_files(made: dict) -> list[str]:
    from clt.data import digest

    reasons = []
    then = made["data"] | ({"clt-mini": made["encoder"]} if made["encoder"] else {})
    for name, known in then.items():
        there = digest(name)
        if there is not None and there != known:
            reasons.append(f"the {'encoder' if name == 'clt-mini' else 'data set'} {name} is another one now")
    return sorted(reasons)


def environment(store: Path, lesson: Lesson) -> dict[str, str]:
    """What tells the kernel that it makes a record."""
    return {
        "CLT_RECORD": str(store),
        "CLT_RECORD_LOADED": str(store / lesson.name / "loaded.jsonl"),
        "CLT_RESULTS": str(store / ("found" if lesson.worker == 1 else f"found-{lesson.worker}")),
        "TQDM_DISABLE": "1",
    }


def progress(folder: Path) -> str:
    """The last line that the kernel wrote about its trials."""
    try:
        lines = (folder / "progress.txt").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return lines[-1] if lines else ""


def clear(store: Path, lesson: str) -> None:
    """Forget what an earlier run of the record measured and loaded, but not its finished trials."""
    for path in (store / "found" / f"{lesson}.json", *(store / lesson / n for n in ("loaded.jsonl", "progress.txt"))):
        path.unlink(missing_ok=True)
    os.makedirs(store / lesson, exist_ok=True)
