"""The slides as text: no number that nobody measured, every lecture 45 minutes, every demo in its notebook."""

import json
import re

import pytest
from decks import DECKS, ROOT, quoted, tool

from clt import results

# -- placeholders -------------------------------------------------------------------------------------------------


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """Two small records in place of the course's; more can be added to them."""
    folder = tmp_path / "recorded"
    folder.mkdir()
    monkeypatch.setattr("clt.results.records.RECORDED", folder)

    def record(lesson: str, **entries: list[float]) -> None:
        path = folder / f"{lesson}.json"
        found = json.loads(path.read_text(encoding="utf-8"))["found"] if path.exists() else {}
        for key, values in entries.items():
            mean = sum(values) / len(values)
            found[key] = {"values": values, "mean": mean, "setting": {"steps": 20} if len(values) > 1 else {}}
        path.write_text(json.dumps({"made": {}, "found": found}), encoding="utf-8")

    record("03_info_nce", **{"simcse.sts.after": [0.7, 0.8, 0.9], "dev.+ contradiction, MLP kept": [0.5]})
    record("00_start_here", **{"sts.words": [0.4567]})
    return record


def filled(slide: str) -> str:
    def draw(name):
        return {"one": ("figures/one.svg", 'a "quoted" picture')}[name]

    return tool.fill(f"---\nmarp: true\n---\n\n# First\n\n---\n\n## Second\n\n{slide}\n", "05-test.md", draw)


@pytest.mark.parametrize(
    ("placeholder", "expected"),
    [
        ("@{03_info_nce:simcse.sts.after:.1f}", "0.8"),
        ("@{03_info_nce:simcse.sts.after}", "0.8"),
        ("@{03_info_nce:simcse.sts.after*100:.1f}", "80.0"),
        ("@{03_info_nce:simcse.sts.after:.0%}", "80%"),
        ("@{03_info_nce:simcse.sts.after:spread}", "0.800 ± 0.100 (n = 3)"),
        ("@{03_info_nce:simcse.sts.after*100:spread}", "80.0 ± 10.0 (n = 3)"),
        ("@{03_info_nce:dev.+ contradiction, MLP kept:.2f}", "0.50"),
        ("@{00_start_here:sts.words*100}", "45.7"),
        ("@{03_info_nce:simcse.sts.after:=steps}", "20"),
        ("@{paper:00_start_here:sts_pooling:last layer, mean}", "46.35"),
        ("@{paper:00_start_here:sts_pooling:mean of word vectors (paper: GloVe)}", "58.02"),
    ],
)
def test_a_placeholder_is_filled(recorded, placeholder, expected):
    assert f"\nX {expected} Y\n" in filled(f"X {placeholder} Y")
    assert f"<!-- note {expected} -->" in filled(f"<!-- note {placeholder} -->"), "speaker notes too"


@pytest.mark.parametrize(
    ("slide", "named"),
    [
        ("@{03_info_nce:simcse.sts.befor:.1f}", "03_info_nce has not recorded 'simcse.sts.befor'"),
        ("@{09_no_lesson:x}", "there is no record of '09_no_lesson'"),
        ("<!-- @{03_info_nce:gone} -->", "'gone'"),
        ("@{00_start_here:sts.words:spread}", "one run has no spread"),
        ("@{03_info_nce:simcse.sts.after:=epochs}", "without 'epochs'; settings are 'steps'"),
        ("@{simcse}", "not of the form"),
        ("@{paper:00_start_here:sts_pooling:nobody}", "no published number for 'nobody'"),
        ("@{paper:00_start_here:sts_pooling:last layer, [CLS]}", "no published number"),
        ("@{paper:00_start_here:nothing:x}", "no published table 'nothing'"),
        ("@{table:00_start_here:sts_pooling}", "has not recorded 'sts.cls'"),
        ("@{table:99_none:x}", "99_none"),
        ("![](figure:two)", "no figure 'two'"),
        ("![wide](figure:one)", "not a placeholder"),
        ("@{03_info_nce:a", "not a placeholder"),
        ("It scores 76.3 on STS.", "76.3 is typed by hand"),
    ],
)
def test_what_nobody_measured_stops_the_build_and_is_named(recorded, slide, named):
    with pytest.raises(tool.SlideError) as caught:
        filled(slide)
    assert "05-test.md, slide 2 (Second)" in str(caught.value)
    assert named in str(caught.value)


def test_every_gap_is_named_at_once(recorded):
    with pytest.raises(tool.SlideError) as caught:
        filled("@{03_info_nce:a} and @{03_info_nce:b}\n\n---\n\n## Third\n\n@{03_info_nce:c}")
    assert [line.split(": ")[0] for line in str(caught.value).splitlines()] == [
        "05-test.md, slide 2 (Second)", "05-test.md, slide 2 (Second)", "05-test.md, slide 3 (Third)",
    ]  # fmt: skip


def test_decimals_that_are_not_results_may_be_typed(recorded):
    filled("$\\tau = 0.05$, `margin=0.2`, arXiv 2307.10932 <span style='width: 1.5em'></span>")


def test_a_table_stands_beside_ours(recorded):
    recorded(
        "00_start_here",
        **{f"sts.{key}": [0.25] for key in ("cls", "mean", "first-last", "centred", "whitened", "overlap")},
    )
    table = filled("@{table:00_start_here:sts_pooling}")
    assert "| last layer, mean | 46.35 | 25 |" in table
    assert "| last layer, [CLS] | – | 25 |" in table
    assert "| mean of word vectors (paper: GloVe) | 58.02 | 45.7 |" in table


def test_a_bar_in_a_name_does_not_end_its_cell(recorded):
    keys = ["untrained", "centred", "(u, v)", "|u − v|", "u∗v", "(|u − v|, u∗v)", "(u, v, u∗v)", "(u, v, |u − v|)"]
    recorded("11_siamese", **{f"{key}.STS-B/test": [43.6] for key in [*keys, "(u, v, |u − v|, u∗v)"]})
    assert r"| (u, v, \|u − v\|) | 80.78 | 43.6 |" in filled("@{table:11_siamese:concatenation}")


def test_a_figure_becomes_an_image_with_its_alt_text(recorded):
    assert '<img src="figures/one.svg" alt="a &quot;quoted&quot; picture" width="600">' in filled(
        "![w:600](figure:one)"
    )


def test_a_ruler_in_code_is_no_new_slide():
    assert len(tool.parts("---\na: b\n---\none\n```\n---\n```\n\n---\ntwo")) == 3


def test_the_command_fails_and_names_key_and_slide(recorded, tmp_path, capsys):
    deck = tmp_path / "01-x.md"
    deck.write_text("---\nmarp: true\n---\n\n# Title\n\n@{03_info_nce:nothing}\n", encoding="utf-8")
    assert tool.main([str(deck), "--output", str(tmp_path / "out"), "--no-pdf"]) == 1
    assert "01-x.md, slide 1 (Title): 03_info_nce has not recorded 'nothing'" in capsys.readouterr().err
    assert not list((tmp_path / "out").iterdir()), "nothing half built"


# -- the decks as text --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("deck", DECKS, ids=lambda deck: deck.stem)
def test_the_lessons_record_what_the_deck_quotes(deck):
    assert not {(lesson, key) for lesson, key in quoted(deck) if key not in results.recorded(lesson).found}


@pytest.mark.parametrize("deck", DECKS, ids=lambda deck: deck.stem)
def test_a_deck_is_a_lecture_of_45_minutes(deck):
    slides = tool.parts(deck.read_text(encoding="utf-8"))[1:]
    assert 20 <= len(slides) <= 30
    clock = 0
    for number, slide in enumerate(slides, 1):
        note = slide[slide.rindex("<!--") :]
        took = re.search(r"Time: (\d+) min \(0:(\d\d)–0:(\d\d)\)", note)
        assert took, f"slide {number} has no timing"
        minutes, start, end = map(int, took.groups())
        assert (start, end) == (clock, clock + minutes), f"slide {number} starts at minute {clock}"
        clock = end
        assert "Ask:" in note or number == 1, f"slide {number} has nothing to ask"
        assert "_footer:" in slide or number == 1, f"slide {number} names no source"
    assert clock == 45
    notes = " ".join(slides)
    assert notes.count("Misconception") >= len(slides) * 2 // 3


def lesson(number: str) -> str:
    """What a lesson's cells say, as Markdown and code."""
    (path,) = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
    return "\n\n".join("".join(cell["source"]) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"])


@pytest.mark.parametrize("deck", DECKS, ids=lambda deck: deck.stem)
def test_a_section_or_exercise_that_a_slide_names_exists(deck):
    text = deck.read_text(encoding="utf-8")
    for number, heading in re.findall(r"[Ll]esson (\d\d), “(.+?)”", text):
        assert re.search(rf"(?m)^#+ {re.escape(heading)}(:|$)", lesson(number)), f"lesson {number} has no {heading!r}"
    for number, exercise in re.findall(r"[Ll]esson (\d\d), exercise (\d)", text):
        assert f"**Exercise {exercise}**" in lesson(number), f"lesson {number} has no exercise {exercise}"


@pytest.mark.parametrize("deck", DECKS, ids=lambda deck: deck.stem)
def test_the_live_demo_names_a_notebook_and_a_heading_that_exist(deck):
    demos = [s for s in tool.parts(deck.read_text(encoding="utf-8"))[1:] if "_class: demo" in s]
    assert demos
    for demo in demos:
        name, heading = re.search(r"notebooks/\w+\.ipynb", demo)[0], re.search(r"“(.+?)”", demo)[1]
        cells = json.loads((ROOT / name).read_text(encoding="utf-8"))["cells"]
        assert any(re.search(rf"(?m)^#+ {re.escape(heading)}$", "".join(cell["source"])) for cell in cells), heading
