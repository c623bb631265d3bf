"""The tunnel, with a stand-in for `frpc` that says what it was given."""

import json
import os
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.errors import CommandError
from cli.house import House
from cli.surroundings import settings_in_force
from cli.tunnel import API_PORT, CONFIG, SOCKET_PORT, socket_hint, tunnel_program
from foundation.settings import SettingsError
from tests.cli.conftest import Tutor
from tests.cli.test_up import SERVING, Stand, stand_in
from tests.running import eventually

__all__ = ["stand_in"]

# What it has started outlives the command, which in these tests is this process.
pytestmark = pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")

FRPC = """
import json, os, sys, time
from pathlib import Path
told = {name: value for name, value in os.environ.items() if name.startswith("FRP_")}
Path(__file__).with_name("told.json").write_text(json.dumps([sys.argv[1:], told]))
time.sleep(600)
"""
TOKEN = "a token that nobody may see"


@pytest.fixture
def frpc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Installed, and with all the settings it needs."""
    program = tmp_path / "bin" / "frpc"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\n{FRPC}")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FRP_SERVER_ADDR", "relay.example.org")
    monkeypatch.setenv("FRP_TOKEN", TOKEN)
    monkeypatch.setenv("ENGINE_API_KEY", "key")
    yield program
    House(settings_in_force()).tunnel.stop()


def house() -> House:
    return House(settings_in_force())


async def test_it_opens_with_the_engine_and_closes_with_it(
    frpc: Path, stand_in: Stand, tutor: Tutor
) -> None:
    stand_in(SERVING)
    begun = tutor("up", "--no-web", "--tunnel")
    assert begun.exit_code == 0, begun.output
    assert f"http://relay.example.org:{API_PORT}" in begun.stdout
    assert f"WEBSOCKET_URL=ws://relay.example.org:{SOCKET_PORT}" in begun.stdout
    assert TOKEN not in begun.output

    told = frpc.with_name("told.json")
    await eventually(told.exists, 30)
    await eventually(lambda: told.read_text().endswith("]"), 30)
    arguments, environment = json.loads(told.read_text())
    assert arguments == ["-c", str(CONFIG)]
    assert environment["FRP_LOCAL_PORT"] == str(settings_in_force().management_api_port)
    assert environment["FRP_TOKEN"] == TOKEN

    kept = house().tunnel.running()
    assert kept is not None
    assert "open already" in tutor("up", "--no-web", "--tunnel").stdout
    assert house().tunnel.running() == kept, "one and no more"
    assert [one.name() for one in kept.processes()].count("frpc") == 1
    status = json.loads(tutor("status", "--json").stdout)
    assert status["tunnel"]["state"] == "ready"
    assert TOKEN not in json.dumps(status)

    ended = tutor("down")
    assert "The tunnel at" in ended.stdout
    assert kept.processes() == []
    assert house().tunnel.record() is None


def test_without_frpc_nothing_is_started(
    tutor: Tutor, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    result = tutor("up", "--tunnel")
    assert result.exit_code == 1
    assert "frpc, which is not installed" in result.stderr
    assert "PATH" in result.stderr
    assert not (home / "run").exists()


def test_an_engine_without_a_key_is_not_let_out(
    frpc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ENGINE_API_KEY")
    with pytest.raises(CommandError, match="ENGINE_API_KEY"):
        tunnel_program(settings_in_force())


@pytest.mark.parametrize("name", ["FRP_SERVER_ADDR", "FRP_TOKEN"])
def test_what_it_needs_is_named(frpc: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(name)
    with pytest.raises(SettingsError, match=name):
        tunnel_program(settings_in_force())


@pytest.mark.parametrize("token", ['a"b', "a\\b", "a\nb"])
def test_a_token_that_would_break_the_file_is_refused(
    frpc: Path, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRP_TOKEN", token)
    with pytest.raises(SettingsError, match="FRP_TOKEN") as told:
        tunnel_program(settings_in_force())
    assert token not in str(told.value)


def test_no_hint_when_clients_are_told_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBSOCKET_URL", "wss://relay.example.org")
    assert socket_hint(settings_in_force(), "http://relay.example.org:19000") == ""


def test_the_file_carries_both_ports_of_the_documents_to_the_engine(frpc: Path) -> None:
    given = tunnel_program(settings_in_force()).environment
    text = re.sub(r"\{\{ \.Envs\.(\w+) \}\}", lambda found: given[found[1]], CONFIG.read_text())
    assert "{{" not in text
    config = tomllib.loads(text)
    assert (config["serverAddr"], config["serverPort"]) == ("relay.example.org", 7000)
    assert config["auth"] == {"method": "token", "token": TOKEN}
    assert config["loginFailExit"] is False
    ports = {proxy["remotePort"]: proxy["localPort"] for proxy in config["proxies"]}
    engine_port = settings_in_force().management_api_port
    assert ports == {API_PORT: engine_port, SOCKET_PORT: engine_port}
    assert {proxy["type"] for proxy in config["proxies"]} == {"tcp"}
    assert len({proxy["name"] for proxy in config["proxies"]}) == 2
