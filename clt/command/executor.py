"""The one executor of notebooks: what is asked of one is put into it, and a kernel of its own runs it.

``clt run`` and ``clt record`` run many through :mod:`clt.command.runner`; ``tools/execute.py`` and ``tools/colab.py``
run one after the other.
"""

import atexit
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from clt.command.processes import repeatedly, resident

if TYPE_CHECKING:
    from nbformat import NotebookNode


@dataclass
class Lesson:
    """One notebook: what is asked of it, and how it fares."""

    path: Path
    title: str
    cells: int
    accepts: dict[str, object]  # the parameters it has, with their values there
    expected: int = 0  # seconds, as its own head says; 0 if it does not
    parameters: dict = field(default_factory=dict)  # the ones it is given
    worker: int = 1  # several may work on one record
    leave_out: str = ""  # a tag whose cells are not run
    environment: dict[str, str] = field(default_factory=dict)  # for its kernel, beside what all have
    note: Callable[[], str] = str  # what it says of its progress, beside the cell that runs
    status: str = "not run"  # running, then passed, failed or interrupted
    cell: int = 0  # the one that runs, counted from 1 as its reader does
    seconds: float = 0.0
    peak: int = 0  # bytes of resident memory, its kernel with everything that the kernel started
    problem: str = ""
    began: float | None = None  # on the monotonic clock, when its kernel was asked for

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def label(self) -> str:
        """Its name, and which of several workers on it this is."""
        return self.name if self.worker == 1 else f"{self.name}.{self.worker}"

    @property
    def elapsed(self) -> float:
        """Seconds until now while it runs, the measured ones afterwards."""
        return self.seconds or (time.monotonic() - self.began if self.began else 0.0)


def prepared(lesson: Lesson) -> "NotebookNode":
    """The notebook of a lesson, with the parameters it is given and without the cells that it leaves out."""
    import nbformat

    notebook = nbformat.reads(lesson.path.read_text(encoding="utf-8-sig"), as_version=4)
    for number, cell in enumerate(notebook.cells, 1):
        cell.metadata["number"] = number  # as its reader counts, whatever comes or goes below
    if lesson.leave_out:
        notebook.cells = [c for c in notebook.cells if lesson.leave_out not in c.metadata.get("tags", [])]
    if lesson.parameters:
        from papermill.parameterize import parameterize_notebook

        notebook.metadata.setdefault("papermill", {})
        for cell in notebook.cells:
            cell.metadata.setdefault("tags", [])  # papermill takes it that every cell has some
        notebook = parameterize_notebook(notebook, lesson.parameters, kernel_name="python3", language="python")
    return notebook


def execute(
    lesson: Lesson,
    notebook: "NotebookNode",
    *,
    folder: Path | None = None,
    kernel: str = "python3",
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run all cells of ``notebook`` in a new kernel, and keep in it what they print and show.

    Args:
        lesson: says at any time which cell runs and what memory the kernel takes; afterwards the seconds, and in
            ``problem`` what went wrong, empty if nothing did. Whatever a notebook does, nothing is raised.
        notebook: from :func:`prepared`.
        folder: where the kernel starts; by default where the notebook stands, as in Jupyter.
        kernel: the name of the kernel, whatever the notebook says: one last saved in another environment still runs.
        environment: of the kernel, instead of this process's own.
    """
    # jsonschema builds a grammar of web addresses when it finds this package: three seconds that no notebook needs.
    sys.modules["rfc3987_syntax"] = None
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    numbers, running = [cell.metadata.pop("number", None) for cell in notebook.cells], None

    def at_cell(cell, cell_index):
        nonlocal running
        running = cell_index
        lesson.cell = numbers[cell_index] or lesson.cell  # the cell of given parameters has no number

    def place() -> str:
        if running is None:
            return f"cell 0 of {lesson.cells}"
        cell = notebook.cells[running]
        tags = cell.metadata.get("tags", [])
        tagged = f" (tagged {', '.join(tags)})" if tags else ""
        return f"cell {lesson.cell} of {lesson.cells}{tagged} `{_first_line(cell.source)}`"

    client = NotebookClient(
        notebook, kernel_name=kernel, timeout=None, record_timing=False, on_cell_start=at_cell,
        resources={"metadata": {"path": str(folder or lesson.path.parent)}},
    )  # fmt: skip

    def measure():
        if pid := getattr(getattr(client.km, "provisioner", None), "pid", None):
            lesson.peak = max(lesson.peak, resident(pid))

    lesson.began = time.monotonic()
    # What the kernel itself prints stays out of the terminal; its last words may say why it died.
    with tempfile.TemporaryFile() as said, repeatedly(measure):
        try:
            client.execute(env=dict(os.environ if environment is None else environment), stdout=said, stderr=said)
        except CellExecutionError as error:
            lesson.problem = f"{place()}: {error.ename}: {_first_line(error.evalue)}"
            if error.ename == "SystemExit":
                lesson.problem = f"{place()}: left by SystemExit, so the cells below it did not run"
        except Exception as error:  # a dead kernel, a full disk: whatever it is, the other notebooks go on
            said.seek(0)
            words = said.read().decode(errors="replace").strip().splitlines()
            last = f" ({words[-1].strip()[:160]})" if words else ""
            if running is None:
                lesson.problem = f"{place()}: its kernel did not start{last or f' ({_first_line(str(error))})'}"
            elif isinstance(error, DeadKernelError):
                lesson.problem = f"{place()}: the kernel died; most often the system had no memory left for it{last}"
            else:
                lesson.problem = f"{place()}: {type(error).__name__}: {_first_line(str(error))}"
        finally:
            atexit.unregister(client._cleanup_kernel)  # nbclient forgets to where a kernel did not start
        lesson.seconds = round(time.monotonic() - lesson.began, 2)


def _first_line(text: str) -> str:
    from papermill.exceptions import strip_color

    lines = [line.strip() for line in strip_color(text).splitlines() if line.strip()]
    return lines[0][:160] if lines else ""
