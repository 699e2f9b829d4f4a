"""Lesson 3: what the notebook builds is what `clt` computes, and its published tables name what it records."""

import math

import pytest
import torch
from kit import rows, same

from clt import losses, metrics, results, similarity


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("temperature", [0.05, 0.5, 2.0])
def test_its_losses_are_the_packages(lesson, seed, temperature):
    x = rows(seed, 2, 7, 5)
    info_nce = losses.info_nce_loss(*x, temperature=temperature)
    assert lesson["info_nce_slow"](*x.detach(), temperature) == pytest.approx(info_nce.item())
    same(lesson["info_nce_loss"](*x, temperature=temperature), info_nce, x)
    same(lesson["nt_xent_loss"](*x, temperature=temperature), losses.nt_xent_loss(*x, temperature=temperature), x)


@pytest.mark.parametrize("seed", range(5))
def test_its_similarity_matrix_is_the_packages(lesson, seed):
    x, y = rows(seed, 4, 5), rows(seed + 10, 6, 5)
    same(lesson["similarity_matrix"](x, y), similarity.cosine_similarity(x, y), x, y)


def test_its_default_temperatures_are_the_packages(lesson):
    x = rows(0, 2, 6, 4)
    torch.testing.assert_close(lesson["info_nce_loss"](*x), losses.info_nce_loss(*x))
    torch.testing.assert_close(lesson["nt_xent_loss"](*x), losses.nt_xent_loss(*x))


@pytest.mark.parametrize("information", [0.5, 2.0, 4.0])
def test_its_gaussians_have_the_information_they_are_said_to_have(lesson, information):
    """The mean score of the pairs *is* the mutual information, and the bound comes near it with many candidates."""
    generator = torch.Generator().manual_seed(0)
    scores = [lesson["gaussian_scores"](information, 1000, generator) for _ in range(5)]
    mean = sum(s.diagonal().mean().item() for s in scores) / 5
    assert mean == pytest.approx(information, abs=0.15)
    bound = sum(metrics.info_nce_bound(s).item() for s in scores) / 5
    assert information - 0.4 < bound < min(information + 0.15, math.log(1000))
    beside = scores[0][~torch.eye(1000, dtype=torch.bool)].double()  # the mean ratio of densities is 1
    if information < 1:
        assert beside.exp().mean().item() == pytest.approx(1, abs=0.1)


def test_its_views_keep_the_picture(lesson):
    x = torch.zeros(50, 8, 8)
    x[:, 2:6, 2:6] = 1
    one, again, other = (lesson["view"](x, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert one.shape == x.shape
    assert torch.equal(one, again)
    assert not torch.allclose(one, other)
    correlation = torch.corrcoef(torch.stack([one.mean(0).flatten(), x[0].flatten()]))[0, 1]
    assert correlation > 0.7, "on average the square is where it was"


def test_published_tables_name_what_is_recorded(lesson, code, stem):
    recorded = {f"simclr.{b}.{e}" for b in lesson["batch_sizes"] for e in lesson["epochs"]}
    recorded |= {f"head.{t}" for t in lesson["head_temperatures"]} | {"head.no negatives"}
    tables = {entry["table"]: entry for entry in results.published(stem)}
    assert {row["key"] for entry in tables.values() for row in entry["rows"]} - {None} == recorded
    source = "\n".join(code)
    for key in ('f"simclr.{b}.{e}"', 'f"head.{', *(f'beside_paper("{stem}", "{table}")' for table in tables)):
        assert key in source
