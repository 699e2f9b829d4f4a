"""Lesson 12 changes embeddings where ConSERT does, teaches the package's cutoff, and trains on what it says it does."""

import random
import re
from types import SimpleNamespace

import kit
import pytest
import torch
import torch.nn.functional as F
from kit import same

from clt import augment, losses


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def ready():
    """The lesson with its encoder, its texts and its variants; nothing is trained."""
    stem = "12_augmentation"
    space = kit.lesson(stem)
    for start in ("device = training", "CUTOFFS[", "DEFAULTS =", "WORDS, STRINGS", "NET, SPAN"):
        source = next(cell for cell in kit.code(stem) if cell.startswith(start))
        exec(source.partition("chosen = ")[0], space)
    return space


TEXTS = ["The cat sat on the mat.", "A dog ran.", "Rain fell on the roofs all night long."]


def test_the_cosine_after_two_cutoffs_is_what_the_exercise_says(ready):
    x = torch.randn(400, 1, 4000, generator=generator())
    x = x.sign()  # numbers of one size
    mask = torch.ones(400, 1)
    for first, second in ((0.2, 0.2), (0.5, 0.1), (0.36, 0.0)):
        one = augment.feature_cutoff(x, mask, generator(1), share=first)[:, 0]
        two = augment.feature_cutoff(x, mask, generator(2), share=second)[:, 0]
        found = F.cosine_similarity(one, two).mean().item()
        assert found == pytest.approx(ready["cutoff_cosine"](first, second), abs=0.003)


def test_feature_cutoff_has_the_invariants_of_the_packages(ready):
    x = torch.randn(5, 7, 20, generator=generator(), dtype=torch.float64)
    mask = torch.ones(5, 7)
    for cut in (ready["feature_cutoff"], augment.feature_cutoff):
        gone = cut(x, mask, generator(3), share=0.25) == 0
        assert torch.equal(gone.all(1), gone.any(1))
        assert gone.all(1).sum(1).tolist() == [5] * 5


def test_a_masked_span_is_the_packages(ready):
    for seed in range(50):
        for text in TEXTS:
            theirs = augment.mask_span(text, random.Random(seed))
            assert ready["mask_span"](text, random.Random(seed)) == theirs


def test_negatives_alone_are_the_loss_of_equal_views(ready):
    for temperature in (0.05, 0.5):
        x = torch.randn(7, 5, generator=generator(), dtype=torch.float64)
        value = losses.simcse_loss(x, x, temperature=temperature).item()
        assert ready["negatives_alone"](x, temperature) == pytest.approx(value)


def test_a_view_without_change_is_the_encoder(ready):
    upper = ready["upper"].eval()
    assert torch.allclose(ready["read"](upper, TEXTS, "none", generator()), upper.encode(TEXTS), atol=1e-5)
    whole = ready["untrained"].encode(TEXTS)
    assert torch.allclose(upper.encode(TEXTS), whole, atol=1e-4)


@pytest.mark.parametrize("change", ["shuffle", "token cutoff", "feature cutoff", "dropout"])
def test_a_change_acts_before_the_first_layer_and_leaves_nothing_behind(ready, change):
    upper = ready["upper"].eval()
    hooks = upper.memory.lower.model.embeddings._forward_hooks
    with torch.no_grad():
        one, again, other = (ready["read"](upper, TEXTS, change, generator(seed)) for seed in (1, 1, 2))
    assert not hooks
    assert torch.equal(one, again)
    assert not torch.allclose(one, other, atol=1e-3)
    assert not torch.allclose(one, upper.encode(TEXTS), atol=1e-3)


def test_shuffled_positions_act_as_shuffled_words_would(ready):
    """One word of each position: the same set of (word, position) pairs gives the same mean."""
    upper = ready["upper"].eval()
    lower = upper.memory.lower
    batch = lower.tokenize([TEXTS[0]])
    positions = augment.shuffle_positions(batch["attention_mask"], generator(5))
    with torch.no_grad():
        states = lower.model(**batch, position_ids=positions).last_hidden_state
        order = positions[0].argsort()
        moved = lower.model(input_ids=batch["input_ids"][:, order]).last_hidden_state
    assert torch.allclose(states[:, order], moved, atol=1e-4)


def options(ready, **given) -> SimpleNamespace:
    return SimpleNamespace(**ready["DEFAULTS"] | given)


def test_one_mask_makes_both_views_equal(ready):
    o = options(ready, dropout=0.1, one_mask=True)
    model, _ = ready["make"](o)
    model.train()
    torch.manual_seed(0)
    loss = ready["views_loss"](model, TEXTS, o)
    torch.manual_seed(0)
    torch.randint(2**31, (1,))
    with torch.random.fork_rng():
        x = model(model.tokenize(TEXTS))
    same(loss, losses.simcse_loss(x, x, temperature=0.05), *[p for p in model.parameters() if p.requires_grad][:3])


def test_two_masks_do_not(ready):
    o = options(ready, dropout=0.1)
    model, _ = ready["make"](o)
    model.train()
    torch.manual_seed(0)
    one = ready["views_loss"](model, TEXTS, options(ready, dropout=0.1, one_mask=True))
    torch.manual_seed(0)
    two = ready["views_loss"](model, TEXTS, o)
    assert two > one


def test_what_the_rows_are_trained_on(ready):
    texts = ready["TEXTS"]
    assert len(texts["words"]) == len(texts["random strings"]) == 2000
    assert all(re.fullmatch("[a-z0-9]{3,10}", text) for text in texts["random strings"])
    assert len(set(texts["words"]) & set(texts["random strings"])) <= 3, "by chance, a word or two"
    assert all(4 <= len(text.split()) <= 9 for text in texts["sentences"])
    variants = ready["VARIANTS"]
    assert sum(set(name.split(" × ")) <= set(ready["CHANGES"]) for name in variants) == 15
    for name, o in variants.items():
        assert set(o) <= set(ready["DEFAULTS"]), name
    assert "dropout" not in variants["none × none"]
    assert variants["dropout 0.2"] == {"second": "span 5", "dropout": 0.2}
    assert variants["span of 10"] == {"second": "span 10", "dropout": 0.1}
    assert variants["span, 96 steps"] == variants["span"] | {"steps": 96}
    assert variants["labels, adversarial"]["texts"] == "labelled pairs"
    assert min(map(len, texts["sentences"])) > 15, "no span hides a whole text"


def test_dropped_heads_are_a_second_view_and_need_no_dropout(ready):
    model, _ = ready["make"](options(ready, heads=0.3))
    model.train()
    torch.manual_seed(0)
    one, other = (ready["read"](model, TEXTS, "none", generator()) for _ in range(2))
    assert not torch.allclose(one, other, atol=1e-3)
    assert not any(part.p for part in model.modules() if isinstance(part, torch.nn.Dropout))
    plain, _ = ready["make"](options(ready))
    plain.train()
    one, other = (ready["read"](plain, TEXTS, "none", generator()) for _ in range(2))
    assert torch.equal(one, other)


def test_a_span_longer_than_the_text_leaves_a_character(ready):
    seen = []
    ready["read"], kept = lambda model, texts, change, generator: seen.extend(texts), ready["read"]
    ready["view"](None, ["A dog ran."], "span 40", generator())
    ready["read"] = kept
    assert len(seen[0].replace("[MASK]", "")) == 1


def test_random_weights_are_random_and_of_one_shape(ready):
    model, _ = ready["make"](options(ready, pretrained=False, texts="words"))
    assert model.encode(["cat"]).shape == ready["upper"].encode(["cat"]).shape
    assert not torch.allclose(model.encode(["cat"]), ready["upper"].encode(["cat"]), atol=1e-2)
