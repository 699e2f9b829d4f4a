"""The course works with the network off, and the tool that shows it does cut the network."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from loading import BIN, recipe

ROOT = Path(__file__).resolve().parent.parent
OFFLINE = ROOT / "tools" / "offline.py"
GUARD = ROOT / "tools" / "no_network"
# 192.0.2.1 is nobody's address (RFC 5737), example.org nobody's machine: a test that fails bothers no one.
PROBE = """
import socket
for reach in (lambda: socket.create_connection(("192.0.2.1", 80), timeout=5),
              lambda: socket.create_connection(("2001:db8::1", 80), timeout=5),
              lambda: socket.getaddrinfo("example.org", 80)):
    try:
        reach()
    except TimeoutError:
        raise SystemExit("the packets left this machine")
    except OSError:
        continue
    raise SystemExit("reached")
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(server.getsockname()).close()
socket.create_connection(("localhost", server.getsockname()[1])).close()
print("cut")
"""
# What every lesson begins with, in a kernel as Jupyter starts it: texts, encoder, an exercise's check, a figure.
LESSON = """
import nbformat, sys
from nbclient import NotebookClient
cells = [
    "import clt\\nfrom clt import data, plots\\nfrom clt.encoders import SentenceEncoder\\nplots.use_style()",
    "own = [name for name, entry in data.CATALOGUE.items() if entry.embedded]\\n"
    "assert data.verify() == [] and own and all(len(rows) for name in own for rows in data.load(name).values())",
    "x = SentenceEncoder.load('clt-mini').encode(['A cat.', 'A dog.'])\\nassert x.shape == (2, 256)",
    "plots.heat_map(x @ x.T, ['cat', 'dog'])",
]
notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
print("ran")
"""


def python(script: str, *prefix: str, **variables: str) -> subprocess.CompletedProcess:
    """Run a script without the variable that keeps the hub's library off the network by itself."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "CLT_"))}
    command = [*prefix, sys.executable, "-c", script]
    return subprocess.run(command, env=environment | variables, cwd=ROOT, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("way", ["namespace or guard", "guard"])
def test_the_network_is_cut_and_this_machine_is_not(way):
    if way == "guard":
        run = python(PROBE, PYTHONPATH=str(GUARD))
    else:
        run = python(PROBE, sys.executable, str(OFFLINE))
    assert run.stdout.strip() == "cut", run.stdout + run.stderr


def test_it_says_how_and_passes_the_exit_code_on():
    run = python("raise SystemExit(7)", sys.executable, str(OFFLINE))
    assert run.returncode == 7
    assert run.stderr.startswith("offline: ")


@pytest.mark.slow
def test_a_lesson_begins_without_a_network():
    run = python(LESSON, sys.executable, str(OFFLINE))
    assert run.stdout.strip() == "ran", run.stdout + run.stderr


def test_ci_runs_every_lesson_without_a_network():
    """``make test-variants`` is every lesson from top to bottom; in CI it runs with the network cut."""
    stages = [line.split("#")[0].split() for line in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()]
    [variants] = [words for words in stages if words[:2] == ["stage", "test-variants"]]
    assert variants[2:] == ["env", "-u", "CLT_DATA", ".venv/bin/python", "tools/offline.py"]
    lessons = {word for line in recipe("test-variants") for word in line.split() if word.endswith(".ipynb")}
    assert lessons == {f"notebooks/{path.name}" for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert recipe("offline") == [f"{BIN}/python tools/offline.py {BIN}/clt run"]
