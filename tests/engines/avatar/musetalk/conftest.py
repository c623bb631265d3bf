"""A MuseTalk of made-up weights, written once and never changed by a test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from engines.avatar.musetalk.model import MuseTalkModel, MuseTalkOptions
from tests.plain_musetalk import PlainMuseTalk
from tests.tiny_musetalk import make_tiny_musetalk


@pytest.fixture(scope="session")
def musetalk_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_musetalk(tmp_path_factory.mktemp("musetalk"), versions=("v1", "v1.5"))


@pytest.fixture(scope="session")
def plain(musetalk_folder: Path) -> PlainMuseTalk:
    return PlainMuseTalk(musetalk_folder)


@pytest.fixture(scope="session")
def model(musetalk_folder: Path) -> Iterator[MuseTalkModel]:
    """All rows of a face, so that they can be compared."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so small a network gains nothing by more
    loaded = MuseTalkModel.load(musetalk_folder, MuseTalkOptions(device="cpu", first_row=0))
    yield loaded
    loaded.close()
    torch.set_num_threads(threads)
