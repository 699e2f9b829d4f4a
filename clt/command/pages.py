"""The pages that ``clt run`` writes: one for each executed notebook and the index. They ask the network for nothing."""

import json
import re
from datetime import datetime
from html import escape
from pathlib import Path
from urllib.parse import quote

from clt.command.executor import Lesson
from clt.results.files import write_json, write_whole

# Enforced by the browser, whatever the output of a notebook contains: nothing is loaded from elsewhere, no script runs.
POLICY = (
    '<meta http-equiv="Content-Security-Policy" '
    "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'; font-src data:\">"
)

NOTEBOOK_TEMPLATE = (
    """{%- extends 'lab/index.html.j2' -%}
{% block html_head_js %}"""
    + POLICY
    + """{% endblock %}
{% block jupyter_widgets %}{% endblock %}
{% block html_head_js_mathjax %}{% endblock %}
{% block html_head_js_mermaidjs %}{% endblock %}
{% block html_head_css %}<style>
main { max-width: 72rem; margin: auto; }
div.jp-InputArea-editor { overflow-x: auto; }
math [mathvariant^="bold"] { font-weight: bold; text-transform: none; }
summary { cursor: pointer; margin-left: 5rem; font-family: system-ui, sans-serif; }
</style>{% endblock %}
{% block input_group %}
{%- if cell.metadata.get('jupyter', {}).get('source_hidden') -%}
<details><summary>{{ 'Solution' if 'solution' in cell.metadata.get('tags', []) else 'Code' }}</summary>
{{ super() }}</details>
{%- else -%}{{ super() }}{%- endif -%}
{% endblock %}
{% block data_png scoped %}
<div class="jp-RenderedImage jp-OutputArea-output"><img src="data:image/png;base64,{{ output.data['image/png'] }}"
{%- set alt = output | get_metadata('alt', 'image/png') %}{% if alt %} alt="{{ alt | escape_html }}"{% endif %}></div>
{% endblock %}"""
)

INDEX = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{policy}
<title>The course, executed</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; width: 100%; }}
caption {{ text-align: left; padding-bottom: .5rem; }}
th, td {{ text-align: left; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid GrayText; vertical-align: top; }}
th[scope=row] {{ font-weight: normal; }}
.number {{ text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }}
.date {{ white-space: nowrap; }}
.problem {{ display: block; overflow-wrap: anywhere; }}
</style>
</head>
<body>
<main>
<h1>The course, executed</h1>
<div class="wide" role="region" aria-label="Notebooks" tabindex="0">
<table>
<caption>The latest run of each notebook. Memory is the peak of its kernel with everything the kernel started.</caption>
<thead><tr>
<th scope="col">Notebook</th><th scope="col">Status</th><th scope="col" class="number">Seconds</th>
<th scope="col" class="number">Peak memory</th><th scope="col">Parameters</th><th scope="col">Run ended</th>
</tr></thead>
<tbody>
{rows}
</tbody>
</table>
</div>
</main>
</body>
</html>
"""


def write_results(lessons: list[Lesson], output: Path, parameters: str) -> None:
    """Write ``timings.json`` and ``index.html``: this run's lessons beside those that earlier runs left in ``output``.

    An entry of ``timings.json``, by notebook name: title, status, seconds, peak_memory_bytes, cells, parameters,
    ended, problem.
    """
    file, now = output / "timings.json", datetime.now().astimezone().isoformat(sep=" ", timespec="minutes")
    mine = {
        lesson.name: {
            "title": lesson.title,
            "status": lesson.status,
            "seconds": round(lesson.seconds, 2),
            "peak_memory_bytes": lesson.peak,
            "cells": lesson.cells,
            "parameters": parameters,
            "ended": now,
            "problem": lesson.problem,
        }
        for lesson in lessons
    }
    form = {name: type(value) for name, value in next(iter(mine.values())).items()}
    entries = {name: entry for name, entry in _earlier(file).items() if _has_form(entry, form)}
    # A lesson that this run did not come to keeps its earlier result.
    entries |= {name: entry for name, entry in mine.items() if entry["status"] != "not run" or name not in entries}
    write_json(file, {"notebooks": entries})
    write_whole(output / "index.html", index_page(entries, output))


def _earlier(file: Path) -> dict:
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))["notebooks"]
    except (OSError, ValueError, KeyError, TypeError):  # the first run here, or a file that is not ours
        return {}
    return entries if isinstance(entries, dict) else {}


def _has_form(entry: object, form: dict[str, type]) -> bool:
    return isinstance(entry, dict) and all(
        isinstance(entry.get(name), int | float if kind is float else kind) for name, kind in form.items()
    )


def index_page(entries: dict[str, dict], output: Path) -> str:
    """The page that links the executed notebooks in ``output``; ``entries`` as in ``timings.json``, by name."""
    rows = [_row(name, entry, (output / f"{name}.html").exists()) for name, entry in sorted(entries.items())]
    return INDEX.format(policy=POLICY, rows="\n".join(rows))


def _row(name: str, entry: dict, has_page: bool) -> str:
    title, file = escape(entry["title"]), quote(name)
    if has_page:
        title = f'<a href="{file}.html">{title}</a><br><a href="{file}.ipynb">{escape(name)}.ipynb</a>'
    problem = f'<span class="problem">{escape(entry["problem"])}</span>' if entry["problem"] else ""
    numbers = "".join(
        f'<td class="number">{number}</td>'
        for number in (f"{entry['seconds']:.1f}", megabytes(entry["peak_memory_bytes"]))
    )
    return (
        f'<tr><th scope="row">{title}</th><td>{entry["status"]}{problem}</td>{numbers}'
        f'<td>{escape(entry["parameters"])}</td><td class="date">{escape(entry["ended"][:16])}</td></tr>'
    )


def megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB" if size else "–"


def notebook_page(notebook, source: Path) -> str:
    """An executed notebook as one HTML page: images inside, formulas as MathML, solutions folded, no progress bars."""
    from copy import deepcopy

    from nbconvert import HTMLExporter

    widget = "application/vnd.jupyter.widget-view+json"
    notebook = deepcopy(notebook)
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:  # a widget would load a script, and its text form is a bar that still stands at 0 %
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if widget not in output.get("data", {})]
    exporter = HTMLExporter(raw_template=NOTEBOOK_TEMPLATE, filters={"markdown2html": _markdown_filter(source.parent)})
    return exporter.from_notebook_node(notebook, {"metadata": {"name": source.stem}})[0]


def _markdown_filter(folder: Path):
    """nbconvert's Markdown filter, but with formulas as MathML, which browsers show without a script."""
    from jinja2 import pass_context
    from latex2mathml.converter import convert
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    def mathml(latex: str, display: str) -> str:
        try:
            formula = convert(latex.replace("{aligned}", "{split}"), display=display)
        except Exception:  # what it cannot read it says in a dozen unrelated exceptions
            formula = ""
        # A command it does not know comes back as text, an environment as a bare "&": better the source than that.
        if not formula or "\\" in formula or "<mi>&</mi>" in formula:
            return f"<code>{escape(latex.strip())}</code>"
        return formula

    class Renderer(IPythonRenderer):
        def image(self, text, url, title=None):
            elsewhere = re.match(r"(https?:)?//", url)  # the policy of the page blocks it: its text stays
            return escape(text) if elsewhere else super().image(text, url, title)

        def link(self, text, url, title=None):
            if "/" not in url and url.endswith(".ipynb"):  # another lesson: its page lies beside this one
                url = url.removesuffix(".ipynb") + ".html"
            return super().link(text, url, title)

        def inline_math(self, body):
            return mathml(body, "inline")

        def block_math(self, body):
            return mathml(body, "block")

        def latex_environment(self, name, body):
            return mathml(rf"\begin{{{name}}}{body}\end{{{name}}}", "block")

    @pass_context
    def markdown2html(context, source):
        attachments = context.get("cell", {}).get("attachments", {})
        renderer = Renderer(
            escape=False, embed_images=True, path=str(folder), attachments=attachments, exclude_anchor_links=True
        )
        return MarkdownWithMath(renderer=renderer).render(source)

    return markdown2html
