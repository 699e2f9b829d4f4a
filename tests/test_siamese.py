"""Tasks take turns, and the adversary goes where the loss grows."""

import itertools
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from clt import encoders, losses, siamese

TEXTS = ["The cat sat on the mat.", "A dog ran.", "Rain fell on the roofs.", "It is late."]


@pytest.fixture(scope="module")
def encoder():
    return encoders.SentenceEncoder.load("clt-mini", max_length=32).eval()


@pytest.fixture
def upper(encoder):
    torch.manual_seed(0)
    return siamese.with_head(encoder.above(2)).eval()


def test_each_premise_has_three_labels():
    first, second, labels = siamese.labelled("test")
    count = len(first) // 3
    assert first[:count] == first[count : 2 * count] == first[2 * count :]
    assert labels == [0] * count + [1] * count + [2] * count
    assert len(set(second)) > 0.99 * len(second)


def test_the_next_sentence_is_of_the_same_text_and_no_text_comes_twice():
    texts = siamese.following("stories", "train")
    first, second = siamese._next(texts, torch.Generator().manual_seed(0))
    place = {pair: i for i, text in enumerate(texts) for pair in itertools.pairwise(text)}
    found = [place[pair] for pair in zip(first, second, strict=True)]
    assert len(set(found)) == 32


def test_tasks_take_turns_and_only_inference_has_an_accuracy(encoder):
    found = siamese.share(encoder, [], shared=["neighbours", "inference"], steps=2)
    assert set(found) == {"neighbours", "replies", "inference"}
    assert set(siamese.share(encoder, [], shared=["replies"], steps=1)) == {"neighbours", "replies"}


def test_the_adversary_moves_each_token_as_far_and_uphill(upper):
    labels = [0, 2]

    def loss_of(vectors):
        return siamese.inference_loss(upper.head, vectors, labels)

    plain, moved, value = siamese.adversarial_views(upper, TEXTS, loss_of, size=1.0)
    assert torch.allclose(plain, upper.encode(TEXTS), atol=1e-4)
    assert loss_of(moved) > value + 0.1
    _, other, _ = siamese.adversarial_views(upper, TEXTS, loss_of, size=1.0, aimed=False)
    assert abs(loss_of(other) - value) < 0.1, "a random direction of the same length does next to nothing"
    _, still, _ = siamese.adversarial_views(upper, TEXTS, loss_of, size=0.0)
    assert torch.allclose(still, plain, atol=1e-5)
    assert not upper.memory.lower.model.embeddings._forward_hooks, "nothing is left behind"
    assert all(parameter.grad is None for parameter in upper.parameters())


def test_a_small_move_raises_the_loss_in_proportion(upper):
    def loss_of(vectors):
        return siamese.inference_loss(upper.head, vectors, [1, 2])

    small = 0.01
    _, moved, value = siamese.adversarial_views(upper, TEXTS, loss_of, size=small)
    _, half, _ = siamese.adversarial_views(upper, TEXTS, loss_of, size=small / 2)
    rise, less = (loss_of(x) - value for x in (moved, half))
    assert rise.item() == pytest.approx(2 * less.item(), rel=0.1)


def test_the_joint_loss_is_inference_and_a_weighted_contrast(upper):
    batch = (TEXTS[:2], TEXTS[2:], [0, 1])
    vectors = upper(upper.tokenize(TEXTS))
    inference = siamese.inference_loss(upper.head, vectors, [0, 1])
    alone = siamese.joint_loss(upper, batch, SimpleNamespace(first="none", second="no views"))
    assert torch.allclose(alone, inference, atol=1e-5)

    def view(model, texts, change, generator):
        return model(model.tokenize(texts))

    both = siamese.joint_loss(upper, batch, SimpleNamespace(first="none", second="none"), view)
    halves = [losses.simcse_loss(x, x, temperature=0.05) for x in vectors.chunk(2)]
    assert torch.allclose(both, inference + 0.15 * sum(halves) / 2, atol=1e-4)
    both.backward()
    assert upper.head.weight.grad.abs().sum() > 0


def test_random_weights_are_another_encoder_with_the_same_tokenizer(encoder):
    torch.manual_seed(0)
    fresh = encoders.random_weights(encoder)
    assert fresh.tokenizer.get_vocab() == encoder.tokenizer.get_vocab()
    assert F.cosine_similarity(fresh.encode(TEXTS), encoder.encode(TEXTS)).max() < 0.5
    assert encoder.model is not fresh.model
