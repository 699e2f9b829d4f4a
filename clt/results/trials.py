"""Variants × seeds: each trial run once, its numbers written down, and in a record remembered if the run is killed."""

import ast
import functools
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tqdm.auto import tqdm

from clt.data import digest
from clt.results.files import write_json
from clt.results.measured import measured, plain

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
        run: ``run(seed=…, **options)`` trains and returns ``{measure: number or curve}``. Best defined in an earlier
            cell: then a change of the cell that calls this one does not make finished trials run again.
        variants: ``{name: options}``, the options as JSON has them.
        seeds: one trial each.
        setting: what is the same for all, kept with the numbers beside each variant's own options.

    Returns:
        ``{variant: {measure: [one value per seed]}}``; the same numbers are under the keys ``variant.measure`` for
        :func:`clt.results.read` and, when ``clt record`` runs the notebook, in its record.

    When ``clt record`` runs it, a finished trial is kept on disk. A killed record goes on with the first unfinished
    one, and a trial is run again only if the cells above this one, its options, its seed, or the data or encoder that
    had been loaded have changed.
    """
    cache = os.environ.get("CLT_RECORD")
    here = _file(run) == sys._getframe(1).f_code.co_filename  # defined in this very cell, which then counts as well
    todo = [(name, seed) for name in variants for seed in seeds]
    if cache:
        done = _remembered(Path(cache, lesson), run, variants, todo, executed(with_this_cell=here))
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


def _remembered(store: Path, run: Callable, variants: Mapping, todo: list[tuple[str, int]], code: str) -> dict:
    """The result of every trial, from ``store``; run, and put there, if it is not there or was made from other data.

    Several kernels may work on one store: each takes a trial that no living one has claimed.
    """
    store.mkdir(parents=True, exist_ok=True)
    paths, now = {}, functools.cache(digest)
    for name, seed in todo:
        what = json.dumps([code, run.__name__, name, dict(variants[name]), seed], sort_keys=True)
        paths[name, seed] = store / f"{hashlib.sha256(what.encode()).hexdigest()[:24]}.json"
    while missing := [trial for trial in todo if _finished(paths[trial], now) is None]:
        claimed = next((trial for trial in missing if _claim(paths[trial].with_suffix(".claim"))), None)
        if claimed is None:  # all are under way in other kernels
            time.sleep(1)
            continue
        name, seed = claimed
        place = f"{len(todo) - len(missing) + 1} of {len(todo)}: {name}, seed {seed}"
        _append(store / "progress.txt", f"{time.strftime('%H:%M:%S')}  {place}")
        start = time.perf_counter()
        result = {measure: plain(value) for measure, value in run(seed=seed, **variants[name]).items()}
        seconds = time.perf_counter() - start
        trial = {"variant": name, "seed": seed, "options": dict(variants[name]), "seconds": seconds, "result": result}
        write_json(paths[claimed], trial | {"loaded": _loaded(store)})
        paths[claimed].with_suffix(".claim").unlink(missing_ok=True)
        _append(store / "progress.txt", f"{time.strftime('%H:%M:%S')}  {place}, took {seconds:.0f} s")
    for path in paths.values():
        _append(store / "trials.txt", path.name)  # those of this record; others may be left from an earlier edition
    return {trial: _finished(path, now)["result"] for trial, path in paths.items()}


def _finished(path: Path, now: Callable[[str], str | None]) -> dict | None:
    """A trial from the store, unless it is not there or what it was made from has changed."""
    if not path.is_file():
        return None
    trial = json.loads(path.read_text(encoding="utf-8"))
    return None if any(now(part) != known for part, known in trial["loaded"].items()) else trial


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


def _loaded(store: Path) -> dict[str, str]:
    """The encoder and the data that this kernel has loaded so far, each with its SHA-256: a trial may use them all."""
    path = store / "loaded.jsonl"
    return dict(map(json.loads, path.read_text(encoding="utf-8").splitlines())) if path.is_file() else {}


def _append(path: Path, line: str) -> None:
    with open(path, "a", encoding="utf-8") as file:
        file.write(line + "\n")


def _file(function: Callable) -> str | None:
    return getattr(getattr(function, "__code__", None), "co_filename", None)  # in a notebook, one for each cell


def _ipython():
    try:
        from IPython import get_ipython
    except ImportError:
        return None
    return get_ipython()  # None outside of a notebook


def executed(*, with_this_cell: bool = False) -> str:
    """The code that this kernel has run in cells above the current one, as :func:`meaning` reads it."""
    shell = _ipython()
    ran = shell.user_ns["In"][1:] if shell else []
    return "\n".join(map(meaning, ran if with_this_cell else ran[:-1]))


def meaning(source: str) -> str:
    """A cell's code without what changes no number: comments, formatting, docstrings, asserts, the choice of trials."""
    from IPython.core.inputtransformer2 import TransformerManager

    tree = _Bare().visit(ast.parse(TransformerManager().transform_cell(source)))
    for node in ast.walk(tree):  # one text on every Python: from 3.12 on a definition has parameters of type
        if "type_params" in node._fields:
            node._fields = tuple(name for name in node._fields if name != "type_params")
    options = {"show_empty": True} if sys.version_info >= (3, 13) else {}  # and 3.13 would leave out what is empty
    return ast.dump(tree, annotate_fields=False, **options)


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
