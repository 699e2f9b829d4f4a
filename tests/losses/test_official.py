"""Figures that the authors' own code gives on the closed-form input of the fixture ``official``.

Each row: the loss, the gradient's norm for each input, and the first gradient row of the first input, in float64. The
note says which code, and by what factor its convention differs from ours.
"""

import pytest
import torch

from clt import losses


def each_alone(query, positive, negatives, temperature):
    """Only the given negatives, not the other positives: every query in a call of its own."""
    rows = [
        losses.info_nce_loss(query[i : i + 1], positive[i : i + 1], negatives, temperature=temperature)
        for i in range(len(query))
    ]
    return torch.stack(rows).mean()


FIGURES = {
    "HobbitLong/SupContrast, 2 views, labels, temperature = base = 0.1": (
        lambda o, a, b: losses.sup_con_loss(torch.stack([a, b], 1), o["labels"], temperature=0.1),
        ("z1", "z2"),
        8.826732113889213,
        [1.0391193261996972, 1.0486398148891851],
        [0.07857637487434921, 0.08901762551280412, -0.023833454775348373, -0.11971387196648653, -0.1626439755918893],
    ),
    "HobbitLong/SupContrast, 2 views, labels, temperature 0.1, base 0.07: τ/base times ours": (
        lambda o, a, b: 0.1 / 0.07 * losses.sup_con_loss(torch.stack([a, b], 1), o["labels"], temperature=0.1),
        ("z1", "z2"),
        12.609617305556016,
        [1.4844561802852814, 1.4980568784131214],
        [0.11225196410621319, 0.12716803644686303, -0.03404779253621193, -0.1710198170949807, -0.2323485365598421],
    ),
    "HobbitLong/SupContrast, 2 views, labels, temperature = base = 0.5": (
        lambda o, a, b: losses.sup_con_loss(torch.stack([a, b], 1), o["labels"], temperature=0.5),
        ("z1", "z2"),
        2.9685707526634313,
        [0.2060017424315439, 0.20312043390374115],
        [
            -0.0172865219369438,
            -0.030828705544634485,
            -0.016281425368036298,
            0.0030453704130395873,
            -0.006410114934000413,
        ],
    ),
    "HobbitLong/SupContrast, 1 view, label 2 alone: counted by them (÷ 6), left out by us (÷ 5)": (
        lambda o, a: 5 / 6 * losses.sup_con_loss(a, o["labels"], temperature=0.1),
        ("z1",),
        10.517182523300297,
        [3.2591597131679833],
        [-0.22433029584271813, -0.34920683174017786, -0.1810337475251096, 0.0985133581750624, 0.0008153689384570173],
    ),
    "pytorch-metric-learning 2.9.0 SupConLoss, 1 view, label 2 alone": (
        lambda o, a: losses.sup_con_loss(a, o["labels"], temperature=0.1),
        ("z1",),
        12.620619027960355,
        [3.910991655801581],
        [-0.2691963550112616, -0.4190481980882135, -0.2172404970301317, 0.11821602981007484, 0.000978442726148221],
    ),
    "HobbitLong/SupContrast without labels, temperature = base = 0.1": (
        lambda o, a, b: losses.nt_xent_loss(a, b, temperature=0.1),
        ("z1", "z2"),
        0.4655693439042354,
        [0.5961408572145227, 0.5307786033492076],
        [-0.175086726298173, -0.27466371696101566, -0.07917831913886997, 0.12668208755197993, 0.10287149813693353],
    ),
    "HobbitLong/SupContrast without labels, temperature = base = 0.5": (
        lambda o, a, b: losses.nt_xent_loss(a, b),
        ("z1", "z2"),
        1.2963381986664355,
        [0.23238070581945516, 0.11687581116432944],
        [-0.06801914217144828, -0.10356497403939845, -0.027350398240740606, 0.05232456231673288, 0.046692979811764165],
    ),
    "pytorch-metric-learning 2.9.0 NTXentLoss, temperature 0.1": (
        lambda o, a, b: losses.nt_xent_loss(a, b, temperature=0.1),
        ("z1", "z2"),
        0.4655693439042355,
        [0.5961408572145228, 0.5307786033492076],
        [-0.17508672629817312, -0.27466371696101577, -0.07917831913886997, 0.12668208755197993, 0.10287149813693354],
    ),
    "google-research/simclr and ConSERT, temperature 0.1: the sum of two directions": (
        lambda o, a, b: 2 * losses.nt_xent_loss(a, b, temperature=0.1),
        ("z1", "z2"),
        0.9311386878084708,
        [1.1922817144290454, 1.0615572066984154],
        [-0.3501734525963462, -0.5493274339220315, -0.15835663827773994, 0.2533641751039598, 0.20574299627386705],
    ),
    "joshr17/HCL, β = 0 and τ⁺ = 0: NT-Xent": (
        lambda o, a, b: losses.nt_xent_loss(a, b, temperature=0.5),
        ("z1", "z2"),
        1.2963381986664355,
        [0.2323807058194552, 0.11687581116432944],
        [-0.06801914217144828, -0.10356497403939845, -0.027350398240740623, 0.05232456231673288, 0.04669297981176418],
    ),
    "varsha33/LCL_loss, temperature 0.3, gradient into the weighting network included": (
        lambda o, a, b, w: losses.label_aware_loss(torch.cat([a, b]), o["labels"].repeat(2), w, temperature=0.3),
        ("z1", "z2", "class_logits"),
        0.8079384166907758,
        [0.11274042428218704, 0.09566628812217974, 0.22517123858325178],
        [
            -0.00831560090581731,
            -0.01089314336086981,
            -0.010032826472181774,
            -0.006742310169494118,
            -0.009312450803800366,
        ],
    ),
    "varsha33/LCL_loss, its SupConLoss, temperature 0.3": (
        lambda o, a, b: losses.sup_con_loss(torch.cat([a, b]), o["labels"].repeat(2), temperature=0.3),
        ("z1", "z2"),
        3.773224756902856,
        [0.35000283817793587, 0.3600772153619951],
        [
            -0.012816322779538009,
            -0.028439597194877195,
            -0.02290992817655585,
            -0.008299072262714938,
            -0.025307380469581725,
        ],
    ),
    "princeton-nlp/SimCSE, unsupervised": (
        lambda o, a, b: losses.simcse_loss(a, b),
        ("z1", "z2"),
        0.27338620763543736,
        [1.0259590549239612, 1.1807357660060773],
        [-0.33878893136980237, -0.48276812892169363, -0.16509500724876205, 0.1645284224885386, 0.1523149040420871],
    ),
    "princeton-nlp/SimCSE, hard negatives": (
        lambda o, a, b, c: losses.simcse_loss(a, b, c),
        ("z1", "z2", "z3"),
        0.27373160724096895,
        [1.0260854045003935, 1.1808364081237654, 0.003269441234064312],
        [-0.3387892301596427, -0.4827685312924451, -0.16509553105182867, 0.16452772264122223, 0.15231410963454942],
    ),
    "princeton-nlp/SimCSE, hard negatives, α = 2 (their option: ln 2)": (
        lambda o, a, b, c: losses.simcse_loss(a, b, c, hard_negative_weight=2.0),
        ("z1", "z2", "z3"),
        0.2737509230378929,
        [1.0260857481972667, 1.1808381163521489, 0.003308378757352612],
        [-0.3387892288936317, -0.48276852975303747, -0.16509552948323958, 0.1645277242745498, 0.1523141114149414],
    ),
    "info-nce-pytorch 0.1.4, temperature 0.1": (
        lambda o, a, b: losses.info_nce_loss(a, b, temperature=0.1),
        ("z1", "z2"),
        0.3247860443341408,
        [0.5936428943854319, 0.6000342803925165],
        [-0.22875198001328012, -0.32596935988047404, -0.11146745096139585, 0.11110747710374524, 0.10285961045031289],
    ),
    "info-nce-pytorch 0.1.4, unpaired negatives: the other positives are not candidates": (
        lambda o, a, b, c: each_alone(a, b, c, 0.1),
        ("z1", "z2", "z3"),
        0.017154279695913068,
        [0.04089106235890553, 0.033256498830363225, 0.05881172049738864],
        [
            -0.0007225239080022332,
            -0.0009079788587092084,
            -0.000715392362829124,
            -0.0005599775250980405,
            -0.0005964542494349919,
        ],
    ),
    "facebookresearch/moco, queue z3, temperature 0.07: in-batch keys are not candidates": (
        lambda o, a: each_alone(a, o["z2"], o["z3"], 0.07),
        ("z1",),
        0.0034226640306084396,
        [0.012693821091854367],
        [
            -3.919176792517997e-05,
            -5.145458075746217e-05,
            -4.3175301713089956e-05,
            -3.7628778711492e-05,
            -4.2338685994456776e-05,
        ],
    ),
    "MoCo v3, one direction, temperature 0.2: 2τ times ours": (
        lambda o, a: 0.4 * losses.info_nce_loss(a, o["z2"], temperature=0.2),
        ("z1",),
        0.19293285889859296,
        [0.1423716480584081],
        [-0.05246177483848835, -0.07483620716216456, -0.025423710779909507, 0.0259112635565261, 0.023981165518954465],
    ),
    "openai/CLIP, scale 1/0.07": (
        lambda o, a, b: losses.clip_loss(a, b),
        ("z1", "z2"),
        0.2607537270462008,
        [0.5623637914182973, 0.6262494007889781],
        [-0.16525263888596695, -0.2457443572806939, -0.08131980891108084, 0.08921530800865154, 0.07561916052896006],
    ),
}


def test_clip_loss_is_that_of_open_clip_at_its_largest_scale(official, path):
    """At scale 100: value, both directions, gradient norms; and what the log of the scale gets at 1/0.07."""
    views = [official[name].clone().requires_grad_() for name in ("z1", "z2")]
    loss = losses.clip_loss(*views, temperature=0.01)
    assert loss.item() == pytest.approx(0.5189505761359201, rel=1e-11)
    there, back = (losses.info_nce_loss(*order, temperature=0.01).item() for order in (views, views[::-1]))
    assert (there, back) == pytest.approx((0.6381168732188611, 0.3997842790529793), rel=1e-11)
    norms = [gradient.norm().item() for gradient in torch.autograd.grad(loss, views)]
    assert norms == pytest.approx([4.319239909495454, 5.05623185619981], rel=1e-10)
    log_scale = torch.tensor(1 / 0.07, dtype=torch.float64).log().requires_grad_()
    (to_scale,) = torch.autograd.grad(losses.clip_loss(*views, temperature=1 / log_scale.exp()), log_scale)
    assert to_scale.item() == pytest.approx(-0.09314658525439393, rel=1e-9)


@pytest.mark.parametrize("name", FIGURES)
def test_official_figures(name, official, path):
    loss, inputs, value, norms, first_row = FIGURES[name]
    tensors = [official[key].clone().requires_grad_() for key in inputs]
    result = loss(official, *tensors)
    result.backward()
    assert result.item() == pytest.approx(value, rel=1e-12)
    assert [x.grad.norm().item() for x in tensors] == pytest.approx(norms, rel=1e-11)
    assert tensors[0].grad[0].tolist() == pytest.approx(first_row, rel=1e-9, abs=1e-15)


def test_soft_nearest_neighbor_is_cleverhans_but_for_its_epsilon(official):
    """6.4689 at T = 1 and 2.9310 at T = 100, with ε = 1e-5 in numerator and denominator, lone anchors included."""
    z, labels, epsilon = official["z1"], official["labels"], 1e-5
    for temperature, theirs in ((1.0, 6.468883559512914), (100.0, 2.9310241350615325)):
        near = torch.exp(-torch.cdist(z, z).square() / temperature).fill_diagonal_(0)
        same = near * (labels[:, None] == labels)
        with_epsilon = -torch.log(epsilon + same.sum(1) / (epsilon + near.sum(1)))
        assert with_epsilon.mean().item() == pytest.approx(theirs, rel=1e-12)
        ours = losses.soft_nearest_neighbor_loss(z, labels, temperature=temperature, reduction="none")
        fraction = torch.exp(-ours[labels != 2])
        corrected = epsilon + fraction * near.sum(1)[labels != 2] / (epsilon + near.sum(1)[labels != 2])
        assert torch.allclose(-torch.log(corrected), with_epsilon[labels != 2], rtol=1e-12)
        assert ours[labels == 2].item() == 0
