"""``clt doctor``: sound here, and each thing that can be wrong is found, named and answered with what to do."""

import os
import shutil
import socket
import subprocess
import sys
from email.message import Message
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import metadata
from threading import Thread

import pytest
import torch
from click.testing import CliRunner

from clt import data
from clt.command import doctor as examination
from clt.command.cli import main


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in (
        "CLT_DATA",
        "HF_HUB_OFFLINE",
        "HF_DATASETS_OFFLINE",
        "TRANSFORMERS_OFFLINE",
        "HF_ENDPOINT",
        "JUPYTER_PATH",
        "http_proxy",
        "HTTP_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)


def diagnosis(check) -> list[tuple[str, str]]:
    return [(finding.level, finding.what) for finding in check()]


def doctor(*arguments) -> tuple[int, str]:
    """Exit code, and the output with its line breaks undone."""
    result = CliRunner().invoke(main, ["doctor", *arguments])
    return result.exit_code, " ".join(result.output.split())


def test_without_online_no_connection_is_opened(monkeypatch):
    def refuse(*arguments):
        raise AssertionError("the doctor went online")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(data, "verify", list)  # a checkout in which a text is being edited is no fault of the doctor
    code, said = doctor()
    assert code == 0
    assert "broken" not in said
    for subject in ("Python 3.", "packages: all", "device:", "memory:", "threads:", "Jupyter kernel:", "public data"):
        assert f"ok {subject}" in said or f"warning {subject}" in said
    assert "went online" not in said
    assert "The course runs here" in said


def test_a_wrong_python_is_broken(monkeypatch):
    about = Message()
    about["Requires-Python"] = ">=3.99"
    monkeypatch.setattr(metadata, "metadata", lambda name: about)
    [(level, what)] = diagnosis(examination.check_python)
    assert level == "broken"
    assert what.endswith("and the course needs >=3.99.")


def test_violated_bounds_and_missing_packages_are_broken(monkeypatch):
    needed = ["torch>=99", "no-such-package>=1", "click>=1", "sphinx>=99; extra == 'site'", "click>=99; os_name == 'x'"]
    monkeypatch.setattr(metadata, "requires", lambda name: needed)
    torch_version = metadata.version("torch")
    assert diagnosis(examination.check_packages) == [
        ("broken", f"torch is {torch_version}, and the course needs torch>=99."),
        ("broken", "no-such-package is missing, and the course needs no-such-package>=1."),
    ]
    code, said = doctor()
    assert code == 1
    assert "✗ broken torch is" in said
    assert "make setup" in said


def test_on_colab_what_runs_notebooks_is_colabs_own(monkeypatch):
    """There the setup cell installs this package alone; what a lesson imports has to be there all the same."""
    monkeypatch.setattr(metadata, "requires", lambda name: ["papermill>=99", "ipywidgets>=99", "torch>=99"])
    assert len(diagnosis(examination.check_packages)) == 3
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release-colab_20260101")
    assert [what.split()[0] for _, what in diagnosis(examination.check_packages)] == ["torch"]
    assert diagnosis(examination.check_kernel) == [("ok", "Jupyter kernel: Colab's own")]


@pytest.fixture
def copied_data(tmp_path, monkeypatch):
    """The course's data in a folder of its own, with checksums that hold."""
    folder = tmp_path / "data"
    shutil.copytree(data.data_dir(), folder)
    monkeypatch.setattr(data, "data_dir", lambda: folder)
    data.write_checksums()
    return folder


def test_a_corrupt_data_file_is_broken(copied_data):
    assert diagnosis(examination.check_data) == [
        ("ok", "the course's data: every file is as it was published (SHA-256)")
    ]
    victim = next(path for path in sorted(copied_data.rglob("*.csv")))
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(content)
    [(level, what)] = diagnosis(examination.check_data)
    assert level == "broken"
    assert victim.relative_to(copied_data).as_posix() in what
    victim.unlink()
    assert "missing" in diagnosis(examination.check_data)[0][1]
    code, said = doctor()
    assert code == 1
    assert "git checkout -- data" in said


def test_a_check_that_fails_itself_is_a_finding(monkeypatch):
    monkeypatch.setattr(data, "verify", lambda: 1 / 0)
    code, said = doctor()
    assert code == 1
    assert "the course's data: could not be looked at (ZeroDivisionError" in said
    assert "public data" in said  # and what comes after it is still looked at


def test_the_doctor_comes_when_packages_are_missing():
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['psutil', 'torch', 'packaging', 'jupyter_client', 'yaml']))\n"
        "from clt.command.cli import main; main(['doctor'])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", env=utf8())
    assert result.returncode == 1
    assert result.stderr == ""
    assert "Jupyter kernel: Jupyter is not complete" in " ".join(result.stdout.split())
    assert result.stdout.count("✗ broken") >= 5


def utf8() -> dict:
    return {**os.environ, "PYTHONIOENCODING": "utf-8"}


def test_signs_have_a_plain_form_where_the_console_lacks_them():
    code = (
        "import sys; from clt.command.screen import marked\nprint(*map(marked, ['ok', 'warning', 'broken', 'not run']))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env={**utf8(), "PYTHONIOENCODING": "ascii"}
    )
    assert result.stdout.decode().strip() == "+ ok ! warning x broken - not run"


def test_kernels_that_are_missing_or_of_another_python_are_broken(tmp_path, monkeypatch):
    from jupyter_client.kernelspec import NoSuchKernel
    from jupyter_client.manager import KernelManager

    assert examination.kernel_problem() is None
    other = tmp_path / "bin" / "python3"
    other.parent.mkdir()
    shutil.copy(sys.executable, other)
    for command in (str(other), "no-such-python"):
        monkeypatch.setattr(KernelManager, "format_kernel_cmd", lambda self, command=command: [command])
        finding = examination.kernel_problem()
        assert finding.level == "broken"
        assert "python3 is another Python" in finding.what
        assert "ipykernel install" in finding.do

    def none(self):
        raise NoSuchKernel("python3")

    monkeypatch.setattr(KernelManager, "format_kernel_cmd", none)
    assert examination.kernel_problem().what == "Jupyter kernel: there is none named python3."


@pytest.mark.parametrize("content", [b'{"argv": ["python', b"", b"\x80\x04", b"[]", b'{"argv": []}', b'{"argv": 3}'])
def test_a_damaged_kernel_is_broken_and_answered(tmp_path, monkeypatch, content):
    """A kernel.json that is cut off, empty, binary, or about something else."""
    spec = tmp_path / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_bytes(content)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    [finding] = examination.check_kernel()
    assert finding.level == "broken"
    assert finding.what.startswith("Jupyter kernel: the kernel.json of python3 cannot be used (")
    assert "ipykernel install --sys-prefix" in finding.do


def test_more_threads_than_cores_is_a_warning(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(examination, "usable_cores", lambda: 2)
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    [finding] = examination.check_threads()
    assert finding.level == "warning"
    assert finding.what == "threads: PyTorch uses 8, and 2 cores may be used; OMP_NUM_THREADS is 8"
    assert "OMP_NUM_THREADS=2" in finding.do


def test_little_memory_is_a_warning(monkeypatch):
    monkeypatch.setattr(examination, "NEEDED_MEMORY", 1e18)
    [finding] = examination.check_memory()
    assert finding.level == "warning"
    assert "--jobs" in finding.do


def test_the_device_is_named(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert diagnosis(examination.check_device)[0][1].startswith("device: CPU")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert diagnosis(examination.check_device)[0][1].startswith("device: MPS")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: (3e9, 8e9))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "Card")
    assert diagnosis(examination.check_device) == [("ok", "device: CUDA, Card, 3.0 GB free of 8.0 GB")]


def test_where_public_data_come_from(tmp_path, monkeypatch):
    monkeypatch.setattr(
        data,
        "public_status",
        lambda: [("A", "in CLT_DATA"), ("B", "on the hub as x/b"), ("C", "only from its authors")],
    )
    assert diagnosis(examination.check_public) == [
        ("ok", "public data in CLT_DATA: A"),
        ("ok", "public data from the Hugging Face hub, when a reader asks for it: B"),
        ("ok", "public data, C: only from its authors"),
    ]
    monkeypatch.setenv("CLT_DATA", str(tmp_path / "nowhere"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert [level for level, _ in diagnosis(examination.check_public)] == ["warning", "ok", "warning", "ok"]
    assert diagnosis(examination.check_public)[2] == ("warning", "public data out of reach, HF_HUB_OFFLINE is set: B.")


@pytest.mark.parametrize("name", ["HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_each_variable_that_cuts_the_hub_off_is_named(name, monkeypatch):
    """The hub's library, datasets and transformers have one each, and the set cannot be fetched under any of them."""
    monkeypatch.setattr(data, "public_status", lambda: [("B", "on the hub as x/b")])
    for value in ("0", "", "no"):
        monkeypatch.setenv(name, value)
        assert [finding.level for finding in examination.check_public()] == ["ok"], value
    for value in ("1", "true", "YES", "on"):
        monkeypatch.setenv(name, value)
        [finding] = examination.check_public()
        assert finding.what == f"public data out of reach, {name} is set: B."
        assert f"unset {name}," in finding.do
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("TRANSFORMERS_OFFLINE", "1")
    assert "HF_HUB_OFFLINE and " in next(examination.check_public()).what


def test_the_real_catalogue_is_understood():
    named = " ".join(what for _, what in diagnosis(examination.check_public))
    assert all(name in named for name, _ in data.public_status())


class Hub(BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments):
        pass


def test_online_asks_the_hub(monkeypatch):
    with HTTPServer(("127.0.0.1", 0), Hub) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        assert diagnosis(examination.check_hub) == [("ok", "Hugging Face hub: it answers")]
        server.shutdown()
    [finding] = examination.check_hub()  # nobody listens there any more
    assert finding.level == "warning"
    assert finding.what.startswith("Hugging Face hub: no answer")
    assert "CLT_DATA" in finding.do
