"""GradCache gives the gradient of one large batch, with dropout replayed; and memory is counted as it is used."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from clt import data, encoders, losses, training

SIZES = [1, 3, 5, 12]


def network(dropout: float, dtype=torch.float64) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Dropout(dropout), nn.Linear(16, 5)).to(dtype)


def batch(dtype=torch.float64):
    return torch.randn(12, 2, 6, generator=torch.Generator().manual_seed(1), dtype=dtype)


def loss(q, k):
    return losses.info_nce_loss(q, k, temperature=0.2)


def encode(model):
    return lambda rows: (model(rows[:, 0]), model(rows[:, 1]))


def large(model, parts) -> torch.Tensor:
    """All parts with their graphs at once, from the same random state."""
    read = [encode(model)(part) for part in parts]
    value = loss(*(torch.cat(side) for side in zip(*read, strict=True)))
    value.backward()
    return value.detach()


def gradient(model) -> torch.Tensor:
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("size", SIZES)
def test_it_is_the_gradient_of_one_large_batch(size, dropout):
    parts = batch().split(size)
    model = network(dropout)
    torch.manual_seed(7)
    expected, wanted = large(model, parts), gradient(model).clone()
    after = torch.rand(1)
    model.zero_grad()
    torch.manual_seed(7)
    value = training.cached_backward(encode(model), parts, loss)
    assert not value.requires_grad
    assert value.item() == pytest.approx(expected.item(), rel=1e-12)
    assert torch.allclose(gradient(model), wanted, rtol=1e-9, atol=1e-12)
    assert torch.equal(torch.rand(1), after), "the generator stands where one reading leaves it"


def test_it_adds_to_the_gradient_that_is_there_and_takes_one_tensor_too():
    model, parts = network(0.1), batch()[:, 0].split(4)
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    torch.manual_seed(3)
    training.cached_backward(model, parts, lambda z: z.square().mean())
    added = gradient(model) - 1
    model.zero_grad()
    torch.manual_seed(3)
    torch.cat([model(part) for part in parts]).square().mean().backward()
    assert torch.allclose(added, gradient(model), rtol=1e-9)


def test_to_one_millionth_on_the_encoder_of_the_course():
    model = encoders.SentenceEncoder.load("clt-mini", max_length=32).above(2).train()
    rows = data.load("nli", "train").select(range(12))
    pairs = list(zip(rows["premise"], rows["entailment"], strict=True))
    parts = [pairs[i : i + 4] for i in range(0, 12, 4)]

    def read(part):
        return tuple(model(model.tokenize(list(side))) for side in zip(*part, strict=True))

    torch.manual_seed(5)
    embedded = [torch.cat(side) for side in zip(*map(read, parts), strict=True)]
    loss(*embedded).backward()
    wanted = gradient(model).clone()
    model.zero_grad()
    torch.manual_seed(5)
    training.cached_backward(read, parts, loss)
    assert (gradient(model) - wanted).norm() < 1e-6 * wanted.norm()


def test_accumulation_is_not_a_large_batch():
    model, parts = network(0.0), batch().split(3)
    large(model, parts)
    true = gradient(model).clone()
    model.zero_grad()
    for part in parts:
        (loss(*encode(model)(part)) / len(parts)).backward()
    assert F.cosine_similarity(gradient(model), true, dim=0) < 0.95


def test_batch_normalisation_sees_the_parts():
    model = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5)).double()
    training.cached_backward(encode(model), batch().split(3), loss)
    assert model[1].num_batches_tracked == 2 * 2 * 4


def test_another_source_of_chance_is_noticed():
    model, own = network(0.0), torch.Generator().manual_seed(0)

    def noisy(rows):
        return model(rows + torch.randn(rows.shape, generator=own, dtype=rows.dtype))

    with pytest.raises(RuntimeError, match="encode gave other embeddings when it read a part for the second time"):
        training.cached_backward(noisy, batch()[:, 0].split(4), lambda z: z.square().mean())


def test_under_autocast_the_weights_get_their_gradient():
    """The casts of the first reading have no graph, and autocast would hand them to the second."""
    model, parts = network(0.2, torch.float32), batch(torch.float32).split(4)
    with torch.autocast("cpu", torch.bfloat16):
        training.cached_backward(encode(model), parts, loss)
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_what_it_refuses():
    with pytest.raises(ValueError, match="at least one batch"):
        training.cached_backward(network(0.0), [], loss)
    with pytest.raises(ValueError, match="one number with a gradient"):
        training.cached_backward(network(0.0), batch()[:, 0].split(4), lambda z: z)


def test_memory_is_what_is_alive():
    x = torch.randn(500, 500, requires_grad=True)
    size = 4 * 500 * 500
    with training.CountMemory() as memory:
        y = (x * 2).exp()
        assert (memory.now, memory.peak) == (size, 2 * size), "the product was needed until exp was done"
        y.view(-1).detach()
        assert memory.now == size, "a view holds nothing of its own"
        z = y.sum()
        del y
        assert memory.now == size + 4, "the graph keeps it"
        z.backward()
    assert memory.peak == 2 * size + 8 or memory.peak == pytest.approx(2 * size, rel=1e-3)
    del z
    x.grad = None
    assert memory.now == 0


def test_the_graph_of_a_part_is_smaller_than_that_of_the_whole():
    model = nn.Sequential(*(layer for _ in range(4) for layer in (nn.Linear(64, 64), nn.Tanh())))
    rows = torch.randn(256, 64)
    peaks = {}
    for size in (256, 32):
        model.zero_grad()
        with training.CountMemory() as memory:
            training.cached_backward(model, rows.split(size), lambda z: z.square().mean())
        peaks[size] = memory.peak
    assert peaks[32] < 0.7 * peaks[256]
