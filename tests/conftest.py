"""Fixtures that several packages of tests share."""

import os
from collections.abc import Iterator

import pytest

from tests.postgres import running_postgres
from tests.running import RAY_ALONE

os.environ.update(RAY_ALONE)  # before Ray is imported anywhere


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    with running_postgres() as url:
        yield url
