"""The lesson that a module of tests is about: ``test_04_simcse.py`` is about ``04_simcse``."""

import kit
import pytest


@pytest.fixture
def stem(request) -> str:
    return request.path.stem.removeprefix("test_")


@pytest.fixture
def lesson(stem) -> dict:
    """The lesson's imports, parameters, functions and classes: :func:`kit.lesson`."""
    return kit.lesson(stem)


@pytest.fixture
def code(stem) -> list[str]:
    """The lesson's code cells, without the stubs."""
    return kit.code(stem)
