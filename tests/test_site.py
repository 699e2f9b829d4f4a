"""The course site, in the browser: every page is walked, and nothing on it is broken, raw, silent or from outside.

It walks what `make site` left in build/site. Without it, without Chromium, or without pytest-playwright these tests are
skipped and say what is missing. Each kind of defect is planted in a small page first, to show that it would be found.
"""

import functools
import http.server
import json
import re
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from browsing import CHROMIUM
from loading import load_tool
from site_walk import Walk, darken, ground, search, unfold

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "build" / "site"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MOVING = [path.stem for path in NOTEBOOKS if re.search(r"plots\.(animation|moving_points)\(", path.read_text("utf-8"))]

pytestmark = pytest.mark.xdist_group("slides")  # one browser, the one of the slides: two on two cores are slower


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def serve():
    """Folder → its address on this machine; the search of a site needs http."""
    started = []

    def start(folder: Path) -> str:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        started.append(server)
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    for server in started:
        server.shutdown()


def needs_a_browser() -> None:
    pytest.importorskip("pytest_playwright", reason="the extra site is not installed: make site")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")


@pytest.fixture
def view(request):
    """A page of Chromium at the width of a desktop."""
    needs_a_browser()
    page = request.getfixturevalue("page")
    page.set_viewport_size({"width": 1280, "height": 900})
    return page


@pytest.fixture(scope="module")
def site(serve) -> str:
    if not (SITE / "index.html").is_file():
        pytest.skip("the site is not built: make site")
    return serve(SITE)


@pytest.fixture(scope="module")
def walked(request, site):
    """Every page, opened once: the walk, what is wrong with each page, and what there is on the page of each lesson."""
    needs_a_browser()
    page = request.getfixturevalue("browser").new_page(viewport={"width": 1280, "height": 900})
    walk, wrong, there = Walk(page, site), {}, {}
    for name in pages():
        wrong[name] = walk.look(name)
        if re.fullmatch(r"notebooks/\d\d_\w+\.html", name):
            there[Path(name).stem] = parts(page)
    page.close()
    return walk, wrong, there


# -- the site ---------------------------------------------------------------------------------------------------------


def pages() -> list[str]:
    """Every page that Sphinx made; the decks under slides/ have tests of their own."""
    found = sorted(path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html"))
    return [name for name in found if not re.match(r"_static/|slides/\d\d-", name)]


def parts(page) -> SimpleNamespace:
    """What there is on the page of a lesson."""
    launches = ".dropdown-launch-buttons a", "links => links.map(a => decodeURIComponent(a.href))"
    return SimpleNamespace(
        pictures=page.locator(".cell_output img").count(),
        solutions=page.locator(".tag_solution details summary", has_text="Show the solution").count(),
        badges=page.locator("img[src*='badge']").count(),
        to_copy=page.locator("button.copybtn").count(),
        launches=page.eval_on_selector_all(*launches),
        folding=unfold(page),
    )


@pytest.mark.slow
def test_nothing_is_wrong_with_any_page(walked):
    walk, wrong, _ = walked
    assert not any(wrong.values()), "\n".join(f"{name}: {line}" for name, found in wrong.items() for line in found)
    assert len(walk.links) >= len(NOTEBOOKS) + 15, "lessons, the package, and what lies around them"
    assert walk.dead_ends(SITE) == []


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_lesson_is_all_there(walked, notebook):
    cells, there = json.loads(notebook.read_text(encoding="utf-8"))["cells"], walked[2][notebook.stem]
    shown = [out.get("data", {}) for cell in cells for out in cell.get("outputs", [])]
    pictures = [out for out in shown if "image/png" in out or "<img " in "".join(out.get("text/html", ""))]
    assert there.pictures == len(pictures)
    assert there.solutions == sum("solution" in cell["metadata"].get("tags", []) for cell in cells)
    assert there.folding == []
    assert there.to_copy >= sum(cell["cell_type"] == "code" for cell in cells)
    assert not there.badges
    home = load_tool("badges").Home.read()
    assert home.colab(f"notebooks/{notebook.name}") in there.launches
    binder = home.binder("").partition("?")[0]  # the site's own words after it differ
    assert any(link.startswith(binder) and link.endswith(f"notebooks/{notebook.name}") for link in there.launches)
    assert (SITE / "_sources" / "notebooks" / notebook.name).read_bytes() == notebook.read_bytes(), "make site again"


def test_the_lessons_stand_in_order_with_their_titles(site, view):
    view.goto(site)
    shown = view.eval_on_selector_all(
        ".bd-sidebar-primary a[href^='notebooks/']", "links => links.map(a => a.textContent)"
    )
    titles = ["".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"]).splitlines()[0][2:]
              for path in NOTEBOOKS]  # fmt: skip
    assert [text.strip() for text in shown] == titles
    cards = view.locator(".sd-card")
    assert cards.count() == len(NOTEBOOKS)
    assert view.locator("figure img.home-picture, img.home-picture").first.get_attribute("alt")
    asked, before, after = view.locator(".home-sentences p").all_inner_texts()
    assert len({text.split("\n")[-1] for text in (asked, before, after)}) == 3


@pytest.mark.slow
def test_a_search_finds_lesson_and_function(site, view):
    found = search(view, site, "hippocampus")
    assert any("notebooks/07_twin_loss.html" in link for link in found), found
    assert any("api/losses.html" in link for link in found), found
    assert search(view, site, "xyzzyplugh") == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "lesson"),
    [("SimCSE", "04"), ("QuickThoughts", "10"), ("Paccanaro", "08"), ("BGE-M3", "14"), ("InfoWord", "10"),
     ("ConSERT", "12"), ("Mirror-BERT", "12"), ("DPR", "14"), ("SigLIP", "15"), ("GradCache", "16"),
     ("SetFit", "17"), ("DeCLUTR", "10"), ("CERT", "10"), ("SBERT", "11"), ("ELECTRA", "09"), ("DeepMoji", "17")],
)  # fmt: skip
def test_a_method_is_found_by_its_papers_name(site, view, asked, lesson):
    found = search(view, site, asked)
    assert any(f"notebooks/{lesson}_" in link for link in found), found


def test_the_first_page_is_there_within_a_second(site, view):
    took = []
    for _ in range(3):  # the quickest: other tests run beside this one
        view.goto(site)
        took.append(view.evaluate("performance.getEntriesByType('navigation')[0].loadEventStart"))
    assert 0 < min(took) < 1000, took


def test_the_results_can_be_narrowed_to_a_lesson(site, view):
    view.goto(f"{site}report.html")
    tables = view.locator("section > h3")
    everything = [heading for heading in tables.all() if heading.is_visible()]
    view.get_by_role("button", name="04", exact=True).click()
    shown = [heading.inner_text() for heading in tables.all() if heading.is_visible()]
    assert 0 < len(shown) < len(everything)
    assert all(published in " ".join(shown) for published in ("SimCSE", "second view"))
    assert view.locator("img.result-plot:visible").count() >= 3
    assert view.url.endswith("?lesson=04")
    view.reload()
    assert [heading.inner_text() for heading in tables.all() if heading.is_visible()] == shown
    view.get_by_role("button", name="all lessons").click()
    assert len([heading for heading in tables.all() if heading.is_visible()]) == len(everything)


@pytest.mark.parametrize("lesson", MOVING)
def test_a_moving_picture_plays(site, view, lesson):
    view.goto(f"{site}notebooks/{lesson}.html")
    player = view.locator("[id^=clt-]:has(button)").first
    player.scroll_into_view_if_needed()
    picture = player.locator("img")
    at_first = picture.get_attribute("src")
    player.locator("button").click()
    view.wait_for_function("([picture, src]) => picture.src !== src", arg=[picture.element_handle(), at_first])


@pytest.mark.slow
def test_dark_is_dark_and_stays_so(site, view):
    view.emulate_media(color_scheme="light")
    view.goto(site)
    assert min(ground(view)) > 200
    assert darken(view) == []
    view.goto(f"{site}report.html")
    assert max(ground(view)) < 80, "the next page too"


def test_the_package_is_documented(site, view):
    from clt import losses

    view.goto(f"{site}api/losses.html")
    for name in losses.__all__:
        entry = view.locator(f"[id='clt.losses.{name}']")
        assert entry.count() == 1, name
        assert entry.locator("xpath=..").inner_text().count("\n") > 3, f"{name} has no text"


# -- planted defects --------------------------------------------------------------------------------------------------

PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="
DEFECTS = {
    "nothing": f'<p id="here">Text, <code>$x$</code>, $5.</p><a href="#here">on</a><img src="{PIXEL}" alt="a dot">',
    "console": "<script>console.error('planted')</script>",
    "console: an exception": "<script>undefined_name()</script>",
    "outside": '<img src="https://example.com/x.png" alt="a picture">',
    "outside: a style": '<link rel="stylesheet" href="https://example.com/x.css">',
    "not there": '<script src="nowhere.js"></script>',
    "maths": '<span class="math">\\(x^2\\)</span>',
    "maths: raw": "<p>where $x^2$ is large</p>",
    "maths: raw command": "<p>the \\tau of it</p>",
    "maths: an error": '<mjx-container><svg><g data-mml-node="merror"></g></svg></mjx-container>',
    "markup": "<p>:::{grid-item-card} 01 :link: notebooks/01</p>",
    "markup: a placeholder": "<p>in @{place}</p>",
    "broken image": '<img src="data:image/png;base64,AAAA" alt="a picture">',
    "alt": f'<img src="{PIXEL}">',
    "alt: a file name": f'<img src="{PIXEL}" alt="_images/abc.png">',
    "solution": '<div class="tag_solution"><div class="cell_input">return x @ y.T</div></div>',
    "solution: open": '<div class="tag_solution"><details open><div class="cell_input">x</div></details></div>',
    "wide": '<div style="width: 900px">wide</div>',
    "link": '<a href="gone.html">gone</a>',
    "anchor": '<a href="#gone">gone</a>',
}


def planted(folder: Path, body: str, name: str = "index.html") -> None:
    head = '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><link rel="icon" href="data:,">'
    head += '<meta name="viewport" content="width=device-width"><title>x</title></head>'
    (folder / name).write_text(f"{head}<body><h1>x</h1>{body}</body></html>", encoding="utf-8")


@pytest.mark.parametrize("name", DEFECTS)
def test_a_planted_defect_is_found(serve, view, tmp_path, name):
    planted(tmp_path, DEFECTS[name])
    walk = Walk(view, serve(tmp_path))
    found = walk.look("index.html") + walk.dead_ends(tmp_path)
    if name == "nothing":
        assert found == []
    else:
        kind = name.split(":")[0]
        assert any(line.startswith(f"{kind}:") for line in found), found


CODE = "<div class='cell_input'>return (x @ y.T).softmax(1)</div>"
FOLDS = {
    f"<details><summary>Show</summary>{CODE}</details>": [],
    f"<details open><summary>Show</summary>{CODE}</details>": ["the solution is shown"],
    f"<details><summary onclick='event.preventDefault()'>Show</summary>{CODE}</details>": [
        "the solution does not open"
    ],
    "<details><summary>Show</summary><div class='cell_input'></div></details>": ["the solution does not open"],
}


@pytest.mark.parametrize(("body", "wrong"), FOLDS.items())
def test_a_solution_that_does_not_unfold_is_found(serve, view, tmp_path, body, wrong):
    planted(tmp_path, body)
    view.goto(serve(tmp_path))
    assert unfold(view) == wrong


def test_a_search_that_finds_nothing_is_seen(serve, view, tmp_path):
    planted(tmp_path, "<div id='search-results'><p>Search finished, found no page.</p></div>", "search.html")
    assert search(view, serve(tmp_path), "word") == []


@pytest.mark.parametrize("switch", ["", "document.documentElement.dataset.theme = 'dark'"])
def test_a_switch_that_does_not_darken_is_found(serve, view, tmp_path, switch):
    choice = f'<button class="theme-change-button" data-mode="dark" onclick="{switch}">dark</button>'
    planted(tmp_path, f'<button class="theme-switch-button">colours</button>{choice}')
    view.goto(serve(tmp_path))
    assert darken(view)
