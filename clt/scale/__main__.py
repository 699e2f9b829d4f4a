"""``python -m clt.scale``: train on large batches, with several processes."""

import json
import os
import signal
import time
from pathlib import Path

import click
import torch

from clt import scale
from clt.scale.processes import lost_another


@click.command(context_settings={"show_default": True, "help_option_names": ["-h", "--help"]})
@click.option("--processes", default=0, help="Start so many here; 0 if torchrun or accelerate has started this one.")
@click.option("--pairs", default=64, help="Pairs in a batch, over all processes.")
@click.option("--chunk", default=16, help="Pairs whose graph a process holds at a time.")
@click.option("--steps", default=4, help="Updates of the weights.")
@click.option("--learning-rate", default=3e-4)
@click.option("--dropout", default=0.1)
@click.option("--seed", default=0)
@click.option("--device", default="auto")
@click.option("--precise", is_flag=True, help="float32 also where the hardware has bfloat16.")
@click.option("--shard", "sharded", is_flag=True, help="FSDP2: a process holds a part of each weight, not a copy.")
@click.option("--checkpoint", type=click.Path(path_type=Path, dir_okay=False), help="Go on from here, and write here.")
@click.option("--vectors", type=click.Path(path_type=Path, exists=True), help="Pairs as torch.save wrote them.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="JSON with what was measured.")
@click.option("--ways", is_flag=True, help="Compare the ways to gather on eight pairs, too.")
@click.option("--die-at", default=-1, help="The last process kills itself before this step, to see what happens then.")
def main(processes: int, **options) -> None:
    """Train the upper half of clt-mini on premises and what follows from them, or a matrix on finished vectors."""
    if processes:
        given = [text for name, value in options.items() for text in _option(name, value)]
        try:
            print(scale.launch(given, processes=processes), end="")
        except (RuntimeError, TimeoutError) as error:
            raise click.ClickException(str(error)) from error
        return
    work(**options)


def work(*, output: Path | None, ways: bool, die_at: int, vectors: Path | None = None, **options) -> None:
    """What each process does."""
    rank, world = scale.meet()
    found: dict = {"processes": world, "ways": scale.compare(sharded=options.get("sharded", False)) if ways else {}}
    last = rank == world - 1

    def watch(step: int) -> None:
        if step == die_at and last:
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))

    start = time.perf_counter()
    pairs = torch.load(vectors, weights_only=True) if vectors else None
    try:
        found |= scale.train(pairs, watch=watch, **options)
    except RuntimeError as error:
        if not lost_another(str(error)):
            raise
        raise click.ClickException(
            f"process {rank} of {world} lost another one, which has ended or was killed: the launcher says which, and "
            f"how ({str(error).splitlines()[0]})"
        ) from error
    found["seconds"] = time.perf_counter() - start
    if rank == 0:
        for step, loss in enumerate(found["loss"]):
            print(f"step {step}: loss {loss:.4f}, norm of the gradient {found['gradient norm'][step]:.4f}")
        print(f"process 0 of {world} holds {found['weights held'][0]:,} weights")
        if output:
            output.write_text(json.dumps(found), encoding="utf-8")


def _option(name: str, value) -> list[str]:
    flag = "--" + {"sharded": "shard"}.get(name, name).replace("_", "-")
    if isinstance(value, bool) or value is None:
        return [flag] if value else []
    return [flag, str(value)]


if __name__ == "__main__":
    main(prog_name="python -m clt.scale")
