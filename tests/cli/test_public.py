from pathlib import Path
from typing import Any

import pytest

from cli.errors import WrongUsage
from cli.public import PublicAddress, demand_public, is_here_only, tell_public
from foundation.settings import SettingsError
from serve_app.settings import Settings
from tests.cli.conftest import Tutor
from web_server.settings import WebSettings

ADDRESS = PublicAddress("tutor.example.org")


def settings(home: Path, **given: Any) -> Settings:
    fine: dict[str, Any] = {
        "tutor_home": home,
        "websocket_url": "wss://tutor.example.org",
        "engine_api_key": "k",
    }
    return Settings(**(fine | given))


def web(home: Path, *, demo: bool = False) -> WebSettings:
    return WebSettings(tutor_home=home, demo_accounts=demo)


@pytest.mark.parametrize(
    ("given", "page"),
    [
        ("tutor.example.org", "https://tutor.example.org"),
        ("https://tutor.example.org/", "https://tutor.example.org"),
        ("tutor.example.org:8443", "https://tutor.example.org:8443"),
        ("192.0.2.7", "https://192.0.2.7"),
        ("[2001:db8::7]:8443", "https://[2001:db8::7]:8443"),
    ],
)
def test_a_host_is_read_however_it_is_written(given: str, page: str) -> None:
    address = PublicAddress.of(given)
    assert address.page == page
    assert address.socket == page.replace("https", "wss")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("localhost", "this machine only"),
        ("127.0.0.1:8000", "this machine only"),
        ("[::1]", "this machine only"),
        ("0.0.0.0", "this machine only"),
        ("school.localhost", "this machine only"),
        ("http://tutor.example.org", "not https"),
        ("tutor.example.org/page", "no host"),
        ("a host", "no host"),
        ("tutor.example.org:port", "no host"),
        ("", "no host"),
    ],
)
def test_what_no_browser_elsewhere_could_use_is_refused(given: str, says: str) -> None:
    with pytest.raises(WrongUsage, match=says):
        PublicAddress.of(given)


def test_names_of_this_machine() -> None:
    assert not is_here_only("192.168.0.9"), "a school's own network is elsewhere"
    assert is_here_only("127.1.2.3")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "WEBSOCKET_URL is not set"),
        ("ws://127.0.0.1:9000", "this machine only"),
        ("wss://localhost", "this machine only"),
        ("ws://0.0.0.0:9000", "this machine only"),
        ("ws://tutor.example.org", "may only connect to wss"),
    ],
)
def test_a_socket_that_browsers_cannot_reach_is_told(tmp_path: Path, url: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says) as told:
        demand_public(ADDRESS, settings(tmp_path, websocket_url=url), web(tmp_path))
    assert "Set WEBSOCKET_URL=wss://tutor.example.org." in str(told.value)


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    bare = settings(tmp_path, websocket_url="", engine_api_key=None)
    with pytest.raises(SettingsError) as told:
        demand_public(ADDRESS, bare, web(tmp_path, demo=True))
    lines = str(told.value).splitlines()
    assert len(lines) == 3
    for line, name in zip(lines, ("WEBSOCKET_URL", "DEMO_ACCOUNTS", "ENGINE_API_KEY"), strict=True):
        assert name in line
    demand_public(ADDRESS, settings(tmp_path), web(tmp_path))


def test_the_addresses_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tell_public(ADDRESS, settings(tmp_path, webrtc_udp_ports="50000-50199"))
    said = capsys.readouterr().out
    assert "https://tutor.example.org\n" in said
    assert "wss://tutor.example.org/api/ws/proxy/" in said
    assert "wss://tutor.example.org/ws/" in said
    assert "50000 to 50199" in said
    assert "ALLOWED_ORIGINS" not in said

    tell_public(ADDRESS, settings(tmp_path, websocket_url="wss://engine.example.org/ws"))
    said = capsys.readouterr().out
    assert "wss://engine.example.org/ws/" in said
    assert "WEBRTC_UDP_PORTS" in said
    assert "ALLOWED_ORIGINS=https://tutor.example.org" in said


def test_the_command_refuses_before_anything_starts(tutor: Tutor, home: Path) -> None:
    result = tutor("up", "--public", "tutor.example.org")
    assert result.exit_code == 2
    for name in ("WEBSOCKET_URL", "DEMO_ACCOUNTS", "ENGINE_API_KEY"):
        assert name in result.stderr
    assert "Traceback" not in result.output
    assert not (home / "run").exists()
    assert tutor("up", "--public", "tutor.example.org", "--no-web").exit_code == 2
