"""A folder of submitted notebooks, each judged in a process of its own: what ``clt grade`` does.

From a submission run its cells tagged ``setup``, ``parameters`` and ``exercise``, and of all other cells the imports,
the definitions and the constants; no training, no figure. After each exercise cell the process calls the check itself:
what a submission prints, or stores as output, is not looked at. A process that crashes, takes too long or grows too
large is ended; the exercise at which that happened has no points, and a new process goes on with the next one.

The submission's code runs as the user who grades, in the process that calls the check. This keeps accidents apart, not
attacks: who means to can read files, use the network, or replace the check from inside.
"""

import csv
import json
import os
import queue
import re
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

STARTING = 120  # seconds a process may take to load torch before it reads the first exercise
WHOLE = {"setup", "parameters", "exercise"}  # cells that run as they are


@dataclass
class Cell:
    """Code to run, and the exercise it is, if it is one."""

    source: str
    exercise: str = ""
    whole: bool = False


@dataclass
class Grade:
    """One exercise of one submission."""

    points: int
    status: str  # passed, wrong, not attempted, time limit, memory limit, crashed, missing
    diagnosis: str = ""


@dataclass
class Submission:
    name: str
    status: str = "graded"
    grades: dict[str, Grade] = field(default_factory=dict)

    @property
    def points(self) -> int:
        return sum(grade.points for grade in self.grades.values())


def grade(path: Path, name: str, seconds: float, memory: float) -> Submission:
    """Judge one notebook; whatever is in it, the answer is a submission with its grades or its error."""
    submission = Submission(name)
    try:
        cells = read_cells(path)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        submission.status = f"error: not a Jupyter notebook (nbformat 4): {type(error).__name__}: {error}"
        return submission
    waiting = [cell.exercise for cell in cells if cell.exercise]
    if not waiting:
        submission.status = "error: it holds no exercise cell"
    while waiting:
        found, ended = judge(cells, waiting, seconds, memory)
        submission.grades |= found
        waiting = [exercise for exercise in waiting if exercise not in submission.grades]
        if waiting and ended is not None:
            submission.grades[waiting.pop(0)] = ended
    return submission


def read_cells(path: Path) -> list[Cell]:
    """The code cells of a notebook, without solutions; each exercise once."""
    from clt import checks

    raw = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    tags = [set((cell.get("metadata") or {}).get("tags") or []) for cell in raw]
    sources = ["".join(cell["source"]) for cell in raw]
    asked = [exercise_of(source, "exercise" in tagged) for source, tagged in zip(sources, tags, strict=True)]
    # Tags can be lost on the way. Without them the check call tells, and of several attempts the last one counts.
    chosen = {}
    for i, (name, tagged) in enumerate(zip(asked, tags, strict=True)):
        if name in checks._EXERCISES and "solution" not in tagged:
            before = chosen.get(name)
            if before is None or "exercise" in tagged or "exercise" not in tags[before]:
                chosen[name] = i
    return [
        Cell(source, asked[i] if chosen.get(asked[i]) == i else "", bool(tagged & WHOLE))
        for i, (source, tagged) in enumerate(zip(sources, tags, strict=True))
        if "solution" not in tagged and (asked[i] not in chosen or chosen[asked[i]] == i)
    ]


def exercise_of(source: str, tagged: bool) -> str:
    """The NAME of the last ``checks.NAME(...)`` in a cell; in a tagged cell without one, the function it defines."""
    from clt import checks

    if found := re.findall(r"^checks\.(\w+)\(", source, re.M):
        return found[-1]
    defined = re.findall(r"^def (\w+)", source, re.M) if tagged else []
    return next((name for name in reversed(defined) if name in checks._EXERCISES), "")


def judge(cells: list[Cell], wanted: list[str], seconds: float, memory: float) -> tuple[dict[str, Grade], Grade | None]:
    """Run one process until it is done or has to be ended: the grades so far, and that of the exercise it ended at."""
    key, events, grades = secrets.token_hex(), queue.Queue(), {}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = start(folder)
        try:
            order = {"key": key, "cells": [vars(cell) for cell in cells], "wanted": wanted, "memory": memory}
            process.stdin.write(json.dumps(order) + "\n")
            process.stdin.close()
        except OSError:  # it died before it could read
            pass
        threading.Thread(target=read_events, args=(process.stdout, key, events), daemon=True).start()
        deadline = time.monotonic() + max(STARTING, seconds)
        try:
            while True:
                with suppress(queue.Empty):
                    event = events.get(timeout=0.1)
                    if event is None:
                        process.wait(10)
                        return grades, Grade(0, "crashed", f"The process ended with exit code {process.returncode}.")
                    if "done" in event:
                        return grades, None
                    if "exercise" in event:
                        exercise = event.pop("exercise")
                        grades[exercise] = Grade(**event)
                    deadline = time.monotonic() + seconds
                if time.monotonic() > deadline:
                    return grades, Grade(0, "time limit", f"It did not end within {seconds:g} seconds.")
                if resident(process.pid) > memory * 1e9:
                    return grades, Grade(0, "memory limit", f"It took more than {memory:g} GB of memory.")
        finally:
            end(process)


def start(folder: str) -> subprocess.Popen:
    root = str(Path(__file__).resolve().parents[2])
    quiet = {"OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg", "HF_HUB_OFFLINE": "1", "CLT_STRICT": "0"}
    quiet["PYTHONPATH"] = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
    return subprocess.Popen(
        [sys.executable, "-m", "clt.command.judge"], cwd=folder, env=os.environ | quiet, text=True, encoding="utf-8",
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def read_events(stream, key: str, events: queue.Queue) -> None:
    """Put what the process reports into the queue, and None when it is over. Lines without the key are not its own."""
    with suppress(ValueError, OSError):  # the stream is closed from the other thread
        for line in stream:
            with suppress(ValueError, AttributeError):
                event = json.loads(line)
                if event.pop("key", None) == key:
                    events.put(event)
    events.put(None)


def family(pid: int) -> list[psutil.Process]:
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []


def resident(pid: int) -> int:
    total = 0
    for process in family(pid):
        with suppress(psutil.Error):
            total += process.memory_info().rss
    return total


def end(process: subprocess.Popen) -> None:
    """Kill the process with everything it started."""
    for member in reversed(family(process.pid)):
        with suppress(psutil.Error):
            member.kill()
    process.wait()
    process.stdout.close()


def write_csv(submissions: list[Submission], output: Path) -> None:
    """One row for each submission; for each exercise found in any of them points, status and diagnosis."""
    exercises = list(dict.fromkeys(name for submission in submissions for name in submission.grades))
    header = ["name", "status", "points", "of"]
    for name in exercises:
        header += [name, f"{name} status", f"{name} diagnosis"]
    partial = output.with_name(output.name + ".partial")
    with open(partial, "w", encoding="utf-8-sig", newline="") as file:  # the signature tells Excel that it is UTF-8
        writer = csv.writer(file)
        writer.writerow(header)
        for submission in submissions:
            row = [submission.name, submission.status, submission.points, len(exercises)]
            for name in exercises:
                found = submission.grades.get(name) or Grade(0, "missing")
                row += [found.points, found.status, found.diagnosis]
            writer.writerow([_harmless(value) for value in row])
    os.replace(partial, output)


def _harmless(value):
    """A text that a spreadsheet would take for a formula, made plain."""
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t" and value else value
