"""What must stay true of the texts written for this course, read straight from `data/` with csv and json."""

import csv
import json
import math
import random
import re
from collections import Counter, defaultdict
from functools import cache
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

DATA = Path(__file__).parent.parent / "data"
SPLITS = ("train", "dev", "test")

# per set: file ending, rows of train, dev and test (as many as it has), columns that hold text, other columns
SETS = {
    "sts": ("csv", (600, 200, 1000), ("sentence1", "sentence2"), ("score", "topic")),
    "nli": ("csv", (2000, 150, 350), ("premise", "entailment", "neutral", "contradiction"), ("topic",)),
    "emotions": ("csv", (1600, 480, 1120), ("text",), ("label",)),
    "stories": ("jsonl", (140, 20, 40), ("sentences",), ("title", "topic")),
    "dialogues": ("jsonl", (140, 20, 40), ("turns",), ("topic",)),
    "twins": ("csv", (280, 40, 80), ("sentence", "paraphrase", "changed"), ("change", "topic")),
    "everyday": ("csv", (6000,), ("text",), ("kind",)),
    "passages": ("csv", (300, 50, 150), ("passage",), ("id", "topic")),
    "questions": ("jsonl", (600, 100, 300), ("question",), ("kind", "topic", "answers")),
    "scenes": ("jsonl", (100,), ("caption",), ("things",)),
    "emoji": ("csv", (800, 160, 240), ("message",), ("emoji",)),
}

# the word a label is named by, in every form that would give the label away
LABEL_WORDS = {
    "afraid": "afraid",
    "angry": "anger|angr",
    "annoyed": "annoy",
    "anticipating": "anticipat",
    "anxious": "anxi",
    "apprehensive": "apprehens",
    "ashamed": "asham|shame",
    "caring": "cares?\\b|cared\\b|caring",
    "confident": "confiden",
    "content": "content",
    "devastated": "devastat",
    "disappointed": "disappoint",
    "disgusted": "disgust",
    "embarrassed": "embarrass",
    "excited": "excit",
    "faithful": "faith",
    "furious": "furious|fury",
    "grateful": "grateful|gratitude",
    "guilty": "guilt",
    "hopeful": "hope|hoping",
    "impressed": "impress",
    "jealous": "jealous",
    "joyful": "joy",
    "lonely": "lonel|loner|lonesome",
    "nostalgic": "nostalg",
    "prepared": "prepar",
    "proud": "proud|pride",
    "sad": "sad\\b|sad(der|dest|den|ly|ness)",
    "sentimental": "sentiment",
    "surprised": "surpris",
    "terrified": "terrif|terror",
    "trusting": "trust",
}


def splits(name):
    if name == "scenes":  # nothing is learned from these
        return ("test",)
    return SPLITS[: len(SETS[name][1])]


SPLIT_IN_THREE = [name for name in SETS if splits(name) == SPLITS]


@cache
def rows(name, split):
    path = DATA / name / f"{split}.{SETS[name][0]}"
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file)) if path.suffix == ".csv" else [json.loads(line) for line in file]


@cache
def texts(name, split):
    """Every text of a split, columns and turns one after the other."""
    cells = [row[column] for row in rows(name, split) for column in SETS[name][2]]
    return [text for cell in cells for text in (cell if isinstance(cell, list) else [cell])]


def words(text):
    return re.findall(r"[^\W_]+(?:['’][^\W_]+)*", text.lower())


@cache
def bag(text):
    return frozenset(words(text))


def overlap(left, right):
    """Jaccard overlap of two texts' sets of words."""
    left, right = bag(left), bag(right)
    return len(left & right) / len(left | right)


def near(left, right, least=0.6):
    """The pairs of two lists of texts whose overlap is at least ``least``: ``[(i, j), …]``, in order.

    A text that shares so much with one of n different words lacks at most (1 − least) · n of them. So it has one of
    any group with a word more: looking up the rarest that many finds every pair, and few others.
    """
    sets = [bag(text) for text in right]
    places = defaultdict(list)
    for j, there in enumerate(sets):
        for word in there:
            places[word].append(j)
    found = []
    for i, text in enumerate(left):
        here = bag(text)
        rarest = sorted(here, key=lambda word: len(places.get(word, ())))
        looked_up = rarest[: len(here) - math.ceil(least * len(here) - 1e-9) + 1]
        for j in sorted({j for word in looked_up for j in places.get(word, ())}):
            if len(here & sets[j]) >= least * len(here | sets[j]) - 1e-9:
                found.append((i, j))
    return found


@pytest.mark.parametrize("name", SETS)
def test_sizes_columns_and_clean_cells(name):
    ending, sizes, text_columns, other_columns = SETS[name]
    assert {path.name for path in (DATA / name).glob(f"*.{ending}")} == {f"{split}.{ending}" for split in splits(name)}
    assert tuple(len(rows(name, split)) for split in splits(name)) == sizes
    for split in splits(name):
        for number, row in enumerate(rows(name, split), start=1):
            where = f"{name}/{split}, row {number}"
            assert set(row) == {*text_columns, *other_columns}, where
            assert all(row[column] for column in row), f"{where} has an empty cell"
        for text in texts(name, split):
            assert text == " ".join(text.split()), f"stray white space in {name}/{split}: {text!r}"


@pytest.mark.parametrize("name", SETS)
def test_word_4_grams_are_distinct(name):
    grams = []
    for split in splits(name):
        for text in texts(name, split):
            w = words(text)
            grams += zip(w, w[1:], w[2:], w[3:], strict=False)
    least = 0.9 if name == "twins" else 0.96  # a twin repeats its sentence by design
    assert len(set(grams)) / len(grams) >= least, Counter(grams).most_common(5)


@pytest.mark.parametrize("name", SETS)
def test_no_text_stands_twice(name):
    counts = Counter(" ".join(words(text)) for split in splits(name) for text in texts(name, split))
    assert [text for text, count in counts.items() if count > 1] == []


@pytest.mark.parametrize("name", SPLIT_IN_THREE)
@pytest.mark.parametrize(("one", "other"), list(combinations(SPLITS, 2)))
def test_no_near_duplicate_across_splits(name, one, other):
    left, right = texts(name, one), texts(name, other)
    assert [(left[i], right[j]) for i, j in near(left, right)] == []


@pytest.mark.parametrize("name", SPLIT_IN_THREE)
@pytest.mark.parametrize("split", ["dev", "test"])
def test_no_set_is_trained_on_what_another_holds_out(name, split):
    """One course trains on `nli` and tests on `sts`: the splits have to hold between the sets as well."""
    held_out = texts(name, split)
    for other in (other for other in SETS if "train" in splits(other)):
        trained_on = texts(other, "train")
        assert [(trained_on[i], held_out[j]) for i, j in near(trained_on, held_out)] == [], f"{other}/train"


@pytest.mark.parametrize("name", [name for name in SETS if "topic" in SETS[name][3]])
def test_splits_share_no_topic(name):
    topics = [{row["topic"].lower() for row in rows(name, split)} for split in SPLITS]
    assert [one & other for one, other in combinations(topics, 2)] == [set()] * 3


@pytest.mark.parametrize("least", [0.25, 0.6, 0.8])
def test_near_finds_what_comparing_every_pair_finds(least):
    """Twins are near their sentence; a sentence without some of its words, and the sentence itself, at any distance."""
    rng = random.Random(0)
    left = texts("twins", "dev")[:60]
    right = [*texts("twins", "test")[:30], *texts("twins", "dev")[30:60]]
    right += [" ".join(rng.sample(text.split(), rng.randint(1, len(text.split())))) for text in left]
    every = [(i, j) for i in range(len(left)) for j in range(len(right)) if overlap(left[i], right[j]) >= least - 1e-9]
    assert near(left, right, least) == every
    assert len(every) > 40


def test_everyday_has_six_kinds_and_no_near_copies():
    kinds = Counter(row["kind"] for row in rows("everyday", "train"))
    assert kinds == dict.fromkeys(("caption", "chat", "headline", "instruction", "question", "review"), 1000)
    sentences = texts("everyday", "train")
    assert [(sentences[i], sentences[j]) for i, j in near(sentences, sentences) if i < j] == []


@pytest.mark.parametrize("split", SPLITS)
def test_sts_scores_use_the_whole_scale(split):
    scores = np.array([float(row["score"]) for row in rows("sts", split)])
    assert scores.min() >= 0
    assert scores.max() <= 5
    counts = np.histogram(scores, [0, 1, 2, 3, 4, 5])[0]
    assert counts.min() >= 0.1 * len(scores), f"rows per unit of the scale: {counts}"


@pytest.mark.parametrize("split", [*SPLITS, "all"])
def test_word_overlap_does_not_solve_sts(split):
    pairs = [row for part in SPLITS for row in rows("sts", part) if split in (part, "all")]
    by_overlap = [overlap(row["sentence1"], row["sentence2"]) for row in pairs]
    assert spearmanr(by_overlap, [float(row["score"]) for row in pairs]).statistic <= 0.60


def test_sts_has_both_kinds_of_hard_pair():
    pairs = [row for split in SPLITS for row in rows("sts", split)]
    table = np.array([(overlap(row["sentence1"], row["sentence2"]), float(row["score"])) for row in pairs])
    alike_in_words, unlike_in_words = table[:, 0] >= 0.5, table[:, 0] <= 0.2
    different, same = table[:, 1] <= 3.6, table[:, 1] >= 4
    assert np.mean(alike_in_words & different) >= 0.1, "few pairs share their words and differ in a fact"
    assert np.mean(unlike_in_words & same) >= 0.1, "few paraphrases share hardly a word"


@pytest.mark.parametrize(("split", "per_label"), [("train", 50), ("dev", 15), ("test", 35)])
def test_emotions_are_balanced(split, per_label):
    assert Counter(row["label"] for row in rows("emotions", split)) == dict.fromkeys(LABEL_WORDS, per_label)


def test_no_emotion_names_itself():
    named = {
        label: re.compile(rf"\b(?:un|en|over|dis|mis)?(?:{stems})", re.IGNORECASE)
        for label, stems in LABEL_WORDS.items()
    }
    situations = [row for split in SPLITS for row in rows("emotions", split)]
    assert [row for row in situations if named[row["label"]].search(row["text"])] == []


# what a picture is called, and what it shows: words that would give it away
EMOJI_WORDS = {
    "😂": "laugh|lol\\b|funny|hilar|tears|giggl|joke",
    "😍": "love|heart|ador|crush",
    "🎉": "party|parties|celebrat|congrat|confetti|hooray|popper",
    "🙏": "thank|grateful|gratitude|pray",
    "💪": "strong|strength|muscle|bicep|flex",
    "🤞": "finger|hope|hoping|luck|pray",
    "😌": "reliev|relief|calm|relax|peace",
    "😮": "surpris|wow|shock|astonish|amaz|gasp|stun",
    "🤔": "think|thought|hm|wonder|ponder|puzzl",
    "😴": "sleep|slept|tired|zz|exhaust|asleep",
    "🙄": "roll|eye|whatever|annoy",
    "😡": "angr|anger|furious|rage|mad\\b|livid|outrag",
    "😱": "scream|scar(?:ed|y)|terrif|afraid|fear|fright|horror",
    "😳": "embarrass|blush|red\\b|asham|mortif|awkward|cring",
    "🤢": "disgust|vomit|naus|sick|gross|yuck|puke|revolt",
    "💔": "heart|broken|sad\\b",
}


def test_emoji_are_balanced_and_no_message_names_its_own():
    for split, per_emoji in (("train", 50), ("dev", 10), ("test", 15)):
        found = rows("emoji", split)
        assert Counter(row["emoji"] for row in found) == dict.fromkeys(EMOJI_WORDS, per_emoji)
        named = [r for r in found if re.search(rf"\b(?:{EMOJI_WORDS[r['emoji']]})", r["message"], re.IGNORECASE)]
        assert named == []
        assert not [row for row in found if any(emoji in row["message"] for emoji in EMOJI_WORDS)]


def test_emotion_maps_cover_the_labels_and_nest():
    groups = json.loads((DATA / "emotions" / "labels.json").read_text(encoding="utf-8"))
    assert groups["labels"] == sorted(LABEL_WORDS)
    for size in (16, 8, 4):
        assert set(groups["maps"][str(size)]) == set(LABEL_WORDS)
        assert len(set(groups["maps"][str(size)].values())) == size
    for fine, coarse in (("16", "8"), ("8", "4")):
        pairs = {(groups["maps"][fine][label], groups["maps"][coarse][label]) for label in LABEL_WORDS}
        assert len(pairs) == int(fine), f"a class of the map to {fine} is torn apart by the map to {coarse}"


def test_hard_label_sets_are_the_papers():
    groups = json.loads((DATA / "emotions" / "labels.json").read_text(encoding="utf-8"))
    assert sorted(sorted(labels) for labels in groups["hard_sets"].values()) == [
        ["afraid", "anxious", "apprehensive", "terrified"],
        ["angry", "ashamed", "furious", "guilty"],
        ["anticipating", "excited", "guilty", "hopeful"],
        ["devastated", "nostalgic", "sad", "sentimental"],
    ]


@pytest.mark.parametrize(("name", "column"), [("stories", "sentences"), ("dialogues", "turns")])
def test_six_in_order(name, column):
    assert {len(row[column]) for split in SPLITS for row in rows(name, split)} == {6}


def test_story_titles_are_distinct():
    titles = [row["title"] for split in SPLITS for row in rows("stories", split)]
    assert len(set(titles)) == len(titles)


def test_twins_name_a_known_change_and_keep_the_words():
    pairs = [row for split in SPLITS for row in rows("twins", split)]
    kinds = Counter(row["change"] for row in pairs)
    assert set(kinds) == {"role", "number", "time", "negation", "place", "quantity", "cause"}
    assert min(kinds.values()) >= 40
    # the trap of this set: the sentence that means something else shares more words than the one that means the same
    kept = [overlap(row["sentence"], row["changed"]) > overlap(row["sentence"], row["paraphrase"]) for row in pairs]
    assert np.mean(kept) >= 0.9
    assert all(7 <= len(words(text)) <= 20 for split in SPLITS for text in texts("twins", split))


def test_questions_are_answered_by_passages_of_their_split_and_topic():
    passages = {row["id"]: row for split in SPLITS for row in rows("passages", split)}
    assert len(passages) == 500
    assert set(Counter(row["topic"] for row in passages.values()).values()) == {5}
    for split in SPLITS:
        here = {row["id"] for row in rows("passages", split)}
        asked = Counter(row["answers"][0] for row in rows("questions", split))
        assert asked == dict.fromkeys(here, 2), "two questions for each passage"
        for row in rows("questions", split):
            assert len(set(row["answers"])) == len(row["answers"]), row
            assert {passages[answer]["topic"] for answer in row["answers"]} == {row["topic"]}, row


def test_the_kind_of_a_question_says_whether_it_shares_a_word_with_its_answer():
    passages = {row["id"]: bag(row["passage"]) for split in SPLITS for row in rows("passages", split)}
    frequency = Counter(word for words_of_one in passages.values() for word in words_of_one)
    for split in SPLITS:
        for row in rows("questions", split):
            shared = [w for w in bag(row["question"]) & passages[row["answers"][0]] if frequency[w] <= 25]
            assert row["kind"] == ("words" if shared else "meaning"), row
