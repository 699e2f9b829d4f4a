"""What an encoder is worth, read off its sentence vectors: scored pairs, retrieval, nearest neighbours.

Each function takes anything with ``encode(sentences) → (N, D)``: a :class:`clt.encoders.SentenceEncoder`, its upper
layers, or a lambda around counted vectors.
"""

import functools
import itertools
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clt import augment, data, metrics
from clt.retrieval import bm25

STS = ("sts/test",)
PUBLIC_STS = ("STS-B/test", "STS12/test", "STS14/test", "STS15/test")


def sts(encoder, sets: Sequence[str] = STS) -> dict[str, float]:
    """Spearman × 100 between the cosine of each pair and its score, for each set: ``{"sts/test": 62.6, …}``.

    Args:
        encoder: what gives the vectors.
        sets: ``"NAME/split"`` of scored pairs, embedded or public. All subsets of a year count together, without a
            regressor, as in the papers.

    Raises:
        TypeError: if ``sets`` is one string.
        ValueError: if a name is not that of a split of scored pairs, or a vector is not finite; otherwise as
            :func:`clt.data.load` and :func:`clt.metrics.sts_spearman`.

    Source: the protocol of Gao, Yao and Chen (2021), appendix B.
    """
    if isinstance(sets, str):
        raise TypeError(f"expected a sequence of names, got one string: pass [{sets!r}]")
    found = {}
    for name in sets:
        left, right, scores = _pairs(name)
        vectors = _encode(encoder, [*left, *right])
        found[name] = 100 * metrics.sts_spearman(vectors[: len(left)], vectors[len(left) :], scores)
    return found


@functools.cache
def _pairs(name: str) -> tuple[list[str], list[str], list[float]]:
    what, _, split = name.partition("/")
    if not split or (what in data.CATALOGUE and "score" not in data.CATALOGUE[what].columns):
        raise ValueError(f"expected the name and split of a set of scored pairs, such as 'sts/test', got {name!r}")
    rows = data.load(what, split)
    return list(rows["sentence1"]), list(rows["sentence2"]), list(rows["score"])


def plane(encoder, name: str = "sts/dev", *, close: float = 4.0) -> dict[str, float]:
    """Where an encoder stands on the plane of alignment and uniformity.

    Args:
        encoder: what gives the vectors.
        name: a set of scored pairs; alignment is taken over its pairs that score ``close`` or more, uniformity over
            all its sentences.

    Returns:
        ``{"alignment": …, "uniformity": …}``, lower is better for both.

    Raises:
        ValueError: if no pair scores ``close`` or more, or a vector is not finite; otherwise as :func:`sts`.

    Source: Gao, Yao and Chen (2021), figure 2, after Wang and Isola (2020).
    """
    left, right, scores = _pairs(name)
    if max(scores) < close:
        raise ValueError(f"no pair of {name} scores {close} or more: the highest score is {max(scores)}")
    one, two = _encode(encoder, [*left, *right]).split(len(left))
    near = torch.tensor([score >= close for score in scores])
    return {
        "alignment": metrics.alignment(one[near], two[near]).item(),
        "uniformity": metrics.uniformity(torch.cat([one, two])).item(),
    }


def retrieval(encoder, queries: Sequence[str], answers: Sequence[str], others: Sequence[str] = ()) -> float:
    """The share, in per cent, of queries whose own answer is the nearest of all answers and all ``others``.

    Args:
        encoder: what gives the vectors.
        queries, answers: N sentences each; answer i belongs to query i.
        others: sentences that answer no query; they make the search harder.

    Raises:
        ValueError: if there is no query, there are not as many answers as queries, or a vector is not finite.
    """
    if len(queries) != len(answers) or not queries:
        raise ValueError(f"expected as many answers as queries, got {len(answers)} for {len(queries)}")
    found = _similar(encoder, queries, [*answers, *others]).argmax(1)
    return 100 * (found == torch.arange(len(queries))).float().mean().item()


def chosen(encoder, queries: Sequence[str], right: Sequence[Sequence[str]], wrong: Sequence[Sequence[str]]) -> float:
    """The share, in per cent, of right answers that are nearer to their query than each of its wrong ones.

    Where a right answer is as near as the nearest wrong ones, chance decides: it counts as one part of as many as tie.

    Args:
        encoder: what gives the vectors.
        queries: N sentences.
        right, wrong: for each query its right and its wrong answers, one or more of each.

    Raises:
        ValueError: if there is no query, the three differ in length, a query has no right or no wrong answer, or a
            vector is not finite.
    """
    if not queries or not all(right) or not all(wrong):
        raise ValueError("expected at least one query, with at least one right and one wrong answer each")
    rows = [[query, *good, *bad] for query, good, bad in zip(queries, right, wrong, strict=True)]
    z = F.normalize(_encode(encoder, [sentence for row in rows for sentence in row]), dim=1)
    found = []
    for good, part in zip(right, z.split([len(row) for row in rows]), strict=True):
        hits, others = (part[1:] @ part[0]).tensor_split([len(good)])
        ties = (others == others.max()).sum()
        found.append((hits > others.max()) + (hits == others.max()) / (ties + 1))
    return 100 * torch.cat(found).mean().item()


@dataclass(frozen=True)
class SearchTask:
    """Queries to be answered from documents: ``relevance`` ``(Q, M)``, grades from 0; ``kinds``, one for each query."""

    queries: list[str]
    documents: list[str]
    relevance: Tensor
    kinds: list[str]


def search_task(name: str) -> SearchTask:
    """``"questions/…"`` with ``train``, ``dev`` or ``test``, ``"SciFact/test"`` or ``"SciFact-titles/test"``.

    The course's questions are searched among the 500 passages of all splits, those of ``train`` first. The passage
    that answers has grade 2, a related one 1. A document of SciFact is title and abstract,
    or the title alone.

    Raises:
        ValueError: if the name is another; otherwise as :func:`clt.data.load`.
    """
    what, _, split = name.partition("/")
    if what == "questions":
        library = [row for part in ("train", "dev", "test") for row in data.load("passages", part)]
        place = {row["id"]: j for j, row in enumerate(library)}
        rows = data.load("questions", split)
        relevance = torch.zeros(len(rows), len(library))
        for i, answers in enumerate(rows["answers"]):
            for j, answer in enumerate(answers):
                relevance[i, place[answer]] = 1.0 if j else 2.0
        return SearchTask(list(rows["question"]), [row["passage"] for row in library], relevance, list(rows["kind"]))
    if what not in ("SciFact", "SciFact-titles"):
        raise ValueError(f"expected 'questions/…' or 'SciFact/…', got {name!r}")
    corpus, rows = data.load("SciFact", "corpus"), data.load("SciFact-queries", split)
    documents = list(corpus["title"])
    if what == "SciFact":
        documents = [f"{title} {text}" for title, text in zip(documents, corpus["text"], strict=True)]
    at = {number: i for i, number in enumerate(rows["id"])}
    place = {number: j for j, number in enumerate(corpus["id"])}
    relevance = torch.zeros(len(at), len(place))
    for row in data.load("SciFact-qrels", split):
        relevance[at[row["query_id"]], place[row["doc_id"]]] = row["relevance"]
    return SearchTask(list(rows["text"]), documents, relevance, ["claim"] * len(at))


def searched(encoder, name: str) -> dict[str, float]:
    """What an encoder finds of a :func:`search_task` by the cosine.

    Args:
        encoder: what gives the vectors; with None the ranking is BM25's, which needs none.
        name: of the task.

    Returns:
        ``{"nDCG": at 10, × 100, "accuracy": the share of the queries, in per cent, with a relevant document among the
        first ten}``.

    Raises:
        ValueError: as :func:`search_task`, or if a vector is not finite.
    """
    task = search_task(name)
    read = bm25 if encoder is None else functools.partial(_similar, encoder)
    scores = read(task.queries, task.documents)
    right = (task.relevance.gather(1, scores.topk(10, dim=1).indices) > 0).any(dim=1)
    return {"nDCG": 100 * metrics.ndcg(scores, task.relevance), "accuracy": 100 * right.double().mean().item()}


def word_overlap(first: Sequence[str], second: Sequence[str]) -> list[float]:
    """The share of words that two sentences have in common, pair by pair: a score that needs no encoder.

    Words in common over all words of both (Jaccard), in small letters and without the marks at the ends of words.

    Raises:
        ValueError: if there are not as many first sentences as second ones, or neither of a pair has a word.
    """
    found = []
    for one, two in zip(first, second, strict=True):
        words = [{word.strip(string.punctuation) for word in text.lower().split()} - {""} for text in (one, two)]
        if not (together := words[0] | words[1]):
            raise ValueError(f"there is no word in {one!r} and {two!r}")
        found.append(len(words[0] & words[1]) / len(together))
    return found


def neighbours(encoder, queries: Sequence[str], sentences: Sequence[str], *, k: int = 5) -> list[list[str]]:
    """For each query its ``k`` nearest sentences by cosine, the nearest first; the query itself is left out.

    Raises:
        ValueError: if ``k`` is below 1, there is no sentence, or a vector is not finite.
    """
    if k < 1 or not sentences:
        raise ValueError(
            f"expected k of at least 1 and at least one sentence, got k={k} and {len(sentences)} sentences"
        )
    order = _similar(encoder, queries, sentences).argsort(dim=1, descending=True, stable=True)
    nearest = [[sentences[i] for i in row if sentences[i] != query] for query, row in zip(queries, order, strict=True)]
    return [row[:k] for row in nearest]


@torch.no_grad()
def readings(encoder: nn.Module, sentences: Sequence[str], *, times: int = 15) -> Tensor:
    """``(N, times, D)``: the unit vectors of N sentences, each read ``times`` times with dropout on.

    The encoder is left with dropout off.
    """
    encoder.train()
    batch = encoder.tokenize(sentences)
    vectors = [F.normalize(encoder(batch), dim=1) for _ in range(times)]
    encoder.eval()
    return torch.stack(vectors, dim=1).float().cpu()


def _similar(encoder, queries: Sequence[str], sentences: Sequence[str]) -> Tensor:
    """The cosine of each query with each sentence, ``(N, M)``."""
    return F.normalize(_encode(encoder, queries), dim=1) @ F.normalize(_encode(encoder, sentences), dim=1).T


def _encode(encoder, sentences: Sequence[str]) -> Tensor:
    vectors = encoder.encode(sentences)
    if not vectors.isfinite().all():  # a NaN would pass for the nearest
        raise ValueError("the encoder gave vectors that are not finite")
    return vectors


def from_words(texts: Sequence[str], y, asked: Sequence[str], goal, *, k: int = 5) -> dict[str, float]:
    """What the words of a text say of its label without any encoder: tf-idf, read as vectors are read.

    Args:
        texts, y: training texts and their labels.
        asked, goal: test texts and theirs.
        k: how many neighbours count.

    Returns:
        In per cent, ``{"probe": the accuracy of a linear classifier, "neighbours": how many of the k training texts
        nearest to a test text, by cosine, have its label}``.

    Raises:
        ValueError: if there are not as many labels as texts, or fewer than two classes.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer  # late: half a second
    from sklearn.linear_model import LogisticRegression

    y, goal = np.asarray(y), np.asarray(goal)
    words = TfidfVectorizer(sublinear_tf=True)  # rows of length 1
    train_x = words.fit_transform(texts)
    test_x = words.transform(asked)
    right = LogisticRegression(C=10, max_iter=1000).fit(train_x, y).score(test_x, goal)
    near = np.argsort(-(test_x @ train_x.T).toarray(), axis=1, kind="stable")[:, :k]
    return {"probe": 100 * float(right), "neighbours": 100 * float((y[near] == goal[:, None]).mean())}


def show_neighbours(encoders: Mapping[str, object], queries: Sequence[str], sentences: Sequence[str], *, k: int = 3):
    """Print each query with its ``k`` nearest sentences under each of several encoders, such as before and after.

    Raises:
        ValueError: if there is no encoder; otherwise as :func:`neighbours`.
    """
    if not encoders:
        raise ValueError("expected at least one encoder, as {'before': encoder, …}")
    found = {name: neighbours(encoder, queries, sentences, k=k) for name, encoder in encoders.items()}
    width = max(map(len, encoders))
    for i, query in enumerate(queries):
        print(f"{'' if i == 0 else chr(10)}{query}")
        for name in encoders:
            for rank, sentence in enumerate(found[name][i]):
                print(f"  {name if rank == 0 else '':<{width}}  {rank + 1}. {sentence}")


def counted_words(train: Sequence[str], y: Sequence[int], test: Sequence[str], truth: Sequence[int]) -> float:
    """What a linear classifier on tf-idf vectors of words and word pairs names right, in per cent: a row for tables.

    Nothing is tuned; it is there to show what a trained network adds to counting words.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    words = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2)
    linear = make_pipeline(words, LinearSVC(C=0.3, random_state=0))
    return 100 * linear.fit(list(train), list(y)).score(list(test), list(truth))


def across(pictures: Tensor, texts: Tensor) -> dict[str, float]:
    """How far two clouds of vectors in one space lie apart; row i of one belongs to row i of the other.

    Returns:
        ``gap``, the distance of their means on the unit sphere; ``told apart``, the share of rows, in per cent, whose
        cloud a linear classifier names, fitted on the rows with an even number and asked about the others; ``moved``,
        how many texts find their picture first, in per cent, once both clouds were moved by half of the gap.
    """
    x, y = (F.normalize(z.float(), dim=1) for z in (pictures, texts))
    shift, both, kind = metrics.modality_gap(x, y), torch.cat([x, y]), [0] * len(x) + [1] * len(y)
    told = metrics.linear_probe(both[::2], kind[::2], both[1::2], kind[1::2])
    moved = F.normalize(y + shift / 2, dim=1) @ F.normalize(x - shift / 2, dim=1).T
    first = metrics.recall(moved, torch.eye(len(x)), 1)
    return {"gap": shift.norm().item(), "told apart": 100 * told, "moved": 100 * first}


def counted(texts: Sequence[str], tokens: Callable[[str], list[str]]) -> "Counted":
    """What counted tokens are worth, as a row for tables: tf-idf, with the weights of ``texts``.

    Args:
        texts: training texts, without labels.
        tokens: splits a text, such as ``str.split``.

    Returns:
        Something with ``encode``, for :func:`sts` and the others; a token that is not in ``texts`` does not count.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer  # late: half a second

    return Counted(TfidfVectorizer(analyzer=tokens).fit(texts))


@dataclass(frozen=True)
class Counted:
    """Counted tokens: :func:`counted` makes it."""

    counter: object

    def encode(self, sentences: Sequence[str]) -> Tensor:
        """``(N, V)``, rows of length 1; of a sentence without a known token, 0."""
        return torch.from_numpy(self.counter.transform(sentences).toarray()).float()


def found_first(vectors: Mapping[str, Tensor], score: Callable[[Tensor], Tensor] | None = None) -> float:
    """How many sentences find their translation first, in per cent, over all ordered pairs of languages.

    Args:
        vectors: for each language ``(N, D)``; row i says the same in all of them.
        score: makes scores of an ``(N, N)`` table of cosines, sources × targets; the cosines themselves if left out.

    Raises:
        ValueError: if there are fewer than two languages, or their shapes differ.
    """
    if len(vectors) < 2 or len({x.shape for x in vectors.values()}) > 1:
        shapes = ", ".join(f"{name} {tuple(x.shape)}" for name, x in vectors.items())
        raise ValueError(f"expected two languages or more, with the same sentences, got {shapes or 'none'}")
    unit, hits = {name: F.normalize(x, dim=1) for name, x in vectors.items()}, []
    for one, other in itertools.permutations(unit, 2):
        cosines = unit[one] @ unit[other].T
        nearest = (cosines if score is None else score(cosines)).argmax(1)
        hits.append((nearest == torch.arange(len(nearest))).double().mean())
    return 100 * torch.stack(hits).mean().item()


def largest_hub(vectors: Mapping[str, Tensor], score: Callable[[Tensor], Tensor] | None = None) -> float:
    """Of a hundred sentences of one language, how many have one and the same nearest in another, at the most.

    Args:
        vectors, score: as for :func:`found_first`; 1 would be a search in which every sentence is found once.
    """
    unit, found = {name: F.normalize(x, dim=1) for name, x in vectors.items()}, []
    for one, other in itertools.permutations(unit, 2):
        cosines = unit[one] @ unit[other].T
        nearest = (cosines if score is None else score(cosines)).argmax(1)
        found.append(100 * nearest.bincount().max().item() / len(nearest))
    return max(found)


def by_spelling(texts: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """What spelling alone finds in a dictionary, as rows for tables: nothing knows what a word means.

    Args:
        texts: for each language the same words, as :func:`clt.data.parallel` gives them.

    Returns:
        In per cent: ``"same string"``, how many words are their own translation, in small letters; ``"letters"``, how
        many find it first by the cosine of tf-idf of their stretches of three and four letters, as
        :func:`found_first`.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer  # late: half a second

    words = [word.lower() for column in texts.values() for word in column]
    vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 4)).fit_transform(words)
    parts = torch.from_numpy(vectors.toarray()).float().chunk(len(texts))
    same = [len({word.lower() for word in row}) == 1 for row in zip(*texts.values(), strict=True)]
    letters = found_first(dict(zip(texts, parts, strict=True)))
    return {"same string": 100 * sum(same) / len(same), "letters": letters}


def group_told(train: Mapping[str, Tensor], test: Mapping[str, Tensor]) -> float:
    """How often a linear classifier, fitted on ``train``, names the group of a vector of ``test``; in per cent."""
    parts = []
    for groups in (train, test):
        parts += [torch.cat(list(groups.values())), [name for name, x in groups.items() for _ in x]]
    return 100 * metrics.linear_probe(*parts)


@torch.no_grad()
def in_batches(model: nn.Module, read: Callable[[Sequence[str]], Tensor], texts: Sequence[str]) -> Tensor:
    """What ``read`` makes of the texts, 64 of one length at a time, in their order; the model is left as it was."""
    was_training = model.training
    model.eval()
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    parts = [read([texts[i] for i in order[start : start + 64]]) for start in range(0, len(order), 64)]
    model.train(was_training)
    return torch.cat(parts)[torch.tensor(order).argsort()]


def averaged_words(encoder) -> "Averaged":
    """What the mean of an encoder's word vectors is worth, as a row for tables: no layer has read them.

    Args:
        encoder: a :class:`clt.encoders.SentenceEncoder`; its tokens count, those that mark the ends do not.

    Returns:
        Something with ``encode``, for :func:`sts` and the others.
    """
    return Averaged(encoder.tokenizer, encoder.model.get_input_embeddings().weight.detach().float().cpu())


def centred(encoder, texts: Sequence[str]) -> "Centred":
    """An encoder whose vectors have the mean of those of ``texts`` taken off, as a row for tables: nothing is trained.

    Args:
        encoder: what gives the vectors.
        texts: training texts, without labels; they are read when the first sentence is.

    Returns:
        Something with ``encode``, for :func:`sts` and the others.
    """
    return Centred(encoder, texts)


@dataclass
class Centred:
    """Vectors without their mean: :func:`centred` makes it."""

    encoder: object
    texts: Sequence[str]

    @functools.cached_property
    def middle(self) -> Tensor:
        return self.encoder.encode(self.texts).mean(dim=0)

    def encode(self, sentences: Sequence[str]) -> Tensor:
        """The ``(N, D)`` vectors of the encoder, minus the mean."""
        return self.encoder.encode(sentences) - self.middle


@dataclass(frozen=True)
class Averaged:
    """The mean of the word vectors of a sentence: :func:`averaged_words` makes it."""

    tokenizer: object
    vectors: Tensor

    def encode(self, sentences: Sequence[str]) -> Tensor:
        """The ``(N, D)`` means; of a sentence without a token, 0."""
        rows = self.tokenizer(list(sentences), add_special_tokens=False)["input_ids"]
        means = [self.vectors[torch.tensor(row, dtype=torch.long)].sum(0) / max(len(row), 1) for row in rows]
        return torch.stack(means)


def synonyms(encoder) -> float:
    """The share of words, in per cent, whose nearest other word means the same, by the course's table of synonyms.

    Words of one group of the table, such as *huge*, *enormous* and *massive*, mean the same; a word may be in several.
    Only the first form of each counts, so that the nearest of *huge* is not *huger*.

    Args:
        encoder: what gives the vectors; it reads each word as a sentence.

    Raises:
        ValueError: if a vector is not finite.
    """
    groups = augment.synonym_groups()
    words = sorted({word for group in groups for word in group})
    place = {word: i for i, word in enumerate(words)}
    same = torch.zeros(len(words), len(words), dtype=torch.bool)
    for group in groups:
        rows = torch.tensor([place[word] for word in group])
        same[rows[:, None], rows] = True
    nearest = _similar(encoder, words, words).fill_diagonal_(-torch.inf).argmax(dim=1)
    return 100 * same[torch.arange(len(words)), nearest].float().mean().item()
