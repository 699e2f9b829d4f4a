"""A shop whose items are unevenly popular, and how often an item comes, estimated from a stream."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class Shop:
    r"""People with traits, items, and clicks that depend on taste and on popularity.

    .. math:: P(j \mid x) \propto \frac{1}{j}\, e^{x \cdot t_j}, \qquad j = 1, 2, …

    Args:
        seed: of the items' tastes t.
        items, traits: how many.
    """

    def __init__(self, seed: int, *, items: int = 200, traits: int = 8):
        import torch  # late: whoever only loads texts need not wait for it

        generator = torch.Generator().manual_seed(seed)
        self.taste = 0.5 * torch.randn(items, traits, generator=generator)
        self.popularity = 1 / torch.arange(1, items + 1.0)
        self.popularity /= self.popularity.sum()

    def clicks(self, generator: "torch.Generator", n: int) -> tuple["Tensor", "Tensor"]:
        """n people ``(n, traits)`` and the item ``(n,)`` that each of them clicked, drawn with ``generator``."""
        import torch

        person = torch.randn(n, self.taste.shape[1], generator=generator)
        wish = (person @ self.taste.T + self.popularity.log()).softmax(1)
        return person, torch.multinomial(wish, 1, generator=generator)[:, 0]


class StreamingFrequency:
    r"""How often an item comes, from the steps between two appearances: B ← (1 − α) B + α · gap, p = 1/B.

    .. math:: B_j \leftarrow (1 - \alpha)\, B_j + \alpha\, (t - A_j), \qquad A_j \leftarrow t, \qquad
              \hat p_j = 1 / B_j

    Args:
        items: how many there are.
        start: B before anything was seen.
        alpha: α, how quickly old gaps are forgotten.

    Source: Yi et al. (2019), algorithm 2, with an array in the place of its hash.
    """

    def __init__(self, items: int, *, start: float = 20.0, alpha: float = 0.05):
        import torch

        self.alpha, self.step = alpha, 0
        self.last, self.gap = torch.zeros(items), torch.full((items,), float(start))

    def __call__(self, items: "Tensor", *, step: int | None = None) -> "Tensor":
        """The frequency of each item of the next batch (or of that at ``step``), ``(N,)``, once it was counted."""
        self.step, came = self.step + 1 if step is None else step, items.unique()
        self.gap[came] += self.alpha * (self.step - self.last[came] - self.gap[came])
        self.last[came] = self.step
        return 1 / self.gap[items].clamp_min(1)
