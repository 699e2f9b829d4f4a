"""One notebook in a process of its own: ``python -m clt.command.execute``, started by ``clt run``.

The first line of standard input is the order, as JSON: ``source``, ``target``, ``parameters``, and ``leave_out``, a tag
whose cells are not run. Standard output
carries one JSON object a line: the cell that runs, the memory its kernel takes, and at last how it ended. When standard
input closes, whoever gave the order is gone, and this process ends with its kernel instead of running on for nobody.
"""

import json
import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import psutil


def execute(source: Path, partial: Path, parameters: dict, report, leave_out: str = "") -> tuple[float, str]:
    """Run ``source`` into ``partial``; return the seconds it took and what went wrong, empty if nothing did."""
    import nbformat

    # jsonschema builds a grammar of web addresses when it finds this package: three seconds that no notebook needs.
    sys.modules["rfc3987_syntax"] = None
    from papermill import PapermillExecutionError, execute_notebook
    from papermill.engines import NBClientEngine, papermill_engines

    cells, current = [], 0

    class ReportingEngine(NBClientEngine):
        """papermill's own engine, which also says when a cell starts."""

        @classmethod
        def execute_managed_notebook(cls, manager, kernel_name, **options):
            cells.extend(manager.nb.cells)
            papermills_cell_start = manager.cell_start

            def cell_start(cell, cell_index=None, **rest):
                nonlocal current
                current = cell_index
                report(cell=_number(cells, cell_index))
                return papermills_cell_start(cell, cell_index, **rest)

            manager.cell_start = cell_start
            return super().execute_managed_notebook(manager, kernel_name, **options)

    papermill_engines.register("clt", ReportingEngine)
    report(cell=0)
    begin, problem = time.perf_counter(), ""
    try:
        notebook = nbformat.read(source, as_version=4)
        notebook.cells = [c for c in notebook.cells if leave_out not in c.metadata.get("tags", [])]
        executed = execute_notebook(
            notebook,
            partial,
            parameters,
            engine_name="clt",
            kernel_name="python3",  # a notebook last saved in another environment still runs in this one
            language="python",
            progress_bar=False,
            cwd=source.parent,
        )
        if executed.metadata.papermill.exception:  # sys.exit(0) stops a notebook, and papermill takes it for success
            problem = f"{_place(cells, current)}: left by SystemExit, so the cells below it did not run"
    except PapermillExecutionError as error:
        problem = f"{_place(cells, error.cell_index)}: {error.ename}: {_first_line(error.evalue)}"
    except Exception as error:  # a dead kernel, a full disk: whatever it is, the other notebooks go on
        problem = f"{type(error).__name__}: {_first_line(str(error))}"
        if type(error).__name__ == "DeadKernelError":
            problem = "the kernel died; most often the system had no memory left for it"
        problem = f"{_place(cells, current)}: {problem}" if cells else problem
    return time.perf_counter() - begin, problem


def _number(cells: list, index: int) -> int:
    """Position in the notebook as its reader knows it: from 1, without the cell papermill puts in for parameters."""
    return sum("injected-parameters" not in cell.metadata.get("tags", []) for cell in cells[: index + 1])


def _place(cells: list, index: int) -> str:
    """Which cell: number, tags, first line of code."""
    tags = cells[index].metadata.get("tags", [])
    tagged = f" (tagged {', '.join(tags)})" if tags else ""
    return (
        f"cell {_number(cells, index)} of {_number(cells, len(cells) - 1)}{tagged} `{_first_line(cells[index].source)}`"
    )


def _first_line(text: str) -> str:
    from papermill.exceptions import strip_color

    lines = [line.strip() for line in strip_color(text).splitlines() if line.strip()]
    return lines[0][:160] if lines else ""


def watch_memory(report, every: float = 0.2) -> None:
    """Report each new peak of the resident memory of everything this process started: the kernel and its children.

    Sampled, so a peak shorter than ``every`` seconds can slip through; pages shared by two processes count twice.
    """
    me, peak = psutil.Process(), 0
    while True:
        total = 0
        for process in me.children(recursive=True):
            with suppress(psutil.Error):  # it may end between being listed and being asked
                total += process.memory_info().rss
        if total > peak:
            peak = total
            report(peak=peak)
        time.sleep(every)


def end_with_the_caller() -> None:
    """Wait until standard input closes, then take the kernel down with this process."""
    while os.read(0, 4096):  # not sys.stdin: a thread that waits inside its lock breaks the interpreter's shutdown
        pass
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            process.kill()
    os._exit(1)


def main() -> None:
    order = json.loads(sys.stdin.readline())
    source, target, parameters = Path(order["source"]), Path(order["target"]), order["parameters"]
    channel, lock = os.fdopen(os.dup(1), "w", encoding="ascii"), threading.Lock()
    os.dup2(2, 1)  # the kernel inherits standard output; what it prints there must stay out of the channel

    def report(**event):
        with lock:
            print(json.dumps(event), file=channel, flush=True)

    threading.Thread(target=end_with_the_caller, daemon=True).start()
    threading.Thread(target=watch_memory, args=(report,), daemon=True).start()
    partial = target.with_suffix(".partial.ipynb")
    seconds, problem = execute(source, partial, parameters, report, order.get("leave_out", ""))
    report(seconds=seconds)
    if partial.exists():
        from clt.command.pages import notebook_page

        try:
            target.with_suffix(".html").write_text(notebook_page(partial, source), encoding="utf-8")
        except Exception as error:  # as above; the executed notebook is worth keeping without its page
            problem = problem or f"executed, but its page was not written: {type(error).__name__}: {error}"
        os.replace(partial, target)
    report(problem=problem)


if __name__ == "__main__":
    main()
