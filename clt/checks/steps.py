"""The exercises on training steps: what a step does to the weights, and how an encoder makes two views."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clt import losses
from clt.checks._algorithm import Algorithm, returned
from clt.checks._compare import numbers
from clt.checks._exercise import Mistake, Unexpected, case


def number(value) -> Tensor:
    """A returned loss: one number, with or without its graph."""
    found = numbers(returned(value))
    if found is None or found.numel() != 1:
        raise Unexpected(f"It returned {type(value).__name__}, and the loss is one number.")
    return found.detach().reshape(())


def training_step(model: nn.Module, optimizer: torch.optim.Optimizer, batch, loss_of) -> Tensor:
    """One step: gradients zeroed, ``loss_of(model, batch)``, backward, step; returns the loss before the step."""
    loss = loss_of(model, batch)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()


def plain_step(model, optimizer, batch, loss_of, *, wrong=frozenset()):
    if "zeroed by nobody" not in wrong and "zeroed last" not in wrong:
        optimizer.zero_grad()
    loss = loss_of(model, batch)
    if "step first" in wrong:
        optimizer.step()
    if "uphill" in wrong:
        (-loss).backward()
    elif "backward missing" not in wrong:
        loss.backward()
    if "zeroed before the step" in wrong:
        optimizer.zero_grad()
    if not wrong & {"step missing", "step first"}:
        optimizer.step()
    if "zeroed last" in wrong:
        optimizer.zero_grad()
    if "trained twice" in wrong:
        optimizer.step()
    return loss_of(model, batch).detach() if "loss after" in wrong else loss.detach()


def steps_taken(answer, kind: str, seed: int) -> dict[str, object]:
    """Three steps of a small model, whose weights still hold a gradient of something else."""
    generator = torch.Generator().manual_seed(seed)
    model = nn.Linear(3, 2).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
            parameter.grad = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    make = {"SGD": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.5), "AdamW": lambda p: torch.optim.AdamW(p, lr=0.1)}
    optimizer = make[kind](model.parameters())
    seen: dict[str, object] = {}
    calls: list[str] = []
    optimizer.register_step_post_hook(lambda *_: calls.append("step"))

    def loss_of(model: nn.Module, batch: Tensor) -> Tensor:
        loss = _distance(model, batch)
        loss.register_hook(lambda _: calls.append("backward"))
        return loss

    for step in ("first", "second", "third"):
        batch = torch.randn(2, 4, 3, generator=generator, dtype=torch.float64)
        before = _distance(model, batch).detach()
        loss = number(answer(model, optimizer, batch, loss_of))
        seen |= {f"backward, then one step of the optimizer ({step})": list(calls)}
        calls.clear()
        weights = torch.cat([p.detach().flatten() for p in model.parameters()])
        seen |= {f"the weights after it ({step})": weights}
        seen |= {f"the loss it returns is that before the step ({step})": loss - before}
    return seen


def _distance(model: nn.Module, batch: Tensor) -> Tensor:
    return (model(batch[0]) - model(batch[1])).square().sum(dim=1).mean() + model(batch[0]).square().mean()


TRAINING_STEP = Algorithm(
    reference=training_step,
    plain=plain_step,
    observe=steps_taken,
    cases=[case("SGD with momentum, gradients left over from before", "SGD", 0), case("AdamW", "AdamW", 1)],
    mistakes=[
        Mistake(
            "zeroed by nobody",
            "The gradients are never zeroed: each step also goes where all earlier ones went.",
            "backward adds to what is there. Zero the gradients before it.",
        ),
        Mistake(
            "zeroed last",
            "The gradients are zeroed after the step, so the first step still holds what was there before.",
            "Zero them before backward, and the step depends on this batch only.",
        ),
        Mistake(
            "zeroed before the step",
            "The gradients are zeroed between backward and step: the optimizer finds nothing.",
            "First zero, then backward, then step.",
        ),
        Mistake(
            "backward missing",
            "There is no backward: the optimizer steps without a gradient of this loss.",
            "loss.backward() puts the gradient where the optimizer looks for it.",
        ),
        Mistake("step missing", "The weights do not move: the step is missing.", "optimizer.step() changes them."),
        Mistake(
            "step first",
            "The optimizer steps before backward, with the gradients of the batch before.",
            "First zero, then backward, then step.",
        ),
        Mistake("uphill", "The step goes uphill: the loss rises.", "The optimizer goes down by itself: no minus."),
        Mistake("trained twice", "The optimizer steps twice on one gradient.", "One backward, one step."),
        Mistake(
            "loss after",
            "The loss that is returned was computed after the step.",
            "Return the one whose gradient was taken: a curve shows where the model was.",
        ),
    ],
)


class Reader(nn.Module):
    """Stands in for a sentence encoder: words are hashed, and dropout is known beforehand.

    The first time a sentence is read in training mode one mask acts on it, the second time another, and so on. So two
    views come out the same whether both are read in one batch or one after the other.
    """

    def __init__(self, seed: int):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.words = nn.Parameter(torch.randn(23, 6, generator=generator, dtype=torch.float64))
        self.masks = 2.0 * (torch.rand(8, 6, generator=generator, dtype=torch.float64) > 0.4)
        self.read: dict[tuple, int] = {}

    def tokenize(self, sentences) -> dict[str, Tensor]:
        if isinstance(sentences, str) or not all(isinstance(s, str) for s in sentences):
            raise TypeError("tokenize takes a list of sentences")
        ids = [torch.tensor([1 + sum(map(ord, word)) % 22 for word in s.split()]) for s in sentences]
        ids = nn.utils.rnn.pad_sequence(ids, batch_first=True)
        return {"input_ids": ids, "attention_mask": (ids > 0).long()}

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        if not isinstance(batch, dict):
            raise TypeError("the encoder reads what its tokenize returns")
        rows = []
        for ids in batch["input_ids"]:
            row = self.words[ids[ids > 0]].mean(dim=0)
            if self.training:
                sentence = tuple(ids[ids > 0].tolist())
                self.read[sentence] = self.read.get(sentence, 0) + 1
                row = row * self.masks[(7 * self.read[sentence] + sum(sentence)) % 8]
            rows.append(row)
        return torch.stack(rows)

    @torch.no_grad()
    def encode(self, sentences) -> Tensor:
        training = self.training
        self.eval()
        found = self(self.tokenize(sentences))
        self.train(training)
        return found


def two_view_step(encoder: nn.Module, sentences: list[str], *, temperature: float = 0.05) -> Tensor:
    """SimCSE's loss of a batch of sentences: dropout on, each sentence read twice."""
    encoder.train()
    batch = encoder.tokenize(sentences)
    return losses.simcse_loss(encoder(batch), encoder(batch), temperature=temperature)


def plain_two_views(encoder, sentences, *, temperature=0.05, wrong=frozenset()):
    encoder.train("dropout off" not in wrong)
    if "encode" in wrong:
        first = second = encoder.encode(sentences)
    else:
        first = encoder(encoder.tokenize(sentences))
        second = first if "read once" in wrong else encoder(encoder.tokenize(sentences))
    if "dropout in one view" in wrong:
        encoder.eval()
        second = encoder(encoder.tokenize(sentences))
    if "second view cut" in wrong:
        second = second.detach()
    if "not normalised" not in wrong:
        first, second = F.normalize(first, dim=1), F.normalize(second, dim=1)
    scores = first @ second.T / (1.0 if "temperature missing" in wrong else temperature)
    return -scores.log_softmax(dim=1).diagonal().mean()


def views_made(answer, seed: int, sentences: list[str], temperature: float) -> dict[str, object]:
    """The loss and the gradient of the weights, from an encoder in evaluation mode, as ``encode`` leaves it."""
    encoder = Reader(seed).eval()
    loss = returned(answer(encoder, sentences, temperature=temperature))
    value = number(loss)
    gradient = torch.zeros_like(encoder.words)
    if isinstance(loss, Tensor) and loss.requires_grad:
        gradient = torch.autograd.grad(loss, encoder.words)[0]
    read = [encoder.read.get(tuple(ids[ids > 0].tolist()), 0) for ids in encoder.tokenize(sentences)["input_ids"]]
    off = next((f"A sentence is read {times} times with dropout" for times in read if times != 2), "")
    return {
        "each sentence is read twice, with dropout on": off,
        "the loss": value,
        "the gradient of the weights": gradient,
    }


TWO_VIEW_STEP = Algorithm(
    reference=two_view_step,
    plain=plain_two_views,
    observe=views_made,
    cases=[
        case("three sentences", 0, ["a cat sat", "the dog ran off", "rain fell all night"], 0.05),
        case("four sentences, temperature 0.5", 3, ["one two", "three", "four five six", "seven eight"], 0.5),
    ],
    mistakes=[
        Mistake(
            "dropout off",
            "Dropout is off: both views are the same vector.",
            "encoder.train() switches it on; it is off after encode and eval.",
        ),
        Mistake(
            "read once",
            "Each sentence is read once, and its one vector is both views.",
            "Call the encoder twice: each pass draws other zeros.",
        ),
        Mistake(
            "encode",
            "The views come from encode, which has no gradient and no dropout.",
            "Call the encoder itself on the tokenized sentences.",
        ),
        Mistake(
            "dropout in one view",
            "Only one of the two views has dropout.",
            "Both passes are read in training mode; switch nothing between them.",
        ),
        Mistake(
            "second view cut",
            "The value is right, but the gradient flows through one view only.",
            "Both passes train the encoder: no .detach(), no torch.no_grad().",
        ),
        Mistake("not normalised", "The views are compared by dot products.", "SimCSE's score is the cosine."),
        Mistake("temperature missing", "The temperature is missing.", "Divide the cosines by it before the softmax."),
    ],
)

EXERCISES = (TRAINING_STEP, TWO_VIEW_STEP)
