"""tools/execute.py: a notebook is written back with what it printed, or left as it was."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

TOOL = Path(__file__).resolve().parent.parent / "tools" / "execute.py"


def execute(path: Path, *cells: str, head: str = "# Title\n\n*Runs in:* not measured yet.\n\nMore."):
    notebook = new_notebook(cells=[new_markdown_cell(head), *map(new_code_cell, cells)])
    notebook.cells[1].execution_count = 7
    nbformat.write(notebook, path)
    return subprocess.run([sys.executable, TOOL, path], capture_output=True, text=True)


def test_outputs_counts_and_the_measured_line(tmp_path):
    path = tmp_path / "lesson.ipynb"
    bar = "from tqdm.auto import tqdm\nfor _ in tqdm(range(3)): pass\nprint('done')"
    assert execute(path, "print(6 * 7)", bar).returncode == 0
    notebook = nbformat.read(path, as_version=4)
    assert [cell.execution_count for cell in notebook.cells[1:]] == [1, 2]
    assert notebook.cells[1].outputs[0].text == "42\n"
    assert [output.output_type for output in notebook.cells[2].outputs] == ["stream"], "the progress bar is not stored"
    assert "*Runs in:* 5 seconds and " in notebook.cells[0].source.replace("10 seconds", "5 seconds")
    assert notebook.cells[0].source.endswith("More.")
    assert notebook.metadata.kernelspec.name == "python3"
    assert "widgets" not in notebook.metadata


@pytest.mark.parametrize("cells", [["1 / 0"], ["print(1)"]])
def test_a_notebook_that_fails_is_left_as_it_was(tmp_path, cells):
    path = tmp_path / "lesson.ipynb"
    result = execute(path, *cells, head="# No line to write the time in" if cells == ["print(1)"] else "*Runs in:* x")
    assert result.returncode != 0
    assert nbformat.read(path, as_version=4).cells[1].execution_count == 7
