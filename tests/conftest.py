"""What several tests share: a tiny encoder made on the spot, and the folders of the project."""

import json
import os
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test reaches for the network

import clt  # noqa: F401  # isort: skip  (before torch: it sets how torch's threads wait)
import pytest
import torch
from browsing import CHROMIUM, QUIET

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, object]:
    """For pytest-playwright, which has no browser of its own here."""
    return {"executable_path": CHROMIUM, "args": QUIET}


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory) -> Path:
    """A BERT of two layers and sixteen dimensions with a tokenizer of its own, saved as ``transformers`` does."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = ["the", "a", "cat", "dog", "sat", "ran", "on", "under", "mat", "tree", "and", "quickly", "sleeps", "."]
    vocabulary = {token: i for i, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    folder = tmp_path_factory.mktemp("tiny")
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        mask_token="[MASK]",
    ).save_pretrained(folder)  # fmt: skip
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=32,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture
def embedded(tmp_path, monkeypatch) -> Path:
    """A small embedded data folder in place of the real one, with right checksums."""
    import clt.encoders  # noqa: F401 - what it takes from clt.data it has to take before that is replaced
    from clt import data

    (tmp_path / "sts").mkdir()
    for split in ("train", "dev", "test"):
        text = f'sentence1,sentence2,score,topic\n"One, {split}.",Two.,3.5,cats\nThree.,"Said ""four"".",0,dogs\n'
        (tmp_path / "sts" / f"{split}.csv").write_text(text, encoding="utf-8")
    (tmp_path / "stories").mkdir()
    for split in ("train", "dev", "test"):
        row = {"title": "T", "topic": "sea", "sentences": [f"Sentence {i}." for i in range(6)]}
        (tmp_path / "stories" / f"{split}.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    monkeypatch.setattr(data, "data_dir", lambda: tmp_path)
    data.write_checksums()
    return tmp_path
