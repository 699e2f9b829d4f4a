"""One encoder, one budget, every loss of the course: what each of them makes of ``clt-mini``.

A row of the leaderboard is a line of configuration: which texts, which loss, with which options. Whatever the row, a
step reads as many sentences, and every loss sees unit vectors, because every measure does. A loss of your own is one
row more: any function of the vectors that its texts bring.
"""

import zlib
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clt import data, evaluation, losses, metrics, training

READINGS = 72  # sentences that a step reads, whichever the texts

# ---- what a step reads: columns of sentences, and what else the loss is told of them


def sentences(generator: torch.Generator) -> list:
    """36 sentences without labels, of about one length, each twice: dropout makes the difference."""
    drawn = _alike()(generator)
    return [drawn, drawn]


def stories(generator: torch.Generator) -> list:
    """12 stories or dialogues of six sentences, in their order, and which text each sentence is from."""
    return list(_in_order()(generator))


def pairs(generator: torch.Generator) -> list:
    """36 premises of ``nli``, and a sentence that follows from each."""
    return _rows("nli", ("premise", "entailment"), READINGS // 2)(generator)


def twins(generator: torch.Generator) -> list:
    """24 premises, each twice, and a sentence that follows from each."""
    first, second = _rows("nli", ("premise", "entailment"), READINGS // 3)(generator)
    return [first, first, second]


def triplets(generator: torch.Generator) -> list:
    """24 premises, with a sentence that follows and one that cannot be true."""
    return _rows("nli", ("premise", "entailment", "contradiction"), READINGS // 3)(generator)


def situations(generator: torch.Generator) -> list:
    """72 situations of ``emotions``, four of each of 18 emotions, and their labels."""
    texts, labels, draw = _labelled()
    chosen = draw(generator)
    return [[texts[i] for i in chosen.tolist()], labels[chosen]]


def grades(generator: torch.Generator) -> list:
    """36 pairs of ``sts`` and their grades."""
    first, second, scores = _rows("sts", ("sentence1", "sentence2", "score"), READINGS // 2)(generator)
    return [first, second, torch.tensor(scores)]


TEXTS: dict[str, Callable[[torch.Generator], list]] = {
    read.__name__: read for read in (sentences, stories, pairs, twins, triplets, situations, grades)
}


@cache
def _alike() -> Callable:
    return data.batches_alike(data.sentences(), size=READINGS // 2)


@cache
def _in_order() -> Callable:
    texts = [*data.load("stories", "train")["sentences"], *data.load("dialogues", "train")["turns"]]
    return data.batches_in_order(texts, size=READINGS // 6)


@cache
def _rows(name: str, columns: tuple[str, ...], size: int) -> Callable:
    rows = data.load(name, "train")
    return data.batches(*(list(rows[column]) for column in columns), size=size)


@cache
def _labelled() -> tuple[list[str], Tensor, Callable]:
    rows = data.load("emotions", "train")
    names = sorted(set(rows["label"]))
    draw = data.batches_by_label(rows["label"], classes=READINGS // 4, per_class=4)
    return list(rows["text"]), torch.tensor([names.index(label) for label in rows["label"]]), draw


# ---- losses that want their arguments in another form


def sampled(query: Tensor, positive: Tensor, *, k: int = 5, temperature: float = 0.05) -> Tensor:
    """Negative sampling, with k other positives of the batch as the negatives of each query."""
    negatives = torch.stack([positive.roll(shift, 0) for shift in range(1, k + 1)], dim=1)
    return losses.negative_sampling_loss(query, positive, negatives, temperature=temperature)


def one_negative(query: Tensor, positive: Tensor, *, margin: float = 0.5) -> Tensor:
    """The triplet loss with the next positive of the batch as the negative."""
    return losses.triplet_loss(query, positive, positive.roll(1, 0), margin=margin)


def self_guided(query: Tensor, positive: Tensor, *, margin: float = 0.1, temperature: float = 0.05) -> Tensor:
    """InfoNCE in which a candidate more than ``margin`` above the positive is taken for another right answer.

    Source: the mask of Qwen3-Embedding (2025), among queries and positives alone.
    """
    guide = query.detach(), positive.detach()
    return losses.guided_info_nce_loss(query, positive, *guide, temperature=temperature, margin=-margin)


def in_order(z: Tensor, texts: Tensor, *, temperature: float = 0.05) -> Tensor:
    """QuickThoughts with one encoder, on cosines over a temperature."""
    return losses.quick_thoughts_loss(z / temperature, z, texts)


def twins_apart(anchor: Tensor, identical: Tensor, fraternal: Tensor, *, margin: float = 0.5) -> Tensor:
    """IFCL without a queue, with one margin for all sentences."""
    return losses.ifcl_loss(anchor, identical, fraternal, torch.full_like(anchor[:, 0], margin))


def graded(left: Tensor, right: Tensor, scores: Tensor, *, scale: float = 20.0) -> Tensor:
    """CoSENT on the cosines of pairs."""
    return losses.cosent_loss((left * right).sum(1), scores, scale=scale)


SHAPED = {loss.__name__: loss for loss in (sampled, one_negative, self_guided, in_order, twins_apart, graded)}

# ---- the rows: texts, loss, options, and the lesson that taught it


def row(texts: str, loss: str, **options) -> dict:
    """A line of the leaderboard, as :func:`fit` takes it: which texts, which loss, with which options."""
    return {"texts": texts, "loss": loss} | options


ROWS = {
    "dropout: SimCSE": row("sentences", "simcse_loss", temperature=0.05),
    "stories: QuickThoughts": row("stories", "in_order", temperature=0.05),
    "pairs: InfoNCE": row("pairs", "info_nce_loss", temperature=0.05),
    "pairs: NT-Xent": row("pairs", "nt_xent_loss", temperature=0.05),
    "pairs: negative sampling": row("pairs", "sampled", temperature=0.05),
    "pairs: triplet": row("pairs", "one_negative", margin=0.5),
    "pairs: decoupled": row("pairs", "decoupled_loss", temperature=0.05),
    "pairs: hard, debiased": row("pairs", "hard_negative_loss", temperature=0.05, hardness=0.1, class_prior=0.01),
    "pairs: SigLIP": row("pairs", "sigmoid_loss", temperature=0.1, bias=-10.0),
    "pairs: CLIP": row("pairs", "clip_loss", temperature=0.05),
    "pairs: self-guided": row("pairs", "self_guided", temperature=0.05),
    "twins: IFCL": row("twins", "twins_apart", margin=0.5),
    "triplets: SimCSE": row("triplets", "simcse_loss", temperature=0.05),
    "triplets: triplet": row("triplets", "triplet_loss", margin=0.2),
    "emotions: SupCon": row("situations", "sup_con_loss", temperature=0.1),
    "emotions: batch-hard triplet": row("situations", "batch_triplet_loss", margin=0.5, mining="hard"),
    "emotions: lifted structure": row("situations", "lifted_structure_loss"),
    "emotions: soft neighbour": row("situations", "soft_nearest_neighbor_loss", temperature=0.2),
    "grades: CoSENT": row("grades", "graded", scale=20.0),
}


def named(loss: str | Callable) -> Callable:
    """A loss of the course by its name, or of this module; a function is its own name."""
    return loss if callable(loss) else SHAPED.get(loss) or getattr(losses, loss)


def fit(
    encoder, texts: str, loss: str | Callable, *, steps: int, learning_rate: float = 5e-4, seed: int = 0,
    progress: bool = False, **options,
) -> list[float]:  # fmt: skip
    """Train an encoder in place with one row of the leaderboard.

    All sentences of a step are read at once; the loss gets the unit vectors of each column, ``(N, D)``, and what else
    the texts bring: labels, grades, or which text a sentence is from.

    Args:
        encoder: a :class:`clt.encoders.SentenceEncoder`, or its upper layers.
        texts: a key of ``TEXTS``.
        loss: its name in :mod:`clt.losses` or in ``SHAPED``, or a function such as your own.
        steps, learning_rate, seed, progress: as for :func:`clt.training.train`.
        options: of the loss.

    Returns:
        The loss of each step.

    Raises:
        ValueError: if the texts are not known; otherwise as the loss, and :func:`clt.training.train`.
        AttributeError: if there is no such loss.
    """
    if texts not in TEXTS:
        raise ValueError(f"there are no texts {texts!r}; there are {', '.join(TEXTS)}")
    function = named(loss)

    def loss_of(model: nn.Module, batch: list) -> Tensor:
        columns, told = _parts(batch)
        z = model(model.tokenize([sentence for column in columns for sentence in column]))
        z = F.normalize(z.float(), dim=1)
        return function(*z.chunk(len(columns)), *(part.to(z.device) for part in told), **options)

    history = training.train(
        encoder, TEXTS[texts], loss_of, steps=steps, learning_rate=learning_rate, warmup=steps // 10,
        weight_decay=0.01, seed=seed, progress=progress,
    )  # fmt: skip
    return history["loss"]


def memory(texts: str, loss: str | Callable, **options) -> int:
    """How many bytes a loss needs at the most for the vectors of one step, its gradient included."""
    columns, told = _parts(TEXTS[texts](torch.Generator().manual_seed(0)))
    vectors = torch.randn(READINGS, 256, generator=torch.Generator().manual_seed(0))
    vectors = F.normalize(vectors, dim=1).requires_grad_()
    with training.CountMemory() as counted:
        named(loss)(*vectors.chunk(len(columns)), *told, **options).backward()
    return counted.peak


def _parts(batch: Sequence) -> tuple[list[list[str]], list[Tensor]]:
    """Columns of sentences, and what else a batch brings."""
    return [part for part in batch if isinstance(part, list)], [part for part in batch if isinstance(part, Tensor)]


# ---- the columns


def measure(encoder, scored: Sequence[str] = evaluation.STS) -> dict[str, float]:
    """The columns of the leaderboard, each from texts that no row has been trained on.

    Args:
        encoder: what gives the vectors.
        scored: sets of scored pairs, as for :func:`clt.evaluation.sts`.

    Returns:
        Spearman × 100 for each of ``scored``; ``"search"``, nDCG@10 × 100 of ``questions/test`` among all passages;
        ``"neighbours"``, how many of the five nearest among the other test situations have the emotion of their
        situation, and ``"probe"``, how many situations a linear classifier names that was fitted on every other one,
        both in per cent; ``"alignment"`` and ``"uniformity"`` on ``sts/dev``; ``"anisotropy"``, the mean cosine of two
        of the test situations.
    """
    found = evaluation.sts(encoder, scored)
    task = evaluation.search_task("questions/test")
    queries, documents = (F.normalize(encoder.encode(texts), dim=1) for texts in (task.queries, task.documents))
    found["search"] = 100 * metrics.ndcg(queries @ documents.T, task.relevance, 10)
    rows = data.load("emotions", "test")
    z, labels = encoder.encode(list(rows["text"])), list(rows["label"])
    found["neighbours"] = same_neighbours(z, labels)
    found["probe"] = 100 * metrics.linear_probe(z[::2], labels[::2], z[1::2], labels[1::2], c=0.1)
    found |= evaluation.plane(encoder, "sts/dev")
    found["anisotropy"] = metrics.anisotropy(z).item()
    return found


def same_neighbours(z: Tensor, labels: Sequence[str], *, k: int = 5) -> float:
    """Of the ``k`` nearest other rows, by cosine, how many have a row's own label, in per cent."""
    z, names = F.normalize(z, dim=1), sorted(set(labels))
    numbers = torch.tensor([names.index(label) for label in labels])
    nearest = (z @ z.T).fill_diagonal_(-torch.inf).topk(k, dim=1).indices
    return 100 * (numbers[nearest] == numbers[:, None]).float().mean().item()


PARTS = (1, 2, 4, 8, 16, 32)


def cut(encoder, *, name: str = "sts", parts: Sequence[int] = PARTS) -> dict[str, float]:
    """What the first numbers of each vector are worth, and as many of its principal components.

    Args:
        encoder: what gives the vectors; they are taken at length 1.
        name: a set of scored pairs; its test pairs are scored, and the components are those of its training sentences.
        parts: how small a part of the D numbers is kept: a half is 2.

    Returns:
        Spearman × 100: ``{"cut 1/2": …, "PCA 1/2": …}`` for each part. At 1/1 they differ, because principal components
        are those of centred vectors.
    """
    rows, some = data.load(name, "test"), data.load(name, "train")["sentence1"]
    pairs = [F.normalize(encoder.encode(list(rows[column])), dim=1) for column in ("sentence1", "sentence2")]
    known = F.normalize(encoder.encode(list(some)), dim=1)
    axes = torch.linalg.svd(known - known.mean(0)).Vh.T
    ways, found = {"cut": pairs, "PCA": [(z - known.mean(0)) @ axes for z in pairs]}, {}
    for part in parts:
        for way, (left, right) in ways.items():
            width = left.shape[1] // part
            found[f"{way} 1/{part}"] = 100 * metrics.sts_spearman(left[:, :width], right[:, :width], rows["score"])
    return found


class Vectors:
    """Anything that makes a matrix of a list of texts, as what the measures ask for: something with ``encode``."""

    def __init__(self, make: Callable[[list[str]], Tensor]):
        self.make = make

    def encode(self, sentences: Sequence[str]) -> Tensor:
        """The ``(N, D)`` vectors."""
        return self.make(list(sentences))


def floors(encoder) -> dict[str, Vectors]:
    """Rows that nobody trained, and that a trained one has to beat.

    The encoder as it is, centred, and whitened, both on the training premises of ``nli``; tf-idf of the 2,000 most
    frequent words of the course's texts; and vectors drawn at random, always the same ones for a text.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer  # late: half a second

    read = cache(lambda texts: encoder.encode(list(texts)))
    premises = encoder.encode(list(data.load("nli", "train")["premise"]))
    middle = premises.mean(0)
    directions, spread, _ = torch.linalg.svd((premises - middle).double().T.cov())
    white = (directions / spread.sqrt())[:, spread > 1e-6 * spread[0]].float()  # where nothing varies there is noise
    words = TfidfVectorizer(max_features=2000, dtype=np.float32).fit(data.sentences("nli", "sts", "emotions"))
    made = {
        "untrained": lambda texts: read(tuple(texts)),
        "centred": lambda texts: read(tuple(texts)) - middle,
        "whitened": lambda texts: (read(tuple(texts)) - middle) @ white,
        "tf-idf": lambda texts: torch.from_numpy(words.transform(texts).toarray()),
        "random": lambda texts: torch.stack([_drawn(text, len(middle)) for text in texts]),
    }
    return {name: Vectors(make) for name, make in made.items()}


def _drawn(text: str, width: int) -> Tensor:
    return torch.randn(width, generator=torch.Generator().manual_seed(zlib.crc32(text.encode())))
