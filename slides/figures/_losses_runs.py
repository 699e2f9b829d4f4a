"""The small experiments of lessons 01 to 03 that the second deck draws again: on digits, and of points on a line.

They are the lessons' own, at the lessons' settings; what they find is computed when the deck is built.
"""

import math
from functools import cache

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.distributions import Normal

from clt import encoders, losses, metrics, training
from clt.similarity import squared_euclidean

MARGIN = 0.2  # FaceNet's
TEMPERATURE = 0.1  # of NT-Xent on digits


@cache
def digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Pictures, labels, and the numbers of those to train and to test on."""
    found = load_digits()
    order = torch.randperm(len(found.images), generator=torch.Generator().manual_seed(0))
    images = torch.tensor(found.images / 16, dtype=torch.float32)
    return images, torch.tensor(found.target), order[:1000], order[1000:]


def some_of_each(generator: torch.Generator) -> Tensor:
    """A batch of triplets' pictures: four of each digit."""
    _, labels, train, _ = digits()
    groups = [train[labels[train] == digit] for digit in range(10)]
    return torch.cat([group[torch.randperm(len(group), generator=generator)[:4]] for group in groups])


def fit_triplets(mining: str, *, steps: int, dim: int = 32, sphere: bool = True, margin: float = MARGIN,
                 learning_rate: float = 1e-3, **options):  # fmt: skip
    """A network trained on triplets of digits, and its history."""
    images, labels, _, _ = digits()

    def loss_of(network, chosen):
        z = F.normalize(network(images[chosen])) if sphere else network(images[chosen])
        return losses.batch_triplet_loss(z, labels[chosen], margin=margin, mining=mining)

    training.seed_everything(0)
    network = encoders.ImageEncoder(dim)
    options = {"learning_rate": learning_rate, "clip": 1e6, "progress": False} | options
    return network, training.train(network, some_of_each, loss_of, steps=steps, **options)


@cache
def still_costly() -> tuple[list[int], list[float], list[float]]:
    """While a network learns from semi-hard triplets: steps, share of all triplets that cost something, and share of
    the hardest triplets, one an anchor, that do. On one batch of test pictures."""
    images, labels, _, test = digits()
    batch = torch.cat([test[labels[test] == digit][:4] for digit in range(10)])
    same = labels[batch, None] == labels[batch]
    positive = same.clone().fill_diagonal_(False)
    a, p, n = (positive[:, :, None] & ~same[:, None, :]).nonzero().T

    def measure(network):
        z = F.normalize(network(images[batch]))
        costs = losses.triplet_loss(z[a], z[p], z[n], margin=MARGIN, reduction="none") > 0
        hardest = torch.zeros(len(batch)).scatter_reduce(0, a, costs.float(), "amax")
        return {"all": costs.float().mean().item(), "hardest": hardest.mean().item()}

    measured = fit_triplets("semi-hard", steps=60, measure=measure, every=4)[1]["measured"]
    return tuple([m[key] for m in measured] for key in ("step", "all", "hardest"))


@cache
def collapse() -> dict[str, list[float]]:
    """Loss curves in two dimensions, off the sphere, with margin 1."""
    plane = {"dim": 2, "sphere": False, "margin": 1.0, "learning_rate": 3e-3, "steps": 160}
    return {f"{mining} triplets": fit_triplets(mining, **plane)[1]["loss"] for mining in ("all", "hard")}


@cache
def humps() -> tuple[Tensor, Tensor, Tensor]:
    """Points on a line in two humps, a grid over the line, and the density of the points there."""
    generator = torch.Generator().manual_seed(0)
    left = torch.rand(4000, generator=generator) < 0.6
    z = torch.randn(4000, generator=generator)
    line = torch.linspace(-9, 13, 1101)
    truth = 0.6 * Normal(-2.0, 0.5).log_prob(line).exp() + 0.4 * Normal(1.5, 0.9).log_prob(line).exp()
    return torch.where(left, -2 + 0.5 * z, 1.5 + 0.9 * z), line, truth


@cache
def density(centre: float, width: float, *, correction: bool = True, k: int = 4) -> Tensor:
    """exp(score) on the grid, after 300 steps of telling the points from noise of a bell's shape."""
    points, line, _ = humps()
    noise = Normal(centre, width)
    training.seed_everything(0)
    score = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1))

    def draw(generator):
        x = points[torch.randint(len(points), (256,), generator=generator)]
        return x, noise.loc + noise.scale * torch.randn(256, k, generator=generator)

    def loss_of(score, drawn):
        log_q = [noise.log_prob(x) if correction else torch.full_like(x, -math.log(k)) for x in drawn]
        return losses.nce_loss(*(score(x[..., None])[..., 0] for x in drawn), *log_q)

    training.train(score, draw, loss_of, steps=300, learning_rate=0.02, progress=False)
    with torch.no_grad():
        return score(line[:, None])[:, 0].exp()


def gaussian_scores(information: float, n: int, generator: torch.Generator, dims: int = 10) -> Tensor:
    """(n, n) scores of the best critic for n pairs of correlated Gaussians of the given mutual information."""
    squared = 1 - math.exp(-2 * information / dims)  # ρ²
    x, noise = torch.randn(2, n, dims, generator=generator)
    y = squared**0.5 * x + (1 - squared) ** 0.5 * noise
    distance = squared_euclidean(squared**0.5 * x, y)
    return information + y.square().sum(dim=1) / 2 - distance / (2 * (1 - squared))


def view(x: Tensor, generator: torch.Generator, *, crop: bool = True, noise: bool = True) -> Tensor:
    """A random crop of 60 to 100 % of the side, shifted, scaled back to 8 × 8; and noise."""
    side = 0.6 + 0.4 * torch.rand(len(x), 1, 1, generator=generator)
    shift = 0.25 * (2 * torch.rand(len(x), 2, 1, generator=generator) - 1)
    if crop:
        grid = F.affine_grid(torch.cat([side * torch.eye(2), shift], dim=2), (len(x), 1, 8, 8), align_corners=False)
        x = F.grid_sample(x[:, None], grid, align_corners=False)[:, 0]
    return x + 0.1 * torch.randn(x.shape, generator=generator) if noise else x


def fit_views(*, crop: bool = True, noise: bool = True, seed: int = 0, **options):
    """A network trained with NT-Xent on two views of each digit, 96 in a batch, for three epochs; and its history."""
    images, _, train, _ = digits()

    def sample(generator):
        chosen = images[train[torch.randperm(len(train), generator=generator)[:96]]]
        return [view(chosen, generator, crop=crop, noise=noise) for _ in range(2)]

    def loss_of(network, views):
        return losses.nt_xent_loss(*map(network, views), temperature=TEMPERATURE)

    training.seed_everything(seed)
    network, steps = encoders.ImageEncoder(32), round(3 * len(train) / 96)
    options = {"learning_rate": 4e-3, "seed": seed, "progress": False} | options
    return network, training.train(network, sample, loss_of, steps=steps, **options)


def probe(network: nn.Module) -> float:
    images, labels, train, test = digits()
    with torch.no_grad():
        z = F.normalize(network(images))
    return metrics.linear_probe(z[train], labels[train], z[test], labels[test])


@cache
def accuracy_of_one_change() -> dict[str, list[float]]:
    """Linear-probe accuracy by what the two views differ in, three seeds each."""
    kinds = {"noise alone": {"crop": False}, "crop alone": {"noise": False}, "crop and noise": {}}
    return {name: [probe(fit_views(seed=seed, **kind)[0]) for seed in range(3)] for name, kind in kinds.items()}


@cache
def two_terms() -> tuple[list[int], list[float], list[float]]:
    """Steps, alignment and distribution on views of test pictures while NT-Xent is trained."""
    images, _, _, test = digits()
    views = [view(images[test[:200]], torch.Generator().manual_seed(i)) for i in (1, 2)]

    def measure(network):
        terms = losses.nt_xent_terms(*map(network, views), temperature=TEMPERATURE)
        return dict(zip(("alignment", "distribution"), (term.item() for term in terms), strict=True))

    measured = fit_views(measure=measure, every=2)[1]["measured"]
    return tuple([m[key] for m in measured] for key in ("step", "alignment", "distribution"))
