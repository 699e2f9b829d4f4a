"""What an encoder is worth: each number against a slow and obvious version, on vectors of very different lengths."""

import csv
import functools
import math
import zlib

import pytest
import torch

from clt import data, evaluation

approx = pytest.approx
WORDS = ["amber", "birch", "cedar", "delta", "ember", "frost", "grove", "heron", "islet", "juniper", "kelp", "larch"]


class Counted:
    """Gives every text a vector of its own, the same each time."""

    def __init__(self, seed=0):
        self.seed = seed

    def encode(self, sentences):
        rows = []
        for sentence in sentences:
            generator = torch.Generator().manual_seed(zlib.crc32(sentence.encode()) + self.seed)
            rows.append(torch.randn(5, generator=generator) * 10 ** torch.rand(1, generator=generator).item())
        return torch.stack(rows) if rows else torch.empty(0, 5)


class Broken:
    def encode(self, sentences):
        return torch.full((len(sentences), 5), math.nan)


def vector(sentence, seed=0):
    return Counted(seed).encode([sentence])[0].tolist()


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b)


def ranks(values):
    """From 1, and those of equal values are their mean."""
    return [sum(v < value for v in values) + (sum(v == value for v in values) + 1) / 2 for value in values]


def correlation(x, y):
    x, y = ([v - sum(values) / len(values) for v in values] for values in (x, y))
    return sum(a * b for a, b in zip(x, y, strict=True)) / math.hypot(*x) / math.hypot(*y)


@pytest.fixture
def pairs(embedded):
    """Eleven scored pairs as ``sts/dev``, two of them equal in score, and two other pairs as ``sts/test``."""
    evaluation._pairs.cache_clear()
    rows = [(WORDS[i], WORDS[i + 1], score) for i, score in enumerate([0, 5, 4, 2.5, 4, 1, 3.8, 4.4, 0.5, 3, 2])]
    with open(embedded / "sts" / "dev.csv", "w", encoding="utf-8", newline="") as f:
        csv.writer(f).writerows([("sentence1", "sentence2", "score", "topic"), *[(*row, "trees") for row in rows]])
    data.write_checksums()
    yield rows
    evaluation._pairs.cache_clear()


def test_sts_is_the_rank_correlation_of_cosines_with_scores(pairs):
    cosines = [cosine(vector(a), vector(b)) for a, b, _ in pairs]
    slow = 100 * correlation(ranks(cosines), ranks([score for _, _, score in pairs]))
    found = evaluation.sts(Counted(), ["sts/dev", "sts/test"])
    assert list(found) == ["sts/dev", "sts/test"]
    assert found["sts/dev"] == approx(slow, abs=1e-6)
    assert abs(found["sts/test"]) == approx(100), "two pairs"
    assert list(evaluation.sts(Counted())) == ["sts/test"]
    assert evaluation.sts(Counted(), []) == {}


def test_sts_reads_public_sets_too(tmp_path, monkeypatch):
    evaluation._pairs.cache_clear()
    monkeypatch.setenv("CLT_DATA", str(tmp_path))
    for name in evaluation.PUBLIC_STS:
        path = tmp_path / f"{name}.csv"
        path.parent.mkdir()
        path.write_text("sentence1,sentence2,score\namber,birch,1\ncedar,delta,2\nember,frost,4\n")
    found = evaluation.sts(Counted(), evaluation.PUBLIC_STS)
    cosines = [cosine(vector(a), vector(b)) for a, b in (("amber", "birch"), ("cedar", "delta"), ("ember", "frost"))]
    assert found == approx(dict.fromkeys(evaluation.PUBLIC_STS, 100 * correlation(ranks(cosines), [1, 2, 3])))
    evaluation._pairs.cache_clear()


@pytest.mark.parametrize("close", [4.0, 4.5])
def test_plane_aligns_close_pairs_and_spreads_all_sentences(pairs, close):
    near = [cosine(vector(a), vector(b)) for a, b, score in pairs if score >= close]
    everything = [vector(a) for a, _, _ in pairs] + [vector(b) for _, b, _ in pairs]
    potentials = [
        math.exp(-2 * (2 - 2 * cosine(everything[i], everything[j]))) for i in range(len(everything)) for j in range(i)
    ]
    found = evaluation.plane(Counted(), close=close)
    assert found["alignment"] == approx(sum(2 - 2 * c for c in near) / len(near), rel=1e-5)
    assert found["uniformity"] == approx(math.log(sum(potentials) / len(potentials)), rel=1e-5)


@pytest.mark.parametrize("measure", [lambda name: evaluation.sts(Counted(), [name]),
                                     lambda name: evaluation.plane(Counted(), name)])  # fmt: skip
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sts", "such as 'sts/test', got 'sts'"),
        ("nli/test", "such as 'sts/test', got 'nli/test'"),
        ("sts/validation", "has no split 'validation'"),
        ("STSB/test", "did you mean 'STS-B'"),
    ],
)
def test_a_set_without_scored_pairs_is_refused(measure, name, message):
    with pytest.raises(ValueError, match=message):
        measure(name)


def test_one_string_is_no_list_of_sets():
    with pytest.raises(TypeError, match=r"got one string: pass \['sts/test'\]"):
        evaluation.sts(Counted(), "sts/test")


def test_vectors_that_are_not_finite_get_no_number(pairs):
    with pytest.raises(ValueError, match="not finite"):
        evaluation.sts(Broken(), ["sts/dev"])
    with pytest.raises(ValueError, match="not finite"):
        evaluation.plane(Broken())
    with pytest.raises(ValueError, match="not finite"):
        evaluation.retrieval(Broken(), ["amber"], ["birch"])
    with pytest.raises(ValueError, match="not finite"):
        evaluation.neighbours(Broken(), ["amber"], ["birch"])


def test_plane_without_a_close_pair_says_so(pairs):
    with pytest.raises(ValueError, match=r"no pair of sts/dev scores 5\.5 or more: the highest score is 5\.0"):
        evaluation.plane(Counted(), close=5.5)


@pytest.mark.parametrize("seed", range(6))
def test_retrieval_counts_the_queries_that_find_their_answer(seed):
    queries, answers, others = WORDS[:4], WORDS[4:8], WORDS[8:]
    for rest in ((), others):
        right = 0
        for i, query in enumerate(queries):
            near = [cosine(vector(query, seed), vector(text, seed)) for text in [*answers, *rest]]
            right += near.index(max(near)) == i
        assert evaluation.retrieval(Counted(seed), queries, answers, rest) == approx(100 * right / 4)


def test_retrieval_of_the_queries_themselves_is_perfect_until_others_are_as_near():
    assert evaluation.retrieval(Counted(), WORDS, WORDS) == 100
    assert evaluation.retrieval(Counted(), WORDS, WORDS[::-1]) == 0
    shifted = [*WORDS[1:], WORDS[0]]
    assert evaluation.retrieval(Counted(), WORDS[:3], shifted[:3], WORDS[:1]) == 0


@pytest.mark.parametrize(("queries", "answers"), [(["a", "b"], ["a"]), (["a"], ["a", "b"]), ([], [])])
def test_retrieval_wants_an_answer_for_each_query(queries, answers):
    with pytest.raises(ValueError, match=f"as many answers as queries, got {len(answers)} for {len(queries)}"):
        evaluation.retrieval(Counted(), queries, answers)


@pytest.mark.parametrize("k", [1, 3, 99])
def test_neighbours_are_the_nearest_without_the_query(k):
    slow = [
        sorted((w for w in WORDS if w != query), key=lambda w: -cosine(vector(query), vector(w)))[:k]
        for query in ["amber", "kelp", "elsewhere"]
    ]
    assert slow == evaluation.neighbours(Counted(), ["amber", "kelp", "elsewhere"], WORDS, k=k)
    assert [len(row) for row in slow] == ([k, k, k] if k < 11 else [11, 11, 12])


def test_neighbours_that_are_equally_near_come_as_given():
    class Same:
        encode = staticmethod(lambda sentences: torch.ones(len(sentences), 2))

    many = [f"sentence {i}" for i in range(40)]
    assert evaluation.neighbours(Same(), ["a query"], many, k=40) == [many]


@pytest.mark.parametrize(("sentences", "k"), [(WORDS, 0), (WORDS, -1), ([], 3)])
def test_neighbours_want_a_sentence_and_a_k(sentences, k):
    with pytest.raises(ValueError, match=rf"got k={k} and {len(sentences)} sentences"):
        evaluation.neighbours(Counted(), ["amber"], sentences, k=k)


def test_show_neighbours_prints_each_encoder_under_each_query(capsys):
    queries = ["amber", "kelp"]
    evaluation.show_neighbours({"before": Counted(), "afterwards": Counted(1)}, queries, WORDS, k=2)
    nearest = functools.partial(evaluation.neighbours, sentences=WORDS, k=2)
    (a, b), (c, d) = nearest(Counted(), queries)
    (e, f), (g, h) = nearest(Counted(1), queries)
    assert capsys.readouterr().out.splitlines() == [
        "amber",
        f"  before      1. {a}",
        f"              2. {b}",
        f"  afterwards  1. {e}",
        f"              2. {f}",
        "",
        "kelp",
        f"  before      1. {c}",
        f"              2. {d}",
        f"  afterwards  1. {g}",
        f"              2. {h}",
    ]
    with pytest.raises(ValueError, match="at least one encoder"):
        evaluation.show_neighbours({}, queries, WORDS)


def test_a_real_encoder_is_measured_as_its_vectors_are(pairs, tiny_folder):
    from clt.encoders import SentenceEncoder

    encoder = SentenceEncoder.load(tiny_folder)
    rows = [("the cat sat", "a cat sat", 4.5), ("the dog ran", "the mat", 1), ("a tree", "under the tree", 3)]
    with open(data.data_dir() / "sts" / "dev.csv", "w", encoding="utf-8", newline="") as f:
        csv.writer(f).writerows([("sentence1", "sentence2", "score", "topic"), *[(*row, "x") for row in rows]])
    data.write_checksums()
    cosines = [cosine(*encoder.encode([a, b]).tolist()) for a, b, _ in rows]
    slow = 100 * correlation(ranks(cosines), [3, 1, 2])
    assert evaluation.sts(encoder, ["sts/dev"]) == {"sts/dev": approx(slow)}


@pytest.mark.parametrize("seed", range(4))
def test_chosen_counts_right_answers_before_all_wrong_ones(seed):
    right = [["birch"], ["cedar", "delta"], ["ember", "frost", "grove"]]
    wrong = [["heron", "islet"], ["juniper"], ["kelp", "larch", "birch"]]
    hits = [
        cosine(vector(query, seed), vector(answer, seed))
        > max(cosine(vector(query, seed), vector(other, seed)) for other in wrong[i])
        for i, query in enumerate([*WORDS[:1], "river", "stone"])
        for answer in right[i]
    ]
    found = evaluation.chosen(Counted(seed), [*WORDS[:1], "river", "stone"], right, wrong)
    assert found == approx(100 * sum(hits) / len(hits))


def test_chosen_shares_what_is_equally_near():
    assert evaluation.chosen(Counted(), ["amber"], [["birch", "birch"]], [["birch"]]) == approx(50)
    assert evaluation.chosen(Counted(), ["amber"], [["birch"]], [["birch", "birch"]]) == approx(100 / 3)


@pytest.mark.parametrize(("queries", "right", "wrong"), [([], [], []), (["a"], [[]], [["b"]]), (["a"], [["b"]], [[]])])
def test_chosen_wants_answers_of_both_kinds(queries, right, wrong):
    with pytest.raises(ValueError, match="at least one right and one wrong answer"):
        evaluation.chosen(Counted(), queries, right, wrong)


def test_word_overlap():
    one = ["The cat sat.", "Rain fell.", "A, b and c!"]
    two = ["the CAT slept", "Nobody laughed", "c and b, a"]
    assert evaluation.word_overlap(one, two) == pytest.approx([2 / 4, 0.0, 1.0])
    with pytest.raises(ValueError, match="no word"):
        evaluation.word_overlap(["?"], ["!"])
    with pytest.raises(ValueError, match="shorter"):
        evaluation.word_overlap(["a"], [])


def test_counted_words_tell_classes_apart():
    train = ["a cat sat", "the cat ran", "a dog sat", "the dog ran"]
    assert evaluation.counted_words(train, [0, 0, 1, 1], ["the cat sat", "the dog sat"], [0, 1]) == 100


def test_words_alone_tell_what_is_vocabulary():
    texts = [f"{word} {other}" for word in WORDS[:3] for other in WORDS[3:]]
    y = [label for label in range(3) for _ in WORDS[3:]]
    asked = [f"{WORDS[2]} river", f"{WORDS[0]} stone"]
    assert evaluation.from_words(texts, y, asked, torch.tensor([2, 0])) == {"probe": 100, "neighbours": 100}
    assert evaluation.from_words(texts, torch.tensor(y), asked, [0, 0], k=1)["neighbours"] == 50
    with pytest.raises(ValueError, match="inconsistent"):
        evaluation.from_words(texts, y[1:], asked, [2, 0])


def test_readings_are_unit_vectors_under_dropout_and_leave_the_encoder_as_for_scoring():
    from clt import encoders

    encoder = encoders.SentenceEncoder.load("clt-mini", max_length=16)
    torch.manual_seed(0)
    found = evaluation.readings(encoder, ["Rain fell all night.", "A cat sleeps."], times=3)
    assert found.shape == (2, 3, 256)
    assert found.norm(dim=-1).allclose(torch.ones(2, 3))
    assert not encoder.training
    torch.manual_seed(0)
    encoder.train()
    batch = encoder.tokenize(["Rain fell all night.", "A cat sleeps."])
    again = [encoder(batch) for _ in range(3)]
    assert torch.allclose(found[1, 2], again[2][1] / again[2][1].norm(), atol=1e-6)
    assert len({tuple(row.tolist()) for row in found[0]}) == 3, "each reading has other zeros"


def test_across_two_clouds_that_lie_apart():
    z = torch.randn(60, 8, generator=torch.Generator().manual_seed(0))
    shift = torch.zeros(8)
    shift[0] = 10.0
    found = evaluation.across(z + shift, z - shift)
    assert found["gap"] == pytest.approx(1.9, abs=0.1)
    assert found["told apart"] == 100
    assert found["moved"] > 90
    same = evaluation.across(z, z)
    assert same["gap"] == 0
    assert same["moved"] == 100
    assert same["told apart"] < 70


def test_synonyms_are_found_where_they_lie_together():
    from clt import augment

    groups = augment.synonym_groups()
    place = {word: i for i, group in enumerate(groups) for word in group}
    axes = torch.eye(len(groups))

    class Knows:
        def encode(self, words):
            return torch.stack([axes[place[word]] for word in words])

    class Guesses:
        def encode(self, words):
            return torch.randn(len(words), 64, generator=torch.Generator().manual_seed(0))

    assert evaluation.synonyms(Knows()) > 95  # some words are in two groups
    assert evaluation.synonyms(Guesses()) < 1


def test_found_first_over_every_ordered_pair_of_languages():
    eye = torch.eye(4)
    assert evaluation.found_first({"a": eye, "b": 3 * eye, "c": eye}) == 100
    turned = eye.roll(1, 0)
    assert evaluation.found_first({"a": eye, "b": turned}) == 0
    half = eye.clone()
    half[2:] = half[2:].flip(0)  # the last two exchanged
    assert evaluation.found_first({"a": eye, "b": half}) == 50
    assert evaluation.found_first({"a": eye, "b": half, "c": eye}) == pytest.approx(100 * 4 / 6)
    two = torch.eye(2)
    assert evaluation.found_first({"a": two, "b": two.flip(0)}) == 0
    assert evaluation.found_first({"a": two, "b": two.flip(0)}, torch.neg) == 100, "the score that was asked for"
    for wrong in ({}, {"a": eye}, {"a": eye, "b": eye[:2]}):
        with pytest.raises(ValueError, match="two languages or more"):
            evaluation.found_first(wrong)


def test_group_told_by_a_linear_classifier():
    z = torch.randn(80, 6, generator=torch.Generator().manual_seed(0))
    shift = torch.tensor([6.0, 0, 0, 0, 0, 0])
    apart = {"en": z[:20], "de": z[20:40] + shift, "fr": z[40:60] - shift}
    assert evaluation.group_told(apart, {name: x + 0.1 for name, x in apart.items()}) > 95
    same = {"en": z[:40], "de": z[40:]}
    assert evaluation.group_told(same, {"en": z[40:], "de": z[:40]}) < 50


def test_centred_vectors_have_the_mean_of_their_texts_taken_off():
    read = []

    class Lengths:
        def encode(self, sentences):
            read.append(list(sentences))
            return torch.tensor([[float(len(sentence)), 1.0] for sentence in sentences])

    rows = evaluation.centred(Lengths(), ["a", "abc"])
    assert not read, "nothing is read before it is asked for"
    assert rows.encode(["abcd", ""]).tolist() == [[2.0, 0.0], [-2.0, 0.0]]
    rows.encode(["ab"])
    assert read.count(["a", "abc"]) == 1, "the mean is taken once"


def test_counted_tokens_are_tf_idf_of_any_tokens():
    counted = evaluation.counted(["abc", "abd", "a"], list)
    x = counted.encode(["ab", "ba", "cd", "xyz"])
    assert x.norm(dim=1).tolist() == pytest.approx([1, 1, 1, 0])
    assert torch.equal(x[0], x[1])
    rare, common = math.log(4 / 2) + 1, math.log(4 / 4) + 1
    middle = math.log(4 / 3) + 1  # of b, in two of three
    assert x[0].max().item() == pytest.approx(middle / math.hypot(middle, common))
    assert x[2].max().item() == pytest.approx(rare / math.hypot(rare, rare))


def test_in_batches_keeps_the_order_and_the_mode():
    seen = []

    def read(texts):
        seen.append(len(texts))
        assert not model.training
        return torch.tensor([[float(len(text)), float(text)] for text in texts])

    model = torch.nn.Dropout()
    texts = [str(n) for n in range(150, 0, -1)]
    found = evaluation.in_batches(model, read, texts)
    assert found[:, 1].tolist() == list(range(150, 0, -1))
    assert seen == [64, 64, 22]
    assert model.training


def test_what_spelling_finds_in_a_dictionary():
    words = {"english": ["music", "house", "tree", "film"], "german": ["Musik", "Haus", "Baum", "Film"]}
    found = evaluation.by_spelling(words)
    assert found["same string"] == 25, "capitals do not count"
    assert 50 <= found["letters"] < 100, "music and film are found, tree is not"


def test_the_largest_hub_is_that_of_the_worst_direction():
    eye = torch.eye(4)
    hub = torch.tensor([[1.0, 1, 1, 0.9], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    assert evaluation.largest_hub({"a": eye, "b": eye}) == 25
    assert evaluation.largest_hub({"a": torch.ones(4, 4), "b": hub}) == 100
    assert evaluation.largest_hub({"a": eye, "b": eye}, torch.neg) > 25
