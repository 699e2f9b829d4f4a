"""Pretraining on a few hundred short sentences: each step against something slow, then the command itself."""

import gzip
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel, AutoModelForMaskedLM, AutoTokenizer

from clt import pretraining
from clt.pretraining import batch_at, batch_plan, learning_rate, main, mask_words, masked_loss, save_model
from clt.pretraining.corpus import (
    CLS,
    MASK,
    SEP,
    cooccurrences,
    encode,
    log_frequencies,
    pack,
    ppmi,
    read_texts,
    svd_embeddings,
    train_tokenizer,
)

ANIMALS, ACTS, PLACES = "cat dog horse bird", "sleeps runs waits sings", "garden kitchen meadow street"
SENTENCES = [
    f"The {animal} {act} in the {place} because the {other} {deed} in the {where}."
    for animal in ANIMALS.split()
    for act in ACTS.split()
    for place in PLACES.split()
    for other, deed, where in (("fox", "hides", "barn"), ("crow", "shouts", "tree"), ("mouse", "nibbles", "cellar"))
]
TINY = ["--vocabulary=300", "--layers=1", "--width=64", "--batch=256", "--device=cpu", "--save-every=4"]


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("\n".join(SENTENCES), encoding="utf-8")
    return path


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(SENTENCES, 300)


def arguments(text, output, *more):
    return ["--text", str(text), "--held-out", str(text), "--output", str(output), *TINY, *more]


def pretrain(*args):
    return CliRunner().invoke(main, arguments(*args))


# ---- text and pieces


def test_every_kind_of_file_gives_its_paragraphs(tmp_path):
    rows = [{"title": "t", "paragraphs": ["One.", "Two."]}, {"sentences": ["Three."]}, {"text": "Four."}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with gzip.open(tmp_path / "b.txt.gz", "wt") as file:
        file.write("Five.\nSix.\n")
    assert list(read_texts(str(tmp_path / "a.jsonl"))) == ["One.", "Two.", "Three.", "Four."]
    assert [line.strip() for line in read_texts(str(tmp_path / "b.txt.gz"))] == ["Five.", "Six."]
    assert list(read_texts(str(tmp_path / "a.jsonl"), limit=1)) == ["One.", "Two."]


@pytest.mark.parametrize(
    ("name", "content"), [("a.jsonl", '{"text": "One."}'), ("a.txt", "One."), ("a.txt.gz", "One.")]
)
def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path, name, content):
    content = content.encode("utf-8-sig")
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert list(read_texts(str(tmp_path / name))) == ["One."]


def test_wikipedia_comes_from_the_hub(monkeypatch):
    import datasets

    def fake(name, config, *, split, streaming):
        assert (name, split, streaming) == ("wikimedia/wikipedia", "train", True)
        return iter([{"text": "A cat.\nA dog."}, {"text": "never read"}])

    monkeypatch.setattr(datasets, "load_dataset", fake)
    assert list(read_texts("wikipedia", limit=1)) == ["A cat.", "A dog."]


@pytest.mark.parametrize("line", ["not json", '{"title": "no text"}', "7"])
def test_a_bad_json_line_is_named(tmp_path, line):
    (tmp_path / "bad.jsonl").write_text('{"text": "Good."}\n' + line)
    with pytest.raises(Exception, match=r"bad.jsonl, line 2: expected a JSON object"):
        list(read_texts(str(tmp_path / "bad.jsonl")))


def test_special_pieces_have_berts_order(tokenizer):
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert tokenizer.convert_tokens_to_ids(names) == [0, 1, 2, 3, 4]
    assert tokenizer("The CAT")["input_ids"] == tokenizer("the cat")["input_ids"]


def test_runs_hold_whole_sentences_while_they_fit():
    sentences = [[10] * 3, [11] * 4, [12] * 5, [13] * 20]
    runs = list(pack(sentences, 10))
    assert runs == [[CLS, *[10] * 3, *[11] * 4, SEP], [CLS, *[12] * 5, SEP], [CLS, *[13] * 8, SEP]]


def test_encoding_loses_no_piece(tokenizer):
    pieces, starts = encode([" ".join(SENTENCES[:2]), SENTENCES[5]], tokenizer)
    kept = [int(piece) for piece in pieces if piece not in (CLS, SEP)]
    ids = tokenizer([SENTENCES[0], SENTENCES[1], SENTENCES[5]], add_special_tokens=False)["input_ids"]
    assert kept == [piece for sentence in ids for piece in sentence]
    assert starts[0] == 0
    assert starts[-1] == len(pieces)
    assert all(pieces[start] == CLS for start in starts[:-1])


# ---- first embeddings


def test_ppmi_is_the_formula(rng):
    size, window, smoothing = 12, 2, 0.75
    runs = [rng.integers(5, size, size=length).tolist() for length in (6, 9, 7)]
    pieces = np.array([piece for run in runs for piece in (CLS, *run, SEP)], np.uint16)
    starts = np.cumsum([0] + [len(run) + 2 for run in runs])
    counts = cooccurrences(pieces, starts, size, window)
    information = ppmi(counts, smoothing)
    pairs = Counter()
    for run in runs:  # slow: every ordered pair of places in a run
        padded = [CLS, *run, SEP]
        for i, word in enumerate(padded):
            for j, context in enumerate(padded):
                if i != j and abs(i - j) <= window and word >= 5 and context >= 5:
                    pairs[word, context] += 1
    total = sum(pairs.values())
    words = Counter({w: sum(n for (a, _), n in pairs.items() if a == w) for w in range(size)})
    flattened = sum(n**smoothing for n in words.values())
    for word in range(size):
        for context in range(size):
            seen = pairs[word, context]
            assert counts[word, context] == seen
            expected = 0.0
            if seen:
                chance = words[word] / total * words[context] ** smoothing / flattened
                expected = max(0.0, math.log(seen / total / chance))
            assert information[word, context] == pytest.approx(expected, abs=1e-5)


def test_embeddings_reproduce_a_matrix_of_low_rank(rng):
    left = np.abs(rng.normal(size=(40, 4))).astype(np.float32)
    information = left @ left.T  # symmetric, rank 4: U √S (U √S)ᵀ is the matrix itself, up to the scale
    vectors = svd_embeddings(information, 8, std=0.04)
    product = (vectors @ vectors.T).numpy()
    assert vectors.shape == (40, 8)
    assert vectors.std().item() == pytest.approx(0.04, rel=1e-3)
    assert np.allclose(product / product.max(), information / information.max(), atol=1e-3)


def test_log_frequencies_sum_to_one_and_skip_the_special_pieces():
    chances = log_frequencies(np.array([CLS, 7, 7, 7, 8, SEP], np.uint16), 10).exp()
    assert chances.sum().item() == pytest.approx(1)
    assert (chances[7] / chances[8]).item() == pytest.approx(4 / 2)
    assert chances[CLS] == chances[SEP] == chances[MASK] == chances[9]


def test_pieces_never_seen_get_noise():
    information = np.zeros((50, 50), np.float32)
    information[5:, 5:] = np.random.default_rng(0).random((45, 45))
    assert (svd_embeddings(information, 8).norm(dim=1) > 0).all()


# ---- masking, batches, schedule


def test_masking_has_the_stated_shares():
    vocabulary = 2000
    continues = torch.zeros(vocabulary, dtype=torch.bool)
    ids = torch.randint(5, vocabulary, (400, 100))
    ids[:, 0], ids[:, -1] = CLS, SEP
    hidden, chosen = mask_words(ids, continues, 0.2, torch.Generator().manual_seed(0))
    assert not chosen[:, [0, -1]].any()
    assert (hidden == ids)[~chosen].all()
    assert chosen[:, 1:-1].float().mean().item() == pytest.approx(0.2, abs=0.01)
    assert (hidden[chosen] == MASK).float().mean().item() == pytest.approx(0.8, abs=0.02)
    assert (hidden[chosen] == ids[chosen]).float().mean().item() == pytest.approx(0.1, abs=0.02)
    assert hidden.min() >= 2  # a random piece is never [PAD] or [UNK]


def test_masking_takes_whole_words():
    continues = torch.arange(20) >= 10
    ids = torch.tensor([[CLS, 5, 12, 13, 6, 7, 11, SEP]]).repeat(500, 1)
    _, chosen = mask_words(ids, continues, 0.5, torch.Generator().manual_seed(0))
    assert (chosen[:, 1] == chosen[:, 2]).all()
    assert (chosen[:, 2] == chosen[:, 3]).all()
    assert (chosen[:, 5] == chosen[:, 6]).all()
    assert (chosen[:, 1] != chosen[:, 4]).any()


def test_batches_have_one_length_and_no_run_twice(rng):
    lengths = rng.integers(6, 20, size=500)
    plan = batch_plan(lengths, 64, (0, 0))
    rows = np.concatenate(plan)
    assert len(set(rows.tolist())) == len(rows) > 400
    assert all(len(set(lengths[batch])) == 1 and lengths[batch].sum() <= 64 for batch in plan)
    again = batch_plan(lengths, 64, (0, 1))
    assert len(again) == len(plan)
    assert any(a.tolist() != b.tolist() for a, b in zip(plan, again, strict=True))
    starts = np.concatenate([[0], np.cumsum(lengths)])
    pieces = np.arange(starts[-1])
    assert batch_at(pieces, starts, plan[0])[1].tolist() == pieces[starts[plan[0][1]] : starts[plan[0][1] + 1]].tolist()


def test_learning_rate_rises_stays_and_ends_near_zero():
    rates = [learning_rate(step, 1000, 0.5) for step in range(1000)]
    assert rates[0] < 0.02
    assert rates[100] == rates[500] == 0.5
    assert rates[-1] == pytest.approx(0.5 / 400)
    assert learning_rate(300, 2000, 0.5) == rates[300]  # the plan may change while the rate is level


def test_masked_loss_is_cross_entropy_at_the_chosen_positions(text, tmp_path):
    assert pretrain(text, tmp_path / "out", "--steps", "4").exit_code == 0
    model = AutoModelForMaskedLM.from_pretrained(tmp_path / "out", variant="mlm").eval()
    ids = torch.randint(5, model.config.vocab_size, (3, 9))
    hidden, chosen = mask_words(ids, torch.zeros(model.config.vocab_size).bool(), 0.5, torch.Generator().manual_seed(1))
    everywhere = model(hidden).logits.log_softmax(-1)
    slow = [-everywhere[i, j, ids[i, j]].item() for i in range(3) for j in range(9) if chosen[i, j]]
    assert masked_loss(model, hidden, ids, chosen).item() == pytest.approx(np.mean(slow), rel=1e-5)


# ---- the command


def weights(folder):
    return AutoModel.from_pretrained(folder).state_dict()


def test_it_learns_and_the_folder_loads(text, tmp_path, caplog):
    result = pretrain(text, tmp_path / "out", "--steps", "60", "--lr", "3e-3", "--save-every", "30")
    assert result.exit_code == 0, result.output
    history = json.loads((tmp_path / "out" / "history.json").read_text())
    assert [row["step"] for row in history] == [30, 60]
    assert history[1]["held_out"] < 0.8 * math.log(90)  # a guess among some ninety pieces, and less
    assert history[1]["held_out"] < history[0]["held_out"]
    tokenizer, model = AutoTokenizer.from_pretrained(tmp_path / "out"), AutoModel.from_pretrained(tmp_path / "out")
    assert not caplog.records  # no weight missing, none left over
    assert model.config.hidden_dropout_prob == model.config.attention_probs_dropout_prob == 0.1
    assert tokenizer.model_max_length == model.config.max_position_embeddings == 128
    states = model(**tokenizer(SENTENCES[:3], padding=True, return_tensors="pt")).last_hidden_state
    assert states.shape[::2] == (3, 64)


def test_the_folder_fills_masks(text, tmp_path):
    assert pretrain(text, tmp_path / "out", "--steps", "60", "--lr", "3e-3", "--save-every", "30").exit_code == 0
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    filler = AutoModelForMaskedLM.from_pretrained(tmp_path / "out", variant="mlm").eval()
    ids = tokenizer("The cat sleeps in [MASK] garden.", return_tensors="pt")
    best = filler(**ids).logits[0, ids["input_ids"][0] == tokenizer.mask_token_id].argmax().item()
    assert tokenizer.decode([best]).strip() == "the"


def test_the_encoder_has_no_head_and_is_written_anew_unchanged(text, tmp_path):
    """A folder is brought to the newest layout by loading and saving it: the encoder keeps every bit."""
    out = tmp_path / "out"
    assert pretrain(text, out, "--steps", "4").exit_code == 0
    encoder = weights(out)
    names = set(load_file(out / "model.safetensors"))
    assert all(name.startswith("bert.") for name in names)
    head = set(load_file(out / "mlm_head.safetensors"))
    assert head
    assert all(name.startswith("cls.") for name in head)
    index = json.loads((out / "model.safetensors.index.mlm.json").read_text())
    assert set(index["weight_map"]) == names | head
    old = {name.removeprefix("bert."): value for name, value in load_file(out / "model.safetensors").items()}
    save_file(old, out / "model.safetensors", metadata={"format": "pt"})  # as earlier versions wrote it
    model = AutoModelForMaskedLM.from_config(AutoConfig.from_pretrained(out))
    model.bert = AutoModel.from_pretrained(out)
    model.load_state_dict(load_file(out / "mlm_head.safetensors"), strict=False)
    model.tie_weights()
    save_model(model, AutoTokenizer.from_pretrained(out), out)
    assert set(load_file(out / "model.safetensors")) == names
    after = weights(out)
    assert after.keys() == encoder.keys()
    assert all(torch.equal(after[name], encoder[name]) for name in encoder)
    ids = torch.randint(5, 60, (2, 9))
    filler = AutoModelForMaskedLM.from_pretrained(out, variant="mlm").eval()
    assert torch.equal(filler(ids).logits, model.eval()(ids).logits)


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize(("flags", "expected"), [([], None), (["--bf16"], True), (["--no-bf16"], False)])
def test_bfloat16_is_the_default_where_the_hardware_computes_in_it(text, tmp_path, monkeypatch, fast, flags, expected):
    used = []
    monkeypatch.setattr(pretraining, "computes_in_bf16", lambda device: fast)
    monkeypatch.setattr(pretraining, "train", lambda *arguments: used.append(arguments[-1]))
    result = pretrain(text, tmp_path / "out", *flags)
    assert result.exit_code == 0, result.output
    assert used == [fast if expected is None else expected]


@pytest.mark.slow
def test_a_killed_run_ends_with_the_same_weights(text, tmp_path):
    assert pretrain(text, tmp_path / "whole", "--steps", "60").exit_code == 0
    shutil.copytree(tmp_path / "whole" / "work", tmp_path / "killed" / "work")  # one vocabulary for both
    (tmp_path / "killed" / "work" / "checkpoint.pt").unlink()
    command = [sys.executable, "-m", "clt.pretraining", *arguments(text, tmp_path / "killed", "--steps", "60")]
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    checkpoint, deadline = tmp_path / "killed" / "work" / "checkpoint.pt", time.monotonic() + 120
    while not checkpoint.exists() and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert 4 <= torch.load(checkpoint, weights_only=True)["step"] < 60
    assert pretrain(text, tmp_path / "killed", "--steps", "60").exit_code == 0
    whole, killed = weights(tmp_path / "whole"), weights(tmp_path / "killed")
    assert all(torch.equal(whole[name], killed[name]) for name in whole)


def test_a_damaged_checkpoint_is_reported(text, tmp_path):
    assert pretrain(text, tmp_path / "out", "--steps", "4").exit_code == 0
    checkpoint = tmp_path / "out" / "work" / "checkpoint.pt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    result = pretrain(text, tmp_path / "out", "--steps", "8")
    assert result.exit_code == 1
    assert "checkpoint.pt cannot be read; delete it to start again" in result.output


def test_other_settings_are_refused_and_more_steps_allowed(text, tmp_path):
    assert pretrain(text, tmp_path / "out", "--steps", "4").exit_code == 0
    result = pretrain(text, tmp_path / "out", "--steps", "8", "--lr", "0.5")
    assert result.exit_code == 1
    assert "was begun with lr = 0.002, got 0.5" in result.output
    assert pretrain(text, tmp_path / "out", "--steps", "8").exit_code == 0
    assert json.loads((tmp_path / "out" / "history.json").read_text())[-1]["step"] == 8


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--text", "nowhere.txt"], "'nowhere.txt' is neither a file nor 'wikipedia'"),
        (["--width", "100"], "expected a multiple of 64, got 100"),
        (["--lr", "0"], "--lr"),
        (["--mask", "1.5"], "--mask"),
        (["--steps", "0"], "--steps"),
    ],
)
def test_bad_arguments_are_named(text, tmp_path, more, message):
    result = pretrain(text, tmp_path / "out", *more)
    assert result.exit_code == 2
    assert message in result.output


def test_too_little_text_is_reported(tmp_path):
    (tmp_path / "text.txt").write_text("Hi.\n")
    result = pretrain(tmp_path / "text.txt", tmp_path / "out")
    assert result.exit_code == 1
    assert "too little text: 0 runs" in result.output
