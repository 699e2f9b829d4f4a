"""Build the slides: every number and every figure in a deck comes from the lessons' records.

    python tools/slides.py [DECK.md …] [--output FOLDER] [--no-pdf]

In a deck, and in its speaker notes,

- ``@{00_start_here:sts.mean}`` is the mean of what a lesson's record has under a key, as ``results.number`` prints it;
  ``@{00_start_here:sts.mean*100:.1f}`` multiplies and formats it; ``:spread`` prints mean ± sd over the seeds;
- ``@{01_triplet_loss:probe.random:=steps}`` is a setting that it was measured with;
- ``@{paper:00_start_here:sts_pooling:NAME}`` is the paper's number in the row NAME of a published table;
- ``@{table:00_start_here:sts_pooling}`` is that table, the paper's numbers beside ours;
- ``![w:600](figure:NAME)`` is the figure NAME of ``slides/figures`` as SVG, with its description as alt text.

A number that nobody recorded, a figure that nobody draws, and a decimal typed by hand stop the build; it names the
slide. What a build needs beside Python: Node, with ``npm ci`` done in ``slides``; for PDF, Chromium.
"""

import argparse
import html
import importlib.util
import itertools
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path

from clt import results

ROOT = Path(__file__).resolve().parent.parent
SLIDES = ROOT / "slides"
MARP = SLIDES / "node_modules" / "@marp-team" / "marp-cli" / "marp-cli.js"

PLACEHOLDER = re.compile(r"@\{([^{}\n]*)\}")
NUMBER = re.compile(r"(?P<name>.+?)(?:\*(?P<scale>\d+(?:\.\d+)?))?(?::(?P<form>spread|=\w+|\.\d+[fg%]))?")
FIGURE = re.compile(r"!\[(?:w:(?P<width>\d+))?\]\(figure:(?P<name>[\w-]+)\)")
NOT_SHOWN = re.compile(r"<!--.*?-->|```.*?```|`[^`\n]*`|\$\$.*?\$\$|\$[^$\n]+\$|<[^>]*>|\]\([^)]*\)|arXiv \S+", re.S)
TYPED = re.compile(r"\d+\.\d+")


class SlideError(Exception):
    """A deck says something that nobody measured; the text names the slide."""


def _among(names) -> str:
    return ", ".join(map(repr, names)) or "none"


def _table(lesson: str, key: str) -> dict:
    try:
        entries = {entry["table"]: entry for entry in results.published(lesson)}
    except ValueError as error:
        raise SlideError(str(error)) from error
    if key not in entries:
        raise SlideError(f"{lesson} has no published table {key!r}; it has {_among(entries)}")
    return entries[key]


def _paper(rest: str) -> str:
    lesson, table, name = (*rest.split(":", 2), "", "")[:3]
    rows = {str(row["name"]): row for row in _table(lesson, table)["rows"]}
    if name not in rows or rows[name]["paper"] is None:
        raise SlideError(f"{lesson}, table {table!r} has no published number for {name!r}; rows are {_among(rows)}")
    return next(r["paper"] for r in results.compare(_table(lesson, table), {}) if r[""] == name)


def _found(lesson: str) -> dict:
    try:
        return results.recorded(lesson).found
    except (FileNotFoundError, ValueError) as error:
        raise SlideError(str(error)) from error


def _beside(rest: str) -> str:
    lesson, _, key = rest.partition(":")
    entry, recorded = _table(lesson, key), _found(lesson)
    if missing := [row["key"] for row in entry["rows"] if row["key"] is not None and row["key"] not in recorded]:
        raise SlideError(f"{lesson} has not recorded {_among(missing)}; recorded are {_among(recorded)}")
    rows = [[row[""].replace("|", r"\|"), row["paper"].replace("-", "–"), row["record"].replace("-", "–")]
            for row in results.compare(entry, recorded)]  # fmt: skip
    return "\n".join("| " + " | ".join(row) + " |" for row in [["", "paper", "record"], ["---", "--:", "--:"], *rows])


def _recorded(text: str) -> str:
    lesson, _, rest = text.partition(":")
    part = NUMBER.fullmatch(rest)
    if not lesson or part is None:
        raise SlideError(f"@{{{text}}} is not of the form @{{lesson:key}}, @{{lesson:key*100:.1f}} or :spread")
    found = _found(lesson)
    if part["name"] not in found:
        raise SlideError(f"{lesson} has not recorded {part['name']!r}; recorded are {_among(found)}")
    form = part["form"] or ""
    if form.startswith("="):
        setting = found[part["name"]]["setting"]
        if form[1:] not in setting:
            raise SlideError(f"{lesson} recorded {part['name']!r} without {form[1:]!r}; settings are {_among(setting)}")
        return str(setting[form[1:]])
    values = [float(part["scale"] or 1) * value for value in found[part["name"]]["values"]]
    if form == "spread":
        if len(values) < 2:
            raise SlideError(f"{lesson} recorded {part['name']!r} once: one run has no spread")
        return results.spread(values)
    mean = sum(values) / len(values)
    return f"{mean:{form}}" if form else results.number(mean)


def value(text: str) -> str:
    """What stands for the placeholder ``@{text}``."""
    kind, _, rest = text.partition(":")
    return {"paper": _paper, "table": _beside}.get(kind, lambda _: _recorded(text))(rest)


def parts(deck: str) -> list[str]:
    """Front matter and slides: what stands between the rulers, without a ruler inside a block of code."""
    found, fenced = [[]], False
    for i, line in enumerate(deck.splitlines()):
        fenced ^= line.startswith("```")
        if line.rstrip() == "---" and not fenced and i > 0:
            found.append([])
        else:
            found[-1].append(line)
    return ["\n".join(lines) for lines in found]


def title(slide: str) -> str:
    return next((line.lstrip("# ") for line in slide.splitlines() if re.match(r"#+ ", line)), "no title")


def fill(deck: str, name: str, draw: Callable[[str], tuple[str, str]]) -> str:
    """The deck with every placeholder filled.

    Args:
        deck: the Markdown, with its front matter.
        name: what messages call the deck.
        draw: name of a figure → (path of its picture, alt text); ``KeyError`` if there is none.

    Raises:
        SlideError: naming each number or figure that there is not, with the number and the title of its slide.
    """
    head, *slides = parts(deck)
    filled, wrong = [head], []
    for number, slide in enumerate(slides, 1):
        problems = []

        def one(match, problems=problems):
            try:
                return value(match[1])
            except (SlideError, ValueError) as error:
                problems.append(str(error))
                return match[0]

        def picture(match, problems=problems):
            try:
                path, alt = draw(match["name"])
            except KeyError:
                problems.append(f"no figure {match['name']!r} in slides/figures")
                return match[0]
            except (SlideError, ValueError) as error:
                problems.append(f"figure {match['name']!r}: {error}")
                return match[0]
            width = f' width="{match["width"]}"' if match["width"] else ""
            return f'<img src="{html.escape(path)}" alt="{html.escape(alt)}"{width}>'

        shown = NOT_SHOWN.sub(" ", PLACEHOLDER.sub(" ", slide))
        problems += [f"{typed} is typed by hand: let a lesson record it" for typed in TYPED.findall(shown)]
        done = FIGURE.sub(picture, PLACEHOLDER.sub(one, slide))
        if not problems and ("@{" in done or "](figure:" in done):
            problems.append(f"not a placeholder: {re.search(r'(@{|!.*figure:).*', done)[0]}")
        wrong += [f"{name}, slide {number} ({title(slide)}): {problem}" for problem in problems]
        filled.append(done)
    if wrong:
        raise SlideError("\n".join(wrong))
    return "\n---\n".join(filled) + "\n"


@cache
def figures():
    """The package ``slides/figures``, loaded at the first figure: it needs matplotlib and the encoder."""
    folder = SLIDES / "figures"
    spec = importlib.util.spec_from_file_location(
        "slide_figures", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _draw(name: str, *, folder: Path, scheme: str) -> tuple[str, str]:
    known = figures()
    if name not in known.FIGURES:
        raise KeyError(name)
    try:
        return known.draw(name, folder, scheme)
    except KeyError as error:
        raise SlideError(f"looks for {error} and does not find it: was it recorded?") from error


def chromium() -> str | None:
    """The browser that prints the PDF."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return os.environ.get("CHROME_PATH") or next(filter(None, map(shutil.which, names)), None)


def marp(sources: list[Path], ending: str) -> list[Path]:
    """Markdown → HTML or PDF, by the ending, beside the sources; all of them in one folder, and made by one process."""
    node = shutil.which("node")
    if node is None:
        raise SlideError("Node 18 or newer is needed for slides, and is not installed (the README says how)")
    if not MARP.is_file():
        raise SlideError("Marp is not installed: make slides-setup")
    targets = [source.with_suffix(ending) for source in sources]
    for target in targets:
        target.unlink(missing_ok=True)
    command = [node, MARP, *(source.name for source in sources), "--config-file", SLIDES / "marp.config.mjs"]
    environment = dict(os.environ, NO_COLOR="1")
    if ending == ".pdf":
        command += ["--pdf", "--allow-local-files", "--browser", "chrome", "--browser-timeout", "120"]
        environment |= {"CHROME_PATH": chromium()}
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            environment |= {"CHROME_NO_SANDBOX": "1"}
    ran = subprocess.run(command, cwd=sources[0].parent, env=environment, stdin=subprocess.DEVNULL,
                         capture_output=True, text=True, encoding="utf-8", errors="replace")  # fmt: skip
    missing = [target.name for target in targets if not target.is_file()]
    if ran.returncode or missing:
        raise SlideError(f"marp could not make {', '.join(missing) or ending}:\n{ran.stdout}{ran.stderr}")
    return targets


def filled(deck: Path, scheme: str, output: Path) -> tuple[str, str]:
    """A deck's name in one of the two schemes, and its text with all numbers; its figures are drawn."""
    draw = partial(_draw, folder=output / f"figures-{scheme}", scheme=scheme)
    text, ending = fill(deck.read_text(encoding="utf-8"), deck.name, draw), "" if scheme == "light" else "-dark"
    return f"{deck.stem}{ending}", re.sub(r"(?m)^theme: clt$", f"theme: clt{ending}", text, count=1)


def in_both(deck: Path, output: Path) -> list[tuple[str, str]]:
    """A deck, light and dark, in one process: what its figures compute is computed once.

    With one thread: some processors round a product otherwise with two, and a deck built twice is the same bytes.
    """
    import torch

    torch.set_num_threads(1)
    return [filled(deck, scheme, output) for scheme in ("light", "dark")]


def build(decks: list[Path], output: Path, *, pdf: bool = True, jobs: int = 1) -> list[Path]:
    """Build each deck, light and dark, as HTML; and the light one as PDF where there is a browser.

    All decks are filled before the first is made: a number that is missing leaves no half of a build behind. With
    ``jobs`` above 1 that many processes draw figures.
    """
    output.mkdir(parents=True, exist_ok=True)
    make = partial(in_both, output=output)
    if jobs > 1:
        with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
            texts = list(pool.map(make, decks))
    else:
        texts = list(map(make, decks))
    sources = []
    for stem, text in itertools.chain.from_iterable(texts):
        sources.append(output / f"{stem}.md")
        sources[-1].write_text(text, encoding="utf-8")
    printed = [source for source in sources if not source.stem.endswith("-dark")] if pdf and chromium() else []
    with ThreadPoolExecutor(2) as pool:  # each waits for a Marp of its own
        pages = pool.submit(marp, sources, ".html")
        prints = pool.submit(marp, printed, ".pdf") if printed else None
        return pages.result() + (prints.result() if prints else [])


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Build the slides from the decks and the recorded results.")
    parser.add_argument("decks", nargs="*", type=Path, help="default: every slides/NN-*.md")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "slides")
    parser.add_argument("--no-pdf", dest="pdf", action="store_false")
    options = parser.parse_args(arguments)
    if options.pdf and not chromium():
        print("no Chromium found: no PDF is made", file=sys.stderr)
    try:
        decks = options.decks or sorted(SLIDES.glob("[0-9][0-9]-*.md"))
        made = build(decks, options.output.resolve(), pdf=options.pdf, jobs=os.cpu_count() or 1)
    except SlideError as error:
        print(
            f"{error}\nThe numbers come from the records in clt/recorded: clt record LESSON makes one", file=sys.stderr
        )
        return 1
    for path in made:
        print(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
