"""Pretraining further on a domain's sentences, and what is searched and remembered afterwards."""

import os

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForMaskedLM

from clt import data, evaluation, metrics, results, retrieval
from clt.encoders import SentenceEncoder
from clt.predicting import word_filler
from clt.pretraining import further

public = pytest.mark.skipif(not os.environ.get("CLT_DATA"), reason="the public sets are not here: CLT_DATA is not set")
TEXTS = [f"The {animal} {act} in the garden because it {why}." for animal in ("cat", "dog", "horse")
         for act in ("sleeps", "runs", "waits", "sings") for why in ("rains", "is warm", "is late")]  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer():
    return SentenceEncoder.load("clt-mini").tokenizer


def small(tokenizer) -> BertForMaskedLM:
    torch.manual_seed(0)
    return BertForMaskedLM(BertConfig(vocab_size=len(tokenizer), hidden_size=64, num_hidden_layers=1,
                                      num_attention_heads=1, intermediate_size=64))  # fmt: skip


def test_masked_words_are_learnt_and_the_seed_decides(tokenizer):
    runs = [further.pretrain(small(tokenizer), tokenizer, TEXTS, steps=30, seed=seed, lr=1e-2, batch=200)
            for seed in (0, 0, 1)]  # fmt: skip
    assert np.mean(runs[0][-5:]) < np.mean(runs[0][:5]) - 1
    assert runs[0] == pytest.approx(runs[1], abs=1e-4)
    assert runs[0] != runs[2]


def test_no_dropout_and_the_head_goes_along(tokenizer):
    model = small(tokenizer)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    further.pretrain(model.train(), tokenizer, TEXTS, steps=2, seed=0, batch=200)
    assert not model.training
    changed = [name for name, value in model.state_dict().items() if not torch.equal(value, before[name])]
    assert any(name.startswith("cls.") for name in changed)
    assert any("encoder.layer" in name for name in changed)


def test_too_little_text_is_named(tokenizer):
    for texts in ([], ["Yes."], TEXTS[:2]):
        with pytest.raises(ValueError, match="too little text"):
            further.pretrain(small(tokenizer), tokenizer, texts, steps=1, seed=0)


def test_a_plan_is_followed_step_by_step(monkeypatch):
    monkeypatch.setattr(data, "unlabelled", lambda domain: TEXTS * 3)
    taken = []
    monkeypatch.setattr(further, "pretrain", lambda model, *_, steps, seed: taken.append(("masked", steps, seed)))
    monkeypatch.setattr(further, "contrast", lambda model, *_, steps, seed: taken.append(("contrast", steps, seed)))
    for number, _ in enumerate(further.follow("contrast on abstracts, then masked words on everyday", seed=3), 1):
        assert len(taken) == number
    assert taken == [("contrast", 60, 3), ("masked", 60, 3)]
    (untouched,) = further.follow("untouched", seed=0)
    same = SentenceEncoder.load("clt-mini", max_length=48)
    assert torch.allclose(untouched.encode(TEXTS[:3]), same.encode(TEXTS[:3]), atol=1e-5)
    with pytest.raises(ValueError, match="expected 'masked words"):
        list(further.follow("sleep on it", seed=0))


def test_contrast_tells_sentences_apart_and_leaves_the_lower_half():
    encoder = SentenceEncoder(word_filler().bert, SentenceEncoder.load("clt-mini").tokenizer, max_length=16)
    before, lower = encoder.encode(TEXTS), encoder.model.encoder.layer[1].output.dense.weight.clone()
    paid = further.contrast(encoder, TEXTS, steps=8, seed=0, size=16)
    assert len(paid) == 8
    assert paid[-1] < paid[0]
    assert metrics.uniformity(encoder.encode(TEXTS)) < metrics.uniformity(before)
    assert torch.equal(encoder.model.encoder.layer[1].output.dense.weight, lower)
    assert not encoder.training
    assert all(weight.requires_grad for weight in encoder.parameters())


def test_right_texts_are_packed_and_unpacked():
    right = np.random.default_rng(0).random((2, 120)) < 0.4
    packed = [results.packed(row) for row in right]
    assert [len(row) for row in packed] == [3, 3]
    assert (results.unpacked(packed, 120) == right).all()


def test_what_is_found_of_a_search(monkeypatch):
    documents = ["cats", *(f"{letter} gamma" for letter in "abcdefghijk"), "nothing"]
    relevance = torch.zeros(2, 13)
    relevance[0, 0] = relevance[1, 12] = 1
    task = evaluation.SearchTask(["cats", "gamma"], documents, relevance, ["claim"] * 2)
    monkeypatch.setattr(evaluation, "search_task", lambda name: task)
    found = evaluation.searched(None, "any")
    assert found["nDCG"] == 100 * metrics.ndcg(retrieval.bm25(task.queries, documents), relevance)
    assert found["accuracy"] == 50  # eleven others hold the second query's word


@public
def test_titles_are_searched_as_abstracts_are():
    whole, titles = (evaluation.search_task(f"{name}/test") for name in ("SciFact", "SciFact-titles"))
    assert all(text.startswith(title) for text, title in zip(whole.documents, titles.documents, strict=True))
    assert torch.equal(whole.relevance, titles.relevance)


@public
def test_the_domains_and_their_sentences():
    abstracts = data.unlabelled("abstracts")
    assert 30_000 < len(abstracts) == len(set(abstracts))
    assert all(5 < len(sentence.split()) <= 50 for sentence in abstracts)
    assert data.unlabelled("everyday") == data.sentences()


def test_another_domain_is_named():
    with pytest.raises(ValueError, match="there is no domain 'law'"):
        data.unlabelled("law")
