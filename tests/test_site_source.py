"""What tools/site.py makes of notebooks, Markdown, package, results and slides before Sphinx sees it; no browser."""

import json
import re
from pathlib import Path

import pytest
from loading import load_tool

from clt import results

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


tool, pages, plots = load_tool("site"), load_tool("site_pages"), load_tool("site_plots")


# -- links ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "text", "expected"),
    [
        ("notebooks/00_start_here.ipynb", "[on](01_triplet_loss.ipynb)", "[on](01_triplet_loss.ipynb)"),
        ("clt/checks/README.md", "[texts](../../data/README.md#labels)", "[texts](../../data/README.md#labels)"),
        (
            "data/README.md",
            "[code](../clt/data/__init__.py)",
            "[code](https://github.com/o/r/blob/v/clt/data/__init__.py)",
        ),
        ("data/README.md", "[folder](sts)", "[folder](https://github.com/o/r/tree/v/data/sts)"),
        ("data/README.md", "[here](#labels) [there](https://example.com/a.md)", None),
        ("data/README.md", "`[x](gone.md)` and $[x](y)$", None),
        ("data/README.md", "```\n[x](gone.md)\n```\n", None),
    ],
)
def test_links_lead_to_pages_or_to_the_repository(monkeypatch, origin, text, expected):
    monkeypatch.setattr(tool.Home, "read", lambda: tool.Home("o", "r", "v"))
    assert tool.relink(text, origin) == (expected or text)


def test_a_link_that_leads_nowhere_stops_the_build():
    with pytest.raises(tool.SiteError, match=r"data/README\.md: the link gone\.md leads nowhere"):
        tool.relink("`code` and [x](gone.md)", "data/README.md")


# -- notebooks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_lesson_keeps_its_code_and_outputs(path):
    before, after = pages.read_notebook(path), tool.page_of(pages.read_notebook(path), f"notebooks/{path.name}")
    assert len(after["cells"]) == len(before["cells"])
    for old, new in zip(before["cells"], after["cells"], strict=True):
        if old["cell_type"] == "code":
            assert new["source"] == old["source"]
            assert new["outputs"] == old["outputs"]
            tags = old["metadata"].get("tags", [])
            assert ("hide-input" in new["metadata"].get("tags", [])) == ("solution" in tags)
    first = "".join(after["cells"][0]["source"])
    assert "badge" not in first
    assert first.startswith("# ")
    assert "objectives" in first or "you can" in first, "only the badges are gone"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_lesson_has_its_line_on_the_home_page(path):
    card = tool.lesson_card(path)
    assert f":link: notebooks/{path.stem}\n" in card
    assert len(card.split("\n\n")[1]) > 30, "its promise"
    assert re.search(r"\n\n(\d+ exercises? · \d+ minutes|to read)\n:::", card)


def test_a_lesson_without_a_promise_stops_the_build(tmp_path):
    path = tmp_path / "09_x.ipynb"
    path.write_text(json.dumps({"cells": [{"cell_type": "markdown", "source": ["# 09 · X"]}]}), encoding="utf-8")
    with pytest.raises(tool.SiteError, match="no promise in bold"):
        tool.lesson_card(path)


def test_the_picture_of_the_home_page_comes_from_a_stored_output(monkeypatch):
    picture, alt = tool.home_picture()
    assert picture.startswith(b"\x89PNG")
    assert len(alt) > 30
    monkeypatch.setattr(tool, "HOME_PICTURE", (tool.HOME_PICTURE[0], "## No such heading"))
    with pytest.raises(tool.SiteError, match="under '## No such heading'"):
        tool.home_picture()


# -- what may be missing ----------------------------------------------------------------------------------------------


def test_slides_that_are_not_built_are_not_linked(tmp_path):
    text = pages.slides_page(tmp_path)
    assert "href" not in text
    assert "make course slides site" in text


def test_the_forms_of_a_deck_that_are_built_are_linked(tmp_path):
    stem, (title, _) = next(iter(pages.deck_titles().items()))
    for name in (f"{stem}.html", f"{stem}.pdf", "99-of-another-day.html"):
        (tmp_path / name).touch()
    text = pages.slides_page(tmp_path)
    assert re.findall(r'href="([^"]+)"', text) == [f"slides/{stem}.html", f"slides/{stem}.pdf"]
    assert f"**{title}**" in text
    assert "```{note}" not in text


def test_the_guide_is_there_when_it_is_written(monkeypatch, tmp_path):
    for guide in ("slides/theme.css", "slides/nobody-wrote-this.md"):  # any file that is there, and one that is not
        monkeypatch.setattr(tool, "GUIDE", guide)
        there = guide.endswith(".css")
        assert (guide in tool.pages()) == there
        assert ("a guide to teaching" in tool.home("x")) == there


@pytest.fixture
def recorded(tmp_path, monkeypatch) -> Path:
    """A folder of records, empty as yet, in place of the course's."""
    monkeypatch.setattr(results, "RECORDED", tmp_path)
    monkeypatch.setattr("clt.results.records.RECORDED", tmp_path)
    return tmp_path


def test_without_records_the_report_says_how_to_make_them(recorded, tmp_path):
    text = pages.report(tmp_path)
    assert "No record yet: 00_start_here" in text
    assert "clt record" in text
    assert "|" not in text, "no empty tables"


def test_the_report_shows_what_was_recorded_under_the_lessons_title(recorded, tmp_path):
    entry = {"values": [0.4, 0.5, 0.6], "mean": 0.5, "sd": 0.1, "setting": {}}
    record = {"made": {}, "found": {"sts.mean": entry}}
    (recorded / "00_start_here.json").write_text(json.dumps(record), encoding="utf-8")
    text = pages.report(tmp_path)
    assert "## [00 · Start here](notebooks/00_start_here.ipynb)\n" in text
    assert re.search(r"\| last layer, mean \| 46\.35 \| 50\.0 ± 10\.0 \(n = 3\) \|", text)
    assert "No record yet: 01_triplet_loss" in text
    assert 'data-lesson="00"' in text
    assert "svg" not in text, "one number is no figure"


def test_a_table_with_enough_rows_is_drawn_as_it_is_recorded(tmp_path):
    rows = [
        {"name": name, "paper": paper, "key": name}
        for name, paper in zip("abcd", (10.0, 20.0, 30.0, None), strict=True)
    ]
    found = {name: {"values": [v, v + 0.02], "mean": v + 0.01, "sd": 0.014, "setting": {}}
             for name, v in zip("abcd", (0.1, 0.3, 0.2, 0.9), strict=True)}  # fmt: skip
    pairs = plots.both({"rows": rows, "scale": 100}, found)
    assert {place: (paper, round(ours, 6)) for place, (paper, ours, _) in pairs.items()} == {
        1: (10.0, 11.0), 2: (20.0, 31.0), 3: (30.0, 21.0)}  # fmt: skip
    assert plots.both({"rows": rows[1:], "scale": 100}, found) == {}, "two rows are no figure"
    alt = plots.draw(pairs, tmp_path / "one.svg")
    assert "row 2: 20 and 31" in alt
    assert "0.50" in alt, "Spearman's correlation of 1, 2, 3 and 1, 3, 2"
    first = (tmp_path / "one.svg").read_bytes()
    plots.draw(pairs, tmp_path / "one.svg")
    assert (tmp_path / "one.svg").read_bytes() == first


# -- the package ------------------------------------------------------------------------------------------------------


def test_every_public_name_of_the_package_has_an_entry():
    import clt
    from clt import losses, metrics

    made = pages.api()
    assert set(made) == {"api/index.rst"} | {f"api/{name}.rst" for name in clt._MODULES}
    for name, module in {"losses": losses, "metrics": metrics}.items():
        assert set(re.findall(r"\.\. auto(?:function|class):: (\w+)", made[f"api/{name}.rst"])) == set(module.__all__)
    assert "clt grade" in made["api/command.rst"]
    assert "``info_nce_loss``" in made["api/checks.rst"]


def test_the_index_says_what_each_module_is_for():
    import clt

    rows = re.findall(r"\* - :doc:`(\w+)`\n     - (.+)", pages.api()["api/index.rst"])
    assert sorted(name for name, _ in rows) == sorted(clt._MODULES)
    assert all(len(text) > 20 for _, text in rows)


# -- the whole --------------------------------------------------------------------------------------------------------


def test_the_sources_are_the_same_each_time(tmp_path):
    pytest.importorskip("sphinx_design", reason="the extra site is not installed: make site")
    files = []
    for name in ("one", "two"):
        tool.prepare(tmp_path / name, tmp_path / "no slides")
        files.append({path.relative_to(tmp_path / name): path.read_bytes()
                      for path in (tmp_path / name).rglob("*") if path.is_file()})  # fmt: skip
    assert files[0] == files[1]
    assert not [name for name, text in files[0].items() if name.suffix in (".md", ".rst") and b"@{" in text]


@pytest.mark.slow
def test_built_twice_it_is_the_same_bytes(tmp_path, monkeypatch):
    """Three lessons, all that stands around them, and a module of the package; in two folders."""
    pytest.importorskip("sphinx_design", reason="the extra site is not installed: make site")
    for module in (tool, pages):
        shown = [NOTEBOOKS[0], ROOT / tool.HOME_PICTURE[0], ROOT / tool.HOME_NEIGHBOURS]
        monkeypatch.setattr(module, "lessons", lambda shown=shown: shown)
    monkeypatch.setenv("CLT_RESULTS", str(tmp_path / "no results"))
    index = "The package\n===========\n\n.. toctree::\n\n   similarity\n"
    made = {"api/index.rst": index, "api/similarity.rst": pages.module_page("similarity")}
    monkeypatch.setattr(tool, "api", lambda: made)
    files = []
    for name in ("one", "two"):
        tool.build(tmp_path / f"{name}-source", tmp_path / name, tmp_path / "no slides")
        files.append({path.relative_to(tmp_path / name): path.read_bytes()
                      for path in (tmp_path / name).rglob("*") if path.is_file()})  # fmt: skip
    assert [name for name in files[0] if files[0][name] != files[1].get(name)] == []
    assert len(files[0]) == len(files[1]) > 50


def test_a_warning_stops_the_build(tmp_path):
    pytest.importorskip("sphinx_design", reason="the extra site is not installed: make site")
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "conf.py").write_text("extensions = []\n", encoding="utf-8")
    (tmp_path / "source" / "index.rst").write_text("Title\n=====\n\n:doc:`gone`\n", encoding="utf-8")
    with pytest.raises(tool.SiteError):
        tool.sphinx(tmp_path / "source", tmp_path / "site")
