"""What lessons 11 and 12 train on labelled pairs: beside other tasks, and against an adversary.

The losses of the lessons are their own; here is what is not the idea.
"""

import copy
import functools
from collections.abc import Callable, Sequence
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clt import data, evaluation, losses, metrics, training
from clt.predicting import together

LABELS = ("entailment", "neutral", "contradiction")


def labelled(split: str) -> tuple[list[str], list[str], list[int]]:
    """Premises, hypotheses, and the number of the label in :data:`LABELS`: each premise of ``nli`` three times."""
    rows = data.load("nli", split)
    hypotheses = [text for label in LABELS for text in rows[label]]
    labels = [number for number in range(len(LABELS)) for _ in range(len(rows))]
    return list(rows["premise"]) * len(LABELS), hypotheses, labels


def batches(size: int) -> Callable[[torch.Generator], list[list]]:
    """Draws ``size`` pairs of the training part of ``nli``: premises, hypotheses, labels."""
    return data.batches(*labelled("train"), size=size)


# ---- one encoder for several tasks


@functools.lru_cache(maxsize=1)
def _upper(encoder):
    """The upper two layers of the encoder, to be copied: copies share what the lower ones make of a text."""
    return encoder.above(2, room=16_000)


def _right(logits: Tensor, labels: Sequence[int]) -> float:
    return 100 * (logits.argmax(dim=1).cpu() == torch.tensor(labels)).float().mean().item()


def following(name: str, split: str) -> list[list[str]]:
    """The texts of ``stories`` or ``dialogues``, each a list of sentences or turns in order."""
    return list(data.load(name, split)[{"stories": "sentences", "dialogues": "turns"}[name]])


def _next(texts: list[list[str]], generator: torch.Generator) -> tuple[list[str], list[str]]:
    """From each of 32 texts a sentence and the one that follows it: no two pairs are of one text."""
    chosen = [texts[i] for i in torch.randperm(len(texts), generator=generator)[:32].tolist()]
    places = [int(torch.randint(len(text) - 1, (1,), generator=generator)) for text in chosen]
    pairs = [text[i : i + 2] for text, i in zip(chosen, places, strict=True)]
    return [first for first, _ in pairs], [second for _, second in pairs]


def with_head(encoder) -> nn.Module:
    """The encoder itself, with USE's head for inference: a linear layer on ``(u, v, |u − v|, u∗v)``."""
    encoder.head = nn.Linear(4 * encoder.dimension, len(LABELS)).to(encoder.device)
    return encoder


def inference_loss(head: nn.Linear, vectors: Tensor, labels: Sequence[int]) -> Tensor:
    """Cross entropy of the labels; the first half of the ``(2N, D)`` vectors are premises, the others hypotheses."""
    return F.cross_entropy(_logits(head, vectors), torch.tensor(labels).to(vectors.device))


def _logits(head: nn.Linear, vectors: Tensor) -> Tensor:
    return head(together(*vectors.chunk(2)))


_TEXTS = {"neighbours": "stories", "replies": "dialogues"}
TASKS = {f"{task} alone": {"shared": [task]} for task in (*_TEXTS, "inference")}
TASKS["three in turn"] = {"shared": [*_TEXTS, "inference"]}


def share(encoder, sets: Sequence[str], *, shared: Sequence[str], steps: int = 72, seed: int = 0) -> dict[str, float]:
    """Train the upper two layers on the tasks in ``shared``, one after another, step by step: USE's three tasks.

    *Neighbours*: a sentence of a story has to find the next one among those of 32 stories. *Replies*: the same with
    turns of conversations. *Inference*: 32 pairs of ``nli``, :func:`with_head`. Each step is one task's.

    Returns:
        What :func:`measured` has, in per cent; and, where it was trained, the accuracy of *inference*.
    """
    training.seed_everything(seed)
    model, step = with_head(copy.deepcopy(_upper(encoder))), iter(range(steps))
    draws = {task: functools.partial(_next, following(name, "train")) for task, name in _TEXTS.items()}
    draws["inference"] = batches(32)

    def loss_of(model: nn.Module, batch: Sequence[list]) -> Tensor:
        vectors = model(model.tokenize([*batch[0], *batch[1]]))
        if len(batch) == 3:
            return inference_loss(model.head, vectors, batch[2])
        return losses.info_nce_loss(*vectors.chunk(2), temperature=0.05)

    training.train(
        model, lambda generator: draws[shared[next(step) % len(shared)]](generator), loss_of, steps=steps,
        learning_rate=2e-4, warmup=steps // 10, weight_decay=0.01, seed=seed, progress=False,
    )  # fmt: skip
    found = measured(model, sets)
    if "inference" in shared:
        *test, truth = labelled("test")
        vectors = torch.cat([model.encode(side) for side in test]).to(model.device)
        with torch.no_grad():
            found["inference"] = _right(_logits(model.head, vectors), truth)
    return found


def measured(encoder, sets: Sequence[str]) -> dict[str, float]:
    """Graded pairs, and how often the next sentence is among the ten nearest: what :func:`share` measures."""
    found = evaluation.sts(encoder, sets)
    for task, name in _TEXTS.items():  # every other sentence asks, so that none finds itself
        texts = following(name, "dev") + following(name, "test")
        pairs = [text[i : i + 2] for text in texts for i in range(0, len(text) - 1, 2)]
        u, v = (F.normalize(encoder.encode([pair[k] for pair in pairs]), dim=1) for k in range(2))
        found[task] = 100 * metrics.recall(u @ v.T, torch.eye(len(pairs)), 10)
    return found


def before(encoder, words) -> dict[str, float]:
    """The rows beside :func:`share` without training, by their keys: the encoder as it is, and vectors of words."""
    rows = {"untrained": encoder, "tf-idf": words}
    return {f"{row}.{task}": value for row, model in rows.items() for task, value in measured(model, []).items()}


# ---- an adversary


def adversarial_views(
    model, texts: list[str], loss_of: Callable[[Tensor], Tensor], *, size: float = 1.0, aimed: bool = True
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Each text as it is, and with its embeddings moved to where a loss grows fastest.

    .. math:: e_t' = e_t + \varepsilon\, \frac{g_t}{\lVert g_t \rVert_2}, \quad g_t = \frac{\partial \ell}{\partial e_t}

    for each token :math:`t`, whose vector :math:`e_t` the embedding layer has made.

    Args:
        model: what :meth:`clt.encoders.SentenceEncoder.above` gives; its frozen layers are read anew, with gradient.
        texts: N sentences.
        loss_of: the loss :math:`\ell` of their ``(N, D)`` vectors, one number.
        size: the length :math:`\varepsilon` of each token's move.
        aimed: if not, each token moves as far in a random direction.

    Returns:
        The vectors of the texts as they are, those of the moved ones, and the loss of the former. All have a gradient;
        the move is a constant.

    Source: Yan et al. (2021), ConSERT, "adversarial attack" by the fast gradient (FGV), for training with labels only.
    """
    lower = model.memory.lower
    batch = lower.tokenize(texts)
    states = lower.model.embeddings(input_ids=batch["input_ids"]).detach().requires_grad_()

    def read(embedded: Tensor) -> Tensor:
        with lower.model.embeddings.register_forward_hook(lambda *_: embedded):
            above = lower.model(**batch).last_hidden_state
        return model({"inputs_embeds": above, "attention_mask": batch["attention_mask"]})

    plain = read(states)
    value = loss_of(plain)
    direction = torch.autograd.grad(value, states, retain_graph=True)[0] if aimed else torch.randn_like(states)
    return plain, read((states + size * F.normalize(direction, dim=-1)).detach()), value


JOINT = {"no views": {"second": "no views"}, "equal views": {}, "random direction": {"second": "random"},
         "adversarial": {"second": "adversarial"},
         "shuffle × feature cutoff": {"first": "shuffle", "second": "feature cutoff"}}  # fmt: skip
JOINT = {f"labels, {name}": {"texts": "labelled pairs", "papers": True} | o for name, o in JOINT.items()}


def joint_loss(model, batch: tuple, o: SimpleNamespace, view: Callable | None = None) -> Tensor:
    """Inference with labels, plus 0.15 times the contrast of two views of the same sentences, as ConSERT trains.

    Premises are told apart from premises, and hypotheses from hypotheses.

    Args:
        model: as in :func:`adversarial_views`, and :func:`with_head`.
        batch: premises, hypotheses, labels.
        o: ``second`` is the change of the second view: ``"adversarial"``, ``"random"``, or what ``view`` knows; with
            ``first`` that of the first. ``"no views"`` leaves the contrast out.
        view: ``view(model, texts, change, generator)``, the vectors of changed texts.
    """
    first, second, labels = batch
    texts = [*first, *second]
    if o.second in ("adversarial", "random"):
        one, other, value = adversarial_views(
            model, texts, lambda x: inference_loss(model.head, x, labels), aimed=o.second == "adversarial"
        )
    else:
        generator = torch.Generator().manual_seed(int(torch.randint(2**31, (1,))))
        plain = model(model.tokenize(texts))
        value = inference_loss(model.head, plain, labels)
        if o.second == "no views":
            return value
        one, other = (view(model, texts, change, generator) for change in (o.first, o.second))
    halves = zip(one.chunk(2), other.chunk(2), strict=True)
    return value + 0.15 * sum(losses.simcse_loss(*half, temperature=0.05) for half in halves) / 2
