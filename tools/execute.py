"""Re-execute notebooks in place, so that they can be committed with the outputs they produce.

    python tools/execute.py notebooks/01_triplet_loss.ipynb

Each notebook runs in a fresh kernel, in the folder it stands in. Its line "Runs in" is written from what was measured,
widget state is cleared and execution counts run 1..n. A notebook that fails is left as it was.
"""

import re
import sys
import threading
import time
from pathlib import Path

import nbformat
import psutil
from nbclient import NotebookClient

KEPT = {"kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"}}  # fmt: skip
WIDGET = "application/vnd.jupyter.widget-view+json"


class PeakMemory(threading.Thread):
    """Samples the memory of all processes below this one: the kernel and what it starts."""

    def __init__(self):
        super().__init__(daemon=True)
        self.peak, self.done = 0, threading.Event()

    def run(self):
        while not self.done.wait(0.1):
            total = 0
            for process in psutil.Process().children(recursive=True):
                try:
                    total += process.memory_info().rss
                except psutil.Error:
                    continue
            self.peak = max(self.peak, total)


def execute(path: Path) -> tuple[float, int]:
    """Run one notebook and write it back; returns seconds and bytes at the peak."""
    notebook = nbformat.read(path, as_version=4)
    memory, start = PeakMemory(), time.perf_counter()
    memory.start()
    here = {"metadata": {"path": path.parent}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=here).execute()
    seconds = time.perf_counter() - start
    memory.done.set()

    notebook.metadata = nbformat.from_dict(KEPT)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            # A stored progress bar is an empty box without the widget state, and says 0 % without the box.
            cell.outputs = [o for o in cell.outputs if WIDGET not in o.get("data", {})]
    head = notebook.cells[0]
    # Rounded up, so that the line changes only when the lesson does.
    line = f"*Runs in:* {5 * -(-seconds // 5):.0f} seconds and {-(-memory.peak // 10**8) / 10:.1f} GB on two CPU cores."
    head.source, found = re.subn(r"^\*Runs in:\*.*$", line, head.source, flags=re.M)
    if not found:
        raise ValueError(f'{path.name}: the first cell has no line that starts with "*Runs in:*"')
    nbformat.validate(notebook)
    nbformat.write(notebook, path)
    return seconds, memory.peak


if __name__ == "__main__":
    if not sys.argv[1:] or {"-h", "--help"} & set(sys.argv):
        sys.exit(__doc__)
    for name in sys.argv[1:]:
        seconds, peak = execute(Path(name))
        print(f"{name}: {seconds:.1f} s, {peak / 1e9:.2f} GB")
