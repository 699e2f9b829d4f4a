"""Re-execute notebooks in place, so that they can be committed with the outputs they produce.

    python tools/execute.py LESSON …

LESSON is a notebook, or the number of a lesson: 04. Each runs in a fresh kernel, in the folder it stands in. Its line
"Runs in" is written from what was measured, widget state is cleared and execution counts run 1..n. A notebook that
fails is left as it was.
"""

import re
import sys

import nbformat

from clt.command.executor import Lesson, execute, prepared
from clt.command.plan import Refused, find_lessons
from clt.results.files import write_whole

KEPT = {"kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"}}  # fmt: skip
WIDGET = "application/vnd.jupyter.widget-view+json"


def write_back(lesson: Lesson) -> None:
    """Run one notebook and write it back; if it fails, ``lesson.problem`` says at what."""
    notebook = prepared(lesson)
    execute(lesson, notebook)
    if lesson.problem:
        return
    notebook.metadata = nbformat.from_dict(KEPT)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            # A stored progress bar is an empty box without the widget state, and says 0 % without the box.
            cell.outputs = [o for o in cell.outputs if WIDGET not in o.get("data", {})]
    head = notebook.cells[0]
    # Rounded up, so that the line changes only when the lesson does.
    seconds, memory = 5 * -(-lesson.seconds // 5), -(-lesson.peak // 10**8) / 10
    line = f"*Runs in:* {seconds:.0f} seconds and {memory:.1f} GB on two CPU cores."
    head.source, found = re.subn(r"^\*Runs in:\*.*$", line, head.source, flags=re.M)
    if not found:
        lesson.problem = 'the first cell: it has no line that starts with "*Runs in:*"'
        return
    nbformat.validate(notebook)
    write_whole(lesson.path, nbformat.writes(notebook) + "\n")


def main(names: list[str]) -> int:
    try:
        lessons = find_lessons(tuple(names))
    except Refused as error:
        sys.exit(f"Error: {error.message}")
    for lesson in lessons:
        write_back(lesson)
        said = (
            f"failed at {lesson.problem}" if lesson.problem else f"{lesson.seconds:.1f} s, {lesson.peak / 1e9:.2f} GB"
        )
        print(f"{lesson.name}: {said}", flush=True)
    return any(lesson.problem for lesson in lessons)


if __name__ == "__main__":
    if not sys.argv[1:] or {"-h", "--help"} & set(sys.argv):
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1:]))
