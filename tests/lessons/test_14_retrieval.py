"""Lesson 14 teaches the package's own functions: its solutions, taken out of the notebook, give the same."""

from types import SimpleNamespace

import pytest
import torch
from kit import cells, same

from clt import losses, metrics, retrieval

# Two queries, four passages, of which the first and the third answer: scores and losses of the released code of BGE-M3.
DENSE = [[0.2983877276820562, -0.9610955704349896, 0.33735594669327384, 0.9830035473063148],
         [0.960487126122008, 0.25601825216615437, -0.9341021282461268, -0.16295007997627492]]  # fmt: skip
MULTI = [[0.783910962492837, 0.724347673102581, 0.7829143975994128, 0.8858492787074473],
         [0.9970880497352561, 0.7871323207606631, 0.8597867470303804, 0.9372091406669659]]  # fmt: skip
ENSEMBLE = [[1.6808221079087002, -0.23674789733240864, 1.1202703442926867, 1.8688528260137622],
            [1.9575751758572641, 1.0431505729268173, 3.3306602309362554, 0.774259060690691]]  # fmt: skip
M3_LOSS = {
    (0.02, False): 18.79823984906813, (0.02, True): 18.70198725898423,
    (0.5, False): 1.238852249076049, (0.5, True): 1.2986254192765807,
}  # fmt: skip


@pytest.fixture(params=range(3))
def generator(request) -> torch.Generator:
    return torch.Generator().manual_seed(request.param)


def test_bm25(lesson):
    texts = ["the cat sat on the mat", "the dog sat on the log", "a mat is a small rug", "cat, cat and cat"]
    queries = ["the cat mat", "a small dog dog", "nothing known"]
    column = {word: i for i, word in enumerate(dict.fromkeys(w for t in texts for w in retrieval.words(t)))}
    tables = []
    for group in (queries, texts):
        table = torch.zeros(len(group), len(column), dtype=torch.float64)
        for i, text in enumerate(group):
            for word in retrieval.words(text):
                if word in column:
                    table[i, column[word]] += 1
        tables.append(table)
    for options in ({}, {"k1": 0.9, "b": 0.4}):
        torch.testing.assert_close(lesson["bm25"](*tables, **options), retrieval.bm25(queries, texts, **options))


@pytest.mark.parametrize("k", [1, 3, 10])
def test_ndcg(lesson, generator, k):
    scores = torch.randn(6, 12, generator=generator)
    relevance = torch.randint(-3, 3, (6, 12), generator=generator).clamp_min(0)
    relevance[:, 0] = 1
    found = float(lesson["ndcg"](scores, relevance, k=k))
    assert found == pytest.approx(metrics.ndcg(scores, relevance, k), rel=1e-5)


@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_log_q(lesson, generator, temperature):
    q, k = torch.randn(2, 7, 5, generator=generator, dtype=torch.float64).requires_grad_()
    log_frequency = -torch.rand(7, generator=generator, dtype=torch.float64)
    ours = lesson["log_q_loss"](q, k, log_frequency, temperature=temperature)
    same(ours, losses.info_nce_loss(q, k, temperature=temperature, log_frequency=log_frequency), q, k)


@pytest.mark.parametrize("k", [0, 5, 60])
def test_agreement_is_worth_as_much_at_that_rank_and_less_one_further(lesson, k):
    rank = int(lesson["agreement_rank"](k))
    far = rank + 5

    def fused(place: int) -> tuple[float, float]:
        """What A gets, first on one list and absent from the other, and B, at ``place`` on both."""
        one = -torch.arange(1.0, far + 2)[None]  # B is in column place − 1, A in the first
        other = one.clone()
        other[0, 0] = -torch.inf
        other[0, place - 1 :] = -torch.arange(place, far + 2.0)
        other[0, 1 : place - 1] = -torch.arange(2.0, place)
        other = torch.cat([other, torch.tensor([[0.0]])], 1)  # someone else is first on the other list
        one = torch.cat([one, torch.tensor([[-torch.inf]])], 1)
        total = retrieval.reciprocal_rank_fusion(one, other, k=k)[0]
        return total[0].item(), total[place - 1].item()

    a, b = fused(rank)
    assert b == pytest.approx(a)
    a, b = fused(rank + 1)
    assert b < a


@pytest.mark.parametrize(("temperature", "distil"), M3_LOSS)
def test_the_loss_of_three_heads_is_that_of_the_released_code(lesson, temperature, distil):
    order = [0, 2, 1, 3]  # in the lesson the answers come first
    scores = {"dense": DENSE, "multi-vector": MULTI, "ensemble": ENSEMBLE}
    scores = {name: torch.tensor(rows, dtype=torch.float64)[:, order] for name, rows in scores.items()}
    scores["sparse"] = (scores["ensemble"] - scores["dense"] - scores["multi-vector"]) / 0.3

    class Model:
        def __call__(self, texts):
            return texts

        def scores(self, asked, candidates):
            return scores

    (source,) = [text for _, text in cells("14_retrieval") if text.startswith("COUNTS = ")]
    exec(source.partition("\n\n")[0], lesson)  # the weights of the heads
    options = SimpleNamespace(heads=lesson["HEADS"], distil=distil)
    before, lesson["TEMPERATURE"] = lesson["TEMPERATURE"], temperature
    found = lesson["batch_loss"](Model(), (["a", "b"], ["1", "2", "3", "4"]), options)
    lesson["TEMPERATURE"] = before
    assert found.item() == pytest.approx(M3_LOSS[temperature, distil], rel=1e-9)
