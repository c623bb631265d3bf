"""Each made document is read once, by the child as in earnest."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from engines.knowledge.base import Extracted
from engines.knowledge.documents.extract import extract
from tests.documents_made import documents

Reading = Callable[[str], Extracted]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Reading:
    """What stands in the made document of that name."""
    folder = tmp_path_factory.mktemp("documents")
    contents = documents()

    @cache
    def read(name: str) -> Extracted:
        file = folder / name
        file.write_bytes(contents[name])
        return extract(file, name)

    return read


@pytest.fixture
def read(tmp_path: Path) -> Callable[[bytes, str], Extracted]:
    """What stands in these bytes, under this name."""

    def read(content: bytes, name: str) -> Extracted:
        file = tmp_path / "upload"
        file.write_bytes(content)
        return extract(file, name)

    return read
