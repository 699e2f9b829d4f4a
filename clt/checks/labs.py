"""The small experiments that checks run again: seeded, well under a second each, on an encoder of two layers.

A student tries settings here, in the notebook, and hands in the one that shows what was asked for; the check runs the
same function with it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clt import losses, metrics

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


@dataclass(frozen=True)
class Twins:
    """What :func:`twins` finds: uniformity of the sentences, and how much nearer an identical twin is."""

    uniformity: float
    gap: float


def hard_mining(
    vectors: Tensor, labels: Tensor, *, mining: str = "hard", steps: int = 100
) -> tuple[list[float], list[float]]:
    """Train a small encoder on one batch by triplets, margin 0.5.

    Args:
        vectors: ``(N, D)``, what the encoder reads; centred and scaled inside.
        labels: ``(N,)`` integers.
        mining: which triplets, as in :func:`clt.losses.batch_triplet_loss`.
        steps: updates.

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
