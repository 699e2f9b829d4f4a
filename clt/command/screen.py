"""What a run looks like in the terminal: lines that move, then a table."""

import os
import shutil
import sys
from pathlib import Path

import click

from clt.command.executor import Lesson
from clt.command.pages import megabytes

MARKS = {"passed": "✓", "failed": "✗", "interrupted": "!", "not run": "·", "running": "▸"}
MARKS |= {"ok": "✓", "warning": "!", "broken": "✗"}  # of `clt doctor`
PLAIN = {"✓": "+", "✗": "x", "·": "-", "▸": ">"}


def marked(word: str) -> str:
    """A status with its sign in front, as far as the terminal's encoding has it."""
    mark = MARKS[word]
    try:
        mark.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:  # code page 1252, as when output is redirected on Windows
        mark = PLAIN[mark]
    return f"{mark} {word}"


class Board:
    """A line for each notebook once it is done and, on a terminal, a moving one while it runs."""

    def __init__(self) -> None:
        self.moves = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self.drawn = 0  # moving lines at the bottom of the screen, to be drawn over
        self.told = set()

    def show(self, lessons: list[Lesson]) -> None:
        """Draw what changed."""
        done = [lesson for lesson in lessons if lesson.status in ("passed", "failed") and lesson.label not in self.told]
        running = [lesson for lesson in lessons if lesson.status == "running" and self.moves]
        if not (done or running or self.drawn):
            return
        columns = shutil.get_terminal_size().columns - 1  # a line that wraps could not be drawn over
        lines = [_line(lesson) for lesson in done] + [_line(lesson)[:columns] for lesson in running]
        over = f"\x1b[{self.drawn}A\x1b[J" if self.drawn else ""  # up to the first moving line, and clear from there
        click.echo(over + "".join(line + "\n" for line in lines), nl=False)
        self.drawn = len(running)
        self.told.update(lesson.label for lesson in done)


def _line(lesson: Lesson) -> str:
    place = f"cell {lesson.cell} of {lesson.cells}" if lesson.cell else "starting"
    # The name comes last: what a narrow terminal cuts off is the part that does not change.
    head = f"{marked(lesson.status):<9}  {lesson.elapsed:5.0f} s  {place:<14}  {megabytes(lesson.peak):>9}"
    return f"{head}  {lesson.name}  {lesson.note()}".rstrip()


def echo_summary(lessons: list[Lesson], output: Path) -> None:
    """The table, what went wrong, what was not done, and what to open."""
    width = max(len("notebook"), *(len(lesson.name) for lesson in lessons))
    click.echo(f"\n{'notebook':<{width}}  {'status':<13}  {'seconds':>7}  {'peak memory':>11}")
    for lesson in lessons:
        seconds = f"{lesson.seconds:.1f}" if lesson.seconds else "-"
        memory = megabytes(lesson.peak)
        click.echo(f"{lesson.name:<{width}}  {marked(lesson.status):<13}  {seconds:>7}  {memory:>11}")
    click.echo()
    for lesson in lessons:
        if lesson.problem:
            click.echo(f"{lesson.name} failed at {lesson.problem}")
    if left := [lesson.name for lesson in lessons if lesson.status in ("interrupted", "not run")]:
        click.echo(f"Stopped by Ctrl-C; not done: {', '.join(left)}.")
    click.echo(f"Open {output / 'index.html'}")
