"""Two processes with a part of the batch each train as one process with all of it."""

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel

from clt import losses
from clt.losses import _contrast

N, WIDTH = 64, 8


def batch():
    generator = torch.Generator().manual_seed(0)
    x, y, z = torch.randn(3, N, WIDTH, generator=generator, dtype=torch.float64)
    weights = torch.rand(N, generator=generator, dtype=torch.float64)
    return {"x": x, "y": y, "z": z, "w": weights, "labels": torch.randint(40, (N,), generator=generator)}


def encoder():
    generator = torch.Generator().manual_seed(1)
    layer = torch.nn.Linear(WIDTH, WIDTH, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(WIDTH, WIDTH, generator=generator, dtype=torch.float64))
        layer.bias.zero_()
    return layer


LOSSES = {
    "nt_xent": lambda f, b, **o: losses.nt_xent_loss(f(b["x"]), f(b["y"]), **o),
    "info_nce": lambda f, b, **o: losses.info_nce_loss(f(b["x"]), f(b["y"]), **o),
    "info_nce, dot": lambda f, b, **o: losses.info_nce_loss(
        f(b["x"]), f(b["y"]), f(b["z"]), b["w"], similarity="dot", temperature=20.0, **o
    ),
    "info_nce, function": lambda f, b, **o: losses.info_nce_loss(
        f(b["x"]), f(b["y"]), f(b["z"]), b["w"], similarity=lambda x, y: x @ y.T, temperature=20.0, **o
    ),
    "info_nce, own": lambda f, b, **o: losses.info_nce_loss(
        f(b["x"]), f(b["y"]), f(b["z"])[:, None], b["w"][:, None], **o
    ),
    "clip": lambda f, b, **o: losses.clip_loss(f(b["x"]), f(b["y"]), **o),
    "simcse": lambda f, b, **o: losses.simcse_loss(f(b["x"]), f(b["y"]), **o),
    "simcse, hard": lambda f, b, **o: losses.simcse_loss(f(b["x"]), f(b["y"]), f(b["z"]), hard_negative_weight=2, **o),
    "sup_con": lambda f, b, **o: losses.sup_con_loss(f(b["x"]), b["labels"], **o),  # lone anchors in either process
    "sup_con, views": lambda f, b, **o: losses.sup_con_loss(f(torch.stack([b["x"], b["y"]], 1)), b["labels"], **o),
}
SETTINGS = {"equal parts, dense": (32, 2**62), "unequal parts, tiled": (41, 0)}  # rows of process 0; largest dense


def work(rank, folder):
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    torch.set_num_threads(1)
    results = {}
    for setting, (cut, dense) in SETTINGS.items():
        mine = {name: x[:cut] if rank == 0 else x[cut:] for name, x in batch().items()}
        _contrast.DENSE, _contrast.TILE = dense, {"cpu": 500}
        for name, loss in LOSSES.items():
            for reduction in ("mean", "sum"):
                model = DistributedDataParallel(encoder())
                value = loss(model, mine, reduction=reduction, gather=True)
                value.backward()
                results[name, setting, reduction] = value.item(), model.module.weight.grad.clone()
            results[name, setting, "none"] = loss(encoder(), mine, reduction="none", gather=True).detach()
    torch.save(results, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    if not dist.is_available():
        pytest.skip("this PyTorch has no torch.distributed")
    folder = tmp_path_factory.mktemp("gather")
    mp.start_processes(work, args=(str(folder),), nprocs=2, start_method="spawn")
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in (0, 1)]


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("name", LOSSES)
def test_two_processes_are_one(two, name, setting):
    for reduction in ("mean", "sum"):
        model = encoder()
        loss = LOSSES[name](model, batch(), reduction=reduction)
        loss.backward()
        values, gradients = zip(*(results[name, setting, reduction] for results in two), strict=True)
        assert sum(values) / 2 == pytest.approx(loss.item(), rel=1e-12)  # as the mean over processes says
        for gradient in gradients:
            assert torch.allclose(gradient, model.weight.grad, rtol=1e-10, atol=1e-12)
    rows = LOSSES[name](encoder(), batch(), reduction="none").flatten()
    together = torch.cat([results[name, setting, "none"].flatten() for results in two])
    assert torch.allclose(together.sort().values, rows.sort().values, rtol=1e-12)  # NT-Xent orders them by view


@pytest.mark.parametrize("name", LOSSES)
def test_one_process_gathers_nothing(name):
    for reduction in ("mean", "sum", "none"):
        alone = LOSSES[name](encoder(), batch(), reduction=reduction)
        assert torch.equal(LOSSES[name](encoder(), batch(), reduction=reduction, gather=True), alone)
