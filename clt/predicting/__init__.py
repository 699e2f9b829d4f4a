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
    together,
)
from clt.predicting.networks import Reader, Transformer, generate, model_for, pooled, word_filler
from clt.predicting.text import CLS, MASK, PAD, SEP, UNK, Corpus, Vocabulary, damaged, joined, padded, poisson_spans

__all__ = [
    "CLS", "MASK", "PAD", "SEP", "UNK", "Corpus", "Reader", "Transformer", "Vocabulary", "after_simcse", "chance",
    "conversations", "damaged", "documents", "fakes_found", "gaps", "generate", "joined", "measure", "model_for",
    "own_texts", "padded", "poisson_spans", "pooled", "probes", "together", "word_filler",
]  # fmt: skip
