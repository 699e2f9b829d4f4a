"""The engine: what a report says, what counts as attempted, and that nothing a student does gets out of it."""

import datetime
import sys

import pytest
import torch
import torch.nn.functional as F
from solutions import SOLUTIONS

from clt import checks, losses
from clt.checks import _call
from clt.checks._call import Setting

EXERCISES = checks._EXERCISES
triplet_loss = SOLUTIONS["triplet_loss"]["plain"]


def raises_not_implemented(*args, **options):
    raise NotImplementedError


def forgets_return(a, p, n, margin=1.0):
    (a - p).square().sum(-1)


def crash(a, p, n, margin=1.0):
    return a @ p


def torch_has_no_such_kernel(a, p, n, margin=1.0):
    return torch.ones(2, dtype=torch.long).softmax(0)


def a_library_has_no_such_thing(a, p, n, margin=1.0):
    return datetime.tzinfo().utcoffset(None)  # C code that raises NotImplementedError, as torch's does


def torch_raises_in_python(a, p, n, margin=1.0):
    return torch.nn.Module()(a)


def leaves(a, p, n, margin=1.0):
    sys.exit()


def changes_its_input(a, p, n, margin=1.0):
    value = triplet_loss(a, p, n, margin=margin)
    a -= p
    return value


def unknown_mistake(a, p, n, margin=1.0):
    return triplet_loss(a, p, n, margin=margin) * 1.01


def not_a_number(a, p, n, margin=1.0):
    return triplet_loss(a, p, n, margin=margin) * float("nan")


def only_for_big_batches(a, p, n, margin=1.0):
    return triplet_loss(a, p, n, margin=margin) if len(a) > 1 else (a - p).sum() * 0


def one_gradient_cut(a, p, n, margin=1.0):
    return triplet_loss(a, p.detach(), n, margin=margin)


def wrong_gradient(a, p, n, margin=1.0):
    return triplet_loss(a, p, n, margin=margin) + (p - p.detach()).sum()


def depends_on_the_order(a, p, n, margin=1.0):
    known = any(torch.equal(a, case.arguments[0]) for case in EXERCISES["triplet_loss"].cases)
    return triplet_loss(a, p, n, margin=margin) + (0 if known else 1)


@pytest.mark.parametrize(
    ("answer", "message", "failing"),
    [
        (crash, "It stopped with RuntimeError", "it runs and returns a tensor"),
        (lambda a, p, n: a.sum(), "TypeError", "it runs and returns a tensor"),
        (torch_has_no_such_kernel, "not implemented for 'Long'", "it runs and returns a tensor"),
        (a_library_has_no_such_thing, "NotImplementedError: a tzinfo subclass", "it runs and returns a tensor"),
        (torch_raises_in_python, 'missing the required "forward"', "it runs and returns a tensor"),
        (leaves, "SystemExit", "it runs and returns a tensor"),
        (lambda *a, **o: None, "return missing", "it runs and returns a tensor"),
        (forgets_return, "return missing", "it runs and returns a tensor"),
        (
            lambda a, p, n, margin: triplet_loss(a, p, n, margin=margin).item(),
            ".item()",
            "it runs and returns a tensor",
        ),
        (lambda a, p, n, margin: "nonsense", "returned a str", "it runs and returns a tensor"),
        (changes_its_input, "in place", "it runs and returns a tensor"),
        (
            lambda a, p, n, margin: triplet_loss(a, p, n)[None],
            "The shape is (1,) where () was",
            "the shape of the result",
        ),
        (unknown_mistake, "was expected (one triplet: anchor = [[1, 0]]", "the values, on several inputs"),
        (not_a_number, "The value is nan", "the values, on several inputs"),
        (only_for_big_batches, "margin = 2)", "the values, on several inputs"),
        (one_gradient_cut, "no gradient reaches positive", "the gradient of every input"),
        (wrong_gradient, "the gradient of positive is not", "the gradient of every input"),
        (depends_on_the_order, "another order", "the order of the batch does not matter"),
    ],
)
def test_what_no_one_foresaw_is_told_with_its_numbers(answer, message, failing):
    report = checks.triplet_loss(answer)
    assert report.passed is False
    assert message in report.diagnosis
    assert report.details[-1][:2] == (failing, False)
    assert all(ok for _, ok, _ in report.details[:-1])


def test_the_smallest_failing_example_is_shown():
    report = checks.info_nce_loss(lambda q, p, temperature: losses.info_nce_loss(q, p, temperature=temperature) * 1.001)
    assert "(2 pairs: query = [[1, 0], [0, 2]], positive = [[1, 1], [-1, 1]], temperature = 0.8)" in report.diagnosis
    got, expected = report.diagnosis.split(" where ")
    assert got.split()[-1] != expected.split()[0], "enough digits to see the difference"


def test_the_known_mistake_still_shows_the_numbers():
    report = checks.triplet_loss(
        lambda a, p, n, margin: F.relu((a - p).norm(dim=1) - (a - n).norm(dim=1) + margin).mean()
    )
    assert report.diagnosis.startswith("The distance is not squared.")
    assert "was expected" in report.details[-1][2]


def test_what_is_near_a_known_mistake_is_not_called_by_its_name():
    """The temperature is there: to say that it is missing because the value is near would accuse wrongly."""

    def unknown(query, positive, temperature):
        return 1.02 * losses.info_nce_loss(query, positive, temperature=1.0) + 0.01

    report = checks.info_nce_loss(unknown)
    assert report.diagnosis == report.details[-1][2], "the failing property, with its numbers"
    assert "temperature is missing" not in report.diagnosis


def test_nan_everywhere_is_nobodys_mistake():
    """A bank version gives NaN as well, and so might anything else."""
    for name in ("info_nce_loss", "label_aware_loss", "sup_con_loss"):
        right = EXERCISES[name].reference
        report = checks.check(EXERCISES[name], lambda *a, right=right, **o: right(*a, **o) * float("nan"))
        assert report.diagnosis.startswith("The value is nan"), report.diagnosis


@pytest.mark.parametrize("thing", [3.0, torch.zeros(()), "triplet_loss"])
def test_the_function_is_asked_for_not_its_result(thing):
    assert "the function itself" in checks.triplet_loss(thing).diagnosis


@pytest.mark.parametrize(
    "strange",
    [
        lambda *a, **o: torch.zeros(3).to_sparse(),
        lambda *a, **o: torch.zeros((), dtype=torch.complex64),
        lambda *a, **o: torch.zeros((), device="meta"),
        lambda *a, **o: torch.empty(0),
    ],
)
def test_strange_results_do_not_get_out(strange):
    report = checks.triplet_loss(strange)
    assert report.passed is False
    assert report.diagnosis


def test_a_report_reads_the_same_each_time_and_in_both_forms():
    one, other = checks.triplet_loss(unknown_mistake), checks.triplet_loss(unknown_mistake)
    assert repr(one) == repr(other)
    assert one._repr_html_() == other._repr_html_()
    assert "not yet" in one._repr_html_()
    assert "&lt;" in checks.Report("n", False, "a < b")._repr_html_()


def test_the_text_that_notebooks_store():
    assert str(checks.triplet_loss(triplet_loss)).splitlines() == [
        "triplet_loss: passed.",
        "  ok  it runs and returns a tensor",
        "  ok  the shape of the result",
        "  ok  the values, on several inputs",
        "  ok  the gradient of every input",
        "  ok  the order of the batch does not matter",
    ]


def test_strict_mode_raises(monkeypatch):
    monkeypatch.setenv("CLT_STRICT", "1")
    with pytest.raises(AssertionError, match="sum over the batch"):
        checks.triplet_loss(lambda a, p, n, margin: triplet_loss(a, p, n, margin=margin) * len(a))
    with pytest.raises(AssertionError, match="not attempted"):
        checks.triplet_loss(raises_not_implemented)
    assert checks.triplet_loss(triplet_loss).passed


def test_a_function_that_works_in_float32_only_passes():
    def single(query, positive, *, temperature):
        if query.dtype != torch.float32:
            raise RuntimeError("expected m1 and m2 to have the same dtype")
        return losses.info_nce_loss(query, positive, temperature=temperature)

    assert checks.info_nce_loss(single).passed is True


def test_a_function_that_works_on_another_device_only_is_tried_there(monkeypatch):
    """bfloat16 stands in for the device: a second setting in which the function does not crash."""
    elsewhere = Setting("cpu", torch.bfloat16, 0.05)
    plain = _call.settings
    monkeypatch.setattr(_call, "settings", lambda: [*plain(), elsewhere])

    def picky(a, p, n, margin):
        if a.dtype != torch.bfloat16:
            raise RuntimeError("Expected all tensors to be on the same device")
        return losses.triplet_loss(a, p, n, margin=margin)

    assert checks.triplet_loss(picky).passed is True
    assert "RuntimeError" in checks.triplet_loss(crash).diagnosis


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_function_for_cuda_passes():
    def on_cuda(query, positive, *, temperature):
        logits = F.normalize(query, dim=1) @ F.normalize(positive, dim=1).T / temperature
        return F.cross_entropy(logits, torch.arange(len(query), device="cuda"))

    assert checks.info_nce_loss(on_cuda).passed is True
    assert (
        "temperature is missing"
        in checks.info_nce_loss(lambda q, p, temperature: on_cuda(q, p, temperature=1)).diagnosis
    )


def test_an_unknown_check_names_those_there_are():
    with pytest.raises(AttributeError, match="triplet_loss"):
        checks.nothing_of_the_kind  # noqa: B018
