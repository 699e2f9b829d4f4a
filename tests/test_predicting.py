"""The tiny networks see what they may and no more, begin as a bag of words, and read rows that can be taken apart."""

import math
import random

import pytest
import torch

from clt import encoders, predicting, results
from clt.predicting import CLS, MASK, PAD, SEP, UNK

TEXTS = [
    ["The cat sat on the mat.", "It was a warm day.", "The dog slept."],
    ["She reads a book."],
    ["A man plays the guitar.", "People listen to the man."],
]


@pytest.fixture(scope="module")
def tokenizer():
    return encoders.SentenceEncoder.load("clt-mini").tokenizer


@pytest.fixture
def vectors():
    return 0.3 * torch.randn(40, 16, generator=torch.Generator().manual_seed(0))


def awake(net, scale=0.3):
    """With all weights drawn: a network that adds something."""
    torch.manual_seed(1)
    for weight in net.parameters():
        if weight.requires_grad:
            torch.nn.init.normal_(weight, std=scale)
    return net.eval()


IDS = torch.tensor([[CLS, 7, 8, 9, 10, SEP], [CLS, 11, 12, SEP, PAD, PAD]])


@pytest.mark.parametrize(
    "task", ["masked words", "left to right", "LSTM", "replaced tokens", "sentence order", "next sentence", "infilling"]
)
def test_it_begins_as_a_bag_of_words(vectors, task):
    model = predicting.model_for(task, vectors, torch.ones(40)).eval()
    assert torch.allclose(model.net(IDS), vectors[IDS])
    assert torch.allclose(predicting.pooled(model.net(IDS), IDS)[1], vectors[[11, 12]].mean(0))


def test_one_table_of_words_for_all_that_read_or_write_and_it_is_trained(vectors):
    model = predicting.model_for("replaced tokens", vectors, torch.ones(40))
    assert model.generator.table is model.net.table
    assert model.net.table.weight.requires_grad
    assert model.net.table.weight.data_ptr() != vectors.data_ptr(), "the next trial begins where this one did"


@pytest.mark.parametrize("task", ["left to right", "LSTM"])
def test_left_to_right_sees_no_later_word(vectors, task):
    net, other = awake(predicting.model_for(task, vectors, torch.ones(40)).net), IDS.clone()
    other[0, 4] = 30
    before, after = net(IDS)[0], net(other)[0]
    assert torch.allclose(before[:4], after[:4], atol=1e-6)
    assert not torch.allclose(before[4:], after[4:], atol=1e-3)


def test_both_directions_see_all_but_padding(vectors):
    net, other = awake(predicting.Transformer(vectors)), IDS.clone()
    other[0, 4] = 30
    assert not torch.allclose(net(IDS)[0, 1], net(other)[0, 1], atol=1e-3)
    short = net(IDS[1:, :4])[0]
    assert torch.allclose(net(IDS)[1, :4], short, atol=1e-5), "padding changes nothing"


def test_an_lstm_reads_what_stands_before_and_padding_changes_nothing(vectors):
    net, other = awake(predicting.Recurrent(vectors)), IDS.clone()
    other[0, 1] = 30
    assert not torch.allclose(net(IDS)[0, 4], net(other)[0, 4], atol=1e-3)
    assert torch.allclose(net(IDS)[1, :4], net(IDS[1:, :4])[0], atol=1e-5)


def test_a_writer_sees_what_it_has_written_and_all_that_was_read(vectors):
    model = predicting.model_for("infilling", vectors, torch.ones(40))
    net, writer = awake(model.net), awake(model.writer)
    assert writer.table is net.table
    written = IDS[:, :4]
    states = writer(written, net(IDS), IDS)
    later, read = written.clone(), IDS.clone()
    later[0, 3], read[0, 4] = 30, 31
    assert torch.allclose(writer(later, net(IDS), IDS)[0, :3], states[0, :3], atol=1e-5)
    assert not torch.allclose(writer(later, net(IDS), IDS)[0, 3], states[0, 3], atol=1e-3)
    assert not torch.allclose(writer(written, net(read), read)[0, 0], states[0, 0], atol=1e-3)
    short = IDS[1:, :4]
    assert torch.allclose(writer(written[1:], net(short), short), states[1:], atol=1e-5), "padding is not looked at"


def test_a_writer_looks_first_at_the_piece_to_be_written(vectors):
    writer = predicting.model_for("masking", vectors, torch.ones(40)).writer
    assert writer.near[0].argmax(1)[:-1].tolist() == list(range(1, writer.near.shape[1]))
    assert writer.near[1].argmax(1).tolist() == list(range(writer.near.shape[1]))
    assert not writer.near[2:].any()


@pytest.mark.parametrize("task", ["masked words", "LSTM"])
def test_the_logits_begin_with_the_counts(vectors, task):
    counts = torch.arange(40.0)
    model = predicting.model_for(task, 0 * vectors, counts)
    shares = model.net.logits(model.net(IDS))[0, 0].softmax(0)
    assert torch.allclose(shares, (counts + 1) / (counts + 1).sum(), atol=1e-6)


def test_what_each_task_needs(vectors):
    parts = {
        task: {name for name, _ in predicting.model_for(task, vectors, torch.ones(40)).named_children()}
        for task in ("masked words", "LSTM", "sentence order", "next sentence", "replaced, 15 %", *predicting.NOISES)
    }
    two, writes = {"net", "scale", "judge"}, {"net", "writer"}
    assert parts == {
        "masked words": {"net"}, "LSTM": {"net"}, "sentence order": two, "next sentence": two,
        "replaced, 15 %": {"net", "generator", "judge"}, **dict.fromkeys(predicting.NOISES, writes),
    }  # fmt: skip


def test_the_vocabulary_keeps_the_most_frequent_pieces(tokenizer):
    vocabulary = predicting.Vocabulary(tokenizer, ["the cat the dog the cat zebra"], 8)
    assert len(vocabulary) == 8
    assert vocabulary.ids(["the zebra cat [SEP] quark"])[0].count(UNK) >= 1
    assert vocabulary.text(vocabulary.ids(["The cat."])[0]).startswith("the cat")
    assert vocabulary.counts.sum() == len(tokenizer.tokenize("the cat the dog the cat zebra"))


def test_rows_hold_every_piece_once(tokenizer):
    text = predicting.Corpus(TEXTS, tokenizer, pieces=100, most=6)
    assert sum(len(a) + len(b) for a, b in text.rows) == len(text.ids) == text.starts[-1]
    assert all(len(part) <= 6 for row in text.rows for part in row)
    assert [bool(second) for _, second in text.rows] == [True, False, False, True]
    first = text.ids[text.starts[0] : text.starts[1]].tolist()
    assert first == [piece for row in text.rows[:2] for part in row for piece in part]
    assert len(text.starts) == len(TEXTS) + 1


def test_pairs_are_all_neighbours(tokenizer):
    text = predicting.Corpus(TEXTS, tokenizer, pieces=100)
    (a, b), (c, _), (d, e) = text.rows[0], text.rows[1], text.rows[3]
    assert text.pairs == [(a, b), (b, c), (d, e)]


def test_batches_and_pairs(tokenizer):
    text = predicting.Corpus(TEXTS, tokenizer, pieces=100, most=8)
    generator = torch.Generator().manual_seed(0)
    ids = text.batch(16, generator)
    assert (ids[:, 0] == CLS).all()
    assert {(row != PAD).sum().item() for row in ids} <= {len(predicting.joined(*row)) for row in text.rows}
    known = {(tuple(predicting.joined(a)), tuple(predicting.joined(b))) for a, b in text.pairs}
    first, second, wrong = text.two_sentences(64, generator)
    assert 15 < wrong.sum() < 50
    for a, b, bad in zip(first.tolist(), second.tolist(), wrong.tolist(), strict=True):
        a, b = (tuple(i for i in row if i != PAD) for row in (a, b))
        assert ((b, a) if bad else (a, b)) in known


def test_a_wrong_next_sentence_is_from_another_document(tokenizer):
    text = predicting.Corpus(TEXTS, tokenizer, pieces=100, most=8)
    assert text.document == [0, 0, 2]
    home = {tuple(predicting.joined(b)): document for (_, b), document in zip(text.pairs, text.document, strict=True)}
    from_ = {tuple(predicting.joined(a)): document for (a, _), document in zip(text.pairs, text.document, strict=True)}
    known = {(tuple(predicting.joined(a)), tuple(predicting.joined(b))) for a, b in text.pairs}
    first, second, wrong = text.next_or_not(200, torch.Generator().manual_seed(0))
    assert 20 < wrong.sum() < 120, "a partner from the same document is no wrong one"
    for a, b, bad in zip(first.tolist(), second.tolist(), wrong.tolist(), strict=True):
        a, b = (tuple(i for i in row if i != PAD) for row in (a, b))
        assert home[b] != from_[a] if bad else (a, b) in known


@pytest.mark.parametrize("noise", predicting.NOISES)
def test_harmed_rows_are_what_the_noise_leaves(tokenizer, noise):
    text = predicting.Corpus(TEXTS, tokenizer, pieces=100, most=8)

    def infill(row, spans, mask):
        for start, length in reversed(spans):
            row = [*row[:start], mask, *row[start + length :]]
        return row

    ids, read = text.harmed(32, noise, infill, torch.Generator().manual_seed(0))
    same, again = (text.harmed(32, noise, infill, torch.Generator().manual_seed(seed))[1] for seed in (0, 1))
    assert torch.equal(read, same)
    assert not torch.equal(read, again) or noise == "permutation"
    assert {tuple(i for i in row if i != PAD) for row in ids.tolist()} <= {
        tuple(predicting.joined(*row)) for row in text.rows
    }
    assert (read[:, 0] == CLS).all()
    for whole, left in zip(ids.tolist(), read.tolist(), strict=True):
        whole, left = ([i for i in row if i != PAD] for row in (whole, left))
        if noise in ("permutation", "rotation"):
            assert sorted(whole) == sorted(left)
        assert (len(left) == len(whole)) or noise in ("deletion", "infilling")
        assert (MASK in left) == (noise in ("masking", "infilling") and len(whole) > 3)
    assert not torch.equal(read, ids)


def test_one_piece_can_be_damaged():
    found = predicting.noises([9], lambda row, spans, mask: [mask], random.Random(0), MASK)
    assert found["rotation"] == found["shuffling words"] == [9]


def test_what_reading_saves():
    ids = torch.tensor([[5, 6], [7, 8]])
    draw = lambda generator: (ids, ids)
    loss = lambda model, batch: (batch[0] != batch[1]).float().mean()
    assert predicting.reading_saves(None, draw, loss) == {"loss, own text": 0.0, "loss, another text": 1.0}


def test_the_budget_is_counted_in_pieces(tokenizer):
    text = predicting.Corpus(TEXTS, tokenizer, pieces=100, most=8)
    for two in (False, True):
        rows = text.pairs if two else text.rows
        read = text.steps(100_000, 8, two=two) * 8 * sum(len(a) + len(b) for a, b in rows) / len(rows)
        assert read == pytest.approx(100_000, rel=0.01)


@pytest.mark.parametrize("length", [1, 2, 3, 10, 60])
def test_spans_lie_apart_and_hide_a_third(length):
    rng, hidden = random.Random(0), 0
    for _ in range(300):
        spans = predicting.poisson_spans(length, rng)
        end = -1
        for start, size in spans:
            assert start > end, "a piece stays between two spans"
            end = start + size
            assert end <= length
        hidden += sum(size for _, size in spans)
        assert sum(size for _, size in spans) <= math.ceil(0.3 * length)
    assert hidden / 300 >= 0.25 * length


def test_a_reader_gives_what_other_encoders_give(tokenizer, vectors):
    vocabulary = predicting.Vocabulary(tokenizer, [s for text in TEXTS for s in text], 40)
    table = torch.randn(len(vocabulary), 16)
    reader = predicting.Reader(awake(predicting.Transformer(table)), vocabulary).train()
    sentences = [s for text in TEXTS for s in text]
    together = reader.encode(sentences)
    assert together.shape == (6, 16)
    assert reader.training
    alone = torch.cat([reader.encode([s]) for s in sentences])
    assert torch.allclose(together, alone, atol=1e-4), "neither padding nor order matters"


def test_generate_writes_on_without_special_pieces(vectors):
    net = predicting.Transformer(vectors, causal=True)
    one, same, other = (predicting.generate(net, [CLS, 9], 12, seed=seed) for seed in (0, 0, 1))
    assert one == same != other
    assert one[:2] == [CLS, 9]
    assert not {PAD, UNK, MASK} & set(one[1:])
    assert len(one) <= 12


def test_a_perfect_and_an_ignorant_discriminator(tokenizer):
    text = predicting.Corpus(TEXTS, tokenizer, pieces=100)
    draw = lambda generator: (text.batch(4, generator),)

    def judged(batch, knows=True):
        fake = torch.where((torch.arange(batch[0].shape[1]) == 2) & (batch[0] > MASK), UNK, batch[0])
        return None, fake, (fake != batch[0]).float() if knows else torch.zeros(fake.shape)

    assert predicting.fakes_found(text, draw, judged)["AUC"] == 100
    assert predicting.fakes_found(text, draw, lambda batch: judged(batch, knows=False))["AUC"] == 50


def test_gaps_are_paired():
    entry = lambda values: {"values": values, "mean": sum(values) / len(values), "setting": {}}
    found = {"a.x": entry([3.0, 3.1, 2.9]), "base.x": entry([1.0]), "b.x": entry([0.0, 2.0, 1.0]), "b.y": entry([2.0])}
    means, gaps = predicting.gaps(results.Record("l", found), ["a", "b", "base"], ["x", "y"], "base")
    assert means == {"a": {"x": 3.0}, "b": {"x": 1.0, "y": 2.0}, "base": {"x": 1.0}}
    assert set(gaps) == {"a", "b"}
    assert gaps["a"]["x"].mean == pytest.approx(2.0)
    assert set(gaps["b"]) == {"x"}, "the rival has no y"


def test_probes_do_not_share_texts():
    for name, (texts, y, asked, goal) in predicting.probes("own").items():  # a sentence may be in two pairs
        assert len(texts) == len(y) > len(set(y))
        assert len(asked) == len(goal)
        assert not set(texts) & set(asked), name


def test_pairs_that_belong_together_and_pairs_that_do_not():
    texts = [[f"{k}{letter}" for letter in "abcdef"] for k in range(40)]
    pairs = predicting.measures._belonging(texts)
    assert len(pairs) == 120
    assert 40 < sum(wrong for _, wrong in pairs) < 80
    for (a, b), wrong in pairs:
        assert (a[:-1] != b[:-1]) == wrong
        assert wrong or ord(b[-1]) == ord(a[-1]) + 1


def test_rows_that_need_no_training(tokenizer, monkeypatch):
    text = predicting.Corpus(TEXTS, tokenizer, pieces=100)
    monkeypatch.setattr(predicting.measures, "measure", lambda model, source: {"x": 1.0})
    monkeypatch.setattr(predicting.measures, "chance", lambda source: {"x": 0.5})
    after = lambda model, seed, rate: {"STS, then SimCSE": rate + seed}
    monkeypatch.setattr(predicting.measures, "after_simcse", after)
    found = predicting.untrained(text, torch.randn(len(text.vocabulary), 16), torch.nn.Linear(2, 2), [0, 1])
    assert found == {
        "tf-idf.x": 1.0, "untrained.x": 1.0, "clt-mini.x": 1.0, "chance.x": 0.5,
        "untrained.STS, then SimCSE": [1e-3, 1.001], "clt-mini.STS, then SimCSE": [1e-4],
    }  # fmt: skip


def test_shuffled_words_are_the_same_words_and_the_mark_stays_at_the_end():
    rng = random.Random(0)
    for text in ("a b c d", "a b", "one", "Go on!"):
        assert sorted(predicting.measures.shuffle_words(text, rng).rstrip("!").split()) == sorted(
            text.rstrip("!").split()
        )
    assert predicting.measures.shuffle_words("a b c d e.", rng)[-1] == "."


def test_damaged_texts_hide_a_third_or_keep_every_word():
    text = " ".join("abcdefghijklmnopqrstuvwxyz")

    def infill(row, spans, mask):
        for start, length in reversed(spans):
            row = [*row[:start], mask, *row[start + length :]]
        return row

    found = {noise: texts[0].split() for noise, texts in predicting.damaged([text], infill, seed=1).items()}
    kept = {noise: [word for word in row if word != "[MASK]"] for noise, row in found.items()}
    assert {noise: len(row) for noise, row in kept.items()} == {
        "masking": 18, "deletion": 18, "infilling": 18, "shuffling words": 26, "rotation": 26,
    }  # fmt: skip
    assert kept["masking"] == kept["deletion"] == found["deletion"]
    assert len(found["masking"]) == 26 > len(found["infilling"]) > 18
    assert found["rotation"] != sorted(found["rotation"])
    assert sorted(found["shuffling words"]) == sorted(found["rotation"]) == text.split()


def test_chance_is_the_most_frequent_answer(monkeypatch):
    monkeypatch.setattr(predicting.measures, "probes", lambda source: {"x": ([], [], [], [1, 1, 2, 0])})
    assert predicting.chance("own") == {"x": 50}


def test_clt_mini_fills_a_hole(tokenizer):
    filler = predicting.word_filler()
    batch = tokenizer("The river flows into the [MASK].", return_tensors="pt")
    with torch.no_grad():
        scores = filler(**batch).logits[batch["input_ids"] == MASK][0]
    guesses = tokenizer.convert_ids_to_tokens(scores.topk(10).indices.tolist())
    assert {"sea", "lake", "water", "ocean"} & set(guesses)


def test_simcse_changes_the_reader_and_scores_it(tokenizer):
    vocabulary = predicting.Vocabulary(tokenizer, [s for text in TEXTS for s in text], 60)
    reader = predicting.Reader(predicting.Transformer(torch.randn(len(vocabulary), 16)), vocabulary)
    before = reader.encode(["A man."])
    found = predicting.after_simcse(reader, seed=0)
    assert list(found) == ["STS, then SimCSE"]
    assert not torch.allclose(before, reader.encode(["A man."]))
