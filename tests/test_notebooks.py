"""Every notebook keeps to the anatomy of the course, and what it teaches is what the package does."""

import ast
import json
import re
from pathlib import Path

import pytest
import torch

from clt import losses

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


class Notebook:
    def __init__(self, path: Path):
        self.path, self.raw = path, json.loads(path.read_text(encoding="utf-8"))
        self.cells = self.raw["cells"]
        self.code = [cell for cell in self.cells if cell["cell_type"] == "code"]
        self.prose = [self.source(cell) for cell in self.cells if cell["cell_type"] == "markdown"]

    @staticmethod
    def source(cell) -> str:
        return "".join(cell["source"])

    @staticmethod
    def tags(cell) -> list[str]:
        return cell["metadata"].get("tags", [])

    def tagged(self, tag: str) -> list[dict]:
        return [cell for cell in self.code if tag in self.tags(cell)]


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request) -> Notebook:
    return Notebook(request.param)


def test_there_are_notebooks():
    assert NOTEBOOKS


# These lessons still have the form of the first edition: longer cells, fewer words, wider code.
FIRST_EDITION = ()


def test_size(notebook):
    if notebook.path.stem in FIRST_EDITION:
        assert all(len(notebook.source(cell).splitlines()) <= 27 for cell in notebook.code)
        return
    assert 35 <= len(notebook.cells) <= 70
    assert len(notebook.code) <= 30
    for cell in notebook.code:
        source = notebook.source(cell)
        assert len(source.splitlines()) <= 18, source[:80]
    words = sum(len(re.sub(r"\]\([^)]*\)", "", text).split()) for text in notebook.prose)  # no address is read
    assert 1500 <= words <= 2800, words
    assert notebook.path.stat().st_size < 900_000


def test_code_is_narrow_enough_for_two_panes(notebook):
    if notebook.path.stem in FIRST_EDITION:
        pytest.skip("first edition")
    code = [cell for cell in notebook.code if "setup" not in notebook.tags(cell)]  # the same everywhere, and skipped
    lines = [line for cell in code for line in notebook.source(cell).splitlines()]
    assert [line for line in lines if len(line) > 88 and "http" not in line] == []


def test_head(notebook):
    head = notebook.prose[0]
    assert re.match(r"# \d\d · ", head)
    number = notebook.path.stem.split("_")[0]
    assert head.startswith(f"# {number} · ")
    for place in ("colab", "mybinder"):
        assert place in head
    assert head.count(notebook.path.name) == 2, "each link opens this notebook"
    assert "![" not in head, "a picture from elsewhere is broken offline"
    assert re.search(r"\*Runs in:\* \d+ seconds and \d+\.\d GB", head), "measured by tools/execute.py"
    assert "*You need:*" in head
    assert 3 <= head.count("\n- **") <= 5, "three to five objectives, each a verb in bold"


def test_order(notebook):
    first = next(i for i, cell in enumerate(notebook.code) if "setup" in notebook.tags(cell))
    parameters = [i for i, cell in enumerate(notebook.code) if "parameters" in notebook.tags(cell)]
    assert first == 0
    assert len(parameters) == 1
    assert parameters[0] <= 2
    text = "\n".join(notebook.prose)
    wanted = ["## Predict first", "## Break it", "## Beside the paper", "## What to remember", "### Test yourself",
              "### References", "**Next:**"]  # fmt: skip
    places = [text.find(heading) for heading in wanted]
    assert -1 not in places, wanted[places.index(-1)]
    assert places == sorted(places)
    assert text.count("<details>") >= 3, "three questions with folded answers"


def test_setup_is_the_same_everywhere(notebook):
    source = notebook.source(notebook.tagged("setup")[0])
    assert len(source.splitlines()) <= 6
    assert source.splitlines()[-1].strip().startswith("import"), "an install that failed must not pass"
    assert "torch" not in re.sub(r"#.*", "", source)
    assert source == Notebook.source(Notebook(NOTEBOOKS[0]).tagged("setup")[0])


def test_parameters_are_literals(notebook):
    names = []
    for statement in ast.parse(notebook.source(notebook.tagged("parameters")[0])).body:
        assert isinstance(statement, ast.Assign), "assignments only"
        ast.literal_eval(statement.value)
        names.append(statement.targets[0].id)
    assert "device" in names
    assert len(names) == len(set(names))


def test_outputs_are_those_of_one_clean_run(notebook):
    assert [cell["execution_count"] for cell in notebook.code] == list(range(1, len(notebook.code) + 1))
    assert "widgets" not in notebook.raw["metadata"]
    assert notebook.raw["metadata"]["kernelspec"]["name"] == "python3"
    for cell in notebook.code:
        for output in cell["outputs"]:
            assert output["output_type"] != "error"
            assert "widget-view" not in json.dumps(output)
            assert output.get("name") != "stderr", Notebook.source(cell)[:60]
    assert not re.search(r'[" (](/(home|root|tmp|work|Users)/|[A-Z]:\\)', json.dumps(notebook.raw)), (
        "a path of a machine"
    )


def test_figures_have_alt_text(notebook):
    figures = 0
    for cell in notebook.code:
        for output in cell["outputs"]:
            if "image/png" in output.get("data", {}):
                figures += 1
                assert len(output["metadata"].get("image/png", {}).get("alt", "")) > 30, Notebook.source(cell)[-200:]
    assert figures >= 3
    for text in notebook.prose:
        assert "![](" not in text
        assert not re.search(r"<img(?![^>]*alt=)", text)


def test_plots_end_with_show(notebook):
    for cell in notebook.code:
        pictures = [o for o in cell["outputs"] if "image/png" in o.get("data", {})]
        for output in pictures:
            assert output["output_type"] == "display_data", "a figure is shown by plt.show(), not as a cell's value"


def test_trained_cells_assert_their_lesson(notebook):
    """Outputs that depend on training are not compared, so each such cell, or the next, has to assert something."""
    free = [i for i, cell in enumerate(notebook.code) if "nbval-ignore-output" in notebook.tags(cell)]
    for i in free:
        near = [notebook.source(cell) for cell in notebook.code[i : i + 3]]
        assert any(re.search(r"\bassert[ _]", source) for source in near), near[0][:80]
    assert not notebook.tagged("nbval-skip")
    assert not notebook.tagged("raises-exception")


def test_exercises(notebook):
    exercises, solutions = notebook.tagged("exercise"), notebook.tagged("solution")
    assert len(exercises) == len(solutions) >= (1 if notebook.path.name.startswith("00") else 3)
    for exercise, solution in zip(exercises, solutions, strict=True):
        stub, answer = notebook.source(exercise).rstrip(), notebook.source(solution).rstrip()
        check = re.fullmatch(r"checks\.(\w+)\((\w+)\)", stub.splitlines()[-1])
        assert check, stub.splitlines()[-1]
        name = check[2]
        assert "raise NotImplementedError" in stub or re.search(rf"^{name} = \.\.\.", stub, re.M), "a stub"
        *before, choice = ast.parse(answer).body
        assert ast.unparse(choice) == f"{name} = checks.choose({name}, {name}_solution)"
        assert f"{name}_solution" in "\n".join(map(ast.unparse, before)), "never under the student's name"
        assert solution["metadata"]["jupyter"]["source_hidden"] is True
        assert notebook.code.index(solution) == notebook.code.index(exercise) + 1
        assert "not attempted" in json.dumps(exercise["outputs"], ensure_ascii=False)
    head = re.compile(r"\*\*Exercise \d\*\* · (easy|medium|hard) · \d+ minutes")
    told = [text for text in notebook.prose if head.search(text)]
    assert len(told) == len(exercises)
    for number, text in enumerate(told, 1):
        assert f"**Exercise {number}**" in text
        assert text.count("<details><summary>Hint ") == 2, "a question, then an operation"


def test_numbers_are_printed_through_one_helper(notebook):
    for cell in notebook.code:
        for output in cell["outputs"]:
            text = "".join(output.get("text", "")) if "ignore" not in "".join(notebook.tags(cell)) else ""
            assert not re.search(r"\d\.\d{5,}", text), f"more than three significant digits: {text[:200]}"


def definitions(notebook: Notebook, names: set[str]) -> dict:
    """The functions a notebook defines, taken out of it (the solution, where a stub comes first)."""
    space = {"torch": torch, "Tensor": torch.Tensor}
    exec("import torch.nn.functional as F\nfrom clt.similarity import squared_euclidean", space)
    for cell in notebook.code:
        if "exercise" in Notebook.tags(cell):
            continue
        for node in ast.parse(re.sub(r"^\s*%.*$", "    pass", Notebook.source(cell), flags=re.M)).body:
            if isinstance(node, ast.FunctionDef) and node.name in names:
                exec(compile(ast.Module([node], []), notebook.path.name, "exec"), space)
    assert names <= set(space), names - set(space)
    return space


def gradients(value, inputs):
    return torch.autograd.grad(value, inputs)


def test_lesson_1_teaches_the_packages_losses():
    found = definitions(
        Notebook(ROOT / "notebooks" / "01_triplet_loss.ipynb"),
        {"triplet_loss_slow", "triplet_loss_solution", "batch_hard_loss_solution"},
    )
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn(3, 8, 5, generator=generator, dtype=torch.float64).requires_grad_()
        for margin in (0.2, 1.0):
            ours, theirs = losses.triplet_loss(*x, margin=margin), found["triplet_loss_solution"](*x, margin=margin)
            assert found["triplet_loss_slow"](*x.detach(), margin=margin) == pytest.approx(ours.item())
            torch.testing.assert_close(theirs, ours)
            torch.testing.assert_close(gradients(theirs, x), gradients(ours, x))
            labels = torch.randint(0, 3, (8,), generator=generator)
            labels[:6] = torch.tensor([0, 1, 2, 0, 1, 2])  # each row needs a positive
            ours = losses.batch_triplet_loss(x[0], labels, margin=margin, mining="hard")
            theirs = found["batch_hard_loss_solution"](x[0], labels, margin=margin)
            torch.testing.assert_close(theirs, ours)
            torch.testing.assert_close(gradients(theirs, x), gradients(ours, x))


def test_parameter_files_fit_their_notebooks():
    import yaml

    path = ROOT / "notebooks" / "parameters" / "full.yaml"
    for stem, values in yaml.safe_load(path.read_text(encoding="utf-8")).items():
        source = Notebook.source(Notebook(ROOT / "notebooks" / f"{stem}.ipynb").tagged("parameters")[0])
        known = {statement.targets[0].id for statement in ast.parse(source).body}
        assert set(values) <= known, (stem, set(values) - known)


def test_no_formula_in_a_folded_text(notebook):
    """Between HTML tags neither the site nor Colab sets a formula."""
    for text in notebook.prose:
        for folded in re.findall(r"<summary>.*?</details>", text, re.S):
            assert "$" not in folded, folded[:100]
