"""Several processes: they train as one, a killed one ends the run with a clear error, and the run can go on."""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from click.testing import CliRunner
from safetensors.torch import load_file

from clt import scale
from clt.scale.__main__ import main, work
from clt.scale.processes import ended_with

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.skipif(not dist.is_available(), reason="this PyTorch has no torch.distributed")
# Mean loss, cosine and ratio to the true gradient: measured with two gloo processes by code of its own.
OFFICIAL = {
    "no exchange": (0.6178894606237465, 0.9255309653765192, 1.1167695602996006),
    "copies but for its own, full loss": (0.7772453383087438, 0.9999999999999998, 0.5),
    "copies, own rows' loss": (0.7772453383087436, 0.6008647137942998, 1.1078829261154763),
    "copies but for its own, own rows' loss": (0.7772453383087436, 0.9840299140568647, 1.0402013315956293),
    "with gradient, own rows' loss": (0.7772453383087436, 0.9999999999999998, 1.0),
    "with gradient, own rows' loss times W": (1.5544906766174873, 0.9999999999999998, 2.0),
    "with gradient, full loss": (0.7772453383087438, 0.9999999999999998, 1.0),
}
SMALL = ["--pairs", "12", "--chunk", "4", "--dropout", "0", "--device", "cpu", "--precise"]


def gradient(name: str, world: int) -> tuple[float, torch.Tensor]:
    return scale.averaged(partial(scale.in_one_process, scale.WAYS[name]), processes=world)


@pytest.mark.parametrize("world", [1, 2, 4, 8])
def test_two_ways_are_right_with_any_number_of_processes(world):
    _, true = gradient("no exchange", 1)
    factors = {"with gradient, own rows' loss": 1, "with gradient, full loss": 1}
    factors |= {"with gradient, own rows' loss times W": world, "copies but for its own, full loss": 1 / world}
    for name, factor in factors.items():
        assert torch.allclose(gradient(name, world)[1], factor * true, rtol=1e-12)


def test_in_one_process_is_what_two_processes_measured():
    _, true = gradient("no exchange", 1)
    for name, (loss, cosine, ratio) in OFFICIAL.items():
        value, found = gradient(name, 2)
        assert value == pytest.approx(loss, rel=1e-9)
        assert F.cosine_similarity(found, true, dim=0).item() == pytest.approx(cosine)
        assert (found.norm() / true.norm()).item() == pytest.approx(ratio, rel=1e-9)


def run(folder: Path, *arguments: str, processes: int = 2) -> dict:
    scale.launch([*SMALL, *arguments, "--output", str(folder / "found.json")], processes=processes)
    return json.loads((folder / "found.json").read_text(encoding="utf-8"))


def alone(folder: Path, monkeypatch, steps: int) -> dict:
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    options = {"pairs": 12, "chunk": 4, "dropout": 0.0, "device": "cpu", "precise": True, "seed": 0}
    options |= {"steps": steps, "learning_rate": 3e-4, "checkpoint": None}
    work(output=folder / "alone.json", ways=False, die_at=-1, **options)
    return json.loads((folder / "alone.json").read_text(encoding="utf-8"))


def test_two_processes_train_as_one_and_exchange_as_measured(tmp_path, monkeypatch):
    two, one = run(tmp_path, "--steps", "3", "--ways"), alone(tmp_path, monkeypatch, 3)
    assert (two["processes"], one["processes"]) == (2, 1)
    assert two["loss"] == pytest.approx(one["loss"], rel=1e-4)
    assert two["gradient norm"] == pytest.approx(one["gradient norm"], rel=1e-3)
    for name, (loss, cosine, ratio) in OFFICIAL.items():
        found = two["ways"][name]
        assert [found["loss"], found["cosine"], found["ratio"]] == pytest.approx([loss, cosine, ratio], rel=1e-9)


def test_a_killed_process_ends_the_run_and_the_next_one_goes_on(tmp_path, monkeypatch):
    checkpoint = ["--checkpoint", str(tmp_path / "run.safetensors")]
    with pytest.raises(RuntimeError, match=r"process 1 of 2 was killed \(SIGKILL\), and the others have been ended"):
        run(tmp_path, "--steps", "3", "--die-at", "2", *checkpoint)
    two, one = run(tmp_path, "--steps", "3", *checkpoint), alone(tmp_path, monkeypatch, 3)
    assert two["loss"] == pytest.approx(one["loss"], rel=1e-4), "as if nothing had happened"


def test_an_error_of_one_process_is_told(tmp_path):
    with pytest.raises(RuntimeError, match=r"process \d of 2 ended with code 1.*expected 1 to 2000 pairs"):
        scale.launch(["--pairs", "5000"], processes=2)


def test_the_command_says_the_same():
    result = CliRunner().invoke(main, ["--processes", "2", "--pairs", "5000"])
    assert result.exit_code == 1
    assert "Error: process" in result.output


def test_what_takes_too_long_is_ended():
    with pytest.raises(TimeoutError, match=r"2 processes were not done after 0\.1 s and have been ended"):
        scale.launch(SMALL, processes=2, seconds=0.1)


@pytest.fixture(scope="session")
def vectors(tmp_path_factory) -> list[str]:
    """Finished vectors in place of sentences: a process is ready in a third of the time."""
    path = tmp_path_factory.mktemp("vectors") / "pairs.pt"
    torch.save(torch.randn(40, 2, 16, generator=torch.Generator().manual_seed(0)), path)
    return ["--vectors", str(path)]


def test_two_processes_that_share_the_weights_train_as_one(tmp_path, monkeypatch):
    two, one = run(tmp_path, "--steps", "3", "--ways", "--shard"), alone(tmp_path, monkeypatch, 3)
    assert two["loss"] == pytest.approx(one["loss"], rel=1e-4)
    assert two["gradient norm"] == pytest.approx(one["gradient norm"], rel=1e-3)
    assert two["weights held"][0] == pytest.approx(one["weights held"][0] / 2, rel=0.01)
    for name, (loss, cosine, ratio) in OFFICIAL.items():
        found = two["ways"][name]
        assert [found["loss"], found["cosine"], found["ratio"]] == pytest.approx([loss, cosine, ratio], rel=1e-9)


def test_a_killed_run_goes_on_with_shared_weights_and_back(tmp_path, vectors):
    saved = {name: tmp_path / name for name in ("through", "changed")}
    whole = run(tmp_path, "--steps", "4", "--checkpoint", str(saved["through"]), *vectors)
    changed = ["--checkpoint", str(saved["changed"]), *vectors]
    with pytest.raises(RuntimeError, match=r"process 1 of 2 was killed \(SIGKILL\)"):
        run(tmp_path, "--steps", "4", "--die-at", "2", "--shard", *changed)
    with pytest.raises(RuntimeError, match=r"process 1 of 2 was killed \(SIGKILL\)"):
        run(tmp_path, "--steps", "4", "--die-at", "3", *changed)
    found = run(tmp_path, "--steps", "4", "--shard", *changed)
    assert found["loss"] == pytest.approx(whole["loss"], rel=1e-5)
    one, other = (load_file(path) for path in saved.values())
    assert one.keys() == other.keys()
    for name in one:
        if name.startswith(("model.", "optimizer.")):
            torch.testing.assert_close(one[name], other[name], rtol=1e-4, atol=1e-6)


def test_shared_weights_need_as_many_pairs_in_each_process(vectors):
    with pytest.raises(RuntimeError, match="2 processes that share their weights need as many pairs each"):
        scale.launch([*SMALL, "--pairs", "13", "--shard", *vectors], processes=2)


LAUNCHERS = {
    "torchrun": ["torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m"],
    "accelerate": ["accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1",
                   "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0", "-m"],
}  # fmt: skip


def start(launcher: list[str], *arguments: str) -> subprocess.CompletedProcess:
    environment = {"GLOO_SOCKET_IFNAME": "lo"} | os.environ | {"OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", *launcher, "clt.scale", *SMALL, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)


@pytest.mark.parametrize("shard", [[], ["--shard"]], ids=["copies", "shared"])
@pytest.mark.parametrize("name", LAUNCHERS)
def test_other_launchers_start_the_same_file(name, shard, tmp_path, vectors):
    if name == "accelerate":
        pytest.importorskip("accelerate")
    done = start(LAUNCHERS[name], "--steps", "2", *shard, "--output", str(tmp_path / "found.json"), *vectors)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert (found["processes"], found["weights held"]) == (2, [128 if shard else 256])
    options = {"pairs": 12, "chunk": 4, "steps": 2, "dropout": 0.0, "device": "cpu", "precise": True}
    one = scale.train(torch.load(vectors[1], weights_only=True), **options)
    assert found["loss"] == pytest.approx(one["loss"], rel=1e-5)
    assert found["gradient norm"] == pytest.approx(one["gradient norm"], rel=1e-5)


@pytest.mark.parametrize("name", LAUNCHERS)
def test_other_launchers_say_which_process_was_killed(name, vectors):
    if name == "accelerate":
        pytest.importorskip("accelerate")
    done = start(LAUNCHERS[name], "--steps", "2", "--die-at", "1", *vectors)
    assert done.returncode != 0
    root = done.stderr.rpartition("Root Cause")[2]
    assert "rank      : 1 (local_rank: 1)" in root
    assert "SIGKILL" in root


def test_accelerate_that_starts_one_process_in_place_of_several_is_found_out(vectors):
    pytest.importorskip("accelerate")
    launcher = ["--cpu" if part == "--multi_gpu" else part for part in LAUNCHERS["accelerate"]]
    done = start(launcher, "--steps", "1", *vectors)
    assert done.returncode != 0
    assert "accelerate was asked for several processes and has started one" in done.stderr
    assert "--multi_gpu" in done.stderr


def test_how_a_process_ended_in_words():
    assert ended_with(1, 4, 3, "It said last: no") == (
        "process 1 of 4 ended with code 3, and the others have been ended. It said last: no"
    )
    assert "was killed (SIGKILL)" in ended_with(0, 2, -9)
    assert "enough memory" in ended_with(0, 2, -9)


def test_parts_of_a_batch_are_the_batch(monkeypatch):
    rows = list(range(11))
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "get_world_size", lambda: 3)
    found = []
    for rank in range(3):
        monkeypatch.setattr(dist, "get_rank", lambda rank=rank: rank)
        found.append(scale.share(rows))
    assert sum(found, []) == rows  # noqa: RUF017
    assert sorted(map(len, found)) == [3, 4, 4]
