"""``clt record``: run lessons long, once, and keep what they found; and say of a record what it no longer fits."""

import hashlib
import json
import platform
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from clt.command.executor import Lesson
from clt.command.plan import NOTEBOOKS, Refused, read_lesson, read_parameters

PARAMETERS = NOTEBOOKS / "parameters" / "record.yaml"
# Cells that a record does not run: they draw and compare, and may change without making it stale.
SHOW = "show"
PACKAGES = ("clt", "torch", "transformers", "numpy", "scikit-learn")


def wanted(lesson: Lesson) -> dict:
    """The parameters of a lesson's record: those of ``record.yaml``."""
    values = given(lesson.name)
    if unknown := [name for name in values if name not in lesson.accepts]:
        raise Refused(f"{lesson.name} has no parameter {', '.join(map(repr, unknown))} (from {PARAMETERS.name}).")
    return values


def given(lesson: str) -> dict:
    """What ``record.yaml`` gives to a lesson, by its stem."""
    values = read_parameters(PARAMETERS).get(lesson) or {}
    if not isinstance(values, dict):
        raise Refused(f"{PARAMETERS.name}: expected 'parameter: value' pairs under {lesson!r}, got {values!r}.")
    return values


def effective(lesson: Lesson) -> dict:
    """All parameters that a record runs with: those it is given, and for the others what the notebook itself says."""
    return json.loads(json.dumps(lesson.accepts | lesson.parameters, default=repr))


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
    for number, cell in enumerate(json.loads(notebook.read_text(encoding="utf-8-sig"))["cells"], 1):
        tags, source = cell["metadata"].get("tags", []), "".join(cell["source"])
        if cell["cell_type"] != "code" or {SHOW, "parameters", "setup", "exercise"} & set(tags):
            continue
        if meaning(source) == meaning(""):  # nothing but comments or asserts
            continue
        line = next(line.strip() for line in source.splitlines() if line.strip())
        found.append({"cell": number, "line": line[:80], "sha256": _digest(meaning(source))})
    return found


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def finished(folder: Path) -> list[dict]:
    """The trials that make up a record, each with what it found, its seconds, and what had been loaded by then."""
    path = folder / "trials.txt"
    names = dict.fromkeys(path.read_text(encoding="utf-8").split()) if path.is_file() else {}
    return [json.loads((folder / name).read_text(encoding="utf-8")) for name in names]


def used(folder: Path) -> tuple[str | None, dict[str, str]]:
    """What was loaded for a record: the encoder's digest, and that of each split of each data set."""
    path = folder / "loaded.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    loaded = dict(sorted(json.loads(line) for line in lines))
    for trial in finished(folder):  # a trial of an earlier run loaded what this run did not have to
        loaded |= trial["loaded"]
    return loaded.pop("clt-mini", None), dict(sorted(loaded.items()))


def compose(lesson: Lesson, store: Path, threads: int) -> dict:
    """The content of a record, from what the run measured."""
    encoder, sets = used(store / lesson.name)
    # Over however many runs the record was made; a lesson without trials takes what its run took.
    seconds = sum(trial["seconds"] for trial in finished(store / lesson.name))
    made = {
        "parameters": effective(lesson),
        "versions": {name: version(name) for name in PACKAGES} | {"python": platform.python_version()},
        "processor": processor(),
        "threads": threads,
        "seconds": round(seconds or lesson.seconds),
        "encoder": encoder,
        "data": sets,
        "code": cells(lesson.path),
    }
    found = store / "found" / f"{lesson.name}.json"
    if not found.is_file():
        raise ValueError("the notebook ran, and measured nothing that could be recorded")
    return {"made": made, "found": json.loads(found.read_text(encoding="utf-8"))}


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
    lesson = read_lesson(notebook)
    lesson.parameters = given(lesson.name)
    # A parameter that only the notebook has, and had not then, is used in a cell that is new or has changed.
    parameters, known = effective(lesson), made["parameters"]
    for name in sorted(known.keys() | lesson.parameters.keys()):
        if parameters.get(name) != known.get(name):
            reasons.append(f"the parameter {name} was {known.get(name)!r} and is {parameters.get(name)!r} now")
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
    (store / lesson).mkdir(parents=True, exist_ok=True)
    (store / "found" / f"{lesson}.json").unlink(missing_ok=True)
    for name in ("loaded.jsonl", "trials.txt", "progress.txt"):
        (store / lesson / name).unlink(missing_ok=True)
