"""The leaderboard: every row is configuration, reads as many sentences, and trains; columns are what they say."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from clt import data, evaluation, leaderboard, losses, metrics
from clt.encoders import SentenceEncoder


@pytest.fixture(scope="module")
def start():
    return SentenceEncoder.load("clt-mini", max_length=32).above(3)


def drawn(texts: str, seed: int = 0) -> list:
    return leaderboard.TEXTS[texts](torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("texts", leaderboard.TEXTS)
def test_a_step_reads_as_many_sentences_whatever_the_texts(texts):
    batch = drawn(texts)
    columns = [part for part in batch if isinstance(part, list)]
    assert sum(map(len, columns)) == leaderboard.READINGS
    assert len({len(column) for column in columns}) == 1
    assert all(len(part) == len(columns[0]) for part in batch if isinstance(part, torch.Tensor))
    assert str(drawn(texts)) == str(batch)
    assert str(drawn(texts, seed=1)) != str(batch)


def test_what_stands_in_the_columns():
    rows = data.load("nli", "train")
    known = dict(zip(rows["premise"], zip(rows["entailment"], rows["contradiction"], strict=True), strict=True))
    first, second = drawn("pairs")
    assert all(known[a][0] == b for a, b in zip(first, second, strict=True))
    premise, entailed, denied = drawn("triplets")
    assert all(known[a] == (b, c) for a, b, c in zip(premise, entailed, denied, strict=True))
    one, again, other = drawn("twins")
    assert one == again
    assert all(known[a][0] == b for a, b in zip(one, other, strict=True))
    assert drawn("sentences")[0] == drawn("sentences")[1]
    texts, labels = drawn("situations")
    emotion = dict(zip(*(data.load("emotions", "train")[c] for c in ("text", "label")), strict=True))
    names = sorted(set(emotion.values()))
    assert [names[i] for i in labels.tolist()] == [emotion[text] for text in texts]
    assert labels.bincount().max() == 4
    left, _, scores = drawn("grades")
    grade = dict(zip(*(data.load("sts", "train")[c] for c in ("sentence1", "score")), strict=True))
    assert [grade[sentence] for sentence in left] == pytest.approx(scores.tolist())
    lines, story = drawn("stories")
    assert story.tolist() == [i // 6 for i in range(72)]
    told = [*data.load("stories", "train")["sentences"], *data.load("dialogues", "train")["turns"]]
    assert lines[6:12] in told


def test_no_row_is_trained_on_what_is_measured():
    trained = {text for texts in leaderboard.TEXTS for part in drawn(texts) if isinstance(part, list) for text in part}
    task = evaluation.search_task("questions/test")
    asked = {*data.load("sts", "test")["sentence1"], *data.load("emotions", "test")["text"], *task.queries}
    assert not trained & asked


@pytest.mark.parametrize("name", leaderboard.ROWS)
def test_every_row_has_a_finite_loss_that_reaches_every_vector(name):
    row = dict(leaderboard.ROWS[name])
    columns, told = leaderboard._parts(drawn(row.pop("texts")))
    vectors = F.normalize(torch.randn(leaderboard.READINGS, 16), dim=1).requires_grad_()
    value = leaderboard.named(row.pop("loss"))(*vectors.chunk(len(columns)), *told, **row)
    value.backward()
    assert value.isfinite()
    assert vectors.grad.isfinite().all()
    assert (vectors.grad.abs().sum(1) > 0).double().mean() > 0.2
    assert leaderboard.memory(**leaderboard.ROWS[name]) > 0


def test_the_losses_in_another_form():
    q, p = F.normalize(torch.randn(2, 8, 5, dtype=torch.float64), dim=2)
    rolled = torch.stack([p.roll(i, 0) for i in (1, 2)], dim=1)
    ours = leaderboard.sampled(q, p, k=2, temperature=0.3)
    assert ours.item() == pytest.approx(losses.negative_sampling_loss(q, p, rolled, temperature=0.3).item())
    ours = leaderboard.one_negative(q, p, margin=0.3)
    assert ours.item() == pytest.approx(losses.triplet_loss(q, p, p.roll(1, 0), margin=0.3).item())
    scores = torch.arange(8.0)
    assert leaderboard.graded(q, p, scores).item() == pytest.approx(losses.cosent_loss((q * p).sum(1), scores).item())
    texts = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])
    ours = leaderboard.in_order(q, texts, temperature=0.2)
    assert ours.item() == pytest.approx(losses.quick_thoughts_loss(q / 0.2, q, texts).item())
    margin = torch.full((8,), 0.5, dtype=torch.float64)
    ours = leaderboard.twins_apart(q, q.roll(1, 0), p)
    assert ours.item() == pytest.approx(losses.ifcl_loss(q, q.roll(1, 0), p, margin).item())


def test_the_mask_leaves_out_what_is_clearly_above_the_positive():
    q = F.normalize(torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), dim=1)
    p = F.normalize(torch.tensor([[0.5, 0.0, 0.8], [0.9, 0.4, 0.0]]), dim=1)  # the second is nearer to both queries
    rows = [losses.info_nce_loss(q, p, temperature=0.05, reduction="none")[i].item() for i in (0, 1)]
    assert rows[0] > 5
    assert leaderboard.self_guided(q, p).item() < rows[1]
    assert leaderboard.self_guided(q, p, margin=2.0).item() == pytest.approx(sum(rows) / 2, rel=1e-4)


def test_a_loss_by_its_name_or_itself(start):
    assert leaderboard.named("nt_xent_loss") is losses.nt_xent_loss
    assert leaderboard.named("graded") is leaderboard.graded
    runs = []
    for loss in (
        "nt_xent_loss",
        losses.nt_xent_loss,
        lambda q, p, temperature: losses.nt_xent_loss(q, p, temperature=temperature),
    ):
        model = copy.deepcopy(start)
        runs.append(leaderboard.fit(model, "pairs", loss, steps=2, temperature=0.1))
    assert runs[0] == runs[1] == runs[2]
    assert leaderboard.fit(copy.deepcopy(start), "pairs", "nt_xent_loss", steps=2, seed=1, temperature=0.1) != runs[0]
    with pytest.raises(ValueError, match="there are no texts 'novels'; there are sentences, stories"):
        leaderboard.fit(start, "novels", "nt_xent_loss", steps=1)
    with pytest.raises(AttributeError, match="no_loss"):
        leaderboard.fit(start, "pairs", "no_loss", steps=1)


def test_the_columns_of_an_encoder_that_knows_everything():
    """Labels and relevance as vectors: every column is at its best."""
    rows, task = data.load("emotions", "test"), evaluation.search_task("questions/test")
    names = sorted(set(rows["label"]))
    place = {text: names.index(label) for text, label in zip(rows["text"], rows["label"], strict=True)}
    axis = {document: j for j, document in enumerate(task.documents)}
    answer = {query: grades.argmax().item() for query, grades in zip(task.queries, task.relevance, strict=True)}

    def known(texts):
        found = torch.zeros(len(texts), 600)
        for i, text in enumerate(texts):
            j = axis.get(text, answer.get(text))
            found[i, 550 + place[text] if text in place else 40 if j is None else j] = 1.0
            found[i] += 1e-3 * leaderboard._drawn(text, 600)
        return found

    found = leaderboard.measure(leaderboard.Vectors(known), ["sts/dev"])
    assert found["neighbours"] == pytest.approx(100)
    assert found["probe"] == pytest.approx(100)
    assert 75 < found["search"] <= 100
    assert set(found) == {"sts/dev", "search", "neighbours", "probe", "alignment", "uniformity", "anisotropy"}


def test_neighbours_by_hand():
    z = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.2, 1.0], [1.0, 0.5]])
    labels = ["a", "a", "b", "b", "b"]
    assert leaderboard.same_neighbours(z, labels, k=1) == pytest.approx(100 * 4 / 5)  # the last is nearest to an a


def test_what_is_cut():
    """Vectors whose first numbers say nothing: cut they fail, and their principal components do not."""
    rows = data.load("sts", "test")
    first = [text for column in ("sentence1", "sentence2") for text in rows[column]]
    score = {}
    for a, b, grade in zip(rows["sentence1"], rows["sentence2"], rows["score"], strict=True):
        score[a], score[b] = (0.0, grade), (1.0, grade)

    def made(texts):
        found = torch.zeros(len(texts), 8)
        for i, text in enumerate(texts):
            side, grade = score.get(text, (0.0, 0.0))
            noise = leaderboard._drawn(text, 8)
            angle = side * (5 - grade) / 5 + (noise[7].item() if text not in score else 0.0)
            found[i, 4], found[i, 5] = np.cos(angle), np.sin(angle)
            found[i, :4] = 1e-4 * noise[:4]
        return found

    assert len(first) == 2 * len(rows)
    found = leaderboard.cut(leaderboard.Vectors(made), parts=(1, 2))
    assert list(found) == ["cut 1/1", "PCA 1/1", "cut 1/2", "PCA 1/2"]
    assert found["cut 1/1"] > 95
    assert abs(found["cut 1/2"]) < 20
    assert found["PCA 1/2"] > 50


def test_the_rows_that_nobody_trained(start):
    rows = leaderboard.floors(start)
    assert list(rows) == ["untrained", "centred", "whitened", "tf-idf", "random"]
    texts = list(data.load("nli", "train")["premise"])
    vectors = {name: row.encode(texts[:400]) for name, row in rows.items()}
    assert torch.equal(vectors["untrained"], start.encode(texts[:400]))
    assert metrics.anisotropy(vectors["untrained"]) > 0.5 > abs(metrics.anisotropy(vectors["centred"]))
    spread = rows["whitened"].encode(texts).double().T.cov()
    assert 250 <= len(spread) <= 256, "a direction in which nothing varies is left out"
    assert torch.allclose(spread, torch.eye(len(spread), dtype=torch.float64), atol=1e-3)
    assert torch.equal(rows["random"].encode(texts[:3]), rows["random"].encode(texts[:3]))
    assert rows["tf-idf"].encode(["zzzz"]).abs().sum() == 0
