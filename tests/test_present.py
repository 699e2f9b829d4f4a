"""Each lesson can be presented as slides: by clear rules, byte for byte the same file otherwise."""

import json
import re
from pathlib import Path

import nbformat
import pytest
from loading import load_tool, recipe
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

tool = load_tool("present")


def kind(cell) -> str | None:
    return cell["metadata"].get("slideshow", {}).get("slide_type")


def pages(cells) -> list[list]:
    """What is on the screen at once: a new page at each slide and subslide, skipped cells left out."""
    found: list[list] = []
    for cell in cells:
        if kind(cell) in ("slide", "subslide"):
            found.append([])
        if kind(cell) != "skip":
            found[-1].append(cell)
    return found


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def lesson(request) -> Path:
    return request.param


def test_every_lesson_is_a_slide_show(lesson):
    cells = nbformat.read(lesson, as_version=4).cells
    kinds = [kind(cell) for cell in cells]
    assert kinds[0] == "slide"
    assert kinds.count("slide") >= 8
    assert set(kinds) <= {"slide", "subslide", "fragment", "skip", None}
    for cell, what in zip(cells, kinds, strict=True):
        tags = cell.metadata.get("tags", [])
        if {"setup", "parameters", "solution"} & set(tags):
            assert what == "skip", cell.source[:60]
        if "exercise" in tags or cell.cell_type == "markdown":
            assert what != "skip", cell.source[:60]
        if re.match(r"##? ", cell.source) and cell.cell_type == "markdown":
            assert what == "slide", cell.source[:60]
    for page in pages(cells):
        assert sum(cell.cell_type == "code" for cell in page) <= 3, page[0].source[:60]
    titles = [page[0].source for page in pages(cells) if "Predict first" in page[0].source]
    assert titles, "the question has a page"


def test_every_figure_is_shown(lesson):
    for cell in nbformat.read(lesson, as_version=4).cells:
        if "solution" not in cell.metadata.get("tags", []) and "image/png" in json.dumps(cell.get("outputs", [])):
            assert kind(cell) != "skip", cell.source[:60]


def test_the_rules_were_applied(lesson):
    assert tool.present(lesson, check=True) == 0, "run tools/present.py on it"


def notebook_of(*cells, **metadata) -> nbformat.NotebookNode:
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    return new_notebook(cells=list(cells), metadata=metadata)


def code(source: str, *tags: str, shows: bool = True):
    outputs = [new_output("stream", text="4\n")] if shows else []
    return new_code_cell(source, outputs=outputs, metadata={"tags": list(tags)} if tags else {})


def test_rules():
    cells = [
        (new_markdown_cell("# Title"), "slide"),
        (code("import clt", "setup"), "skip"),
        (code("import torch", shows=False), "skip"),
        (code("seeds = [0]", "parameters"), "skip"),
        (new_markdown_cell("Can it run?"), "subslide"),
        (code("doctor()"), "fragment"),
        (new_markdown_cell("It can.\n\n## Predict first\n\nGuess."), "slide"),
        (code("answer()"), "fragment"),
        (new_markdown_cell("## A fact\n\n[where](a?b) `x?` $y?$\n\n<details>why?</details>"), "slide"),
        (code("figure()"), None),
        (code("def helper(): ...", shows=False), "skip"),
        (code("another()"), "subslide"),
        (new_markdown_cell("What was seen."), "fragment"),
        (new_markdown_cell("### Smaller\n\n```\n# no heading\n```"), "subslide"),
        (new_markdown_cell("**Exercise 1**. How many?"), "subslide"),
        (code("checks.f(f)", "exercise"), None),
        (code("checks.f(f)", "solution"), "skip"),
        (new_markdown_cell("```\n## no heading\n```"), "fragment"),
    ]
    assert tool.slide_types([cell for cell, _ in cells]) == [expected for _, expected in cells]


def test_only_slide_types_change(lesson, tmp_path):
    path = tmp_path / lesson.name
    bare = json.loads(lesson.read_text(encoding="utf-8"))
    for cell in bare["cells"]:
        cell["metadata"].pop("slideshow", None)
    path.write_text(json.dumps(bare, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
    before = path.read_bytes()
    assert tool.main(["--check", str(path)]) == 1
    assert path.read_bytes() == before, "--check writes nothing"
    assert tool.main([str(path)]) == 0
    once = path.read_bytes()
    assert once != before
    assert tool.main([str(path)]) == 0
    assert path.read_bytes() == once, "twice is once"
    assert tool.main(["--check", str(path)]) == 0
    found = json.loads(once)
    for cell in found["cells"]:
        cell["metadata"].pop("slideshow", None)
    again = json.dumps(found, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    assert again.encode() == before, "all else as it was, byte for byte"


def test_what_stood_beside_the_slide_type_stays(tmp_path):
    path = tmp_path / "a.ipynb"
    cells = [new_markdown_cell("# Title"), new_markdown_cell("## One"), code("f()")]
    cells[1].metadata["slideshow"] = {"slide_type": "notes", "other": 1}
    cells[2].metadata["slideshow"] = {"slide_type": "slide"}
    nbformat.write(notebook_of(*cells), path)
    assert tool.present(path) == 3
    found = nbformat.read(path, as_version=4).cells
    assert found[1].metadata["slideshow"] == {"slide_type": "slide", "other": 1}
    assert "slideshow" not in found[2].metadata


def test_presenting_asks_the_network_for_nothing_of_its_own():
    settings = (ROOT / "slides/live/settings/jupyterlab-rise/plugin.jupyterlab-settings").read_text(encoding="utf-8")
    settings = json.loads(re.sub(r"^\s*//.*$", "", settings, flags=re.M))
    assert settings["theme"] == "white", "the theme simple loads its fonts from elsewhere"
    assert settings["scroll"] is True
    css = (ROOT / "slides/live/rise.css").read_text(encoding="utf-8")
    assert not re.search(r"url\(|@import|https?:", css)
    [line] = [line for line in recipe("present") if "jupyter lab" in line]
    assert "--ip=127.0.0.1" in line.split()
    assert "token" not in line, "Jupyter makes a token of its own"
    assert line.split()[-1] == "build/present"
    for name in ("04", "notebooks/04_simcse.ipynb"):
        told = recipe("present", NB=name)
        assert "cp -r slides/live/. notebooks/04_simcse.ipynb build/present" in told
        assert "--LabApp.default_url=/rise/04_simcse.ipynb" in told[-1].split()
