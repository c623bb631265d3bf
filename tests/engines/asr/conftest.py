"""A tiny Whisper for the tests of how models are found and opened."""

from pathlib import Path

import pytest

from tests.tiny_whisper import make_tiny_whisper


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_whisper(tmp_path_factory.mktemp("whisper"))


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """The model once more, to be damaged."""
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path
