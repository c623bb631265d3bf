"""Engine and web server together: the web server is the real one, the engine the gateway with stub
engines in the place of `serve`."""

import json
import signal
import socket
import sys
import webbrowser
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from cli.companion import Companion
from cli.engine import Wish
from cli.errors import StartFailed
from cli.house import House, Start
from cli.surroundings import settings_in_force
from cli.up import _show_page, _started_web
from cli.web import web_settings_in_force, web_url
from tests.cli.conftest import Tutor
from tests.cli.test_up import SERVING, Stand, attached, stand_in
from tests.running import eventually

__all__ = ["stand_in"]

# What it has started outlives the command, which in these tests is this process.
pytestmark = pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")

LIMIT_S = 120.0
STUDENT = {"email": "student@example.com", "password": "student123"}


@pytest.fixture(autouse=True)
def ended(home: Path) -> Iterator[None]:
    yield
    House(settings_in_force()).web.stop()


def house() -> House:
    return House(settings_in_force())


def web() -> Companion:
    return house().web


def url() -> str:
    return web_url(web_settings_in_force())


def engine_seen() -> dict[str, str]:
    """The engine, as a student sees it through the web server."""
    with httpx.Client(base_url=url(), timeout=30) as http:
        login = http.post("/api/auth/login", json=STUDENT).raise_for_status().json()
        headers = {"Authorization": f"Bearer {login['access_token']}"}
        answer = http.get("/api/student/gpu/health", headers=headers).raise_for_status()
    found: dict[str, str] = answer.json()["gpu_server"]
    return found


def answers() -> bool:
    try:
        return httpx.get(f"{url()}/health", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


async def test_up_with_the_page_killed_restarted_and_down(stand_in: Stand, tutor: Tutor) -> None:
    stand_in(SERVING)
    begun = tutor("up")
    assert begun.exit_code == 0, begun.output
    assert begun.stdout.splitlines()[-1] == f"Open {url()}"
    assert "student@example.com / student123" in begun.stdout
    assert engine_seen()["status"] == "healthy", "it knows where the engine is"

    status = json.loads(tutor("status", "--json").stdout)["web"]
    assert (status["state"], status["url"], status["reason"]) == ("ready", url(), "")
    psutil.Process(status["pid"]).kill()
    await eventually(lambda: web().watch().starts == 2 and answers(), LIMIT_S)
    status = json.loads(tutor("status", "--json").stdout)["web"]
    assert status["state"] == "ready"
    assert "Started again 1 time, because of SIGKILL." in status["reason"]
    assert url() in tutor("status").stdout

    again = tutor("up")
    assert again.exit_code == 0
    assert f"The web server is already running: {url()}" in again.stdout

    assert (before := web().running()) is not None
    assert tutor("restart").exit_code == 0
    assert before.processes() == []
    assert (after := web().running()) is not None

    stopped = tutor("down")
    assert f"The web server at {url()} has stopped." in stopped.stdout
    assert after.processes() == []
    assert not answers()
    assert house().engine.files.running() is None


async def test_a_web_server_without_an_engine_is_shown_and_taken_up_again(
    stand_in: Stand, tutor: Tutor
) -> None:
    stand_in(SERVING)
    assert tutor("up").exit_code == 0
    record, kept = house().engine.files.running(), web().running()
    assert record is not None
    assert kept is not None
    psutil.Process(record.pid).kill()
    await eventually(lambda: not record.alive)
    status = tutor("status")
    assert status.exit_code == 1
    assert "No engine is running" in status.stderr
    assert url() in status.stdout
    assert json.loads(tutor("status", "--json").stdout)["web"]["state"] == "ready"

    assert tutor("up").exit_code == 0
    assert web().running() == kept, "it was left alone"
    assert tutor("down").exit_code == 0


async def test_a_web_server_whose_keeper_was_killed_is_started_anew(
    stand_in: Stand, tutor: Tutor
) -> None:
    stand_in(SERVING)
    assert tutor("up").exit_code == 0
    assert (kept := web().running()) is not None
    psutil.Process(kept.pid).kill()
    await eventually(lambda: not kept.alive)
    assert "Nobody starts it again" in tutor("status").stdout
    assert tutor("up").exit_code == 0
    assert kept.processes() == []
    assert web().running() is not None
    assert answers()


def test_a_web_server_that_cannot_start_says_why_and_the_engine_stays(
    stand_in: Stand, tutor: Tutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEB_DATABASE_URL", "postgresql://127.0.0.1:1/none")
    stand_in(SERVING)
    failed = tutor("up")
    assert failed.exit_code == 1
    assert "The web server ended while it was starting:" in failed.stderr
    assert "The database does not answer" in failed.stderr
    assert "started again in" not in failed.stderr
    assert web().record() is None
    assert house().engine.files.running() is not None
    monkeypatch.delenv("WEB_DATABASE_URL")
    assert tutor("up").exit_code == 0
    assert answers()


@pytest.mark.parametrize(
    ("name", "value"),
    [("SECRET_KEY", "short"), ("WEB_PORT", "none"), ("WEB_HOST", "192.0.2.77")],
)
def test_a_wrong_setting_is_named_and_nothing_is_started(
    name: str, value: str, stand_in: Stand, tutor: Tutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(SERVING)
    with monkeypatch.context() as wrong:
        wrong.setenv(name, value)
        result = tutor("up")
    assert result.exit_code == 2
    assert name in result.stderr
    assert "Traceback" not in result.output
    assert house().engine.files.record() is None


def test_a_taken_port_is_told_before_the_engine_starts(stand_in: Stand, tutor: Tutor) -> None:
    stand_in(SERVING)
    port = web_settings_in_force().web_port
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        result = tutor("up")
    assert result.exit_code == 1
    assert f"Port {port} is taken by" in result.stderr
    assert "WEB_PORT" in result.stderr
    assert "--no-web" in result.stderr
    assert house().engine.files.record() is None


def test_a_restart_on_a_taken_port_stops_nothing(
    stand_in: Stand, tutor: Tutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(SERVING)
    assert tutor("up").exit_code == 0
    before = house().engine.files.running(), web().running()
    with socket.socket() as other, monkeypatch.context() as moved:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        moved.setenv("WEB_PORT", str(port))
        result = tutor("restart")
    assert result.exit_code == 1
    assert f"Port {port} is taken by" in result.stderr
    assert (house().engine.files.running(), web().running()) == before
    assert None not in before
    assert answers()


def test_a_web_server_is_not_started_behind_an_engine_that_was_stopped(
    stand_in: Stand, tutor: Tutor
) -> None:
    """By a `tutor down` elsewhere, while this `tutor up` waited for it."""
    stand_in(SERVING)
    begun = tutor("up", "--no-web")
    assert begun.exit_code == 0, begun.output
    record = house().engine.files.running()
    assert record is not None
    plan = house().plan(Start(Wish(Path("serve.yaml"))))
    assert tutor("down").exit_code == 0
    with pytest.raises(StartFailed, match="stopped meanwhile"):
        _started_web(house(), plan, record)
    assert web().record() is None


def test_the_engine_alone_stays_alone(stand_in: Stand, tutor: Tutor) -> None:
    stand_in(SERVING)
    assert tutor("up", "--no-web").exit_code == 0
    assert tutor("restart").exit_code == 0
    assert web().record() is None
    assert "web" not in json.loads(tutor("status", "--json").stdout)


def test_attached_it_holds_both(stand_in: Stand) -> None:
    process = attached(stand_in(SERVING), web=True)
    assert process.stdout is not None
    lines = iter(process.stdout.readline, "")
    assert any(line.startswith("Open http://") for line in lines)
    assert answers()
    assert (kept := web().running()) is not None
    process.send_signal(signal.SIGTERM)
    rest, _ = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, rest
    assert kept.processes() == []
    assert house().engine.files.record() is None


def test_the_page_is_shown_where_somebody_sits(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr(webbrowser, "open", shown.append)
    for display, terminal in (("", True), (":0", False), (":0", True)):
        monkeypatch.setenv("DISPLAY", display)
        monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
        monkeypatch.setattr(sys.stdout, "isatty", lambda there=terminal: there)
        _show_page(f"http://{display}{terminal}")
    assert shown == ["http://:0True"]
