"""What lesson 2 has its readers write is what the package computes, and its word vectors are word2vec's."""

import pytest
import torch
import torch.nn.functional as F
from kit import same

from clt import losses, results, similarity


def gaussian(*shape: int, seed: int) -> torch.Tensor:
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (3 * x).requires_grad_()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("n", "k"), [(1, 1), (4, 3), (6, 20)])
def test_nce(lesson, n, k, seed):
    inputs = [gaussian(*shape, seed=seed + 10 * i) for i, shape in enumerate([(n,), (n, k), (n,), (n, k)])]
    theirs = losses.nce_loss(*inputs)
    assert lesson["nce_loss_slow"](*(x.detach() for x in inputs)) == pytest.approx(theirs.item())
    same(lesson["nce_loss"](*inputs), theirs, *inputs)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("temperature", [0.1, 1.0, 3.0])
def test_negative_sampling(lesson, temperature, seed):
    inputs = gaussian(5, 4, seed=seed), gaussian(5, 4, seed=seed + 10), gaussian(5, 3, 4, seed=seed + 20)
    theirs = losses.negative_sampling_loss(*inputs, temperature=temperature)
    same(lesson["negative_sampling_loss"](*inputs, temperature=temperature), theirs, *inputs)


def test_similarity_matrix(lesson):
    x, y = gaussian(5, 4, seed=0), gaussian(3, 4, seed=1)
    same(lesson["similarity_matrix"](x, y), similarity.cosine_similarity(x, y), x, y)


def test_read(lesson):
    vocabulary, stream, source = lesson["read"](["The cat’s mat; the dog.", "A dog, the DOG, the dog!", "mat"], 2)
    assert vocabulary == ["the", "dog", "mat"]  # 4, 4 and 2 times; "a" and "cat's" once
    assert [vocabulary[i] for i in stream] == ["the", "mat", "the", "dog", "dog", "the", "dog", "the", "dog", "mat"]
    assert source.tolist() == [0] * 4 + [1] * 5 + [2]


def test_texts_have_no_labels(lesson, embedded):
    found = lesson["paragraphs"](["stories", "sts"], 1)
    assert len(found) == 6, "one row of each of three splits of two sets"
    assert found[0].startswith("Sentence 0. Sentence 1.")
    assert not any(note in text for text in found for note in ("sea", "3.5", "cats"))


@pytest.fixture
def language(lesson):
    """A small text in which 0 is everywhere and thinned out, and each piece has words of its own beside it."""
    pieces = [[0, 1, 2, 0, 3], [0, 4, 5, 0, 6, 7, 0], [8, 0, 9]] * 30
    lesson["stream"] = torch.tensor([word for piece in pieces for word in piece])
    lesson["source"] = torch.tensor([i for i, piece in enumerate(pieces) for _ in piece])
    share = lesson["stream"].bincount() / len(lesson["stream"])
    lesson["kept"] = torch.where(share > 0.2, 0.1, 1.0)
    lesson["places"] = lesson["kept"][lesson["stream"]].double().cumsum(0)
    lesson["window"] = 2
    return pieces


def test_pairs_stand_near_each_other_in_one_text(lesson, language):
    word, context = lesson["near"](torch.Generator().manual_seed(0), 20_000)
    assert len(word) == len(context) > 5_000
    found = torch.zeros(10, 10).index_put_((word, context), torch.ones(len(word)), accumulate=True)
    expected = torch.zeros(10, 10)
    for piece in language:
        for i, a in enumerate(piece):
            for j, b in enumerate(piece):
                if 1 <= abs(i - j) <= 2:  # a reach of 1 or 2, a distance up to it: 3/4 and 1/4
                    expected[a, b] += (0.75 if abs(i - j) == 1 else 0.25) * lesson["kept"][a] * lesson["kept"][b]
    assert not found[expected == 0].any()
    torch.testing.assert_close(found / found.sum(), expected / expected.sum(), atol=0.006, rtol=0)


def test_published_table_names_what_the_lesson_records(code, stem):
    source = "\n".join(code)
    keys = [row["key"] for entry in results.published(stem) for row in entry["rows"] if row["key"]]
    assert keys
    for key in keys:
        assert key.startswith("sts.")
        assert f'"{key.removeprefix("sts.")}":' in source


@pytest.mark.slow
def test_word_vectors_are_those_of_gensim(lesson):
    """Two programs, two optimisers, other random numbers: the same words are neighbours.

    What can agree is limited: gensim with another seed names only four in ten of its own neighbours again on so small
    a text, and the lesson's weight decay makes other vectors than gensim's early stop. When this was written ours and
    gensim named two in ten (by chance: one in fifty), and the cosines correlated 0.39 (gensim with itself: 0.72).
    """
    word2vec = pytest.importorskip("gensim.models.word2vec")
    found = lesson["paragraphs"](lesson["texts"], lesson["rows_read"])
    vocabulary, stream, source = lesson["read"](found, lesson["at_least"])
    share = stream.bincount() / len(stream)
    kept = (lesson["frequent"] / share).sqrt().clamp(max=1.0)
    lesson |= {"vocabulary": vocabulary, "stream": stream, "source": source, "kept": kept, "noise": share**0.75,
               "places": kept[stream].double().cumsum(0), "device": torch.device("cpu")}  # fmt: skip
    ours, _ = lesson["skip_gram"](seed=0, steps=lesson["steps"])

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
