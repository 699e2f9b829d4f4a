"""The exercise checks: right answers pass however they are written, each known mistake is called by its name."""

import pytest
import torch
import torch.nn.functional as F

from clt import checks, losses

EXERCISES = checks._EXERCISES
MISTAKES = [
    pytest.param(exercise, mistake, id=f"{name}-{i}")
    for name, exercise in EXERCISES.items()
    for i, mistake in enumerate(exercise.mistakes)
]


def with_loops(anchor, positive, negative, *, margin=1.0):
    total = 0.0
    for a, p, n in zip(anchor, positive, negative, strict=True):
        total = total + torch.clamp((a - p) @ (a - p) - (a - n) @ (a - n) + margin, min=0)
    return total / len(anchor)


def with_einsum(a, p, n, margin=1.0):
    near = torch.einsum("nd,nd->n", a - p, a - p)
    far = torch.einsum("nd,nd->n", a - n, a - n)
    return F.relu(margin + near - far).mean()


def multiplied_out(a, p, n, margin=1.0):
    return torch.stack([-2 * (a * p).sum(1) + (p * p).sum(1) + 2 * (a * n).sum(1) - (n * n).sum(1) + margin,
                        torch.zeros(len(a), dtype=a.dtype)]).amax(0).mean()  # fmt: skip


def in_float32(a, p, n, margin=1.0):
    return with_einsum(a.float(), p.float(), n.float(), margin)


def from_torch(a, p, n, margin=1.0):
    squared = lambda x, y: F.mse_loss(x, y, reduction="none").sum(1)
    return F.margin_ranking_loss(squared(a, n), squared(a, p), torch.ones(len(a)), margin=margin)


def hard_with_loops(embeddings, labels, *, margin=1.0):
    values = []
    for i in range(len(labels)):
        d = [(x - embeddings[i]).square().sum() for x in embeddings]
        near = [d[j] for j in range(len(d)) if labels[j] == labels[i] and j != i]
        far = [d[j] for j in range(len(d)) if labels[j] != labels[i]]
        values.append(torch.relu(max(near) - min(far) + margin))
    return torch.stack(values).mean()


def hard_with_cdist(embeddings, labels, *, margin=1.0):
    d = torch.cdist(embeddings, embeddings).square()
    same = labels.unsqueeze(0) == labels.unsqueeze(1)
    nearest = (d + same * 1e9).min(1).values
    return F.relu((d * same).max(1).values - nearest + margin).mean()


def hard_by_sorting(embeddings, labels, *, margin=1.0):
    d = (embeddings[:, None] - embeddings[None]).pow(2).sum(-1)
    same = labels[:, None] == labels
    far = d.masked_fill(same, float("inf")).sort(1)[0][:, 0]
    near = d.masked_fill(~same, 0).sort(1, descending=True)[0][:, 0]
    return torch.clamp_min(near - far + margin, 0).mean()


RIGHT = {
    "triplet_loss": [losses.triplet_loss, with_loops, with_einsum, multiplied_out, in_float32, from_torch],
    "positive_mask": [
        lambda y: (y[:, None] == y) & ~torch.eye(len(y), dtype=torch.bool),
        lambda y: torch.tensor([[bool(a == b) and i != j for j, b in enumerate(y)] for i, a in enumerate(y)]),
        lambda y: y.unsqueeze(0).eq(y.unsqueeze(1)).logical_xor(torch.eye(len(y)).bool()),
    ],
    "batch_hard_loss": [
        lambda e, y, *, margin=1.0: losses.batch_triplet_loss(e, y, margin=margin, mining="hard"),
        hard_with_loops,
        hard_with_cdist,
        hard_by_sorting,
    ],
}
ANSWERS = [pytest.param(name, answer, id=f"{name}-{i}") for name in RIGHT for i, answer in enumerate(RIGHT[name])]


def test_every_exercise_has_three_right_answers():
    assert set(RIGHT) == set(EXERCISES)
    assert all(len(answers) >= 3 for answers in RIGHT.values())


@pytest.mark.parametrize(("name", "answer"), ANSWERS)
def test_right_answers_pass_however_they_are_written(name, answer):
    report = getattr(checks, name)(answer)
    assert report.passed is True, str(report)
    assert report.diagnosis == ""


@pytest.mark.parametrize(("exercise", "mistake"), MISTAKES)
def test_each_mistake_is_called_by_its_name(exercise, mistake):
    report = checks.check(exercise, mistake.wrong)
    assert report.passed is False
    assert report.diagnosis == f"{mistake.diagnosis} {mistake.hint}"


def test_diagnoses_differ_from_one_another():
    for exercise in EXERCISES.values():
        told = [mistake.diagnosis for mistake in exercise.mistakes]
        assert len(set(told)) == len(told)


def raises_not_implemented(*args, **options):
    raise NotImplementedError


@pytest.mark.parametrize("stub", [raises_not_implemented, lambda *a, **o: None, lambda *a, **o: ...])
@pytest.mark.parametrize("name", EXERCISES)
def test_an_untouched_stub_is_not_a_mistake(name, stub):
    report = getattr(checks, name)(stub)
    assert report.passed is None
    assert "not attempted" in str(report)


def crash(a, p, n, margin=1.0):
    return a @ p


def changes_its_input(a, p, n, margin=1.0):
    value = losses.triplet_loss(a, p, n, margin=margin)
    a -= p
    return value


def unknown_mistake(a, p, n, margin=1.0):
    return losses.triplet_loss(a, p, n, margin=margin) * 1.01


def not_a_number(a, p, n, margin=1.0):
    return losses.triplet_loss(a, p, n, margin=margin) * float("nan")


def only_for_big_batches(a, p, n, margin=1.0):
    return losses.triplet_loss(a, p, n, margin=margin) if len(a) > 1 else (a - p).sum() * 0


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (crash, "RuntimeError"),
        (lambda a, p, n: a.sum(), "TypeError"),
        (lambda a, p, n, margin=1.0: losses.triplet_loss(a, p, n, margin=margin).item(), ".item()"),
        (lambda a, p, n, margin=1.0: "nonsense", "str"),
        (changes_its_input, "in place"),
        (unknown_mistake, "was expected (6 triplets"),
        (not_a_number, "not finite"),
        (only_for_big_batches, "a single triplet"),
        (lambda a, p, n, margin=1.0: losses.triplet_loss(a, p, n, margin=margin)[None], "shape"),
    ],
)
def test_what_no_one_foresaw_is_told_with_its_numbers(answer, message):
    report = checks.triplet_loss(answer)
    assert report.passed is False
    assert message in report.diagnosis


def test_a_gradient_that_is_cut_is_seen():
    report = checks.triplet_loss(lambda a, p, n, margin=1.0: losses.triplet_loss(a, p.detach(), n, margin=margin))
    assert report.passed is False
    assert "gradient" in report.diagnosis.lower()


def test_a_report_reads_the_same_each_time_and_in_both_forms():
    one, other = checks.triplet_loss(unknown_mistake), checks.triplet_loss(unknown_mistake)
    assert repr(one) == repr(other)
    assert one._repr_html_() == other._repr_html_()
    assert "not yet" in one._repr_html_()
    assert "&lt;" in checks.Report("n", False, "a < b")._repr_html_()


def test_strict_mode_raises(monkeypatch):
    monkeypatch.setenv("CLT_STRICT", "1")
    with pytest.raises(AssertionError, match="not squared"):
        checks.triplet_loss(
            lambda a, p, n, margin=1.0: F.relu((a - p).norm(dim=1) - (a - n).norm(dim=1) + margin).mean()
        )
    with pytest.raises(AssertionError, match="not attempted"):
        checks.triplet_loss(raises_not_implemented)
    assert checks.triplet_loss(with_loops).passed


def test_an_unknown_check_names_those_there_are():
    with pytest.raises(AttributeError, match="triplet_loss"):
        checks.nothing_of_the_kind  # noqa: B018
