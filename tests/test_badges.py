"""Badges, launch links and setup cells: one place says the address, and every file says the same."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
import yaml
from loading import load_tool

ROOT = Path(__file__).resolve().parent.parent
badges = load_tool("badges")
HOME = badges.Home.read()
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
OTHERS = ["README.md", "CHANGELOG.md", "CITATION.cff"]
ELSEWHERE = badges.Home("someone", "a-fork", "v9.8.7")


def lesson(folder: Path, head: str, *tags: str) -> Path:
    """A notebook with a head and one code cell."""
    cells = [nbformat.v4.new_markdown_cell(head), nbformat.v4.new_code_cell("old", metadata={"tags": list(tags)})]
    path = folder / "08_new.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def test_every_file_says_what_the_one_place_says():
    assert [path.name for path in badges.differing()] == [], "run make badges"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_badge_opens_its_own_file_at_the_tag(path):
    head = "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"])
    opened = re.findall(r"\]\((https://(?:colab|mybinder)[^)]*)\)", head)
    place = f"{HOME.owner}/{HOME.repository}"
    assert opened == [
        f"https://colab.research.google.com/github/{place}/blob/{HOME.tag}/notebooks/{path.name}",
        f"https://mybinder.org/v2/gh/{place}/{HOME.tag}?labpath=notebooks/{path.name}",
    ]


def test_the_tag_is_the_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert HOME.tag == f"v{version}"
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["version"] == version
    newest = re.search(r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest[1] == version


def test_no_other_owner_repository_or_tag_is_linked():
    """A link that was typed by hand, and forgotten when the course moved."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *NOTEBOOKS])
    assert set(re.findall(r"colab\.research\.google\.com/github/([\w.-]+/[\w.-]+)/blob/([\w.-]+)/", text)) == {
        (f"{HOME.owner}/{HOME.repository}", HOME.tag)
    }
    assert set(re.findall(r"mybinder\.org/v2/gh/([\w.-]+/[\w.-]+)/([\w.-]+)\?", text)) == {
        (f"{HOME.owner}/{HOME.repository}", HOME.tag)
    }


def test_the_readme_opens_every_lesson():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for path in NOTEBOOKS:
        assert HOME.colab(f"notebooks/{path.name}") in text
        assert HOME.binder(f"notebooks/{path.name}") in text


def test_the_setup_cell_leaves_torch_alone():
    lines = HOME.setup().splitlines()
    assert len(lines) <= 6
    assert lines[-1].strip() == "import clt", "an install that failed must not pass"
    (install,) = (line for line in lines if "%pip" in line)
    assert "--no-deps" in install, "pip would take it upon itself to change what Colab has"
    assert f"/{HOME.tag}.tar.gz" in install


def test_a_move_reaches_every_file_and_is_done_in_one_step(tmp_path):
    (tmp_path / "notebooks").mkdir()
    for path in NOTEBOOKS:
        (tmp_path / "notebooks" / path.name).write_bytes(path.read_bytes())
    for name in OTHERS:
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    found = badges.differing(tmp_path, ELSEWHERE)
    assert {path.name for path in found} == {*OTHERS, *(path.name for path in NOTEBOOKS)}
    for path, text in found.items():
        assert f"{HOME.owner}/{HOME.repository}" not in text, path.name
        path.write_text(text, encoding="utf-8", newline="\n")
    assert badges.differing(tmp_path, ELSEWHERE) == {}
    for path in NOTEBOOKS:  # and it is only the head and the setup cell that changed
        before, after = (nbformat.read(folder / "notebooks" / path.name, 4).cells for folder in (ROOT, tmp_path))
        changed = [i for i, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
        assert len(changed) == 2
        assert changed[0] == 0


def test_a_new_notebook_gets_its_badges_and_setup(tmp_path):
    path = lesson(tmp_path, "# 08 · New\n\n**A promise.**", "setup")
    cells = nbformat.reads(badges.notebook(path, ELSEWHERE), 4).cells
    title, empty, line, *rest = cells[0].source.splitlines()
    assert (title, empty, rest) == ("# 08 · New", "", ["", "**A promise.**"])
    assert ELSEWHERE.colab("notebooks/08_new.ipynb") in line
    assert cells[1].source == ELSEWHERE.setup()


def test_a_notebook_without_a_setup_cell_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"08_new\.ipynb.*setup"):
        badges.notebook(lesson(tmp_path, "# 08 · New"), ELSEWHERE)


def test_a_readme_without_the_markers_is_refused():
    with pytest.raises(ValueError, match="badges"):
        badges.readme("# clt", ELSEWHERE)


def test_check_writes_nothing():
    before = {path: path.read_bytes() for path in [*(ROOT / name for name in OTHERS), *NOTEBOOKS]}
    run = subprocess.run([sys.executable, ROOT / "tools" / "badges.py", "--check"], capture_output=True, text=True)
    assert run.returncode == (1 if badges.differing() else 0), run.stderr
    assert {path: path.read_bytes() for path in before} == before
