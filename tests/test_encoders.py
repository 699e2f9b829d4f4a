import copy

import pytest
import torch

from clt import training
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


def test_no_sentences(tiny_folder):
    assert SentenceEncoder.load(tiny_folder).encode([]).shape == (0, 16)


@pytest.mark.parametrize(("wrong", "message"), [("The cat.", "one string"), ([1, 2], "int"), (["a", None], "NoneType")])
def test_what_is_no_sentence_is_refused(tiny_folder, wrong, message):
    with pytest.raises(TypeError, match=message):
        SentenceEncoder.load(tiny_folder).encode(wrong)


def test_an_unknown_encoder_says_what_would_do(tmp_path):
    with pytest.raises(FileNotFoundError, match="clt-mini"):
        SentenceEncoder.load(tmp_path / "nothing")
    with pytest.raises(ValueError, match="pooling should be one of"):
        SentenceEncoder(None, None, pooling="max")


def test_pickled_weights_are_not_read(tiny_folder, tmp_path):
    from transformers import AutoModel, AutoTokenizer

    AutoTokenizer.from_pretrained(tiny_folder).save_pretrained(tmp_path)
    model = AutoModel.from_pretrained(tiny_folder)
    model.config.save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(FileNotFoundError):
        SentenceEncoder.load(tmp_path)


def test_image_encoder():
    encoder = ImageEncoder(5)
    images = torch.rand(3, 8, 8)
    assert encoder(images).shape == (3, 5)
    torch.testing.assert_close(encoder(images)[1], encoder(images[1:2])[0])
    assert 10_000 < sum(p.numel() for p in ImageEncoder(32).parameters()) < 14_000, "as its docstring says"


def test_the_embedded_encoder_has_berts_illness():
    """``clt-mini`` loads by its name, and unrelated sentences lie close together: what the course is there to cure."""
    from clt.metrics import anisotropy

    encoder = SentenceEncoder.load("clt-mini")
    x = encoder.encode(["The judge left.", "Lava is hot.", "I lost my keys.", "Two cats play.", "Rates rise again."])
    assert x.shape == (5, encoder.dimension) == (5, 256)
    assert anisotropy(x) > 0.25
    assert encoder.model.config.hidden_dropout_prob == 0.1
