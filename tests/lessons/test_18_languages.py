"""Lesson 18: its encoder starts as tf-idf, its loss is the package's, and language stands where it is said to."""

import math

import pytest
import torch
import torch.nn.functional as F
from kit import same

from clt import data, evaluation, losses

CHINESE = ["我爱喝茶。", "他在喝咖啡。", "老师在学校。", "学生爱老师。"]


@pytest.fixture
def lesson(lesson, code):
    """With the sizes of the table, which the lesson sets beside its functions."""
    (sizes,) = [line for source in code for line in source.splitlines() if line.startswith("PLACES, WIDTH = ")]
    exec(sizes, lesson)
    return lesson


@pytest.fixture
def encoder(lesson):
    return lesson["PieceEncoder"](CHINESE, seed=0)


def test_tokens_are_characters_and_words(lesson):
    assert lesson["characters"]("她用iPhone 15拍照！") == ["她", "用", "iphone", "15", "拍", "照", "！"]
    assert lesson["characters"]("snake_case, naïve") == ["snake", "_", "case", ",", "naïve"]


def test_pieces_of_words_in_letters_only(lesson):
    assert lesson["pieces"]("我爱茶。") == ["我", "爱", "茶", "。"]
    assert lesson["pieces"]("Ei!") == ["ei", "!", "<ei", "ei>", "<ei>"]


def test_places_are_the_same_in_every_run(lesson):
    assert lesson["places"]("茶").tolist() == lesson["places"]("茶").tolist()
    assert 1 <= lesson["places"]("茶").item() <= lesson["PLACES"]
    padded = lesson["tokenize"](["我爱喝茶。", "茶"])
    assert padded.shape == (2, 5)
    assert padded[1, 1:].tolist() == [0, 0, 0, 0]


def test_the_encoder_starts_as_tf_idf(lesson):
    """Many wide encoders agree with counted characters up to 1/√D."""
    counted = evaluation.counted(CHINESE, lesson["characters"]).encode(CHINESE)
    wanted = counted @ counted.T
    found = [F.normalize(lesson["PieceEncoder"](CHINESE, seed).encode(CHINESE), dim=1) for seed in range(8)]
    mean = torch.stack([x @ x.T for x in found]).mean(0)
    assert (mean - wanted).abs().max() < 0.1


def test_padding_and_company_change_no_vector(encoder):
    alone = torch.cat([encoder.encode([text]) for text in CHINESE])
    assert torch.allclose(encoder.encode(CHINESE), alone, atol=1e-4)


def test_halves_share_no_piece_and_lose_none(lesson):
    torch.manual_seed(0)
    tokens = lesson["tokenize"](CHINESE * 20)
    one, other = lesson["half"](tokens)
    assert torch.equal(one + other, tokens)
    assert ((one > 0) & (other > 0)).sum() == 0
    assert 0.4 < (one > 0).sum() / (tokens > 0).sum() < 0.6


def test_ifcl_is_the_packages_and_its_margin_is_that_of_the_step_before(lesson, encoder, monkeypatch):
    seen = []
    plain = losses.ifcl_loss
    monkeypatch.setattr(losses, "ifcl_loss", lambda *a, **o: seen.append(a) or plain(*a, **o))
    loss_of, tokens = lesson["ifcl"](), lesson["tokenize"](CHINESE)
    encoder.train()
    assert loss_of(encoder, tokens).requires_grad
    h, identical, fraternal, margin, queue = seen[0]
    assert torch.allclose(losses.twin_loss(h, identical, fraternal, margin), torch.zeros(()), atol=1e-5), (
        "at first the step before is the encoder itself, and the masks are the same"
    )
    assert len(queue.weights) == len(CHINESE)
    with torch.no_grad():
        encoder.weights.add_(torch.randn_like(encoder.weights))
    loss_of(encoder, tokens)
    h, identical, fraternal, margin, queue = seen[1]
    assert losses.twin_loss(h, identical, fraternal, margin) > 1e-4
    assert not margin.requires_grad


@pytest.mark.parametrize("seed", range(3))
def test_the_margin_loss_is_the_packages(lesson, seed):
    x, y = torch.randn(2, 7, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).requires_grad_()
    for margin, temperature in ((0.0, 0.1), (0.3, 0.05)):
        options = {"margin": margin, "temperature": temperature}
        same(lesson["additive_margin_loss"](x, y, **options), losses.additive_margin_loss(x, y, **options), x, y)


def test_the_example_of_two_pairs(lesson):
    assert lesson["slow"]([[0.8, 0.6], [0.6, 0.8]], 0.3, 0.1) == pytest.approx(2 * math.log(1 + math.e), rel=1e-9)
    assert lesson["slow"]([[0.8, 0.6], [0.6, 0.8]], 0.0, 0.1) == pytest.approx(2 * math.log(1 + math.exp(-2)))


def test_removing_components_removes_the_language(lesson):
    """Four clouds around four means: three components hold them, two do not."""
    generator = torch.Generator().manual_seed(0)
    sentences = torch.randn(50, 16, generator=generator)
    z = {name: sentences + 0.1 * torch.randn(50, 16, generator=generator) + 9 * torch.randn(16, generator=generator)
         for name in "abcd"}  # fmt: skip
    assert evaluation.found_first(z) < 50
    assert evaluation.found_first(lesson["without"](z, z, 2)) < 90
    assert evaluation.found_first(lesson["without"](z, z, 3)) > 95
    flat = torch.cat(list(lesson["without"](z, z, 3).values()))
    assert flat.mean(0).abs().max() < 1e-4


def test_a_rotation_is_found_again(lesson):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(60, 8, generator=generator)
    turn = torch.linalg.qr(torch.randn(8, 8, generator=generator)).Q
    assert torch.allclose(lesson["rotation"](x, x @ turn), turn, atol=1e-4)
    z = {"english": x @ turn + 3, "german": x}
    assert evaluation.found_first(z) < 30
    assert evaluation.found_first(lesson["turned"](z, z)) == 100


def test_csls_takes_the_hub_out(lesson):
    cosines = torch.tensor([[0.80, 0.75, 0.10], [0.85, 0.10, 0.80], [0.90, 0.10, 0.10]])
    assert cosines.argmax(1).tolist() == [0, 0, 0], "the first target is near to everything"
    assert lesson["csls"](cosines, k=2).argmax(1).tolist() == [1, 2, 0]


def test_training_texts_hold_nothing_that_is_asked(lesson):
    ours = set(lesson["chinese_texts"]("ours"))
    rows = data.load("chinese_sts", "test")
    assert not ours & {*rows["sentence1"], *rows["sentence2"]}
