from pathlib import Path

import httpx
import pytest

from serve_app.errors import ForeignOrigin
from serve_app.guard import check_origin
from serve_app.settings import Settings
from tests.running import plain, stub_engines

OPEN = {"management_api_host": "0.0.0.0", "engine_api_key": "k"}


@pytest.mark.parametrize(
    ("origin", "host", "settings"),
    [
        (None, "anything", {}),
        ("http://localhost:3000", "127.0.0.1:9000", {}),
        ("https://school.example", "school.example", OPEN),
        ("http://192.0.2.7:3000", "192.0.2.7:9000", OPEN),
        ("https://a.example", "b.example", {"allowed_origins": "https://a.example/"}),
        ("https://a.example", "b.example", {"allowed_origins": "*"}),
    ],
)
def test_allowed(origin: str | None, host: str, settings: dict[str, str]) -> None:
    headers = {"host": host} | ({"origin": origin} if origin else {})
    check_origin(headers, Settings.model_validate(settings))


@pytest.mark.parametrize(
    ("origin", "settings"),
    [
        ("https://evil.example", {}),
        ("null", {}),
        ("http://[", {}),
        ("http://localhost:3000", OPEN),
        ("https://a.example.evil.example", {"allowed_origins": "https://a.example"}),
    ],
)
def test_refused(origin: str, settings: dict[str, str]) -> None:
    with pytest.raises(ForeignOrigin):
        check_origin({"host": "own.example", "origin": origin}, Settings.model_validate(settings))


async def test_an_engine_without_a_key_is_called_by_known_names_only(tmp_path: Path) -> None:
    """Against DNS rebinding: a page whose name suddenly means 127.0.0.1."""
    settings = Settings(tutor_home=tmp_path, websocket_url="ws://school.example:9000")
    with plain(settings, stub_engines()) as engine:
        async with engine.http() as http:
            for host in (f"localhost:{engine.port}", "127.0.0.1", "[::1]:9000", "school.example"):
                assert (await status(http, host)) == 200
            for host in ("evil.example", f"evil.example:{engine.port}"):
                assert (await status(http, host)) == 421


async def status(http: httpx.AsyncClient, host: str) -> int:
    return (await http.get("/v1/sessions", headers={"Host": host})).status_code
