"""The slides as seen: nothing cut, broken, pale, too small or from outside, in Debian's Chromium.

Skipped, with the reason, where Node, Marp, Chromium or pytest-playwright are missing (``make slides-setup`` installs
what npm and PyPI have), and where the lessons have not been run: the slides looked at are those that are shown.
"""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from browsing import CHROMIUM
from decks import DECKS, ROOT, not_run, tool

from clt import results

FAULTS = (ROOT / "tests" / "slide_faults.js").read_text(encoding="utf-8")
GROUND = {"light": "#fcfcf9", "dark": "#14181e"}
BUILT = ROOT / "build" / "slides"

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("slides")]  # one browser: two on two cores are slower than one


@pytest.fixture(scope="session")
def marp():
    if shutil.which("node") is None:
        pytest.skip("Node is not installed")
    if not tool.MARP.is_file():
        pytest.skip("Marp is not installed: make slides-setup")


@pytest.fixture
def view(request, marp):
    """A page of Chromium."""
    pytest.importorskip("pytest_playwright", reason="the extra slides is not installed: make slides-setup")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    return request.getfixturevalue("page")


@pytest.fixture(scope="session")
def built(marp, tmp_path_factory):
    """A function from a deck to the folder in which it was built, light and dark, from what the lessons recorded.

    That is BUILT where ``make slides`` has been there since anything in the slides or the records changed.
    """
    folder, done = tmp_path_factory.mktemp("slides"), set()
    patterns = ("slides/*.*", "slides/figures/*.py", "tools/slides.py", "clt/**/*.py", "clt/published/*", "data/*/*")
    sources = [*(path for pattern in patterns for path in ROOT.glob(pattern)), *results.folder().glob("*.json")]
    changed = max(path.stat().st_mtime for path in sources)

    def build(deck: Path) -> Path:
        if missing := not_run(deck):
            pytest.skip(f"no record: {', '.join(missing)} (clt record)")
        made = [BUILT / f"{deck.stem}{scheme}.html" for scheme in ("", "-dark")]
        if all(path.is_file() and path.stat().st_mtime > changed for path in made):
            return BUILT
        if deck not in done:
            tool.build([deck], folder, pdf=False)
            done.add(deck)
        return folder

    return build


def figure_text(src: str, width: float) -> float | None:
    """The smallest text of a figure in pixels of the slide: matplotlib draws a glyph of 15 points at scale 0.15."""
    path = Path(src.removeprefix("file://"))
    if path.suffix != ".svg" or not path.is_file() or not width:
        return None
    svg = path.read_text(encoding="utf-8")
    points = [100 * float(scale) for scale in re.findall(r"scale\(([\d.]+) -[\d.]+\)", svg)]
    natural = float(re.search(r'width="([\d.]+)pt"', svg)[1])
    return min(points) * width / natural if points else None


def look(page, path: Path, count: int) -> tuple[list[list[str]], list[str]]:
    """What is wrong with each slide of a built deck, and with the deck."""
    deck = []
    page.on("console", lambda message: deck.append(f"console: {message.text}") if message.type == "error" else None)
    page.on("pageerror", lambda error: deck.append(f"console: {error}"))

    def watch(route):
        if route.request.url.startswith(("file:", "data:", "blob:")):
            route.continue_()
        else:
            deck.append(f"outside: {route.request.url}")
            route.abort()

    page.route("**/*", watch)
    page.set_viewport_size({"width": 1280, "height": 720})
    slides = []
    for number in range(1, count + 1):
        page.goto(f"{path.as_uri()}#{number}")
        page.wait_for_function(
            "n => { const s = document.querySelectorAll('svg.bespoke-marp-slide');"
            " return s.length && s[n - 1].classList.contains('bespoke-marp-active') }",
            arg=number,
        )
        seen = page.evaluate(FAULTS)
        for src, width in seen["images"]:
            size = figure_text(src, width)
            if size is not None and size < 15.95:
                seen["found"].append(f"small: {size:.1f} px in {Path(src).name}")
        slides.append(seen["found"])
    return slides, deck


@pytest.mark.parametrize("scheme", ["", "-dark"])
@pytest.mark.parametrize("deck", DECKS, ids=lambda deck: deck.stem)
def test_nothing_is_wrong_with_any_slide(built, view, deck, scheme):
    count = len(tool.parts(deck.read_text(encoding="utf-8"))) - 1
    slides, whole = look(view, built(deck) / f"{deck.stem}{scheme}.html", count)
    assert {number: found for number, found in enumerate(slides, 1) if found} == {}
    assert whole == []


@pytest.mark.parametrize("deck", DECKS, ids=lambda deck: deck.stem)
def test_built_twice_it_is_the_same_bytes(built, deck, tmp_path):
    first = built(deck)
    if first != BUILT:  # its figures were drawn in this very process
        tool.figures().made.cache_clear()
    tool.build([deck], tmp_path, pdf=False)
    made = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert {path.suffix for path in made} == {".html", ".md", ".svg"}
    assert [path for path in made if (first / path).read_bytes() != (tmp_path / path).read_bytes()] == []


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_printed_twice_it_is_the_same_bytes(marp, tmp_path):
    deck, printed = tmp_path / "deck.md", []
    deck.write_text(HEAD + "## One\n\nText, $x^2$.\n\n---\n\n## Two", encoding="utf-8")
    for _ in range(2):
        (made,) = tool.marp([deck], ".pdf")
        printed.append(made.read_bytes())
    assert printed[0][:5] == b"%PDF-"
    assert printed[0] == printed[1]


# -- the figures --------------------------------------------------------------------------------------------------


def luminance(rgb) -> np.ndarray:
    rgb = np.asarray(rgb, dtype=float)[..., :3]
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]


def figure_faults(fig, ground: str) -> list[str]:
    """Texts of a figure that are cut at its edge, pale on what lies behind them, or on top of one another."""
    from unittest.mock import patch

    from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
    from matplotlib.colors import to_rgba

    fig.set_facecolor(ground)
    for ax in fig.axes:
        ax.set_facecolor("none")
    texts, canvas = [], FigureCanvasAgg(fig)

    def keep(self, gc, x, y, s, prop, angle, ismath=False, mtext=None):  # what lies behind is drawn, the text is not
        if mtext is not None:
            texts.append(mtext)

    with patch.object(RendererAgg, "draw_text", keep):
        canvas.draw()
    behind, found, boxes = np.asarray(canvas.buffer_rgba()) / 255, [], []
    height, width = behind.shape[:2]
    for text in texts:
        box, said = text.get_window_extent(), " ".join(text.get_text().split())
        if box.x0 < -1 or box.y0 < -1 or box.x1 > width + 1 or box.y1 > height + 1:
            found.append(f"cut: {said}")
            continue
        if len(said) < 2:  # a single letter or digit is a mark, as on a map of labels
            continue
        under = behind[int(height - box.y1) : int(height - box.y0) + 1, int(box.x0) : int(box.x1) + 1, :3]
        colour = np.array(to_rgba(text.get_color(), text.get_alpha()))
        pair = luminance(colour[3] * colour[:3] + (1 - colour[3]) * under), luminance(under)
        ratio = np.median((np.maximum(*pair) + 0.05) / (np.minimum(*pair) + 0.05))
        if ratio < 4.5:
            found.append(f"contrast: {ratio:.1f} {said}")
        if text.get_rotation() % 90:  # its box is larger than itself
            continue
        for other, name in boxes:
            shared = box.intersection(box, other)
            if shared is not None and shared.width * shared.height > 0.1 * min(
                box.width * box.height, other.width * other.height
            ):
                found.append(f"over one another: {name} and {said}")
        boxes.append((box, said))
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("deck", DECKS, ids=lambda deck: deck.stem)
def test_no_text_in_a_figure_is_cut_pale_or_covered(built, deck, scheme):
    built(deck)
    names = {match["name"] for match in tool.FIGURE.finditer(deck.read_text(encoding="utf-8"))}
    made = {name: tool.figures().made(name, scheme) for name in sorted(names)}
    assert {name: found for name, fig in made.items() if (found := figure_faults(fig, GROUND[scheme]))} == {}


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        ([(0.5, 0.5, "fine", "black")], None),
        ([(0.97, 0.5, "beyond the edge", "black")], "cut"),
        ([(0.5, 0.5, "pale", "#bbbbbb")], "contrast"),
        ([(0.5, 0.5, "pale on its box", "white")], None),
        ([(0.3, 0.5, "one word", "black"), (0.35, 0.5, "another", "black")], "over one another"),
    ],
)
def test_a_planted_defect_of_a_figure_is_found(texts, kind):
    from matplotlib.figure import Figure

    fig = Figure(figsize=(4, 2))
    for x, y, said, colour in texts:
        box = {"facecolor": "#0072b2"} if "box" in said else None
        fig.text(x, y, said, color=colour, bbox=box, fontsize=15)
    found = figure_faults(fig, GROUND["light"])
    assert [line.split(":")[0] for line in found] == ([kind] if kind else [])


# -- planted defects ----------------------------------------------------------------------------------------------

HEAD = "---\nmarp: true\ntheme: clt\npaginate: true\nmath: mathjax\n---\n\n<!-- footer: A source -->\n\n"
GLYPH = '<g transform="translate(10 20) scale(0.1 -0.1)"><path d="M0 0L50 50"/></g>'
TINY = f'<svg xmlns="http://www.w3.org/2000/svg" width="144pt" height="72pt" viewBox="0 0 144 72">{GLYPH}</svg>'
DEFECTS = {  # kind, and where: the slide that has it
    "nothing": "## Fine\n\nText, $x^2$, and `code_with_$`.\n\n$$\\frac{a}{b}$$",
    "overflow": "\n\n".join(["A line that takes its place."] * 16),
    "overflow in the width": "```\n" + "wide " * 60 + "\n```",
    "overflow into the footer": "<div style='height: 545px'>tall</div>\n\nlast line",
    "small": '<span style="font-size: 12px">small print</span>',
    "small in a figure": "![w:150](tiny.svg)",
    "body": '<span style="font-size: 20px">not for the last row</span>',
    "red maths": "$\\bm{x}$",
    "raw maths": "\\\\(x^2\\\\) and text",
    "raw maths in a table": "| a |\n|---|\n| $$ x |",
    "broken image": "![a picture](nowhere.png)",
    "no alt text": "![](tiny.svg)",
    "contrast": '<span style="color: #999999">pale</span>',
    "contrast on a panel": '<div style="background: #333333; color: #777777">pale</div>',
    "console": "<script>console.error('planted')</script>",
    "outside": "![a picture](https://example.com/picture.png)",
}


@pytest.fixture(scope="module")
def planted(marp, tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted")
    (folder / "tiny.svg").write_text(TINY, encoding="utf-8")
    (folder / "planted.md").write_text(HEAD + "\n\n---\n\n".join(DEFECTS.values()), encoding="utf-8")
    tool.marp([folder / "planted.md"], ".html")
    return folder / "planted.html"


def test_a_planted_defect_of_each_kind_is_found(planted, view):
    slides, whole = look(view, planted, len(DEFECTS))
    found = dict(zip(DEFECTS, slides, strict=True))
    for name, kinds in found.items():
        if name not in ("nothing", "console", "outside"):
            kind = re.sub(r" (into|in|on) .*", "", name)
            assert any(line.startswith(f"{kind}:") for line in kinds), f"{name} was not found: {kinds}"
    assert found["nothing"] == []
    assert found["console"] == []
    assert any("planted" in line for line in whole if line.startswith("console"))
    assert any("example.com" in line for line in whole if line.startswith("outside"))
