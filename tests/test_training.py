import itertools
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
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


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda weight: (weight - weight.detach()).square().sum().sqrt(), "step 5.*that of weight is not finite"),
        (lambda weight: weight.sum() * 3e19, "step 5.*its norm overflows"),
    ],
)
def test_a_gradient_that_is_not_finite_stops_before_the_step(tmp_path, loss, message):
    """The loss is a number, its gradient is none: weights and checkpoint stay as they were after the last good step."""

    def steps(until: int, last: int):
        torch.manual_seed(0)
        model, numbers = nn.Linear(4, 1, bias=False), itertools.count()
        loss_of = lambda m, x: loss(m.weight) if next(numbers) >= until else (m(x) - 1).square().mean()
        return model, lambda: training.train(
            model, lambda g: torch.randn(8, 4, generator=g), loss_of, steps=last, learning_rate=0.1, every=1,
            checkpoint=tmp_path / "run", progress=False,
        )  # fmt: skip

    model, run = steps(until=5, last=20)
    with pytest.raises(FloatingPointError, match=message):
        run()
    assert model.weight.isfinite().all()
    again, resume = steps(until=0, last=20)
    with pytest.raises(FloatingPointError):
        resume()
    assert torch.equal(again.weight, model.weight), "the checkpoint holds the weights of step 5"


def noisy(checkpoint, stop_at=None, measure=None):
    """A run whose loss draws from Python's, NumPy's and torch's generators."""
    torch.manual_seed(0)
    model, numbers = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 1)), itertools.count()

    def sample(generator):
        if next(numbers) == stop_at:
            raise KeyboardInterrupt
        return torch.randn(4, 3, generator=generator)

    def loss_of(model, x):
        noise = random.random() + random.gauss(0, 1) + np.random.rand() + np.random.randn()  # noqa: NPY002
        return (model(x) - noise).square().mean()

    history = training.train(
        model, sample, loss_of, steps=12, learning_rate=0.1, every=3, checkpoint=checkpoint, measure=measure,
        progress=False,
    )  # fmt: skip
    return history["loss"], model


def test_every_random_state_is_in_the_checkpoint(tmp_path):
    whole, model = noisy(None)
    with pytest.raises(KeyboardInterrupt):
        noisy(tmp_path / "run", stop_at=7)
    resumed, again = noisy(tmp_path / "run")
    assert resumed == whole
    assert same(model, again)


def test_measuring_puts_every_random_state_back():
    def measure(model):
        assert not model.training
        random.gauss(0, 1)
        np.random.randn(3)  # noqa: NPY002
        return {"drawn": torch.rand(()) + random.random() + np.random.rand()}  # noqa: NPY002

    plain, model = noisy(None)
    measured, other = noisy(None, measure=measure)
    assert plain == measured
    assert same(model, other)


def test_a_checkpoint_of_another_version_is_refused(tmp_path):
    from safetensors import safe_open
    from safetensors.torch import save_file

    run(tmp_path / "run", steps=5)
    with safe_open(tmp_path / "run", "pt") as file:
        notes, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    del notes["numpy"]
    save_file(tensors, tmp_path / "run", metadata=notes)
    with pytest.raises(ValueError, match="lacks numpy: another version"):
        run(tmp_path / "run")


def plain_run(loss_of=None, **options):
    settings = {"steps": 3, "learning_rate": 0.1, "progress": False} | options
    loss_of = loss_of or (lambda m, x: m(x).square().mean())
    return training.train(nn.Linear(2, 1), lambda g: torch.ones(4, 2), loss_of, **settings)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"steps": -1}, ValueError, "steps should be an integer of at least 0, got -1"),
        ({"steps": 2.5}, TypeError, "steps should be an integer"),
        ({"warmup": -1}, ValueError, "warmup should be an integer of at least 0"),
        ({"warmup": 0.1}, TypeError, "warmup should be an integer"),
        ({"every": 0}, ValueError, "every should be an integer of at least 1"),
        ({"every": -5}, ValueError, "every should be an integer of at least 1"),
        ({"learning_rate": float("inf")}, ValueError, "finite learning rate"),
        ({"learning_rate": float("nan")}, ValueError, "finite learning rate"),
        ({"learning_rate": -0.1}, ValueError, "finite learning rate"),
        ({"clip": 0}, ValueError, "positive clip"),
        ({"clip": float("nan")}, ValueError, "positive clip"),
    ],
)
def test_numbers_out_of_range_are_named(options, error, message):
    with pytest.raises(error, match=message):
        plain_run(**options)


def test_numbers_in_range_are_taken():
    assert plain_run(steps=0)["loss"] == []
    assert len(plain_run(steps=np.int64(2), warmup=5, clip=float("inf"))["loss"]) == 2


@pytest.mark.parametrize(
    ("loss_of", "message"),
    [
        (lambda m, x: m(x).square().squeeze(1), r"a tensor of one number, such as a mean; got shape \(4,\)"),
        (lambda m, x: 0.5, "got a float"),
        (lambda m, x: m(x).mean().detach(), "the loss has no gradient"),
    ],
)
def test_a_loss_that_cannot_be_minimised_is_refused(loss_of, message):
    with pytest.raises(ValueError, match=message):
        plain_run(loss_of)


def test_a_checkpoint_that_cannot_be_written_is_noticed_at_once(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "run.tmp").mkdir()
    for place in (tmp_path / "file" / "run", tmp_path / "run"):
        drawn = []
        with pytest.raises(OSError, match="cannot be written"):
            plain_run(lambda m, x: drawn.append(x), checkpoint=place)  # noqa: B023
        assert drawn == []


def test_fewer_steps_than_the_checkpoint_has_are_refused(tmp_path):
    plain_run(checkpoint=tmp_path / "run")
    with pytest.raises(ValueError, match="has 3 steps, and 2 are asked for"):
        plain_run(steps=2, checkpoint=tmp_path / "run")


def test_a_finished_run_needs_no_place_to_write(tmp_path):
    plain_run(checkpoint=tmp_path / "run")
    (tmp_path / "run.tmp").mkdir()
    assert len(plain_run(checkpoint=tmp_path / "run")["loss"]) == 3


def test_adamw_is_fused_where_it_can_be(monkeypatch):
    def fused(weight):
        return training._adamw([nn.Parameter(weight)], lr=0.1).param_groups[0].get("fused")

    assert fused(torch.ones(2))
    assert fused(torch.ones(2, dtype=torch.float64))
    assert not fused(torch.ones(2, device="meta")), "asked for on CPU and CUDA alone"

    class NoKernel(torch.optim.AdamW):
        def __init__(self, parameters, fused=False, **options):
            if fused:
                raise RuntimeError("`fused=True` requires all the params to be …")
            super().__init__(parameters, **options)

    monkeypatch.setattr(torch.optim, "AdamW", NoKernel)
    assert not fused(torch.ones(2)), "the plain one, without a word"


@pytest.mark.parametrize(("amx", "avx"), list(itertools.product([True, False, None], repeat=2)))
def test_bfloat16_is_used_where_the_processor_computes_in_it(monkeypatch, amx, avx):
    """None stands for a torch that has no such question."""
    for name, answer in (("_is_amx_tile_supported", amx), ("_is_avx512_bf16_supported", avx)):
        monkeypatch.delattr(torch.cpu, name, raising=False)
        if answer is not None:
            monkeypatch.setattr(torch.cpu, name, lambda answer=answer: answer, raising=False)
    device = torch.device("cpu")
    assert training.computes_in_bf16(device) is bool(amx or avx)
    with training.autocast(device):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == (torch.bfloat16 if amx or avx else torch.float32)
    assert not training.computes_in_bf16(torch.device("mps"))


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
    def on_gpu(checkpoint, stop_at=None):
        training.seed_everything(7)
        model, numbers = nn.Sequential(nn.Linear(4, 16), nn.Dropout(0.5), nn.Linear(16, 1)).cuda(), itertools.count()

        def sample(generator):
            if next(numbers) == stop_at:
                raise KeyboardInterrupt
            return torch.randn(8, 4, generator=generator).cuda()

        return training.train(
            model, sample, lambda m, x: m(x).square().mean(), steps=10, learning_rate=1e-2, every=5,
            checkpoint=checkpoint, progress=False,
        )  # fmt: skip

    whole = on_gpu(None)
    with pytest.raises(KeyboardInterrupt):
        on_gpu(tmp_path / "run", stop_at=7)
    assert on_gpu(tmp_path / "run") == whole
