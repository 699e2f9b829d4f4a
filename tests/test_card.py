"""A published folder: its card says what was measured, and sentence-transformers reads the same encoder from it."""

import json

import pytest
import torch

from clt.encoders import SentenceEncoder, publish

SENTENCES = ["the cat sat on the mat .", "a dog ran quickly .", "the cat sat under the tree and sleeps . " * 6]
CARD = {
    "name": "mine", "about": "A test.", "made": "Not at all.", "measure": "Nothing.", "limits": "Everything.",
    "before": {"sts": 57.1834, "lost": 1.0}, "after": {"sts": 66.98, "new": 2.0},
}  # fmt: skip


@pytest.fixture(params=["mean", "cls"])
def encoder(request, tiny_folder):
    return SentenceEncoder.load(tiny_folder, pooling=request.param, max_length=20)


def test_the_folder_is_read_by_us(encoder, tmp_path):
    folder = publish(encoder, tmp_path / "mine", **CARD)
    again = SentenceEncoder.load(folder)
    assert (again.pooling, again.max_length) == (encoder.pooling, 20)
    assert torch.equal(again.encode(SENTENCES), encoder.encode(SENTENCES))
    assert (folder / "model.safetensors").is_file()
    assert not [*folder.rglob("*.bin"), *folder.rglob("*.pt")]
    assert not (folder / "README.md").read_text(encoding="utf-8").count(str(tmp_path))


def test_sentence_transformers_loads_it_and_scores_the_same(encoder, tmp_path):
    library = pytest.importorskip("sentence_transformers")
    folder = publish(encoder, tmp_path / "mine", **CARD)
    theirs = library.SentenceTransformer(str(folder), device="cpu")
    vectors = torch.as_tensor(theirs.encode(SENTENCES, convert_to_numpy=True))
    ours = encoder.encode(SENTENCES)
    assert theirs.max_seq_length == 20
    assert torch.allclose(vectors, ours, atol=1e-5)
    cosine = torch.nn.functional.cosine_similarity
    score = theirs.similarity(theirs.encode(SENTENCES[:1]), theirs.encode(SENTENCES[1:2])).item()
    assert score == pytest.approx(cosine(ours[:1], ours[1:2]).item(), abs=1e-5)


def test_the_card_shows_columns_measured_before_and_after(encoder, tmp_path):
    card = (publish(encoder, tmp_path, **CARD) / "README.md").read_text(encoding="utf-8")
    head, _, body = card.removeprefix("---\n").partition("\n---\n")
    assert "library_name: sentence-transformers" in head
    assert "license: cc-by-sa-4.0" in head
    assert "| sts | 57.2 | 67 |" in body
    assert "lost" not in body
    assert "new" not in body
    for text in ("A test.", "Not at all.", "Nothing.", "Everything.", "16 numbers", "after 20 tokens"):
        assert text in body
    modules = json.loads((tmp_path / "modules.json").read_text(encoding="utf-8"))
    assert [module["path"] for module in modules] == ["", "1_Pooling"]


def test_what_it_refuses(tiny_folder, tmp_path):
    mixed = SentenceEncoder.load(tiny_folder, pooling="first-last")
    with pytest.raises(ValueError, match="not by 'first-last'"):
        publish(mixed, tmp_path, **CARD)
    encoder = SentenceEncoder.load(tiny_folder)
    with pytest.raises(ValueError, match="a card without 'limits' leaves its reader guessing"):
        publish(encoder, tmp_path, **CARD | {"limits": "  "})
    with pytest.raises(ValueError, match="at least one column that was measured before and after"):
        publish(encoder, tmp_path, **CARD | {"after": {}})
    assert not list(tmp_path.iterdir()), "nothing is written before all is well"
