"""All settings are in pyproject.toml. This file only puts the course's data into the wheel, as ``clt/_data``."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class WithData(build_py):
    """A checkout reads ``data/`` where it stands; an installed package carries a copy."""

    def run(self):
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib, "clt", "_data")
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(Path(__file__).parent / "data", target)


setup(cmdclass={"build_py": WithData})
