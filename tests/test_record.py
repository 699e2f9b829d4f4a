"""``clt record``: what a record holds, that a stopped one goes on, and what makes one stale and what does not."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import types
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from click.testing import CliRunner

from clt import data, results
from clt.command import plan
from clt.command import record as records
from clt.command.cli import main
from clt.results.trials import meaning

pytestmark = pytest.mark.xdist_group("clt record")  # one worker, so that the course of `made` is recorded once
posix = pytest.mark.skipif(os.name != "posix", reason="sends a POSIX signal")

PARAMETERS = "seeds = [0]\nsteps = 3\ntexts = 'sts'\ndevice = 'auto'"
# Each trial says in a file that it ran; where there is a file `hang`, the third one never ends.
RUN = '''import time
from pathlib import Path

from clt import data, results


def run(seed, factor):
    """Train."""
    with open("log.txt", "a") as log:
        log.write(f"{factor}-{seed} ")
    if Path("hang").exists() and (factor, seed) == (2, 0):
        time.sleep(300)
    data.note(f"{texts}/dev")
    assert steps > 0
    return {"score": factor * steps + seed / 10, "curve": [1, factor]}'''
TRIALS = """variants = {"one": {"factor": 1}, "two": {"factor": 2}}
data.note("clt-mini")
found = results.trials("LESSON", run, variants, seeds, steps=steps)"""
SHOW = "# draws, and would fail\nraise RuntimeError(LESSON)"
ALL = "1-0 1-1 2-0 2-1"

# `clt record` in a process of its own, on a course in another folder.
ELSEWHERE = """import sys
from pathlib import Path
from clt import results
from clt.command import plan, record
top = Path(sys.argv.pop(1))
plan.NOTEBOOKS, record.PARAMETERS = top / "notebooks", top / "notebooks" / "parameters" / "record.yaml"
results.RECORDED = top / "recorded"
from clt.command.cli import main
main()"""


class Course:
    """A course of its own in a folder: lessons, parameters, records."""

    def __init__(self, top: Path):
        self.top, self.notebooks, self.recorded = top, top / "notebooks", top / "recorded"
        self.parameters = self.notebooks / "parameters" / "record.yaml"
        self.parameters.parent.mkdir(parents=True)
        self.arguments = ["record", "--store", str(top / "store")]

    def write(self, name: str, **changed: str) -> Path:
        """A lesson; ``run=``, ``trials=``, ``show=``, ``prose=`` and ``parameters=`` stand in for its own cells."""
        parts = {"prose": "# A lesson", "setup": "import clt", "parameters": PARAMETERS, "run": RUN}
        parts |= {"trials": TRIALS.replace("LESSON", name), "show": SHOW} | changed
        cells = [
            {"id": part, "cell_type": "markdown" if part == "prose" else "code", "source": source,
             "metadata": {"tags": [part]} if part in ("setup", "parameters", "show") else {}}
            | ({} if part == "prose" else {"outputs": [], "execution_count": None})
            for part, source in parts.items()
        ]  # fmt: skip
        path = self.notebooks / f"{name}.ipynb"
        text = json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells})
        path.write_text(text, encoding="utf-8")
        return path

    def give(self, **parameters: dict) -> None:
        self.parameters.write_text(yaml.safe_dump(parameters), encoding="utf-8")

    def log(self) -> str:
        """Which trials were begun since it was last asked."""
        path = self.notebooks / "log.txt"
        said = path.read_text() if path.is_file() else ""
        path.unlink(missing_ok=True)
        return " ".join(sorted(said.split()))

    def found(self, name: str) -> dict:
        return json.loads((self.recorded / f"{name}.json").read_text(encoding="utf-8"))


def move_in(course: Course, patch: pytest.MonkeyPatch) -> Course:
    """The places of the course are those of ``course`` from now on; no public set is there."""
    patch.setattr(plan, "NOTEBOOKS", course.notebooks)
    patch.setattr(records, "PARAMETERS", course.parameters)
    patch.setattr(results, "RECORDED", course.recorded)
    patch.delenv("CLT_DATA", raising=False)
    return course


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        yield move_in(Course(tmp_path_factory.mktemp("course")), patch)


@pytest.fixture(scope="module")
def made(course):
    """The course with one record."""
    course.write("09_tiny")
    course.give(**{"09_tiny": {"seeds": [0, 1], "steps": 5}})
    result = CliRunner().invoke(main, [*course.arguments, "9"])
    assert result.exit_code == 0, result.output
    assert result.output.endswith(f"Wrote {course.recorded / '09_tiny.json'}\n")
    return SimpleNamespace(course=course, record=course.found("09_tiny"), log=course.log())


def refused(course, *arguments: str) -> str:
    result = CliRunner().invoke(main, [*course.arguments, *arguments])
    assert result.exit_code == 2, result.output
    assert result.output.count("\n") == 1
    assert course.log() == ""
    return result.output


# ---- what it holds


def test_every_number_is_there_with_its_seeds_and_settings(made):
    found = made.record["found"]
    assert found.keys() == {"one.score", "one.curve", "two.score", "two.curve"}
    assert found["two.score"] == {
        "values": [10, 10.1], "mean": pytest.approx(10.05), "sd": pytest.approx(0.0707, abs=1e-4),
        "setting": {"seeds": [0, 1], "steps": 5, "factor": 2},
    }  # fmt: skip
    assert found["two.curve"]["values"] == [[1, 2], [1, 2]]
    assert made.log == ALL, "each trial once, and the cell tagged show did not run"


def test_it_says_what_made_it(made):
    about = made.record["made"]
    # What record.yaml does not give, the notebook does: another value there would be another record.
    assert about["parameters"] == {"seeds": [0, 1], "steps": 5, "texts": "sts", "device": "auto"}
    assert about["versions"].keys() == {*records.PACKAGES, "python"}
    assert about["encoder"] == data.digest("clt-mini")
    assert about["data"] == {"sts/dev": data.digest("sts/dev")}
    assert [(cell["cell"], cell["line"]) for cell in about["code"]] == [
        (4, "import time"),
        (5, 'variants = {"one": {"factor": 1}, "two": {"factor": 2}}'),
    ]
    assert all(re.fullmatch("[0-9a-f]{64}", cell["sha256"]) for cell in about["code"])
    assert about["processor"]
    assert about["threads"] >= 1
    assert about["seconds"] >= 0
    assert made.record.keys() == {"made", "found"}


def test_loading_is_noted_while_a_record_is_made(tmp_path, monkeypatch, embedded):
    data.load("sts", "dev")
    monkeypatch.setenv("CLT_RECORD_LOADED", str(tmp_path / "loaded.jsonl"))
    data.load("sts")
    lines = (tmp_path / "loaded.jsonl").read_text().splitlines()
    assert [json.loads(line)[0] for line in lines] == ["sts/train", "sts/dev", "sts/test"]


# ---- going on


@posix
@pytest.mark.parametrize("end", ["SIGKILL", "Ctrl-C"])
def test_a_stopped_record_goes_on_without_repeating_a_finished_trial(tmp_path, monkeypatch, end):
    course = Course(tmp_path)
    course.write("09_tiny")
    course.give(**{"09_tiny": {"seeds": [0, 1]}})
    (course.notebooks / "hang").touch()
    process = subprocess.Popen(
        [sys.executable, "-c", ELSEWHERE, str(tmp_path), *course.arguments, "09"],
        stdout=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    progress = tmp_path / "store" / "09_tiny" / "progress.txt"
    deadline = time.monotonic() + 240
    while not (progress.exists() and "3 of 4: two, seed 0" in progress.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL if end == "SIGKILL" else signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    if end == "Ctrl-C":
        assert process.returncode == 130
        assert said.endswith("Stopped by Ctrl-C. The same command goes on from here.\n")
    assert not list(course.recorded.iterdir())
    assert course.log() == "1-0 1-1 2-0"

    (course.notebooks / "hang").unlink()
    move_in(course, monkeypatch)
    result = CliRunner().invoke(main, [*course.arguments, "09"])
    assert result.exit_code == 0, result.output
    assert course.log() == "2-0 2-1", "the third was not finished"
    record = course.found("09_tiny")
    assert [len(entry["values"]) for entry in record["found"].values()] == [2] * 4
    # Loaded by the trials that did not run again; without it, a change of these texts would go unseen.
    assert record["made"]["data"].keys() == {"sts/dev"}


def test_only_what_changed_runs_again(made, monkeypatch):
    """Text, comments, asserts, figures and the choice of seeds leave finished trials valid; code and data do not."""
    course = made.course
    other_run = RUN.replace('"""Train."""', '"""Train it."""').replace("    assert steps > 0\n", "    # nothing\n")
    course.write("09_tiny", prose="# Another", run=other_run, show="1 / 0")
    course.give(**{"09_tiny": {"seeds": [1, 2, 0], "steps": 5}})
    result = CliRunner().invoke(main, [*course.arguments, "09"])
    assert result.exit_code == 0, result.output
    assert course.log() == "1-2 2-2"
    assert course.found("09_tiny")["found"]["two.score"]["values"] == [10.1, 10.2, 10]

    # A trial that was made from other texts: as it would stand there after these were edited.
    one, *_ = [p for p in (course.top / "store" / "09_tiny").glob("*.json") if '"variant": "two"' in p.read_text()]
    trial = json.loads(one.read_text())
    assert trial["loaded"] == {"sts/dev": data.digest("sts/dev"), "clt-mini": data.digest("clt-mini")}
    one.write_text(json.dumps(trial | {"loaded": {"sts/dev": "0" * 64}}))

    # Two more lessons beside it, one of which fails, and two at a time.
    course.write("10_more")
    course.write("11_fails", run=RUN.replace("return", "raise ValueError('no gain')\n    return"))
    given = {"seeds": [1, 2, 0], "steps": 5}
    course.give(**{"09_tiny": given, "10_more": {"texts": "nli"}})
    result = CliRunner().invoke(main, [*course.arguments, "--jobs", "2", "09", "10", "11"])
    assert result.exit_code == 1, result.output
    assert "11_fails failed at cell 5 of 6 `variants =" in result.output
    assert "ValueError: no gain" in result.output
    assert sorted(path.name for path in course.recorded.iterdir()) == ["09_tiny.json", "10_more.json"]
    assert course.found("10_more")["made"]["data"].keys() == {"nli/dev"}
    again = f"2-{trial['seed']}"
    assert course.log() == " ".join(sorted([again, "1-0", "2-0", "1-0"]))

    # Other code: all of it, and the time of trials that no longer count is not in the record.
    course.write("09_tiny", run=RUN.replace("factor * steps", "factor * steps + 1"))
    for path in (course.top / "store" / "09_tiny").glob("*.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"seconds": 1e6}))
    assert CliRunner().invoke(main, [*course.arguments, "09"]).exit_code == 0
    assert course.log() == "1-0 1-1 1-2 2-0 2-1 2-2"
    assert course.found("09_tiny")["made"]["seconds"] < 1e6


def test_a_function_of_the_same_cell_counts(monkeypatch, tmp_path):
    """A record remembers by the cells above; where the function is defined in this one, this one counts as well."""
    module, shell = sys.modules["clt.results.trials"], SimpleNamespace(user_ns={"In": ["", "a = 1", "b = 2"]})
    monkeypatch.setenv("CLT_RECORD", str(tmp_path))
    monkeypatch.setattr(module, "_ipython", lambda: shell)
    ran = []

    def run(seed):
        ran.append(seed)
        return {"a": 1.0}

    for last in ("b = 2", "b = 2  # said otherwise", "b = 3"):
        shell.user_ns["In"][-1] = last
        results.trials("lesson", run, {"one": {}}, [0])
    assert len(ran) == 2
    elsewhere = types.FunctionType(run.__code__.replace(co_filename="cell above"), globals(), closure=run.__closure__)
    for last in ("b = 2", "b = 3"):
        shell.user_ns["In"][-1] = last
        results.trials("other", elsewhere, {"one": {}}, [0])
    assert len(ran) == 3


# ---- refusals


def test_what_cannot_be_recorded_is_refused_before_anything_runs(tmp_path, monkeypatch):
    course = Course(tmp_path)
    move_in(course, monkeypatch)
    course.write("09_tiny")
    (tmp_path / "store" / "09_tiny").mkdir(parents=True)
    (tmp_path / "store" / "09_tiny" / "trial.json").touch()
    for given in ({"texts": "STS-B"}, {"texts": ["sts", {"STS-B": 3}]}):
        course.give(**{"09_tiny": given})
        said = refused(course, "--anew", "09")
        assert "the record of 09_tiny wants STS-B, which CLT_DATA does not hold" in said
    course.give()
    course.write("10_more", parameters=PARAMETERS.replace("'sts'", "'STS-B'"))
    assert "10_more wants STS-B" in refused(course, "--anew", "09", "10"), "the notebook's own value counts too"
    assert (tmp_path / "store" / "09_tiny" / "trial.json").exists(), "nothing is forgotten for a run that is refused"
    course.give(**{"09_tiny": {"step": 3}})
    assert "09_tiny has no parameter 'step' (from record.yaml)" in refused(course, "09")
    course.give(**{"09_tiny": [3]})
    assert "expected 'parameter: value' pairs under '09_tiny', got [3]" in refused(course, "09")
    course.give()
    assert "there is no lesson '12'" in refused(course, "12")
    (tmp_path / "file").touch()
    monkeypatch.setattr(results, "RECORDED", tmp_path / "file")
    assert "cannot write to the records' folder" in refused(course, "09")


def test_a_lesson_that_measures_nothing_has_no_record(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "processor", lambda: "")
    course = Course(tmp_path)
    [lesson] = plan.find_lessons((course.write("09_tiny"),))
    with pytest.raises(ValueError, match="measured nothing"):
        records.compose(lesson, tmp_path, 1)


# ---- stale


def now(made, **changed: str) -> list[str]:
    """Why the record of ``made`` is stale when its notebook reads so."""
    made.course.give(**{"09_tiny": {"seeds": [0, 1], "steps": 5}})
    return records.stale(made.course.write("09_tiny", **changed), made.record["made"])


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"prose": "# Another lesson"},
        {"show": "print('another figure')"},
        {"setup": "import clt  # another way to install it"},
        {"run": RUN.replace('"""Train."""', '"""Train, with care."""')},
        {"run": "# A comment\n" + RUN.replace("    assert steps > 0\n", "")},
        {"run": RUN.replace("seed, factor", "seed: int,\n        factor: float") + "  # its type"},
        {"parameters": PARAMETERS.replace("steps = 3", "steps = 4  # for the reader")},
    ],
)
def test_what_changes_no_number_makes_nothing_stale(made, changed):
    assert now(made, **changed) == []


@pytest.mark.parametrize(
    ("changed", "reasons"),
    [
        ({"run": RUN.replace("factor * steps", "factor + steps")}, ["cell 4 `import time` is new or has changed"]),
        ({"parameters": PARAMETERS.replace("'sts'", "'nli'")}, ["the parameter texts was 'sts' and is 'nli' now"]),
        ({"run": "pass", "trials": RUN}, ["cell 4 `pass` is new or has changed"]),
        ({"trials": ""}, ["a cell is gone that it ran: `variants = "]),
        ({"run": TRIALS.replace("LESSON", "09_tiny"), "trials": RUN}, ["its cells stand in another order"]),
    ],
)
def test_what_changes_numbers_makes_it_stale_and_says_why(made, changed, reasons):
    found = now(made, **changed)
    assert len(found) == len(reasons)
    assert all(given.startswith(reason) for given, reason in zip(found, reasons, strict=True)), found


def test_other_parameters_data_and_encoder_make_it_stale(made, monkeypatch):
    path = made.course.write("09_tiny")
    made.course.give(**{"09_tiny": {"seeds": [0, 1], "steps": 6}})
    assert records.stale(path, made.record["made"]) == ["the parameter steps was 5 and is 6 now"]
    assert now(made) == []
    # A public set that this machine does not hold cannot have changed, as far as one can tell here.
    about = made.record["made"] | {"data": {"sts/dev": "0" * 64, "STS-B/test": "0" * 64}, "encoder": "0" * 64}
    assert records.stale(path, about) == [
        "the data set sts/dev is another one now",
        "the encoder clt-mini is another one now",
    ]
    monkeypatch.setattr(data, "digest", lambda part: "1" * 64)
    assert len(records.stale(path, about)) == 3


def test_the_meaning_of_code_is_one_text_on_every_python():
    """Or a record made on one would be stale on the next; this text is what Python 3.11, 3.12 and 3.13 all give."""
    code = (
        '%matplotlib inline\ndef f(x: int = 1, *rest) -> int:\n    """D."""\n    return f"{x:.1f}"\nclass A: pass\ng()'
    )
    assert meaning(code) == (
        "Module([Expr(Call(Attribute(Call(Name('get_ipython', Load()), [], []), 'run_line_magic', Load()), "
        "[Constant('matplotlib'), Constant('inline')], [])), FunctionDef('f', arguments([], [arg('x')], arg('rest'), "
        "[], [], defaults=[Constant(1)]), [Return(JoinedStr([FormattedValue(Name('x', Load()), -1, "
        "JoinedStr([Constant('.1f')]))]))], []), ClassDef('A', [], [], [Pass()], []), "
        "Expr(Call(Name('g', Load()), [], []))], [])"
    )


def complaints(recorded: Path, notebooks: Path) -> list[str]:
    """One line for each record in a folder that no longer fits its lesson, with the command that renews it."""
    found = []
    for path in sorted(recorded.glob("*.json")):
        about = json.loads(path.read_text(encoding="utf-8"))["made"]
        notebook = notebooks / path.name.replace(".json", ".ipynb")
        reasons = records.stale(notebook, about) if notebook.is_file() else ["there is no such lesson"]
        if reasons:
            found.append(f"{path.stem} is stale: {'; '.join(reasons)}. Renew it: clt record {path.stem.split('_')[0]}")
    return found


def test_no_committed_record_is_stale(root, monkeypatch):
    monkeypatch.setattr(records, "PARAMETERS", root / "notebooks" / "parameters" / "record.yaml")
    recorded = root / "clt" / "recorded"
    for path in recorded.glob("*.json"):
        monkeypatch.setattr(sys.modules["clt.results.records"], "RECORDED", recorded)
        assert results.recorded(path.stem).found, "it can be read"
    assert complaints(recorded, root / "notebooks") == []


def test_a_stale_record_is_named_with_its_reason_and_the_command(made, tmp_path):
    (tmp_path / "09_tiny.json").write_text(json.dumps(made.record))
    (tmp_path / "99_gone.json").write_text(json.dumps(made.record))
    now(made, run=RUN.replace("factor * steps", "factor + steps"))
    assert complaints(tmp_path, made.course.notebooks) == [
        "09_tiny is stale: cell 4 `import time` is new or has changed. Renew it: clt record 09",
        "99_gone is stale: there is no such lesson. Renew it: clt record 99",
    ]
