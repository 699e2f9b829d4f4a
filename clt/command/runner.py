"""Many notebooks, several at a time: start, follow, stop."""

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from clt.command.executor import Lesson, execute, prepared
from clt.command.processes import kill_children, usable_cores
from clt.results.files import write_whole


def run_all(lessons: list[Lesson], output: Path, jobs: int, show: Callable[[list[Lesson]], None]) -> bool:
    """Run the lessons in order, ``jobs`` at a time, and call ``show`` with them several times a second.

    Each lesson carries its result afterwards. Returns whether the run was cut short by Ctrl-C: then what was running
    is stopped and marked ``interrupted``, what was waiting stays ``not run``, and what is done is kept.

    Each kernel leads a session of its own, which Ctrl-C in a terminal does not reach: what happens to the kernels is
    decided here alone. When this process is killed, they notice (``JPY_PARENT_PID``) and end.
    """
    waiting, stopped = deque(lessons), threading.Event()
    environment = dict(os.environ)
    environment.setdefault("CLT_RESULTS", str(output / "results"))
    if jobs > 1:  # or every kernel would start as many threads as there are cores
        environment.setdefault("OMP_NUM_THREADS", str(max(1, usable_cores() // jobs)))

    ended = []  # not Thread.join: interrupted by Ctrl-C, it takes a thread that runs for one that is over

    def work():
        try:
            while not stopped.is_set():
                try:
                    lesson = waiting.popleft()
                except IndexError:
                    return
                run_one(lesson, output, environment, stopped)
        finally:
            ended.append(True)

    workers = [threading.Thread(target=work, daemon=True) for _ in range(min(jobs, len(lessons)))]
    try:
        for worker in workers:
            worker.start()
        while len(ended) < len(workers):
            time.sleep(0.2)
            show(lessons)
    except KeyboardInterrupt:
        return True
    finally:
        stopped.set()
        while len(ended) < len(workers):
            kill_children()
            time.sleep(0.1)
    return False


def run_one(lesson: Lesson, output: Path, environment: dict[str, str], stopped: threading.Event) -> None:
    """Run one lesson and write ``NAME.ipynb`` and ``NAME.html``, also if a cell fails; nothing if it was stopped."""
    lesson.status, target = "running", output / f"{lesson.label}.ipynb"
    try:
        for earlier in (target, target.with_suffix(".html")):  # an earlier result must not pass for this run's
            earlier.unlink(missing_ok=True)
        notebook = prepared(lesson)
        execute(lesson, notebook, environment=environment | lesson.environment)
        if stopped.is_set() and lesson.problem:
            lesson.status, lesson.problem = "interrupted", ""
            return
        if lesson.cell or not lesson.problem:
            _keep(lesson, notebook, target)
    except Exception as error:  # a folder that went away, a full disk: the other lessons go on
        lesson.problem = lesson.problem or f"{type(error).__name__}: {error}"
    lesson.status = "failed" if lesson.problem else "passed"


def _keep(lesson: Lesson, notebook, target: Path) -> None:
    import nbformat

    from clt.command.pages import notebook_page

    write_whole(target, nbformat.writes(notebook) + "\n")
    try:
        write_whole(target.with_suffix(".html"), notebook_page(notebook, lesson.path))
    except Exception as error:  # the executed notebook is worth keeping without its page
        lesson.problem = lesson.problem or f"executed, but its page was not written: {type(error).__name__}: {error}"
