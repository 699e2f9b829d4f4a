"""Right solutions: the queue."""

from collections import deque

import torch


class hippocampus_queue__plain:
    def __init__(self, batches, *, decay):
        self.batches, self.decay, self.kept = batches, decay, []

    def push(self, embeddings):
        self.kept.append(embeddings.detach().clone())
        if len(self.kept) > self.batches:
            self.kept.pop(0)

    @property
    def negatives(self):
        return torch.cat(self.kept) if self.kept else torch.empty(0)

    @property
    def weights(self):
        ages = [len(self.kept) - i for i, batch in enumerate(self.kept) for _ in batch]
        return self.decay ** torch.tensor(ages, dtype=torch.float64)


class hippocampus_queue__deque:
    def __init__(self, batches, decay):
        self.decay, self.remembered = decay, deque(maxlen=batches)

    def push(self, embeddings):
        self.remembered.append(embeddings.detach() + 0)

    def negatives(self):
        return torch.cat([*self.remembered, torch.empty(0, 3)])

    def weights(self):
        age, found = len(self.remembered), []
        for batch in self.remembered:
            found += [self.decay**age] * len(batch)
            age -= 1
        return torch.tensor(found)


class hippocampus_queue__faded:
    """Fades at every push, and drops what has become too old."""

    def __init__(self, batches, decay=0.7):
        self.room, self.decay = batches, decay
        self.negatives, self.weights, self.ages = torch.empty(0, 3), torch.empty(0), torch.empty(0)

    def push(self, embeddings):
        self.negatives = torch.cat([self.negatives, embeddings.detach()])
        self.weights = torch.cat([self.weights, torch.ones(len(embeddings))]) * self.decay
        self.ages = torch.cat([self.ages, torch.zeros(len(embeddings))]) + 1
        young = self.ages <= self.room
        self.negatives, self.weights, self.ages = self.negatives[young], self.weights[young], self.ages[young]
