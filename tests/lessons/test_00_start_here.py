"""Lesson 00: what the notebook builds is what `clt` has, and its published table names what the notebook records."""

import pytest
import torch
from kit import rows, same

from clt import metrics, results, similarity


@pytest.mark.parametrize("seed", range(5))
def test_cosine(lesson, seed):
    x, y = rows(seed, 4, 6), rows(seed + 100, 5, 6)
    ours, theirs = lesson["similarity_matrix"](x, y), similarity.cosine_similarity(x, y)
    same(ours, theirs, x, y)
    slow = [[lesson["cosine_slow"](a, b) for b in y.detach()] for a in x.detach()]
    torch.testing.assert_close(torch.tensor(slow, dtype=torch.float64), theirs.detach())


@pytest.mark.parametrize("seed", range(5))
def test_alignment_and_uniformity(lesson, seed):
    x, y = rows(seed, 7, 4), rows(seed + 100, 7, 4)
    same(lesson["alignment"](x, y), metrics.alignment(x, y), x, y)
    same(lesson["uniformity"](x), metrics.uniformity(x), x)


def test_word_vectors_are_averaged_without_padding(lesson, tiny_folder):
    from clt.encoders import SentenceEncoder

    encoder = SentenceEncoder.load(tiny_folder)
    lesson["encoder"] = encoder
    pairs = {"sentence1": ["the cat sat", "a dog"], "sentence2": ["the cat sat on the mat and ran quickly", "tree"]}
    vectors = encoder.model.get_input_embeddings().weight.detach()
    for found, side in zip(lesson["pooled"](pairs, "words"), pairs.values(), strict=True):
        for one, text in zip(found, side, strict=True):
            mean = vectors[encoder.tokenizer(text)["input_ids"]].mean(0)
            torch.testing.assert_close(one, mean)


def test_answers_of_the_self_test():
    x = torch.randn(20, 8, generator=torch.Generator().manual_seed(0))
    one = x[:1].expand(20, 8)
    assert metrics.alignment(one, one).item() == 0
    assert abs(metrics.uniformity(one).item()) < 1e-6
    torch.testing.assert_close(metrics.uniformity(2 * x), metrics.uniformity(x))
    torch.testing.assert_close(similarity.dot_product(2 * x), 4 * similarity.dot_product(x))


def test_published_rows_are_recorded(code, stem):
    source = "\n".join(code)
    for table in results.published(stem):
        assert f'beside_paper("{stem}", "{table["table"]}")' in source
        for row in table["rows"]:
            name = row["key"] and row["key"].removeprefix("sts.")
            assert name is None or f'"{name}"' in source, f"{name} is never measured"
            assert row["paper"] is None or 0 < row["paper"] < 100
    assert 'f"sts.{name}"' in source
