"""What lesson 12 trains on labelled pairs: views of their sentences beside the labels, and an adversary's among them.

The loss of unlabelled views is the lesson's own.
"""

from collections.abc import Callable, Sequence
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clt import data, losses

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


def with_head(encoder) -> nn.Module:
    """The encoder itself, with USE's head for inference: a linear layer on (u, v, |u − v|, u∗v)."""
    encoder.head = nn.Linear(4 * encoder.dimension, len(LABELS)).to(encoder.device)
    return encoder


def inference_loss(head: nn.Linear, vectors: Tensor, labels: Sequence[int]) -> Tensor:
    """Cross entropy of the labels; the first half of the ``(2N, D)`` vectors are premises, the others hypotheses."""
    return F.cross_entropy(_logits(head, vectors), torch.tensor(labels).to(vectors.device))


def _logits(head: nn.Linear, vectors: Tensor) -> Tensor:
    u, v = vectors.chunk(2)
    return head(torch.cat([u, v, (u - v).abs(), u * v], dim=1))


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
