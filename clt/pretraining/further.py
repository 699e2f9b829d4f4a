"""More training on text without labels, of a domain or of a task: masked words as before, or contrast."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import nn

from clt import data, losses, training
from clt.encoders import SentenceEncoder
from clt.predicting import word_filler
from clt.pretraining import batch_at, batch_plan, learning_rate, mask_words, masked_loss, optimizers_of
from clt.pretraining.corpus import encode


def pretrain(
    model: nn.Module, tokenizer, texts: Sequence[str], *, steps: int, seed: int, lr: float = 5e-4, batch: int = 1024,
    mask: float = 0.2,
) -> list[float]:  # fmt: skip
    """Fill in masked words of ``texts``, with the optimiser and the schedule of the pretraining, and without dropout.

    Args:
        model: a BERT with the head that fills masks, such as :func:`clt.predicting.word_filler` gives; trained in
            place, on the device it is on, and left in evaluation mode.
        tokenizer: its tokenizer; the special pieces have to be those of ``clt-mini``.
        texts: sentences or paragraphs; each becomes a run of pieces, or several if it is long.
        steps: updates.
        seed: of the batches and the masks.
        lr: the highest learning rate.
        batch: pieces in a batch; all its runs have one length, so nothing is padding.
        mask: the share of the words that is predicted.

    Returns:
        The loss of each step, in nats a hidden piece.

    Raises:
        ValueError: if there is too little text for one batch.

    Source: Gururangan et al. (2020): on the texts of a domain (DAPT), or of a task, without its labels (TAPT).
    """
    pieces, starts = encode(texts, tokenizer)
    names, lengths = tokenizer.convert_ids_to_tokens(range(len(tokenizer))), np.diff(starts)
    if not (len(lengths) and batch_plan(lengths, batch, (seed, 0))):
        raise ValueError(f"too little text: no batch of {batch} pieces has enough runs of one length")
    continues = torch.tensor([name.startswith("##") for name in names])
    device, paid, draw = next(model.parameters()).device, [], torch.Generator().manual_seed(seed)
    model.eval().requires_grad_(True)
    optimizers = optimizers_of(model)
    epochs = (batch_plan(lengths, batch, (seed, epoch)) for epoch in itertools.count())
    for step, rows in enumerate(itertools.islice(itertools.chain.from_iterable(epochs), steps)):
        ids = batch_at(pieces, starts, rows)
        hidden, chosen = mask_words(ids, continues, mask, draw)
        for group in itertools.chain.from_iterable(optimizer.param_groups for optimizer in optimizers):
            group["lr"] = learning_rate(step, steps, lr) * group["share"]
        loss = masked_loss(model, *(tensor.to(device) for tensor in (hidden, ids, chosen)))
        model.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        paid.append(loss.item())
    return paid


def contrast(
    encoder: SentenceEncoder, texts: Sequence[str], *, steps: int, seed: int, lr: float = 5e-4, size: int = 32
) -> list[float]:
    """Unsupervised SimCSE: find a sentence by another reading of it, with other dropout. The upper half learns.

    Args:
        encoder: trained in place above its second layer, and left in evaluation mode.
        texts: sentences.
        steps: updates; a tenth of them warm up.
        seed: of the batches and of dropout.
        lr: the highest learning rate.
        size: sentences in a batch, all of about one length.

    Returns:
        The loss of each step.

    Raises:
        ValueError: if there are fewer texts than ``size``.

    Source: Gao, Yao and Chen (2021); the settings are those of lesson 04's short run.
    """
    draw = data.batches_alike(texts, size=size)
    paid = training.train(
        encoder.requires_grad_(True).train_above(2), lambda generator: encoder.tokenize(draw(generator)),
        lambda model, batch: losses.simcse_loss(model(batch), model(batch)),
        steps=steps, learning_rate=lr, warmup=steps // 10, seed=seed, progress=False,
    )["loss"]  # fmt: skip
    encoder.requires_grad_(True)
    return paid


def follow(plan: str, *, seed: int, max_length: int = 48) -> Iterator[SentenceEncoder]:
    """Take ``clt-mini`` through a plan, and give the same encoder after each of its steps, for measuring.

    Args:
        plan: steps joined by ``", then "``: ``"untouched"``, or ``"masked words on "`` or ``"contrast on "`` and a
            domain of :func:`clt.data.unlabelled`. Either takes 60 steps.
        seed: of every step.
        max_length: of the encoder.

    Raises:
        ValueError: if a step is none of these.
    """
    filler = word_filler()
    encoder = SentenceEncoder(filler.bert, SentenceEncoder.load("clt-mini").tokenizer, max_length=max_length)
    for step in plan.split(", then "):
        objective, _, domain = step.partition(" on ")
        if objective == "masked words":
            pretrain(filler, encoder.tokenizer, data.unlabelled(domain), steps=60, seed=seed)
        elif objective == "contrast":
            contrast(encoder, data.unlabelled(domain), steps=60, seed=seed)
        elif step != "untouched":
            raise ValueError(f"expected 'masked words on …', 'contrast on …' or 'untouched', got {step!r}")
        yield encoder
