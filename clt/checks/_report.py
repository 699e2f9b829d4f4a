"""What a check tells: passed, not yet, or not attempted; and what is wrong, in words and numbers."""

import html
from dataclasses import dataclass, field

NOT_ATTEMPTED = "Replace the last line of the function by your own code and run it again."
NO_ANSWER = "Put your answer in the place of the dots and run it again."


@dataclass
class Report:
    """``passed`` is None while the exercise was not attempted. ``details``: property, whether it holds, numbers."""

    name: str
    passed: bool | None
    diagnosis: str
    details: list[tuple[str, bool, str]] = field(default_factory=list)

    def __str__(self) -> str:
        mark = {True: "passed", False: "not yet", None: "not attempted"}[self.passed]
        lines = [f"{self.name}: {mark}. {self.diagnosis}".rstrip()]
        lines += [f"  {'ok ' if ok else 'NO '} {what}{': ' + note if note else ''}" for what, ok, note in self.details]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        mark = {True: "✓ passed", False: "✗ not yet", None: "○ not attempted"}[self.passed]
        rows = "".join(
            f"<tr><td>{'✓' if ok else '✗'}</td><td>{html.escape(what)}</td><td>{html.escape(note)}</td></tr>"
            for what, ok, note in self.details
        )
        table = f"<table>{rows}</table>" if rows else ""
        return f"<p><b>{html.escape(self.name)}: {mark}.</b> {html.escape(self.diagnosis)}</p>{table}"
