"""Every test of the contract runs against the gateway alone (stub engines, no Ray), and against the
whole graph under Ray Serve in its default and in its throughput mode."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from serve_app.settings import Settings
from tests.running import THROUGHPUT, Running, free_port, graph, plain, serving, stub_engines

PLENTY = {"MAX_SESSIONS": "200", "MAX_SESSIONS_PER_STUDENT": "50"}


@pytest.fixture(
    scope="session",
    params=[
        "plain",
        pytest.param("default", marks=pytest.mark.cluster),
        pytest.param("throughput", marks=pytest.mark.cluster),
    ],
)
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    home: Path = tmp_path_factory.mktemp(request.param)
    if request.param == "plain":
        settings = Settings(tutor_home=home, max_sessions=200, max_sessions_per_student=50)
        with plain(settings, stub_engines()) as running:
            yield running
        return
    environ = {**PLENTY, **(THROUGHPUT if request.param == "throughput" else {})}
    with serving(home, graph(free_port()), environ) as running:
        yield running
