"""What the tests of lessons share: a lesson's functions without running it, and when two functions are the same."""

import ast
import functools
import json
import re
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
STEMS = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))


@functools.cache
def cells(stem: str) -> list[tuple[set[str], str]]:
    """Tags and source of a lesson's code cells; what only Jupyter understands is left out."""
    raw = json.loads((NOTEBOOKS / f"{stem}.ipynb").read_text(encoding="utf-8"))["cells"]
    code = [(set(c["metadata"].get("tags", [])), "".join(c["source"])) for c in raw if c["cell_type"] == "code"]
    return [(tags, re.sub(r"^\s*%.*$", "    pass", source, flags=re.M)) for tags, source in code]


def code(stem: str) -> list[str]:
    """The code cells, without the stubs of the exercises."""
    return [source for tags, source in cells(stem) if "exercise" not in tags]


def lesson(stem: str) -> dict:
    """A lesson's imports, parameters, functions and classes, each exercise under its name with its solution.

    The solution of NAME is ``NAME_solution``, or in the first form of a lesson the second definition of NAME.
    """
    space: dict = {}
    for tags, source in cells(stem):
        if tags & {"exercise", "setup"}:
            continue
        for node in ast.parse(source).body:
            defines = isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef)
            value = isinstance(node, ast.Assign | ast.AugAssign) and (
                "checks.choose" not in ast.unparse(node)
                if "solution" in tags
                else ast.unparse(node).partition(" = ")[0].endswith("_solution")
            )
            if defines or value or "parameters" in tags:
                with suppress(NameError):  # made from what the lesson computed: it is not here
                    exec(compile(ast.Module([node], []), stem, "exec"), space)
    space.update({name.removesuffix("_solution"): space[name] for name in [*space] if name.endswith("_solution")})
    return space


def exercises(stem: str) -> list[tuple[str, str]]:
    """The check of each exercise and the name of what is handed to it."""
    stubs = [source for tags, source in cells(stem) if "exercise" in tags]
    return [call for source in stubs for call in re.findall(r"^checks\.(\w+)\((\w+)\)", source, re.M)]


def without_asserts(source: str) -> str:
    """The same cell, which claims nothing; a cell with a magic in it stays as it is."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return source
    return ast.unparse(ast.fix_missing_locations(Unclaimed().visit(tree)))


class Unclaimed(ast.NodeTransformer):
    """Nothing in the place of each assertion."""

    def visit_Assert(self, node: ast.Assert) -> ast.Pass:
        return ast.Pass()


def same(ours: Tensor, theirs: Tensor, *inputs: Tensor) -> None:
    """The same value and the same gradients, none of which is zero."""
    torch.testing.assert_close(ours, theirs)
    weight = torch.randn(ours.shape, generator=torch.Generator().manual_seed(9), dtype=ours.dtype)
    mine, its = (torch.autograd.grad((value * weight).sum(), inputs, retain_graph=True) for value in (ours, theirs))
    assert all(gradient.any() for gradient in its), "a gradient of zero would compare nothing"
    torch.testing.assert_close(mine, its)


def rows(seed: int, *shape: int) -> Tensor:
    """Normally distributed rows of very different length, which want a gradient."""
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (x * torch.linspace(0.1, 5, shape[-2], dtype=torch.float64)[:, None]).requires_grad_()
