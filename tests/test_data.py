import csv
import gzip
import hashlib
import json
import os
import sys
import types
from pathlib import Path

import pytest
import torch
from datasets import ClassLabel, Dataset, Features, Sequence, Value

from clt import data

CUT_GZIP = gzip.compress(b'{"id": "1", "title": "", "text": ""}\n' * 99, mtime=0)[:40]
PUBLIC_HERE = os.environ.get("CLT_DATA")


@pytest.fixture
def public(tmp_path, monkeypatch):
    monkeypatch.setenv("CLT_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture
def hub(monkeypatch):
    """A hub that answers from a dictionary and notes what it was asked for."""
    import datasets

    answers, asked = {}, []

    def load_dataset(name, config=None, *, split, revision=None, data_files=None):
        asked.append((name, config, split, revision, data_files))
        if name not in answers:
            raise ConnectionError(f"Couldn't reach {name!r} on the Hub")
        return answers[name]

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    monkeypatch.delenv("CLT_DATA", raising=False)
    return types.SimpleNamespace(answers=answers, asked=asked)


def test_load_reads_an_embedded_set(embedded):
    rows = data.load("sts", "dev")
    assert rows.column_names == ["sentence1", "sentence2", "score", "topic"]
    assert rows[0] == {"sentence1": "One, dev.", "sentence2": "Two.", "score": 3.5, "topic": "cats"}
    assert rows[1]["sentence2"] == 'Said "four".'
    everything = data.load("sts")
    assert {split: len(part) for split, part in everything.items()} == {"train": 2, "dev": 2, "test": 2}
    assert data.load("stories", "test")[0]["sentences"][5] == "Sentence 5."
    assert data.verify() == []


def test_a_changed_file_is_refused_and_named(embedded):
    with open(embedded / "sts" / "dev.csv", "a") as f:
        f.write("One more.,Row.,1,cats\n")
    with pytest.raises(ValueError, match=r"sts/dev\.csv does not match its checksum"):
        data.load("sts", "dev")
    assert len(data.load("sts", "train")) == 2, "the others still load"
    assert data.verify() == ["sts/dev.csv is not what it was when the course was released"]


def test_a_missing_file_is_named(embedded):
    (embedded / "sts" / "dev.csv").unlink()
    with pytest.raises(ValueError, match=r"sts/dev\.csv is missing"):
        data.load("sts", "dev")
    assert data.verify() == ["sts/dev.csv is missing"]
    (embedded / "checksums.sha256").unlink()
    assert len(data.verify()) == 1
    with pytest.raises(FileNotFoundError, match="restore it with git"):
        data.load("sts", "train")


def test_an_unknown_name_or_split_says_what_there_is():
    with pytest.raises(ValueError, match="did you mean 'STS-B'"):
        data.load("STSB")
    with pytest.raises(ValueError, match="it has train, dev, test"):
        data.load("sts", "validation")


def test_a_public_set_from_the_folder(public):
    (public / "STS-B").mkdir()
    (public / "STS-B" / "dev.csv").write_text("genre,sentence1,sentence2,score\nnews,A.,B.,2.4\n")
    assert data.load("STS-B", "dev").to_list() == [{"sentence1": "A.", "sentence2": "B.", "score": 2.4}]


def test_other_names_of_columns_and_compressed_files(public):
    (public / "SST-5").mkdir()
    (public / "SST-5" / "dev.csv").write_text("text,label,label_name\nGood.,3,positive\n")
    assert data.load("SST-5", "dev").to_list() == [{"text": "Good.", "label": "positive"}]
    (public / "SciFact").mkdir()
    with gzip.open(public / "SciFact" / "corpus.jsonl.gz", "wt") as f:
        f.write('{"id": "7", "title": "T", "text": "X"}\n')
    assert data.load("SciFact", "corpus").to_list() == [{"id": "7", "title": "T", "text": "X"}]


@pytest.mark.parametrize(
    ("name", "file", "content", "row"),
    [
        ("STS-B", "STS-B/dev.csv", "sentence1,sentence2,score\nA.,B.,1\n",
         {"sentence1": "A.", "sentence2": "B.", "score": 1.0}),
        ("STS-B", "STS-B/dev.csv", '"sentence1","sentence2","score"\n"A\nB",B.,1\n',
         {"sentence1": "A\nB", "sentence2": "B.", "score": 1.0}),
        ("Wikipedia-sentences", "Wikipedia-2014/sentences_valid_10k.txt", "A cat.\n", {"text": "A cat."}),
        ("SciFact-queries", "SciFact/queries_test.jsonl", '{"id": "1", "text": "A"}\n\n', {"id": "1", "text": "A"}),
        ("SciFact", "SciFact/corpus.jsonl.gz", '{"id": "1", "title": "T", "text": "A"}\n',
         {"id": "1", "title": "T", "text": "A"}),
    ],
)  # fmt: skip
def test_a_byte_order_mark_is_no_part_of_the_text(public, name, file, content, row):
    path = public / file
    path.parent.mkdir()
    content = content.encode("utf-8-sig")
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    entry = data.CATALOGUE[name]
    split = next(split for split, where in entry.files.items() if where == file)
    assert data.load(name, split).to_list() == [row]


@pytest.mark.parametrize(
    ("name", "file", "content"),
    [
        ("STS-B", "STS-B/dev.csv", b""),
        ("STS-B", "STS-B/dev.csv", b"sentence1,sentence2,score\n"),
        ("STS-B", "STS-B/dev.csv", b"\xef\xbb\xbf"),
        ("SciFact-queries", "SciFact/queries_test.jsonl", b"\n"),
        ("SciFact", "SciFact/corpus.jsonl.gz", gzip.compress(b"", mtime=0)),
        ("Wikipedia-sentences", "Wikipedia-2014/sentences_valid_10k.txt", b"\n \n"),
    ],
)
def test_a_file_without_rows_is_named(public, name, file, content):
    path = public / file
    path.parent.mkdir()
    path.write_bytes(content)
    split = next(split for split, where in data.CATALOGUE[name].files.items() if where == file)
    with pytest.raises(ValueError, match=f"{path.name} holds no rows"):
        data.load(name, split)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 253\n"


@pytest.mark.parametrize(
    ("name", "file", "content", "message"),
    [
        ("STS-B", "STS-B/dev.csv", b"sentence1,sentence2,score\nA.,B.,1\nA.,B.,nan\n", "row 2: expected .* got nan"),
        ("STS-B", "STS-B/dev.csv", b"sentence1,sentence2,score\nA.,B.,inf\n", "row 1: expected a number, got inf"),
        ("STS-B", "STS-B/dev.csv", POINTER, "git-lfs pointer"),
        ("SciFact-queries", "SciFact/queries_test.jsonl", POINTER, "git-lfs pointer"),
        ("SciFact-queries", "SciFact/queries_test.jsonl", b'{"id": "1", "text": null}', "expected text, got None"),
        ("SciFact-queries", "SciFact/queries_test.jsonl", b'{"id": 1, "text": "A"}', "expected text, got 1"),
        ("SciFact-queries", "SciFact/queries_test.jsonl", b"[1]", "damaged near row 1"),
        ("STS-B", "STS-B/dev.csv", b"sentence1,score\nA.,1\n", "no column 'sentence2'"),
        ("STS-B", "STS-B/dev.csv", b"sentence1,sentence2,score\nA.,B.,1\nA.,B.\n", "damaged near row 2: expected 3"),
        ("STS-B", "STS-B/dev.csv", b"sentence1,sentence2,score\nA.,B.,high\n", "damaged near row 1"),
        ("STS-B", "STS-B/dev.csv", b"sentence1,sentence2,score\n\xff\xfe,B.,1\n", "damaged"),
        ("STS-B", "STS-B/dev.csv", b'sentence1,sentence2,score\n"A.,B.,1\n', "damaged"),
        ("SciFact-queries", "SciFact/queries_test.jsonl", b'{"id": "1", "te', "damaged near row 1"),
        ("SciFact", "SciFact/corpus.jsonl.gz", CUT_GZIP, "damaged"),
        ("SciFact", "SciFact/corpus.jsonl.gz", b"not gzip", "damaged"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_named(public, name, file, content, message):
    path = public / file
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        data.load(name, Path(file).name.split(".")[0].removeprefix("queries_"))
    assert path.name in str(error.value)


def test_the_hub_is_asked_with_pinned_revision_and_its_own_names(hub):
    hub.answers["mteb/stsbenchmark-sts"] = Dataset.from_dict(
        {"split": ["x"], "sentence1": ["A."], "sentence2": ["B."], "score": [1.0]}
    )
    assert data.load("STS-B", "dev").to_list() == [{"sentence1": "A.", "sentence2": "B.", "score": 1.0}]
    assert hub.asked == [
        ("mteb/stsbenchmark-sts", None, "validation", "b0fddb56ed78048fa8b90373c8a3cfc37b684831", None)
    ]


@pytest.mark.parametrize(("score", "message"), [(float("nan"), "1 of its scores are no numbers"), (None, "no numbers")])
def test_hub_scores_are_numbers(hub, score, message):
    rows = {"sentence1": ["A.", "C."], "sentence2": ["B.", "D."], "score": [1.0, score]}
    hub.answers["mteb/stsbenchmark-sts"] = Dataset.from_dict(rows)
    with pytest.raises(ValueError, match=message):
        data.load("STS-B", "dev")


def test_a_hub_set_without_rows_is_not_passed_on(hub):
    hub.answers["mteb/stsbenchmark-sts"] = Dataset.from_dict({"sentence1": [], "sentence2": [], "score": []})
    with pytest.raises(ValueError, match="mteb/stsbenchmark-sts has changed: it holds no rows"):
        data.load("STS-B", "dev")


def test_hub_labels_become_names_and_unlabelled_rows_go(hub):
    hub.answers["stanfordnlp/snli"] = Dataset.from_dict(
        {"premise": ["A", "B", "C"], "hypothesis": ["a", "b", "c"], "label": [2, -1, 0]}
    )
    rows = data.load("SNLI", "test")
    assert rows["label"] == ["contradiction", "entailment"]
    assert rows.column_names == ["premise", "hypothesis", "label"]


def test_hub_rows_with_several_labels(hub):
    features = Features({"text": Value("string"), "labels": Sequence(ClassLabel(names=["joy", "fear"]))})
    hub.answers["google-research-datasets/go_emotions"] = Dataset.from_dict(
        {"text": ["A", "B"], "labels": [[0, 1], [1]]}, features=features
    )
    assert data.load("GoEmotions", "dev")["labels"] == ["joy|fear", "fear"]
    assert hub.asked[0][1:3] == ("simplified", "validation")


def test_hub_columns_of_the_same_name_are_renamed_not_confused(hub):
    hub.answers["facebook/empathetic_dialogues"] = Dataset.from_dict(
        {"context": ["sad"], "prompt": ["It rained."], "utterance": ["Oh."]}
    )
    assert data.load("EmpatheticDialogues", "train").to_list() == [{"text": "It rained.", "label": "sad"}]


def test_single_files_of_a_hub_repository(hub):
    hub.answers["csv"] = Dataset.from_dict({"sent0": ["A"], "sent1": ["B"], "hard_neg": ["C"]})
    assert data.load("NLI-triplets", "train").to_list() == [{"anchor": "A", "positive": "B", "hard_negative": "C"}]
    assert hub.asked[0][4] == {"train": "hf://datasets/princeton-nlp/datasets-for-simcse/nli_for_simcse.csv"}
    with pytest.raises(FileNotFoundError, match="no split 'test'"):
        data.load("NLI-triplets", "test")


def test_a_hub_set_that_changed_is_not_passed_on(hub):
    hub.answers["mteb/sts13-sts"] = Dataset.from_dict({"left": ["A"], "right": ["B"]})
    with pytest.raises(ValueError, match="has changed: it lacks sentence1"):
        data.load("STS13", "test")


def test_what_cannot_be_had_says_where_it_was_looked_for(hub, public):
    with pytest.raises(FileNotFoundError) as error:
        data.load("STS13", "test")
    for part in ("STS13/test.csv", "CLT_DATA", "mteb/sts13-sts", "Couldn't reach"):
        assert part in str(error.value)
    with pytest.raises(FileNotFoundError, match="from its authors"):
        data.load("ISEAR", "train")


def test_public_status_names_every_public_set(public):
    (public / "SICK-R").mkdir()
    (public / "SICK-R" / "test.csv").touch()
    status = dict(data.public_status())
    assert set(status) == {entry.name for entry in data.CATALOGUE.values() if not entry.embedded}
    assert status["SICK-R"] == "in CLT_DATA"
    assert "mteb/sts12-sts" in status["STS12"]


def test_every_entry_is_complete():
    for entry in data.CATALOGUE.values():
        assert all((entry.columns, entry.files, entry.licence, entry.citation, entry.about)), entry.name
        assert set(entry.hub_splits) <= set(entry.files), entry.name
        assert not entry.embedded or not entry.hub, entry.name


def test_sentences_are_those_of_training_each_once(embedded):
    with open(embedded / "sts" / "train.csv", "a", encoding="utf-8") as f:
        f.write("Two.,Sentence 3.,1,cats\n")
    data.write_checksums()
    from_sts = ["One, train.", "Three.", "Two.", 'Said "four".', "Sentence 3."]
    from_stories = [f"Sentence {i}." for i in range(6)]
    assert data.sentences("sts") == from_sts
    assert data.sentences("stories") == from_stories
    assert data.sentences("sts", "stories") == from_sts + [s for s in from_stories if s != "Sentence 3."]
    for unknown in ("STS-B", "emotion"):
        with pytest.raises(ValueError, match=rf"no embedded set '{unknown}'; there are sts, nli"):
            data.sentences("sts", unknown)


def test_sentences_leave_out_labels_topics_and_what_is_held_out(root):
    """Against the files themselves, read without the package."""
    expected = set()
    for path in root.glob("data/*/train.*"):
        if path.parent.name in ("passages", "questions", "emoji", "chinese", "translations"):
            continue
        with path.open(encoding="utf-8", newline="") as f:
            for row in csv.DictReader(f) if path.suffix == ".csv" else map(json.loads, f):
                for column in set(row) - {"score", "topic", "label", "title", "change", "kind"}:
                    expected |= set(row[column] if isinstance(row[column], list) else [row[column]])
    found = data.sentences()
    assert set(found) == expected
    assert len(found) == len(expected)


def test_batches_keep_rows_together_and_draw_every_row():
    letters, numbers = "abcdefg", list(range(7))
    sample = data.batches(letters, numbers, size=3)
    generator, seen = torch.Generator().manual_seed(0), set()
    for _ in range(60):
        left, right = sample(generator)
        assert [letters[n] for n in right] == left
        assert len(set(right)) == 3
        seen |= {tuple(right)}
    assert {n for chosen in seen for n in chosen} == set(numbers)
    assert len(seen) > 40, "60 draws from 210 arrangements"
    assert sorted(data.batches(numbers, size=7)(generator)[0]) == numbers


@pytest.mark.parametrize(
    "sample", [data.batches(list("abcdefghij"), size=4), data.batches_alike(list("abcdefghij"), size=4)]
)
def test_batches_come_from_the_generator_alone(sample):
    before = torch.get_rng_state()
    draws = [[sample(generator) for _ in range(9)] for generator in (torch.Generator().manual_seed(5) for _ in "12")]
    assert draws[0] == draws[1]
    assert any(draw != draws[0][0] for draw in draws[0])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("columns", "size"), [((), 1), (("ab", "abc"), 1), (("ab", "cd"), 3), (("ab",), 0), (("", ""), 1)]
)
def test_batches_of_unequal_columns_or_too_few_rows_are_refused(columns, size):
    with pytest.raises(ValueError, match=r"expected columns of one length, of at least .* rows"):
        data.batches(*columns, size=size)


def test_batches_of_two_columns_keep_rows_together():
    columns = [[f"{name}{i}" for i in range(9)] for name in "abcd"]
    sample, generator = data.batches_of_two(*columns, size=4), torch.Generator().manual_seed(0)
    drawn = [sample(generator) for _ in range(60)]
    for one, other in drawn:
        assert [text[1] for text in one] == [text[1] for text in other]
        assert len(set(one)) == 4
        assert len({text[0] for text in one}) == len({text[0] for text in other}) == 1
    assert len({(one[0][0], other[0][0]) for one, other in drawn}) == 12, "every ordered pair of columns"
    sample = data.batches_of_two(*columns, size=4, hub=1)
    assert {(one[0][0], other[0][0]) for one, other in (sample(generator) for _ in range(40))} == {
        ("b", "a"), ("b", "c"), ("b", "d")}  # fmt: skip
    for wrong in (lambda: data.batches_of_two(columns[0], size=4), lambda: data.batches_of_two(*columns, size=4, hub=4),
                  lambda: data.batches_of_two(*columns, size=10)):  # fmt: skip
        with pytest.raises(ValueError, match="expected"):
            wrong()


def test_batches_alike_are_stretches_of_the_sentences_by_length():
    sentences = ["d d d", "b b", "a", "f f f f", "c c", "e e e"]
    ordered = ["a", "b b", "c c", "d d d", "e e e", "f f f f"]  # ties as given
    sample, generator = data.batches_alike(sentences, size=3), torch.Generator().manual_seed(0)
    drawn = {tuple(sample(generator)) for _ in range(80)}
    assert drawn == {tuple(ordered[i : i + 3]) for i in range(4)}
    assert sentences[0] == "d d d", "the caller's list stays as it was"
    assert data.batches_alike(sentences, size=6)(generator) == ordered
    for size in (0, 7):
        with pytest.raises(ValueError, match=rf"expected at least {size} sentences, got 6"):
            data.batches_alike(sentences, size=size)


def test_digest_is_that_of_the_file(embedded, public):
    assert data.digest("sts/dev") == hashlib.sha256((embedded / "sts" / "dev.csv").read_bytes()).hexdigest()
    assert data.digest("STS-B/dev") is None, "not here"
    (public / "STS-B").mkdir()
    (public / "STS-B" / "dev.csv").write_bytes(b"sentence1,sentence2,score\n")
    assert data.digest("STS-B/dev") == hashlib.sha256(b"sentence1,sentence2,score\n").hexdigest()
    assert [data.digest(part) for part in ("sts/validation", "sts", "nothing/train", "clt-mini")] == [None] * 4


def test_digest_of_the_encoder_is_that_of_its_weights(root):
    weights = (root / "data" / "clt-mini" / "model.safetensors").read_bytes()
    assert data.digest("clt-mini") == hashlib.sha256(weights).hexdigest()


def test_what_is_loaded_is_noted_while_a_record_is_made(embedded, tmp_path, monkeypatch):
    monkeypatch.delenv("CLT_RECORD_LOADED", raising=False)
    data.load("sts", "dev")
    place = tmp_path / "loaded.jsonl"
    monkeypatch.setenv("CLT_RECORD_LOADED", str(place))
    data.load("stories", "test")
    data.load("sts")
    data.note("something else")
    noted = [json.loads(line) for line in place.read_text(encoding="utf-8").splitlines()]
    loaded = ["stories/test", "sts/train", "sts/dev", "sts/test"]
    assert noted == [[part, data.digest(part)] for part in loaded] + [["something else", None]]
    assert all(digest for _, digest in noted[:4])


def test_every_embedded_set_loads_and_is_intact():
    assert data.verify() == []
    for entry in data.CATALOGUE.values():
        if entry.embedded:
            for split, rows in data.load(entry.name).items():
                assert rows.column_names == list(entry.columns), (entry.name, split)
                assert len(rows) > 0


@pytest.mark.skipif(not PUBLIC_HERE, reason="CLT_DATA is not set")
def test_public_sets_that_are_here_load():
    loaded = 0
    for entry in data.CATALOGUE.values():
        for split, file in {} if entry.embedded else entry.files.items():
            if Path(PUBLIC_HERE, file).is_file() and Path(PUBLIC_HERE, file).stat().st_size < 20e6:
                rows = data.load(entry.name, split)
                assert rows.column_names == list(entry.columns)
                assert len(rows) > 100
                loaded += 1
    assert loaded > 0


def test_the_module_writes_checksums(embedded, monkeypatch, capsys):
    import runpy

    (embedded / "checksums.sha256").unlink()
    monkeypatch.delitem(sys.modules, "clt.data.__main__", raising=False)
    runpy.run_module("clt.data", run_name="__main__")
    assert "checksums.sha256" in capsys.readouterr().out
    assert data.verify() == []


def test_batches_in_order_hold_whole_texts():
    texts = [["a1", "a2", "a3"], ["b1"], ["c1", "c2"], ["d1", "d2"]]
    sample, seen = data.batches_in_order(texts, size=3), set()
    for seed in range(30):
        sentences, numbers = sample(torch.Generator().manual_seed(seed))
        cut = [[s for s, k in zip(sentences, numbers.tolist(), strict=True) if k == i] for i in range(3)]
        assert all(part in texts for part in cut), "each text is whole and in its order"
        assert [s for part in cut for s in part] == sentences
        assert len({part[0] for part in cut}) == 3, "no text twice"
        seen.add(tuple(sentences))
    assert len(seen) > 10
    for wrong, size in ((texts, 5), (texts, 0), ([["a"], []], 1)):
        with pytest.raises(ValueError, match="none of them empty"):
            data.batches_in_order(wrong, size=size)


def test_batches_by_label_hold_so_many_rows_of_so_many_labels():
    labels = ["b", "a", "c"] * 6 + ["d"]  # one label has fewer rows than are asked for
    sample = data.batches_by_label(labels, classes=3, per_class=4)
    seen = set()
    for seed in range(40):
        rows = sample(torch.Generator().manual_seed(seed)).tolist()
        drawn = [labels[row] for row in rows]
        assert len(set(rows)) == len(rows), "no row twice"
        assert len(set(drawn)) == 3
        assert all(drawn.count(label) == (1 if label == "d" else 4) for label in set(drawn))
        seen.update(rows)
    assert seen == set(range(19)), "every row has its turn"
    again = [sample(torch.Generator().manual_seed(3)).tolist() for _ in range(2)]
    assert again[0] == again[1]


@pytest.mark.parametrize(("classes", "per_class"), [(0, 1), (4, 1), (2, 0)])
def test_batches_by_label_refuses_what_cannot_be(classes, per_class):
    with pytest.raises(ValueError, match="classes"):
        data.batches_by_label([0, 1, 2], classes=classes, per_class=per_class)
