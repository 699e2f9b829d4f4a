"""What lesson 10 reads and measures: texts in order, and how well a sentence finds what stands beside it.

Its losses are the lesson's own; here is what is not the idea.
"""

import copy
import functools
import math
import random
from collections.abc import Callable, Sequence
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clt import data, encoders, evaluation, metrics, training
from clt.predicting import (
    CLS,
    MASK,
    PAD,
    SEP,
    Corpus,
    Reader,
    Transformer,
    Vocabulary,
    documents,
    own_texts,
    padded,
    pooled,
)
from clt.pretraining import corpus as counting

# ---- texts


def texts_of(source: str) -> list[list[str]]:
    """The training texts, each with its sentences in order.

    Args:
        source: ``"own"``, the course's stories and conversations; or ``"DailyDialog++"``, two or three turns and one of
            the replies that people wrote to them, a text for each reply.
    """
    if source == "own":
        return own_texts("train")
    rows = data.load(source, "train")
    replies = zip(rows["context"], rows["positives"], strict=True)
    return [[*turns, reply] for turns, written in replies for reply in written]


def dealt(sentences: Sequence[str], piles: int) -> tuple[list[str], Tensor]:
    """The sentences of a batch, dealt like cards onto so many piles, and the pile of each: a pile is a new text.

    If the sentences come text after text, as many to each as there are piles or fewer, no two of a text meet.
    """
    order = torch.cat([torch.arange(k, len(sentences), piles) for k in range(piles)])
    return [sentences[i] for i in order], order % piles


def three_spans(positive_span: Callable, text: Sequence[str], rng: random.Random) -> list[str]:
    """An anchor and two positives of 4 to 24 words, cut out of a text: the anchors long, the positives short.

    Args:
        positive_span: draws the start and the length of a positive, as in lesson 10.
        text: sentences in order, at least 25 words in all.
        rng: draws all of it.

    Source: Giorgi et al. (2021), DeCLUTR, with Beta(4, 2) for the anchor; their spans have 32 to 512 tokens.
    """
    words = " ".join(text).split()
    length = int(rng.betavariate(4, 2) * 20 + 4)
    cuts = [(rng.randint(0, len(words) - length), length)]
    for _ in range(2):
        cuts.append(positive_span(*cuts[0], len(words), rng, shortest=4, longest=24))
    return [" ".join(words[first : first + size]) for first, size in cuts]


Parts = Callable[[Sequence[str], random.Random], Sequence[str]]


def batches(positive: str, source: str, size: int, parts: Parts) -> Callable[[torch.Generator], Sequence]:
    """Draws the batches of one answer to the question who is the positive.

    Args:
        positive: ``"dealt"``, sentences that were :func:`dealt`; ``"spans"``, what ``parts`` cuts out of each of twice
            as many texts; ``"itself"``, the sentences of whole texts twice; else whole texts.
        source: as for :func:`texts_of`.
        size: texts in a batch.
        parts: ``parts(text, rng)`` gives equally many strings for every text.

    Returns:
        ``sample(generator)``: the sentences and the number of the text of each, ``(N,)``; or each part's sentences.
    """
    texts = texts_of(source)
    if positive == "spans":
        draw = data.batches(texts, size=2 * size)

        def spans(generator: torch.Generator) -> list[tuple[str, ...]]:
            rng = random.Random(int(torch.randint(2**31, (1,), generator=generator)))
            return list(zip(*[parts(text, rng) for text in draw(generator)[0]], strict=True))

        return spans
    whole = data.batches_in_order(texts, size=size)
    if positive == "itself":
        return lambda generator: (whole(generator)[0],) * 2
    return (lambda generator: dealt(whole(generator)[0], size)) if positive == "dealt" else whole


# ---- measures


@functools.cache
def held_out() -> dict[str, list[list[str]]]:
    """The 40 stories and the 40 conversations of the test split, each a list of sentences."""
    stories, dialogues = data.load("stories", "test"), data.load("dialogues", "test")
    return {"stories": list(stories["sentences"]), "dialogues": list(dialogues["turns"])}


def in_place(model, texts: dict[str, list[list[str]]] | None = None) -> dict[str, float]:
    """How well a sentence finds the next one, and its neighbours within its text; in per cent, by cosine.

    Args:
        model: anything with ``encode(sentences) → (N, D)``.
        texts: ``{name: texts}``, all of one length; the test split of the course's own if left out.

    Returns:
        For each name ``"NAME, next"``, how many of the sentences at the same place of the other texts the true next
        sentence beats, a tie counting half (50 is chance); ``"NAME, beside"``, how often the nearest sentence of the
        same text is a neighbour; ``"NAME, together"``, how often the nearest sentence of all is of the same text.
    """
    found = {}
    for name, told in (held_out() if texts is None else texts).items():
        vectors = model.encode([sentence for text in told for sentence in text])
        z = F.normalize(vectors, dim=1).unflatten(0, (len(told), -1))  # (T, L, D)
        found[f"{name}, next"] = 100 * _beaten(z[:, :-1], z[:, 1:])
        own = z @ z.mT - 2 * torch.eye(z.shape[1])  # not itself
        beside = (own.argmax(2) - torch.arange(z.shape[1])).abs() == 1
        every = z.flatten(0, 1) @ z.flatten(0, 1).T - 2 * torch.eye(len(vectors))
        text = torch.arange(len(vectors)) // z.shape[1]
        together = text[every.argmax(1)] == text
        found[f"{name}, beside"] = 100 * beside.float().mean().item()
        found[f"{name}, together"] = 100 * together.float().mean().item()
    return found


def _beaten(asked: Tensor, z: Tensor) -> float:
    """Of the other texts' sentences at the same place, the share that one's own beats: both ``(T, L, D)``."""
    scores = torch.einsum("tkd,ukd->ktu", asked, z)
    right = scores.diagonal(dim1=1, dim2=2)[..., None]
    beaten = (scores < right).sum(2) + ((scores == right).sum(2) - 1) / 2
    return beaten.mean().item() / (len(z) - 1)


def replies(model) -> dict[str, float]:
    """How often a fitting reply is nearer to the last turn than five others, in per cent, on DailyDialog++."""
    rows = data.load("DailyDialog++-choices", "test").select(range(200))
    asked = [turns[-1] for turns in rows["context"]]
    wrong = {"random": "random_negatives", "shared words": "adversarial_negatives"}
    return {
        f"replies, {name}": evaluation.chosen(model, asked, rows["positives"], rows[kind])
        for name, kind in wrong.items()
    }


def reviews(model) -> dict[str, float]:
    """A linear probe of film reviews, in per cent: 1,500 training sentences of SST-2, its whole test set."""
    train, test = (data.load("SST-2", split) for split in ("train", "test"))
    train = train.select(range(0, 6000, 4))
    x, new = (model.encode(list(part["text"])) for part in (train, test))
    return {"SST-2": 100 * metrics.linear_probe(x, train["label"], new, test["label"])}


def measure(model, public: bool = False, probe: bool = False) -> dict[str, float]:
    """All measures of the lesson: STS and :func:`in_place`; with ``public`` :func:`replies` and, if asked, a probe."""
    found = evaluation.sts(model) | in_place(model)
    found |= replies(model) if public else {}
    return found | (reviews(model) if public and probe else {})


def counted(sources: Sequence[str]) -> evaluation.Counted:
    """tf-idf, with the weights of the sentences of these sources: the row that needs no encoder."""
    from sklearn.feature_extraction.text import TfidfVectorizer  # late: half a second

    texts = [text for source in sources for text in texts_of(source)]
    return evaluation.Counted(TfidfVectorizer().fit([sentence for text in texts for sentence in text]))


# ---- networks


def read(model: nn.Module, sentences: Sequence[str]) -> Tensor:
    """``(N, D)`` in float32, with a gradient."""
    return model(model.tokenize(sentences)).float()


class Lookup(nn.Module):
    """A table of word vectors: the state of a place is the vector of the piece that stands there.

    Args:
        vectors: ``(pieces, D)``, where the table begins.
    """

    def __init__(self, vectors: Tensor):
        super().__init__()
        self.table = nn.Embedding.from_pretrained(vectors.clone(), freeze=False)

    def forward(self, ids: Tensor) -> Tensor:
        return self.table(ids)


def two_encoders(omega: str, psi: str, vectors: Tensor) -> nn.Module:
    """A module with ``omega``, which reads a, and ``psi``, which reads b.

    Args:
        omega, psi: ``"lookup"``, a table; ``"Transformer"``, one block; or for ``psi`` ``"the same"``, omega.
        vectors: ``(pieces, D)``, where all tables begin, so that before training all give the same mean of words.
    """
    made, model = {"lookup": Lookup, "Transformer": functools.partial(Transformer, layers=1)}, nn.Module()
    model.omega = made[omega](vectors)
    model.psi = model.omega if psi == "the same" else made[psi](vectors)
    return model


def part_vector(net: nn.Module, parts: Sequence[Sequence[int]]) -> Tensor:
    """``(N, D)``: what a network makes of N parts of texts, given as ids.

    The state at the [MASK] where there is one, else the mean of the states over the pieces.
    """
    ids = padded(parts).to(net.table.weight.device)
    states, hole = net(ids), (ids == MASK)[..., None]
    return torch.where(hole.any(1), (states * hole).sum(1), pooled(states, ids))


class LookAhead(nn.Module):
    """A sentence encoder, a summary of the sentences so far, and a matrix for each distance: the networks of CPC.

    Called on tokens, it is the encoder.

    Attributes:
        ahead: a linear map W_k for k = 1, 2, 3, ``(…, D) → (…, D)``, without a bias. They begin as the identity.

    Args:
        encoder: anything that the course trains, D wide.
        so_far: ``"GRU"``, trained, as in CPC; ``"mean"``, of the vectors so far; ``"last"``, the last of them. The last
            two have no weights. The GRU begins as a mean in which each sentence weighs four fifths of the one
            after it: with random weights its state is nearly the same for all texts, and the encoder forgets what it
            knows before the GRU has learnt to summarise.
        width: D.

    Source: van den Oord, Li and Vinyals (2018), CPC, section 2.
    """

    def __init__(self, encoder: nn.Module, so_far: str, *, width: int):
        super().__init__()
        self.encoder, self.so_far = encoder, so_far
        self.ahead = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(3))
        for matrix in self.ahead:
            nn.init.eye_(matrix.weight)
        if so_far == "GRU":
            self.gru = nn.GRU(width, width, batch_first=True)
            for weights in self.gru.parameters():
                nn.init.zeros_(weights)
            nn.init.eye_(self.gru.weight_ih_l0.data[2 * width :])  # what is new is the sentence itself
            self.gru.bias_ih_l0.data[width : 2 * width] = 1.4  # of the old four fifths stay: sigmoid(1.4) = 0.8

    def tokenize(self, sentences: Sequence[str]):
        return self.encoder.tokenize(sentences)

    def forward(self, tokens) -> Tensor:
        return self.encoder(tokens)

    def summary(self, z: Tensor) -> Tensor:
        """From the vectors of texts, ``(T, L, D)``, to c, as large: at each place what it makes of those up to it."""
        if self.so_far == "GRU":
            with torch.autocast(z.device.type, enabled=False):
                return self.gru(z)[0]
        return z if self.so_far == "last" else z.cumsum(1) / torch.arange(1, z.shape[1] + 1, device=z.device)[:, None]


@torch.no_grad()
def continued(model: LookAhead, texts: dict[str, list[list[str]]] | None = None) -> dict[str, float]:
    """How well the networks of CPC foretell how a text goes on; in per cent, by cosine.

    Args:
        model: its summary and its matrices are asked; its encoder gives the vectors.
        texts: ``{name: texts}``, all of one length; the test split of the course's own if left out.

    Returns:
        For each name ``"NAME, k on"`` for k = 1, 2, 3, how many of the sentences at the same place of the other texts
        the true one beats, a tie counting half (50 is chance); and ``"NAME, order"``, how often the sentence foretold
        for k = 1 is nearest to the next one, among all those of its text that are still to come.
    """
    found = {}
    for name, told in (held_out() if texts is None else texts).items():
        vectors = model.encoder.encode([sentence for text in told for sentence in text])
        vectors = vectors.to(model.ahead[0].weight.device)
        z = F.normalize(vectors, dim=1).unflatten(0, (len(told), -1))  # (T, L, D)
        c = model.summary(z)
        for k, matrix in enumerate(model.ahead, 1):
            found[f"{name}, {k} on"] = 100 * _beaten(F.normalize(matrix(c[:, :-k]), dim=-1), z[:, k:])
        scores = F.normalize(model.ahead[0](c), dim=-1) @ z.mT
        places = range(z.shape[1] - 2)  # at the last but one, only one sentence is to come
        right = [(scores[:, t, t + 1 :].argmax(1) == 0).float().mean().item() for t in places]
        found[f"{name}, order"] = 100 * sum(right) / len(right)
    return found


def look_ahead(loss: Callable | None, upper: nn.Module, so_far: str, seed: int) -> dict[str, float]:
    """Train :class:`LookAhead` on batches of eight of the course's texts, for 60 steps.

    Args:
        loss: ``loss(model, batch)``; a batch holds 48 sentences, text after text, and the number of the text of each.
            Without one nothing is trained.
        upper: the upper layers of an encoder, of which a copy is trained.
        so_far: as for :class:`LookAhead`.
        seed: of what is drawn.

    Returns:
        What :func:`continued` says, and of the encoder alone STS and :func:`in_place`.
    """
    training.seed_everything(seed)
    upper = copy.deepcopy(upper)
    model = LookAhead(upper, so_far, width=upper.model.config.hidden_size).to(upper.device).eval()
    if loss:
        training.train(model, batches("neighbours", "own", 8, list), loss, steps=60, learning_rate=1e-3, warmup=6,
                       weight_decay=0.01, seed=seed, progress=False)  # fmt: skip
    return continued(model) | evaluation.sts(upper) | in_place(upper)


Step = Callable[[nn.Module, nn.Module, Tensor, tuple, float], tuple[Tensor, Tensor]]


def with_queue(step: Step, m: float, seed: int) -> dict[str, float | list[float]]:
    """Train a tiny encoder on `twins` with a queue of 320 keys, and ask what the keys in it are still worth.

    Args:
        step: ``step(model, slow, queue, pairs, m)`` moves the slow copy, gives the loss and the new queue; the pairs
            are 16 sentences and their paraphrases.
        m: how much of the slow copy stays in a step.
        seed: of what is drawn.

    Returns:
        After 60 steps ``"keys"``, by age from 0 to 19 steps: 100 times the cosine of a key with the one that the slow
        copy would write now; and ``"sts/test"`` of the encoder.
    """
    training.seed_everything(seed)
    model = Reader(Transformer(pieces().vectors, layers=1), pieces().vocabulary)
    slow, said, generator = copy.deepcopy(model), [], torch.Generator().manual_seed(seed)
    queue = F.normalize(torch.randn(320, pieces().vectors.shape[1]), dim=1)
    twins = data.load("twins", "train")
    draw = data.batches(list(zip(twins["sentence"], twins["paraphrase"], strict=True)), size=16)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(60):
        pairs = tuple(zip(*draw(generator)[0], strict=True))
        loss, queue = step(model, slow, queue, pairs, m)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        said = [*pairs[1], *said][: len(queue)]
    kept = (F.normalize(slow.encode(said), dim=1) * queue).sum(1)
    return {"keys": (100 * kept.unflatten(0, (-1, 16)).mean(1)).tolist()} | evaluation.sts(model)


Sentences = tuple[list[int], list[int], list[int]]  # a sentence, the next one, and one of another text


class InOrder:
    """Sentences of texts as ids, each with the one after it and one of another text.

    Args:
        texts: each a list of sentences.
        vocabulary: numbers their pieces.
        most: pieces of a sentence; longer ones are cut, those of fewer than four are left out.
    """

    def __init__(self, texts: Sequence[Sequence[str]], vocabulary: Vocabulary, *, most: int = 30):
        rows = [(k, row[:most]) for k, text in enumerate(texts) for row in vocabulary.ids(text)]
        self.rows = [(k, row) for k, row in rows if len(row) >= 4]
        self.firsts = [i for i, (k, _) in enumerate(self.rows[:-1]) if self.rows[i + 1][0] == k]

    def draw(self, rng: random.Random) -> Sentences:
        """One of them by chance."""
        i = rng.choice(self.firsts)
        text, first = self.rows[i]
        while (other := rng.choice(self.rows))[0] == text:
            pass
        return first, self.rows[i + 1][1], other[1]

    def batches(self, n: int, pair: Callable[[Sentences, random.Random], tuple]) -> Callable[[torch.Generator], list]:
        """``sample(generator)``: n times ``pair(sentences, rng)``."""

        def sample(generator: torch.Generator) -> list:
            rng = random.Random(int(torch.randint(2**31, (1,), generator=generator)))
            return [pair(self.draw(rng), rng) for _ in range(n)]

        return sample


@functools.cache
def pieces() -> SimpleNamespace:
    """The course's own text in pieces: ``vocabulary`` of 3,000, their counted ``vectors``, and sentences in order.

    ``train`` and ``test`` are :class:`InOrder`, of the stories and conversations of these splits; the vectors are
    counted on all training sentences of the course (PPMI and its SVD, 64 wide), as in lesson 09.
    """
    tokenizer = encoders.SentenceEncoder.load("clt-mini").tokenizer
    text = Corpus(documents("own"), tokenizer)
    counts = counting.cooccurrences(text.ids, text.starts, len(text.vocabulary))
    torch.manual_seed(0)
    vectors = counting.svd_embeddings(counting.ppmi(counts), 64, std=0.3)
    parts = {split: InOrder(own_texts(split), text.vocabulary) for split in ("train", "test")}
    return SimpleNamespace(vocabulary=text.vocabulary, vectors=vectors, **parts)


Pair = Callable[[Sentences, random.Random], tuple[tuple[int, ...], tuple[int, ...]]]


def learn(pair: Pair, loss: Callable, names: str, *, seed: int) -> dict[str, float]:
    """Train two tiny encoders on pairs, and say what they have learnt.

    Args:
        pair: ``pair(sentences, rng)`` draws a and b, as ids.
        loss: ``loss(model, pairs)``, whose ``model`` is that of :func:`two_encoders`.
        names: the encoder of a and that of b, such as ``"Transformer, lookup"``.
        seed: of what is drawn.

    It takes 80 steps of 64 pairs; with two lookups 1,280, because a pair of words has a sixteenth of the pieces.

    Returns:
        ``"bound, before"`` and ``"bound"``, InfoNCE's bound on the mutual information of a and b, log M minus the loss,
        in nats, on 640 held-out pairs; and what :func:`knows` says of the encoder of a.
    """
    training.seed_everything(seed)
    model, text = two_encoders(*names.split(", "), pieces().vectors), pieces()
    before, steps = bound(model, text.test.batches(64, pair), loss), 80 if "Transformer" in names else 1280
    training.train(model, text.train.batches(64, pair), loss, steps=steps, learning_rate=3e-3, warmup=10,
                   weight_decay=0.01, seed=seed, progress=False)  # fmt: skip
    return {"bound, before": before, "bound": bound(model, text.test.batches(64, pair), loss)} | knows(model.omega)


@torch.no_grad()
def bound(model: nn.Module, sample: Callable[[torch.Generator], list], loss: Callable) -> float:
    """log M minus the loss, in nats, the mean over ten batches; M is the number of different b in the batch."""
    generator, found = torch.Generator().manual_seed(1), []
    model.eval()
    for _ in range(10):
        pairs = sample(generator)
        found.append(math.log(len({b for _, b in pairs})) - loss(model, pairs).item())
    return sum(found) / len(found)


def knows(net: nn.Module) -> dict[str, float]:
    """What the sentence vectors of a network know: STS, and the next sentence of stories and conversations."""
    reader = Reader(net, pieces().vocabulary)
    return evaluation.sts(reader) | {name: x for name, x in in_place(reader).items() if name.endswith("next")}


def bag_of_words() -> Reader:
    """What all networks of :func:`learn` begin with: the mean of the counted vectors of a sentence's pieces."""
    return Reader(Lookup(pieces().vectors), pieces().vocabulary)


def shown(ids: Sequence[int]) -> str:
    """Ids as text; a place that is not seen is a dot, and a bar stands between two sentences."""
    marks, vocabulary = {PAD: "·", SEP: "|"}, pieces().vocabulary
    text = [marks[i] if i in marks else vocabulary.text([i]) for i in ids if i != CLS]
    return " ".join(text).replace(" ##", "").removesuffix(" |")
