"""Bad input gets one clear error that says what came and what was expected."""

import math

import pytest
import torch

from clt import losses

X = torch.randn(4, 3)
NAN = torch.tensor([1.0, torch.nan, 1.0, 1.0])
LABELS = torch.tensor([0, 1, 0, 1])
LOGITS = torch.randn(4, 2)

TEMPERATURES = [
    lambda t: losses.nt_xent_loss(X, X, temperature=t),
    lambda t: losses.nt_xent_terms(X, X, temperature=t),
    lambda t: losses.info_nce_loss(X, X, temperature=t),
    lambda t: losses.simcse_loss(X, X, temperature=t),
    lambda t: losses.simcse_loss(X, X, X, temperature=t),
    lambda t: losses.sup_con_loss(X, LABELS, temperature=t),
    lambda t: losses.label_aware_loss(X, LABELS, LOGITS, temperature=t),
    lambda t: losses.soft_nearest_neighbor_loss(X, LABELS, temperature=t),
    lambda t: losses.negative_sampling_loss(X, X, X[:, None], temperature=t),
    lambda t: losses.ifcl_loss(X, X, X, X[:, 0], temperature=t),
    lambda t: losses.hard_negative_loss(X, X, temperature=t),
    lambda t: losses.decoupled_loss(X, X, temperature=t),
    lambda t: losses.sigmoid_loss(X, X, temperature=t),
    lambda t: losses.clip_loss(X, X, temperature=t),
    lambda t: losses.additive_margin_loss(X, X, temperature=t),
    lambda t: losses.guided_info_nce_loss(X, X, X, X, temperature=t),
]

TWO_OF_A_SHAPE = [
    losses.nt_xent_loss,
    losses.nt_xent_terms,
    losses.info_nce_loss,
    losses.simcse_loss,
    losses.quick_thoughts_loss,
    lambda a, b: losses.simcse_loss(a, a, b),
    lambda a, b: losses.negative_sampling_loss(a, b, X[:, None]),
    lambda a, b: losses.twin_margin(a, a, b),
    lambda a, b: losses.twin_loss(a, a, b, X[:, 0]),
    lambda a, b: losses.ifcl_loss(a, b, a, X[:, 0]),
    losses.hard_negative_loss,
    losses.decoupled_loss,
    losses.sigmoid_loss,
    losses.clip_loss,
    losses.additive_margin_loss,
    lambda a, b: losses.guided_info_nce_loss(a, b, X, X),
]

LABELLED = [
    losses.sup_con_loss,
    losses.soft_nearest_neighbor_loss,
    lambda x, y: losses.label_aware_loss(x, y, LOGITS),
    losses.batch_triplet_loss,
    losses.lifted_structure_loss,
]


@pytest.mark.parametrize("temperature", [0, -0.1, float("nan")])
@pytest.mark.parametrize("call", TEMPERATURES)
def test_temperature(call, temperature):
    with pytest.raises(ValueError, match=f"temperature must be positive, got {temperature}"):
        call(temperature)


@pytest.mark.parametrize("call", TEMPERATURES)
def test_an_infinite_temperature(call):
    with pytest.raises(ValueError, match="temperature must be finite, got inf"):
        call(math.inf)


@pytest.mark.parametrize("mining", ["all", "hard", "semi-hard"])
def test_an_infinite_margin(mining):
    with pytest.raises(ValueError, match="margin must be finite, got inf"):
        losses.batch_triplet_loss(X, LABELS, margin=math.inf, mining=mining)


@pytest.mark.parametrize("call", TWO_OF_A_SHAPE)
def test_shapes(call):
    with pytest.raises(ValueError, match=r"shapes must be equal, got .* \(4, 3\).*\(2, 3\)"):
        call(X, X[:2])
    with pytest.raises(ValueError, match=r"shapes must be equal, got .* \(4, 3\).*\(4, 2\)"):
        call(X, X[:, :2])
    with pytest.raises(ValueError, match=r"must have shape \(N, D\), got \(3,\)"):
        call(X[0], X[0])
    with pytest.raises(ValueError, match=r"must not be empty, got shape \(0, 3\)"):
        call(X[:0], X[:0])
    with pytest.raises(TypeError, match=r"must be a tensor of floating-point numbers, got torch.int64"):
        call(X.long(), X.long())
    with pytest.raises(TypeError, match=r"must be a tensor of floating-point numbers, got list"):
        call(X.tolist(), X)


@pytest.mark.parametrize("call", LABELLED)
def test_labels(call):
    with pytest.raises(TypeError, match=r"labels must be a tensor of integers, got torch.float32"):
        call(X, LABELS.float())
    with pytest.raises(TypeError, match=r"labels must be a tensor of integers, got list"):
        call(X, LABELS.tolist())
    with pytest.raises(ValueError, match=r"labels must have shape \(4,\), one a row, got \(3,\)"):
        call(X, LABELS[:3])
    with pytest.raises(ValueError, match=r"labels must have shape \(4,\), one a row, got \(4, 1\)"):
        call(X, LABELS[:, None])
    with pytest.raises(ValueError, match=r"must not be empty"):
        call(X[:0], LABELS[:0])
    with pytest.raises(ValueError, match=r"embeddings must have shape"):
        call(X[:, None, None], LABELS)
    with pytest.raises(ValueError, match=r"label -100, which PyTorch's losses ignore"):
        call(X, LABELS.masked_fill(LABELS == 1, -100))
    if call is not LABELLED[2]:  # whose labels count its columns
        assert torch.equal(call(X, LABELS - 1), call(X, LABELS))  # any other number will do


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.bool])
@pytest.mark.parametrize("call", LABELLED)
def test_labels_of_any_integer_type(call, dtype):
    assert torch.equal(call(X, LABELS.to(dtype)), call(X, LABELS))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: losses.nt_xent_loss(X, X, reduction="average"), ValueError, "one of 'mean', 'sum', 'none'"),
        (lambda: losses.sup_con_loss(X, LABELS, reduction=None), ValueError, "one of 'mean', 'sum', 'none', got None"),
        (lambda: losses.twin_loss(X, X, X, X[:, 0], reduction="max"), ValueError, "reduction must be one of"),
        (lambda: losses.info_nce_loss(X, X, X[0]), ValueError, r"\(M, 3\) or \(4, K, 3\), got \(3,\)"),
        (lambda: losses.info_nce_loss(X, X, X[:, :2]), ValueError, r"got \(4, 2\)"),
        (lambda: losses.info_nce_loss(X, X, X[:2, None]), ValueError, r"got \(2, 1, 3\)"),
        (lambda: losses.info_nce_loss(X, X, X.long()), TypeError, "negatives must be a tensor of floating-point"),
        (lambda: losses.info_nce_loss(X, X, None, X[:, 0]), ValueError, "weights were given without negatives"),
        (
            lambda: losses.info_nce_loss(X, X, X, torch.ones(3)),
            ValueError,
            r"weights must have shape \(4,\), got \(3,\)",
        ),
        (lambda: losses.info_nce_loss(X, X, X, -torch.ones(4)), ValueError, "must not be negative, got -1"),
        (lambda: losses.info_nce_loss(X, X, X, NAN), ValueError, "negative_weights must not be negative, got nan"),
        (lambda: losses.info_nce_loss(X, X, X[:, None], NAN[:, None]), ValueError, "must not be negative, got nan"),
        (lambda: losses.info_nce_loss(X, X, X, 1 / NAN.nan_to_num(0)), ValueError, "negative_weights must be finite"),
        (lambda: losses.info_nce_loss(X, X, X, torch.ones(4).long()), TypeError, "negative_weights must be a tensor"),
        (lambda: losses.info_nce_loss(X, X, similarity="cos"), ValueError, "one of 'cosine', 'dot', got 'cos'"),
        (lambda: losses.info_nce_loss(X, X, similarity=torch.dist), ValueError, r"return shape \(4, 4\), got \(\)"),
        (lambda: losses.simcse_loss(X, X, X, hard_negative_weight=-1), ValueError, "hard_negative_weight must not be"),
        (lambda: losses.simcse_loss(X, X, X, hard_negative_weight=math.inf), ValueError, "weight must be finite"),
        (lambda: losses.label_aware_loss(X, LABELS, LOGITS[:2]), ValueError, r"\(4, C\), got \(2, 2\)"),
        (lambda: losses.label_aware_loss(X, LABELS, LOGITS[:, :1]), ValueError, r"labels must lie in 0..0, got 0..1"),
        (lambda: losses.label_aware_loss(X, LABELS - 1, LOGITS), ValueError, r"labels must lie in 0..1, got -1..0"),
        (lambda: losses.label_aware_loss(X, LABELS, LOGITS.long()), TypeError, "class_logits must be a tensor of"),
        (
            lambda: losses.label_aware_loss(X, LABELS, LOGITS, positive_weight="both"),
            ValueError,
            "positive_weight must be one of 'outside', 'inside', got 'both'",
        ),
        (lambda: losses.quick_thoughts_loss(X, X, window=0), ValueError, "window must be at least 1, got 0"),
        (lambda: losses.quick_thoughts_loss(X, X, window=1.0), TypeError, "window must be an integer, got 1.0"),
        (lambda: losses.quick_thoughts_loss(X, X, LABELS[:3]), ValueError, r"texts must have shape \(4,\), one a row"),
        (lambda: losses.quick_thoughts_loss(X, X, LABELS.float()), TypeError, "texts must be a tensor of integers"),
        (lambda: losses.nce_loss(X[:, 0], X[:, 0], X[:, 0], X[:, 0]), ValueError, r"noise_scores \(N, K\), got"),
        (lambda: losses.nce_loss(X[:, 0], X, X[:, 0], X[:, :1]), ValueError, r"shapes of the scores, got"),
        (lambda: losses.nce_loss(X[:, 0], X[:, :0], X[:, 0], X[:, :0]), ValueError, "must not be empty"),
        (lambda: losses.negative_sampling_loss(X, X, X), ValueError, r"\(4, K, 3\) with K > 0, got \(4, 3\)"),
        (lambda: losses.negative_sampling_loss(X, X, X[:, None][:, :0]), ValueError, r"with K > 0, got \(4, 0, 3\)"),
        (lambda: losses.twin_loss(X, X, X, X), ValueError, r"margin must have shape \(4,\), got \(4, 3\)"),
        (lambda: losses.ifcl_loss(X, X, X, X[:, 0], twin_weight=-1), ValueError, "twin_weight must not be negative"),
        (lambda: losses.ifcl_loss(X, X, X, X[:, 0], twin_weight=math.inf), ValueError, "twin_weight must be finite"),
        (lambda: losses.triplet_loss(X, X, X, margin=math.inf), ValueError, "margin must be finite, got inf"),
        (lambda: losses.margin_triplet_loss(X, X, X, margin=math.inf), ValueError, "margin must be finite, got inf"),
    ],
)
def test_the_rest(call, error, message):
    with pytest.raises(error, match=message):
        call()
