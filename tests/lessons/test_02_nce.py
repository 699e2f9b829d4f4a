"""What lesson 2 has its readers write is what the package computes, and its word vectors are word2vec's."""

import ast
import json
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from clt import losses, results

ROOT = Path(__file__).resolve().parents[2]
STEM = "02_nce"
EXERCISES = ("nce_optimum", "nce_loss", "negative_sampler")


@pytest.fixture(scope="module")
def lesson() -> dict:
    """The lesson's imports, parameters and functions, without running it; solutions in place of stubs."""
    space: dict = {}
    for cell in json.loads((ROOT / "notebooks" / f"{STEM}.ipynb").read_text(encoding="utf-8"))["cells"]:
        tags = cell["metadata"].get("tags", [])
        if cell["cell_type"] != "code" or {"exercise", "setup"} & set(tags):
            continue
        for node in ast.parse("".join(cell["source"])).body:
            if "parameters" in tags or isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef):
                exec(compile(ast.Module([node], []), STEM, "exec"), space)
    for name in EXERCISES:
        space[name] = space[f"{name}_solution"]
    return space


def gaussian(*shape: int, seed: int) -> torch.Tensor:
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (3 * x).requires_grad_()


def same(ours, theirs, inputs):
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(torch.autograd.grad(ours, inputs), torch.autograd.grad(theirs, inputs))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("n", "k"), [(1, 1), (4, 3), (6, 20)])
def test_nce(lesson, n, k, seed):
    inputs = [gaussian(*shape, seed=seed + 10 * i) for i, shape in enumerate([(n,), (n, k), (n,), (n, k)])]
    theirs = losses.nce_loss(*inputs)
    assert lesson["nce_loss_slow"](*(x.detach() for x in inputs)) == pytest.approx(theirs.item())
    same(lesson["nce_loss"](*inputs), theirs, inputs)


@pytest.mark.parametrize("seed", range(5))
def test_negative_sampling_is_nce_without_its_correction(lesson, seed):
    inputs = gaussian(5, 4, seed=seed), gaussian(5, 4, seed=seed + 10), gaussian(5, 3, 4, seed=seed + 20)
    same(lesson["negative_sampling_loss"](*inputs), losses.negative_sampling_loss(*inputs), inputs)


@pytest.mark.parametrize(("p", "q", "k"), [(0.5, 0.2, 2), (0.01, 0.3, 5)])
def test_the_optimum_is_where_the_loss_is_least(lesson, p, q, k):
    """The expected loss of one word, with the solution's score and with scores beside it."""

    def expected(score: float) -> float:
        log_odds = torch.tensor(score - math.log(k * q), dtype=torch.float64)
        return -(p * F.logsigmoid(log_odds) + k * q * F.logsigmoid(-log_odds)).item()

    best = lesson["nce_optimum"](p, q, k)
    assert expected(best) < min(expected(best - 0.01), expected(best + 0.01))


def test_the_sampler_flattens_the_counts(lesson):
    counts = torch.tensor([81, 16, 1, 0])
    drawn = lesson["negative_sampler"](counts, 40_000, torch.Generator().manual_seed(0)).bincount(minlength=4)
    torch.testing.assert_close(drawn / 40_000, torch.tensor([27, 8, 1, 0]) / 36, atol=0.01, rtol=0)


def test_read(lesson):
    text = lesson["read"](["The cat’s mat; the dog.", "A dog, the DOG, the dog!", "mat"], 2)
    assert text.vocabulary == ["the", "dog", "mat"]  # 4, 4 and 2 times; "a" and "cat's" once
    words = [text.vocabulary[i] for i in text.stream]
    assert words == ["the", "mat", "the", "dog", "dog", "the", "dog", "the", "dog", "mat"]
    assert text.source.tolist() == [0] * 4 + [1] * 5 + [2]
    assert text.counts.tolist() == [4, 4, 2]
    assert text.number == {"the": 0, "dog": 1, "mat": 2}


def test_texts_have_no_labels(lesson, embedded):
    found = lesson["paragraphs"](["stories", "sts"], 1)
    assert len(found) == 2, "one row of the training split of each set"
    assert found[0].startswith("Sentence 0. Sentence 1.")
    assert not any(note in text for text in found for note in ("sea", "3.5", "cats"))


@pytest.fixture
def language(lesson):
    """A small text in which 0 is everywhere and thinned out, and each piece has words of its own beside it."""
    pieces = [[0, 1, 2, 0, 3], [0, 4, 5, 0, 6, 7, 0], [8, 0, 9]] * 30
    stream = torch.tensor([word for piece in pieces for word in piece])
    source = torch.tensor([i for i, piece in enumerate(pieces) for _ in piece])
    share = stream.bincount() / len(stream)
    return pieces, SimpleNamespace(stream=stream, source=source), torch.where(share > 0.2, 0.1, 1.0)


def test_pairs_stand_near_each_other_in_one_text(lesson, language):
    pieces, text, stay = language
    word, context = lesson["pairs_of"](text, stay, 2)(torch.Generator().manual_seed(0), 20_000)
    assert len(word) == len(context) > 5_000
    found = torch.zeros(10, 10).index_put_((word, context), torch.ones(len(word)), accumulate=True)
    expected = torch.zeros(10, 10)
    for piece in pieces:
        for i, a in enumerate(piece):
            for j, b in enumerate(piece):
                if 1 <= abs(i - j) <= 2:  # a reach of 1 or 2, a distance up to it: 3/4 and 1/4
                    expected[a, b] += (0.75 if abs(i - j) == 1 else 0.25) * stay[a] * stay[b]
    assert not found[expected == 0].any()
    torch.testing.assert_close(found / found.sum(), expected / expected.sum(), atol=0.006, rtol=0)


def test_nearest_words_are_looked_for_among_those_that_are_frequent_in_ours(lesson):
    words = ["the", "cat", "dog", "boat", "ship", "rare"]
    lesson["ours"] = SimpleNamespace(
        vocabulary=words, counts=torch.tensor([90, 20, 20, 10, 10, 9]), number={w: i for i, w in enumerate(words)}
    )
    there = {w: i for i, w in enumerate(["rare", "cat", "unknown here", "boat", "dog"])}  # no "the", no "ship"
    vectors = torch.tensor([[1.0, 0], [1, 0], [1, 0.1], [0, 1], [5, 2]])
    assert lesson["nearest"](vectors, there, "cat") == [2, 3], "the dog by cosine, then the boat; not rare, not itself"


def test_published_table_names_what_the_lesson_records(lesson):
    source = (ROOT / "notebooks" / f"{STEM}.ipynb").read_text(encoding="utf-8")
    keys = [row["key"] for entry in results.published(STEM) for row in entry["rows"] if row["key"]]
    assert keys
    for key in keys:
        variant, measure = key.split(".")
        assert measure == "STS-B/test"
        assert f'\\"{variant}\\":' in source


@pytest.mark.slow
def test_word_vectors_are_those_of_gensim(lesson):
    """Two programs, two optimisers, other random numbers: the same words are neighbours.

    What can agree is limited: gensim with another seed names only four in ten of its own neighbours again on so small
    a text, and the lesson's weight decay makes other vectors than gensim's early stop. When this was written ours and
    gensim named two in ten (by chance: one in fifty), and the cosines correlated 0.39 (gensim with itself: 0.72).
    """
    word2vec = pytest.importorskip("gensim.models.word2vec")
    found = lesson["paragraphs"](lesson["texts"], None)
    text = lesson["read"](found, lesson["at_least"])
    vocabulary = text.vocabulary
    lesson |= {"TEXTS": {"ours": text}, "ours": text, "learned": [], "device": torch.device("cpu")}
    lesson["learn_words"](
        0, text="ours", updates=2 * lesson["steps"], window=lesson["window"], rate=lesson["learning_rate"]
    )
    ours = lesson["learned"][-1].encode.args[0]

    def gensim(seed: int) -> torch.Tensor:
        model = word2vec.Word2Vec(
            [lesson["words_of"](text) for text in found], sg=1, vector_size=lesson["dimension"],
            window=lesson["window"], min_count=lesson["at_least"], negative=lesson["negatives"],
            sample=lesson["frequent"], ns_exponent=0.75, alpha=0.05, epochs=20, workers=1, seed=seed,
        )  # fmt: skip
        assert set(model.wv.index_to_key) == set(vocabulary), "the same words are frequent enough"
        return torch.tensor(model.wv[vocabulary])

    some = torch.arange(100, 600)  # frequent words, without those that stand everywhere

    def cosines(vectors: torch.Tensor) -> torch.Tensor:
        unit = F.normalize(vectors[some], dim=1)
        return unit @ unit.T - 2 * torch.eye(len(some))  # nobody is their own neighbour

    def agreement(x: torch.Tensor, y: torch.Tensor) -> tuple[float, float]:
        """Correlation of all cosines, and the share of a word's ten nearest that both name."""
        above = torch.ones_like(x, dtype=bool).triu(1)
        r = torch.corrcoef(torch.stack([x[above], y[above]]))[0, 1].item()
        near = [torch.zeros_like(z, dtype=bool).scatter(1, z.topk(10).indices, True) for z in (x, y)]
        return r, (near[0] & near[1]).sum().item() / near[0].sum().item()

    ours, first, second = cosines(ours), cosines(gensim(1)), cosines(gensim(2))
    shuffled = torch.randperm(len(some), generator=torch.Generator().manual_seed(0))
    between, within = agreement(ours, first), agreement(first, second)
    chance = agreement(ours[shuffled][:, shuffled], first)
    print(f"ours and gensim {between}, gensim and gensim {within}, by chance {chance}")
    assert between[0] > 0.4 * within[0] > 5 * abs(chance[0])
    assert between[1] > 0.35 * within[1] > 5 * chance[1]
    assert between[0] > 0.3, between
