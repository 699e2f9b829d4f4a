"""What sentence vectors hold: properties that a linear probe reads off, the same texts and labels for every encoder."""

import copy
import functools
import json
import random
import re
from collections.abc import Callable, Sequence
from types import SimpleNamespace

import torch
from torch import Tensor, nn

from clt import data, evaluation, losses, metrics, results, training
from clt.predicting.networks import Reader, Transformer
from clt.predicting.text import PAD, Corpus

Probe = tuple[list, Sequence, list, Sequence]  # training texts and labels, test texts and labels


def documents(source: str) -> list[list[str]]:
    """What is read in training: the course's sentences, texts whole; with ``"public"`` also conversations."""
    texts = own_texts("train")
    known = {sentence for text in texts for sentence in text}
    texts += [[sentence] for sentence in data.sentences() if sentence not in known]
    if source == "public":
        held_out = {tuple(text[:-1]) for text in conversations("dev", "test")}
        texts += [text for text in conversations("train") if tuple(text[:-1]) not in held_out]
    return texts


def own_texts(*splits: str) -> list[list[str]]:
    """The stories and conversations of these splits, each a list of sentences in order."""
    columns = {"stories": "sentences", "dialogues": "turns"}
    return [text for split in splits for name, column in columns.items() for text in data.load(name, split)[column]]


def conversations(*splits: str) -> list[list[str]]:
    """The turns of DailyDialog++ in these splits, each conversation with one of the replies written to it."""
    loaded = [data.load("DailyDialog++", split) for split in splits]
    rows = [row for part in loaded for row in zip(part["context"], part["positives"], strict=True)]
    return [[*turns, replies[0]] for turns, replies in rows]


@functools.cache
def probes(source: str) -> dict[str, Probe]:
    """The questions: length, word, shuffled and mood; with ``"public"`` also next, order and sentiment.

    Mood is whether a situation of ``emotions`` is a happy one, sentiment whether a film review of SST-2 is good. Next
    and order are about two turns of conversations: do they belong together, and which came first?
    """
    texts, rng = list(data.load("everyday", "train")["text"]), random.Random(0)
    length = [(text, min(4, len(text.split()) // 4)) for text in texts[2000:3200]]
    shuffled = [(shuffle_words(text, rng), True) if rng.random() < 0.5 else (text, False) for text in texts[:2000]]
    found = {"length": _parts(length), "word": _parts(_holding(texts)), "shuffled": _parts(shuffled)}
    found["mood"] = _parts(_happy())
    if source == "public":
        told = conversations("dev", "test")
        found |= {"next": _parts(_belonging(told)[:3000]), "order": _parts(_in_order(told)[:1500])}
        found["sentiment"] = _reviews()
    return found


def measure(model, source: str) -> dict[str, float]:
    """The share of right answers to each of :func:`probes`, and Spearman on the test pairs of ``sts``, times 100."""
    found = {}
    for name, (texts, y, asked, goal) in probes(source).items():
        found[name] = 100 * metrics.linear_probe(_read(model, texts), y, _read(model, asked), goal, c=0.1)
    return found | {"STS": evaluation.sts(model)["sts/test"]}


def chance(source: str) -> dict[str, float]:
    """What naming the most frequent answer to each of :func:`probes` gets right, times 100."""
    goals = {name: list(probe[3]) for name, probe in probes(source).items()}
    return {name: 100 * max(map(goal.count, set(goal))) / len(goal) for name, goal in goals.items()}


@torch.no_grad()
def fakes_found(text: Corpus, draw: Callable[[torch.Generator], tuple], judged: Callable[[tuple], tuple]) -> dict:
    """How well the replaced tokens of 20 batches are told from the originals, as an AUC in per cent; 50 is chance.

    Args:
        text: whose vocabulary says how frequent each piece is.
        draw: draws a batch, whose first part are the ids of the original.
        judged: of a batch, the generator's guesses, the ids with its fakes, and the discriminator's scores.

    Returns:
        ``{"AUC": of the scores, "AUC, rarity": of the rule that the rarer a piece, the likelier it is a fake}``.
    """
    from sklearn.metrics import roc_auc_score

    batches, seen = torch.Generator().manual_seed(12345), []
    for _ in range(20):
        batch = draw(batches)
        _, ids, scores = judged(batch)
        seen.append([part[batch[0] != PAD] for part in (scores, ids, ids != batch[0])])
    scores, ids, replaced = (torch.cat(column) for column in zip(*seen, strict=True))
    rules = {"AUC": scores, "AUC, rarity": -text.vocabulary.counts[ids].double()}
    return {name: 100 * float(roc_auc_score(replaced, score)) for name, score in rules.items()}


@torch.no_grad()
def reading_saves(model: nn.Module, draw: Callable[[torch.Generator], tuple], loss_of: Callable) -> dict[str, float]:
    """Whether a writer looks at what was read: its loss on eight fresh batches, and if each row reads another's text.

    Args:
        model: in evaluation mode.
        draw: draws a batch, the ids that are to be written and those that are read.
        loss_of: ``loss_of(model, batch)``.

    Returns:
        ``{"loss, own text": …, "loss, another text": …}``, in nats a piece. Without a difference it ignores its reader.
    """
    batches, found = torch.Generator().manual_seed(12345), []
    for _ in range(8):
        ids, read = draw(batches)
        found.append([loss_of(model, (ids, text)).item() for text in (read, read.roll(1, 0))])
    return dict(zip(("loss, own text", "loss, another text"), torch.tensor(found).mean(0).tolist(), strict=True))


def untrained(corpus: Corpus, vectors: Tensor, mini: nn.Module, seeds: Sequence[int]) -> dict[str, float | list[float]]:
    """The rows beside those that are trained here: chance, tf-idf, the average of word vectors, and ``clt-mini``.

    Args:
        corpus, vectors: the text, whose vocabulary is used, and its counted word vectors, ``(pieces, D)``.
        mini: the encoder ``clt-mini``.
        seeds: of the steps of SimCSE after which the average is measured again; ``clt-mini`` has one run.

    Returns:
        ``{"row.measure": value}``, in per cent; with seeds a list.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer  # late: half a second

    few = TfidfVectorizer(max_features=1500, sublinear_tf=True).fit(data.sentences())
    fixed = {
        "tf-idf": SimpleNamespace(encode=lambda texts: torch.tensor(few.transform(texts).toarray())),
        "untrained": Reader(Transformer(vectors), corpus.vocabulary),
        "clt-mini": mini,
    }
    rows = {name: measure(model, "public") for name, model in fixed.items()} | {"chance": chance("public")}
    found = {f"{name}.{key}": value for name, row in rows.items() for key, value in row.items()}
    for name, rate, runs in (("untrained", 1e-3, seeds), ("clt-mini", 1e-4, [0])):
        after = [after_simcse(copy.deepcopy(fixed[name]), seed, rate=rate) for seed in runs]
        found[f"{name}.STS, then SimCSE"] = [one["STS, then SimCSE"] for one in after]
    return found


def after_simcse(reader: nn.Module, seed: int, *, rate: float = 1e-3) -> dict[str, float]:
    """Spearman on the test pairs of ``sts``, × 100, after 30 steps of SimCSE, 32 sentences each; changes ``reader``."""

    def two_readings(model: nn.Module, batch: list[str]) -> Tensor:
        ids = model.tokenize(batch)
        return losses.simcse_loss(model(ids), model(ids))

    draw = data.batches_alike(data.sentences(), size=32)
    training.train(reader, draw, two_readings, steps=30, learning_rate=rate, warmup=3, seed=seed, progress=False)
    return {"STS, then SimCSE": evaluation.sts(reader)["sts/test"]}


def gaps(
    record: results.Record, names: Sequence[str], measures: Sequence[str], rival: str
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, results.Difference]]]:
    """For a table of the record: each variant's means, and by how much they are above ``rival``, paired over the seeds.

    Both are ``{variant: {measure: …}}``, without what was not measured; the rival itself has no gap.
    """
    means: dict[str, dict[str, float]] = {}
    found: dict[str, dict[str, results.Difference]] = {}
    for name in names:
        keys = {measure: f"{name}.{measure}" for measure in measures if f"{name}.{measure}" in record}
        means[name] = {measure: record.mean(key) for measure, key in keys.items()}
        if name != rival:
            found[name] = {
                measure: results.difference(record, key, f"{rival}.{measure}")
                for measure, key in keys.items() if f"{rival}.{measure}" in record
            }  # fmt: skip
    return means, found


def together(u: Tensor, v: Tensor) -> Tensor:
    """What a linear judge sees of two sentence vectors: both, their distance and their product, ``(…, 4 D)``."""
    return torch.cat([u, v, (u - v).abs(), u * v], dim=-1)


def shuffle_words(text: str, rng: random.Random) -> str:
    """The text with its words in any order; the mark at its end stays there."""
    bare = text.rstrip(".!?")
    words = bare.split()
    return " ".join(rng.sample(words, len(words))) + text[len(bare) :]


def _read(model, texts: list) -> Tensor:
    if isinstance(texts[0], str):
        return model.encode(texts)
    return together(*(model.encode([pair[side] for pair in texts]) for side in (0, 1)))


def _parts(rows: list[tuple]) -> Probe:
    """Seven tenths of (text, label) to train the probe, the rest to test it."""
    rows = random.Random(1).sample(rows, len(rows))
    texts, labels = (list(column) for column in zip(*rows, strict=True))
    cut = 7 * len(rows) // 10
    return texts[:cut], labels[:cut], texts[cut:], labels[cut:]


def _holding(texts: list[str]) -> list[tuple[str, str]]:
    """Texts that hold exactly one of thirty words of middling frequency, and which it is."""
    words = [set(re.findall("[a-z]+", text.lower())) for text in texts]
    counts: dict[str, int] = {}
    for word in (word for found in words for word in sorted(found) if len(word) > 3):
        counts[word] = counts.get(word, 0) + 1
    wanted = set(sorted(counts, key=lambda word: (-counts[word], word))[200:230])
    return [(text, *(found & wanted)) for text, found in zip(texts, words, strict=True) if len(found & wanted) == 1]


def _happy() -> list[tuple[str, bool]]:
    """Situations of ``emotions``, and whether their emotion is a happy one by its map of four classes."""
    classes = json.loads((data.data_dir() / "emotions" / "labels.json").read_text(encoding="utf-8"))["maps"]["4"]
    told = data.load("emotions", "train")
    return [(text, classes[label] == "happiness") for text, label in zip(told["text"], told["label"], strict=True)]


def _reviews() -> Probe:
    """Sentences of film reviews, 4,000 to train the probe and all test sentences."""
    train, test = data.load("SST-2", "train"), data.load("SST-2", "test")
    chosen = random.Random(4).sample(range(len(train)), 4000)
    texts, labels = list(train["text"]), list(train["label"])
    return [texts[i] for i in chosen], [labels[i] for i in chosen], list(test["text"]), list(test["label"])


def _belonging(texts: list[list[str]]) -> list[tuple[tuple[str, str], bool]]:
    """Pairs of neighbours, of which about half have the later turn of another text instead, and which."""
    rng, pairs = random.Random(3), []
    for k, text in enumerate(texts):
        other = texts[(k + rng.randrange(1, len(texts))) % len(texts)]
        for i in range(0, len(text) - 1, 2):
            wrong, place = rng.random() < 0.5, rng.randrange(1, len(other))
            pairs.append(((text[i], other[place] if wrong else text[i + 1]), wrong))
    return pairs


def _in_order(texts: list[list[str]]) -> list[tuple[tuple[str, str], bool]]:
    """Pairs of neighbours, no sentence in two of them, about half of them swapped, and which."""
    rng = random.Random(2)
    pairs = [(text[i], text[i + 1]) for text in texts for i in range(0, len(text) - 1, 2)]
    return [((b, a), True) if rng.random() < 0.5 else ((a, b), False) for a, b in pairs]
