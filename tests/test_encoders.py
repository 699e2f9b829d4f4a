import copy
import json
import shutil

import pytest
import torch
from torch import nn

from clt import encoders, training
from clt.encoders import POOLINGS, ImageEncoder, SentenceEncoder

SENTENCES = [
    "The cat sat on the mat.",
    "A dog ran.",
    "The cat and the dog and the cat ran under the tree quickly.",
    "cat",
    "A dog sleeps on the mat under the tree.",
]


@pytest.mark.parametrize("pooling", POOLINGS)
def test_encode_is_one_sentence_at_a_time(tiny_folder, pooling):
    """Batching, sorting by length and padding leave no trace in the embeddings."""
    encoder = SentenceEncoder.load(tiny_folder, pooling=pooling)
    together = encoder.encode(SENTENCES, batch_size=2)
    alone = torch.cat([encoder.encode([sentence]) for sentence in SENTENCES])
    assert together.shape == (5, 16)
    assert together.dtype == torch.float32
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=1e-5)


def test_pooling_is_what_its_name_says(tiny_folder):
    from transformers import AutoModel, AutoTokenizer

    batch = AutoTokenizer.from_pretrained(tiny_folder)(SENTENCES[0], return_tensors="pt")
    hidden = AutoModel.from_pretrained(tiny_folder)(**batch, output_hidden_states=True).hidden_states
    expected = {
        "cls": hidden[-1][0, 0],
        "mean": hidden[-1][0].mean(0),
        "first-last": (hidden[0][0].mean(0) + hidden[-1][0].mean(0)) / 2,
    }
    for pooling, vector in expected.items():
        encoder = SentenceEncoder.load(tiny_folder, pooling=pooling)
        torch.testing.assert_close(encoder.encode(SENTENCES[:1])[0], vector.detach(), atol=1e-6, rtol=1e-5)


def test_training_has_dropout_and_gradient_and_encode_has_neither(tiny_folder):
    encoder = SentenceEncoder.load(tiny_folder).train()
    batch = encoder.tokenize(SENTENCES)
    one, other = encoder(batch), encoder(batch)
    assert not torch.equal(one, other), "dropout makes two passes differ: SimCSE lives on it"
    one.sum().backward()
    assert all(p.grad is not None for name, p in encoder.named_parameters() if "pooler" not in name)
    assert torch.equal(encoder.encode(SENTENCES), encoder.encode(SENTENCES))
    assert encoder.training, "encode puts the mode back"
    assert not encoder.encode(SENTENCES).requires_grad


def test_embeddings_can_be_trained_on(tiny_folder):
    """What encode returns is an ordinary tensor, also for autograd."""
    x = SentenceEncoder.load(tiny_folder).encode(SENTENCES)
    weight = torch.ones(16, requires_grad=True)
    (x * weight).sum().backward()
    torch.testing.assert_close(weight.grad, x.sum(0))


def test_save_and_load(tiny_folder, tmp_path):
    encoder = SentenceEncoder.load(tiny_folder, pooling="cls", max_length=8)
    encoder.save(tmp_path / "mine")
    again = SentenceEncoder.load(tmp_path / "mine")
    assert (again.pooling, again.max_length) == ("cls", 8)
    assert torch.equal(encoder.encode(SENTENCES), again.encode(SENTENCES))
    assert not list((tmp_path / "mine").glob("*.bin")), "weights are safetensors"


def test_train_above_trains_what_stands_above(tiny_folder):
    """Trained with weight decay, the embeddings and the lower layer keep every bit, and no gradient reaches them."""
    encoder = SentenceEncoder.load(tiny_folder)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    assert encoder.train_above(1) is encoder
    batch = encoder.tokenize(SENTENCES)
    training.train(
        encoder, lambda g: batch, lambda m, b: m(b).square().mean(), steps=2, learning_rate=1e-2, weight_decay=0.5,
        progress=False,
    )  # fmt: skip
    changed = {name for name, value in encoder.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {name for name in before if "encoder.layer.1." in name}
    assert all(p.grad is None for name, p in encoder.named_parameters() if "encoder.layer.1." not in name)


@pytest.mark.parametrize("layer", [0, 1])
def test_train_above_saves_the_backward_pass_below(tiny_folder, layer):
    encoder = SentenceEncoder.load(tiny_folder).train_above(layer)
    hidden = encoder.model(**encoder.tokenize(SENTENCES), output_hidden_states=True).hidden_states
    assert [h.requires_grad for h in hidden] == [above > layer for above in range(3)]


def test_the_last_call_of_train_above_counts(tiny_folder):
    encoder = SentenceEncoder.load(tiny_folder)
    trained = lambda: {name for name, p in encoder.named_parameters() if p.requires_grad}
    embeddings = {name for name in trained() if "embeddings" in name}
    everything = trained()
    encoder.train_above(1).train_above(0)
    assert trained() == everything - embeddings
    encoder.requires_grad_(True)
    assert trained() == everything


@pytest.mark.parametrize(
    ("layer", "error", "message"),
    [(2, ValueError, "0 to 1 for an encoder of 2"), (-1, ValueError, "0 to 1"), (1.0, TypeError, "integer"),
     (True, TypeError, "integer")],
)  # fmt: skip
def test_train_above_refuses_what_is_no_layer(tiny_folder, layer, error, message):
    with pytest.raises(error, match=message):
        SentenceEncoder.load(tiny_folder).train_above(layer)


def test_train_above_works_for_models_built_like_bert():
    from transformers import AlbertConfig, AutoModel, DistilBertConfig, ElectraConfig, RobertaConfig

    small = {"vocab_size": 20, "num_attention_heads": 2, "intermediate_size": 8, "num_hidden_layers": 3}
    for config in (
        RobertaConfig(**small, hidden_size=8),
        ElectraConfig(**small, hidden_size=8, embedding_size=4),  # with a projection above its embeddings
        DistilBertConfig(vocab_size=20, dim=8, n_heads=2, hidden_dim=8, n_layers=3),
    ):
        model = AutoModel.from_config(config)
        SentenceEncoder(model, None).train_above(2)
        frozen = [name for name, p in model.named_parameters() if not p.requires_grad]
        trained = [name for name, p in model.named_parameters() if p.requires_grad]
        assert any("layer.1." in name for name in frozen), config.model_type
        assert all("embeddings" in name or ".0." in name or ".1." in name for name in frozen), config.model_type
        assert all("layer.2." in name or "pooler" in name for name in trained), config.model_type
    shared = AutoModel.from_config(AlbertConfig(**small, hidden_size=8, embedding_size=4))
    with pytest.raises(ValueError, match="AlbertModel has no list of its 3 layers"):
        SentenceEncoder(shared, None).train_above(1)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("layer", [0, 1])
def test_above_encodes_as_the_whole_does(tiny_folder, pooling, layer):
    whole = SentenceEncoder.load(tiny_folder, pooling=pooling)
    before = {name: value.clone() for name, value in whole.state_dict().items()}
    upper = whole.above(layer)
    for texts in (SENTENCES, SENTENCES[::-1], SENTENCES[:1], []):  # first met, and remembered
        assert torch.allclose(upper.encode(texts), whole.encode(texts), atol=1e-5)
    upper.eval()
    assert torch.allclose(upper(upper.tokenize(SENTENCES)), whole.encode(SENTENCES), atol=1e-5)
    after = whole.state_dict()
    assert all(torch.equal(value, before[name]) for name, value in after.items()), "the whole is left alone"


def test_above_trains_the_upper_layers_with_dropout_there(tiny_folder):
    whole = SentenceEncoder.load(tiny_folder)
    upper = whole.above(1)
    upper.encode(SENTENCES)  # what was remembered without a gradient must not stand in the way of one
    before = {name: value.clone() for name, value in upper.state_dict().items()}
    batch = upper.tokenize(SENTENCES)
    assert not torch.equal(upper.train()(batch), upper(batch)), "dropout"
    training.train(
        upper, lambda g: SENTENCES, lambda m, b: m(m.tokenize(b)).square().mean(), steps=2, learning_rate=1e-2,
        progress=False,
    )  # fmt: skip
    changed = {name for name, value in upper.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {name for name in before if "encoder.layer.0." in name}, "the one layer that is above"
    assert not torch.allclose(upper.encode(SENTENCES), whole.encode(SENTENCES), atol=1e-3)


def test_above_reads_a_sentence_once_for_all_copies(tiny_folder, monkeypatch):
    upper = SentenceEncoder.load(tiny_folder).above(1, room=2)
    read, tokenize = [], upper.memory.lower.tokenize
    monkeypatch.setattr(upper.memory.lower, "tokenize", lambda texts: read.extend(texts) or tokenize(texts))
    first = upper.encode(SENTENCES[:2])
    copy.deepcopy(upper).encode(SENTENCES[:2])
    assert sorted(read) == sorted(SENTENCES[:2])
    upper.encode([*SENTENCES, SENTENCES[-1]])
    upper.encode(SENTENCES)
    assert len(read) == 2 + 2 * len(set(SENTENCES[2:])), "what finds no room is read each time, a repetition once"
    assert torch.allclose(upper.encode(SENTENCES[:2]), first, atol=1e-5)


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_the_whole_of_trained_upper_layers_can_be_saved(tiny_folder, tmp_path, pooling, layer):
    given = SentenceEncoder.load(tiny_folder, pooling=pooling, max_length=20)
    before = given.encode(SENTENCES)
    upper = given.above(layer)
    training.train(
        upper, lambda g: SENTENCES, lambda m, b: m(m.tokenize(b)).square().mean(), steps=2, learning_rate=1e-2,
        progress=False,
    )  # fmt: skip
    whole = upper.whole()
    assert type(whole) is SentenceEncoder
    assert (whole.pooling, whole.max_length) == (pooling, 20)
    assert torch.allclose(whole.encode(SENTENCES), upper.encode(SENTENCES), atol=1e-5)
    assert not torch.allclose(whole.encode(SENTENCES), before, atol=1e-3)
    assert torch.equal(given.encode(SENTENCES), before), "the encoder it came from is left alone"
    assert all(p.requires_grad for p in whole.parameters())
    whole.save(tmp_path / "whole")
    again = SentenceEncoder.load(tmp_path / "whole")
    assert torch.equal(again.encode(SENTENCES), whole.encode(SENTENCES))
    with torch.no_grad():
        next(whole.model.encoder.layer[-1].parameters()).zero_()
    assert torch.allclose(again.encode(SENTENCES), upper.encode(SENTENCES), atol=1e-5), "a copy"


def test_above_refuses_what_it_cannot_do(tiny_folder, tmp_path):
    from transformers import AutoModel, ElectraConfig

    whole = SentenceEncoder.load(tiny_folder)
    upper = whole.above(1)
    with pytest.raises(TypeError, match="got token ids"):
        upper(whole.tokenize(SENTENCES))
    with pytest.raises(TypeError, match="upper layers of an encoder only"):
        upper.save(tmp_path)
    with pytest.raises(ValueError, match="0 to 1 for an encoder of 2"):
        whole.above(2)
    config = ElectraConfig(vocab_size=20, hidden_size=8, embedding_size=4, num_attention_heads=2, num_hidden_layers=2)
    with pytest.raises(ValueError, match="ElectraModel does not begin with embeddings alone"):
        SentenceEncoder(AutoModel.from_config(config), None).above(1)


def test_long_sentences_are_cut(tiny_folder):
    encoder = SentenceEncoder.load(tiny_folder, max_length=6)
    assert encoder.tokenize(["the cat " * 50])["input_ids"].shape == (1, 6)
    encoder.max_length = 4
    assert encoder.tokenize(["the cat " * 50])["input_ids"].shape == (1, 4)
    whole = SentenceEncoder.load(tiny_folder)
    assert whole.max_length == 32, "no more than the model has positions"
    assert whole.encode(["the cat " * 50]).isfinite().all()


@pytest.mark.parametrize(
    ("length", "error", "message"),
    [(33, ValueError, "at most 32, the positions of the model; got 33"), (2, ValueError, "at least 3 .*got 2"),
     (0, ValueError, "got 0"), (-1, ValueError, "got -1"), (8.0, TypeError, "integer"), (True, TypeError, "integer")],
)  # fmt: skip
def test_a_length_that_cannot_be_is_refused(tiny_folder, length, error, message):
    with pytest.raises(error, match=message):
        SentenceEncoder.load(tiny_folder, max_length=length)
    encoder = SentenceEncoder.load(tiny_folder)
    with pytest.raises(error, match=message):
        encoder.max_length = length


def test_positions_that_begin_later_are_not_counted():
    from transformers import AutoModel, RobertaConfig

    config = RobertaConfig(
        vocab_size=20, hidden_size=8, num_attention_heads=2, num_hidden_layers=1, max_position_embeddings=18
    )
    model = AutoModel.from_config(config).eval()
    encoder = SentenceEncoder(model, None)
    assert encoder.max_length == 16
    model(torch.full((1, 16), 5))
    with pytest.raises((IndexError, RuntimeError)):  # the raw error that the limit saves one from
        model(torch.full((1, 17), 5))


def test_no_sentences(tiny_folder):
    encoder = SentenceEncoder.load(tiny_folder)
    assert encoder.encode([]).shape == (0, 16)
    with pytest.raises(ValueError, match="at least one sentence"):
        encoder.tokenize([])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [("The cat.", "one string"), ([1, 2], "int"), (["a", None], "NoneType"), ({"q": "The cat."}, "a dict"),
     ({"The cat."}, "a set"), ([["a", "b"]], "list"), (b"cat", "int")],
)  # fmt: skip
def test_what_is_no_sentence_is_refused(tiny_folder, wrong, message):
    whole = SentenceEncoder.load(tiny_folder)
    for encoder in (whole, whole.above(1)):
        for read in (encoder.encode, encoder.tokenize):
            with pytest.raises(TypeError, match=message):
                read(wrong)


@pytest.mark.parametrize(("size", "error"), [(-1, ValueError), (0, ValueError), (2.0, TypeError), (True, TypeError)])
def test_a_batch_size_that_cannot_be_is_refused(tiny_folder, size, error):
    with pytest.raises(error, match="batch_size should be"):
        SentenceEncoder.load(tiny_folder).encode(SENTENCES, batch_size=size)


def test_encode_reads_a_repeated_sentence_once_and_pads_little(tiny_folder):
    encoder, seen = SentenceEncoder.load(tiny_folder), []
    words = ["cat", "zebra, ox" * 4, "the cat and the dog", "a", "dog", "the mat on the tree"]  # unknown words: 1 token
    together = encoder.encode(words * 3, batch_size=2)
    assert torch.allclose(together, encoder.encode(words).repeat(3, 1), atol=1e-6)
    encoder.model.register_forward_pre_hook(
        lambda model, args, options: seen.append(options["attention_mask"]), with_kwargs=True
    )
    encoder.encode(words * 3, batch_size=2)
    assert sum(len(mask) for mask in seen) == len(words)
    lengths = [mask.sum(1).tolist() for mask in seen]
    flat = [length for batch in lengths for length in batch]
    assert flat == sorted(flat, reverse=True), "by tokens, the longest first"
    assert all(mask.shape[1] == max(batch) for mask, batch in zip(seen, lengths, strict=True))


def test_an_unknown_encoder_says_what_would_do(tmp_path):
    with pytest.raises(FileNotFoundError, match="clt-mini"):
        SentenceEncoder.load(tmp_path / "nothing")
    with pytest.raises(ValueError, match="pooling should be one of"):
        SentenceEncoder(None, None, pooling="max")


@pytest.fixture
def stored(tiny_folder, tmp_path):
    """A folder of an encoder, to be damaged."""
    shutil.copytree(tiny_folder, tmp_path / "stored")
    return tmp_path / "stored"


@pytest.mark.parametrize("left", [set(), {"tokenizer_config.json"}])
def test_no_tokenizer_is_made_up(stored, left):
    for file in stored.iterdir():
        if file.name not in left | {"config.json", "model.safetensors"}:
            file.unlink()
    with pytest.raises(ValueError, match="tokenizer"):
        SentenceEncoder.load(stored)


@pytest.mark.parametrize("count", [12, 40])
def test_the_tokenizer_of_another_model_is_refused(tiny_folder, count):
    from transformers import AutoTokenizer, BertConfig, BertModel

    config = BertConfig(
        vocab_size=count, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    with pytest.raises(ValueError, match=f"19 tokens and the model {count} embeddings"):
        SentenceEncoder(BertModel(config), AutoTokenizer.from_pretrained(tiny_folder))


def test_a_token_without_an_embedding_is_named(tiny_folder):
    encoder = SentenceEncoder.load(tiny_folder)
    encoder.tokenizer.add_tokens(["zebra"])
    assert encoder.encode(["A dog."]).isfinite().all()
    for read in (encoder.encode, encoder.tokenize):
        with pytest.raises(ValueError, match="'zebra' has number 19, and the model has 19 embeddings"):
            read(["A zebra."])
    encoder.model.resize_token_embeddings(len(encoder.tokenizer))
    assert encoder.encode(["A zebra."]).isfinite().all()


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 25330280\n"


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        ("model.safetensors", lambda old: old[: len(old) // 2], "the model in .* cannot be read"),
        ("model.safetensors", lambda old: b"", "the model in .* cannot be read"),
        ("model.safetensors", lambda old: POINTER, "model.safetensors is a git-lfs pointer.*git lfs pull"),
        ("tokenizer.json", lambda old: POINTER, "tokenizer.json is a git-lfs pointer"),
        ("tokenizer.json", lambda old: old[:50], "the tokenizer in .* cannot be read"),
        ("config.json", lambda old: b"{", "cannot be read"),
        ("config.json", lambda old: old.replace(b'"num_hidden_layers": 2', b'"num_hidden_layers": 3'),
         "16 of the model's tensors are missing, encoder.layer.2"),
        ("config.json", lambda old: old.replace(b'"intermediate_size": 32', b'"intermediate_size": 30'),
         "the model in .* cannot be read"),
        ("clt.json", lambda old: b"{", r"clt\.json is damaged"),
        ("clt.json", lambda old: b"[1]", r"clt\.json is damaged"),
        ("clt.json", lambda old: b"\xff\xfe", r"clt\.json is damaged"),
        ("clt.json", lambda old: b'{"pooling": "cls"}', r"clt\.json is damaged"),
        ("clt.json", lambda old: b'{"pooling": "max", "max_length": 8}', r"clt\.json is damaged"),
        ("clt.json", lambda old: b'{"pooling": ["cls"], "max_length": 8}', r"clt\.json is damaged"),
        ("clt.json", lambda old: b'{"pooling": "cls", "max_length": "8"}', r"clt\.json is damaged"),
        ("clt.json", lambda old: b'{"pooling": "cls", "max_length": 800}', "got 800"),
    ],
)  # fmt: skip
def test_a_damaged_folder_is_named(stored, file, damage, message):
    path = stored / file
    path.write_bytes(damage(path.read_bytes() if path.exists() else b""))
    with pytest.raises(ValueError, match=message) as error:
        SentenceEncoder.load(stored)
    assert str(stored) in str(error.value) or "max_length" in str(error.value)


def test_settings_may_begin_with_a_byte_order_mark(stored):
    (stored / "clt.json").write_text(json.dumps({"pooling": "cls", "max_length": 8}), encoding="utf-8-sig")
    encoder = SentenceEncoder.load(stored)
    assert (encoder.pooling, encoder.max_length) == ("cls", 8)


def test_a_pooler_is_all_that_may_be_missing(stored):
    from safetensors.torch import load_file, save_file

    weights = load_file(stored / "model.safetensors")
    whole = SentenceEncoder.load(stored).encode(SENTENCES)
    save_file({n: w for n, w in weights.items() if "pooler" not in n}, stored / "model.safetensors", {"format": "pt"})
    assert torch.equal(SentenceEncoder.load(stored).encode(SENTENCES), whole)


def test_pickled_weights_are_not_read(tiny_folder, tmp_path):
    from transformers import AutoModel, AutoTokenizer

    AutoTokenizer.from_pretrained(tiny_folder).save_pretrained(tmp_path)
    model = AutoModel.from_pretrained(tiny_folder)
    model.config.save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(FileNotFoundError):
        SentenceEncoder.load(tmp_path)


def two_readings(model, **batch):
    model.train()
    return [model(**batch)[0].detach() for _ in range(2)]


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_set_dropout_reaches_all_of_it(attention):
    import transformers

    small = {"vocab_size": 20, "hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 2}
    special = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2}
    families = {
        "BertModel": small | {"intermediate_size": 8},
        "RobertaModel": small | {"intermediate_size": 8},
        "ElectraModel": small | {"intermediate_size": 8, "embedding_size": 16},
        "DistilBertModel": {"vocab_size": 20, "dim": 16, "n_heads": 2, "hidden_dim": 8, "n_layers": 2},
        "ModernBertModel": small | special | {"intermediate_size": 8},
        "T5EncoderModel": {"vocab_size": 20, "d_model": 16, "d_kv": 8, "num_heads": 2, "num_layers": 2, "d_ff": 8},
    }
    tried = []
    for name, sizes in families.items():
        family = getattr(transformers, name)
        if attention == "sdpa" and not family._supports_sdpa:  # of transformers 4: ELECTRA and T5
            continue
        torch.manual_seed(0)
        config = family.config_class(**sizes)
        config._attn_implementation = attention
        model, ids = family(config), torch.tensor([[1, 5, 6, 7, 8, 2]])
        assert encoders.set_dropout(model, 0.5) is model
        one, other = two_readings(model, input_ids=ids)
        assert (one - other).abs().mean() > 0.1, name
        one, other = two_readings(encoders.set_dropout(model, 0.0), input_ids=ids)
        assert torch.equal(one, other), name
        tried.append(name)
    assert len(tried) >= 4


def test_set_dropout_reaches_the_attention_and_stays_when_saved(tiny_folder, tmp_path):
    """With the attention's dropout alone two readings differ, and what is saved has the rate."""
    encoder = encoders.set_dropout(SentenceEncoder.load(tiny_folder), 0.5)
    for name, module in encoder.model.named_modules():
        if isinstance(module, nn.Dropout) and "attention.self" not in name:
            module.p = 0.0
    one, other = two_readings(encoder.model, **encoder.tokenize(SENTENCES))
    assert not torch.equal(one, other)
    encoder.save(tmp_path)
    config = SentenceEncoder.load(tmp_path).model.config
    assert config.hidden_dropout_prob == config.attention_probs_dropout_prob == 0.5


def test_a_head_is_trained_with_the_encoder_and_left_out_of_what_is_measured(tiny_folder):
    encoder = encoders.set_dropout(SentenceEncoder.load(tiny_folder), 0.0)
    before = encoder.encode(SENTENCES)
    torch.manual_seed(0)
    learner = encoders.WithHead(encoder)
    batch = learner.tokenize(SENTENCES)
    torch.testing.assert_close(learner(batch), learner.head(encoder(batch)))
    torch.testing.assert_close(learner.encode(SENTENCES, batch_size=1), before, atol=1e-5, rtol=1e-5)
    optimizer = torch.optim.SGD(learner.parameters(), lr=1.0)
    head = learner.head[0].weight.detach().clone()
    learner(batch).square().sum().backward()
    optimizer.step()
    assert not torch.equal(learner.head[0].weight, head), "the head learns"
    after = encoder.encode(SENTENCES)
    assert not torch.allclose(after, before, atol=1e-3), "and so does the encoder, which is the one handed in"
    torch.testing.assert_close(learner.encode(SENTENCES), after)


def test_a_head_of_ones_own(tiny_folder):
    encoder = SentenceEncoder.load(tiny_folder).eval()
    learner = encoders.WithHead(encoder, nn.Linear(encoder.dimension, 3, bias=False))
    assert learner(learner.tokenize(SENTENCES)).shape == (len(SENTENCES), 3)
    assert learner.encode(SENTENCES).shape == (len(SENTENCES), encoder.dimension)


@pytest.mark.parametrize(
    ("layer", "batch"),
    [(nn.TransformerEncoderLayer(8, 2, 8), (4, 2, 8)), (nn.GRU(8, 8, 2, dropout=0.1), (4, 2, 8)),
     (nn.Sequential(nn.Dropout2d(0.1)), (4, 9, 8, 2))],
)  # fmt: skip
def test_set_dropout_of_other_modules(layer, batch):
    x = torch.rand(*batch)
    first = lambda found: found[0] if isinstance(found, tuple) else found
    layer.train()
    encoders.set_dropout(layer, 0.5)
    assert not torch.equal(first(layer(x)), first(layer(x)))
    encoders.set_dropout(layer, 0)
    assert torch.equal(first(layer(x)), first(layer(x)))


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan")])
def test_set_dropout_refuses_what_is_no_rate(rate):
    with pytest.raises(ValueError, match="at least 0 and below 1"):
        encoders.set_dropout(nn.Dropout(), rate)


def heads_of(encoder, states: torch.Tensor) -> torch.Tensor:
    """What the first layer's heads say, ``(B, L, H, D/H)``."""
    part = encoder.model.encoder.layer[0].attention.self
    return part(states)[0].unflatten(2, (part.num_attention_heads, -1))


def test_dropped_heads_are_silent_for_a_whole_text_and_the_others_louder(tiny_folder):
    encoder = encoders.set_dropout(SentenceEncoder.load(tiny_folder), 0.0)
    states = torch.randn(200, 3, encoder.dimension)
    whole = heads_of(encoder.train(), states)
    assert encoders.drop_heads(encoder, 0.4) is encoder
    found, count = heads_of(encoder, states), whole.shape[2]
    silent = (found == 0).all(dim=(1, 3))  # (B, H)
    assert torch.equal(silent, (found == 0).any(dim=3).any(dim=1)), "one draw for all words of a text"
    assert not silent.all(dim=1).any(), "none left: all stay"
    left = count - silent.sum(dim=1)
    for i in range(len(states)):
        torch.testing.assert_close(found[i, :, ~silent[i]], whole[i, :, ~silent[i]] * count / left[i])
    assert len({tuple(row) for row in silent.tolist()}) > 1, "each text has a draw of its own"
    expected = (0.4 - 0.4**count) if count > 1 else 0.0
    assert silent.float().mean().item() == pytest.approx(expected, abs=0.08)
    torch.testing.assert_close(heads_of(encoder.eval(), states), whole)


def test_heads_are_dropped_in_upper_layers_with_a_gradient_and_not_at_rate_0(tiny_folder):
    upper = encoders.set_dropout(SentenceEncoder.load(tiny_folder).above(1), 0.0).train()
    batch = upper.tokenize(SENTENCES)
    torch.testing.assert_close(encoders.drop_heads(upper, 0.0)(batch), upper(batch))
    encoders.drop_heads(upper, 0.5)
    one, other = upper(batch), upper(batch)
    assert not torch.equal(one, other)
    one.square().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in upper.parameters() if p.grad is not None)
    half = torch.randn(4, 2, upper.dimension, dtype=torch.bfloat16)
    assert heads_of(upper.bfloat16(), half).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("model", "rate", "said"),
    [("tiny", 1.0, "below 1"), ("tiny", -0.1, "at least 0"), ("linear", 0.1, "attention.self")],
)
def test_drop_heads_refuses(tiny_folder, model, rate, said):
    with pytest.raises(ValueError, match=said):
        encoders.drop_heads(SentenceEncoder.load(tiny_folder) if model == "tiny" else nn.Linear(2, 2), rate)


def test_image_encoder():
    encoder = ImageEncoder(5)
    images = torch.rand(3, 8, 8)
    assert encoder(images).shape == (3, 5)
    torch.testing.assert_close(encoder(images)[1], encoder(images[1:2])[0])
    assert 10_000 < sum(p.numel() for p in ImageEncoder(32).parameters()) < 14_000, "as its docstring says"


def test_a_picture_tower_looks_at_each_picture_alone():
    tower = encoders.PictureTower(7).eval()
    pictures = torch.rand(3, 3, 48, 48)
    assert tower.features(pictures).shape == (3, 128)
    assert tower(pictures).shape == (3, 7)
    torch.testing.assert_close(tower(pictures)[1], tower(pictures[1:2])[0])


CAPTIONS = ["the cat on the mat", "the mat on the cat", "a dog"]


@pytest.mark.parametrize("order", [True, False])
def test_a_caption_tower_trains_nothing_of_its_encoder(tiny_folder, order):
    encoder, memory = SentenceEncoder.load(tiny_folder), {}
    before = copy.deepcopy(encoder.state_dict())
    tower = encoders.CaptionTower(encoder, 7, order=order, memory=memory).eval()
    together, alone = tower(CAPTIONS), torch.cat([tower([caption]) for caption in CAPTIONS])
    assert together.shape == (3, 7)
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=1e-5)  # padding has no say
    assert list(memory) == CAPTIONS, "each is read once"
    with torch.autocast("cpu", torch.bfloat16):
        assert tower(CAPTIONS).dtype == torch.float32
    together.sum().backward()
    assert all(parameter.grad is None for parameter in encoder.parameters())
    assert all(parameter.grad.abs().sum() > 0 for parameter in tower.parameters())
    assert all(torch.equal(before[name], value) for name, value in encoder.state_dict().items())
    apart = (together[0] - together[1]).abs().max().item()
    assert (apart > 1e-5) == order, "a bag of words cannot tell the two apart"
    if order:
        torch.testing.assert_close(tower.read(CAPTIONS), encoder.encode(CAPTIONS))


def test_the_embedded_encoder_has_berts_illness():
    """``clt-mini`` loads by its name, and unrelated sentences lie close together: what the course is there to cure."""
    from clt.metrics import anisotropy

    encoder = SentenceEncoder.load("clt-mini")
    x = encoder.encode(["The judge left.", "Lava is hot.", "I lost my keys.", "Two cats play.", "Rates rise again."])
    assert x.shape == (5, encoder.dimension) == (5, 256)
    assert anisotropy(x) > 0.25
    assert encoder.model.config.hidden_dropout_prob == 0.1
