"""Every lesson goes on whatever a student hands in: nothing, a plausible wrong answer, the right one.

Each exercise is handed in three times, one after the other, and `checks.choose` has to go on with the solution, with
the solution, and with the student's answer, which what trains below then calls. (That a lesson runs to its end with
nothing handed in is tested wherever it runs as it stands.) Training is cut to two steps (ten where a lesson keeps the
loss of each tenth of a run), and a thin encoder stands in for clt-mini, whose readings would take most of the time. So
the cells that draw and compare are left out, and so is what asserts an effect.
"""

import ast
import copy
import json
import re
from pathlib import Path

import kit
import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))

STEPS = {"09_predicting": 10}  # of training; 2 in all other lessons
WIDE = {"06_label_aware", "13_negatives", "19_capstone"}  # they count on clt-mini's 256 numbers, and keep it
SHORT = '''
import functools
from clt import training

_train = training.train
training.train = lambda *a, steps, **options: _train(*a, steps=min(steps, STEPS), **options)


def calls_counted(answer):
    """The same function, which counts how often it is called."""
    @functools.wraps(answer)
    def call(*arguments, **options):
        call.calls += 1
        return answer(*arguments, **options)

    call.calls = 0
    return call
'''


def tags(cell) -> list[str]:
    return cell.metadata.get("tags", [])


def run(path: Path, encoder: Path, *answers) -> tuple[list[str], str]:
    """Run a lesson with each ``answer(stub, solution, name)`` in turn in the place of each stub.

    The checks keep clt-mini: what they ask of an answer stays what it is.

    Returns:
        the names of the exercises, and all that the solution cells and the cell added at the end printed.
    """
    notebook = nbformat.read(path, as_version=4)
    short = SHORT.replace("STEPS", str(STEPS.get(path.stem, 2)))
    cells, names = [nbformat.v4.new_code_cell(short)], []
    kept = [cell for cell in notebook.cells if cell.cell_type == "code" and "show" not in tags(cell)]
    for cell, following in zip(kept, [*kept[1:], None], strict=True):
        if "exercise" in tags(cell):
            *_, check = cell.source.rstrip().splitlines()
            name = re.fullmatch(r"checks\.\w+\((\w+)\)", check)[1]
            choose = ast.parse(following.source).body[-1]  # NAME = checks.choose(NAME, NAME_solution)
            lines = following.source.splitlines()[: choose.lineno - 1]
            solution = "\n".join(lines).rstrip().replace(f"{name}_solution", name)
            for answer in answers:
                handed_in, chosen = copy.deepcopy(cell), copy.deepcopy(following)
                handed_in.source = answer(cell.source, f"{solution}\n\n{check}", name)
                cells += [handed_in, chosen]
            names.append(name)
        elif "solution" not in tags(cell):
            cell.source = kit.without_asserts(cell.source)
            if path.stem not in WIDE:
                there = re.compile(r"(?<=encoder = )'clt-mini'|(?<=load\()'clt-mini'")
                cell.source = there.sub(lambda _: repr(str(encoder)), cell.source)
            cells.append(cell)
    told = "\n".join(f"print({name!r}, getattr({name}, 'calls', 'not counted'))" for name in names)
    cells.append(nbformat.v4.new_code_cell(told))
    notebook.cells = cells
    for cell in cells:
        cell.id = nbformat.v4.new_code_cell().id
    NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": path.parent}}
    ).execute()
    seen = [cell for cell in cells if "solution" in tags(cell)] + cells[-1:]
    return names, "\n".join(o.get("text", "") for cell in seen for o in cell.outputs)


def as_it_stands(stub: str, solution: str, name: str) -> str:
    return stub


def solved(stub: str, solution: str, name: str) -> str:
    body, _, check = solution.rpartition("\n")
    if f"def {name}(" not in body:
        return solution
    return f"{body}\n\n\n{name} = calls_counted({name})\n{check}\n{name}.calls = 0  # calls from here on count"


def wrong(stub: str, solution: str, name: str) -> str:
    """A function that returns half of what it should; a value that is none."""
    body, _, check = solution.rpartition("\n")
    if f"def {name}(" not in body:
        return f"{name} = None\n{check}"
    return (
        f"{body}\n_right_{name} = {name}\n\n\ndef {name}(*arguments, **options):\n"
        f"    found = _right_{name}(*arguments, **options)\n"
        f"    return found / 2 if hasattr(found, 'backward') or isinstance(found, float) else None\n\n\n{check}"
    )


@pytest.fixture(autouse=True)
def nothing_is_kept_and_no_public_set_is_there(tmp_path, monkeypatch):
    monkeypatch.delenv("CLT_DATA", raising=False)
    monkeypatch.setenv("CLT_RESULTS", str(tmp_path))
    monkeypatch.setenv("CLT_STRICT", "0")


@pytest.fixture(scope="session")
def tiny(thin) -> Path:
    """As many layers as clt-mini."""
    return thin(4)


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_lesson_goes_on_with_what_is_right(path, tiny):
    names, told = run(path, tiny, as_it_stands, wrong, solved)
    chosen = re.findall(r"goes on with (the solution|yours)", told)
    assert chosen == ["the solution", "the solution", "yours"] * len(names), json.dumps(told)
    calls = [int(n) for n in re.findall(r"^\w+ (\d+)$", told, re.M)]
    by_cells_that_draw = path.stem[:2] in ("00", "09")
    assert by_cells_that_draw or max(calls) > 0, "no cell below calls a function of the student's"
