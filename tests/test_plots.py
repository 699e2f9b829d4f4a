import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from clt import plots


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def drawings():
    rng = np.random.default_rng(0)
    return {
        "classes": lambda ax: plots.classes(rng.normal(size=(12, 2)), [0, 1, 2] * 4, "abc", title="Map", ax=ax),
        "heat_map": lambda ax: plots.heat_map(np.eye(4), "abcd", title="Cosines", ax=ax),
        "curves": lambda ax: plots.curves({"one": [3, 2, 1], "two": [3, 3, 3]}, ylabel="loss", title="Run", ax=ax),
        "steps_on_circle": lambda ax: plots.steps_on_circle(np.eye(2), -np.eye(2), "ab", title="Step", ax=ax),
        "similarity_image": lambda ax: plots.similarity_image(
            rng.random((20, 20)), xlabel="captions", ylabel="pictures", title="All pairs", ax=ax
        ),
        "seeds": lambda ax: plots.seeds({"one": [0.1, 0.2], "two": [0.3, 0.4]}, xlabel="accuracy", title="Runs", ax=ax),
    }


@pytest.mark.parametrize("name", drawings())
def test_every_figure_says_in_words_what_it_shows(name):
    ax = drawings()[name](None)
    alt = ax.get_figure().alt
    assert ax.get_title(loc="left") in alt
    assert any(character.isdigit() for character in alt), "an alt text without a number hides the result"
    assert len(alt) > 40


def test_a_figure_of_two_axes_is_described_twice():
    fig, axes = plt.subplots(1, 2)
    for ax in axes:
        drawings()["seeds"](ax)
    assert fig.alt.count("Runs:") == 2


def test_panels_of_a_heat_map_share_their_limits():
    own, shared = (plots.heat_map([[0.25, 0.24], [0.26, 0.25]], "ab", limits=limits) for limits in (None, (0, 1)))
    assert [ax.collections[0].get_clim() for ax in (own, shared)] == [(0.24, 0.26), (0, 1)]
    assert {text.get_color() for text in own.texts} == {"white", "black"}
    assert {text.get_color() for text in shared.texts} == {"white"}, "all of them are dark"


def test_the_texts_are_right():
    ax = plots.heat_map([[1, 0.2], [0.4, 1]], "ab", title="Cosines")
    assert "on the diagonal 1 on average, elsewhere 0.3, from 0.2 to 0.4" in ax.get_figure().alt
    ax = plots.seeds({"one": [0.1, 0.2]}, xlabel="accuracy", title="Runs")
    assert "one 0.15 (from 0.1 to 0.2)" in ax.get_figure().alt


def test_colour_is_never_the_only_cue():
    plots.use_style()
    ax = plots.curves({"a": [1, 2], "b": [2, 1], "c": [1, 1]})
    assert len({line.get_linestyle() for line in ax.get_lines()}) == 3
    assert len(set(plots.MARKERS)) == len(plots.MARKERS) == len(plots.COLOURS)


def test_colours_are_dark_enough_on_white():
    """WCAG asks a contrast of 3 for graphics; the two lightest of Okabe and Ito's are kept for areas and dashes."""

    def contrast(colour):
        light = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
        return 1.05 / (0.05 + np.dot(light, [0.2126, 0.7152, 0.0722]))

    assert sum(contrast(colour) >= 3 for colour in plots.COLOURS) >= 6


def test_a_live_curve_draws_in_one_place(monkeypatch):
    import IPython.display

    shown, updates = [], []

    class Handle:
        def update(self, figure):
            updates.append(figure)

    monkeypatch.setattr(IPython.display, "display", lambda figure, display_id: shown.append(figure) or Handle())
    live = plots.LiveCurve(seconds=0)
    for n in range(1, 4):
        live({"loss": [1.0] * n})
    assert (len(shown), len(updates)) == (1, 2)
    assert "from 1 to 1" in updates[-1].alt
    assert plt.get_fignums() == [], "no figure is left open"


# ---- maps, seeds as curves, animations


def test_a_map_of_classes_names_them_and_says_how_they_keep_together():
    rng = np.random.default_rng(0)
    labels = np.arange(10).repeat(5)
    ax = plots.classes(rng.normal(size=(50, 2)) + 20 * labels[:, None], labels, list("0123456789"), title="Digits")
    assert sorted(text.get_text() for text in ax.texts) == list("0123456789")
    assert "Digits: map of 50 points of 10 classes (0, 1, 2" in ax.get_figure().alt
    assert "100 % of them" in ax.get_figure().alt
    looks = {(tuple(c.get_facecolor()[0][:3]), len(c.get_paths()[0].vertices)) for c in ax.collections}
    assert len(looks) == 10, "no two classes share colour and mark"
    with pytest.raises(ValueError, match=r"expected \(N, 2\)"):
        plots.classes(np.zeros((3, 3)), [0, 1, 2], "abc")


def test_curves_of_seeds_end_in_their_names_apart_from_one_another():
    runs = [[0, 1, 2], [0, 2, 2]]
    ax = plots.seed_curves({"one": runs, "two": runs}, ylabel="% right", title="Run")
    low, high = sorted(text.xy[1] for text in ax.texts)
    assert high - low > 0.05
    assert len(ax.get_lines()) == 6
    assert "one from 0 to 2, halfway 1.5" in ax.get_figure().alt


def shown(monkeypatch, **options) -> str:
    """What ``plots.animation`` hands to the notebook, as HTML."""
    found = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: found.append(data))
    fig, ax = plt.subplots(figsize=(1, 1))
    options = {"alt": 'A "dot" wanders < 3.', "frames": [0, 5, 9]} | options
    plots.animation(fig, lambda i: (ax.clear(), ax.plot([i, i + 1], [0, i])), **options)
    assert not plt.get_fignums(), "the figure is not shown a second time"
    assert found[0]["text/plain"].startswith("An animation of 3 frames")
    return found[0]["text/html"]


def test_curves_over_labels_say_what_is_saved():
    record = {"frozen": [[50.0, 60.0], [52.0, 64.0]], "SupCon": [[58.0, 66.0], [60.0, 68.0]]}
    ax = plots.label_curves(record, x=[8, 32], here={"SupCon": 57.5}, saved=(24.0, 59.0), xlabel="labels",
                            ylabel="right, %", title="kinds")  # fmt: skip
    assert ax.get_xscale() == "log"
    assert [label.get_text() for label in ax.get_xticklabels()] == ["8", "32"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["frozen", "SupCon"]
    means = [line.get_ydata().tolist() for line in ax.get_lines() if line.get_label() in record]
    assert means == [[51.0, 62.0], [59.0, 67.0]]
    assert len({line.get_marker() for line in ax.get_lines() if line.get_label() in record}) == 2
    assert [text.get_text() for text in ax.texts] == ["", "worth 24"]
    assert ax.collections[0].get_offsets().tolist() == [[8.0, 57.5]]
    other = plots.label_curves(record | {"frozen": []}, x=[8, 32])
    marks = [{line.get_marker() for line in a.get_lines() if line.get_label() == "SupCon"} for a in (ax, other)]
    assert marks[0] == marks[1]


def test_an_animation_holds_all_it_needs_and_stands_still_without_a_script(monkeypatch):
    page = shown(monkeypatch)
    assert "http" not in page.replace("http://www.w3.org", "")
    assert page.count("data:image/png;base64,") == 3
    image = page[page.index("<img") : page.index(">", page.index("<img"))]
    assert 'alt="A &quot;dot&quot; wanders &lt; 3."' in image, "the last frame, with its text"
    assert "<div hidden>" in page, "no button where no script runs"
    assert '["step 0", "step 5", "step 9"]' in page
    assert page == shown(monkeypatch), "the same figure is the same bytes"
    assert "aria-label" in page


def test_an_animation_that_cannot_be_stored_or_read_is_refused(monkeypatch):
    with pytest.raises(ValueError, match="two frames or more"):
        shown(monkeypatch, frames=[1])
    with pytest.raises(ValueError, match="alt text"):
        shown(monkeypatch, alt=" ")
    monkeypatch.setattr(plots.moving, "LARGEST_ANIMATION", 1000)
    with pytest.raises(ValueError, match="fewer frames"):
        shown(monkeypatch)


def test_moving_points(capsys, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data["text/html"]))
    path = [np.array([[0.0, 0.0], [step, -step], [2 * step, step]]) for step in range(4)]
    plots.moving_points(path, ["a", "b", "b"], frames=[0, 1, 3], alt="Three points fly apart.", title="Run")
    (page,) = shown
    assert 'alt="Three points fly apart."' in page
    assert '"step 3"' in page
    plots.moving_points({"one": path, "two": path}, ["a", "b", "b"], frames=[0, 3], alt="Twice.", circle=True)
    assert shown[1].count("data:image/png;base64,") == 2, "the runs stand side by side, in one picture a step"
    with pytest.raises(ValueError, match="two frames"):
        plots.moving_points(path, ["a", "b", "b"], frames=[0], alt="One.")


def test_clouds_have_a_colour_for_a_meaning_and_a_mark_for_a_wording():
    rng = np.random.default_rng(0)
    centres = 10 * rng.normal(size=(3, 1, 8)).repeat(2, axis=0)  # two wordings at one place
    ax = plots.clouds(centres + rng.normal(size=(6, 15, 8)), title="Trained")
    assert len(ax.collections) == 6
    places = np.array([cloud.get_offsets().mean(0) for cloud in ax.collections])
    looks = [(tuple(c.get_facecolor()[0]), len(c.get_paths()[0].vertices)) for c in ax.collections]
    assert len(set(looks)) == 6
    assert all(looks[i][0] == looks[i + 1][0] for i in (0, 2, 4))
    assert np.linalg.norm(places[0] - places[1]) < np.linalg.norm(places[0] - places[2])
    assert "Trained: 6 clouds of 15 dots" in ax.get_figure().alt
    with pytest.raises(ValueError, match="even N"):
        plots.clouds(np.zeros((3, 4, 5)))


def test_cosines_of_classes_are_those_of_different_rows():
    x = np.random.default_rng(0).normal(size=(12, 5)) + 4
    labels = np.arange(12) % 3
    figure = plots.class_cosines({"before": x, "after": 9 * x}, labels)
    z = x - x.mean(0)
    cosine = [[z[i] @ z[j] / np.linalg.norm(z[i]) / np.linalg.norm(z[j]) for j in range(12)] for i in range(12)]
    for a in range(3):
        for b in range(3):
            pairs = [cosine[i][j] for i in range(12) for j in range(12) if i != j and (i % 3, j % 3) == (a, b)]
            for ax in figure.axes[:2]:
                assert ax.images[0].get_array()[a, b] == pytest.approx(np.mean(pairs))
    assert "3 by 3 classes: before" in figure.alt


def test_a_gallery_shows_each_row_and_frames_what_is_right():
    rng = np.random.default_rng(0)
    rows = {"a red circle": rng.random((3, 3, 8, 8)), "two stars": rng.random((3, 3, 8, 8))}
    figure = plots.gallery(rows, marked={"two stars": [False, True, False]}, title="Found")
    assert "a red circle: 3 pictures; two stars: 3 pictures, number 2 framed" in figure.alt
    pictures = [ax for ax in figure.axes if ax.images]
    assert len(pictures) == 6
    framed = [all(spine.get_visible() for spine in ax.spines.values()) for ax in pictures]
    assert framed == [False] * 4 + [True, False]


def test_a_table_of_differences_says_the_mean_and_the_distance():
    from clt.results import Difference

    values = {"base": {"x": 50.0, "y": 70.0}, "better": {"x": 61.0, "y": 69.5}, "other": {"x": 40.0}}
    gaps = {"better": {"x": Difference(11.0, 9.0, 13.0, 5, 5), "y": Difference(-0.5, -2.0, 1.0, 3, 5)},
            "other": {"x": Difference(-10.0, -10.0, -10.0, 1, 1)}}  # fmt: skip
    ax = plots.differences(values, gaps, "base", title="All", limit=10)
    texts = [text.get_text() for text in ax.texts]
    assert texts == ["50.0", "70.0", "61.0\n+11.0*", "69.5\n−0.5", "40.0\n−10.0", ""]
    assert [text.get_color() for text in ax.texts] == ["black", "black", "white", "black", "white", "black"]
    assert "better: x 61, y 69.5" in ax.get_figure().alt
