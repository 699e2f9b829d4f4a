import itertools
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from clt import training

SCRIPT = """
import sys, time, torch
from torch import nn
from clt import training

def run(checkpoint, pause=0.0, steps=30):
    training.seed_everything(7)
    model = nn.Sequential(nn.Linear(4, 16), nn.Dropout(0.5), nn.Linear(16, 1))
    def sample(generator):
        time.sleep(pause)
        return torch.randn(8, 4, generator=generator)
    loss_of = lambda model, x: (model(x) - x.sum(1, keepdim=True)).square().mean()
    history = training.train(model, sample, loss_of, steps=steps, learning_rate=1e-2, warmup=5, every=5,
                             measure=lambda m: {"weight": m[0].weight.norm()}, checkpoint=checkpoint, progress=False)
    return history, model

if __name__ == "__main__":
    run(sys.argv[1], pause=float(sys.argv[2]))
"""
_here: dict = {}
exec(SCRIPT.split("if __name__")[0], _here)  # the same run here and in a process that can be killed
run = _here["run"]


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def killed_after(tmp_path: Path, checkpoint: Path, ready) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    process = subprocess.Popen([sys.executable, script, checkpoint, "0.05"], env=os.environ | {"OMP_NUM_THREADS": "1"})
    deadline = time.monotonic() + 60
    while not ready() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    assert process.wait() != 0, "it should have been killed, not have finished"


def test_a_killed_run_resumes_to_the_same_numbers(tmp_path):
    whole, model = run(None)
    checkpoint = tmp_path / "run.safetensors"
    killed_after(tmp_path, checkpoint, checkpoint.exists)
    resumed, again = run(checkpoint)
    assert resumed == whole
    assert same(model, again)


def test_a_kill_in_the_middle_of_writing_costs_nothing(tmp_path, monkeypatch):
    whole, model = run(None)
    checkpoint = tmp_path / "run.safetensors"
    real, complete = training.save_file, []

    def cut(tensors, path, metadata):
        real(tensors, path, metadata=metadata)
        if len(complete) == 2:  # the third checkpoint: half of it reaches the disk, then the process is gone
            os.truncate(path, 100)
            raise KeyboardInterrupt
        complete.append(path.read_bytes())

    monkeypatch.setattr(training, "save_file", cut)
    with pytest.raises(KeyboardInterrupt):
        run(checkpoint)
    monkeypatch.undo()
    assert checkpoint.read_bytes() == complete[1]
    resumed, again = run(checkpoint)
    assert resumed == whole
    assert same(model, again)


def test_a_finished_run_is_not_run_again(tmp_path):
    checkpoint = tmp_path / "run.safetensors"
    first, model = run(checkpoint)
    second, again = run(checkpoint)
    assert first == second
    assert same(model, again)


def test_measuring_and_writing_do_not_change_the_run(tmp_path):
    training.seed_everything(7)
    model = nn.Sequential(nn.Linear(4, 16), nn.Dropout(0.5), nn.Linear(16, 1))
    plain = training.train(
        model,
        lambda generator: torch.randn(8, 4, generator=generator),
        lambda model, x: (model(x) - x.sum(1, keepdim=True)).square().mean(),
        steps=30,
        learning_rate=1e-2,
        warmup=5,
        progress=False,
    )
    measured, other = run(tmp_path / "run.safetensors")
    assert plain["loss"] == measured["loss"]
    assert same(model, other)
    assert [found["step"] for found in measured["measured"]] == [0, 5, 10, 15, 20, 25, 30]


def test_it_learns_and_leaves_the_model_ready_to_use():
    history, model = run(None)
    assert sum(history["loss"][-5:]) < 0.7 * sum(history["loss"][:5])
    assert not model.training


@pytest.mark.parametrize("damage", [lambda b: b[:50], lambda b: b"", lambda b: b"{}" * 40])
def test_a_damaged_checkpoint_is_named(tmp_path, damage):
    checkpoint = tmp_path / "run.safetensors"
    run(checkpoint, steps=5)
    checkpoint.write_bytes(damage(checkpoint.read_bytes()))
    with pytest.raises(ValueError, match=r"run\.safetensors cannot be read"):
        run(checkpoint)


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    checkpoint = tmp_path / "run.safetensors"
    run(checkpoint, steps=5)
    with pytest.raises(ValueError, match="another model"):
        training.train(nn.Linear(3, 3), None, None, steps=9, learning_rate=1.0, checkpoint=checkpoint)


def test_what_is_frozen_stays_and_has_no_say():
    """A frozen layer keeps its weights under weight decay, and an old gradient of it does not count when clipping."""

    def trained(stale: float):
        training.seed_everything(0)
        model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 1))
        before = model[0].weight.detach().clone()
        model[0].requires_grad_(False)
        model[0].weight.grad = torch.full((3, 3), stale)
        training.train(
            model, lambda g: torch.randn(4, 3, generator=g), lambda m, x: m(x).square().mean(), steps=3,
            learning_rate=0.1, weight_decay=0.5, progress=False,
        )  # fmt: skip
        assert torch.equal(model[0].weight, before)
        assert not model[0].weight.requires_grad
        return model

    assert same(trained(0.0), trained(1e6))


def test_nothing_to_train_is_refused():
    with pytest.raises(ValueError, match="nothing to train"):
        training.train(nn.Linear(2, 1).requires_grad_(False), None, None, steps=1, learning_rate=0.1)


def test_a_checkpoint_that_trained_other_layers_is_refused(tmp_path):
    """Layers of one shape could take each other's optimizer state without a sound."""

    def start(frozen: int, steps: int):
        model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
        model[frozen].requires_grad_(False)
        return training.train(
            model, lambda g: torch.randn(4, 3, generator=g), lambda m, x: m(x).square().mean(), steps=steps,
            learning_rate=0.1, checkpoint=tmp_path / "run", progress=False,
        )  # fmt: skip

    start(0, 2)
    with pytest.raises(ValueError, match="trains other parameters"):
        start(1, 4)
    assert len(start(0, 4)["loss"]) == 4


def test_tied_weights_can_be_saved(tmp_path):
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = model[0].weight
    sample = lambda generator: torch.randn(2, 4, generator=generator)
    history = training.train(
        model, sample, lambda m, x: m(x).square().mean(), steps=2, learning_rate=0.1, checkpoint=tmp_path / "tied",
        progress=False,
    )  # fmt: skip
    assert len(history["loss"]) == 2
    assert (tmp_path / "tied").exists()


def test_a_loss_that_is_not_finite_stops_the_run():
    model = nn.Linear(2, 1)
    with pytest.raises(FloatingPointError, match="nan at step 0"):
        training.train(
            model,
            lambda g: None,
            lambda m, x: m.weight.sum() * float("nan"),
            steps=3,
            learning_rate=0.1,
            progress=False,
        )


def test_the_learning_rate_warms_up_and_decays_to_nothing(monkeypatch):
    rates = []
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda self: rates.append(self.param_groups[0]["lr"]))
    training.train(
        nn.Linear(2, 1), lambda g: torch.ones(1, 2), lambda m, x: m(x).sum(), steps=10, learning_rate=1.0, warmup=3,
        progress=False,
    )  # fmt: skip
    assert rates[:3] == [0.25, 0.5, 0.75]
    assert max(rates) == 1.0 == rates[3]
    assert all(a > b for a, b in itertools.pairwise(rates[3:]))
    assert rates[-1] == pytest.approx(1 / 7)


def test_pick_device():
    assert training.pick_device("cpu").type == "cpu"
    assert training.pick_device("auto").type in ("cpu", "cuda", "mps")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_run_resumes_to_the_same_numbers(tmp_path):
    def on_gpu(checkpoint, stop_after=10):
        training.seed_everything(7)
        model = nn.Sequential(nn.Linear(4, 16), nn.Dropout(0.5), nn.Linear(16, 1)).cuda()
        steps = iter(range(stop_after))

        def loss(model, x):
            next(steps)  # the step after the last one stops the run, as an error would
            return model(x).square().mean()

        return training.train(
            model, lambda g: torch.randn(8, 4, generator=g).cuda(), loss, steps=10, learning_rate=1e-2, every=5,
            checkpoint=checkpoint, progress=False,
        )  # fmt: skip

    straight = on_gpu(tmp_path / "straight")["loss"]
    with pytest.raises(StopIteration):
        on_gpu(tmp_path / "stopped", stop_after=7)
    assert on_gpu(tmp_path / "stopped", stop_after=5)["loss"] == pytest.approx(straight, rel=1e-4)
