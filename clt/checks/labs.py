"""The small experiments that checks run again: seeded, well under a second each, on an encoder of two layers.

A student tries settings here, in the notebook, and hands in the one that shows what was asked for; the check runs the
same function with it.
"""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clt import augment, losses, metrics, neighbors

BATCH = (  # sentences of eight meanings; whoever says the same has the same letter
    ("a", "A man is playing a guitar."),
    ("a", "Somebody strums a guitar."),
    ("b", "The train to Leeds was cancelled."),
    ("b", "There will be no train to Leeds."),
    ("c", "The train to Leeds was on time."),
    ("c", "The Leeds train came when it should."),
    ("d", "She has never been to Rome."),
    ("d", "Rome is a city she hasn't seen yet."),
    ("e", "She has often been to Rome."),
    ("e", "She knows Rome from many visits."),
    ("f", "The soup is too salty."),
    ("f", "There is too much salt in the soup."),
    ("g", "Two children are swimming in the lake."),
    ("g", "A pair of kids swims in a lake."),
    ("h", "The shop closes at six."),
    ("h", "You can buy things there until six o'clock."),
)


ANCHOR = {  # one anchor of the label-aware loss, to be worked by hand
    "class": "devastated",
    "other rows": [("devastated", 0.8), ("sad", 0.7), ("joyful", -0.2)],  # class and cosine; the first is the positive
    "weights": {"devastated": 0.6, "sad": 0.3, "joyful": 0.1},
    "temperature": 0.5,
}

SIX = {  # six points of the label-aware loss on a circle, in degrees; the first is the anchor
    "sad (anchor)": 90, "sad": 205, "devastated": 40, "joyful": 140, "proud": -30, "disgusted": 280,
}  # fmt: skip
CLASSES = ("sad", "devastated", "joyful", "proud", "disgusted")
BELIEF = (0.5, 0.38, 0.04, 0.04, 0.04)  # what the weighting network gives to each class, having read the anchor


@dataclass(frozen=True)
class Twins:
    """What :func:`twins` finds: uniformity of the sentences, and how much nearer an identical twin is."""

    uniformity: float
    gap: float


def hard_mining(
    vectors: Tensor, labels: Tensor, *, mining: str = "hard", steps: int = 100,
    watch: Callable[[Tensor], object] | None = None,
) -> tuple[list[float], list[float]]:  # fmt: skip
    """Train a small encoder on one batch by triplets, margin 0.5.

    Args:
        vectors: ``(N, D)``, what the encoder reads; centred and scaled inside.
        labels: ``(N,)`` integers.
        mining: which triplets, as in :func:`clt.losses.batch_triplet_loss`.
        steps: updates.
        watch: called with the ``(N, 2)`` embeddings whenever loss and extent are taken.

    Returns:
        The loss and the extent (root of the mean squared distance to the centre) before each step and after the last.
    """
    vectors = vectors.detach().cpu().double()
    vectors = vectors - vectors.mean(dim=0)
    vectors = vectors / vectors.square().mean().sqrt().clamp_min(1e-12)
    encoder = _encoder(vectors.shape[1], 2, torch.Generator().manual_seed(0), 1.5)
    loss, extent = [], []

    def one(x: Tensor) -> Tensor:
        value = losses.batch_triplet_loss(x, labels, margin=0.5, mining=mining)
        loss.append(value.item())
        extent.append((x - x.mean(dim=0)).square().sum(dim=1).mean().sqrt().item())
        if watch:
            watch(x.detach())
        return value

    _train(encoder, lambda: one(encoder(vectors)), torch.optim.SGD(encoder.parameters(), lr=0.01), steps)
    one(encoder(vectors).detach())
    return loss, extent


def temperature(value: float, *, steps: int = 150) -> Tensor:
    """Train a small encoder by InfoNCE at a temperature; the ``(32, 8)`` embeddings afterwards, of length 1.

    Before training they lie in a narrow cone, as those of a pretrained encoder do.
    """
    generator = torch.Generator().manual_seed(0)
    content = torch.randn(32, 8, generator=generator, dtype=torch.float64)
    encoder = _encoder(8, 8, generator, 0.85, centre=1.0)
    optimizer = torch.optim.Adam(encoder.parameters(), lr=0.02)

    def view() -> Tensor:
        return encoder(content + 0.3 * torch.randn(32, 8, generator=generator, dtype=torch.float64))

    _train(encoder, lambda: losses.info_nce_loss(view(), view(), temperature=value), optimizer, steps)
    return F.normalize(encoder(content).detach(), dim=1)


def twins(twin_weight: float, steps: int) -> Twins:
    """Train a small encoder by InfoNCE on identical twins, plus ``twin_weight`` times the Twin Loss.

    An identical twin is the sentence with a little noise, a fraternal twin one with more. The margin is measured
    before training.
    """
    generator = torch.Generator().manual_seed(0)
    content = torch.randn(48, 8, generator=generator, dtype=torch.float64)
    noise = torch.randn(2, 48, 8, generator=generator, dtype=torch.float64)
    near, far = content + 0.2 * noise[0], content + 0.8 * noise[1]
    encoder = _encoder(8, 8, generator, 0.85, centre=1.0)
    margin = losses.twin_margin(encoder(content), encoder(near), encoder(far))

    def loss() -> Tensor:
        anchor, identical, fraternal = encoder(content), encoder(near), encoder(far)
        value = losses.info_nce_loss(anchor, identical, temperature=0.2)
        return value + twin_weight * losses.twin_loss(anchor, identical, fraternal, margin)

    _train(encoder, loss, torch.optim.Adam(encoder.parameters(), lr=0.01), steps)
    with torch.no_grad():
        anchor, identical, fraternal = encoder(content), encoder(near), encoder(far)
    gap = losses.twin_margin(anchor, identical, fraternal).mean().item()
    return Twins(metrics.uniformity(anchor).item(), gap)


@dataclass(frozen=True)
class Context:
    """What :func:`context` finds, in per cent of the sentences of new texts."""

    order: float
    topic: float


def context(texts: int, length: int, *, steps: int = 100) -> Context:
    """Train a small encoder by QuickThoughts on batches of ``texts`` texts with ``length`` sentences each.

    A sentence is made of its text's topic, which is twice as large, and of a place that moves on from one sentence to
    the next. The encoder has half the room that both would need.

    Returns:
        On 100 new texts of six sentences: how often the nearest of the other five is a neighbour (``order``, chance
        33), and how often the nearest of all sentences is from the same text (``topic``, chance below 1).
    """
    generator = torch.Generator().manual_seed(0)
    encoder = _encoder(8, 4, generator, 0.85, centre=1.0)
    numbers = torch.arange(texts).repeat_interleave(length)

    def loss() -> Tensor:
        z = F.normalize(encoder(_texts(texts, length, generator).flatten(0, 1)), dim=1)
        return losses.quick_thoughts_loss(z / 0.2, z, numbers)

    _train(encoder, loss, torch.optim.Adam(encoder.parameters(), lr=0.02), steps)
    with torch.no_grad():
        new = _texts(100, 6, torch.Generator().manual_seed(1))
        z = F.normalize(encoder(new.flatten(0, 1)), dim=1)
    cosine = (z @ z.T).fill_diagonal_(-torch.inf)
    own = torch.stack([cosine[6 * k : 6 * k + 6, 6 * k : 6 * k + 6] for k in range(100)])
    neighbour = (own.argmax(dim=2) - torch.arange(6)).abs() == 1
    same = cosine.argmax(dim=1) // 6 == torch.arange(600) // 6
    return Context(100 * neighbour.double().mean().item(), 100 * same.double().mean().item())


def _texts(count: int, length: int, generator: torch.Generator) -> Tensor:
    """``(count, length, 8)``: sentences in order, four numbers of topic and four of place, with a little noise."""

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, 4, generator=generator, dtype=torch.float64)

    topic, steps = 2 * draw(count, 1).expand(-1, length, -1), draw(count, length)
    place = [steps[:, 0]]
    for k in range(1, length):
        place.append(0.8 * place[-1] + 0.6 * steps[:, k])
    sentences = torch.cat([topic, torch.stack(place, dim=1)], dim=2)
    return sentences + 0.2 * torch.randn(sentences.shape, generator=generator, dtype=torch.float64)


def two_views(
    count: int, generator: torch.Generator, *, classes: int = 10, blur: float = 0.4
) -> tuple[Tensor, Tensor, Tensor]:
    """Points of equally frequent classes whose number is known: two views ``(count, 12)`` of each, and the classes.

    Four numbers of a point say what class it is of, with a little noise; eight are its own. All twelve are mixed by a
    rotation. A view keeps the class and blurs the rest, by noise of the size ``blur``.
    """
    world = torch.Generator().manual_seed(0)
    centres = F.normalize(torch.randn(classes, 4, generator=world, dtype=torch.float64), dim=1)
    mix = torch.linalg.qr(torch.randn(12, 12, generator=world, dtype=torch.float64)).Q
    labels = torch.randint(classes, (count,), generator=generator)

    def noise(width: int) -> Tensor:
        return torch.randn(count, width, generator=generator, dtype=torch.float64)

    kind, own = centres[labels] + 0.2 * noise(4), noise(8)
    views = [torch.cat([kind + 0.1 * noise(4), own + blur * noise(8)], dim=1) @ mix for _ in range(2)]
    return *views, labels


def clusters(
    loss: Callable[[Tensor, Tensor, Tensor], Tensor], *, seed: int = 0, pairs: int = 64, steps: int = 250
) -> tuple[float, nn.Module]:
    """Train a small encoder on :func:`two_views` with ``loss(view1, view2, labels)``, and see whether it finds classes.

    Args:
        loss: of the encoder's outputs, both ``(pairs, 4)``; what it does with the labels is its business.
        seed: of the encoder and of the batches.
        pairs: in a batch.
        steps: of Adam; 0 leaves the encoder as it is.

    Returns:
        In per cent, how many of the five nearest of 1,000 new points are of a point's own class (chance: 10); and the
        encoder.
    """
    generator = torch.Generator().manual_seed(seed)
    encoder = _encoder(12, 4, generator, 1.0)

    def one() -> Tensor:
        view1, view2, labels = two_views(pairs, generator)
        return loss(encoder(view1), encoder(view2), labels)

    _train(encoder, one, torch.optim.Adam(encoder.parameters(), lr=0.01), steps)
    with torch.no_grad():
        new, _, labels = two_views(1000, torch.Generator().manual_seed(99))
        z = F.normalize(encoder(new), dim=1)
    nearest = (z @ z.T).fill_diagonal_(-torch.inf).topk(5).indices
    return 100 * (labels[nearest] == labels[:, None]).double().mean().item(), encoder


def cloud(kind: str, seed: int) -> tuple[Tensor, Tensor]:
    """Made-up points to try a map on, ``(N, D)`` in float32, and the number of each one's group, ``(N,)``.

    ``"sizes"``: two groups, the second ten times as wide. ``"distances"``: three, the third five times as far from the
    second as the first is. ``"noise"``: a single Gaussian in 50 dimensions. ``"groups"``: eleven, all equally far
    apart, which takes ten dimensions.
    """
    generator = torch.Generator().manual_seed(seed)
    if kind == "noise":
        points = torch.randn(1, 200, 50, generator=generator)
    elif kind == "groups":
        points = 0.5**0.5 * torch.eye(11)[:, None] + 0.15 * torch.randn(11, 12, 11, generator=generator)
    elif kind in ("sizes", "distances"):
        points = torch.randn(3, 50, 20, generator=generator)
        if kind == "sizes":
            points = points[:2] * torch.tensor([1.0, 10.0])[:, None, None]
        places = {"sizes": [0.0, 200.0], "distances": [0.0, 12.0, 72.0]}[kind]
        points[..., 0] += torch.tensor(places)[:, None]
    else:
        raise ValueError(f"kind must be 'sizes', 'distances', 'noise' or 'groups', got {kind!r}")
    return points.flatten(0, 1), torch.arange(len(points)).repeat_interleave(points.shape[1])


def shape(points: Tensor, labels: Tensor) -> dict[str, float]:
    """What one might read off a picture of groups, in the data or on a map.

    Returns:
        ``"width"``: how wide the second group is, the first being 1. ``"distance"``: how far the third is from the
        second, the distance of the first two being 1. ``"evenness"``: the mean distance to the nearest point,
        relative to what it would be for points thrown at random on the same area (Clark and Evans, 1954), where
        points are two-dimensional: 1 for such points, below 1 for clumps. What needs more groups is left out.
    """
    groups = [points[labels == label] for label in labels.unique()]
    centres = [group.mean(dim=0) for group in groups]
    widths = [(group - centre).norm(dim=1).mean().item() for group, centre in zip(groups, centres, strict=True)]
    found = {"width": widths[1] / widths[0]} if len(groups) > 1 else {}
    if len(groups) > 2:
        found["distance"] = ((centres[2] - centres[1]).norm() / (centres[1] - centres[0]).norm()).item()
    if points.shape[1] == 2:
        from scipy.spatial import ConvexHull  # late: few need it

        apart = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist").fill_diagonal_(torch.inf)
        area = ConvexHull(points.double().numpy()).volume  # in two dimensions scipy calls the area so
        found["evenness"] = 2 * apart.amin(dim=1).mean().item() * (len(points) / area) ** 0.5
    return found


def sampled_map(points: Tensor, partition: float, *, negatives: int = 5, steps: int = 200) -> Tensor:
    """A map ``(N, 2)`` by negative sampling: near points attract, and each repels five drawn at random.

    Args:
        points: ``(N, D)``.
        partition: the fixed number that stands in for Z, the sum over all pairs of which t-SNE takes the logarithm.
            N²/5 makes it UMAP's loss.
        negatives: drawn for each of the 15 nearest neighbours of each point.
        steps: of Adam, with a learning rate that falls to 0.

    Source: Damrich et al. (2023); 15 neighbours and five negatives are the defaults of their code.
    """
    n, generator = len(points), torch.Generator().manual_seed(0)
    apart = torch.cdist(points, points).fill_diagonal_(torch.inf)
    head, tail = torch.arange(n).repeat_interleave(15), apart.topk(15, largest=False).indices.flatten()
    centred = points - points.mean(dim=0)
    y = centred @ torch.linalg.svd(centred, full_matrices=False).Vh[:2].T
    y = (y / y[:, 0].std()).requires_grad_()
    log_c = math.log(negatives * partition / n**2)
    optimizer = torch.optim.Adam([y], lr=0.5)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 0.5 * (1 - step / steps)
        other = torch.randint(n, (len(head), negatives), generator=generator)
        near = -(y[head] - y[tail]).square().sum(dim=-1).log1p()
        far = -(y[head, None] - y[other]).square().sum(dim=-1).log1p()
        optimizer.zero_grad()
        (-F.logsigmoid(near - log_c).sum() - F.logsigmoid(log_c - far).sum()).backward()
        optimizer.step()
    return y.detach()


def map_distances(points: Tensor, labels: Tensor) -> tuple[float, float]:
    """Three classes of points: how uneven the distances between their centres are, in the data and on a t-SNE map.

    Args:
        points: ``(N, D)``.
        labels: ``(N,)`` integers of three kinds.

    Returns:
        The largest distance between two centres divided by the smallest, of ``points`` and of their map, made with
        perplexity 15 and 400 steps. 1 means that all three are equally far apart.
    """
    points = points.detach().cpu().double()
    places = neighbors.t_sne(points, perplexity=15.0, steps=400)
    return _unevenness(points, labels), _unevenness(places, labels)


def _unevenness(points: Tensor, labels: Tensor) -> float:
    centres = torch.stack([points[labels == label].mean(dim=0) for label in labels.unique()])
    apart = torch.pdist(centres)
    return (apart.max() / apart.min().clamp_min(1e-12)).item()


def pushes(weights: Sequence[float], *, factor: bool = True, temperature: float = 0.3) -> dict[str, float]:
    """How hard the label-aware loss of the anchor of :data:`SIX` pushes each class, for these weights of the classes.

    It is the share of the class's row in the denominator, times the weight of the anchor's class, which stands in front
    of the logarithm; without that ``factor`` it is what the form inside the logarithm does.
    """
    angle = torch.deg2rad(torch.tensor(list(SIX.values()), dtype=torch.float64))
    weights = torch.as_tensor(weights, dtype=torch.float64)
    share = ((angle[1:] - angle[0]).cos() / temperature + weights.log()).softmax(0)
    return dict(zip(CLASSES, (share * (weights[0] if factor else 1.0)).tolist(), strict=True))


def free_twins(twin_weight: float, *, step_before: bool = False, steps: int = 100) -> Tensor:
    """Twelve points that move freely on a circle, drawn by InfoNCE and ``twin_weight`` times the Twin Loss.

    Args:
        twin_weight: of the Twin Loss.
        step_before: whether the margin is that of the step before; else it is measured once, before the first.
        steps: of gradient descent; 0 leaves the points where they are born.

    Returns:
        ``(3, 4)`` angles: four sentences, their identical twins, their fraternal twins.
    """
    where = torch.tensor([0.3, 1.9, 3.4, 5.0])
    angle = torch.stack([where, where + 0.14, where + torch.tensor([0.7, 0.5, 0.8, 0.45])]).requires_grad_()
    margin = losses.twin_margin(*on_circle(angle))
    optimizer = torch.optim.Adam([angle], lr=0.05)
    for _ in range(steps):
        loss = losses.ifcl_loss(*on_circle(angle), margin, temperature=0.5, twin_weight=twin_weight)
        if step_before:
            margin = losses.twin_margin(*on_circle(angle))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return angle.detach()


def on_circle(angle: Tensor) -> Tensor:
    """The points ``(…, 2)`` of a circle of radius 1 at the given angles."""
    return torch.stack([angle.cos(), angle.sin()], dim=-1)


def rarity(power: float, *, words: int = 1000) -> float:
    """How often the rarer of two tokens is the fake, in [0, 1]; 0.5 is chance, and a tie counts half.

    One token stands in a text of ``words`` words whose frequencies follow Zipf's law, p ∝ 1 / rank. The other was drawn
    as noise, q ∝ p ** power. Computed exactly, from the two distributions.
    """
    text = 1 / torch.arange(1, words + 1, dtype=torch.float64)  # the most frequent word first
    noise = text**power
    text, noise = text / text.sum(), noise / noise.sum()
    rarer = noise.flip(0).cumsum(0).flip(0) - noise  # of each word, how much of the noise is rarer
    return float((text * (rarer + noise / 2)).sum())


def _encoder(width: int, out: int, generator: torch.Generator, scale: float, *, centre: float = 0.0) -> nn.Sequential:
    encoder = nn.Sequential(nn.Linear(width, 32), nn.Tanh(), nn.Linear(32, out)).double()
    with torch.no_grad():
        for parameter in encoder.parameters():
            size = scale / parameter.shape[-1] ** 0.5 if parameter.ndim > 1 else 0.0
            parameter.copy_(size * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
        encoder[2].bias += centre
    return encoder


def _train(encoder: nn.Module, loss_of: Callable[[], Tensor], optimizer, steps: int) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        loss_of().backward()
        optimizer.step()


@dataclass(frozen=True)
class Ring:
    """What :func:`ring` finds on pairs it was not trained on, in per cent; guessing gives 33 and about 0."""

    accuracy: float
    order: float


def ring(
    features: Callable[[Tensor, Tensor], Tensor], *, hidden: bool = False, steps: int = 400, seed: int = 0
) -> Ring:
    """Train vectors of 48 concepts on a ring, and a head that says of two of them how far apart they are.

    The classes are *near* (less than 5 steps), *middling* (less than 13) and *far*; each comes as often in training.
    The vectors have 16 numbers and start at random. 680 of the 1,128 pairs are trained on, in either order.

    Args:
        features: ``features(u, v)`` makes what the head sees of two vectors, ``(N, 16)`` each.
        hidden: whether the head has a layer between, of 64 units.
        steps: of training.
        seed: of the split, the vectors and the batches.

    Returns:
        The accuracy on the other pairs, each class counting the same, and 100 × Spearman's correlation of the cosine
        of their vectors with minus their distance on the ring.
    """
    from scipy.stats import spearmanr  # late: only who compares heads waits for it

    generator = torch.Generator().manual_seed(seed)
    first, second = torch.triu_indices(48, 48, offset=1)
    apart = torch.minimum(second - first, 48 - (second - first))
    label = torch.bucketize(apart, torch.tensor([5, 13]), right=True)
    learnt, asked = torch.randperm(len(label), generator=generator).split([680, len(label) - 680])
    weight = 1.0 / label[learnt].bincount()[label[learnt]]
    points = torch.randn(48, 16, generator=generator).requires_grad_()
    width = features(points[:1], points[:1]).shape[1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = [nn.Linear(width, 64), nn.ReLU(), nn.Linear(64, 3)] if hidden else [nn.Linear(width, 3)]
    head = nn.Sequential(*layers)
    optimizer = torch.optim.AdamW([points, *head.parameters()], lr=0.02)
    for step in range(steps):
        pair = learnt[torch.multinomial(weight, 64, True, generator=generator)]
        turned = torch.rand(64, generator=generator) < 0.5
        u = points[torch.where(turned, second[pair], first[pair])]
        v = points[torch.where(turned, first[pair], second[pair])]
        optimizer.param_groups[0]["lr"] = 0.02 * (1 - step / steps)
        optimizer.zero_grad()
        F.cross_entropy(head(features(u, v)), label[pair]).backward()
        optimizer.step()
    with torch.no_grad():
        u, v, truth = points[first[asked]], points[second[asked]], label[asked]
        right = head(features(u, v)).argmax(1) == truth
        cosine = F.cosine_similarity(u, v)
    share = torch.stack([right[truth == c].double().mean() for c in range(3)]).mean()
    return Ring(100 * share.item(), 100 * float(spearmanr(cosine, -apart[asked])[0]))


WORDS = 60  # invented words of :func:`negations`; 0 is padding


def negations(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Invented reviews: one word of praise or of blame, half of the time the word *not*, and fillers, in any order.

    A review is good if it praises without *not*, or blames with it.

    Returns:
        ``(count, 8)`` words: 1 is *not*, 2 to 11 praise, 12 to 21 blame, the rest says nothing; and the labels, 1 for
        good.
    """
    words = torch.randint(22, WORDS, (count, 8), generator=generator)
    blame, negated = torch.randint(2, (2, count), generator=generator)
    words[:, 0] = torch.randint(2, 12, (count,), generator=generator) + 10 * blame
    words[:, 1] = torch.where(negated == 1, 1, words[:, 1])
    order = torch.rand(count, 8, generator=generator).argsort(1)
    return words.gather(1, order), (blame == negated).long()


OWNERS = 12  # people, and as many things, of :func:`belongings`


def belongings(count: int, facts: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Invented texts that say who has what, and a claim about each.

    A text names ``facts`` people, 0 to 11, with one thing each, 12 to 23. A claim names one of its people and one of
    its things. Half of the claims are true; in the others the thing belongs to somebody else in the text, so that the
    words alone do not tell.

    Returns:
        Texts ``(count, facts, 2)``, claims ``(count, 2)``, and labels ``(count,)``, 1 for true.
    """
    who, what = torch.rand(2, count, OWNERS, generator=generator).argsort(dim=2)[..., :facts]
    true, owner = torch.randint(2, (count,), generator=generator), torch.randint(facts, (count,), generator=generator)
    other = (owner + torch.randint(1, facts, (count,), generator=generator)) % facts
    row = torch.arange(count)
    claim = torch.stack([who[row, owner], OWNERS + what[row, torch.where(true == 1, owner, other)]], dim=1)
    return torch.stack([who, OWNERS + what], dim=2), claim, true


class _Reader(nn.Module):
    """Two layers that read a text and a claim, together or apart, and a head on what comes out."""

    def __init__(self, width: int):
        super().__init__()
        self.words, self.part = nn.Embedding(2 * OWNERS, width), nn.Parameter(torch.randn(2, width))
        layer = nn.TransformerEncoderLayer(width, 4, 128, dropout=0.0, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Sequential(nn.Linear(4 * width, 64), nn.ReLU(), nn.Linear(64, 1))

    def forward(self, text: Tensor, claim: Tensor, together: bool) -> Tensor:
        text = self.words(text).sum(dim=2) + self.part[0]  # who and what of a fact in one vector
        claim = self.words(claim).sum(dim=1, keepdim=True) + self.part[1]
        if together:
            text, claim = self.layers(torch.cat([text, claim], dim=1)).split([text.shape[1], 1], dim=1)
        else:
            text, claim = self.layers(text), self.layers(claim)
        u, v = text.mean(dim=1), claim[:, 0]
        return self.head(torch.cat([u, v, (u - v).abs(), u * v], dim=1))[:, 0]


def claims(*, facts: int, together: bool, width: int = 32, steps: int = 600, seed: int = 0) -> dict[str, float]:
    """Train two layers to say whether a claim is true of a text of :func:`belongings`, and ask 2,000 others.

    Text and claim are read ``together``, as a cross-encoder does, or apart, each into one vector of ``width`` numbers.
    Nothing else differs: layers, head, texts and steps are the same.

    Returns:
        ``{"accuracy": …}``, in per cent; guessing gives 50.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        reader = _Reader(width)
    optimizer = torch.optim.AdamW(reader.parameters(), lr=3e-3)
    for step in range(steps):
        text, claim, true = belongings(128, facts, generator)
        optimizer.param_groups[0]["lr"] = 3e-3 * min(6 * (step + 1) / steps, 1.2 * (1 - step / steps))
        optimizer.zero_grad()
        F.binary_cross_entropy_with_logits(reader(text, claim, together), true.float()).backward()
        nn.utils.clip_grad_norm_(reader.parameters(), 1.0)
        optimizer.step()
    text, claim, true = belongings(2000, facts, torch.Generator().manual_seed(seed + 1000))
    with torch.no_grad():
        right = (reader.eval()(text, claim, together) > 0) == (true == 1)
    return {"accuracy": 100 * right.double().mean().item()}


READINGS = {f"{facts} facts, {how}": {"facts": facts, "together": how == "together"}
            for facts in (2, 4) for how in ("together", "apart")}  # fmt: skip
READINGS |= {"4 facts, apart, 128 numbers": {"facts": 4, "together": False, "width": 128},
             "4 facts, apart, 1,200 steps": {"facts": 4, "together": False, "steps": 1200}}  # fmt: skip


@functools.cache
def reviews(name: str, encoder) -> SimpleNamespace:
    """What an averaging network reads: texts as numbers of words, padded with 0, with labels, 1 for good.

    Args:
        name: ``"negation"``, of :func:`negations`, or a catalogued set with texts and labels, cut at 48 word pieces.
        encoder: gives its tokenizer, and the vectors that its word pieces start from.

    Returns:
        ``train`` and ``test``, each ``[(N, L) words, (N,) labels]``, and ``words``, the ``(V, D)`` vectors to start
        from: random ones for the invented words, the encoder's, divided by their deviation, for pieces.
    """
    from clt import data  # late: no other experiment but one reads text

    if name == "negation":
        train, test, start = (torch.Generator().manual_seed(seed) for seed in (0, 1, 0))
        return SimpleNamespace(train=[*negations(2000, train)], test=[*negations(1000, test)],
                               words=torch.randn(WORDS, 32, generator=start))  # fmt: skip
    found = {}
    for split in ("train", "test"):
        rows = data.load(name, split)
        read = encoder.tokenizer(list(rows["text"]), add_special_tokens=False).input_ids
        padded = nn.utils.rnn.pad_sequence([torch.tensor(row[:48]) for row in read], batch_first=True)
        found[split] = [padded, torch.tensor([label == "positive" for label in rows["label"]]).long()]
    table = encoder.model.get_input_embeddings().weight.detach().cpu().float()
    return SimpleNamespace(**found, words=table / table.std())


CUTOFFS = {"token cutoff": augment.token_cutoff, "feature cutoff": augment.feature_cutoff}


@functools.cache
def _read() -> tuple:
    """The layers of ``clt-mini``, and what its embedding layer makes of 96 everyday sentences, with their mask."""
    from clt import data, encoders  # late: no other experiment reads text

    encoder = encoders.SentenceEncoder.load("clt-mini").eval()
    batch = encoder.tokenize(data.sentences("everyday")[:96])
    with torch.inference_mode(False), torch.no_grad():
        states = encoder.model.embeddings(input_ids=batch["input_ids"])
    return encoder.above(0).eval(), batch["attention_mask"], states


class Cutoffs(NamedTuple):
    """Two views of each sentence: their cosine at the embedding layer, how many find their partner, how far apart."""

    cosine: float
    found: float
    apart: float


def two_cutoffs(change: str, share: float) -> Cutoffs:
    """Two views of each of 96 sentences, made by one of :data:`CUTOFFS`, as ``clt-mini`` reads them before training.

    Returns:
        The mean cosine of the two at the embedding layer; in per cent, how many first views have their own second view
        nearest after the last layer (chance: 1); and how far the two are apart there, as
        :func:`clt.metrics.against_strangers` measures it.
    """
    layers, mask, states = _read()
    cut = [CUTOFFS[change](states, mask, torch.Generator().manual_seed(seed), share=share) for seed in range(2)]
    real = mask.bool()
    at_first = F.cosine_similarity(*(x.masked_fill(~real[..., None], 0.0).flatten(1) for x in cut)).mean()
    with torch.no_grad():
        views = [layers({"inputs_embeds": x, "attention_mask": mask}) for x in cut]
    cosine = F.normalize(views[0], dim=1) @ F.normalize(views[1], dim=1).T
    found = (cosine.argmax(dim=1) == torch.arange(len(cosine))).float().mean()
    return Cutoffs(at_first.item(), 100 * found.item(), metrics.against_strangers(*views).item())
