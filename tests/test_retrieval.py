"""Scores for retrieval are their formulas; the ranking measures are those of trec_eval."""

import math
import random
from collections import Counter

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import log_softmax

from clt import metrics, retrieval

DOCUMENTS = [
    "the cat sat on the mat", "the dog sat on the log", "cats and dogs are pets",
    "the cat chased the dog and the dog chased the cat", "a mat is a small rug",
]  # fmt: skip


# ---- BM25


def slow_bm25(queries, documents, k1, b):
    texts = [document.lower().split() for document in documents]
    mean = sum(map(len, texts)) / len(texts)
    rows = []
    for query in queries:
        row = []
        for text in texts:
            score = 0.0
            for word in query.lower().split():
                n = sum(word in other for other in texts)
                tf = text.count(word)
                idf = math.log(1 + (len(texts) - n + 0.5) / (n + 0.5))
                score += idf * tf / (tf + k1 * (1 - b + b * len(text) / mean)) if tf else 0.0
            row.append(score)
        rows.append(row)
    return rows


@pytest.mark.parametrize(
    ("options", "expected"),
    [  # bm25s 0.3.16, method "lucene"
        ({}, [0.8361218278, 0.4180609139, 0, 0.9323707774, 0.4180609139]),
        ({"k1": 0.9, "b": 0.4}, [0.9425565887, 0.4712782943, 0, 1.1215500026, 0.4712782943]),
    ],
)
def test_bm25_is_that_of_lucene(options, expected):
    found = retrieval.bm25(["cat mat dog"], DOCUMENTS, **options)
    assert found.shape == (1, 5)
    assert found[0].tolist() == pytest.approx(expected, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 3), st.floats(0, 1))
def test_bm25_is_the_formula(seed, k1, b):
    rng = random.Random(seed)
    text = lambda n: " ".join(rng.choices("abcdefgh", k=n))
    documents = [text(rng.randint(0, 9)) for _ in range(6)] + ["a b"]
    queries = [text(rng.randint(0, 4)) for _ in range(3)] + ["never seen"]
    found = retrieval.bm25(queries, documents, k1=k1, b=b)
    np.testing.assert_allclose(found, slow_bm25(queries, documents, k1, b), rtol=1e-10, atol=1e-12)


def test_a_word_counts_as_often_as_the_query_says_it_and_its_case_does_not_matter():
    once, twice = retrieval.bm25(["Cat!", "cat, CAT"], DOCUMENTS)
    assert torch.allclose(2 * once, twice)


def test_a_frequent_word_never_counts_against_a_document():
    assert (retrieval.bm25(["the"], DOCUMENTS)[0][[0, 1, 3]] > 0).all()  # in three of five: Robertson's weight is −0.34


def test_words_are_taken_apart_without_marks():
    assert retrieval.words("Don't panic: 42 is the ANSWER_to café-life.") == [
        "don't", "panic", "42", "is", "the", "answer", "to", "café", "life",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (("one", ["two"]), {}, TypeError, "queries must be a sequence"),
        ((["one"], "two"), {}, TypeError, "documents must be a sequence"),
        ((["one"], []), {}, ValueError, "documents with words"),
        ((["one"], ["!", ""]), {}, ValueError, "documents with words"),
        ((["one"], ["two"]), {"k1": -1.0}, ValueError, "k1"),
        ((["one"], ["two"]), {"k1": math.nan}, ValueError, "k1"),
        ((["one"], ["two"]), {"b": 1.5}, ValueError, "b from 0 to 1"),
    ],
)
def test_bm25_says_what_it_expects(arguments, options, error, message):
    with pytest.raises(error, match=message):
        retrieval.bm25(*arguments, **options)


def test_no_query_gives_no_row():
    assert retrieval.bm25([], DOCUMENTS).shape == (0, 5)


# ---- sparse and multi-vector scores


def m3():
    """The closed-form tensors of the reference figures: two queries, four passages, tokens 0 to 3 are special."""

    def hidden(a, n, length):
        s, at, k = torch.meshgrid(*(torch.arange(1, m + 1).double() for m in (n, length, 4)), indexing="ij")
        return torch.sin(a * s + 0.7 * at + 0.3 * k * at)

    tokens = (torch.tensor([[0, 4, 5, 2], [0, 6, 7, 2]]),
              torch.tensor([[0, 4, 8, 5, 2], [0, 9, 4, 2, 1], [0, 7, 6, 6, 2], [0, 10, 11, 2, 1]]))  # fmt: skip
    return hidden(0.9, 2, 4), hidden(1.7, 4, 5), *tokens


def slow_sparse(wq, tq, wp, tp):
    def bag(weights, tokens):
        found = {}
        for w, t in zip(weights, tokens.tolist(), strict=True):
            found[t] = torch.maximum(found[t], w) if t in found else w
        return found

    rows = []
    for q in zip(wq, tq, strict=True):
        mine = bag(*q)
        rows.append([sum((mine[t] * w for t, w in bag(*p).items() if t in mine), wq.new_zeros(()))
                     for p in zip(wp, tp, strict=True)])  # fmt: skip
    return torch.stack([torch.stack(row) for row in rows])


def slow_multi(q, p, mq, mp):
    rows = []
    for query, own in zip(q, mq, strict=True):
        row = []
        for passage, other in zip(p, mp, strict=True):
            best = [max(F.cosine_similarity(x, y, dim=0) for y in passage[other]) for x in query[own]]
            row.append(sum(best) / len(best))
        rows.append(torch.stack(row))
    return torch.stack(rows)


def drawn(seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    normal = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)
    tokens = [torch.randint(6, shape, generator=generator) for shape in ((3, 4), (5, 7))]
    masks = [torch.rand(3, 4, generator=generator) < 0.6, torch.rand(5, 7, generator=generator) < 0.6]
    for mask in masks:
        mask[:, 0] = True
    return normal(3, 4, 6), normal(5, 7, 6), *tokens, *masks


def test_sparse_scores_are_those_of_the_released_code():
    query, passage, tq, tp = m3()
    weight = 0.4 + 0.2 * torch.arange(1, 5).double()
    wq, wp = (torch.relu(h @ weight + 2.0) * (t > 3) for h, t in ((query, tq), (passage, tp)))
    dense = query[:, 0], passage[:, 0]
    found = retrieval.sparse_scores(wq, tq, wp, tp)
    torch.testing.assert_close(found, slow_sparse(wq, tq, wp, tp))
    # dense + 0.3 sparse + multi-vector, FlagEmbedding @7ed43d6
    one_to_four = torch.arange(1, 5).double()
    projection = 0.5 * torch.outer(one_to_four, one_to_four).cos() + torch.eye(4).double()
    multi = retrieval.multi_vector_scores(
        query[:, 1:] @ projection.T, passage[:, 1:] @ projection.T, tq[:, 1:] != 1, tp[:, 1:] != 1
    )
    both = F.normalize(dense[0]) @ F.normalize(dense[1]).T + 0.3 * found + multi
    expected = torch.tensor([[1.6808221079, -0.2367478973, 1.1202703443, 1.8688528258],
                             [1.9575751759, 1.0431505729, 3.3306602309, 0.7742590607]]).double()  # fmt: skip
    torch.testing.assert_close(both, expected, atol=1e-6, rtol=1e-6)  # weights in float32 there


@pytest.mark.parametrize("seed", range(5))
def test_scores_are_their_formulas_and_so_are_their_gradients(seed):
    q, p, tq, tp, mq, mp = drawn(seed)
    wq, wp = q[..., 0].abs().requires_grad_(), p[..., 0].abs().requires_grad_()
    q, p = q.requires_grad_(), p.requires_grad_()
    for ours, theirs, inputs in (
        (retrieval.sparse_scores(wq, tq, wp, tp), slow_sparse(wq, tq, wp, tp), (wq, wp)),
        (retrieval.multi_vector_scores(q, p, mq, mp), slow_multi(q, p, mq, mp), (q, p)),
    ):
        torch.testing.assert_close(ours, theirs)
        upstream = torch.linspace(-1, 2, ours.numel(), dtype=ours.dtype).view_as(ours)
        torch.testing.assert_close(
            torch.autograd.grad(ours, inputs, upstream), torch.autograd.grad(theirs, inputs, upstream)
        )


def test_gradcheck():
    q, p, tq, tp, mq, mp = drawn(7)
    wq, wp = (0.1 + x[..., 0].abs().requires_grad_() for x in (q, p))
    assert torch.autograd.gradcheck(lambda a, b: retrieval.sparse_scores(a, tq, b, tp), (wq, wp))
    q, p = q.requires_grad_(), p.requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: retrieval.multi_vector_scores(a, b, mq, mp), (q, p))


def test_padding_does_not_change_a_score_and_gets_no_gradient():
    """The released code scores the same passage −0.7 alone and 0.0 beside a longer one."""
    query = torch.tensor([[[1.0, 0, 0, 0], [0, 1.0, 0, 0]]])
    token = torch.tensor([-0.6, -0.8, 0, 0])
    passage = torch.stack([torch.stack([token, token]), torch.stack([token, 0 * token])]).requires_grad_()
    found = retrieval.multi_vector_scores(query, passage, None, torch.tensor([[True, True], [True, False]]))
    torch.testing.assert_close(found, torch.tensor([[-0.7, -0.7]]))
    found.sum().backward()
    assert torch.isfinite(passage.grad).all()
    assert not passage.grad[1, 1].any()


def test_small_tiles_give_the_same(monkeypatch):
    q, p, *_, mq, mp = drawn(3)
    whole = retrieval.multi_vector_scores(q, p, mq, mp)
    monkeypatch.setattr(retrieval, "TILE", 1)
    assert torch.equal(retrieval.multi_vector_scores(q, p, mq, mp), whole)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    q, p, tq, tp, mq, mp = drawn(1, dtype)
    exact = [x.double() for x in (q, p)]
    found = retrieval.multi_vector_scores(q, p, mq, mp)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), retrieval.multi_vector_scores(*exact, mq, mp), atol=1e-6, rtol=1e-5)
    weights = [x[..., 0].abs() for x in (q, p)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = retrieval.sparse_scores(weights[0], tq, weights[1], tp)
    assert found.dtype == torch.float32
    exact = retrieval.sparse_scores(weights[0].double(), tq, weights[1].double(), tp)
    torch.testing.assert_close(found.double(), exact, atol=1e-6, rtol=1e-5)


X, T = torch.ones(2, 3), torch.ones(2, 3, dtype=torch.long)
V = torch.ones(2, 3, 4)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: retrieval.sparse_scores(T, T, X, T), TypeError, "query_weights must be"),
        (lambda: retrieval.sparse_scores(X, T, X, X), TypeError, "passage_tokens must be"),
        (lambda: retrieval.sparse_scores(X, T[:1], X, T), ValueError, "one shape"),
        (lambda: retrieval.sparse_scores(X[:0], T[:0], X, T), ValueError, "not be empty"),
        (lambda: retrieval.sparse_scores(-X, T, X, T), ValueError, "query_weights must not be negative"),
        (lambda: retrieval.sparse_scores(X, T, torch.nan * X, T), ValueError, "passage_weights must not be negative"),
        (lambda: retrieval.multi_vector_scores(X, V), ValueError, "query must have shape"),
        (lambda: retrieval.multi_vector_scores(V, V.long()), TypeError, "passage must be"),
        (lambda: retrieval.multi_vector_scores(V, V[..., :2]), ValueError, "4 dimensions and passage 2"),
        (lambda: retrieval.multi_vector_scores(V, V, T), TypeError, "query_mask must be"),
        (lambda: retrieval.multi_vector_scores(V, V, None, T[:1] > 0), ValueError, "passage_mask must have shape"),
        (lambda: retrieval.multi_vector_scores(V, V, T < 0), ValueError, "query 0 has no token"),
        (lambda: retrieval.reciprocal_rank_fusion(), ValueError, "one shape"),
        (lambda: retrieval.reciprocal_rank_fusion(X, X[:1]), ValueError, "one shape"),
        (lambda: retrieval.reciprocal_rank_fusion(X * torch.nan), ValueError, "not a number"),
        (lambda: retrieval.reciprocal_rank_fusion(X, k=-1), ValueError, "k must not"),
        (lambda: retrieval.learned_weights(X.abs()), ValueError, "scores of the shape"),
        (lambda: retrieval.learned_weights(X.abs(), X[:1]), ValueError, "scores of the shape"),
        (lambda: retrieval.learned_weights(0 * X, X), ValueError, "query 0 has no relevant"),
        (lambda: retrieval.learned_weights(X.abs() + 1, X * torch.inf), ValueError, "finite"),
    ],
)
def test_bad_input_gets_one_clear_error(call, error, message):
    with pytest.raises(error, match=message):
        call()


# ---- fusion


def test_fusion_of_two_lists_by_hand():
    """List A is d1, d2, d3, d4 and list B d3, d1, d5."""
    out = -torch.inf
    a, b = torch.tensor([[4.0, 3, 2, 1, out]]), torch.tensor([[2.0, out, 3, out, 1]])
    expected = [0.0325224749, 0.0161290323, 0.0322664585, 0.015625, 0.0158730159]
    assert retrieval.reciprocal_rank_fusion(a, b)[0].tolist() == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(3))
def test_fusion_is_the_formula(seed):
    generator = torch.Generator().manual_seed(seed)
    lists = [torch.randint(5, (3, 8), generator=generator).double() for _ in range(3)]  # with ties
    expected = [[sum(1 / (7 + 1 + sum(other > s[i, j] for other in s[i])) for s in lists).item() for j in range(8)]
                for i in range(3)]  # fmt: skip
    found = retrieval.reciprocal_rank_fusion(*lists, k=7)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))
    stretched = [100 * s**3 for s in lists]
    assert torch.equal(retrieval.reciprocal_rank_fusion(*stretched, k=7), found), "only ranks count"


# ---- weights


def made(seed):
    """Two rankings of which the second knows half as much, on a scale a thousand times as large."""
    generator = torch.Generator().manual_seed(seed)
    relevance = F.one_hot(torch.randint(30, (40,), generator=generator), 30).double()
    noise = torch.randn(2, 40, 30, generator=generator, dtype=torch.float64)
    return relevance, 2 * relevance + noise[0], 1000 * (relevance + noise[1])


@pytest.mark.parametrize("seed", range(3))
def test_learned_weights_are_the_least_loss(seed):
    """Against scipy's search without gradients."""
    relevance, *lists = made(seed)
    right = relevance.argmax(1).numpy()
    a, b = (s.numpy() for s in lists)

    def loss(w):
        return -log_softmax(w[0] * a + w[1] * b / 1000, axis=1)[np.arange(len(right)), right].mean()

    least = minimize(loss, [0.5, 0.5], method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-12}).x
    found = retrieval.learned_weights(relevance, *lists)
    assert found.tolist() == pytest.approx([least[0], least[1] / 1000], rel=1e-4)
    assert found[0] > 1000 * found[1] > 0


def test_learned_weights_do_not_depend_on_scale_or_gradient_mode():
    relevance, a, b = made(0)
    found = retrieval.learned_weights(relevance, a, b)
    with torch.no_grad():
        again = retrieval.learned_weights(relevance, 50 * a.requires_grad_(), b)
    torch.testing.assert_close(again, found / torch.tensor([50.0, 1.0]), rtol=1e-4, atol=0)
    assert a.grad is None


def test_a_useless_ranking_gets_next_to_no_weight():
    relevance, a, _ = made(1)
    noise = torch.randn(a.shape, generator=torch.Generator().manual_seed(9))
    weights = retrieval.learned_weights(relevance, a, noise)
    assert abs(weights[1]) < 0.2 * weights[0]


# ---- measures


def judged(seed, queries=12, documents=30, ties=False):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(queries, documents, generator=generator)
    scores = scores.round() if ties else scores
    relevance = torch.randint(-4, 4, (queries, documents), generator=generator).clamp_min(0)
    relevance[:, 0] = 1
    return scores, relevance


def slow_measures(scores, relevance, k):
    rows = []
    for s, rel in zip(scores.tolist(), relevance.tolist(), strict=True):
        order = sorted(range(len(s)), key=lambda j: (-s[j], -j))
        grades, ideal = [rel[j] for j in order], sorted(rel, reverse=True)
        dcg = [sum(g / math.log2(r + 2) for r, g in enumerate(row[:k])) for row in (grades, ideal)]
        first = next((r + 1 for r, g in enumerate(grades[:k]) if g), math.inf)
        rows.append((dcg[0] / dcg[1], 1 / first, sum(g > 0 for g in grades[:k]) / sum(g > 0 for g in grades)))
    return [sum(column) / len(rows) for column in zip(*rows, strict=True)]


def measures(scores, relevance, k):
    return [measure(scores, relevance, k) for measure in (metrics.ndcg, metrics.reciprocal_rank, metrics.recall)]


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("k", [1, 3, 10, 100])
@pytest.mark.parametrize("seed", range(3))
def test_measures_are_their_formulas(seed, k, ties):
    scores, relevance = judged(seed, ties=ties)
    assert measures(scores, relevance, k) == pytest.approx(slow_measures(scores, relevance, k), rel=1e-12)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_measures_are_those_of_trec_eval(seed, ties):
    trec = pytest.importorskip("pytrec_eval")
    scores, relevance = judged(seed, ties=ties)
    name = "d{:03}".format
    qrels = {f"q{i}": {name(j): int(g) for j, g in enumerate(row)} for i, row in enumerate(relevance)}
    run = {f"q{i}": {name(j): float(s) for j, s in enumerate(row)} for i, row in enumerate(scores)}
    wanted = {"ndcg_cut.1,10", "recip_rank", "recall.5"}
    rows = trec.RelevanceEvaluator(qrels, wanted).evaluate(run).values()
    mean = lambda key: sum(row[key] for row in rows) / len(rows)
    assert metrics.ndcg(scores, relevance) == pytest.approx(mean("ndcg_cut_10"), rel=1e-6)
    assert metrics.ndcg(scores, relevance, 1) == pytest.approx(mean("ndcg_cut_1"), rel=1e-6)
    assert metrics.reciprocal_rank(scores, relevance, scores.shape[1]) == pytest.approx(mean("recip_rank"), rel=1e-6)
    assert metrics.recall(scores, relevance, 5) == pytest.approx(mean("recall_5"), rel=1e-6)


def test_trec_eval_compares_in_single_precision():
    trec = pytest.importorskip("pytrec_eval")
    scores, relevance = torch.tensor([[1.0 + 1e-12, 1.0]], dtype=torch.float64), torch.tensor([[1, 0]])
    run = {"q": {"d0": scores[0, 0].item(), "d1": scores[0, 1].item()}}
    theirs = trec.RelevanceEvaluator({"q": {"d0": 1, "d1": 0}}, {"recip_rank"}).evaluate(run)["q"]["recip_rank"]
    assert metrics.reciprocal_rank(scores, relevance) == theirs == 0.5


def test_equal_scores_are_ranked_by_name_backwards():
    same = torch.zeros(1, 3)
    assert metrics.reciprocal_rank(same, torch.tensor([[1, 0, 0]])) == pytest.approx(1 / 3)
    assert metrics.reciprocal_rank(same, torch.tensor([[0, 0, 1]])) == 1


def test_a_query_without_a_relevant_document_counts_nothing():
    scores, relevance = judged(0, queries=2)
    relevance[1] = 0
    for value, half in zip(measures(scores, relevance, 10), measures(scores[:1], relevance[:1], 10), strict=True):
        assert value == pytest.approx(half / 2)


@pytest.mark.parametrize("measure", [metrics.ndcg, metrics.reciprocal_rank, metrics.recall])
def test_measures_say_what_they_expect(measure):
    scores, relevance = judged(0)
    for arguments, message in (
        ((scores, relevance[:1], 5), "one shape"),
        ((scores[0], relevance[0], 5), "one shape"),
        ((scores, relevance, 0), "k must be"),
        ((scores * torch.nan, relevance, 5), "not a number"),
        ((scores, -relevance, 5), "must not be negative"),
    ):
        with pytest.raises(ValueError, match=message):
            measure(*arguments)


# ---- the course's own questions


def test_how_hard_the_courses_questions_are_for_bm25():
    from clt import data

    passages = [row for split in ("train", "dev", "test") for row in data.load("passages", split)]
    place = {row["id"]: i for i, row in enumerate(passages)}
    found = {}
    for split in ("train", "dev", "test"):
        rows = list(data.load("questions", split))
        relevance = torch.zeros(len(rows), len(passages), dtype=torch.long)
        for i, row in enumerate(rows):
            for j, answer in enumerate(row["answers"]):
                relevance[i, place[answer]] = 1 if j else 2
        scores = retrieval.bm25([row["question"] for row in rows], [row["passage"] for row in passages])
        found[split] = metrics.ndcg(scores, relevance)
        apart = torch.tensor([row["kind"] == "meaning" for row in rows])
        hard, easy = (metrics.ndcg(scores[which], relevance[which]) for which in (apart, ~apart))
        assert hard < 0.05 < 0.75 < easy
    assert all(0.45 < value < 0.75 for value in found.values()), found
    assert Counter(row["id"] for row in passages).most_common(1)[0][1] == 1
