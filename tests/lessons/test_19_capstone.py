"""Lesson 19 teaches the package's own Matryoshka loss; duels and averages are what they say, and rows need no code."""

import copy
import re
from functools import partial

import pytest
import torch
from kit import same

from clt import leaderboard, losses
from clt.encoders import SentenceEncoder


@pytest.mark.parametrize("seed", range(3))
def test_the_matryoshka_loss_is_the_packages(lesson, seed):
    x, y, z = torch.randn(3, 6, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    x, y, z = x.requires_grad_(), y.requires_grad_(), z.requires_grad_()
    loss = partial(losses.simcse_loss, temperature=0.3)
    ours = lesson["matryoshka_loss"](loss, x, y, z, dimensions=[8, 4, 1])
    same(ours, losses.matryoshka_loss(loss, x, y, z, dimensions=[8, 4, 1]), x, y, z)
    slow = lesson["matryoshka_slow"](x.tolist(), y.tolist(), [8, 2], 0.3)
    two = losses.matryoshka_loss(partial(losses.info_nce_loss, temperature=0.3), x, y, dimensions=[8, 2])
    assert slow == pytest.approx(two.item(), rel=1e-4)


def test_by_hand():
    """The two cosines that the text works out: of whole vectors, and of their first two numbers."""
    x, y = torch.tensor([3.0, 4.0, 12.0]), torch.tensor([4.0, 3.0, 0.0])
    assert torch.cosine_similarity(x, y, dim=0).item() == pytest.approx(24 / 65)
    assert torch.cosine_similarity(x[:2], y[:2], dim=0).item() == pytest.approx(24 / 25)


def test_duels_depend_on_who_takes_part(lesson):
    """The board of *Break it*: with C, B is first; without C, A is, although neither has changed."""
    board = torch.tensor([[3.0, 3, 3, 1, 1], [2, 2, 2, 3, 3], [1, 1, 1, 2, 2]])
    a, b, c = lesson["borda"](board).tolist()
    assert (a, b, c) == pytest.approx((0.6, 0.7, 0.2))
    assert lesson["borda"](board[:2]).tolist() == pytest.approx([0.6, 0.4])
    assert lesson["borda"](board.flip(1)).tolist() == pytest.approx([a, b, c])
    scaled = board * torch.tensor([1.0, 10, 100, 0.1, 5])
    assert lesson["borda"](scaled).tolist() == pytest.approx([a, b, c]), "only the order counts"


def test_an_average_of_two_encoders(lesson):
    start = SentenceEncoder.load("clt-mini", max_length=32).above(3)
    models = [copy.deepcopy(start) for _ in range(2)]
    for model, row in zip(models, ("pairs: InfoNCE", "emotions: SupCon"), strict=True):
        leaderboard.fit(model, steps=1, **leaderboard.ROWS[row])
    states = [model.state_dict() for model in models]
    average = copy.deepcopy(start)
    average.load_state_dict(lesson["average_weights"](states, [0.25, 0.75]))
    for name, value in average.state_dict().items():
        expected = 0.25 * states[0][name].double() + 0.75 * states[1][name].double()
        assert torch.allclose(value.double(), expected, atol=1e-6), name
    average.load_state_dict(lesson["average_weights"](states, [1.0, 0.0]))
    texts = ["It rains.", "The shop is closed on Sundays."]
    assert torch.allclose(average.encode(texts), models[0].encode(texts), atol=1e-6)


def test_what_trains_is_the_students_function(lesson):
    lesson["LENGTHS"] = [8, 4]
    calls = []
    lesson["matryoshka_loss"] = lambda loss, *vectors, dimensions: calls.append(dimensions) or loss(*vectors)
    q, p = torch.randn(2, 4, 8)
    assert lesson["nested"](q, p, temperature=0.1).item() == losses.info_nce_loss(q, p, temperature=0.1).item()
    assert calls == [[8, 4]]


def test_the_own_loss_of_the_solution_wants_a_margin(lesson):
    q = torch.nn.functional.normalize(torch.randn(5, 4, dtype=torch.float64), dim=1)
    own, plain = lesson["my_loss"](q, q), losses.info_nce_loss(q, q, temperature=0.2)
    assert own > plain
    loss = lesson["my_loss"](q, q.roll(1, 0))
    assert loss > own


def test_a_row_that_was_not_trained_is_named(lesson, capsys):
    lesson["VARIANTS"] = {
        "pairs: InfoNCE": leaderboard.ROWS["pairs: InfoNCE"],
        "τ = 0.2": leaderboard.ROWS["pairs: InfoNCE"] | {"temperature": 0.2},
    }
    lesson["trained"] = {("info_nce_loss", 0.2): "flat"}
    assert lesson["trained_here"]("τ = 0.2") == {"after": "flat"}
    assert not capsys.readouterr().out
    assert lesson["trained_here"]("pairs: InfoNCE") == {}
    assert "'pairs: InfoNCE' is not among `variants`" in capsys.readouterr().out


def test_no_figure_asks_for_a_row_that_may_be_missing(code):
    """What is trained depends on the reader's choice: only ``trained_here`` looks it up, and says what is missing."""
    assert not [cell for cell in code if re.search(r"trained\[[^\]]*\](?! =)", cell)]
