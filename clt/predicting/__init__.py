"""Objectives that predict text, side by side: one tiny network, one text, one set of questions.

Nothing here is a loss: those the lesson writes.
"""

from clt.predicting.measures import (
    after_simcse,
    chance,
    conversations,
    documents,
    fakes_found,
    gaps,
    measure,
    own_texts,
    probes,
    reading_saves,
    together,
    untrained,
)
from clt.predicting.networks import Reader, Recurrent, Transformer, Writer, generate, model_for, pooled, word_filler
from clt.predicting.text import (
    CLS,
    MASK,
    NOISES,
    PAD,
    SEP,
    UNK,
    Corpus,
    Vocabulary,
    damaged,
    joined,
    noises,
    padded,
    poisson_spans,
)

__all__ = [
    "CLS", "MASK", "NOISES", "PAD", "SEP", "UNK", "Corpus", "Reader", "Recurrent", "Transformer", "Vocabulary",
    "Writer", "after_simcse", "chance", "conversations", "damaged", "documents", "fakes_found", "gaps", "generate",
    "joined", "measure", "model_for", "noises", "own_texts", "padded", "poisson_spans", "pooled", "probes",
    "reading_saves", "together", "untrained", "word_filler",
]  # fmt: skip
