"""Fixtures that several packages of tests share."""

import os
from collections.abc import Iterator

import pytest

from tests.postgres import running_postgres

# Decided for every test, before Ray is imported anywhere: no login, no other cluster, no reports.
os.environ.update(RAY_AUTH_MODE="disabled", RAY_ADDRESS="local", RAY_USAGE_STATS_ENABLED="0")


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    with running_postgres() as url:
        yield url
