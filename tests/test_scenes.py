"""The world of coloured shapes: what a caption says is what is drawn, and a changed caption is false."""

import re
from itertools import combinations

import pytest
import torch

from clt import data
from clt.data import scenes
from clt.data.scenes import COLOURS, NEVER_TRAINED, SHAPES, Group, Pair, Thing

CONTENTS = [*scenes.groups(), *scenes.groups(trained=False), *scenes.pairs(), *scenes.pairs(trained=False)]


def drawn(*things: Thing) -> torch.Tensor:
    return scenes.draw([things])[0]


def test_how_many_contents_there_are():
    assert len(scenes.groups()) == 4 * 24
    assert len(scenes.groups(trained=False)) == 4 * len(NEVER_TRAINED) == 24
    assert {colour for colour, _ in NEVER_TRAINED} == set(COLOURS)
    assert {shape for _, shape in NEVER_TRAINED} == set(SHAPES)
    assert len(set(CONTENTS)) == len(CONTENTS), "no content is both trained and tested"
    assert 0.15 < len(scenes.pairs(trained=False)) / len(scenes.pairs()) < 0.3
    for pair in scenes.pairs() + scenes.pairs(trained=False):
        assert pair.colour != pair.other_colour
        assert pair.shape != pair.other_shape
        assert not {(pair.colour, pair.shape), (pair.other_colour, pair.other_shape)} & NEVER_TRAINED


def test_no_caption_says_two_contents():
    said = [caption for content in CONTENTS for caption in scenes.captions(content)]
    assert len(said) == len(set(said)) == 3 * len(CONTENTS)


def read(caption: str) -> Pair:
    """What a caption of two things says, read without the grammar."""
    one, other = re.findall(rf"({'|'.join(COLOURS)}) ({'|'.join(SHAPES)})", caption)
    if re.search("right of|below", caption):
        one, other = other, one
    return Pair(*one, "left" if "left" in caption or "right" in caption else "above", *other)


@pytest.mark.parametrize("pair", scenes.pairs()[::37], ids=str)
def test_the_captions_of_a_pair_say_the_same_and_the_changes_do_not(pair):
    for caption in scenes.captions(pair):
        assert read(caption) == pair, caption
    plain = scenes.captions(pair)[0]
    for change in scenes.CHANGES:
        caption = scenes.changed(pair, change)
        assert read(caption) != pair, caption
        same_words = sorted(caption.split()) == sorted(plain.split())
        assert same_words == (change in ("order", "binding"))
        if change in ("colour", "shape"):
            assert (caption.split()[1], caption.split()[2]) not in NEVER_TRAINED
    with pytest.raises(ValueError, match="binding"):
        scenes.changed(pair, "size")


def test_a_scene_shows_its_content():
    generator = torch.Generator().manual_seed(1)
    for content in CONTENTS:
        things = scenes.scene(content, generator)
        if isinstance(content, Group):
            assert [(t.colour, t.shape) for t in things] == [content[1:]] * content.count
        else:
            one, other = things
            assert (one.colour, one.shape, other.colour, other.shape) == (*content[:2], *content[3:])
            across, down = other.x - one.x, other.y - one.y
            far, aside = (across, down) if content.place == "left" else (down, across)
            assert far > 10
            assert abs(aside) < far
        for one, other in combinations(things, 2):
            assert (one.x - other.x) ** 2 + (one.y - other.y) ** 2 > 10**2, "they do not lie on each other"
        for thing in things:
            assert 5 <= thing.x <= 43
            assert 5 <= thing.y <= 43


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_covers_what_its_formula_says(shape):
    """The darkened area in pixels, for a radius of 8; and a quarter turn leaves it."""
    area = {"circle": 3.1416 * 7.6**2, "square": 13.6**2, "triangle": 27**0.5 * 4.4**2, "cross": 2.15 * 8**2,
            "star": 1.123 * (0.40 / 0.309 * 8) ** 2}[shape]  # fmt: skip
    for turn in (0.0, 90.0):
        picture = drawn(Thing("black", shape, 24.0, 24.0, 8.0, turn))
        dark = (picture.amax(0) < 0.45).sum().item()
        assert dark == pytest.approx(area, rel=0.15)


def test_a_triangle_points_up_and_a_thing_lies_where_it_should():
    picture = drawn(Thing("black", "triangle", 12.0, 30.0, 8.0, 0.0))
    dark = (picture.amax(0) < 0.45).nonzero().double()
    assert dark.mean(0).tolist() == pytest.approx([29.5, 11.5], abs=1.0)
    widths = [int((dark[:, 0] == row).sum()) for row in sorted(set(dark[:, 0].tolist()))]
    assert widths[0] < widths[-1]


def test_what_is_kept_for_the_test_is_kept_in_all_arrangements():
    """Otherwise a model that has seen the mirror image alone is taught that the other cannot be."""

    def words(pair):
        return frozenset((pair.colour, pair.other_colour)), frozenset((pair.shape, pair.other_shape))

    trained, kept = ({words(pair) for pair in scenes.pairs(trained=t)} for t in (True, False))
    assert not trained & kept


def test_batches_draw_from_every_album_and_number_the_contents():
    albums = torch.arange(5.0).view(5, 1, 1, 1, 1).expand(5, 2, 3, 4, 4), torch.full((3, 4, 3, 4, 4), 9.0)
    sample = scenes.batches(*albums, size=8)
    pictures, numbers = sample(torch.Generator().manual_seed(0))
    assert pictures.shape == (8, 3, 4, 4)
    assert torch.equal(pictures[:4, 0, 0, 0], numbers[:4].float())
    assert (pictures[4:] == 9).all()
    assert ((numbers[4:] >= 5) & (numbers[4:] < 8)).all()
    assert torch.equal(numbers, sample(torch.Generator().manual_seed(0))[1])


def test_swapped_places_come_back():
    for content in CONTENTS[::19]:
        for caption in scenes.captions(content):
            assert scenes.swap_places(scenes.swap_places(caption)) == caption
    assert scenes.swap_places("a red star at the top and a blue cross at the bottom").split()[5] == "bottom"


def test_pictures_are_the_same_everywhere():
    pictures = scenes.album(scenes.groups()[:5], 2, seed=3)
    assert pictures.shape == (5, 2, 3, 48, 48)
    assert pictures.min() >= 0
    assert pictures.max() <= 1
    assert torch.equal(pictures, scenes.album(scenes.groups()[:5], 2, seed=3))
    assert not torch.equal(pictures, scenes.album(scenes.groups()[:5], 2, seed=4))
    assert torch.allclose((pictures * 255).round() / 255, pictures)


def test_prompts_are_as_many_for_each_class():
    for kind, count in {"colour": 6, "shape": 5, "count": 4}.items():
        found = scenes.prompts(kind)
        assert len(found) == count
        assert len({len(few) for few in found}) == 1
        assert len({prompt for few in found for prompt in few}) == sum(map(len, found)), "no prompt of two classes"
    with pytest.raises(ValueError, match="count"):
        scenes.prompts("size")


def test_captions_by_hand_fit_their_pictures():
    """Where the grammar's own words are used, they name what is drawn."""
    rows = data.load("scenes", "test")
    assert len(rows) == 100
    for caption, things in zip(rows["caption"], rows["things"], strict=True):
        drawn = [Thing.read(thing) for thing in things]
        words = set(re.findall("[a-z]+", caption.lower()))
        assert {c for c in COLOURS if c in words} <= {thing.colour for thing in drawn}, caption
        named = {s for s in SHAPES if words & {s, f"{s}s", f"{s}es"}}
        assert named <= {thing.shape for thing in drawn}, caption
        for number, word in enumerate(("three", "four"), 3):
            assert word not in words or len(drawn) == number or "corners" in words, caption
    assert all(5.5 <= t.radius <= 7 for row in rows["things"] for t in map(Thing.read, row))
