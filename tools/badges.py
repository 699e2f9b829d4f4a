"""Write the badges, the launch links and the setup cell from the one place that knows the addresses.

    python tools/badges.py [--check]

Owner, repository and tag stand in pyproject.toml, under [tool.clt]. From there they go into

- the first cell of each notebook: the line of badges below its title, which open this notebook at that tag;
- the cell tagged "setup" of each notebook: the same everywhere, it installs that tag on Colab;
- README.md: the badges between its two markers, the address to clone, and the last column of the table of lessons;
- CHANGELOG.md: the links to the releases; CITATION.cff: the address of the repository.

With --check nothing is written: the files that differ are named, and the exit code is 1.
"""

import re
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parent.parent
LINKS = re.compile(r"^(?:\[!\[|\[Open in Colab\]\().*$\n?", re.MULTILINE)  # or badges, as they once were
MARKED = re.compile(r"(?<=<!-- badges -->\n).*?(?=<!-- /badges -->)", re.DOTALL)
CLONE = re.compile(r"git clone https://\S+")
RELEASE = re.compile(r"https://github\.com/[\w.-]+/[\w.-]+(?=/(?:compare|releases)/)")
CITED = re.compile(r"^repository-code: .*$", re.MULTILINE)
ROW = re.compile(r"^(\| \[.*?\]\((notebooks/\w+\.ipynb)\) \|[^|\n]*\|)[^|\n]*\|$", re.MULTILINE)


@dataclass(frozen=True)
class Home:
    """Where the course lives, and which release its links open."""

    owner: str
    repository: str
    tag: str

    @classmethod
    def read(cls, root: Path = ROOT) -> "Home":
        return cls(**tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["clt"])

    @property
    def page(self) -> str:
        return f"https://github.com/{self.owner}/{self.repository}"

    def colab(self, path: str) -> str:
        """The address that opens a file of the repository in Colab."""
        return f"https://colab.research.google.com/github/{self.owner}/{self.repository}/blob/{self.tag}/{path}"

    def binder(self, path: str) -> str:
        """The address that opens a file of the repository in JupyterLab on Binder."""
        return f"https://mybinder.org/v2/gh/{self.owner}/{self.repository}/{self.tag}?labpath={path}"

    def archive(self) -> str:
        """The address of the release's source, which pip installs."""
        return f"{self.page}/archive/refs/tags/{self.tag}.tar.gz"

    def links(self, path: str) -> str:
        """The links that open one notebook: text, for a picture from elsewhere is broken offline."""
        return f"[Open in Colab]({self.colab(path)}) · [Launch on Binder]({self.binder(path)})"

    def launch(self, path: str) -> str:
        """The README's badges, which open one notebook, and the one that says what may be done with it."""
        return (
            "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
            f"({self.colab(path)}) [![Launch on Binder](https://mybinder.org/badge_logo.svg)]({self.binder(path)}) "
            "[![Licence](https://img.shields.io/badge/licence-Apache--2.0_and_CC_BY_4.0-blue)]"
            f"({self.page}/blob/{self.tag}/README.md#licence)"
        )

    def tests(self) -> str:
        """The badge that says whether the tests pass."""
        return f"[![Tests]({self.page}/actions/workflows/ci.yml/badge.svg)]({self.page}/actions/workflows/ci.yml)"

    def setup(self) -> str:
        """The setup cell. Without its dependencies: Colab has them, and torch stays as Colab built it."""
        return (
            "try:\n"
            "    import clt\n"
            "except ImportError:  # on Colab: the package and its data; torch and all else stay as they are\n"
            f'    %pip install -q --no-deps "clt @ {self.archive()}"\n'
            "    import clt"
        )


def notebook(path: Path, home: Home) -> str:
    """The notebook's text as it should be."""
    found = nbformat.read(path, as_version=4)
    head = found.cells[0]
    title, _, rest = LINKS.sub("", head.source, count=1).partition("\n")
    head.source = f"{title}\n\n{home.links(f'notebooks/{path.name}')}\n\n{rest.lstrip()}"
    setup = [cell for cell in found.cells if "setup" in cell.metadata.get("tags", [])]
    if len(setup) != 1:
        raise ValueError(f'{path.name}: one cell is tagged "setup", not {len(setup)}')
    setup[0].source = home.setup()
    return nbformat.writes(found) + "\n"


def readme(text: str, home: Home) -> str:
    """README.md as it should be."""
    launch = home.launch("notebooks/00_start_here.ipynb")
    text, marked = MARKED.subn(f"{launch} {home.tests()}\n", text)
    if marked != 1:
        raise ValueError("README.md: there is no one place between <!-- badges --> and <!-- /badges -->")
    text = CLONE.sub(f"git clone {home.page}", text)
    return ROW.sub(lambda row: f"{row[1]} [Colab]({home.colab(row[2])}) · [Binder]({home.binder(row[2])}) |", text)


def text(path: Path, home: Home) -> str:
    """A file that is no notebook, as it should be."""
    found = path.read_text(encoding="utf-8")
    if path.name == "README.md":
        return readme(found, home)
    return CITED.sub(f'repository-code: "{home.page}"', RELEASE.sub(home.page, found))


def differing(root: Path = ROOT, home: Home | None = None) -> dict[Path, str]:
    """The files that are not as they should be, each with its right text."""
    home = home or Home.read(root)
    wanted = {path: notebook(path, home) for path in sorted((root / "notebooks").glob("*.ipynb"))}
    wanted |= {root / name: text(root / name, home) for name in ("README.md", "CHANGELOG.md", "CITATION.cff")}
    return {path: right for path, right in wanted.items() if path.read_text(encoding="utf-8") != right}


if __name__ == "__main__":
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit(__doc__)
    checking, found = "--check" in sys.argv, differing()
    for path, right in found.items():
        if not checking:
            path.write_text(right, encoding="utf-8", newline="\n")
        print(f"{path.relative_to(ROOT)}: {'make badges would change it' if checking else 'written'}")
    sys.exit(bool(checking and found))
