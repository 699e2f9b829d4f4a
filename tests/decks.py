"""What the tests of the slides share: the decks, the builder, and what a deck quotes."""

from pathlib import Path

from loading import load_tool

from clt import results

ROOT = Path(__file__).resolve().parent.parent
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


def not_run(deck: Path) -> list[str]:
    """The lessons that a deck quotes and that have not been run."""
    return sorted({lesson for lesson, _ in quoted(deck) if not results.read(lesson)})
