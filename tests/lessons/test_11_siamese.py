"""Lesson 11 teaches the package's own loss; its heads are Sentence Transformers', and (u, v) cannot compare."""

import math

import pytest
import torch
import torch.nn.functional as F
from kit import same
from torch import nn

from clt import encoders, evaluation, losses
from clt.checks import labs


def closed_form():
    """Six pairs of five numbers, labels, and for any number of columns a matrix and what is added to the logits."""
    i, j = torch.arange(1, 7, dtype=torch.float64)[:, None], torch.arange(1, 6, dtype=torch.float64)
    u = torch.sin(0.7 * i + 1.3 * j) + 0.1 * torch.cos(2.1 * i * j)
    v = u + 0.5 * torch.sin(3.7 * i - 0.9 * j)
    return u.requires_grad_(), v.requires_grad_(), torch.tensor([0, 1, 2, 0, 1, 2])


def head(columns):
    c, k = torch.arange(1, 4, dtype=torch.float64)[:, None], torch.arange(1, columns + 1, dtype=torch.float64)
    return 0.3 * torch.cos(0.9 * c + 0.4 * k), 0.1 * c[:, 0]


@pytest.mark.parametrize(
    ("parts", "value", "norms"),
    [
        (["u", "v"], 1.0446233269393679, (0.09865309604859766, 0.1452974783765377)),
        (["u∗v"], 1.0724361327217886, (0.07715982444678937, 0.07051750853959485)),
        (["u", "v", "u∗v"], 1.144469389154182, (0.15199456160080974, 0.16843944954499032)),
        (["u", "v", "|u − v|", "u∗v"], 1.036397024926526, (0.16751654408913033, 0.19119237449942728)),
    ],
    ids=str,
)
def test_the_heads_are_those_of_sentence_transformers(lesson, parts, value, norms):
    u, v, labels = closed_form()
    x = lesson["together"](u, v, parts)
    weight, bias = head(x.shape[1])
    loss = F.cross_entropy(x @ weight.T + bias, labels)
    assert loss.item() == pytest.approx(value, rel=1e-9)
    assert [g.norm().item() for g in torch.autograd.grad(loss, (u, v))] == pytest.approx(norms, rel=1e-6)


def test_the_pair_loss_is_the_head_on_three_parts(lesson):
    u, v, labels = closed_form()
    x = lesson["together"](u, v, ["u", "v", "|u − v|"])
    weight, _ = head(x.shape[1])
    same(lesson["pair_loss"](u, v, labels, weight), F.cross_entropy(x @ weight.T, labels), u, v)


@pytest.mark.parametrize("seed", range(3))
def test_cosent_is_the_packages(lesson, seed):
    generator = torch.Generator().manual_seed(seed)
    s = torch.rand(9, generator=generator, dtype=torch.float64).requires_grad_()
    grades = torch.randint(4, (9,), generator=generator)
    same(lesson["cosent_loss"](s, grades), losses.cosent_loss(s, grades), s)
    assert lesson["cosent_loss"](s, torch.ones(9)).item() == 0


def test_a_head_on_u_and_v_gives_both_diagonals_one_sum(lesson):
    a, b, c, d = torch.randn(4, 8, dtype=torch.float64)
    u, v = torch.stack([a, a, c, c]), torch.stack([b, d, b, d])
    for parts, bound in ((["u", "v"], True), (["v"], True), (["u", "v", "|u − v|"], False), (["u∗v"], False)):
        x = lesson["together"](u, v, parts)
        ab, ad, cb, cd = (x @ torch.randn(x.shape[1], dtype=torch.float64)).tolist()
        assert (abs(lesson["fourth_logit"](ab, ad, cb) - cd) < 1e-9) is bound, parts


def test_the_sums_of_a_dan_by_hand(lesson):
    """Two layers on two words, one of them dropped by hand; padding is the word 0."""
    words = torch.tensor([[9.0, 9.0], [1.0, 2.0], [3.0, -4.0]])
    dan = lesson["DAN"](words, depth=2, classes=2, dropout=0.0)
    for layer in dan.layers:
        nn.init.eye_(layer.weight)
        nn.init.constant_(layer.bias, -1.0)
    nn.init.eye_(dan.out.weight)
    nn.init.zeros_(dan.out.bias)
    tokens = torch.tensor([[1, 2, 0], [1, 0, 0], [2, 2, 1]])
    # means (2, −1), (1, 2), (7/3, −2); each layer takes 1 off and cuts at 0
    wanted = torch.tensor([[0.0, 0.0], [0.0, 0.0], [1 / 3, 0.0]])
    assert torch.allclose(dan.eval()(tokens), wanted, atol=1e-6)
    one = torch.tensor([[True, False, True]])
    assert lesson["kept_mean"](words[tokens[:1]], tokens[:1] > 0, one).tolist() == [[1.0, 2.0]]


def test_what_a_ranking_does_not_see(lesson):
    values = torch.tensor([-1.0, -0.5, 0.0, 0.5, 0.9, 0.99, 1.0], dtype=torch.float64)
    angular = 1 - values.arccos() / math.pi
    wanted = [0.0, 1 / 3, 0.5, 2 / 3, 0.8564337068712937, 0.9549465863555878, 1.0]
    assert angular.tolist() == pytest.approx(wanted)
    x = torch.randn(5, 4)
    n = torch.tensor([1.0, 4.0, 9.0, 2.0, 3.0])[:, None]
    assert torch.allclose(F.normalize(x * n.sqrt()), F.normalize(x), atol=1e-6)


def test_a_pair_read_together_is_one_text_with_a_separator(lesson):
    assert lesson["joined"](["It rains.", "a"], ["Water falls.", "b"]) == ["It rains. [SEP] Water falls.", "a [SEP] b"]


def test_without_interaction_nothing_is_learnt_of_the_ring(lesson):
    heads = {name: labs.ring(lambda u, v, p=parts: lesson["together"](u, v, p), steps=200)
             for name, parts in {"(u, v)": ["u", "v"], "u∗v": ["u∗v"]}.items()}  # fmt: skip
    assert heads["(u, v)"].accuracy < 40
    assert abs(heads["(u, v)"].order) < 25
    assert heads["u∗v"].accuracy > 55
    assert heads["u∗v"].order > 25


def test_a_review_is_good_if_it_praises_without_not_or_blames_with_it():
    words, labels = labs.negations(500, torch.Generator().manual_seed(3))
    assert words.shape == (500, 8)
    assert words.min() >= 1
    assert words.max() < labs.WORDS
    for row, label in zip(words.tolist(), labels.tolist(), strict=True):
        said = [word for word in row if 2 <= word < 22]
        assert len(said) == 1
        assert label == ((said[0] >= 12) == (1 in row))
    assert 0.4 < labels.double().mean() < 0.6


def test_what_a_bag_cannot_tell_a_layer_can(lesson):
    lesson["untrained"] = None  # the invented reviews need no encoder
    tables = {name: lesson["on_words"](0, "negation", depth, 0.0) for name, depth in (("bag", 0), ("layer", 1))}
    assert 40 < tables["bag"]["accuracy"] < 60
    assert tables["layer"]["accuracy"] > 95


def test_averaged_words_are_the_mean_of_the_table():
    encoder = encoders.SentenceEncoder.load("clt-mini")
    table = encoder.model.get_input_embeddings().weight
    found = evaluation.averaged_words(encoder).encode(["The cat sat.", "", "cat"])
    ids = encoder.tokenizer("The cat sat.", add_special_tokens=False)["input_ids"]
    assert torch.allclose(found[0], table[ids].mean(0), atol=1e-6)
    assert found[1].abs().max() == 0
    assert found.shape == (3, encoder.dimension)


def test_a_claim_is_true_if_the_person_has_the_thing():
    texts, claims, labels = labs.belongings(400, 4, torch.Generator().manual_seed(1))
    for text, (who, what), label in zip(texts.tolist(), claims.tolist(), labels.tolist(), strict=True):
        people, things = zip(*text, strict=True)
        assert len(set(people)) == len(set(things)) == 4
        assert who in people
        assert what in things  # a false claim takes somebody else's thing
        assert label == ([who, what] in text)
    assert texts[..., 0].max() < labs.OWNERS <= texts[..., 1].min()
    assert 0.4 < labels.double().mean() < 0.6


def test_a_claim_is_soon_judged_together_and_not_apart():
    seen = {how: labs.claims(facts=3, together=how, steps=250)["accuracy"] for how in (True, False)}
    assert seen[True] > 90
    assert seen[False] < 70
