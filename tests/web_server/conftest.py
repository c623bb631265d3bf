"""The engine's gateway with stub engines, and a web server in front of it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from serve_app.settings import Settings
from tests.running import TLS, Running, plain, stub_engines
from tests.web_server.schools import (
    QUICK,
    People,
    Site,
    move_in,
    new_database,
    open_site,
    settings_for,
)
from web_server import passwords


@pytest.fixture(scope="session", autouse=True)
def quick_passwords() -> Iterator[None]:
    """A server reckons a password when it starts and at each login, for most of a second where the
    machine is busy. `test_main.py` has servers of its own, and holds what they really reckon."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "PasswordHasher", lambda: QUICK)
        yield


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home: Path = tmp_path_factory.mktemp("gateway")
    settings = Settings(tutor_home=home, max_sessions=100, max_sessions_per_student=100)
    with plain(settings, stub_engines()) as running:
        yield running


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Of an empty database; empty: SQLite in the server's home."""
    if request.param == "sqlite":
        return ""
    server = request.getfixturevalue("postgres")
    name = request.module.__name__.rpartition(".")[2]
    return asyncio.run(new_database(server, f"web_{name}"))


@pytest.fixture(scope="module")
def place(
    tmp_path_factory: pytest.TempPathFactory, gateway: Running, database_url: str
) -> Iterator[tuple[Site, People]]:
    end_all_sessions(gateway)
    home: Path = tmp_path_factory.mktemp("web")
    settings = settings_for(home, gateway.url, web_database_url=database_url)
    people = asyncio.run(move_in(settings))
    with open_site(settings) as site:
        yield site, people


def end_all_sessions(gateway: Running) -> None:
    """Each database counts its people from one, so that the gateway takes a student of this one for
    a student of the last one, with conversations that nobody here knows."""
    with httpx.Client(base_url=gateway.url, timeout=60, verify=TLS) as http:
        for session in http.get("/v1/sessions").raise_for_status().json():
            http.delete(f"/v1/sessions/{session['session_id']}")


@pytest.fixture
def site(place: tuple[Site, People]) -> Site:
    return place[0]


@pytest.fixture
def people(place: tuple[Site, People]) -> People:
    return place[1]
