"""Reading an encoder that ``transformers`` stored, and saying what is wrong where it cannot be read."""

import json
from pathlib import Path

from torch import nn

from clt.data import data_dir, note
from clt.encoders.pooled import POOLINGS

POINTER = b"version https://git-lfs"  # what git leaves in the place of a file kept elsewhere


def read(name: str) -> tuple[nn.Module, object, dict]:
    """Model, tokenizer, and the settings saved beside them; arguments and errors of ``SentenceEncoder.load``."""
    from transformers import AutoModel, AutoTokenizer  # late: 3 seconds that not every lesson needs
    from transformers.utils import logging

    place = str(data_dir() / "clt-mini") if name == "clt-mini" else name
    folder = Path(place)
    settings = _settings(folder)
    _complete(folder)
    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # a bar for a file that is read in no time; downloads keep theirs
    try:
        part = "tokenizer"
        tokenizer = AutoTokenizer.from_pretrained(place)
        part = "model"
        model, told = AutoModel.from_pretrained(place, use_safetensors=True, output_loading_info=True)
    except Exception as error:  # json, tokenizers, safetensors and torch each raise their own kinds
        said = f"{type(error).__name__}: {(str(error).strip() or '?').splitlines()[0]}"
        if _has_weights(folder):
            raise ValueError(f"the {part} in {folder} cannot be read, its files are damaged ({said})") from error
        raise FileNotFoundError(
            f"no encoder {name!r}: expected 'clt-mini', a folder with config.json and model.safetensors, or a "
            f"model on the Hugging Face hub that can be reached from here ({said})"
        ) from error
    finally:
        if bars:
            logging.enable_progress_bar()
    # A pooler is what an encoder may lack: only a classifier reads it. Anything else would be left at random.
    if missing := sorted(weight for weight in told["missing_keys"] if "pooler" not in weight):
        raise ValueError(
            f"the weights of {name!r} are not those of its config.json: {len(missing)} of the model's tensors are "
            f"missing, {missing[0]} among them"
        )
    if name == "clt-mini":
        note(name)
    return model, tokenizer, settings


def _has_weights(folder: Path) -> bool:
    return (folder / "config.json").is_file() and any(folder.glob("*.safetensors"))


def _complete(folder: Path) -> None:
    """Refuse a folder of an encoder with no file of a tokenizer, for which one would be made up, or with pointers."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.is_file() and path.stat().st_size < 1024 and path.read_bytes().startswith(POINTER):
            raise ValueError(f"{path} is a git-lfs pointer to a file, not the file: run `git lfs pull` in its folder")
    kinds = ("tokenizer*", "vocab*", "*.model", "*.bpe", "*.codes")
    if _has_weights(folder) and not any(found for kind in kinds for found in folder.glob(kind)):
        raise ValueError(f"{folder} has a model and no tokenizer: expected tokenizer.json, or another vocabulary")


def _settings(folder: Path) -> dict:
    """The pooling and the length that were saved with an encoder; nothing with one of other makers."""
    path = folder / "clt.json"
    if not path.is_file():
        return {}
    try:
        saved = json.loads(path.read_text(encoding="utf-8-sig"))
        settings = {name: saved[name] for name in ("pooling", "max_length")}
        if settings["pooling"] not in POOLINGS or type(settings["max_length"]) is not int:
            raise ValueError(f"it holds {settings}")
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"{path} is damaged ({error}); delete it, and give `load` the pooling and max_length"
        ) from error
    return settings
