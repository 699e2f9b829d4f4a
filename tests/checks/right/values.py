"""Right answers: derivations, and results of experiments."""

import math

import torch

from clt.checks import labs


def nce_optimum__plain(p, q, k):
    return math.log(p)


def nce_optimum__solved(p, q, k):
    return math.log(p / (k * q)) + math.log(k * q)


def nce_optimum__tensor(p, q, k):
    return torch.log(p)


def random_cosine__plain(dimension):
    return 1 / math.sqrt(dimension)


def random_cosine__power(dimension):
    return dimension**-0.5


def random_cosine__tensor(dimension):
    return torch.tensor(1 / dimension, dtype=torch.float64).sqrt()


def info_nce_bound__plain(loss, n):
    return math.log(n) - loss


def info_nce_bound__tensor(loss, n):
    return -(loss - torch.tensor(float(n)).log())


def info_nce_bound__one_line(loss, n):
    return math.log(n / math.exp(loss))


def l_out_gradient__plain(similarity, positive, *, temperature):
    share = (similarity / temperature).softmax(dim=0)
    return (share - positive / positive.sum()) / temperature


def l_out_gradient__exponentials(similarity, positive, temperature):
    e = (similarity / temperature).exp()
    gradient = e / e.sum()
    gradient[positive] -= 1 / positive.sum()
    return gradient / temperature


def l_out_gradient__loops(similarity, positive, temperature):
    below = sum(math.exp(s / temperature) for s in similarity.tolist())
    count = sum(positive.tolist())
    pairs = zip(similarity.tolist(), positive.tolist(), strict=True)
    return [(math.exp(s / temperature) / below - p / count) / temperature for s, p in pairs]


def label_aware_anchor__plain():
    own, rows, weight, temperature = labs.ANCHOR.values()
    below = sum(weight[name] * math.exp(cosine / temperature) for name, cosine in rows)
    above = math.exp(rows[0][1] / temperature)
    return -weight[own] * math.log(above / below)


label_aware_anchor__number = -0.091
label_aware_anchor__tensor = -0.6 * (
    1.6 - torch.tensor([1.6, 1.4, -0.4]).add(torch.tensor([0.6, 0.3, 0.1]).log()).logsumexp(0)
)


def sign_condition__plain(classes):
    return math.log(classes)


def sign_condition__of_the_weight(classes):
    return -math.log(1 / classes)


def sign_condition__tensor(classes):
    return torch.zeros(classes).logsumexp(0)


def _copies(seed: int, n: int, d: int) -> tuple:
    """Pairs of near copies with different labels."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(n, d, generator=generator)
    labels = torch.arange(n) % 2
    return torch.cat([rows, rows + 0.01 * torch.randn(n, d, generator=generator)]), torch.cat([labels, 1 - labels])


collapse_batch__plain = _copies(0, 6, 5)
collapse_batch__wide = list(_copies(3, 8, 64))
collapse_batch__plane = (torch.tensor([[0.0, 0], [1, 1], [0, 1], [1, 0]]), torch.tensor([0, 0, 1, 1]))

temperature_collapse__plain = 0.001
temperature_collapse__high = 100
temperature_collapse__tensor = torch.tensor(0.004)

_SENTENCES = [sentence for _, sentence in labs.BATCH]
no_false_negatives__plain = _SENTENCES[1::2]
no_false_negatives__mixed = [_SENTENCES[2 * i + i % 2] for i in range(8)][::-1]
no_false_negatives__tuple = tuple(_SENTENCES[2 * i + (i > 3)] for i in range(8))

equal_uniformity__plain = (25, 41)
equal_uniformity__list = [22, 30]
equal_uniformity__late = (150, 150)


harder_push__plain = [0.66, 0.31, 0.01, 0.01, 0.01]
harder_push__tensor = torch.tensor([0.8, 0.17, 0.01, 0.01, 0.01])
harder_push__tuple = (0.75, 0.21, 0.02, 0.01, 0.01)
