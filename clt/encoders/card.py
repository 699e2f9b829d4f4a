"""A folder that others can use: the encoder, what sentence-transformers asks for, and a card with measured numbers."""

import json
from collections.abc import Mapping
from pathlib import Path

from clt.encoders.sentence import SentenceEncoder

_POOLED = {"cls": "pooling_mode_cls_token", "mean": "pooling_mode_mean_tokens"}
_CARD = """---
language: {language}
license: {licence}
library_name: sentence-transformers
pipeline_tag: sentence-similarity
tags: [sentence-transformers, feature-extraction]
---
# {name}

{about}

```python
from sentence_transformers import SentenceTransformer

encoder = SentenceTransformer("{name}")  # this folder
vectors = encoder.encode(["A man plays the guitar.", "Somebody strums a guitar."])
```
Vectors have {dimension} numbers; compare them by their cosine. Texts are cut after {length} tokens.

## How it was trained
{made}

## What it scores
{measure}

| | before | after |
|---|---|---|
{rows}

## What it is not for
{limits}
"""


def publish(
    encoder: SentenceEncoder, folder: str | Path, *, name: str, about: str, made: str, measure: str, limits: str,
    before: Mapping[str, float], after: Mapping[str, float], licence: str = "cc-by-sa-4.0", language: str = "en",
) -> Path:  # fmt: skip
    """Save an encoder with a model card, as a folder that ``SentenceEncoder.load`` and sentence-transformers both read.

    Args:
        encoder: what to save; pooling ``"mean"`` or ``"cls"``.
        folder: where to; made if it is not there.
        name, about, made, measure, limits: the text of the card: what it is called, what it is, how it was trained,
            what was measured and on which texts, and what it should not be used for.
        before, after: what the encoder scored before training and now, ``{column: number}``. Only columns of both are
            shown: a number without the one it started from says little.
        licence, language: as the Hugging Face hub names them.

    Returns:
        The folder.

    Raises:
        ValueError: if sentence-transformers does not know the pooling, a text is empty, or no column is in both.
    """
    if encoder.pooling not in _POOLED:
        raise ValueError(f"sentence-transformers pools by {' or '.join(_POOLED)}, not by {encoder.pooling!r}")
    texts = {"name": name, "about": about, "made": made, "measure": measure, "limits": limits}
    if empty := [what for what, text in texts.items() if not text.strip()]:
        raise ValueError(f"a card without {empty[0]!r} leaves its reader guessing: write a sentence")
    columns = [column for column in before if column in after]
    if not columns:
        raise ValueError("expected at least one column that was measured before and after")
    rows = "\n".join(f"| {column} | {before[column]:.3g} | {after[column]:.3g} |" for column in columns)
    folder = Path(folder)
    encoder.save(folder)
    _write(folder / "modules.json", [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    ])  # fmt: skip
    _write(folder / "sentence_bert_config.json", {"max_seq_length": encoder.max_length, "do_lower_case": False})
    (folder / "1_Pooling").mkdir(exist_ok=True)
    pooling = {key: kind == encoder.pooling for kind, key in _POOLED.items()}
    _write(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": encoder.dimension} | pooling)
    card = _CARD.format(**texts, language=language, licence=licence, rows=rows, dimension=encoder.dimension,
                        length=encoder.max_length)  # fmt: skip
    (folder / "README.md").write_text(card, encoding="utf-8")
    return folder


def _write(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")
