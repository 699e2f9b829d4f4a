"""The wheel is the whole course for someone who installs it: the package with its texts and its encoder."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = """
import clt, pathlib
from clt import data
from clt.encoders import SentenceEncoder
assert pathlib.Path(clt.__file__).is_relative_to(pathlib.Path("{site}")), clt.__file__
assert data.data_dir() == pathlib.Path("{site}") / "clt" / "_data"
assert data.verify() == [], data.verify()
print(len(data.load("sts", "test")), SentenceEncoder.load("clt-mini").encode(["A cat."]).shape[1])
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy, so that the checkout stays clean."""
    folder = tmp_path_factory.mktemp("wheel")
    tracked = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode:
        pytest.skip("a wheel is built from a git checkout")
    for name in tracked.stdout.splitlines():
        if (ROOT / name).is_file():
            (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "source" / name).write_bytes((ROOT / name).read_bytes())
    options = ["-q", "--no-deps", "--no-build-isolation", "--wheel-dir", "dist"]
    command = [sys.executable, "-m", "pip", "wheel", *options, "./source"]
    subprocess.run(command, cwd=folder, check=True)
    (built,) = (folder / "dist").glob("clt-*.whl")
    return built


def test_it_carries_every_file_of_data(wheel):
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("clt/_data/")}
    assert inside == {f"clt/_data/{path.relative_to(ROOT / 'data').as_posix()}"
                      for path in (ROOT / "data").rglob("*") if path.is_file()}  # fmt: skip
    assert wheel.stat().st_size < 40e6


def test_it_carries_the_package_and_nothing_else(wheel):
    names = [name for name in zipfile.ZipFile(wheel).namelist() if not name.startswith("clt/_data/")]
    own = {f"clt/{path.relative_to(ROOT / 'clt').as_posix()}" for path in (ROOT / "clt").rglob("*.py")}
    own |= {f"clt/{path.relative_to(ROOT / 'clt').as_posix()}" for path in (ROOT / "clt").rglob("*.yaml")}
    assert own <= set(names)
    assert {name.split("/")[0] for name in names} == {"clt", next(n for n in names if "dist-info" in n).split("/")[0]}


@pytest.mark.slow
def test_it_works_from_another_folder(wheel, tmp_path):
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    environment = {k: v for k, v in os.environ.items() if k != "CLT_DATA"} | {"PYTHONPATH": str(site)}
    command = [sys.executable, "-c", SCRIPT.format(site=site)]
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == ["1000", "256"]
