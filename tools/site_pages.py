"""Pages of the course site that no file of the repository holds: the package's reference, the results, the slides.

Each function returns the text of a page; tools/site.py puts them among the others.
"""

import importlib
import inspect
import json
import re
from pathlib import Path

import site_plots

ROOT = Path(__file__).resolve().parent.parent


def lessons() -> list[Path]:
    return sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def read_notebook(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def public(module) -> list[str]:
    """The functions and classes of a module that have something to say, in the order it lists or defines them."""
    own = [name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
    names = [name for name in getattr(module, "__all__", own) if not name.startswith("_")]
    objects = {name: getattr(module, name) for name in names}
    return [name for name, value in objects.items()
            if (inspect.isfunction(value) or inspect.isclass(value)) and inspect.getdoc(value)
            and value.__module__.startswith("clt")]  # fmt: skip


def module_page(name: str) -> str:
    """The reference of one module, as reStructuredText: a table of what it has, then each with its docstring."""
    import click

    module = importlib.import_module(f"clt.{name}")
    title = f"clt.{name}"
    lines = [title, "=" * len(title), "", f".. automodule:: clt.{name}", "   :no-members:", ""]
    typed = importlib.import_module("clt.command.cli") if name == "command" else module
    commands = {key: value for key, value in vars(typed).items() if isinstance(value, click.Group)}
    if commands:
        for command in [*commands.values(), *next(iter(commands.values())).commands.values()]:
            top = command in commands.values()
            call = "clt" if top else f"clt {command.name}"
            context = click.Context(command, info_name=call, terminal_width=88, max_content_width=88)
            lines += [call, "-" * len(call), "", ".. code-block:: text", ""]
            lines += [f"   {line}".rstrip() for line in command.get_help(context).splitlines()] + [""]
        return "\n".join(lines)
    names = public(module)
    exercises = [n for n in names if n in getattr(module, "_EXERCISES", {})]
    names = [n for n in names if n not in exercises]
    if exercises:
        listed = ", ".join(f"``{n}``" for n in exercises)
        lines += [f"The exercises that can be checked, each as ``checks.NAME(function)``: {listed}.", ""]
    lines += [f".. currentmodule:: clt.{name}", "", ".. autosummary::", "   :nosignatures:", ""]
    lines += [f"   {n}" for n in names] + [""]
    for n in names:
        if inspect.isclass(getattr(module, n)):
            lines += [
                f".. autoclass:: {n}",
                "   :members:",
                "   :inherited-members: Module, Counter, dict, tuple, TorchDispatchMode",
                "",
            ]
        else:
            lines += [f".. autofunction:: {n}", ""]
    return "\n".join(lines)


def api() -> dict[str, str]:
    """The pages of the package: one a module, and the list of them."""
    import clt

    modules = {name: inspect.getdoc(importlib.import_module(f"clt.{name}")) for name in clt._MODULES}
    order = [
        "similarity",
        "losses",
        "metrics",
        "neighbors",
        "retrieval",
        "data",
        "augment",
        "encoders",
        "training",
        "plots",
    ]
    order += ["scale", "checks", "results"]
    names = sorted(modules, key=lambda name: (order.index(name) if name in order else len(order), name))
    first = {name: re.split(r"\n\n|(?<=[.?])\s", modules[name])[0].replace("\n", " ") for name in names}
    rows = [f"   * - :doc:`{name}`\n     - {first[name]}" for name in names]
    index = [
        "The package clt", "===============", "",
        "Text flows one way: data, augmentation, encoder, loss, training, metrics, plots. Each module imports only",
        "what stands below it. The losses know only tensors.", "",
        ".. list-table::", "   :widths: 20 80", "", *rows, "",
        ".. toctree::", "   :hidden:", "", *(f"   {name}" for name in names), "",
    ]  # fmt: skip
    return {"api/index.rst": "\n".join(index)} | {f"api/{name}.rst": module_page(name) for name in names}


def report(target: Path) -> str:
    """The results: what ``clt report`` writes, with the lessons by their titles and a figure for each table in
    ``target``, and without the lessons that have no record."""
    from clt.command import report as records

    sections = records.collect()
    shown = [section for section in sections if section.recorded]
    lines = [
        "# The course's numbers beside the papers'", "",
        "Each table that a paper printed and a lesson measures again, with a small encoder and small texts. What "
        "stands after ± is the standard deviation over runs that differ in their seed. In the figures a circle is a "
        "row of the table beside it, the paper's number to the right and ours upwards, with that deviation: where the "
        "circles rise from left to right, the course finds the paper's order. `clt report` prints the same tables.",
        "",
        "```{raw} html", lesson_filter([section.lesson[:2] for section in shown]), "```",
    ]  # fmt: skip
    known = {path.stem: path for path in lessons()}
    for section in shown:
        heading = section.lesson
        if path := known.get(section.lesson):
            title = "".join(read_notebook(path)["cells"][0]["source"]).splitlines()[0].removeprefix("# ")
            heading = f"[{title}](notebooks/{path.name})"
        lines += ["", f"## {heading}"]
        for entry in section.entries:
            lines += ["", f"### {entry['title'].strip()}", "", *result(section, entry, target), ""]
            lines += [f"- {note}" for note in records.notes(entry, section.recorded)]
    absent = records.missing(sections).splitlines()
    more = ["", "## What is missing", "", *(f"- {line}" for line in absent)] if absent else []
    return "\n".join([*lines, *more]) + "\n"


def result(section, entry: dict, target: Path) -> list[str]:
    """One published table as Markdown; where it has enough rows, they are numbered and drawn as well."""
    from clt import results
    from clt.command import report as records

    rows = results.compare(entry, section.recorded)
    pairs = site_plots.both(entry, section.recorded)
    if not pairs:
        return records.markdown_table(rows)
    rows = [{"#": str(place)} | row for place, row in enumerate(rows, 1)]
    name = f"results/{section.lesson}-{entry['table']}.svg"
    alt = site_plots.draw(pairs, target / name)
    picture = ["```{image} " + name, f":alt: {alt}", ":class: result-plot", "```"]
    return ["::::{div} result", "", *records.markdown_table(rows), "", *picture, "", "::::"]


def lesson_filter(numbers: list[str]) -> str:
    """Buttons that show one lesson's tables; without JavaScript there are none, and all tables are shown."""
    buttons = "".join(f'<button type="button" data-lesson="{number}">{number}</button>' for number in numbers)
    everything = '<button type="button" data-lesson="" aria-pressed="true">all lessons</button>'
    return (f'<div class="lesson-filter" role="group" aria-label="Show the tables of one lesson" hidden>{everything}'
            f'{buttons}</div><script src="_static/filter.js" defer></script>')  # fmt: skip


def deck_titles() -> dict[str, tuple[str, str]]:
    """Stem of a deck → its title and description, from its front matter."""
    found = {}
    for path in sorted((ROOT / "slides").glob("[0-9][0-9]-*.md")):
        head = path.read_text(encoding="utf-8").split("\n---", 1)[0]
        entries = dict(re.findall(r"^(title|description): (.+)$", head, re.M))
        found[path.stem] = (entries.get("title", path.stem), entries.get("description", ""))
    return found


def slides_page(built: Path) -> str:
    """The page of the slides: what of them is built."""
    lines = ["# Slides", "", "A lecture for each part of the course. Every number and every figure in the slides was "
             "recorded by the lessons' code. Press `p` for the presenter's view with notes and clock, `f` for the "
             "full screen.", ""]  # fmt: skip
    rows = []
    for number, (stem, (title, about)) in enumerate(deck_titles().items(), 1):
        forms = {"light": f"{stem}.html", "dark": f"{stem}-dark.html", "PDF": f"{stem}.pdf"}
        links = [f'<a href="slides/{file}">{form}</a>' for form, file in forms.items() if (built / file).is_file()]
        if links:
            rows.append(f"| {number} | **{title}**<br>{about} | {' · '.join(links)} |")
    if rows:
        lines += ["| | lecture | open |", "|---|---|---|", *rows]
    else:
        lines += ["```{note}", "The slides are not part of this build of the site. `make course slides site` makes "
                  "them, with Node 18 or newer.", "```"]  # fmt: skip
    return "\n".join(lines) + "\n"
