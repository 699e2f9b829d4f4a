"""Pages of the course site that no file of the repository holds: the package's reference, the results, the slides.

Each function returns the text of a page; tools/site.py puts them among the others.
"""

import importlib
import inspect
import json
import re
from pathlib import Path

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
            lines += [f".. autoclass:: {n}", "   :members:", "   :inherited-members: Module, Counter, dict, tuple", ""]
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


def report() -> str:
    """The page that ``clt report`` writes, with the lessons by their titles, and without those that have no record."""
    from clt.command import report as records

    sections = records.collect()
    text = records.as_markdown([section for section in sections if section.recorded])
    for path in lessons():
        title = "".join(read_notebook(path)["cells"][0]["source"]).splitlines()[0].removeprefix("# ")
        text = text.replace(f"## {path.stem}\n", f"## [{title}](notebooks/{path.name})\n")
    head, _, rest = text.partition("\n")
    absent = records.missing(sections).splitlines()
    more = ["", "## What is missing", "", *(f"- {line}" for line in absent)] if absent else []
    lead = (
        "Each table that a paper printed and a lesson measures again, with a small encoder and small texts. What "
        "stands after ± is the standard deviation over runs that differ in their seed. `clt report` prints the same "
        "tables."
    )
    return "\n".join([head, "", lead, rest.rstrip(), *more]) + "\n"


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
