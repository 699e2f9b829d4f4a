"""Time and peak memory of a forward and backward pass, this package beside the libraries and the hardware's limit.

Every measurement is a process of its own, so that its memory is its own; ``losses.json``, ``losses.md`` and
``losses.png`` go to the output folder. ``README.md`` beside this file says how to read them.
"""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import click
import psutil
import torch
import torch.nn.functional as F

from clt import losses
from clt.losses import _contrast

TEMPERATURE, CLASSES = 0.1, 32


# Each method takes n rows of width d on a device and returns a step: forward and backward, once.


def nt_xent(n, d, device):
    views = _rows(n // 2, d, device), _rows(n // 2, d, device)
    return lambda: losses.nt_xent_loss(*views, temperature=TEMPERATURE).backward()


def nt_xent_plain(n, d, device):
    views = _rows(n // 2, d, device), _rows(n // 2, d, device)
    twins = torch.arange(n, device=device).roll(n // 2)
    itself = torch.eye(n, dtype=torch.bool, device=device)

    def step():
        z = F.normalize(torch.cat(views), dim=1)
        F.cross_entropy((z @ z.T / TEMPERATURE).masked_fill(itself, -torch.inf), twins).backward()

    return step


def nt_xent_pml(n, d, device):
    from pytorch_metric_learning import losses as pml

    views = _rows(n // 2, d, device), _rows(n // 2, d, device)
    loss = pml.SelfSupervisedLoss(pml.NTXentLoss(temperature=TEMPERATURE))
    return lambda: loss(*views).backward()


def info_nce(n, d, device):
    query, key = _rows(n, d, device), _rows(n, d, device)
    return lambda: losses.info_nce_loss(query, key, temperature=TEMPERATURE).backward()


def info_nce_plain(n, d, device):
    query, key, own = _rows(n, d, device), _rows(n, d, device), torch.arange(n, device=device)

    def step():
        logits = F.normalize(query, dim=1) @ F.normalize(key, dim=1).T / TEMPERATURE
        F.cross_entropy(logits, own).backward()

    return step


def info_nce_linear(n, d, device):
    query, key, own = _rows(n, d, device), _rows(n, d, device), torch.arange(n, device=device)
    options = torch.nn.LinearCrossEntropyOptions(batch_chunk_size=1024, chunking_method=None)

    def step():
        scaled, keys = F.normalize(query, dim=1) / TEMPERATURE, F.normalize(key, dim=1)
        F.linear_cross_entropy(scaled, keys, own, options=options).backward()

    return step


def info_nce_st(n, d, device):
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    query, key = _rows(n, d, device), _rows(n, d, device)
    loss = MultipleNegativesRankingLoss(model=_Model(device), scale=1 / TEMPERATURE)
    return lambda: loss.compute_loss_from_embeddings([query, key], None).backward()


def sup_con(n, d, device):
    rows, labels = _rows(n, d, device), _labels(n, device)
    return lambda: losses.sup_con_loss(rows, labels, temperature=TEMPERATURE).backward()


def sup_con_pml(n, d, device):
    from pytorch_metric_learning import losses as pml

    rows, labels = _rows(n, d, device), _labels(n, device)
    loss = pml.SupConLoss(temperature=TEMPERATURE)
    return lambda: loss(rows, labels).backward()


def label_aware(n, d, device):
    rows, labels, logits = _rows(n, d, device), _labels(n, device), _rows(n, CLASSES, device)
    return lambda: losses.label_aware_loss(rows, labels, logits).backward()


def all_triplets(n, d, device):
    rows, labels = _rows(n, d, device), _labels(n, device)
    return lambda: losses.batch_triplet_loss(rows, labels).backward()


def all_triplets_pml(n, d, device):
    from pytorch_metric_learning import losses as pml

    rows, labels = _rows(n, d, device), _labels(n, device)
    loss = pml.TripletMarginLoss(margin=1.0)
    return lambda: loss(rows, labels).backward()


def all_triplets_st(n, d, device):
    from sentence_transformers.sentence_transformer.losses import BatchAllTripletLoss

    rows, labels = _rows(n, d, device), _labels(n, device)
    loss = BatchAllTripletLoss(model=_Model(device), margin=1.0)
    return lambda: loss.batch_all_triplet_loss(labels, rows).backward()


def gemm_bound(n, d, device):
    """The three matrix products of a comparison of two sets, 6n²d FLOP, in tiles of the size ours has. A set compared
    with itself needs 4n²d."""
    z = torch.randn(n, d, device=device)
    height = min(n, _contrast.TILE[torch.device(device).type] // n)
    tile, some, every = (torch.zeros(shape, device=device) for shape in ((height, n), (height, d), (n, d)))

    def step():
        for few in z.split(height):
            logits = torch.mm(few, z.T, out=tile[: len(few)])
            torch.mm(logits, z, out=some[: len(few)])
            every.addmm_(logits.T, few)

    return step


METHODS = {
    "NT-Xent": {"clt": nt_xent, "plain cross entropy": nt_xent_plain, "pytorch-metric-learning": nt_xent_pml},
    "InfoNCE": {
        "clt": info_nce,
        "plain cross entropy": info_nce_plain,
        "linear_cross_entropy": info_nce_linear,
        "sentence-transformers": info_nce_st,
    },
    "SupCon": {"clt": sup_con, "pytorch-metric-learning": sup_con_pml},
    "label-aware": {"clt": label_aware},
    "all triplets": {
        "clt": all_triplets,
        "pytorch-metric-learning": all_triplets_pml,
        "sentence-transformers": all_triplets_st,
    },
    "GEMM bound": {"6n²d": gemm_bound},
}


@click.command(context_settings={"show_default": True})
@click.option(
    "--sizes", default="32,64,128,256,512,1024,2048,4096,8192,16384,32768", help="Rows n, separated by commas."
)
@click.option("--width", default=128, help="Width d of an embedding.")
@click.option(
    "--task",
    "tasks",
    multiple=True,
    type=click.Choice(list(METHODS)),
    help="Only these (repeatable); what the folder has of others is kept.",
)
@click.option("--threads", default=2, help="CPU threads.")
@click.option("--device", default="cpu", help="cpu or cuda.")
@click.option("--tf32", is_flag=True, help="On CUDA, let float32 products round to TF32.")
@click.option("--seconds", default=30.0, help="A size that promises to take longer for one pass is left out.")
@click.option("--gigabytes", default=6.0, help="So is one that promises to need more memory.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("build/benchmarks"), help="Folder of the results.")
@click.option("--one", nargs=3, hidden=True, help="Measure one TASK METHOD N here and print it as JSON.")
def main(sizes, width, tasks, threads, device, tf32, seconds, gigabytes, out, one):
    """Time and peak memory of the losses, forward and backward, beside the libraries and the matrix-product bound."""
    torch.set_num_threads(threads)
    torch.backends.cuda.matmul.allow_tf32 = tf32
    if one:
        task, method, n = one
        if device == "cpu":  # an allocation beyond fails, before the machine does
            limit = int(gigabytes * 1e9) + psutil.Process().memory_info().data
            resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        click.echo(json.dumps(measure(METHODS[task][method], int(n), width, device)))
        return
    setting = {"width": width, "threads": threads, "device": device, "tf32": tf32, "torch": torch.__version__}
    results = _of_other_tasks(out / "losses.json", setting, tasks or METHODS)
    for task, methods in METHODS.items():
        for method in methods if not tasks or task in tasks else ():
            for n in map(int, sizes.split(",")):
                options = [f"--width={width}", f"--threads={threads}", f"--device={device}", *["--tf32"] * tf32]
                options += [f"--gigabytes={gigabytes}", "--one", task, method, str(n)]
                found = _in_a_process(options, timeout=6 * seconds)
                if found is None:
                    break
                results.append({"task": task, "method": method, "n": n, "d": width, **found})
                click.echo(f"{task:12} {method:25} n = {n:6}  {found['seconds']:9.4f} s  {found['megabytes']:8.1f} MB")
                if 8 * found["seconds"] > 2 * seconds or 8 * found["megabytes"] > 2000 * gigabytes:
                    break  # twice the rows: four times the work, or eight
    out.mkdir(parents=True, exist_ok=True)
    results.sort(key=lambda r: list(METHODS).index(r["task"]))
    (out / "losses.json").write_text(json.dumps({"setting": setting, "results": results}, indent=1) + "\n")
    (out / "losses.md").write_text(table(results))
    figure(results, out / "losses.png")
    click.echo(f"\n{table(results)}\nwritten to {out}")


def measure(method, n: int, d: int, device: str) -> dict:
    """Best time of several passes, and the peak of memory above what was there before the first."""
    torch.manual_seed(0)
    method(8, d, device)()  # libraries are loaded, threads started
    step = method(n, d, device)
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    else:
        before = psutil.Process().memory_info().rss
    times = []
    while len(times) < 3 or (sum(times) < 3 and len(times) < 3000):
        start = time.perf_counter()
        step()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
        if sum(times) > 30:
            break
    if device == "cuda":
        peak = torch.cuda.max_memory_allocated()
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {"seconds": min(times), "megabytes": max(0, peak - before) / 1e6, "passes": len(times)}


def table(results: list[dict]) -> str:
    """Markdown: for each task a table of seconds and megabytes, a row for each n."""
    bound = {r["n"]: r["seconds"] for r in results if r["task"] == "GEMM bound"}
    lines = []
    for task in dict.fromkeys(r["task"] for r in results if r["task"] != "GEMM bound"):
        mine = {(r["method"], r["n"]): r for r in results if r["task"] == task}
        methods = [m for m in METHODS[task] if any(m == name for name, _ in mine)]
        lines += [
            f"### {task}",
            "",
            "| n | GEMM bound | " + " | ".join(methods) + " |",
            "|---" * (len(methods) + 2) + "|",
        ]
        for n in sorted({n for _, n in mine}):
            cells = [_cell(mine.get((method, n))) for method in methods]
            limit = f"{bound[n]:.3g} s" if n in bound and task != "all triplets" else "–"
            lines.append(f"| {n:,} | {limit} | " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def figure(results: list[dict], path: Path) -> None:
    """Log–log: time above, memory below, a column for each task."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    tasks = list(dict.fromkeys(r["task"] for r in results if r["task"] != "GEMM bound"))
    if not tasks:
        return
    methods = list(dict.fromkeys(r["method"] for r in results))
    look = {m: {"color": f"C{i}", "marker": "osD^vPX"[i % 7]} for i, m in enumerate(methods)}
    grid, axes = plt.subplots(2, len(tasks), figsize=(3.2 * len(tasks), 6), sharex=True, sharey="row", squeeze=False)
    for column, task in enumerate(tasks):
        for row, quantity in enumerate(("seconds", "megabytes")):
            ax = axes[row, column]
            for method in methods:
                bound = method in METHODS["GEMM bound"]
                if bound and (row == 1 or task == "all triplets"):
                    continue
                of_task = [
                    r for r in results if r["method"] == method and r["task"] == (task if not bound else "GEMM bound")
                ]
                if of_task:
                    style = {"color": "0.4", "linestyle": "--"} if bound else look[method]
                    label = "GEMM bound" if bound else method
                    ax.plot(
                        [r["n"] for r in of_task], [max(r[quantity], 0.1 * row) for r in of_task], label=label, **style
                    )
            ax.set(xscale="log", yscale="log")
            ax.set_xscale("log", base=2)
            ax.grid(alpha=0.3)
        axes[0, column].set_title(task)
        axes[0, column].legend(fontsize=7)
        axes[1, column].set_xlabel("rows n")
    axes[0, 0].set_ylabel("seconds, forward + backward")
    axes[1, 0].set_ylabel("megabytes above the input")
    grid.tight_layout()
    grid.savefig(path, dpi=120)


class _Model:
    """All that sentence-transformers' losses ask of a model when they are given embeddings."""

    def __init__(self, device):
        self.device = torch.device(device)


def _rows(n, d, device):
    return torch.randn(n, d, device=device, requires_grad=True)


def _labels(n, device):
    return torch.randint(CLASSES, (n,), device=device)


def _of_other_tasks(path: Path, setting: dict, tasks) -> list[dict]:
    """What an earlier run with the same setting found for the tasks that this one leaves out."""
    earlier = json.loads(path.read_text()) if path.exists() else {"setting": None}
    return [r for r in earlier["results"] if r["task"] not in tasks] if earlier["setting"] == setting else []


def _in_a_process(arguments, timeout) -> dict | None:
    try:
        command = [sys.executable, __file__, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        click.echo(f"{arguments[-3]} {arguments[-2]} n = {arguments[-1]}: stopped after {timeout:.0f} s", err=True)
        return None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        click.echo(f"{arguments[-3]} {arguments[-2]} n = {arguments[-1]}: {last}", err=True)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def _cell(result: dict | None) -> str:
    return "–" if result is None else f"{result['seconds']:.3g} s, {result['megabytes']:.0f} MB"


if __name__ == "__main__":
    main()
