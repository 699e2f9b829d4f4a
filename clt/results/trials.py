"""Variants × seeds: each trial run once, its numbers written down, and in a record remembered if the run is killed."""

import ast
import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tqdm.auto import tqdm

from clt.results.measured import measured, write_json

# These say which trials run, not what one of them finds: another choice leaves finished trials valid.
CHOICES = ("variants", "seeds", "device")


def trials(
    lesson: str,
    run: Callable[..., Mapping[str, object]],
    variants: Mapping[str, Mapping[str, object]],
    seeds: Sequence[int],
    **setting: object,
) -> dict[str, dict[str, list]]:
    """Run every variant with every seed, and write down what each measure gave.

    Args:
        lesson: the notebook's stem.
        run: ``run(seed=…, **options)`` trains and returns ``{measure: number or curve}``. Defined in an earlier cell.
        variants: ``{name: options}``, the options as JSON has them.
        seeds: one trial each.
        setting: what is the same for all, kept with the numbers beside each variant's own options.

    Returns:
        ``{variant: {measure: [one value per seed]}}``; the same numbers are under the keys ``variant.measure`` for
        :func:`clt.results.read` and, when ``clt record`` runs the notebook, in its record.

    When ``clt record`` runs it, a finished trial is kept on disk. A killed record goes on with the first unfinished
    one, and a trial is run again only if the cells above this one, its options or its seed have changed.
    """
    cache = os.environ.get("CLT_RECORD")
    todo = [(name, seed) for name in variants for seed in seeds]
    if cache:
        done = _remembered(Path(cache, lesson), run, variants, todo)
    else:
        done = {}
        bar = tqdm(todo, desc="trials", unit="run", disable=len(todo) < 2)
        for name, seed in bar:
            bar.set_postfix_str(f"{name}, seed {seed}", refresh=True)
            done[name, seed] = run(seed=seed, **variants[name])
    found: dict[str, dict[str, list]] = {}
    for name, seed in todo:
        for measure, value in done[name, seed].items():
            found.setdefault(name, {}).setdefault(measure, []).append(value)
    for name, measures in found.items():
        for measure, values in measures.items():
            measured(lesson, f"{name}.{measure}", values, seeds=list(seeds), **setting, **variants[name])
    return found


def _remembered(store: Path, run: Callable, variants: Mapping, todo: list[tuple[str, int]]) -> dict:
    """The result of every trial, from ``store`` or, if it is not there yet, run and put there.

    Several kernels may work on one store: each takes a trial that no living one has claimed.
    """
    from clt.data import CHECKSUMS, data_dir

    store.mkdir(parents=True, exist_ok=True)
    context = [executed(), (data_dir() / CHECKSUMS).read_text(encoding="utf-8"), run.__name__]
    paths = {
        (name, seed): store / f"{_digest([*context, name, dict(variants[name]), seed])}.json" for name, seed in todo
    }
    while missing := [trial for trial in todo if not paths[trial].is_file()]:
        claimed = next((trial for trial in missing if _claim(paths[trial].with_suffix(".claim"))), None)
        if claimed is None:  # all are under way elsewhere
            time.sleep(1)
            continue
        name, seed = claimed
        place = f"{len(todo) - len(missing) + 1} of {len(todo)}: {name}, seed {seed}"
        _say(store, place)
        start = time.perf_counter()
        result = {measure: _plain(value) for measure, value in run(seed=seed, **variants[name]).items()}
        seconds = time.perf_counter() - start
        what = {"variant": name, "seed": seed, "options": dict(variants[name]), "seconds": seconds, "result": result}
        write_json(paths[claimed], what)
        paths[claimed].with_suffix(".claim").unlink(missing_ok=True)
        _say(store, f"{place}, took {seconds:.0f} s")
    return {trial: json.loads(path.read_text(encoding="utf-8"))["result"] for trial, path in paths.items()}


def _digest(what: list) -> str:
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:24]


def _claim(path: Path) -> bool:
    """Take a trial for this process, unless another that still lives has taken it."""
    import psutil

    try:
        with open(path, "x", encoding="ascii") as file:
            file.write(str(os.getpid()))
        return True
    except FileExistsError:
        owner = path.read_text(encoding="ascii")
        if not owner or psutil.pid_exists(int(owner)):  # just being written, or at work
            return False
        path.unlink(missing_ok=True)
        return _claim(path)


def _plain(value):
    return [float(v) for v in value] if isinstance(value, Sequence) or getattr(value, "ndim", 0) else float(value)


def _say(store: Path, text: str) -> None:
    """One line of progress, for ``clt record`` to show and for a reader of the folder."""
    with open(store / "progress.txt", "a", encoding="utf-8") as file:
        file.write(f"{time.strftime('%H:%M:%S')}  {text}\n")


def executed() -> str:
    """The code that this kernel has run in cells above the current one, as :func:`meaning` reads it."""
    try:
        from IPython import get_ipython

        cells = get_ipython().user_ns["In"][1:-1]
    except (ImportError, AttributeError, KeyError):  # not in a notebook
        cells = []
    return "\n".join(meaning(cell) for cell in cells)


def meaning(source: str) -> str:
    """A cell's code without what changes no number: comments, formatting, docstrings, asserts, the choice of trials."""
    from IPython.core.inputtransformer2 import TransformerManager

    tree = ast.parse(TransformerManager().transform_cell(source))
    return ast.dump(_Bare().visit(tree), annotate_fields=False)


class _Bare(ast.NodeTransformer):
    def visit_Assert(self, node):
        return None

    def visit_Assign(self, node):
        names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        return None if names and all(name in CHOICES for name in names) else self.generic_visit(node)

    def visit_Expr(self, node):
        return None if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_FunctionDef(self, node):
        node.returns = None
        node = self.generic_visit(node)
        node.body = node.body or [ast.Pass()]
        return node

    def visit_arg(self, node):
        node.annotation = None
        return node
