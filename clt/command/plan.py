"""What ``clt run`` is asked to do, understood in full before anything runs."""

import ast
import json
import re
from pathlib import Path

import click
import yaml

from clt.command.runner import Lesson

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"  # beside the package in a checkout; a wheel has none


class Refused(click.ClickException):
    """Nothing was run, because what was asked for cannot be done."""

    exit_code = 2


def find_lessons(paths: tuple[Path, ...]) -> list[Lesson]:
    """The notebooks that were named, in that order, or all of the course."""
    if not paths and not NOTEBOOKS.is_dir():
        raise Refused(
            "the lessons are not here: this clt was installed without them. Get the repository of the course and run "
            "`make course` in it, or name a notebook: clt run my.ipynb"
        )
    lessons = [read_lesson(path) for path in paths or sorted(NOTEBOOKS.glob("*.ipynb"))]
    if not lessons:
        raise Refused(f"there is no notebook in {NOTEBOOKS}.")
    names = [lesson.name for lesson in lessons]
    if twice := [name for name in names if names.count(name) > 1]:
        raise Refused(f"two notebooks are named {twice[0]!r}: the results of one would overwrite the other's.")
    return lessons


def lesson_path(name: str) -> Path:
    """The notebook that ``name`` means: a file, or the number or the stem of a lesson."""
    if Path(name).suffix == ".ipynb":
        return Path(name)
    found = [path for path in sorted(NOTEBOOKS.glob("*.ipynb")) if name in (path.stem, path.stem.split("_")[0])]
    if not found:
        raise Refused(f"there is no lesson {name!r}: name a notebook, or a number such as 04.")
    return found[0]


def read_lesson(path: Path) -> Lesson:
    """A notebook: where it is, what it is called, which parameters it has."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        sources = [(cell, "".join(cell["source"])) for cell in cells]
    except OSError as error:
        raise Refused(f"cannot read the notebook {str(path)!r}: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(f"{str(path)!r} is not a Jupyter notebook (nbformat 4).") from error
    headings = (re.search(r"^# +(.+)", text, re.M) for cell, text in sources if cell["cell_type"] == "markdown")
    title = next((heading[1].strip() for heading in headings if heading), path.stem)
    tagged = (text for cell, text in sources if "parameters" in cell.get("metadata", {}).get("tags", []))
    return Lesson(path.resolve(), title, len(cells), parameter_names(path, next(tagged, "")))


def parameter_names(path: Path, source: str) -> list[str]:
    """The names that the cell tagged ``parameters`` assigns, in order.

    papermill.inspect_notebook reads the same cell line by line, and loses a parameter whose comment holds a second
    "=", as in ``epochs = 3  # paper: epochs = 10``; Python's own grammar does not.
    """
    try:
        statements = ast.parse(source).body
    except SyntaxError as error:
        raise Refused(f"{path.name}: its cell tagged 'parameters' is not plain Python ({error.msg}).") from error
    targets = []
    for statement in statements:
        if isinstance(statement, ast.Assign):
            targets += statement.targets
        elif isinstance(statement, ast.AnnAssign):
            targets.append(statement.target)
    return [target.id for target in targets if isinstance(target, ast.Name)]


def give_parameters(lessons: list[Lesson], choice: str) -> None:
    """Give each lesson the values of ``choice``: ``quick``, ``full`` or a file; refuse a name that it does not have."""
    if choice == "quick":  # the values that stand in the notebooks
        return
    file = NOTEBOOKS / "parameters" / "full.yaml" if choice == "full" else Path(choice)
    values = read_parameters(file)
    notebooks = {lesson.name for lesson in lessons} | {path.stem for path in NOTEBOOKS.glob("*.ipynb")}
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
        text = file.read_text(encoding="utf-8")
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
    return values
