"""Sentences a second: reading and training with `SentenceEncoder`, beside sentence-transformers with the same model.

    python benchmarks/encoding.py [--threads 1] [--sentences 1200] [--steps 4]

Counted is the processor time of all threads, so that other programs matter little; the ways take turns, and the
quickest of three rounds is printed. Both read with the model's own batch size; a step of training is 64 pairs of
sentences, InfoNCE, its gradients and AdamW, with dropout; ours multiplies in bfloat16 where the processor does.
"""

import time

import click
import torch

from clt import data, encoders, losses, training


@click.command(context_settings={"show_default": True})
@click.option("--threads", default=1)
@click.option("--sentences", default=1200)
@click.option("--steps", default=4)
def main(threads: int, sentences: int, steps: int):
    """Print sentences a second of both, and the largest difference of what they read."""
    torch.set_num_threads(threads)
    texts, nli = data.sentences("everyday")[:sentences], data.load("nli", "train")
    pairs = list(zip(nli["premise"], nli["entailment"], strict=True))[: 64 * steps]
    ours, theirs = encoders.SentenceEncoder.load("clt-mini"), peer()
    difference = (ours.encode(texts) - theirs.encode(texts, convert_to_tensor=True)).abs().max().item()
    print(f"largest difference of a number: {difference:.1g}")
    report("reading", len(texts), {
        "clt": lambda: ours.encode(texts),
        "sentence-transformers": lambda: theirs.encode(texts, convert_to_tensor=True),
    })  # fmt: skip
    report("training", 2 * len(pairs), {
        "clt": lambda: train(ours, pairs),
        "sentence-transformers": lambda: train_peer(theirs, pairs),
    })  # fmt: skip


def report(what: str, count: int, ways: dict, rounds: int = 3) -> None:
    seconds = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.process_time()
            way()
            seconds[name].append(time.process_time() - start)
    for name, values in seconds.items():
        print(f"{what}, {name}: {count / min(values):.0f} sentences a second")


def peer():
    from sentence_transformers import SentenceTransformer, models

    words = models.Transformer(str(data.data_dir() / "clt-mini"), max_seq_length=128)
    return SentenceTransformer(modules=[words, models.Pooling(256, pooling_mode="mean")], device="cpu")


def train(encoder, pairs) -> None:
    def loss(model, batch):
        return losses.info_nce_loss(*(model(model.tokenize(side)) for side in batch), temperature=0.05)

    sample = data.batches(*map(list, zip(*pairs, strict=True)), size=64)
    training.train(encoder, sample, loss, steps=len(pairs) // 64, learning_rate=1e-5, progress=False)


def train_peer(encoder, pairs) -> None:
    """Their loss and model in a loop of one's own: the Trainer adds its own costs."""
    from sentence_transformers.losses import MultipleNegativesRankingLoss

    loss_of, optimizer = MultipleNegativesRankingLoss(encoder, scale=20), torch.optim.AdamW(encoder.parameters(), 1e-5)
    encoder.train()
    for start in range(0, len(pairs), 64):
        sides = zip(*pairs[start : start + 64], strict=True)
        optimizer.zero_grad()
        loss_of([encoder.tokenize(list(side)) for side in sides], None).backward()
        optimizer.step()


if __name__ == "__main__":
    main()
