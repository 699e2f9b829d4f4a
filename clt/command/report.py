"""What ``clt report`` shows: every published table that a lesson measures again, the paper's numbers beside ours."""

import textwrap
from dataclasses import dataclass

from clt import results

WIDTH = 100


@dataclass
class Section:
    """A lesson: its published tables, and what its record found (empty if there is none)."""

    lesson: str
    entries: list[dict]
    recorded: dict


def collect() -> list[Section]:
    """All lessons with published tables, in teaching order."""
    lessons = sorted(path.stem for path in results.PUBLISHED.glob("*.yaml"))
    known = {path.stem for path in results.RECORDED.glob("*.json")}
    found = {lesson: results.recorded(lesson).found for lesson in lessons if lesson in known}
    return [Section(lesson, results.published(lesson), found.get(lesson, {})) for lesson in lessons]


def missing(sections: list[Section]) -> str:
    """Which lessons have no record, and which numbers a record lacks; empty if all is there."""
    lines = []
    if absent := [section.lesson for section in sections if not section.recorded]:
        lines.append(f"No record yet: {', '.join(absent)}. Make it with: clt record {' '.join(absent)}")
    for section in sections:
        keys = [row["key"] for entry in section.entries for row in entry["rows"] if row["key"] is not None]
        if section.recorded and (absent := [key for key in dict.fromkeys(keys) if key not in section.recorded]):
            lines.append(f"{section.lesson} did not measure: {', '.join(absent)}")
    return "\n".join(lines)


def as_text(sections: list[Section]) -> str:
    """For the terminal."""
    lines = []
    for section in sections:
        lines += [*([""] if lines else []), section.lesson, "=" * len(section.lesson)]
        if not section.recorded:
            lines.append("no record yet")
        for entry in section.entries if section.recorded else []:
            rows = results.compare(entry, section.recorded)
            lines += ["", entry["title"].strip(), "", *results.aligned(rows), ""]
            for note in notes(entry, section.recorded):
                lines += textwrap.wrap(note, WIDTH, subsequent_indent="  ", break_on_hyphens=False)
    return "\n".join(lines) + "\n"


def as_markdown(sections: list[Section]) -> str:
    """For a file."""
    lines = ["# The course's numbers beside the papers'"]
    for section in sections:
        lines += ["", f"## {section.lesson}"]
        if not section.recorded:
            lines += ["", "No record yet."]
        for entry in section.entries if section.recorded else []:
            rows = results.compare(entry, section.recorded)
            lines += ["", f"### {entry['title'].strip()}", "", *markdown_table(rows)]
            lines += ["", *(f"- {note}" for note in notes(entry, section.recorded))]
    return "\n".join(lines) + "\n"


def markdown_table(rows: list[dict[str, str]]) -> list[str]:
    """The lines of a table; the rows have the same keys."""
    return [_cells(rows[0]), "|---" * len(rows[0]) + "|", *(_cells(row.values()) for row in rows)]


def _cells(texts) -> str:
    return "| " + " | ".join(text.replace("|", r"\|") for text in texts) + " |"


def notes(entry: dict, recorded: dict) -> list[str]:
    """The notes of the table, the settings that all its measured rows share, and those they do not."""
    settings = [recorded[row["key"]]["setting"] for row in entry["rows"] if row["key"] in recorded]
    names = list(dict.fromkeys(name for setting in settings for name in setting))
    shared = [name for name in names if all(setting.get(name) == settings[0].get(name) for setting in settings)]
    run = [f"run with: {', '.join(f'{name} = {settings[0][name]}' for name in shared)}"] if shared else []
    if apart := [name for name in names if name not in shared]:
        run.append(f"not the same in all rows: {', '.join(apart)}")
    return [" ".join(note.split()) for note in results.notes(entry)] + run
