"""How much memory a computation needs, counted: the same on every machine, and exact where a meter only estimates."""

import weakref

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class CountMemory(TorchDispatchMode):
    """Counts the bytes of all tensors that are made in a ``with`` block and still needed: by name, or by a graph.

    >>> with CountMemory() as memory:
    ...     loss = (torch.ones(1000, requires_grad=True) * 2).exp().sum()
    >>> memory.peak >= 4000
    True

    Attributes:
        now: bytes of what is alive at this moment.
        peak: the most there ever was. What an operation uses and frees within itself is not seen.
    """

    def __init__(self):
        super().__init__()
        self.now = self.peak = 0
        self._known = weakref.WeakSet()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        given = {id(t.untyped_storage()) for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor) and id(tensor.untyped_storage()) not in given:
                self._count(tensor.untyped_storage())
        return made

    def _count(self, storage: torch.UntypedStorage) -> None:
        if storage in self._known:
            return
        self._known.add(storage)
        size = storage.nbytes()
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._freed, size)

    def _freed(self, size: int) -> None:
        self.now -= size
