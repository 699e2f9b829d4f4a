"""Processes that train together: started without a port or a network, watched, and ended together.

Launchers such as ``torchrun`` tell each process who it is in environment variables: ``RANK``, ``WORLD_SIZE``, and where
to meet. :func:`launch` does the same, with a file as the meeting point, which works offline and where a fixed port may
be taken.
"""

import datetime
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import torch
import torch.distributed as dist

MEETING = "CLT_MEETING"
PATIENCE = 60  # seconds that a process waits for the others


def launch(arguments: Sequence[str], *, processes: int, seconds: float = 600) -> str:
    """Run ``python -m clt.scale ARGUMENTS`` in several processes at once, and wait until all are done.

    Args:
        arguments: of the command, without ``--processes``.
        processes: how many; on this machine, each with its part of the cores.
        seconds: how long they may take.

    Returns:
        What process 0 printed.

    Raises:
        RuntimeError: if one of them ends with an error or is killed. The others are ended too, and the message says
            which one it was and what it said last.
        TimeoutError: if they are not done in time; they are ended.
    """
    with tempfile.TemporaryDirectory(prefix="clt-", ignore_cleanup_errors=True) as folder:
        logs = [Path(folder, f"{rank}.txt") for rank in range(processes)]
        children = []
        try:
            for rank, path in enumerate(logs):
                with open(path, "wb") as log:
                    children.append(
                        subprocess.Popen(
                            [sys.executable, "-m", "clt.scale", *arguments], env=_environment(rank, processes, folder),
                            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                        )
                    )  # fmt: skip
            _watch(children, logs, seconds)
        finally:
            for child in children:
                with suppress(OSError):
                    child.kill()
                child.wait()
        return logs[0].read_text(encoding="utf-8", errors="replace")


def _environment(rank: int, processes: int, folder: str) -> dict[str, str]:
    """What tells a process who it is, and where it finds this package."""
    here = str(Path(__file__).resolve().parents[2])
    paths = [here, *filter(None, [os.environ.get("PYTHONPATH")])]
    threads = max(1, torch.get_num_threads() // processes)
    return os.environ | {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(processes), "OMP_NUM_THREADS": str(threads),
        MEETING: str(Path(folder, "meeting")), "PYTHONPATH": os.pathsep.join(paths), "PYTHONUTF8": "1",
    }  # fmt: skip


def _watch(children: list[subprocess.Popen], logs: list[Path], seconds: float) -> None:
    end = time.monotonic() + seconds
    while any(child.poll() is None for child in children):
        if any(child.poll() for child in children):
            time.sleep(0.5)  # one that dies takes others with it, which may be noticed first
            break
        if time.monotonic() > end:
            raise TimeoutError(f"{len(children)} processes were not done after {seconds:g} s and have been ended")
        time.sleep(0.02)
    failed = [rank for rank, child in enumerate(children) if child.poll()]
    if failed:  # one that was killed is the cause; one that lost its partner only the consequence
        rank = min(failed, key=lambda rank: (children[rank].returncode >= 0, _lost(logs[rank]), rank))
        raise RuntimeError(ended_with(rank, len(children), children[rank].returncode, _last(logs[rank])))


def ended_with(rank: int, processes: int, code: int, said: str = "") -> str:
    """In words, how a process ended; ``code`` below 0 is the signal that killed it."""
    how = f"ended with code {code}"
    if code < 0:
        how = f"was killed ({signal.Signals(-code).name})"
        said = "Was there enough memory?" if -code == getattr(signal, "SIGKILL", 9) and not said else said
    text = f"process {rank} of {processes} {how}, and the others have been ended"
    return f"{text}. {said}" if said else text


def _last(log: Path, lines: int = 3) -> str:
    said = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return "It said last: " + " / ".join(line.strip() for line in said[-lines:]) if said else ""


def _lost(log: Path) -> bool:
    return lost_another(log.read_text(encoding="utf-8", errors="replace"))


def lost_another(said: str) -> bool:
    """Whether an error only says that the process at the other end is gone."""
    return "Connection closed by peer" in said or "Connection reset by peer" in said


def meet() -> tuple[int, int]:
    """Join the other processes, if a launcher started several; returns one's own number and how many there are.

    With a CUDA device for each they talk through NCCL, else through gloo.

    Raises:
        RuntimeError: if they cannot talk to each other, which some restricted environments do not allow; or if
            ``accelerate launch`` was asked for several processes and has started this one alone, which it does on CPUs.
    """
    if "ACCELERATE_MIXED_PRECISION" in os.environ and "MASTER_ADDR" in os.environ and "RANK" not in os.environ:
        raise RuntimeError(
            "accelerate was asked for several processes and has started one, as it does on CPUs unless MPI starts "
            "them: say `accelerate launch --multi_gpu --num_processes …`, which starts several without a GPU as well"
        )
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if world == 1 or dist.is_initialized():
        return rank, world
    patience = datetime.timedelta(seconds=PATIENCE)
    here = int(os.environ.get("LOCAL_WORLD_SIZE", world))
    backend = "nccl" if torch.cuda.device_count() >= here else "gloo"
    if backend == "nccl":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", rank)))
    try:
        if place := os.environ.get(MEETING):
            _stay_on_this_machine()
            store = dist.FileStore(place, world)
            dist.init_process_group(backend, store=store, rank=rank, world_size=world, timeout=patience)
        else:
            dist.init_process_group(backend, timeout=patience)
        dist.barrier()
    except (RuntimeError, ValueError, OSError) as error:
        raise RuntimeError(
            f"process {rank} of {world} cannot reach the others ({str(error).splitlines()[0]}). Processes talk through "
            f"sockets of this machine: a sandbox or a firewall may forbid that"
        ) from error
    return rank, world


def _stay_on_this_machine() -> None:
    """Gloo looks the machine's name up, and fails where the name is unknown: name the loopback interface instead."""
    names = {name for _, name in socket.if_nameindex()} if hasattr(socket, "if_nameindex") else set()
    loopback = next((name for name in ("lo", "lo0") if name in names), None)
    if loopback:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)
