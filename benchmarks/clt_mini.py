"""What `clt-mini` scores, how its space looks, how fast it is, and whether contrastive learning cures it.

    CLT_DATA=FOLDER python benchmarks/clt_mini.py [--encoder FOLDER] [--seeds 3]

Prints the tables of the model card, `data/clt-mini/README.md`. CLT_DATA names the folder with the public STS sets.
"""

import functools
import random
import statistics
import time

import click
import torch
import torch.nn.functional as F
from torch import Tensor

from clt import augment, data, losses, metrics, training
from clt.encoders import SentenceEncoder

PUBLIC = {"STS-B dev": ("STS-B", "dev"), "STS-B test": ("STS-B", "test"), "STS12": ("STS12", "test"),
          "STS14": ("STS14", "test"), "STS15": ("STS15", "test")}  # fmt: skip
OWN = {"own dev": ("sts", "dev"), "own test": ("sts", "test")}


@functools.cache
def pairs(name: str, split: str):
    rows = data.load(name, split)
    return rows["sentence1"], rows["sentence2"], rows["score"]


def sts(encoder: SentenceEncoder, sets: dict[str, tuple[str, str]]) -> dict[str, float]:
    """Spearman × 100 of the cosine with the scores of the pairs, all subsets of a year together."""
    found = {}
    for label, (name, split) in sets.items():
        left, right, scores = pairs(name, split)
        vectors = encoder.encode([*left, *right])
        found[label] = 100 * metrics.sts_spearman(vectors[: len(left)], vectors[len(left) :], scores)
    return found


def shape(encoder: SentenceEncoder) -> dict[str, float]:
    """How a thousand sentences of STS-B test lie on the sphere."""
    left, right, _ = pairs("STS-B", "test")
    vectors = F.normalize(encoder.encode(sorted({*left, *right})[:1000]), dim=1)
    return {"mean cosine": metrics.anisotropy(vectors).item(), "uniformity": metrics.uniformity(vectors).item()}


def triplets(encoder: SentenceEncoder, batch: int):
    """Batches of premise, entailed and contradicting hypothesis."""
    rows = data.load("nli", "train")
    columns = [rows[name] for name in ("premise", "entailment", "contradiction")]

    def sample(generator: torch.Generator):
        chosen = torch.randperm(len(rows), generator=generator)[:batch].tolist()
        return [[column[i] for i in chosen] for column in columns]

    return sample


def alike_in_length(encoder: SentenceEncoder, batch: int):
    """Batches of sentences of about one length, so that length is no shortcut."""
    rows = data.load("nli", "train")
    sentences = sorted({s for name in ("premise", "entailment", "neutral", "contradiction") for s in rows[name]})
    sentences.sort(key=lambda s: len(encoder.tokenizer(s)["input_ids"]))

    def sample(generator: torch.Generator):
        start = int(torch.randint(len(sentences) - batch + 1, (1,), generator=generator))
        return sentences[start : start + batch]

    return sample


def supervised(encoder: SentenceEncoder, columns) -> Tensor:
    return losses.simcse_loss(*(encoder(encoder.tokenize(column)) for column in columns))  # each as long as it must be


def by_dropout(encoder: SentenceEncoder, sentences) -> Tensor:
    return losses.simcse_loss(*encoder(encoder.tokenize([*sentences, *sentences])).chunk(2))


def by_crops(encoder: SentenceEncoder, sentences) -> Tensor:
    rng = random.Random(torch.randint(2**31, (1,)).item())
    views = [augment.crop(sentence, rng, keep=0.7) for _ in range(2) for sentence in sentences]
    return losses.simcse_loss(*encoder(encoder.tokenize(views)).chunk(2))


# name: batches, loss, steps, learning rate
CURES = {
    "supervised SimCSE": (triplets, supervised, 45, 1e-4),
    "unsupervised SimCSE (dropout)": (alike_in_length, by_dropout, 60, 1e-4),
    "unsupervised, two crops of 70 %": (alike_in_length, by_crops, 60, 1e-4),
}


def cure(name: str, place: str, seed: int) -> tuple[SentenceEncoder, float]:
    """A fresh encoder after the cure, and the seconds it took."""
    batches, loss_of, steps, rate = CURES[name]
    encoder = SentenceEncoder.load(place, max_length=32)
    options = {"steps": steps, "learning_rate": rate, "warmup": steps // 10, "weight_decay": 0.01}
    sample, start = batches(encoder, 64), time.perf_counter()
    training.train(encoder, sample, loss_of, seed=seed, progress=False, **options)
    seconds = time.perf_counter() - start
    encoder.max_length = 128
    return encoder, seconds


def line(*cells: object) -> None:
    click.echo("| " + " | ".join(f"{c:.1f}" if isinstance(c, float) else str(c) for c in cells) + " |")


def head(*names: str) -> None:
    line(*names)
    line(*["---"] * len(names))


def gain(values: list[float], before: float) -> str:
    """Mean gain over the seeds, its standard deviation, and where it ends."""
    deviation = statistics.stdev(values) if len(values) > 1 else float("nan")
    return f"{statistics.fmean(values) - before:+.1f} ± {deviation:.1f} (to {statistics.fmean(values):.1f})"


def speed(place: str) -> None:
    start = time.perf_counter()
    encoder = SentenceEncoder.load(place)
    click.echo(f"\nloading: {time.perf_counter() - start:.2f} s beyond the imports")
    left, right, _ = pairs("STS-B", "test")
    sentences = [*left, *right][:1000]
    encoder.encode(sentences[:64])
    start = time.perf_counter()
    encoder.encode(sentences)
    click.echo(f"encoding 1,000 sentences: {time.perf_counter() - start:.2f} s on {torch.get_num_threads()} threads\n")


@click.command()
@click.option("--encoder", "place", default="clt-mini", show_default=True, help="A name or a folder.")
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(1))
@click.option("--only", type=click.Choice(list(CURES)), help="One cure. [default: all]")
def main(place: str, seeds: int, only: str | None) -> None:
    """Measure the encoder, then its cures, and print the tables of the model card."""
    import transformers

    transformers.logging.set_verbosity_error()
    SentenceEncoder.load(place)  # the imports behind it are not the encoder's time
    speed(place)
    head("pooling", *PUBLIC, *OWN, "mean cosine", "uniformity")
    for pooling in ("mean", "cls", "first-last"):
        encoder = SentenceEncoder.load(place, pooling=pooling)
        form = shape(encoder)
        line(pooling, *sts(encoder, PUBLIC | OWN).values(), *(f"{value:.2f}" for value in form.values()))
    watched = {name: PUBLIC[name] for name in ("STS-B dev", "STS-B test")} | OWN
    before = sts(SentenceEncoder.load(place), watched)
    click.echo()
    head("cure", "steps, learning rate", *watched, "mean cosine", "seconds")
    for name, (_, _, steps, rate) in CURES.items():
        if only not in (None, name):
            continue
        after, cosines, seconds = [], [], []
        for seed in range(seeds):
            encoder, took = cure(name, place, seed)
            after.append(sts(encoder, watched))
            cosines.append(shape(encoder)["mean cosine"])
            seconds.append(took)
        gains = [gain([found[label] for found in after], before[label]) for label in watched]
        line(name, f"{steps}, {rate:g}", *gains, f"{statistics.fmean(cosines):.2f}", max(seconds))


if __name__ == "__main__":
    main()
