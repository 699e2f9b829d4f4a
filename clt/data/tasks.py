"""Tasks of lesson 17: texts with a label each, to learn from and to be tested on, and text of a domain without any."""

import functools
import json
import random
import re
from collections import Counter

Rows = list[tuple[str, str]]

SOURCES = {"intents": "Banking77", "other intents": "Banking77", "sentiment": "SST-2", "kinds": "everyday",
           "emoji": "emoji", "emotions": "emotions"}  # fmt: skip

_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9])")  # where a sentence of an abstract ends


@functools.cache
def labelled(name: str) -> tuple[Rows, Rows]:
    """(text, label) to learn from, and (text, label) to test on, at most 600; the same rows at each call.

    Args:
        name: ``"kinds"`` of the everyday sentences, ``"emoji"``, ``"emotions"`` in eight groups, ``"sentiment"``
            (SST-2), ``"intents"``, the 16 most frequent ones of Banking77, or ``"other intents"``, its 61 others, which
            have no test rows of their own.

    Raises:
        ValueError: if there is no such task.
        FileNotFoundError: if it needs a public set that is not to be had.
    """
    if name not in SOURCES:
        raise ValueError(f"there is no task {name!r}; there are {', '.join(SOURCES)}")
    train = _rows(SOURCES[name], "train")
    if name == "kinds":
        rows = random.Random(0).sample(train, len(train))
        return rows[600:], rows[:600]
    test = _rows(SOURCES[name], "test")
    if name == "emotions":
        group = _groups()
        train, test = ([(text, group[label]) for text, label in rows] for rows in (train, test))
    if "intents" in name:
        counts = Counter(label for _, label in train)
        often = {label for label, _ in counts.most_common(16)}
        train = [row for row in train if (row[1] in often) == (name == "intents")]
        test = [row for row in test if row[1] in often]
    return train, random.Random(0).sample(test, min(480, len(test)))


def few(name: str, n: int, seed: int) -> tuple[list[str], list[str]]:
    """``n`` texts of each class of a task and their labels, drawn by the seed from those to learn from.

    Raises:
        ValueError: if a class has fewer than ``n`` texts; otherwise as :func:`labelled`.
    """
    rng, rows, drawn = random.Random(seed), labelled(name)[0], []
    for label in sorted({label for _, label in rows}):
        drawn += rng.sample([row for row in rows if row[1] == label], n)
    return [text for text, _ in drawn], [label for _, label in drawn]


@functools.cache
def unlabelled(domain: str) -> list[str]:
    """The sentences of a domain, without labels.

    Args:
        domain: ``"abstracts"``, of the papers of SciFact, or ``"everyday"``, all training sentences of the course.

    Raises:
        ValueError: if there is no such domain.
        FileNotFoundError: if it needs a public set that is not to be had.
    """
    from clt.data import load, sentences

    if domain == "everyday":
        return sentences()
    if domain != "abstracts":
        raise ValueError(f"there is no domain {domain!r}; there are abstracts and everyday")
    found = (sentence for text in load("SciFact", "corpus")["text"] for sentence in _END.split(text))
    return [sentence for sentence in dict.fromkeys(found) if 5 < len(sentence.split()) <= 50]


def _rows(source: str, split: str) -> Rows:
    from clt.data import load

    return [*zip(*load(source, split)[:].values(), strict=True)]


def _groups() -> dict[str, str]:
    """The group, one of eight, of each of the 32 emotions."""
    from clt.data import data_dir

    return json.loads((data_dir() / "emotions" / "labels.json").read_text("utf-8"))["maps"]["8"]
