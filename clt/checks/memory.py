"""The exercise on the hippocampus queue: a memory that fades, judged by the states it goes through."""

import torch
from torch import Tensor

from clt import losses
from clt.checks._algorithm import Algorithm, returned
from clt.checks._compare import numbers
from clt.checks._exercise import Mistake, Unexpected, case


class PlainQueue:
    """The last batches of embeddings, and weights that fall with age."""

    def __init__(self, batches, *, decay, wrong=frozenset()):
        self.room, self.decay, self.wrong, self.kept = batches, decay, wrong, []

    def push(self, embeddings):
        wrong = self.wrong
        kept = embeddings if "gradient kept" in wrong else embeddings.detach()
        if "same memory" not in wrong:
            kept = kept.clone()
        self.kept.append(kept)
        room = 10**6 if "never full" in wrong else self.room + 1 if "one too many" in wrong else self.room
        if "room for rows" in wrong:
            self.kept = [torch.cat(self.kept)[-room:]] if room else []
        elif "forgets the newest" in wrong:
            self.kept = self.kept[:room]
        else:
            self.kept = self.kept[len(self.kept) - room :] if len(self.kept) > room else self.kept

    @property
    def negatives(self):
        kept = self.kept[-1:] if "only the newest" in self.wrong else self.kept
        return torch.cat(kept) if kept else torch.empty(0, 0)

    @property
    def weights(self):
        wrong, kept = self.wrong, self.kept[-1:] if "only the newest" in self.wrong else self.kept
        ages = torch.tensor([float(len(kept) - i) for i, batch in enumerate(kept) for _ in range(len(batch))])
        if "oldest weigh most" in wrong:
            ages = len(kept) + 1 - ages
        if "a weight for each batch" in wrong:
            ages = torch.arange(len(kept), 0, -1.0)
        if "each row ages" in wrong:
            ages = torch.arange(len(ages), 0, -1.0)
        if "newest has 1" in wrong:
            ages = ages - 1
        if "linear" in wrong:
            return (1 - (1 - self.decay) * ages).clamp_min(0)
        if "no forgetting" in wrong:
            return torch.ones_like(ages)
        return self.decay**ages


def states(answer, batches: int, decay: float, sizes: list[int]) -> dict[str, object]:
    """What the queue holds before the first push and after each; the batch just pushed is then overwritten."""
    queue, seen, generator = returned(answer(batches, decay=decay)), {}, torch.Generator().manual_seed(len(sizes))
    seen["it is empty at first"] = _part(queue, "negatives").numel()
    wants = touched = ""
    for i, size in enumerate(sizes, start=1):
        batch = torch.randn(size, 3, generator=generator, dtype=torch.float64, requires_grad=True)
        pushed = batch * 1.0
        queue.push(pushed)
        touched = touched if torch.equal(pushed, batch) else "It changes the embeddings that are pushed"
        negatives = _part(queue, "negatives")
        wants = "The embeddings it holds want a gradient: detach them" if negatives.requires_grad else wants
        pushed.detach().zero_()
        negatives, weights = _part(queue, "negatives").detach(), _part(queue, "weights")
        negatives = negatives if negatives.numel() else torch.empty(0)  # nothing has no width
        seen |= {f"its negatives after push {i}": negatives, f"its weights after push {i}": weights.double()}
    return seen | {"it holds no graph": wants, "it leaves the batch as it is": touched}


def _part(queue, name: str) -> Tensor:
    value = getattr(queue, name)
    value = numbers(returned(value() if callable(value) else value))
    if value is None:
        raise Unexpected(f"{name} should be a tensor.")
    return value


HIPPOCAMPUS_QUEUE = Algorithm(
    name="hippocampus_queue",
    reference=losses.HippocampusQueue,
    plain=PlainQueue,
    observe=states,
    cases=[
        case("room for 2 batches, decay 0.5; batches of 2, 1, 3 and 2 rows", 2, 0.5, [2, 1, 3, 2]),
        case("room for 3 batches, decay 0.8", 3, 0.8, [1, 2, 2, 1, 3]),
        case("room for 1 batch, decay 1", 1, 1.0, [2, 2]),
        case("no room", 0, 0.7, [2, 1]),
    ],
    mistakes=[
        Mistake("never full", "It never forgets a batch.", "When the room is used up the oldest batch goes."),
        Mistake("one too many", "It keeps one batch too many.", "With room for k batches, push k + 1 drops the first."),
        Mistake(
            "room for rows",
            "The room is counted in rows.",
            "It is counted in batches, whatever number of rows each has.",
        ),
        Mistake(
            "forgets the newest",
            "When it is full it refuses the new batch.",
            "The oldest one makes room: what the encoder says now is worth most.",
        ),
        Mistake("only the newest", "It holds the last batch only.", "It holds as many as there is room for."),
        Mistake(
            "oldest weigh most",
            "The oldest batch has the greatest weight.",
            "Weights fall with age: the newest weighs most.",
        ),
        Mistake(
            "newest has 1",
            "The newest batch has weight 1.",
            "Its age is 1, so it weighs decay; the batch before it decay squared.",
        ),
        Mistake(
            "a weight for each batch",
            "There is one weight for each batch.",
            "There is one for each row: all rows of a batch have the same.",
        ),
        Mistake("each row ages", "The rows of one batch have different ages.", "A batch is remembered at one moment."),
        Mistake("linear", "The weights fall by equal steps.", "They fall by a factor: decay to the power of the age."),
        Mistake("no forgetting", "All weights are 1: nothing fades.", "The weight of a batch is decay to its age."),
        Mistake(
            "gradient kept",
            "The embeddings keep their graph, so that memory grows and old batches are trained.",
            "Detach what is remembered.",
        ),
        Mistake(
            "same memory",
            "It holds the caller's tensor itself, which may change afterwards.",
            "Remember a copy: .detach().clone().",
        ),
    ],
)

EXERCISES = (HIPPOCAMPUS_QUEUE,)
