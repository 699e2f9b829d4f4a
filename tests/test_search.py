"""What the lesson on retrieval needs beside scores: the three-way encoder, the shop, the tasks."""

import pytest
import torch
import torch.nn.functional as F

from clt import data, encoders, evaluation, retrieval

TEXTS = ["Ice floats.", "A lake cools until its bottom is at four degrees, and then ice forms at the top.", "!"]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return encoders.M3Encoder(encoders.SentenceEncoder.load("clt-mini"), width=16).eval()


def test_a_reading_has_what_the_three_scores_need(model):
    with torch.no_grad():
        read = model(TEXTS)
    length = read["tokens"].shape[1]
    assert {name: tuple(value.shape) for name, value in read.items()} == {
        "dense": (3, 256), "weights": (3, length), "tokens": (3, length), "vectors": (3, length, 16),
        "mask": (3, length),
    }  # fmt: skip
    names = model.encoder.tokenizer.convert_ids_to_tokens(read["tokens"][0][read["mask"][0]])
    assert names[0] == "ice"
    assert names[-1] == "."
    assert "[SEP]" not in names
    assert not read["weights"][~read["mask"]].any()
    assert (read["weights"] >= 0).all()


def test_batches_and_padding_change_nothing(model):
    alone = [model.encode([text]) for text in TEXTS]
    for size in (1, 64):
        together = model.encode(TEXTS, batch_size=size)
        whole = model.scores(together, together)
        for i, one in enumerate(alone):
            for head, scores in model.scores(one, one).items():
                torch.testing.assert_close(scores[0, 0], whole[head][i, i], atol=2e-4, rtol=2e-4)
    assert not model.training


def test_the_scores_are_those_of_the_package_and_reach_every_weight(model):
    q, p = model(TEXTS[:1]), model(TEXTS[:2])
    scores = model.scores(q, p)
    torch.testing.assert_close(scores["dense"], F.normalize(q["dense"]) @ F.normalize(p["dense"]).T)
    words = retrieval.sparse_scores(q["weights"], q["tokens"], p["weights"], p["tokens"])
    torch.testing.assert_close(scores["sparse"], words)
    torch.testing.assert_close(scores["ensemble"], scores["dense"] + 0.3 * scores["sparse"] + scores["multi-vector"])
    scores["ensemble"].sum().backward()
    assert all(layer.weight.grad.any() for layer in (model.weigh, model.project))
    model.zero_grad()


def test_ranking_is_reading_and_scoring(model):
    ranked, both = model.rank(TEXTS[:1], TEXTS), model.scores(model.encode(TEXTS[:1]), model.encode(TEXTS))
    assert set(ranked) == {"dense", "sparse", "multi-vector", "ensemble"}
    for head, scores in ranked.items():
        assert scores.shape == (1, 3)
        assert torch.equal(scores, both[head])
        assert not scores.requires_grad


def test_an_empty_text_is_no_crash(model):
    read = model.encode(["", "Ice floats."])
    assert all(scores.isfinite().all() for scores in model.scores(read, read).values())


def test_the_streaming_frequency_is_that_of_the_paper():
    """One item seen at steps 2, 5, 9, 14 and 20; B begins at 100, α = 0.1."""
    frequency = data.StreamingFrequency(1, start=100, alpha=0.1)
    found = [frequency(torch.tensor([0]), step=step).item() for step in (2, 5, 9, 14, 20)]
    expected = [0.0110864745, 0.0122729510, 0.0135626322, 0.0149568942, 0.0164546972]
    assert found == pytest.approx(expected, rel=1e-5)


def test_the_streaming_frequency_comes_near_the_share_of_batches():
    generator = torch.Generator().manual_seed(0)
    frequency, seen = data.StreamingFrequency(3), torch.zeros(3)
    for _ in range(4000):
        items = torch.multinomial(torch.tensor([0.7, 0.2, 0.1]), 2, True, generator=generator)
        frequency(items)
        seen[items.unique()] += 1 / 4000
    estimate = 1 / frequency.gap
    assert (estimate / seen).log().abs().max() < 0.4


def test_clicks_follow_popularity_and_the_seed():
    shop, again = data.Shop(3, items=20), data.Shop(3, items=20)
    assert torch.equal(shop.taste, again.taste)
    person, item = shop.clicks(torch.Generator().manual_seed(0), 4000)
    assert person.shape == (4000, 8)
    count = torch.bincount(item, minlength=20)
    assert count[:5].sum() > count[-5:].sum()
    liked = (person * shop.taste[item]).sum(1).mean()
    assert liked > 0.3, "people click what they like"


def test_search_tasks():
    task = evaluation.search_task("questions/dev")
    assert (len(task.queries), len(task.documents)) == task.relevance.shape == (100, 500)
    assert (task.relevance == 2).sum(1).eq(1).all()
    assert set(task.kinds) == {"words", "meaning"}
    train = evaluation.search_task("questions/train")
    assert train.relevance[:, :300].sum() == train.relevance.sum(), "the passages of train come first"
    with pytest.raises(ValueError, match="questions/…"):
        evaluation.search_task("sts/test")


def test_passages_and_questions_are_no_text_for_learning_without_labels():
    assert not set(data.sentences()) & set(evaluation.search_task("questions/dev").documents)
