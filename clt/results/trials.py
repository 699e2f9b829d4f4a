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
    store = Path(cache, lesson) if cache else None
    found: dict[str, dict[str, list]] = {}
    todo = [(name, seed) for name in variants for seed in seeds]
    bar = tqdm(todo, desc="trials", unit="run", disable=store is not None or len(todo) < 2)
    for done, (name, seed) in enumerate(bar):
        bar.set_postfix_str(f"{name}, seed {seed}", refresh=True)
        options = dict(variants[name])
        if store is None:
            result = run(seed=seed, **options)
        else:
            result = _remembered(store, run, name, options, seed, f"{done + 1} of {len(todo)}")
        for measure, value in result.items():
            found.setdefault(name, {}).setdefault(measure, []).append(value)
    for name, measures in found.items():
        for measure, values in measures.items():
            measured(lesson, f"{name}.{measure}", values, seeds=list(seeds), **setting, **variants[name])
    return found


def _remembered(store: Path, run: Callable, name: str, options: dict, seed: int, place: str) -> dict:
    """The trial's result from ``store``; run, and put there, if it is not there yet."""
    store.mkdir(parents=True, exist_ok=True)
    from clt.data import CHECKSUMS, data_dir

    texts = (data_dir() / CHECKSUMS).read_text(encoding="utf-8")
    what = json.dumps([executed(), texts, run.__name__, name, options, seed], sort_keys=True)
    path = store / f"{hashlib.sha256(what.encode()).hexdigest()[:24]}.json"
    if path.is_file():
        return json.loads(path.read_text(encoding="utf-8"))["result"]
    _say(store, f"{place}: {name}, seed {seed}")
    start = time.perf_counter()
    result = {measure: _plain(value) for measure, value in run(seed=seed, **options).items()}
    seconds = time.perf_counter() - start
    write_json(path, {"variant": name, "seed": seed, "options": options, "seconds": seconds, "result": result})
    _say(store, f"{place}: {name}, seed {seed}, took {seconds:.0f} s")
    return result


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
