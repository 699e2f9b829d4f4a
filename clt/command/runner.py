"""Many notebooks, each in its own process: start, follow, stop."""

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Lesson:
    """One notebook of a run, and how it fares."""

    path: Path
    title: str
    cells: int
    accepts: list[str]  # names of the parameters it has
    parameters: dict = field(default_factory=dict)  # the ones it is given
    worker: int = 1  # several may work on one record
    leave_out: str = ""  # a tag whose cells are not run
    environment: dict[str, str] = field(default_factory=dict)  # for its kernel, beside what all have
    note: Callable[[], str] = str  # what it says of its progress, beside the cell that runs
    status: str = "not run"  # running, then passed, failed or interrupted
    cell: int = 0
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


def run_all(lessons: list[Lesson], output: Path, jobs: int, show: Callable[[list[Lesson]], None]) -> bool:
    """Run the lessons in order, ``jobs`` at a time, and call ``show`` with them several times a second.

    Each lesson carries its result afterwards. Returns whether the run was cut short by Ctrl-C: then what was running
    is stopped and marked ``interrupted``, what was waiting stays ``not run``, and what is done is kept.
    """
    waiting, running, events = deque(lessons), {}, queue.Queue()
    environment = dict(os.environ)
    if jobs > 1:  # or every kernel would start as many threads as there are cores
        environment.setdefault("OMP_NUM_THREADS", str(max(1, usable_cores() // jobs)))
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                lesson = waiting.popleft()
                lesson.status = "running"
                running[lesson.label] = start(lesson, output, environment, events)
            with suppress(queue.Empty):
                lesson, event = events.get(timeout=0.25)
                follow(lesson, event)
                if "exit" in event:
                    del running[lesson.label]
            show(lessons)
    except KeyboardInterrupt:
        return True
    finally:
        for process in running.values():
            stop(process)
        for lesson in lessons:
            if lesson.status == "running":
                lesson.status, lesson.seconds = "interrupted", lesson.elapsed
            (output / f"{lesson.label}.partial.ipynb").unlink(missing_ok=True)
    return False


def start(lesson: Lesson, output: Path, environment: dict, events: queue.Queue) -> subprocess.Popen:
    """Start the process of one lesson; it reports into ``events`` as ``(lesson, event)``, the last one its ``exit``."""
    target = output / f"{lesson.label}.ipynb"
    for earlier in (target, target.with_suffix(".html")):  # an earlier result must not pass for this run's
        earlier.unlink(missing_ok=True)
    errors = tempfile.TemporaryFile()  # noqa: SIM115 - open for as long as the process writes to it
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "clt.command.execute"],  # -P: a file beside a notebook must not shadow a module
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        env=environment | lesson.environment,
        # Ctrl-C goes to the terminal's whole group. The lessons leave it: `run_all` alone decides what happens to them.
        start_new_session=True,
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )

    def listen():
        for line in process.stdout:
            events.put((lesson, json.loads(line)))
        code = process.wait()
        with errors:
            errors.seek(0)
            last_words = errors.read().decode(errors="replace").strip().splitlines()[-1:]
        events.put((lesson, {"exit": code, "last words": "".join(last_words)}))

    threading.Thread(target=listen, daemon=True).start()
    order = {"source": str(lesson.path), "target": str(target), "parameters": lesson.parameters}
    order["leave_out"] = lesson.leave_out
    with suppress(OSError):  # a process that could not even start: its exit is reported like any other
        process.stdin.write(json.dumps(order).encode() + b"\n")
        process.stdin.flush()
    return process


def follow(lesson: Lesson, event: dict) -> None:
    """Write down what the process of a lesson reports."""
    if "cell" in event:
        lesson.cell = event["cell"]
        lesson.began = lesson.began or time.monotonic()
    if "peak" in event:
        lesson.peak = event["peak"]
    if "seconds" in event:
        lesson.seconds = event["seconds"]
    if "problem" in event:
        lesson.problem = event["problem"]
        lesson.status = "failed" if lesson.problem else "passed"
    if "exit" in event and lesson.status == "running":  # it ended without a result
        lesson.seconds, lesson.status = lesson.elapsed, "failed"
        lesson.problem = f"cell {lesson.cell} of {lesson.cells}: its process ended with code {event['exit']}"
        if event["last words"]:
            lesson.problem += f" ({event['last words']})"


def stop(process: subprocess.Popen) -> None:
    """Kill a process with everything it started."""
    import psutil

    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(process.pid)
        for member in [root, *root.children(recursive=True)]:  # listed first: they are found through their parent
            with suppress(psutil.NoSuchProcess):
                member.kill()
    process.wait()


def usable_cores() -> int:
    """Cores this process may use: fewer than the machine has, inside a container or a batch job."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
