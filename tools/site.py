"""Build the course site: the notebooks with their stored outputs, the package, slides, results, teaching guide.

    python tools/site.py [--output FOLDER] [--sources-only]

The sources of the site are put together in ``build/site-source``: copies of the notebooks and of the Markdown that lies
elsewhere in the repository, and pages made from the package, the recorded results and the built slides. Then Sphinx
turns them into HTML; a warning stops it. What does not exist (the slides, a teaching guide, results) is left out, and
its page says how to make it. Nothing is executed, and the finished pages ask the network for nothing.
"""

import argparse
import base64
import html
import json
import os
import posixpath
import re
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from badges import Home
from site_pages import ROOT, api, lessons, read_notebook, report, slides_page

SLIDES = ROOT / "build" / "slides"
HOME_PICTURE = ("notebooks/03_info_nce.ipynb", "## Sentences: the batch as negatives")  # the last one under the heading
HOME_NEIGHBOURS = "notebooks/19_capstone.ipynb"  # whose neighbours, before and after, the home page shows
COPIES = ["data/README.md", "data/clt-mini/README.md", "clt/checks/README.md", "benchmarks/README.md"]
GUIDE = "slides/README.md"
# The course map: the number of a group's first lesson, its name, and what holds it together.
GROUPS = {
    0: ("The core", "In this order. From the cosine to the Twin Loss; each lesson needs those before it."),
    8: (
        "Where positives come from",
        "Neighbours, missing words, context. These and all that follow need the core alone.",
    ),
    11: ("Pairs and negatives", "Two sentences in one network, and which pairs of a batch teach what."),
    14: ("Further out", "Search, pictures beside words, and what changes when the batch grows."),
    17: ("Few labels, other languages, and all at once", "What carries over, and every loss at one budget."),
}
BADGES = re.compile(r"^\[!\[[^\]]*\]\(https?:[^)]*\)\]\([^)]*\).*\n?", re.M)
LINK = re.compile(r"(?P<open>\]\()(?P<target>[^)\s#]*)(?P<anchor>#[^)\s]*)?(?P<close>\))")
CODE = re.compile(r"^(?P<fence>```+|~~~+).*?^(?P=fence)|`[^`\n]+`|\$\$.*?\$\$|\$[^$\n]+\$", re.M | re.S)


class SiteError(Exception):
    """Something the site needs is not as it should be; the text says what."""


def pages() -> list[str]:
    """The files of the repository that become a page of the same name."""
    found = [f"notebooks/{path.name}" for path in lessons()]
    return found + [name for name in [*COPIES, GUIDE] if (ROOT / name).is_file()]


# -- text -----------------------------------------------------------------------------------------------------------


def relink(text: str, origin: str) -> str:
    """Markdown of the file ``origin`` with its relative links turned to pages of the site, or to the repository.

    Raises:
        SiteError: if a link leads to a file that does not exist.
    """
    known, published = set(pages()), Home.read()

    def one(match: re.Match) -> str:
        target = match["target"]
        if not target or re.match(r"[a-z][a-z+.-]*:", target):
            return match[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(origin), target))
        if not (ROOT / path).exists():
            raise SiteError(f"{origin}: the link {target} leads nowhere")
        if path not in known:
            kind = "tree" if (ROOT / path).is_dir() else "blob"
            target = f"{published.page}/{kind}/{published.tag}/{path}"
        return f"{match['open']}{target}{match['anchor'] or ''}{match['close']}"

    parts, end = [], 0
    for code in CODE.finditer(text):  # what looks like a link in code or in a formula is none
        parts += [LINK.sub(one, text[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*parts, LINK.sub(one, text[end:])])


def page_of(notebook: dict, origin: str) -> dict:
    """A notebook as the site shows it: no badges (the page has buttons), links that lead on, solutions folded."""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            text = relink(BADGES.sub("", "".join(cell["source"])), origin)
            cell["source"] = re.sub(r"\n{3,}", "\n\n", text)
        elif cell["metadata"].get("jupyter", {}).get("source_hidden"):
            what = "solution" if "solution" in cell["metadata"].get("tags", []) else "code"
            cell["metadata"].setdefault("tags", []).append("hide-input")
            prompts = {"code_prompt_show": f"Show the {what}", "code_prompt_hide": f"Hide the {what}"}
            cell["metadata"]["mystnb"] = prompts
    notebook["metadata"].pop("widgets", None)
    return notebook


def lesson_card(path: Path) -> str:
    """What the home page says of a lesson: its title, its one line, and the exercises with their minutes."""
    texts = ["".join(c["source"]) for c in read_notebook(path)["cells"] if c["cell_type"] == "markdown"]
    title = re.match(r"# (.+)", texts[0])
    promise = re.search(r"^\*\*([^*].*?)\*\*$", texts[0], re.M)
    if not title or not promise:
        raise SiteError(f"{path.name}: the first cell has no title, or no promise in bold")
    minutes = [int(m) for m in re.findall(r"\*\*Exercise \d+\*\* · \w+ · (\d+) minutes?", "\n".join(texts))]
    asked = f"{len(minutes)} exercise{'s' * (len(minutes) != 1)} · {sum(minutes)} minutes" if minutes else "to read"
    return (
        f":::{{grid-item-card}} {title[1]}\n:link: notebooks/{path.stem}\n:link-type: doc\n\n"
        f"{promise[1]}\n\n{asked}\n:::\n"
    )


def lesson_cards() -> str:
    """The cards of all lessons, grouped as the course map groups them."""
    starts, lines = sorted(GROUPS), []
    for start, end in zip(starts, [*starts[1:], 100], strict=True):
        cards = [lesson_card(path) for path in lessons() if start <= int(path.name[:2]) < end]
        if cards:
            name, about = GROUPS[start]
            lines += [f"### {name}", "", about, "", "::::{grid} 1 1 2 2", ":gutter: 3", "", *cards, "::::", ""]
    return "\n".join(lines)


def home_picture() -> tuple[bytes, str]:
    """The picture of the home page and its alt text, out of a lesson's stored outputs."""
    name, heading = HOME_PICTURE
    found, inside = [], False
    for cell in read_notebook(ROOT / name)["cells"]:
        if cell["cell_type"] == "markdown":
            headings = re.findall(r"^##? .*$", "".join(cell["source"]), re.M)
            inside = headings[-1] == heading if headings else inside
        elif inside:
            found += [out for out in cell["outputs"] if "image/png" in out.get("data", {})]
    if not found:
        raise SiteError(f"no picture for the home page: {name} has none under {heading!r}")
    alt = " ".join(found[-1]["metadata"]["image/png"]["alt"].split())
    return base64.b64decode("".join(found[-1]["data"]["image/png"])), alt


def home_sentences() -> str:
    """A sentence with what an encoder finds nearest, before training and after, out of a lesson's stored outputs."""
    cells = read_notebook(ROOT / HOME_NEIGHBOURS)["cells"]
    said = "".join("".join(out.get("text", "")) for cell in cells for out in cell.get("outputs", []))
    nearest = r"^(.+)\n  before +1\. (.+)\n(?: {5,}\d\. .+\n)*  after +1\. (.+)$"
    changed = [found for found in re.findall(nearest, said, re.M) if found[1] != found[2]]
    if not changed:
        raise SiteError(f"no sentences for the home page: in {HOME_NEIGHBOURS} no nearest neighbour changes")
    told = [html.escape(text) for text in changed[0]]
    number = Path(HOME_NEIGHBOURS).name[:2]
    rows = "".join(
        f'<p class="{kind}"><span>{name}</span>{text}</p>'
        for kind, name, text in zip(
            ("asked", "before", "after"), ("A sentence", "Nearest before", "Nearest after"), told, strict=True
        )
    )
    caption = f"What an encoder takes for nearest, before a short training and after it, in [lesson {number}]"
    return f'```{{raw}} html\n<div class="home-sentences">{rows}</div>\n```\n\n{caption}({HOME_NEIGHBOURS}).'


def home(picture_alt: str) -> str:
    """The home page, from docs/index.md."""
    name, start = HOME_PICTURE[0], f"notebooks/{lessons()[0].name}"
    published = Home.read()
    guide = (ROOT / GUIDE).is_file()
    picture = (
        f"```{{figure}} home.png\n:alt: {picture_alt}\n:class: home-picture\n\n"
        f"From [lesson {Path(name).name[:2]}]({name}): every row is a sentence, every column a sentence that follows "
        "from one of them. Before training all look alike. Afterwards the diagonal stands out: each with its own.\n```"
    )
    trees = {
        "Lessons": [f"notebooks/{path.stem}" for path in lessons()],
        "Results": ["report", "benchmarks/README"],
        "Teaching": ["slides", *([GUIDE.removesuffix(".md")] * guide), "clt/checks/README"],
        "Reference": ["api/index", "data/README", "data/clt-mini/README"],
    }
    values = {
        "sentences": home_sentences(),
        "picture": picture,
        "url": published.page,
        "repository": published.repository,
        "colab": published.colab(start),
        "binder": published.binder(start),
        "lessons": lesson_cards(),
        "guide": f", [a guide to teaching with them]({GUIDE})" * guide,
        "toctrees": "\n".join(
            "\n".join(["```{toctree}", ":hidden:", f":caption: {caption}", "", *names, "```", ""])
            for caption, names in trees.items()
        ),
    }
    text = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    return re.sub(r"@\{(\w+)\}", lambda match: values[match[1]], text)


# -- putting it together ----------------------------------------------------------------------------------------------


def mathjax() -> Path:
    """The one file of MathJax that the pages load."""
    try:
        return Path(distribution("sphinx-mathjax-offline").locate_file(
            "sphinx-mathjax-offline/static/mathjax/tex-svg-full.js"))  # fmt: skip
    except PackageNotFoundError as error:
        raise SiteError("the extra site is not installed: make site") from error


def prepare(target: Path, slides: Path = SLIDES) -> None:
    """Write the sources of the site to ``target``, afresh."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(ROOT / "docs", target, ignore=shutil.ignore_patterns("__pycache__"))
    (target / "_static" / "mathjax").mkdir()
    shutil.copyfile(mathjax(), target / "_static" / "mathjax" / mathjax().name)
    picture, alt = home_picture()
    (target / "home.png").write_bytes(picture)
    texts = {"index.md": home(alt), "report.md": report(target), "slides.md": slides_page(slides)} | api()
    for name in pages():
        if name.endswith(".ipynb"):
            texts[name] = json.dumps(page_of(read_notebook(ROOT / name), name), indent=1, ensure_ascii=False) + "\n"
        else:
            text = (ROOT / name).read_text(encoding="utf-8")
            texts[name] = relink(re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.S), name)
    for name, text in texts.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text(text, encoding="utf-8")


def sphinx(source: Path, target: Path) -> None:
    """Run Sphinx; its warnings are errors. The same sources make the same bytes."""
    # -P: the sources hold a folder clt, for a page of it, which must not stand before the package.
    command = [sys.executable, "-P", "-m", "sphinx", "-W", "--keep-going", "-q", "-E", "-b", "html",
               "-d", source.with_name(f"{source.name}.doctrees"), source, target]  # fmt: skip
    fixed = {"CLT_ROOT": str(ROOT), "PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": "0", "HF_HUB_OFFLINE": "1"}
    if subprocess.run(command, cwd=ROOT, env=os.environ | fixed).returncode:
        raise SiteError("Sphinx found something wrong: see above")


def build(source: Path, target: Path, slides: Path = SLIDES) -> None:
    """The whole site, from nothing, in ``target``; if it fails, the earlier one stays as it is."""
    prepare(source, slides)
    fresh = target.with_name(f"{target.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    sphinx(source, fresh)
    for path in lessons():  # the download button gives the notebook itself
        shutil.copyfile(path, fresh / "_sources" / "notebooks" / path.name)
    if slides.is_dir() and "slides/" in slides_page(slides):
        shutil.copytree(slides, fresh / "slides", ignore=shutil.ignore_patterns("*.md"), dirs_exist_ok=True)
    (fresh / ".nojekyll").touch()  # or GitHub Pages would hide what begins with an underscore
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Build the course site.")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "site")
    parser.add_argument("--sources-only", action="store_true", help="put the sources together, and stop")
    options = parser.parse_args(arguments)
    output = options.output.resolve()
    source = output.with_name(f"{output.name}-source")
    try:
        if options.sources_only:
            prepare(source)
        else:
            build(source, output)
    except SiteError as error:
        print(error, file=sys.stderr)
        return 1
    print(source if options.sources_only else output / "index.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())
