"""The texts in other languages: sizes, copies, glosses, characters, and that lessons in English do not read them."""

import csv
import re
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from clt import data

DATA = Path(__file__).parent.parent / "data"
LANGUAGES = ("english", "german", "french", "spanish")
SIZES = {("chinese", "train"): 1406, ("chinese_sts", "test"): 300, ("translations", "train"): 400,
         ("translations", "test"): 100}  # fmt: skip


@cache
def rows(name, split):
    with open(DATA / name / f"{split}.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def bag(text):
    """Chinese characters, or the words of other languages."""
    return frozenset(re.findall(r"[\u4e00-\u9fff]|[^\W_\u4e00-\u9fff]+", text.lower()))


def overlap(one, other):
    return len(bag(one) & bag(other)) / len(bag(one) | bag(other))


@pytest.mark.parametrize(("name", "split"), SIZES, ids=str)
def test_sizes_and_clean_cells(name, split):
    found = rows(name, split)
    assert len(found) == SIZES[name, split]
    for row in found:
        assert all(cell and cell == " ".join(cell.split()) for cell in row.values()), row
    assert set(data.load(name, split).column_names) == set(found[0])


def test_chinese_is_chinese_and_no_sentence_comes_twice():
    texts = [row["text"] for row in rows("chinese", "train")]
    pairs = [row[side] for row in rows("chinese_sts", "test") for side in ("sentence1", "sentence2")]
    assert len(set(texts)) == len(texts)
    assert len(set(pairs)) == len(pairs)
    for text in (*texts, *pairs):
        assert len(re.findall(r"[\u4e00-\u9fff]", text)) >= 0.6 * len(text), text
        assert not re.search(r"[A-Za-z]", text), text
    assert set(Counter(row["kind"] for row in rows("chinese", "train"))) == {
        "caption", "chat", "headline", "instruction", "question", "review"}  # fmt: skip


def test_no_near_copies_in_chinese_nor_of_what_is_asked():
    texts = [row["text"] for row in rows("chinese", "train")]
    bags = [bag(text) for text in texts]
    asked = [bag(row[side]) for row in rows("chinese_sts", "test") for side in ("sentence1", "sentence2")]
    near = [(a, b) for i, a in enumerate(bags) for b in (*bags[:i], *asked) if len(a & b) >= 0.6 * len(a | b)]
    assert near == []


def test_every_unit_of_the_scale_has_pairs_and_counting_does_not_solve_them():
    pairs = rows("chinese_sts", "test")
    scores = np.array([float(row["score"]) for row in pairs])
    assert np.histogram(scores, [0, 1, 2, 3, 4, 5])[0].min() >= 0.1 * len(pairs)
    shared = [overlap(row["sentence1"], row["sentence2"]) for row in pairs]
    assert spearmanr(shared, scores).statistic < 0.6
    opposite = [score for share, score in zip(shared, scores, strict=True) if share == 1]
    assert len(opposite) >= 8, "the same characters in another order"
    assert max(opposite) <= 3.5


def test_every_chinese_sentence_has_its_own_gloss_in_english():
    pairs = rows("chinese_sts", "test")
    glosses = [row[f"gloss{i}"] for row in pairs for i in (1, 2)]
    assert len(set(glosses)) == len(glosses)
    for gloss in glosses:
        assert gloss.isascii(), gloss
        assert gloss[0].isupper(), gloss
        assert gloss[-1] in ".?!", gloss


@pytest.mark.parametrize("language", LANGUAGES)
def test_translations_are_distinct_and_splits_are_apart(language):
    train, test = ([row[language] for row in rows("translations", split)] for split in ("train", "test"))
    every = [*train, *test]
    assert len(set(every)) == len(every)
    assert [(a, b) for a in test for b in train if overlap(a, b) >= 0.6] == []


def test_languages_do_not_stand_in_the_wrong_column():
    """The commonest little words of a language are found in its column, and hardly in the others."""
    little = {"english": "the", "german": "der die das ein eine ist", "french": "le la les un une est",
              "spanish": "el los una en es se"}  # fmt: skip
    found = [*rows("translations", "train"), *rows("translations", "test")]
    for language, words in little.items():
        share = {other: np.mean([bool(bag(row[other]) & set(words.split())) for row in found]) for other in LANGUAGES}
        assert max(share, key=share.get) == language, share
        assert share[language] > 0.5


def test_a_question_is_one_in_all_languages():
    for row in (*rows("translations", "train"), *rows("translations", "test")):
        asks = {row[language].endswith("?") for language in LANGUAGES}
        assert len(asks) == 1, row
        assert row["spanish"].startswith("¿") or not row["spanish"].endswith("?"), row


def test_learning_from_all_english_texts_stays_english():
    every = set(data.sentences())
    assert not every & {row["text"] for row in rows("chinese", "train")}
    assert not every & {row["german"] for row in rows("translations", "train")}
    assert data.sentences("chinese") == [row["text"] for row in rows("chinese", "train")]
    assert len(data.sentences("translations")) == 1600
    assert data.sentences("chinese_sts") == [], "it is there to be tested on"


def test_unasked_leaves_out_what_another_split_holds(tmp_path, monkeypatch):
    folder = tmp_path / "STS-B-zh"
    folder.mkdir()
    lines = {"train": "甲,乙,1\n丙,甲,2\n丁,戊,3\n", "dev": "戊,己,4\n", "test": "乙,庚,0\n"}
    for split, text in lines.items():
        (folder / f"{split}.csv").write_text("sentence1,sentence2,score\n" + text, encoding="utf-8")
    monkeypatch.setenv("CLT_DATA", str(tmp_path))
    assert data.unasked("STS-B-zh") == ["甲", "丙", "丁"]


def test_paws_x_is_read_as_pairs_with_scores(tmp_path, monkeypatch):
    folder = tmp_path / "PAWS-X-zh"
    folder.mkdir()
    (folder / "test.csv").write_text("sentence1,sentence2,label\n甲,乙,1\n丙,丁,0\n", encoding="utf-8")
    monkeypatch.setenv("CLT_DATA", str(tmp_path))
    assert data.load("PAWS-X-zh", "test")["score"] == [1.0, 0.0]


def test_parallel_texts_each_once_from_a_file_with_other_names_of_columns(tmp_path, monkeypatch):
    folder = tmp_path / "BLI-XLING"
    folder.mkdir()
    lines = ["source,target", "house,Haus", "home,Haus", "house,Gebäude", "tree,Baum"]
    (folder / "en-de.test_2k.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    monkeypatch.setenv("CLT_DATA", str(tmp_path))
    assert data.parallel("XLING-German", "test") == {"english": ["house", "tree"], "german": ["Haus", "Baum"]}
    ours = data.parallel("translations", "test")
    assert list(ours) == list(LANGUAGES)
    assert {len(texts) for texts in ours.values()} == {100}
