"""``clt run``: what is kept, what is said, and what is refused before anything runs."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import unquote

import nbformat
import psutil
import pytest
from click.testing import CliRunner

from clt.command import executor, pages, plan, processes, screen
from clt.command.cli import main
from clt.command.executor import Lesson
from clt.command.processes import usable_cores

pytestmark = pytest.mark.xdist_group("clt run")  # one worker, so that the notebooks of `finished` run once
posix = pytest.mark.skipif(os.name != "posix", reason="sends a POSIX signal")

WORKS = """import os, sys, time
memory = b"x" * 300_000_000
time.sleep(0.6)
print(open("beside.txt").read(), os.environ["OMP_NUM_THREADS"], sys.prefix)"""
SLEEPS = """import os, pathlib, time
pathlib.Path("pid.new").write_text(str(os.getpid()))
os.replace("pid.new", "pid")
time.sleep(300)"""
# Something that its kernel started, and that has lost its parent.
LEAVES_BEHIND = """import pathlib, subprocess
pid = subprocess.run("sleep 300 >/dev/null 2>&1 & echo $!", shell=True, capture_output=True).stdout
pathlib.Path("left behind").write_bytes(pid)"""


def write_notebook(path: Path, *cells: str) -> Path:
    """A notebook of code cells; ``"#tag: t"`` as a first line tags a cell, ``"# ..."`` makes it a heading."""
    made = []
    for number, source in enumerate(cells):
        tags = []
        if source.startswith("#tag: "):
            first, source = source.split("\n", 1)
            tags = [first.removeprefix("#tag: ")]
        cell = {"id": f"cell{number}", "metadata": {"tags": tags}, "source": source}
        if source.startswith("# "):
            made.append({**cell, "cell_type": "markdown"})
        else:
            made.append({**cell, "cell_type": "code", "outputs": [], "execution_count": None})
    # No kernelspec: `clt run` does not ask a notebook which Python it wants.
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": made}), encoding="utf-8")
    return path


def refused(*arguments) -> str:
    """The one line with which ``clt run`` refuses."""
    result = CliRunner().invoke(main, ["run", *map(str, arguments)])
    assert result.exit_code == 2, result.output
    assert result.output.startswith("Error: ")
    assert result.output.count("\n") == 1
    return result.output


def command(*arguments) -> list[str]:
    return [sys.executable, "-m", "clt.command", "run", *map(str, arguments)]


def wait_for(happened, seconds: float = 240):
    """The first true value of ``happened()``."""
    end = time.monotonic() + seconds
    while not (value := happened()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return value


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Five notebooks, run two at a time with parameters on a console of code page 1252: (process, output folder)."""
    folder = tmp_path_factory.mktemp("notebooks")
    (folder / "beside.txt").write_text("found")
    given = folder / "given.yaml"
    given.write_text("2_fails: {rate: 1e-3}\n")
    notebooks = [
        write_notebook(folder / "1_works.ipynb", "# The first & best", WORKS),
        write_notebook(
            folder / "2_fails.ipynb",
            "#tag: parameters\nrate = 0.1  # the paper: rate=1",
            "assert rate == 1e-3, rate",
            "#tag: exercise\n\nunknown + 1\nmore",
            "print('not reached')",
        ),
        write_notebook(folder / "3_dies.ipynb", "import os", "os.kill(os.getpid(), 9)", "print('not reached')"),
        write_notebook(folder / "4_leaves.ipynb", "import sys\nsys.exit(0)", "print('not reached')"),
        write_notebook(folder / "5 ünder.ipynb", "from clt import results\nresults.measured('5 ünder', 'x', 1.5)"),
    ]
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    for name in ("OMP_NUM_THREADS", "CLT_RESULTS"):
        environment.pop(name, None)
    output = folder / "build" / "results"
    arguments = command(*notebooks, "--parameters", given, "--output", output, "--jobs", 2)
    process = subprocess.run(
        arguments, env=environment, cwd=folder.parent, capture_output=True, encoding="cp1252", timeout=300
    )
    return process, output


def timings(output: Path) -> dict:
    return json.loads((output / "timings.json").read_text(encoding="utf-8"))["notebooks"]


def printed(notebook: Path) -> str:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return "".join("".join(out.get("text", [])) for cell in cells for out in cell.get("outputs", []))


def test_a_failing_notebook_does_not_stop_the_others(finished):
    process, output = finished
    assert process.stdout.splitlines()[0] == f"Running 5 notebooks, 2 at a time; results go to {output}."
    assert process.returncode == 1
    assert process.stderr == ""
    statuses = {name: entry["status"] for name, entry in timings(output).items()}
    assert statuses == {
        "1_works": "passed",
        "2_fails": "failed",
        "3_dies": "failed",
        "4_leaves": "failed",
        "5 ünder": "passed",
    }
    assert {path.suffix for path in output.iterdir()} == {".ipynb", ".html", ".json", ""}
    assert [path.name for path in output.iterdir() if not path.suffix] == ["results"], "nothing half-written is left"


def test_a_failing_notebook_names_its_cell_and_the_error(finished):
    process, _ = finished
    lines = process.stdout.splitlines()
    # Cell 3 for its reader, although the given parameters stand in a cell of their own before it.
    assert (
        "2_fails failed at cell 3 of 4 (tagged exercise) `unknown + 1`: NameError: name 'unknown' is not defined"
        in lines
    )
    assert any(
        line.startswith("3_dies failed at cell 2 of 3 `os.kill(os.getpid(), 9)`: the kernel died") for line in lines
    )
    assert any(line.startswith("4_leaves failed at cell 1 of 2 `import sys`: left by SystemExit") for line in lines)


def test_the_table_has_status_seconds_and_memory(finished):
    process, output = finished
    works = timings(output)["1_works"]
    row = rf"1_works +\+ passed +{works['seconds']:.1f} +{works['peak_memory_bytes'] / 1e6:,.0f} MB"
    assert re.search(row, process.stdout)
    assert 0.6 < works["seconds"] < 120
    assert 300e6 < works["peak_memory_bytes"] < 900e6


def test_a_notebook_runs_in_its_folder_with_this_python_and_its_share_of_the_cores(finished):
    _, output = finished
    assert printed(output / "1_works.ipynb").split() == ["found", str(max(1, usable_cores() // 2)), sys.prefix]


def test_every_link_resolves_and_nothing_is_loaded_from_elsewhere(finished):
    _, output = finished
    for page in output.glob("*.html"):
        html = page.read_text(encoding="utf-8")
        assert "default-src 'none'" in html
        assert not re.search(r"<script(?! type=.application/vnd)|<link|<iframe|src=.(?!data:)", html)
    html = (output / "index.html").read_text(encoding="utf-8")
    links = [output / unquote(link) for link in re.findall(r'href="([^"]+)"', html)]
    assert len(links) == 10
    assert all(link.is_file() for link in links)
    assert "The first &amp; best" in html
    assert "NameError" in html


def test_what_a_notebook_measures_goes_to_the_output_folder(finished):
    """Not into the checkout, which may be one that nobody can write to."""
    _, output = finished
    assert json.loads((output / "results" / "5 ünder.json").read_text(encoding="utf-8"))["x"]["mean"] == 1.5


@posix
def test_ctrl_c_keeps_what_is_done_and_says_what_is_not(tmp_path):
    notebooks = [
        write_notebook(tmp_path / "done.ipynb", "print(1)"),
        write_notebook(tmp_path / "sleeps.ipynb", LEAVES_BEHIND, SLEEPS),
        write_notebook(tmp_path / "waits.ipynb", "print(2)"),
    ]
    output = tmp_path / "out"
    process = subprocess.Popen(
        command(*notebooks, "--output", output, "--jobs", 1),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a test run in the background ignores it
    )
    kernel = int(wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text()))
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the whole group
    said, noise = process.communicate(timeout=60)
    assert process.returncode == 130
    assert noise == ""
    assert "Stopped by Ctrl-C; not done: sleeps, waits." in said
    statuses = {name: entry["status"] for name, entry in timings(output).items()}
    assert statuses == {"done": "passed", "sleeps": "interrupted", "waits": "not run"}
    assert sorted(path.name for path in output.iterdir()) == ["done.html", "done.ipynb", "index.html", "timings.json"]
    assert gone(kernel)
    assert gone(int((tmp_path / "left behind").read_text()))


@posix
def test_no_kernel_outlives_a_killed_clt(tmp_path):
    notebook = write_notebook(tmp_path / "sleeps.ipynb", SLEEPS)
    process = subprocess.Popen(command(notebook, "--output", tmp_path / "out"), stdout=subprocess.DEVNULL)
    kernel = int(wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text()))
    process.kill()
    process.wait()
    wait_for(lambda: gone(kernel), 20)


def test_a_lesson_whose_kernel_does_not_start_has_failed(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONHOME", str(tmp_path))  # no Python starts with this
    notebook = write_notebook(tmp_path / "any.ipynb", "1")
    result = CliRunner().invoke(main, ["run", str(notebook), "--output", str(tmp_path / "out")])
    assert result.exit_code == 1
    assert "any failed at cell 0 of 1: its kernel did not start (" in result.output
    assert not (tmp_path / "out" / "any.ipynb").exists()


@pytest.fixture
def lesson(tmp_path):
    return write_notebook(tmp_path / "lesson.ipynb", "#tag: parameters\nepochs: int = 3  # paper: epochs=10\nseed = 0")


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("p.yaml", "epoch: 3", "lesson has no parameter 'epoch' (from p.yaml). It has: epochs, seed."),
        ("p.yaml", "lesson: {epoch: 3, sed: 1}", "lesson has no parameter 'epoch', 'sed' (from p.yaml)."),
        ("p.yaml", "leson: {epochs: 3}", "p.yaml has parameters for 'leson', and there is no such notebook."),
        ("p.yaml", "lesson: 3", "expected 'parameter: value' pairs under 'lesson', got 3."),
        ("p.yaml", "epochs: [3\nseed: 1", "p.yaml is not valid in line 2: "),
        ("p.yaml", "- epochs", "p.yaml: expected 'parameter: value' pairs, got a list."),
        ("p.json", '{"epochs": 3,}', "p.json is not valid in line 1: "),
    ],
)
def test_wrong_parameters_are_refused_before_anything_runs(tmp_path, lesson, file, text, says):
    (tmp_path / file).write_text(text)
    assert says in refused(lesson, "--parameters", tmp_path / file, "--output", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("p.yaml", "epochs: 2024-01-02", "epochs is or holds a date, 2024-01-02; a notebook can be given text, finite"),
        ("p.yaml", "epochs: [1, 2024-01-02T03:04:05Z]", "epochs is or holds a datetime"),
        ("p.yaml", "epochs: !!binary aGVsbG8=", "epochs is or holds a bytes, b'hello'"),
        ("p.yaml", "lesson: {epochs: {a: !!set {b, c}}}", "lesson is or holds a set"),
        ("p.yaml", "epochs: .nan", "epochs is or holds nan, which is no finite number"),
        ("p.yaml", "epochs: [-.inf]", "epochs is or holds -inf, which is no finite number"),
        ("p.json", '{"epochs": NaN}', "epochs is or holds nan"),
        ("p.yaml", "epochs: {1: 2}", "epochs is or holds the key 1, which is no text"),
        ("p.yaml", "epochs: &a [*a]", "a value holds itself"),
    ],
)
def test_what_json_cannot_hold_is_refused_by_name(tmp_path, lesson, file, text, says):
    """A notebook is JSON: given such a value, its file could not be written, or not be read by others."""
    (tmp_path / file).write_text(text)
    assert says in refused(lesson, "--parameters", tmp_path / file, "--output", tmp_path / "out")


@pytest.mark.parametrize("name", ["p.yaml", "p.json"])
def test_a_byte_order_mark_is_no_part_of_a_file(tmp_path, name):
    """Editors on Windows put one in front of parameters, and of notebooks."""
    (tmp_path / name).write_text('{"epochs": 5}', encoding="utf-8-sig")
    path = write_notebook(tmp_path / "lesson.ipynb", "#tag: parameters\nepochs = 3", "print(epochs)")
    path.write_text(path.read_text(encoding="utf-8"), encoding="utf-8-sig")
    [lesson] = plan.find_lessons((str(path),))
    plan.give_parameters([lesson], str(tmp_path / name))
    assert lesson.parameters == {"epochs": 5}
    assert [cell.source for cell in executor.prepared(lesson).cells][1:] == [
        "# Parameters\nepochs = 5\n",
        "print(epochs)",
    ]


def test_a_missing_parameter_file_is_refused(lesson):
    assert "expected quick, full or a file, and there is no file 'ful'" in refused(lesson, "--parameters", "ful")


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("p.yaml", "epochs: 5", {"epochs": 5}),
        ("p.yaml", "lesson: {seed: 1e-3}", {"seed": 0.001}),
        ("p.yaml", "", {}),
        ("p.json", '{\n\t"epochs": 1E2}', {"epochs": 100.0}),
    ],
)
def test_parameters_from_a_file(tmp_path, lesson, file, text, expected):
    (tmp_path / file).write_text(text)
    lessons = plan.find_lessons((lesson,))
    plan.give_parameters(lessons, str(tmp_path / file))
    assert lessons[0].parameters == expected
    assert [type(value) for value in lessons[0].parameters.values()] == [type(value) for value in expected.values()]


def test_full_parameters_go_to_their_notebook(tmp_path, lesson, monkeypatch):
    monkeypatch.setattr(plan, "NOTEBOOKS", tmp_path)
    write_notebook(tmp_path / "another.ipynb", "# Another")
    (tmp_path / "parameters").mkdir()
    (tmp_path / "parameters" / "full.yaml").write_text("lesson: {epochs: 100}")
    lessons = plan.find_lessons(())
    plan.give_parameters(lessons, "full")
    assert [(x.name, x.title, x.parameters) for x in lessons] == [
        ("another", "Another", {}),
        ("lesson", "lesson", {"epochs": 100}),
    ]


def test_notebooks_that_cannot_be_run_are_refused(tmp_path, lesson, monkeypatch):
    assert "cannot read the notebook" in refused(tmp_path / "missing.ipynb")
    (tmp_path / "text.ipynb").write_text("not JSON")
    assert "is not a Jupyter notebook" in refused(tmp_path / "text.ipynb")
    assert "is not plain Python" in refused(write_notebook(tmp_path / "magic.ipynb", "#tag: parameters\n%time x = 1"))
    (tmp_path / "twin").mkdir()
    twin = write_notebook(tmp_path / "twin" / "lesson.ipynb", "1")
    assert "two notebooks are named 'lesson'" in refused(lesson, twin)
    capital = write_notebook(tmp_path / "twin" / "LESSON.ipynb", "1")
    assert "two notebooks are named 'LESSON'" in refused(lesson, capital), "one file where case does not count"
    assert "its page would be index.html" in refused(write_notebook(tmp_path / "index.ipynb", "1"))
    assert "its page would be index.html" in refused(write_notebook(tmp_path / "twin" / "Index.ipynb", "1"))
    assert "they would be overwritten" in refused(lesson, "--output", tmp_path)
    assert "cannot write to --output" in refused(lesson, "--output", lesson)
    monkeypatch.setattr(plan, "NOTEBOOKS", tmp_path / "nowhere")
    assert "the lessons are not here" in refused()
    (tmp_path / "nowhere").mkdir()
    assert "there is no notebook in" in refused()


def test_a_lesson_is_named_by_its_file_its_number_or_its_stem(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "NOTEBOOKS", tmp_path)
    for name in ("03_info_nce", "04_simcse"):
        write_notebook(tmp_path / f"{name}.ipynb", "# T\n\n*Runs in:* 50 seconds and 0.9 GB on two CPU cores.", "1")
    for name in ("04", "4", "04_simcse", tmp_path / "04_simcse.ipynb"):
        [lesson] = plan.find_lessons((name,))
        assert (lesson.name, lesson.expected) == ("04_simcse", 50)
    for name in ("05", "simcse", "0", ""):
        assert f"there is no lesson {name!r}" in refused(name)


def test_it_says_what_it_will_do_and_how_long_that_takes(monkeypatch):
    def lessons(*seconds):
        return [Lesson(Path(f"{i}.ipynb"), "", 1, {}, expected=s) for i, s in enumerate(seconds)]

    say = lambda *given: plan.announcement(*given, Path("out"))
    assert say(lessons(50, 60, 70), 2) == (
        "Running 3 notebooks, 2 at a time; results go to out. It takes about 2 minutes."
    )
    assert say(lessons(50, 200), 2).endswith("about 4 minutes."), "the slowest one"
    assert say(lessons(50), 2) == "Running 0; results go to out. It takes about 1 minute."
    assert say(lessons(50, 0), 1) == "Running 2 notebooks, 1 at a time; results go to out.", "one does not say"
    other = lessons(50)
    other[0].parameters = {"epochs": 100}
    assert "takes" not in say(other, 1)

    monkeypatch.setattr(plan, "usable_cores", lambda: 4)
    for room, jobs in ((16, 3), (3.2, 2), (0.5, 1)):
        memory = psutil.virtual_memory()._replace(available=int(room * 1e9))
        monkeypatch.setattr(psutil, "virtual_memory", lambda memory=memory: memory)
        assert plan.fitting_jobs(lessons(1, 1, 1)) == jobs


def test_a_damaged_kernel_is_refused(tmp_path, lesson, monkeypatch):
    spec = tmp_path / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    for text in ('{"argv": [', "[]", '{"argv": [], "display_name": "x"}', '{"argv": 3}', "\ufeff{}"):
        spec.write_text(text, encoding="utf-8")
        said = refused(lesson, "--output", tmp_path / "out")
        assert "the kernel.json of python3 cannot be used" in said, text
        assert "ipykernel install" in said


def test_another_kernel_is_refused(tmp_path, lesson, monkeypatch):
    spec = tmp_path / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text(json.dumps({"argv": ["/bin/other-python"], "display_name": "Other", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    assert "python3 is another Python" in refused(lesson, "--output", tmp_path / "out")


def test_help_and_version_load_nothing_heavy():
    code = (
        "import sys, clt.command.cli; sys.exit(any(m in sys.modules for m in ('torch', 'papermill', 'psutil', 'yaml')))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    for arguments in (["--help"], ["run", "--help"], ["report", "--help"], ["doctor", "-h"]):
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0
        assert "Examples:" in result.output
    assert re.fullmatch(r"clt, version \S+\n", CliRunner().invoke(main, ["--version"]).output)


def test_results_of_earlier_runs_stay_beside_the_new_ones(tmp_path):
    def lesson(name, **values):
        return Lesson(tmp_path / f"{name}.ipynb", name, 1, [], **values)

    pages.write_results([lesson("a", status="passed", seconds=1.0), lesson("b", status="passed")], tmp_path, "quick")
    pages.write_results([lesson("a"), lesson("b", status="failed", problem="x < y")], tmp_path, "full")
    entries = timings(tmp_path)
    assert [(entries[name]["status"], entries[name]["parameters"]) for name in "ab"] == [
        ("passed", "quick"),  # the second run was stopped before it came to this one
        ("failed", "full"),
    ]
    assert "x &lt; y" in (tmp_path / "index.html").read_text(encoding="utf-8")
    for foreign in ("[]", '{"notebooks": [1]}', '{"notebooks": {"c": {}, "d": 3}}', "cut sho"):
        (tmp_path / "timings.json").write_text(foreign)
        pages.write_results([lesson("b", status="passed")], tmp_path, "quick")
        assert list(timings(tmp_path)) == ["b"]
    (tmp_path / "timings.json").write_bytes(b"\xff\xfe")
    pages.write_results([lesson("b", status="passed")], tmp_path, "quick")
    assert list(timings(tmp_path)) == ["b"]


def test_moving_lines_are_drawn_over_and_never_wrap(monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "40")
    board = screen.Board()
    lesson = Lesson(Path("lesson_with_a_name_of_forty_characters_.ipynb"), "", 9, [], status="running", cell=4)
    board.show([lesson])
    board.show([lesson])
    lesson.status, lesson.seconds = "passed", 2.0
    board.show([lesson])
    board.show([lesson])
    moving = screen._line(Lesson(lesson.path, "", 9, [], status="running", cell=4))[:39] + "\n"
    assert "cell" in moving
    again = "\x1b[1A\x1b[J"
    assert capsys.readouterr().out == moving + again + moving + again + screen._line(lesson) + "\n"


def test_a_page_shows_formulas_and_folds_solutions_and_loads_nothing(tmp_path):
    notebook = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {},
        "cells": [
            {
                "id": "a",
                "cell_type": "markdown",
                "metadata": {},
                "source": "# T\n[![badge](https://example.org/b.svg)](https://example.org) [next](02.ipynb)\n\n"
                r"$\lVert a \rVert$ and $\unknown{x}$" + "\n\n" + r"$$\begin{aligned} a &= b \\ c &= d \end{aligned}$$",
            },
            {
                "id": "b",
                "cell_type": "code",
                "execution_count": 1,
                "metadata": {"tags": ["solution"], "jupyter": {"source_hidden": True}},
                "source": "secret",
                "outputs": [
                    {
                        "output_type": "display_data",
                        "metadata": {"image/png": {"alt": 'a "curve"'}},
                        "data": {"image/png": "AAAA"},
                    },
                    {
                        "output_type": "display_data",
                        "metadata": {},
                        "data": {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "0%|"},
                    },
                ],
            },
        ],
    }
    executed = tmp_path / "lesson.ipynb"
    executed.write_text(json.dumps(notebook))
    html = pages.notebook_page(nbformat.read(executed, as_version=4), executed)
    assert html.count("<math") == 2
    assert "<mtable" in html  # `aligned` came through as a table
    assert r"<code>\unknown{x}</code>" in html  # better the source than half a formula
    assert re.search(r"<details><summary>Solution</summary>.*secret.*</details>", html, re.S)
    assert "alt='a \"curve\"'" in html
    assert 'href="02.html"' in html
    assert ">badge</a>" in html
    assert "example.org/b.svg" not in html
    assert "0%|" not in html
    assert not re.search(r"<script|<link|src=.(?!data:)", html)


@posix
def test_a_process_is_ended_with_all_it_started(tmp_path):
    """A child, a grandchild, and one that has lost its parent; what they take together is told."""
    script = """import subprocess, sys, time
subprocess.run("sleep 60 >/dev/null & echo $! > orphan", shell=True)
child = subprocess.Popen([sys.executable, "-c", "x = b'x' * 10**8; import time; print(1, flush=True); time.sleep(60)"],
                         stdout=subprocess.PIPE)
child.stdout.readline()
open("child.new", "w").write(str(child.pid)); import os; os.replace("child.new", "child"); time.sleep(60)"""
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, start_new_session=True)
    child = int(wait_for(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text()))
    orphan = int((tmp_path / "orphan").read_text())
    assert {parent.pid, child, orphan} <= {member.pid for member in processes.family(parent.pid)}
    assert processes.resident(parent.pid) > 1e8
    processes.kill_tree(parent.pid)
    parent.wait(10)
    wait_for(lambda: gone(child) and gone(orphan), 10)
    assert processes.family(parent.pid) == []
    assert processes.resident(parent.pid) == 0
    processes.kill_tree(parent.pid)  # twice is once
