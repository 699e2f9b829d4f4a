"""Records and what is claimed on them: each claim has a case in which it does not hold."""

import json
import math
import statistics
import sys

import pytest
import torch

from clt import results
from clt.results import Record, files

SEEDS = [0, 1, 2, 3, 4]


def entry(*values, **setting) -> dict:
    setting.setdefault("seeds", SEEDS[: len(values)])
    mean = None if isinstance(values[0], list) else sum(values) / len(values)
    return {"values": list(values), "mean": mean, "setting": setting}


@pytest.fixture
def record() -> Record:
    return Record(
        "04_lesson",
        {
            "before.sts": entry(0.5, seeds=[0]),
            "none.sts": entry(0.50, 0.52, 0.54, 0.56, 0.58),
            "dropout.sts": entry(0.61, 0.64, 0.64, 0.67, 0.69),
            "noisy.sts": entry(0.70, 0.30, 0.90, 0.40, 0.80),
            "few.sts": entry(0.9, 0.9),
            "others.sts": entry(0.61, 0.64, 0.64, 0.67, 0.69, seeds=[5, 6, 7, 8, 9]),
            "dropout.loss": entry([3.0, 2.0], [3.5, 2.5]),
        },
    )


# ---- reading


def test_a_record_is_read_by_key(record):
    assert record["none.sts"] == [0.50, 0.52, 0.54, 0.56, 0.58]
    assert record.mean("none.sts") == pytest.approx(0.54)
    assert "none.sts" in record
    assert "none.loss" not in record
    assert list(record.group("sts")) == ["before", "none", "dropout", "noisy", "few", "others"]
    assert record.group("sts", ["few", "before"]) == {"few": [0.9, 0.9], "before": [0.5]}
    with pytest.raises(
        KeyError, match=r"the record of 04_lesson has no 'dropout.nli'; it has dropout.sts, dropout.loss"
    ):
        record["dropout.nli"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules["clt.results.records"], "RECORDED", tmp_path)
    monkeypatch.setenv("CLT_RESULTS", str(tmp_path / "here"))
    return tmp_path


def test_it_is_read_from_its_file(folder):
    made = {"seconds": 3}
    files.write_json(folder / "04_lesson.json", {"found": {"a": entry(1.0)}, "made": made})
    found = results.recorded("04_lesson")
    assert (found.lesson, found["a"], found.made) == ("04_lesson", [1.0], made)
    with pytest.raises(
        FileNotFoundError, match=r"no record of '05_other' \(there are: 04_lesson\). Make it with: clt rec"
    ):
        results.recorded("05_other")


def test_a_record_tells_a_number_as_text(record):
    assert record.told("none.sts") == "0.540 ± 0.032"
    assert record.told("before.sts") == "0.5"
    assert record.told("nobody.sts") == "-"


@pytest.mark.parametrize("content", [b"{", b"\x80binary", b"[]", b'{"found": {}}', b'{"found": {"a": 1}, "made": {}}'])
def test_a_damaged_or_foreign_record_is_named(folder, content):
    (folder / "04_lesson.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"04_lesson.json is not a readable record \(.+\); restore it with git"):
        results.recorded("04_lesson")


# ---- differences and claims


def test_a_difference_is_paired_over_the_seeds(record):
    gap = results.difference(record, "dropout.sts", "none.sts")
    gaps = [0.11, 0.12, 0.10, 0.11, 0.11]
    assert gap.mean == pytest.approx(0.11)
    # Student's t for 95 % and four degrees of freedom, from a printed table.
    half = 2.776 * math.sqrt(sum((g - 0.11) ** 2 for g in gaps) / 4 / 5)
    assert (gap.low, gap.high) == (pytest.approx(0.11 - half, abs=1e-5), pytest.approx(0.11 + half, abs=1e-5))
    assert (gap.agree, gap.seeds) == (5, 5)
    assert str(gap) == "+0.11 [0.1, 0.12], 5 of 5 seeds"
    points = results.difference(record, "dropout.sts", "none.sts", scale=100)
    assert points.mean == pytest.approx(11)
    backwards = results.difference(record, "none.sts", "dropout.sts")
    assert (backwards.mean, backwards.high) == (pytest.approx(-0.11), pytest.approx(half - 0.11, abs=1e-5))
    assert results.difference(record, "noisy.sts", "none.sts").agree == 3


def test_one_value_stands_against_every_seed(record):
    gap = results.difference(record, "none.sts", "before.sts")
    assert gap.mean == pytest.approx(0.04)
    assert (gap.agree, gap.seeds) == (4, 5), "one seed gained nothing"
    assert str(results.difference(record, "before.sts", "before.sts")) == "+0 (one seed)"


@pytest.mark.parametrize(("a", "b"), [("dropout.sts", "few.sts"), ("others.sts", "none.sts")])
def test_other_seeds_cannot_be_paired(record, a, b):
    with pytest.raises(ValueError, match="were not measured with the same seeds"):
        results.difference(record, a, b)


def test_a_claim_holds_where_the_whole_interval_lies_above(record):
    gap = results.assert_above(record, "dropout.sts", "none.sts", by=0.1)
    assert gap.low > 0.1
    assert results.assert_above(record, "dropout.sts", "none.sts", by=10, scale=100).mean == pytest.approx(11)


@pytest.mark.parametrize(
    ("a", "b", "by"),
    [
        ("none.sts", "dropout.sts", 0),  # the other way round
        ("none.sts", "none.sts", 0),  # nothing gained
        ("noisy.sts", "none.sts", 0),  # a higher mean, within the noise
        ("dropout.sts", "none.sts", 0.105),  # the mean lies above, the interval does not
        ("before.sts", "dropout.sts", 0),
    ],
)
def test_a_claim_that_does_not_hold_fails(record, a, b, by):
    with pytest.raises(AssertionError, match=rf"{a} is not above {b} by {by:g}: [+-]"):
        results.assert_above(record, a, b, by=by)


def test_two_seeds_are_no_basis_for_a_claim(record):
    with pytest.raises(ValueError, match=r"at least three seeds, 'few.sts' has 2"):
        results.assert_above(record, "few.sts", "before.sts")


# ---- the live run against the record


@pytest.fixture
def live(folder, record):
    """The record as a file, with settings; returns what measures here."""
    found = {key: {**value, "setting": value["setting"] | {"steps": 20}} for key, value in record.found.items()}
    files.write_json(folder / "04_lesson.json", {"found": found, "made": {}})
    return lambda key, *values, **setting: results.measured(
        "04_lesson", key, list(values), **{"seeds": [7], "steps": 20} | setting
    )


def test_a_run_within_what_the_seeds_span_passes(live, capsys):
    live("none.sts", 0.545)
    live("none.nli", 99.0)  # the record has no such key
    live("dropout.sts", 99.0, steps=10)  # nor this one at these settings
    live("dropout.loss", [3.0, 2.0])  # a curve is for the eye
    results.assert_live("04_lesson")
    assert capsys.readouterr().out.splitlines() == [
        "          record                 here",
        "--------  ---------------------  -----",
        "none.sts  0.540 ± 0.032 (n = 5)  0.545",
    ]
    results.assert_live("04_lesson", show=False)
    assert capsys.readouterr().out == ""


def test_the_span_is_the_prediction_interval_for_one_more_seed(live):
    # t for 99.9 % and four degrees of freedom is 8.610; s = 0.03162, n = 5.
    half = 8.610 * 0.0316228 * math.sqrt(1 + 1 / 5)
    live("none.sts", 0.54 + half - 1e-3)
    results.assert_live("04_lesson")
    live("none.sts", 0.54 - half - 1e-3)
    with pytest.raises(AssertionError, match=r"none.sts: 0.241 here, 0.540 ± 0.032 \(n = 5\) in the record"):
        results.assert_live("04_lesson")


def test_every_seed_has_to_lie_within(live):
    live("none.sts", 0.54, 0.99, seeds=[0, 1])
    with pytest.raises(AssertionError, match=r"none\.sts: 0\.99 here"):
        results.assert_live("04_lesson", show=False)


def test_what_no_seed_varies_has_to_be_nearly_equal(live):
    """Half a per cent is granted to another processor; twice as much is other code."""
    live("before.sts", 0.502)
    results.assert_live("04_lesson")
    live("before.sts", 0.505)
    with pytest.raises(AssertionError, match=r"before\.sts: 0\.505 here, 0\.5 in the record"):
        results.assert_live("04_lesson")


def test_shares_of_few_texts_may_be_granted_more(live):
    live("before.sts", 0.505)
    results.assert_live("04_lesson", granted={".sts": 0.01})
    with pytest.raises(AssertionError, match=r"before\.sts"):
        results.assert_live("04_lesson", granted={".other": 0.01})


def test_nothing_to_compare_is_no_success(live):
    live("none.sts", 0.54, steps=10)
    live("dropout.loss", 3.0)  # a number, where the record has curves
    with pytest.raises(ValueError, match="nothing measured here was measured in the record at the same settings"):
        results.assert_live("04_lesson")


# ---- trials


def test_trials_run_each_variant_with_each_seed(folder):
    ran = []

    def run(seed, factor=1):
        ran.append((factor, seed))
        return {"score": factor + seed, "curve": [seed, factor]}

    found = results.trials("04_lesson", run, {"one": {}, "two": {"factor": 2}}, [3, 4], steps=20)
    assert ran == [(1, 3), (1, 4), (2, 3), (2, 4)]
    assert found == {
        "one": {"score": [4, 5], "curve": [[3, 1], [4, 1]]},
        "two": {"score": [5, 6], "curve": [[3, 2], [4, 2]]},
    }
    here = results.read("04_lesson")
    assert here["two.score"]["values"] == [5, 6]
    assert here["two.score"]["setting"] == {"seeds": [3, 4], "steps": 20, "factor": 2}
    assert here["one.curve"]["values"] == [[3, 1], [4, 1]]
    results.trials("04_lesson", run, {"one": {}}, [3])
    assert ran[4:] == [(1, 3)], "outside of a record nothing is remembered"


def test_a_record_remembers_finished_trials(folder, monkeypatch):
    monkeypatch.setenv("CLT_RECORD", str(folder))
    ran = []

    def run(seed, factor):
        if factor == 3:
            raise RuntimeError("stopped")
        ran.append((factor, seed))
        return {"score": factor + seed}

    variants = {"one": {"factor": 1}, "two": {"factor": 3}}
    with pytest.raises(RuntimeError):
        results.trials("04_lesson", run, variants, [0, 1])
    variants["two"]["factor"] = 2
    assert results.trials("04_lesson", run, variants, [0, 1])["two"] == {"score": [2, 3]}
    assert ran == [(1, 0), (1, 1), (2, 0), (2, 1)]
    kept = [json.loads(path.read_text()) for path in (folder / "04_lesson").glob("*.json")]
    assert sorted((trial["variant"], trial["seed"]) for trial in kept) == [
        ("one", 0), ("one", 1), ("two", 0), ("two", 1),
    ]  # fmt: skip


@pytest.mark.parametrize("n", [1, 50, 51, 750])
def test_right_and_wrong_are_packed_without_loss(n):
    right = torch.rand(n, generator=torch.Generator().manual_seed(n)) < 0.4
    assert len(results.packed(right)) == math.ceil(n / 50)
    assert results.unpacked([results.packed(right)], n)[0].tolist() == right.double().tolist()


def test_gains_over_texts():
    """Ten texts, two seeds: a is right on six, b on five and four of them; packed as a notebook packs."""
    packed = {"a": [[63.0], [63.0]], "b": [[31.0], [15.0]]}
    found = {
        f"{name}.{measure}": {"values": values, "setting": {"seeds": [0, 1]}, "mean": 0}
        for name, right in packed.items()
        for measure, values in {"right": right, "accuracy": [10.0 * bin(int(r[0])).count("1") for r in right]}.items()
    }
    record = results.Record("lesson", found)
    assert results.unpacked(packed["b"], 10).sum(1).tolist() == [5, 4]
    row = results.over_texts(record, "a", "b")
    gains = [0, 0, 0, 0, 0.5, 1, 0, 0, 0, 0]
    deviation = 100 * statistics.stdev(gains)
    assert (row["gain"], row["texts"]) == ("+15.0", 10)
    assert row["over texts"] == f"{15 - 1.96 * deviation / 10**0.5:+.1f} to {15 + 1.96 * deviation / 10**0.5:+.1f}"
    assert row["needed"] == math.ceil((2.8 * deviation / 1.5) ** 2)
