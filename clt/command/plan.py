"""What ``clt run`` is asked to do, understood in full before anything runs."""

import ast
import json
import math
import re
from contextlib import suppress
from pathlib import Path

import click
import yaml

from clt.command.executor import Lesson
from clt.command.processes import usable_cores

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"  # beside the package in a checkout; a wheel has none


class Refused(click.ClickException):
    """Nothing was run, because what was asked for cannot be done."""

    exit_code = 2


def find_lessons(names: tuple[str, ...]) -> list[Lesson]:
    """The notebooks that were named, in that order, or all of the course."""
    if not names and not NOTEBOOKS.is_dir():
        raise Refused(
            "the lessons are not here: this clt was installed without them. Get the repository of the course and run "
            "`make course` in it, or name a notebook: clt run my.ipynb"
        )
    lessons = [read_lesson(path) for path in map(lesson_path, names)] or list(map(read_lesson, course()))
    if not lessons:
        raise Refused(f"there is no notebook in {NOTEBOOKS}.")
    known: set[str] = set()
    for lesson in lessons:  # compared as a file system does that takes A and a for one letter
        if (name := lesson.name.casefold()) in known:
            raise Refused(f"two notebooks are named {lesson.name!r}: the results of one would overwrite the other's.")
        if name == "index":
            raise Refused(
                f"{lesson.path.name}: its page would be index.html, the page of the run. Rename the notebook."
            )
        known.add(name)
    return lessons


def course() -> list[Path]:
    """The notebooks of the course, in teaching order; none where it was installed without them."""
    return sorted(NOTEBOOKS.glob("*.ipynb"))


def lesson_path(name: str | Path) -> Path:
    """The notebook that ``name`` means: a file, or the number or the stem of a lesson: 04, 4, 04_simcse."""
    path, name = Path(name), str(name)
    if path.suffix.lower() == ".ipynb" or path.is_file():
        return path
    found = [path for path in course() if path.stem == name or path.stem.split("_")[0] == name.zfill(2)]
    if not found:
        raise Refused(f"there is no lesson {name!r}: name a notebook, or a number such as 04.")
    return found[0]


def read_lesson(path: Path) -> Lesson:
    """A notebook: where it is, what it is called, which parameters it has, how long it says that it takes."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8-sig"))["cells"]
        sources = [(cell, "".join(cell["source"])) for cell in cells]
    except OSError as error:
        raise Refused(f"cannot read the notebook {str(path)!r}: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(f"{str(path)!r} is not a Jupyter notebook (nbformat 4).") from error
    prose = "\n\n".join(text for cell, text in sources if cell["cell_type"] == "markdown")
    heading = re.search(r"^# +(.+)", prose, re.M)
    takes = re.search(r"^\*Runs in:\* (\d+) seconds", prose, re.M)
    tagged = (text for cell, text in sources if "parameters" in cell.get("metadata", {}).get("tags", []))
    return Lesson(
        path.resolve(),
        heading[1].strip() if heading else path.stem,
        len(cells),
        own_parameters(path, next(tagged, "")),
        int(takes[1]) if takes else 0,
    )


def fitting_jobs(lessons: list[Lesson]) -> int:
    """How many lessons to run at a time: as many as there are cores, and memory for."""
    import psutil

    from clt.command.doctor import NEEDED_MEMORY

    room = int(psutil.virtual_memory().available / NEEDED_MEMORY)
    return max(1, min(len(lessons), usable_cores(), room))


def announcement(lessons: list[Lesson], jobs: int, output: Path) -> str:
    """What is about to run and, where all lessons say how long they take, how long it will take."""
    jobs = min(jobs, len(lessons))
    many = f"{len(lessons)} notebooks, {jobs} at a time" if len(lessons) > 1 else lessons[0].name
    text = f"Running {many}; results go to {output}."
    if all(lesson.expected and not lesson.parameters for lesson in lessons):
        # The slowest lesson, or all of them spread over the jobs, whichever is longer.
        seconds = max(*(lesson.expected for lesson in lessons), sum(lesson.expected for lesson in lessons) / jobs)
        minutes = math.ceil(seconds / 60)
        text += f" It takes about {minutes} minute{'s' if minutes > 1 else ''}."
    return text


def own_parameters(path: Path, source: str) -> dict[str, object]:
    """What the cell tagged ``parameters`` assigns, in order: names with their values, None for one that is computed.

    papermill.inspect_notebook reads the same cell line by line, and loses a parameter whose comment holds a second
    "=", as in ``epochs = 3  # paper: epochs = 10``; Python's own grammar does not.
    """
    try:
        statements = ast.parse(source).body
    except SyntaxError as error:
        raise Refused(f"{path.name}: its cell tagged 'parameters' is not plain Python ({error.msg}).") from error
    found = {}
    for statement in statements:
        if not isinstance(statement, ast.Assign | ast.AnnAssign):
            continue
        for target in statement.targets if isinstance(statement, ast.Assign) else [statement.target]:
            if isinstance(target, ast.Name):
                found[target.id] = None
                with suppress(ValueError, TypeError):
                    found[target.id] = ast.literal_eval(statement.value)
    return found


def give_parameters(lessons: list[Lesson], choice: str) -> None:
    """Give each lesson the values of ``choice``: ``quick``, ``full`` or a file; refuse a name that it does not have."""
    if choice == "quick":  # the values that stand in the notebooks
        return
    file = NOTEBOOKS / "parameters" / "full.yaml" if choice == "full" else Path(choice)
    values = read_parameters(file)
    notebooks = {lesson.name for lesson in lessons} | {path.stem for path in course()}
    by_notebook = bool(notebooks & values.keys()) or all(isinstance(value, dict) for value in values.values())
    if by_notebook:
        for name, given in values.items():
            if name not in notebooks:
                raise Refused(f"{file.name} has parameters for {name!r}, and there is no such notebook.")
            if not isinstance(given, dict):
                raise Refused(f"{file.name}: expected 'parameter: value' pairs under {name!r}, got {given!r}.")
    for lesson in lessons:
        lesson.parameters = values.get(lesson.name, {}) if by_notebook else values
        if unknown := [name for name in lesson.parameters if name not in lesson.accepts]:
            has = ", ".join(lesson.accepts) or "none"
            raise Refused(
                f"{lesson.name} has no parameter {', '.join(map(repr, unknown))} (from {file.name}). It has: {has}."
            )


class Loader(yaml.SafeLoader):
    """YAML as people write it: for the standard loader, ``1e-3`` is text because it has no dot."""


Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def read_parameters(file: Path) -> dict:
    """A parameter file, YAML or JSON, as a dictionary."""
    try:
        text = file.read_text(encoding="utf-8-sig")  # Windows' editors put a byte-order mark in front
        # JSON may be indented with tabs, which YAML forbids.
        values = json.loads(text) if file.suffix == ".json" else yaml.load(text, Loader)
    except FileNotFoundError as error:
        raise Refused(f"--parameters: expected quick, full or a file, and there is no file {str(file)!r}.") from error
    except OSError as error:
        raise Refused(f"cannot read the parameter file {str(file)!r}: {error.strerror}.") from error
    except (ValueError, yaml.YAMLError) as error:
        where = getattr(error, "problem_mark", None)
        line = where.line + 1 if where else getattr(error, "lineno", None)
        what = getattr(error, "problem", None) or getattr(error, "msg", None) or error
        raise Refused(f"{file.name} is not valid{f' in line {line}' if line else ''}: {what}.") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise Refused(f"{file.name}: expected 'parameter: value' pairs, got a {type(values).__name__}.")
    try:
        for name, value in values.items():
            if problem := not_json({name: value}):
                raise Refused(f"{file.name}: {name} is or holds {problem}; {ALLOWED}")
    except RecursionError as error:
        raise Refused(f"{file.name}: a value holds itself; {ALLOWED}") from error
    return values


ALLOWED = "a notebook can be given text, finite numbers, true, false, null, and lists and mappings of these."


def not_json(value: object) -> str:
    """What in a value cannot be written into a notebook, which is JSON: a date, a set, nan; empty if all can."""
    if value is None or isinstance(value, str | bool | int):
        return ""
    if isinstance(value, float):
        return "" if math.isfinite(value) else f"{value}, which is no finite number"
    if isinstance(value, list):
        return next(filter(None, map(not_json, value)), "")
    if isinstance(value, dict):
        odd = [key for key in value if not isinstance(key, str)]
        return f"the key {odd[0]!r}, which is no text" if odd else not_json(list(value.values()))
    return f"a {type(value).__name__}, {str(value)[:60]}"
