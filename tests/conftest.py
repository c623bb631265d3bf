"""Fixtures that several packages of tests share."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.environment import THROUGHPUT
from serve_app.settings import Settings
from tests.postgres import running_postgres
from tests.running import (
    MAX_SESSIONS,
    RAY_ALONE,
    Running,
    free_port,
    graph,
    plain,
    serving,
    stub_engines,
    two_gateways,
    two_gateways_with_short_answers,
)

os.environ.update(RAY_ALONE)  # before Ray is imported anywhere
# A shell starts its `&` jobs with Ctrl-C ignored, and so what they start; some tests are about it.
signal.signal(signal.SIGINT, signal.default_int_handler)

MODES = ("plain", "default", "throughput")


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    with running_postgres() as url:
        yield url


@pytest.fixture(scope="session", params=MODES)
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """The gateway alone with stub engines and without Ray (`plain`), and the whole graph with its
    embedded engines and two gateways under `serve run`, in Serve's two modes."""
    home: Path = tmp_path_factory.mktemp(request.param)
    if request.param == "plain":
        settings = Settings(tutor_home=home, max_sessions=MAX_SESSIONS)
        with plain(settings, stub_engines()) as running:
            yield running
        return
    # A loaded machine may need longer than usual to replace what a test kills.
    environ = {"MAX_SESSIONS": str(MAX_SESSIONS), "BACKEND_WAIT_SECONDS": "60"}
    change = two_gateways
    if request.param == "throughput":
        environ, change = environ | THROUGHPUT, two_gateways_with_short_answers
    with serving(home, graph(free_port(), change), environ) as running:
        yield running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of one running engine stand together, so that each is started once; whatever needs
    Ray is marked, so that it can be left out."""

    def mode(item: pytest.Item) -> str:
        callspec = getattr(item, "callspec", None)
        return str(callspec.params.get("engine", "")) if callspec else ""

    for item in items:
        if mode(item) in ("default", "throughput"):
            item.add_marker(pytest.mark.cluster)
    order = {name: index for index, name in enumerate(MODES)}
    items.sort(key=lambda item: order.get(mode(item), -1))
