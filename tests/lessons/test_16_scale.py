"""Lesson 16: what it derives and computes by hand is what the package does, and what it counts can be counted again."""

import pytest
import torch
from kit import same

from clt import losses, scale, training
from clt.checks import large_batches


@pytest.mark.parametrize("seed", range(3))
def test_the_slow_gradient_is_autograds(lesson, seed):
    q, k = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    q.requires_grad_()
    loss = losses.info_nce_loss(q, k, temperature=0.7, similarity="dot")
    (true,) = torch.autograd.grad(loss, q)
    torch.testing.assert_close(lesson["query_gradient_slow"](q.detach(), k, 0.7), true)


def test_two_readings_by_hand_are_the_packages(lesson):
    torch.manual_seed(0)
    head = torch.nn.Sequential(torch.nn.Dropout(0.3), torch.nn.Linear(6, 6)).double()
    parts, found = torch.randn(12, 2, 6, dtype=torch.float64).split(5), []
    for backward in (lesson["two_pass_backward"], training.cached_backward):
        head.zero_grad()
        torch.manual_seed(1)
        value = backward(head, parts, lambda z: losses.info_nce_loss(*z.unbind(1)))
        found.append((value, head[1].weight.grad.clone()))
    torch.testing.assert_close(*found)


def test_the_loss_of_a_process_averages_to_the_whole(lesson):
    generator = torch.Generator().manual_seed(2)
    x, y = (torch.randn(9, 4, generator=generator, dtype=torch.float64, requires_grad=True) for _ in "xy")
    queries, keys = (list(side.split([4, 2, 3])) for side in (x, y))
    parts = [lesson["rank_loss"](queries, keys, w, temperature=0.3) for w in range(3)]
    same(torch.stack(parts).mean(), losses.info_nce_loss(x, y, temperature=0.3), x, y)


def test_the_plain_loss_of_the_memory_figure_is_the_tiled_one(lesson):
    q, k = torch.randn(2, 700, 8, generator=torch.Generator().manual_seed(3))
    theirs = losses.info_nce_loss(q, k, temperature=0.05)
    assert lesson["plain_loss"](q, k).item() == pytest.approx(theirs.item(), rel=1e-5)


def test_bert_base_keeps_as_much_as_the_plan_says():
    from transformers import BertConfig, BertModel

    kept, ids = [], torch.randint(5, 1000, (2, 32))
    for layers in (1, 2):
        model = BertModel(BertConfig(num_hidden_layers=layers), add_pooling_layer=False).bfloat16().train()
        with training.CountMemory() as memory:
            states = model(ids, attention_mask=torch.ones_like(ids)).last_hidden_state
            kept.append(memory.now / 2)
        del states
    assert 12 * (kept[1] - kept[0]) == pytest.approx(large_batches.SENTENCE, rel=0.2)  # versions differ a little


def test_the_letters_of_the_prediction_are_these_ways():
    names = list(scale.WAYS)
    assert [names[i] for i in (0, 1, 3, 4)] == [
        "no exchange", "copies, own rows' loss", "copies but for its own, full loss", "with gradient, own rows' loss",
    ]  # fmt: skip
