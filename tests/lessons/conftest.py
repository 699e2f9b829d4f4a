"""The lesson that a module of tests is about (``test_04_simcse.py`` is about ``04_simcse``), and thin encoders."""

from pathlib import Path

import kit
import pytest

from clt import data


@pytest.fixture
def stem(request) -> str:
    return request.path.stem.removeprefix("test_")


@pytest.fixture
def lesson(stem) -> dict:
    """The lesson's imports, parameters, functions and classes: :func:`kit.lesson`."""
    return kit.lesson(stem)


@pytest.fixture
def code(stem) -> list[str]:
    """The lesson's code cells, without the stubs."""
    return kit.code(stem)


@pytest.fixture(scope="session")
def thin(tmp_path_factory):
    """Number of layers → the folder of a BERT with the vocabulary of clt-mini, thin and with random weights."""

    def make(layers: int, width: int = 32) -> Path:
        import torch
        from transformers import AutoTokenizer, BertConfig, BertModel

        folder, mini = tmp_path_factory.mktemp("encoder"), data.data_dir() / "clt-mini"
        tokenizer = AutoTokenizer.from_pretrained(mini)
        tokenizer.save_pretrained(folder)
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=len(tokenizer), hidden_size=width, num_hidden_layers=layers, num_attention_heads=2,
            intermediate_size=64, max_position_embeddings=128, pad_token_id=tokenizer.pad_token_id,
        )  # fmt: skip
        BertModel(config).save_pretrained(folder)
        return folder

    return make
