"""The same numbers as the libraries people use, where they compute the same thing."""

import pytest
import torch

from clt import losses
from clt.similarity import squared_euclidean


@pytest.fixture
def views():
    generator = torch.Generator().manual_seed(5)
    return [torch.randn(8, 6, generator=generator, dtype=torch.float64, requires_grad=True) for _ in range(3)]


LABELS = torch.tensor([0, 1, 0, 2, 1, 0, 3, 0])


def same_value_and_gradient(ours, theirs, inputs):
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-9)
    for a, b in zip(torch.autograd.grad(ours, inputs), torch.autograd.grad(theirs, inputs), strict=True):
        assert torch.allclose(a, b, rtol=1e-6, atol=1e-10)


def test_pytorch_metric_learning_nt_xent(views):
    pml = pytest.importorskip("pytorch_metric_learning.losses")
    theirs = pml.SelfSupervisedLoss(pml.NTXentLoss(temperature=0.2))(*views[:2])
    same_value_and_gradient(losses.nt_xent_loss(*views[:2], temperature=0.2), theirs, views[:2])


def test_pytorch_metric_learning_sup_con(views):
    pml = pytest.importorskip("pytorch_metric_learning.losses")
    theirs = pml.SupConLoss(temperature=0.2)(views[0], LABELS)
    same_value_and_gradient(losses.sup_con_loss(views[0], LABELS, temperature=0.2), theirs, views[:1])


def test_pytorch_metric_learning_all_triplets(views):
    """Its mean is over the triplets that cost something: a large margin makes that all of them."""
    pml, distances, reducers = (
        pytest.importorskip(f"pytorch_metric_learning.{part}") for part in ("losses", "distances", "reducers")
    )
    squared = distances.LpDistance(normalize_embeddings=False, p=2, power=2)
    for margin, reducer in ((0.3, reducers.MeanReducer()), (100.0, reducers.AvgNonZeroReducer())):
        theirs = pml.TripletMarginLoss(margin=margin, distance=squared, reducer=reducer)(views[0], LABELS)
        same_value_and_gradient(losses.batch_triplet_loss(views[0], LABELS, margin=margin), theirs, views[:1])


class Untrained:
    """What sentence-transformers' loss needs of a model when embeddings are handed to it."""

    device = torch.device("cpu")


def test_sentence_transformers_in_batch_negatives(views):
    st_losses = pytest.importorskip("sentence_transformers.losses")
    theirs = st_losses.MultipleNegativesRankingLoss(model=Untrained(), scale=20.0)
    for inputs in (views[:2], views):
        value = theirs.compute_loss_from_embeddings(list(inputs), None)
        same_value_and_gradient(losses.simcse_loss(*inputs), value, inputs)


def test_sentence_transformers_hard_triplets(views):
    """Lone anchors count there, with a positive at distance 0, and not here: they are left out of both."""
    st_losses = pytest.importorskip("sentence_transformers.losses")
    paired = LABELS < 2
    embeddings, labels = views[0][paired].detach().requires_grad_(), LABELS[paired]
    theirs = st_losses.BatchHardTripletLoss(model=Untrained(), distance_metric=squared_euclidean, margin=0.5)
    ours = losses.batch_triplet_loss(embeddings, labels, margin=0.5, mining="hard")
    same_value_and_gradient(ours, theirs.batch_hard_triplet_loss(labels, embeddings), [embeddings])
