"""A folder of submitted notebooks, each judged in a process of its own: what ``clt grade`` does.

This side starts the process that judges (:mod:`clt.command.judge`), follows it, and ends what takes too long, grows
too large, or is left behind. It never reads a submission: whatever is in one, the others get their grades. The exercise
at which a process ends has no point, and a new process goes on with the next one.

The submission's code runs as the user who grades, in the process that calls the check. This keeps accidents apart, not
attacks: code written to do so can read files, use the network, or replace the check from inside.
"""

import csv
import errno
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

FORKS = sys.platform == "linux"  # macOS forks as well, but its frameworks do not survive that
STARTING = 120  # seconds a process may take to load torch before it reads its first order
PATIENCE = 3  # a busy machine may take so many times longer, and who sleeps is woken then
MARK = "CLT_GRADED"  # in the environment of everything that a submission starts
# Nothing is shown, fetched or installed, and one thread does for functions of this size.
QUIET = {"MPLBACKEND": "Agg", "HF_HUB_OFFLINE": "1", "PIP_NO_INDEX": "1", "UV_OFFLINE": "1", "CLT_STRICT": "0"}
QUIET |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


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


def find_notebooks(folder: Path) -> list[Path]:
    """The notebooks in a folder and below; no checkpoints, and nothing that macOS or a file manager left there."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() == ".ipynb"
        and not path.name.startswith("._")
        and not {".ipynb_checkpoints", "__MACOSX"} & set(path.relative_to(folder).parts)
        and not path.is_dir()
    )


class Grader:
    """Grades submissions one after another: ``with Grader(seconds, memory) as grader``."""

    def __init__(self, seconds: float, memory: float):
        self.seconds, self.memory = seconds, memory
        self.mark = secrets.token_hex()
        self.process: subprocess.Popen | None = None

    def __enter__(self):
        self.home = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        return self

    def __exit__(self, *error) -> None:
        self._end()
        self.home.cleanup()

    def grade(self, path: Path, name: str) -> Submission:
        """Judge one notebook. Raises nothing: the answer is a submission with its grades or its error."""
        submission, waiting = Submission(name), True
        try:
            while waiting:
                before = len(submission.grades)
                exercises = self._judge(path.absolute(), submission)
                waiting = before < len(submission.grades) < len(exercises)
        except Exception as error:  # a full disk, no more processes: the next submission may fare better
            submission.status = f"error: {type(error).__name__}: {error}"
            self._end()
        return submission

    def _judge(self, path: Path, submission: Submission) -> list[str]:
        """Let one process judge what has no grade yet, until it is done or has to be ended: the exercises found."""
        exercises, at, ended, grades, heard = [], "", None, submission.grades, False
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            graded = {exercise: grade.points for exercise, grade in grades.items()}
            order = {"notebook": str(path), "folder": folder, "memory": self.memory, "graded": graded}
            key = self._send(order)
            began, used = time.monotonic() + STARTING, 0.0
            while ended is None:
                event = self._receive(key)
                if "exit" in event and not heard and self.served > 1:  # ended by an earlier submission
                    key = self._send(order)
                    continue
                heard, now, work, memory = heard or bool(event), time.monotonic(), *self._consumed()
                if "exercises" in event or "at" in event:
                    exercises, at = event.get("exercises", exercises), event.get("at", at)
                    began, used = now, work
                elif "grade" in event:
                    grades[at] = Grade(**event["grade"])
                elif "error" in event:
                    submission.status = f"error: {event['error']}"
                    break
                elif "done" in event:
                    break
                elif "exit" in event:
                    ended = Grade(0, "crashed", f"The process ended with exit code {event['exit']}.")
                elif now - began > PATIENCE * self.seconds or (heard and work - used > self.seconds):
                    ended = Grade(0, "time limit", f"It did not end within {self.seconds:g} seconds.")
                elif memory > self.memory * 1e9:
                    ended = Grade(0, "memory limit", f"It took more than {self.memory:g} GB of memory.")
            self._clear()
        if not exercises and submission.status == "graded":
            submission.status = f"error: {ended.diagnosis if ended else 'it holds no exercise cell'}"
        if ended and exercises:
            at = at or next(exercise for exercise in exercises if exercise not in grades)
            if at not in grades or grades[at].status not in ("passed", "wrong"):  # those were known before it ended
                grades[at] = ended
        return exercises

    def _send(self, order: dict) -> str:
        """Give an order to a process that waits for one, and return the key of what will be said about it."""
        if self.process is None or self.process.poll() is not None:
            self._start()
        self.served += 1
        key = secrets.token_hex()
        with suppress(OSError):  # it died before it could read
            self.process.stdin.write(json.dumps({"key": key, **order}) + "\n")
            self.process.stdin.flush()
        return key

    def _receive(self, key: str) -> dict:
        """What is said next about an order; empty if nothing is said for a tenth of a second."""
        try:
            event = self.events.get(timeout=0.1)
        except queue.Empty:
            return {}
        if event is None:
            return {"exit": self.process.wait()}
        return event if event.pop("key", None) == key else {}

    def _start(self) -> None:
        self._end()
        root = str(Path(__file__).resolve().parents[2])
        environment = os.environ | QUIET | {MARK: self.mark, "IPYTHONDIR": self.home.name}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
        if data := os.environ.get("CLT_DATA"):  # each submission runs in a folder of its own
            environment["CLT_DATA"] = os.path.abspath(data)
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "clt.command.judge"], cwd=self.home.name, env=environment, text=True,
            encoding="utf-8", errors="replace", stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        self.events, self.served = queue.Queue(), 0
        threading.Thread(target=read_events, args=(self.process.stdout, self.events), daemon=True).start()

    def _started(self) -> list[psutil.Process]:
        """The processes that came of the present submission, as far as their parents tell."""
        with suppress(psutil.Error):
            process = psutil.Process(self.process.pid)
            return process.children(recursive=True) + [process] * (not FORKS)
        return []

    def _consumed(self) -> tuple[float, int]:
        """Seconds of processor time and bytes of memory of all that came of the present submission."""
        seconds, memory = 0.0, 0
        for process in self._started():
            with suppress(psutil.Error):
                times = process.cpu_times()
                seconds += times.user + times.system
                memory += process.memory_info().rss
        return seconds, memory

    def _clear(self) -> None:
        """Kill all that a submission started, also what left its session, or lost its parents and kept the mark."""
        for _ in range(100):  # what multiplies is met again
            left = {p.pid: p for p in (*self._started(), *self._marked())}
            left = [p for p in left.values() if (p.pid != self.process.pid or not FORKS) and _lives(p)]
            if not left:
                break
            for process in left:
                with suppress(psutil.Error):
                    process.kill()
            time.sleep(0.01)
        if not FORKS:
            self._end()

    def _marked(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if process.environ().get(MARK) == self.mark:
                    found.append(process)
        return found

    def _end(self) -> None:
        """End the process that takes orders, with everything it started."""
        if self.process is None:
            return
        started = self._started()
        self.process.kill()
        for process in (*started, *self._marked()):
            with suppress(psutil.Error):
                process.kill()
        self.process.wait()
        with suppress(OSError):
            self.process.stdin.close()
        self.process = None


def _lives(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


def read_events(stream, events: queue.Queue) -> None:
    """Put each line of JSON into the queue, and None when it is over; what else is written there is not looked at."""
    with stream, suppress(OSError):
        for line in iter(lambda: stream.readline(1 << 20), ""):
            with suppress(ValueError, RecursionError):
                if isinstance(event := json.loads(line), dict):
                    events.put(event)
    events.put(None)


def try_to_write(output: Path) -> None:
    """Raise ``OSError`` before anything is graded if the table cannot be written there."""
    if output.is_dir():
        raise IsADirectoryError(errno.EISDIR, "it is a folder; name a file in it")
    partial = output.with_name(output.name + ".partial")
    partial.write_text("")
    partial.unlink()


def write_csv(submissions: list[Submission], output: Path) -> None:
    """One row for each submission; for each exercise found in any of them points, status and diagnosis."""
    exercises = list(dict.fromkeys(name for submission in submissions for name in submission.grades))
    header = ["name", "status", "points", "of"]
    for name in exercises:
        header += [name, f"{name} status", f"{name} diagnosis"]
    partial = output.with_name(output.name + ".partial")
    # The signature tells Excel that it is UTF-8. A file's name, or a message, may hold what UTF-8 cannot.
    with open(partial, "w", encoding="utf-8-sig", errors="backslashreplace", newline="") as file:
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
    """A text without control characters; one that a spreadsheet would take for a formula, made plain."""
    if not isinstance(value, str):
        return value
    value = re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", "\ufffd", value)
    return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t")) else value
