"""Large batches: the gradient in two readings, one process's part of the loss, what a step costs, and a plan for it."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from clt import training
from clt.checks._algorithm import Algorithm, Derivation, returned
from clt.checks._exercise import Mistake, Unexpected, case
from clt.checks._experiment import Experiment
from clt.checks.steps import number
from clt.results import number as text

# ---- the gradient of a large batch, part by part


def two_pass_backward(encode, chunks: list, loss) -> Tensor:
    """GradCache: the loss of all parts; its gradient is in the weights, as after ``backward``."""
    return training.cached_backward(encode, chunks, loss)


def plain_two_pass(encode, chunks, loss, *, wrong=frozenset()):
    if wrong & {"accumulated", "accumulated and averaged"}:
        values = []
        for chunk in chunks:
            value = loss(encode(chunk)) / (len(chunks) if "accumulated and averaged" in wrong else 1)
            value.backward()
            values.append(value.detach())
        return torch.stack(values).sum()
    states, parts = [], []
    for chunk in chunks:
        states.append(torch.get_rng_state())
        with torch.set_grad_enabled("first graph kept" in wrong):
            parts.append(encode(chunk))
        if "state afterwards" in wrong:
            states[-1] = torch.get_rng_state()
    z = torch.cat([part.detach() for part in parts]).requires_grad_()
    value = loss(z)
    value.backward()
    start = 0
    for i, chunk in enumerate(chunks):
        if "no replay" not in wrong:
            torch.set_rng_state(states[0 if "one state for all" in wrong else i])
        again = encode(chunk)
        gradient = z.grad[start : start + len(again)]
        if "gradient of the first part" in wrong:
            gradient = z.grad[: len(again)]
        if "plain sum" in wrong:
            gradient = torch.ones_like(gradient)
        if "divided by the parts" in wrong:
            gradient = gradient / len(chunks)
        again.backward(gradient)
        start += len(again)
    return value.detach()


def two_readings(answer, sizes: list[int], dropout: float, seed: int) -> dict[str, object]:
    """What it leaves in the weights of a small network, and how it read the parts."""
    generator = torch.Generator().manual_seed(seed)
    network = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, 4)).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    chunks = [torch.randn(size, 2, 3, generator=generator, dtype=torch.float64) for size in sizes]
    graphs, seen = [], []

    def encode(chunk: Tensor) -> Tensor:
        graphs.append(torch.is_grad_enabled())
        return network(chunk)

    def loss(z: Tensor) -> Tensor:
        seen.append(sum(graphs))
        q, k = F.normalize(z, dim=-1).unbind(1)
        return F.cross_entropy(q @ k.T / 0.3, torch.arange(len(z)))

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        value = number(answer(encode, chunks, loss))
    gradients = [p.grad for p in network.parameters()]
    if any(g is None for g in gradients):
        raise Unexpected("No gradient arrives at the weights.")
    kept = len(seen) == 1 and seen[0] > 0
    return {
        "the loss it returns": value,
        "the gradient of the weights": torch.cat([g.flatten() for g in gradients]),
        "the first reading keeps no graph": "The first reading keeps a graph of every part" if kept else "",
    }


TWO_PASS_BACKWARD = Algorithm(
    reference=two_pass_backward,
    plain=plain_two_pass,
    observe=two_readings,
    cases=[
        case("three parts, without dropout", [3, 3, 3], 0.0, 1),
        case("three parts, a third dropped", [4, 4, 4], 0.33, 2),
        case("parts of 5, 2 and 1, half dropped", [5, 2, 1], 0.5, 3),
    ],
    mistakes=[
        Mistake("accumulated", "This is gradient accumulation: each part has a loss of its own, with fewer negatives.",
                "The loss has to see the embeddings of all parts at once."),
        Mistake("accumulated and averaged",
                "This is gradient accumulation: each part has a loss of its own, with fewer negatives.",
                "The loss has to see the embeddings of all parts at once; no average repairs that."),
        Mistake("no replay", "The second reading draws other zeros than the first.",
                "Keep torch.get_rng_state() before each part, and put it back before the part is read again."),
        Mistake("one state for all", "Every part is read again with the random state of the first.",
                "Keep one state for each part."),
        Mistake("state afterwards", "The random state is kept after a part was read, not before.",
                "To draw the same zeros again, the generator has to stand where it stood before."),
        Mistake("first graph kept", "The first reading keeps its graph, so everything is in memory at once.",
                "Read the parts within torch.no_grad() the first time."),
        Mistake("plain sum", "The second reading goes backward from the sum of the embeddings.",
                "Each embedding has a gradient of its own, found by the loss: hand it to backward."),
        Mistake("gradient of the first part", "Every part gets the gradient of the first part's embeddings.",
                "Rows of the gradient stand where the rows of the embeddings stand: move on with each part."),
        Mistake("divided by the parts", "The gradient is divided by the number of parts.",
                "The loss has taken its mean over all rows already: the parts add up."),
    ],
)  # fmt: skip

# ---- one process's part of the loss


def rank_loss(queries: list[Tensor], keys: list[Tensor], rank: int, *, temperature: float = 0.05) -> Tensor:
    """What process ``rank`` returns, so that the mean over the processes is InfoNCE of the whole batch."""
    start, total = sum(map(len, keys[:rank])), sum(map(len, keys))
    scores = F.normalize(queries[rank], dim=1) @ F.normalize(torch.cat(keys), dim=1).T / temperature
    target = torch.arange(len(scores)) + start
    return F.cross_entropy(scores, target, reduction="sum") * len(keys) / total


def plain_rank_loss(queries, keys, rank, *, temperature=0.05, wrong=frozenset()):
    own, total, world = queries[rank], sum(map(len, keys)), len(keys)
    start = 0 if "no offset" in wrong else sum(map(len, keys[:rank]))
    if "keys are constants" in wrong:
        keys = [k.detach() for k in keys]
    if "only its own keys move" in wrong:
        keys = [k if w == rank else k.detach() for w, k in enumerate(keys)]
    if "no exchange" in wrong:
        keys, start = [keys[rank]], 0
    if "full loss on copies" in wrong:
        own = torch.cat([q if w == rank else q.detach() for w, q in enumerate(queries)])
        keys, start = [k if w == rank else k.detach() for w, k in enumerate(keys)], 0
    if "not normalised" not in wrong:
        own, key = F.normalize(own, dim=1), F.normalize(torch.cat(keys), dim=1)
    else:
        key = torch.cat(keys)
    scores = own @ key.T
    scores = scores if "temperature missing" in wrong else scores / temperature
    rows = F.cross_entropy(scores, torch.arange(len(own)) + start, reduction="none")
    if wrong & {"mean of its own rows", "no exchange", "full loss on copies"}:
        return rows.mean()
    if "times the processes" in wrong:
        return rows.mean() * world
    if "share of the rows" in wrong:
        return rows.sum() / total
    return rows.sum() * world / total


def over_processes(answer, sizes: list[int], temperature: float, seed: int) -> dict[str, object]:
    """The mean over the processes, and its gradient, which is what they average."""
    generator = torch.Generator().manual_seed(seed)
    sides = []
    for _ in ("queries", "keys"):
        rows = [torch.randn(n, 4, generator=generator, dtype=torch.float64) for n in sizes]
        sides.append([(r * (1 + i)).requires_grad_() for i, r in enumerate(rows)])
    values = [returned(answer(*map(list, sides), w, temperature=temperature)) for w in range(len(sizes))]
    if not all(isinstance(v, Tensor) and v.numel() == 1 for v in values):
        raise Unexpected("The loss of a process is a tensor of one number.")
    mean = torch.stack([v.reshape(()) for v in values]).mean()
    if not mean.requires_grad:
        raise Unexpected("The value has no gradient: the graph was cut.")
    leaves = [*sides[0], *sides[1]]
    gradients = torch.autograd.grad(mean, leaves, allow_unused=True)
    gradients = [torch.zeros_like(x) if g is None else g for g, x in zip(gradients, leaves, strict=True)]
    return {
        "the mean over the processes": mean.detach(),
        "the averaged gradient of the queries": torch.cat(gradients[: len(sizes)]),
        "the averaged gradient of the keys": torch.cat(gradients[len(sizes) :]),
    }


RANK_LOSS = Algorithm(
    reference=rank_loss,
    plain=plain_rank_loss,
    observe=over_processes,
    cases=[
        case("two processes with three pairs each", [3, 3], 0.5, 1),
        case("three processes with four, two and three pairs", [4, 2, 3], 0.3, 2),
        case("four processes with two pairs each", [2, 2, 2, 2], 0.8, 3),
    ],
    mistakes=[
        Mistake("no exchange", "Each process compares its own rows only.",
                "The keys of all processes are candidates: put them together."),
        Mistake("keys are constants", "The keys are cut from their graph, so no key ever learns.",
                "A key is a negative in every process, and a positive in one: let all these gradients through."),
        Mistake("only its own keys move", "The keys of other processes are cut from their graph.",
                "A key is pushed away by the queries of all processes, not only by those of its own."),
        Mistake("full loss on copies",
                "The loss of all rows is taken with the rows of others held constant: the gradient is 1/W of the right "
                "one.", "Take the loss of your own rows, against keys that keep their graph."),
        Mistake("no offset", "The targets count from 0 in every process.",
                "The positive of row i stands after the keys of all earlier processes."),
        Mistake("times the processes", "The mean over its own rows is multiplied by the number of processes.",
                "The processes' gradients are averaged, and each is a mean of its rows: nothing is missing."),
        Mistake("share of the rows", "The sum is divided by all N rows, and then the average divides by W once more.",
                "Multiply by the number of processes, which the average takes away again."),
        Mistake("mean of its own rows", "This is right for parts of one size only.",
                "A process with few rows must not count as much as one with many: its sum times W/N."),
        Mistake("temperature missing", "The temperature is missing.", "Divide the scores by it."),
        Mistake("not normalised", "The rows are not normalised.", "A cosine is a product of rows of length 1."),
    ],
)  # fmt: skip

# ---- what a step costs


def step_cost(pairs: int, processes: int, dimension: int) -> tuple[float, float, float, float]:
    """Operations of the loss, bytes of the full matrix, of one's own rows of it, and of the gathered keys; per GPU."""
    return (
        6 * pairs**2 * dimension / processes, 4 * pairs**2, 4 * pairs**2 / processes, 4 * pairs * dimension
    )  # fmt: skip


def plain_cost(pairs, processes, dimension, *, wrong=frozenset()):
    own = pairs / processes
    size = 2 if "two bytes" in wrong else 4
    products = 2 if "forward only" in wrong else 3
    each = 1 if "multiplications only" in wrong else 2
    rows = own * own if "its own columns too" in wrong else own * pairs
    operations = products * each * dimension * (pairs**2 if "operations of all rows" in wrong else rows)
    gathered = size * dimension * (own if "its own keys" in wrong else pairs)
    full = size * (pairs**2 / 2 if "half of the matrix" in wrong else pairs**2)
    return operations, full, size * rows, gathered


STEP_COST = Derivation(
    reference=step_cost,
    plain=plain_cost,
    cases=[
        case("8,192 pairs on 8 processes, 768 wide", 8192, 8, 768),
        case("256 pairs on 2 processes, 64 wide", 256, 2, 64),
        case("1,000 pairs on one process, 128 wide", 1000, 1, 128),
    ],
    mistakes=[
        Mistake("two bytes", "Numbers of 2 bytes are counted.", "Logits are kept in float32: 4 bytes each."),
        Mistake("forward only", "Only the forward product is counted.",
                "Backward multiplies twice more: for the gradient of the queries and for that of the keys."),
        Mistake("multiplications only", "Additions are not counted.",
                "Each of the N²d terms is a multiplication and an addition: two operations."),
        Mistake("its own columns too", "Each process compares its own rows with its own keys only.",
                "Its N/W rows meet all N keys."),
        Mistake("operations of all rows", "The operations are those of the whole matrix.",
                "A process computes N/W of the N rows."),
        Mistake("its own keys", "Only one's own keys are counted.", "After the gather a process holds all N keys."),
        Mistake("half of the matrix", "Half of the matrix is counted.",
                "Queries and keys are two sets: entry i, j is not entry j, i."),
    ],
)  # fmt: skip

# ---- a plan

MEMORY = 80e9  # bytes of one GPU
SENTENCE = 14.2e6  # bytes of activations of a sentence of 32 tokens in BERT-base, in 16 bits, as CountMemory counts
STATE = 16 * 110e6  # weights, gradients and Adam's two averages
COPIES = 3  # of the logits, alive at once
WIDTH = 768


def plan_bytes(plan: dict) -> dict[str, float]:
    """What a GPU has to hold, by its cause."""
    pairs, processes, chunk = plan["pairs"], plan["processes"], plan["chunk"]
    _, full, own_rows, gathered = step_cost(pairs, processes, WIDTH)
    return {
        "logits": COPIES * (full if plan["rows"] == "all" else own_rows),
        "activations": 2 * SENTENCE * min(chunk, pairs / processes),
        "the model": STATE,
        "embeddings": 2 * gathered,
    }


def judge_plan(plan) -> Iterator[tuple[str, ...]]:
    names = {"pairs", "processes", "chunk", "rows"}
    form = isinstance(plan, dict) and plan.keys() == names and plan["rows"] in ("own", "all")
    if form:
        numbers = [plan[name] for name in ("pairs", "processes", "chunk")]
        form = all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in numbers)
    wanted = "A plan has positive integers under pairs, processes and chunk, and 'own' or 'all' under rows."
    yield "it is a plan", "" if form else wanted
    few = plan["processes"] <= 8
    yield "at most 8 GPUs", *(("",) if few else (f"It asks for {plan['processes']}.", "too many GPUs"))
    many = plan["pairs"] >= 131_072
    yield "at least 131,072 pairs", *(("",) if many else (f"It has {plan['pairs']}.", "too few pairs"))
    even = plan["pairs"] % plan["processes"] == 0
    told = f"{plan['pairs']} pairs do not divide by {plan['processes']}."
    yield "every GPU has as many pairs", *(("",) if even else (told, "uneven"))
    needs = plan_bytes(plan)
    share = plan["pairs"] / plan["processes"]
    busy = plan["chunk"] >= 256
    yield "at least 256 pairs at a time", *(("",) if busy else (f"It reads {plan['chunk']}.", "too small a chunk"))
    gb = {what: f"{what} {text(size / 1e9)} GB" for what, size in needs.items()}
    chunk = "whole share" if plan["chunk"] >= share else "too large a chunk"
    causes = {"logits": "all rows" if plan["rows"] == "all" else "too many pairs", "activations": chunk}
    for what, wrong in causes.items():
        if needs[what] > MEMORY:
            yield "a GPU of 80 GB holds it", f"{gb[what]} alone.", wrong
            return
    fits, wrong = sum(needs.values()) <= MEMORY, chunk
    yield "a GPU of 80 GB holds it", *(("",) if fits else (", ".join(gb.values()) + ".", wrong))


LARGE_BATCH_PLAN = Experiment(
    name="large_batch_plan",
    reference={"pairs": 131_072, "processes": 8, "chunk": 512, "rows": "own"},
    judge=judge_plan,
    mistakes=[
        Mistake("too many GPUs", "Eight are all there are.", "Memory has to come from somewhere else.",
                {"pairs": 131_072, "processes": 64, "chunk": 512, "rows": "own"}),
        Mistake("too few pairs", "The batch is too small.", "131,072 are asked for.",
                {"pairs": 65_536, "processes": 8, "chunk": 512, "rows": "own"}),
        Mistake("uneven", "Some GPUs have a pair more than others.",
                "A plain all_gather wants equal parts: choose a multiple.",
                {"pairs": 131_073, "processes": 8, "chunk": 512, "rows": "own"}),
        Mistake("all rows", "Every GPU holds the logits of all rows, three times.",
                "A GPU needs the rows of its own queries only.",
                {"pairs": 131_072, "processes": 8, "chunk": 512, "rows": "all"}),
        Mistake("whole share", "A GPU reads its whole share with a graph.",
                "Read it in chunks, and twice: that is what GradCache is for.",
                {"pairs": 131_072, "processes": 8, "chunk": 16_384, "rows": "own"}),
        Mistake("too large a chunk", "It all fits but for the activations of so large a chunk.",
                "Halve the chunk: the gradient stays the same.",
                {"pairs": 131_072, "processes": 8, "chunk": 2_000, "rows": "own"}),
        Mistake("too small a chunk", "So small a chunk leaves a GPU idle most of the time.",
                "Take as large a chunk as memory allows.",
                {"pairs": 131_072, "processes": 8, "chunk": 16, "rows": "own"}),
        Mistake("too many pairs", "Even its own rows of the logits are more than a GPU has.",
                "They grow with the square of the pairs.",
                {"pairs": 524_288, "processes": 8, "chunk": 512, "rows": "own"}),
    ],
)  # fmt: skip

EXERCISES = (TWO_PASS_BACKWARD, RANK_LOSS, STEP_COST, LARGE_BATCH_PLAN)
