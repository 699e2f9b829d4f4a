"""What the tests of the slides share: the decks, the builder, and what a deck quotes."""

import inspect
import re
import sys
from pathlib import Path

from loading import load_tool

from clt import results

ROOT = Path(__file__).resolve().parent.parent
LESSON = re.compile(r'"(\d\d_[a-z_]+)"')
DECKS = sorted((ROOT / "slides").glob("[0-9][0-9]-*.md"))


tool = load_tool("slides")


def quoted(deck: Path) -> set[tuple[str, str]]:
    """Lesson and key of every recorded number that a deck quotes, its tables and figures included."""
    found = set()
    for text in tool.PLACEHOLDER.findall(deck.read_text(encoding="utf-8")):
        kind, _, rest = text.partition(":")
        if kind == "table":
            lesson, _, key = rest.partition(":")
            table = next(t for t in results.published(lesson) if t["table"] == key)
            found |= {(lesson, row["key"]) for row in table["rows"] if row["key"] is not None}
        elif kind != "paper":
            found.add((kind, tool.NUMBER.fullmatch(rest)["name"]))
    return found


def behind_figures(deck: Path) -> set[str]:
    """The lessons named in the modules that draw a deck's figures."""
    drawn = tool.figures().FIGURES
    names = {match["name"] for match in tool.FIGURE.finditer(deck.read_text(encoding="utf-8"))}
    modules = {drawn[name].__module__ for name in names & drawn.keys()}
    return {lesson for module in modules for lesson in LESSON.findall(inspect.getsource(sys.modules[module]))}


def not_run(deck: Path) -> list[str]:
    """The lessons that a deck or one of its figures quotes and that have no record."""
    lessons = {lesson for lesson, _ in quoted(deck)} | behind_figures(deck)
    return sorted(lesson for lesson in lessons if not (results.RECORDED / f"{lesson}.json").is_file())
