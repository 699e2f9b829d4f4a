"""Right answers: the gradient of a large batch in two readings, one process's loss, what a step costs, a plan."""

import torch
import torch.nn.functional as F

from clt import losses


def two_pass_backward__plain(encode, chunks, loss):
    states, parts = [], []
    for chunk in chunks:
        states.append(torch.get_rng_state())
        with torch.no_grad():
            parts.append(encode(chunk))
    z = torch.cat(parts).requires_grad_()
    value = loss(z)
    value.backward()
    pieces = z.grad.split([len(part) for part in parts])
    for chunk, state, gradient in zip(chunks, states, pieces, strict=True):
        torch.set_rng_state(state)
        encode(chunk).backward(gradient)
    return value.detach()


def two_pass_backward__dot_products(encode, chunks, loss):
    """The second reading goes backward from the product with the gradient."""
    z, seeds = [], []
    for chunk in chunks:
        seeds.append(torch.random.get_rng_state())
        z.append(_quietly(encode, chunk))
    value = loss(torch.cat(z))
    gradients = torch.autograd.grad(value, z)
    for chunk, seed, gradient in zip(chunks, seeds, gradients, strict=True):
        torch.random.set_rng_state(seed)
        (encode(chunk) * gradient).sum().backward()
    return value.item()


def _quietly(encode, chunk):
    with torch.no_grad():
        found = encode(chunk)
    return found.requires_grad_()


def two_pass_backward__the_state_at_the_start(encode, chunks, loss):
    """One state is enough if all parts are read again in their order."""
    start = torch.get_rng_state()
    with torch.no_grad():
        z = torch.cat([encode(chunk) for chunk in chunks])
    z.requires_grad_()
    value = loss(z)
    (gradient,) = torch.autograd.grad(value, z)
    torch.set_rng_state(start)
    row = 0
    for chunk in chunks:
        again = encode(chunk)
        again.backward(gradient[row : row + len(again)])
        row += len(again)
    return value


def rank_loss__plain(queries, keys, rank, *, temperature=0.05):
    start = sum(len(k) for k in keys[:rank])
    total = sum(len(k) for k in keys)
    scores = F.normalize(queries[rank], dim=1) @ F.normalize(torch.cat(keys), dim=1).T / temperature
    target = torch.arange(len(scores)) + start
    return F.cross_entropy(scores, target, reduction="sum") * len(keys) / total


def rank_loss__full_loss_everywhere(queries, keys, rank, *, temperature=0.05):
    return losses.info_nce_loss(torch.cat(queries), torch.cat(keys), temperature=temperature)


def rank_loss__weighted_mean(queries, keys, rank, *, temperature=0.05):
    sizes = [len(k) for k in keys]
    scores = F.cosine_similarity(queries[rank][:, None], torch.cat(keys), dim=2) / temperature
    first = sum(sizes[:rank])
    chosen = scores[:, first : first + sizes[rank]].diagonal()
    return (scores.logsumexp(1) - chosen).mean() * sizes[rank] * len(sizes) / sum(sizes)


def step_cost__plain(pairs, processes, dimension):
    rows = pairs / processes
    return 6 * rows * pairs * dimension, 4 * pairs**2, 4 * rows * pairs, 4 * pairs * dimension


def step_cost__list(pairs, processes, dimension):
    matrix = 4.0 * pairs * pairs
    return [1.5 * matrix / processes * dimension, matrix, matrix / processes, 4.0 * pairs * dimension]


def step_cost__tensor(pairs, processes, dimension):
    one = pairs * pairs / processes
    return torch.tensor([6 * one * dimension, 4 * one * processes, 4 * one, 4 * pairs * dimension], dtype=torch.float64)


large_batch_plan__plain = {"pairs": 131_072, "processes": 8, "chunk": 512, "rows": "own"}
large_batch_plan__more = {"pairs": 163_840, "processes": 8, "chunk": 256, "rows": "own"}
large_batch_plan__large_chunks = {"pairs": 131_072, "processes": 8, "chunk": 1536, "rows": "own"}
