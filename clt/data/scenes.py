"""Pictures of coloured shapes, drawn by a function, and captions of a small grammar: a world whose truths are known.

A *content* says what there is to see, a *scene* where everything lies. ``Group(3, "red", "star")`` is three red stars,
``Pair("red", "square", "left", "blue", "circle")`` a red square with a blue circle to its right. One content has many
scenes and several captions.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # late: whoever only loads texts need not wait for torch
    import torch
    from torch import Tensor

COLOURS = {
    "red": (0.86, 0.14, 0.14), "green": (0.13, 0.60, 0.24), "blue": (0.13, 0.32, 0.86),
    "yellow": (0.96, 0.80, 0.10), "purple": (0.55, 0.17, 0.65), "black": (0.08, 0.08, 0.08),
}  # fmt: skip
SHAPES = ("circle", "square", "triangle", "star", "cross")
NUMBERS = ("one", "two", "three", "four")
NEVER_TRAINED = frozenset({("red", "star"), ("green", "cross"), ("blue", "triangle"), ("yellow", "square"),
                           ("purple", "circle"), ("black", "star")})  # fmt: skip
SIZE, CELL = 48, 16  # pixels; three rows and columns of cells
OPPOSITE = {"left": "right", "above": "below"}


class Group(NamedTuple):
    """So many shapes of one kind and colour."""

    count: int
    colour: str
    shape: str


class Pair(NamedTuple):
    """One shape to the ``left`` of another, or ``above`` it."""

    colour: str
    shape: str
    place: str
    other_colour: str
    other_shape: str


class Thing(NamedTuple):
    """One shape in a scene: its middle and radius in pixels, and its turn in degrees."""

    colour: str
    shape: str
    x: float
    y: float
    radius: float
    turn: float

    @classmethod
    def read(cls, text: str) -> "Thing":
        """From ``"red star 12.0 30.5 6.0 10"``."""
        colour, shape, *numbers = text.split()
        return cls(colour, shape, *map(float, numbers))


def kinds(*, trained: bool) -> list[tuple[str, str]]:
    """The colours and shapes that training shows together, or those it never does."""
    return [kind for kind in itertools.product(COLOURS, SHAPES) if (kind in NEVER_TRAINED) != trained]


def groups(*, trained: bool = True) -> list[Group]:
    return [Group(n, *kind) for kind in kinds(trained=trained) for n in range(1, len(NUMBERS) + 1)]


def pairs(*, trained: bool = True) -> list[Pair]:
    """Two things that differ in colour and in shape, in all their arrangements.

    Every fifth choice of two colours and two shapes is kept for the test, with all that can be made of it: if only one
    arrangement were kept, training on its mirror image would teach that these two never lie the other way round.
    """
    colours, shapes = (list(itertools.combinations(names, 2)) for names in (COLOURS, SHAPES))
    kept = {words for i, words in enumerate(itertools.product(colours, shapes)) if _mixed(i) % 5 == 0}
    found = []
    for a, b in itertools.permutations(kinds(trained=True), 2):
        words = tuple(sorted((a[0], b[0]), key=[*COLOURS].index)), tuple(sorted((a[1], b[1]), key=SHAPES.index))
        if a[0] != b[0] and a[1] != b[1] and (words not in kept) == trained:
            found += [Pair(*a, place, *b) for place in OPPOSITE]
    return found


def _mixed(i: int) -> int:
    return (i * 2_654_435_761 % 2**32) >> 8  # Knuth's multiplicative hash: the same everywhere


# ---- words


def captions(content: Group | Pair) -> list[str]:
    """All that the grammar says of a content; the plainest first."""
    if isinstance(content, Group):
        count, colour, shape = content
        if count == 1:
            return [f"a {colour} {shape}", f"one {colour} {shape}", f"a picture of a single {colour} {shape}"]
        many = f"{NUMBERS[count - 1]} {colour} {_plural(shape)}"
        return [many, f"a picture of {many}", f"there are {many}"]
    one, other = f"{content.colour} {content.shape}", f"{content.other_colour} {content.other_shape}"
    if content.place == "left":
        return [f"a {one} left of a {other}", f"a {other} right of a {one}",
                f"a {one} on the left and a {other} on the right"]  # fmt: skip
    return [f"a {one} above a {other}", f"a {other} below a {one}", f"a {one} at the top and a {other} at the bottom"]


def _plural(shape: str) -> str:
    return f"{shape}es" if shape == "cross" else f"{shape}s"


CHANGES = ("colour", "shape", "relation", "order", "binding")


def changed(pair: Pair, change: str) -> str:
    """A caption that is false by one change of the plain one.

    ``"colour"`` and ``"shape"`` name something that is not there; ``"relation"`` says the opposite place; ``"order"``
    exchanges the two things, and ``"binding"`` their colours: these two keep every word.
    """
    one, other = (pair.colour, pair.shape), (pair.other_colour, pair.other_shape)
    if change in ("colour", "shape"):
        free = [c for c in COLOURS if c not in pair] if change == "colour" else [s for s in SHAPES if s not in pair]
        found = [(c, one[1]) for c in free] if change == "colour" else [(one[0], s) for s in free]
        return captions(Pair(*next(k for k in found if k not in NEVER_TRAINED), pair.place, *other))[0]
    if change == "relation":
        return swap_places(captions(pair)[0])
    if change == "order":
        return captions(Pair(*other, pair.place, *one))[0]
    if change == "binding":
        return captions(pair._replace(colour=pair.other_colour, other_colour=pair.colour))[0]
    raise ValueError(f"a change is one of {', '.join(CHANGES)}, got {change!r}")


def swap_places(caption: str) -> str:
    """The caption with *left* for *right*, *above* for *below*, *top* for *bottom*, and the other way round."""
    both = {**OPPOSITE, "top": "bottom"}
    both |= {there: here for here, there in both.items()}
    return " ".join(both.get(word, word) for word in caption.split())


def prompts(kind: str) -> list[list[str]]:
    """For each class of a kind (``"colour"``, ``"shape"``, ``"count"``) the same prompts; the plainest first."""
    if kind == "colour":
        names = [[f"a {c} shape", f"something {c}", f"a picture of something {c}"] for c in COLOURS]
        return [found + [f"a {c} {s}" for s in SHAPES] for c, found in zip(COLOURS, names, strict=True)]
    if kind == "shape":
        return [[f"a {s}", f"a picture of a {s}", f"{_plural(s)}", *(f"a {c} {s}" for c in COLOURS)] for s in SHAPES]
    if kind == "count":
        found = [[f"a picture of {n} shape{'s' * (n != 'one')}", f"{n} shape{'s' * (n != 'one')}"] for n in NUMBERS]
        return [few + [f"{n} {s if n == 'one' else _plural(s)}" for s in SHAPES]
                for n, few in zip(NUMBERS, found, strict=True)]  # fmt: skip
    raise ValueError(f"a kind is colour, shape or count, got {kind!r}")


# ---- pictures


def scene(content: Group | Pair, generator: "torch.Generator") -> list[Thing]:
    """Places for what the content names, in cells of a grid of three by three, each moved by up to 1.5 pixels."""
    import torch

    def uniform(low: float, high: float) -> float:
        return low + (high - low) * torch.rand((), generator=generator, dtype=torch.float64).item()

    def integer(high: int) -> int:
        return int(torch.randint(high, (), generator=generator))

    if isinstance(content, Group):
        cells = torch.randperm(9, generator=generator)[: content.count].tolist()
        placed = [(content.colour, content.shape, cell % 3, cell // 3) for cell in cells]
    else:
        first, step = ((0, 1), (1, 1), (0, 2))[integer(3)]
        row = integer(3)
        across = row if step == 1 else min(2, max(0, row + integer(3) - 1))  # far apart, one may lie a row off
        spots = (first, row), (first + step, across)
        spots = spots if content.place == "left" else [(b, a) for a, b in spots]
        placed = [(*content[:2], *spots[0]), (*content[3:], *spots[1])]
    things = []
    for colour, shape, column, row in placed:
        x, y = (CELL * (cell + 0.5) + uniform(-1.5, 1.5) for cell in (column, row))
        things.append(Thing(colour, shape, round(x, 1), round(y, 1), round(uniform(5.5, 7.0), 1), integer(31) - 15.0))
    return things


def draw(scenes: Sequence[Sequence[Thing]], seed: int = 0) -> "Tensor":
    """The pictures, ``(N, 3, 48, 48)`` from 0 to 1, on a light ground with some noise; edges are smooth.

    The same on every machine: whole levels of 256, colours and noise drawn with ``seed``.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    n = len(scenes)
    ground = 0.80 + 0.18 * torch.rand(n, 3, 1, 1, generator=generator)
    pictures = torch.randn(n, 3, SIZE, SIZE, generator=generator).mul_(0.02).add_(ground)  # in place: there are many
    slots = max(map(len, scenes))
    moved = 0.06 * torch.randn(n, slots, 3, generator=generator)
    for slot in range(slots):
        rows = [i for i, things in enumerate(scenes) if len(things) > slot]
        things = [scenes[i][slot] for i in rows]
        paint = torch.tensor([COLOURS[thing.colour] for thing in things]) + moved[rows, slot]
        cover, down, across = _cover(things)
        patch = torch.tensor(rows)[:, None, None], slice(None), down[:, :, None], across[:, None, :]
        below, cover = pictures[patch], cover[..., None]  # (T, 20, 20, 3): the slice goes last
        pictures[patch] = below * (1 - cover) + paint[:, None, None] * cover
    return pictures.clamp_(0, 1).mul_(255).round_().div_(255)


def album(contents: Sequence[Group | Pair], copies: int, seed: int) -> "Tensor":
    """So many pictures of each content, ``(N, copies, 3, 48, 48)``, every one with a scene of its own."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    pictures = draw([scene(content, generator) for content in contents for _ in range(copies)], seed)
    return pictures.unflatten(0, (len(contents), copies))


def batches(*albums: "Tensor", size: int) -> Callable[["torch.Generator"], tuple["Tensor", "Tensor"]]:
    """A function that draws a batch: as many pictures of each album, as they come, so that contents may repeat.

    Returns:
        With a generator it returns ``(size, 3, 48, 48)`` pictures and ``(size,)`` the number of each one's content,
        counted through all albums in their order.
    """
    import torch

    def sample(generator: "torch.Generator") -> tuple["Tensor", "Tensor"]:
        pictures, numbers, start = [], [], 0
        for album in albums:
            chosen = torch.randint(len(album), (size // len(albums),), generator=generator)
            copy = torch.randint(album.shape[1], chosen.shape, generator=generator)
            pictures.append(album[chosen, copy])
            numbers.append(start + chosen)
            start += len(album)
        return torch.cat(pictures), torch.cat(numbers)

    return sample


def _cover(things: Sequence[Thing]) -> tuple["Tensor", "Tensor", "Tensor"]:
    """How much of each pixel around a thing it covers, ``(T, 20, 20)``, and which rows and columns these are.

    1 inside, 0 outside, in between on its edge.
    """
    import torch

    x, y, radius, turn = torch.tensor([thing[2:] for thing in things]).T
    reach = torch.arange(20)
    down, across = ((middle.long() - 10).clamp(0, SIZE - 20)[:, None] + reach for middle in (y, x))
    v, u = (down + 0.5 - y[:, None])[:, :, None], (across + 0.5 - x[:, None])[:, None, :]
    radius, turn = radius[:, None, None], turn.deg2rad()[:, None, None]
    u, v = (turn.cos() * u + turn.sin() * v) / radius, (turn.cos() * v - turn.sin() * u) / radius
    gauge = torch.empty_like(u)  # 1 on the edge, less inside
    for shape in SHAPES:
        rows = [i for i, thing in enumerate(things) if thing.shape == shape]
        if rows:
            gauge[rows] = _gauge(shape, u[rows], v[rows])
    return (0.5 + (1 - gauge) * 0.6 * radius).clamp(0, 1), down, across


def _gauge(shape: str, u: "Tensor", v: "Tensor") -> "Tensor":
    import torch

    def sides(count: int) -> "Tensor":  # how far out in the directions of so many sides; the first corner is on top
        angle = torch.arange(count) * (2 * torch.pi / count) + torch.pi / 2
        return torch.stack([a.cos() * u + a.sin() * v for a in angle])

    if shape == "circle":
        return (u.square() + v.square()).sqrt() / 0.95
    if shape == "square":
        return torch.maximum(u.abs(), v.abs()) / 0.85
    if shape == "triangle":
        return sides(3).amax(0) / 0.55
    if shape == "star":  # inside of at least four of the five lines
        return sides(5).sort(0).values[3] / 0.40
    bars = torch.maximum(u.abs() / 0.32, v.abs()), torch.maximum(v.abs() / 0.32, u.abs())
    return torch.minimum(*bars)
