"""Starting and stopping, with a stand-in for `serve` that needs no Ray: what it does is told by the
test, and all the rest (settings, ports, PID file, waiting, signals) is real."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from cli import engine as engine_module
from cli import log
from cli.engine import Engine
from cli.record import Record
from cli.surroundings import settings_in_force
from tests.cli.conftest import Tutor
from tests.running import PROJECT

# An engine outlives the command that starts it; in these tests that is this process.
pytestmark = pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")

READY_LIMIT_S = 60.0

SERVING = """
import os, signal, sys, time, yaml
from pathlib import Path
from serve_app.settings import Settings
from tests import running
graph = yaml.safe_load(open(sys.argv[2]))
running.free_port = lambda: graph["http_options"]["port"]
with running.plain(Settings(tutor_home=Path(os.environ["TUTOR_HOME"])), running.stub_engines()):
    print("serving", flush=True)
    time.sleep(600)
"""
FAILING = """
print("INFO all is well")
raise SystemExit("RuntimeError: the graph is upside down")
"""
HANGING = "import time; print('RuntimeError: no end of it', flush=True); time.sleep(600)"

Stand = Callable[[str], Path]


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    """Puts a script in the place of `serve`, and ends it afterwards."""
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    script = tmp_path / "serve"

    def write(content: str) -> Path:
        script.write_text(f"#!{sys.executable}\n{content}")
        script.chmod(0o755)
        monkeypatch.setattr(engine_module, "_serve_script", lambda: script)
        return script

    yield write
    engine().stop()


def engine() -> Engine:
    return Engine(settings_in_force())


def running() -> Record | None:
    return engine().files.running()


def test_up_status_up_again_and_down(stand_in: Stand, tutor: Tutor) -> None:
    stand_in(SERVING)
    begun = tutor("up", "--no-web")
    assert begun.exit_code == 0, begun.output
    url = engine().url
    assert begun.stdout.splitlines()[-1] == f"Virtual Tutor is ready: {url}/docs"
    assert ["avatar", "stub", "ready"] in [line.split()[:3] for line in begun.stdout.splitlines()]

    shown = tutor("status")
    assert shown.exit_code == 0, shown.output
    assert (record := running()) is not None
    assert f"pid {record.pid}" in shown.stdout
    assert "0 of 10" in shown.stdout

    again = tutor("up", "--no-web")
    assert again.exit_code == 0
    assert f"already running: {url}/docs" in again.stdout
    assert running() == record

    assert tutor("restart").exit_code == 0
    assert (other := running()) is not None
    assert other.pid != record.pid

    ended = tutor("down")
    assert ended.exit_code == 0
    assert "has stopped" in ended.stdout
    assert running() is None
    assert other.processes() == []
    ended = tutor("down")
    assert (ended.exit_code, "Nothing runs" in ended.stdout) == (0, True)


def test_a_graph_that_fails_says_why(stand_in: Stand, tutor: Tutor) -> None:
    stand_in(FAILING)
    result = tutor("up", "--no-web")
    assert result.exit_code == 1
    assert "ended while it was starting" in result.stderr
    assert "RuntimeError: the graph is upside down" in result.stderr
    assert "all is well" not in result.stderr
    assert engine().files.record() is None


def test_a_graph_that_never_comes_up_is_stopped(stand_in: Stand, tutor: Tutor) -> None:
    stand_in(HANGING)
    result = tutor("up", "--no-web", "--wait", "2")
    assert result.exit_code == 1
    assert "not up after 2 s" in result.stderr
    assert "no end of it" in result.stderr
    assert engine().files.record() is None


def test_attached_it_shows_the_log_and_stops_when_told(stand_in: Stand) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        process = attached(stand_in(SERVING))
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        assert any(line.startswith("Virtual Tutor is ready: ") for line in lines)
        assert (record := running()) is not None
        process.send_signal(number)
        rest, _ = process.communicate(timeout=READY_LIMIT_S)
        assert process.returncode == 0, rest
        assert "has stopped" in rest
        assert "Interrupted" not in rest
        assert record.processes() == []


def test_attached_it_ends_when_the_engine_dies(stand_in: Stand) -> None:
    process = attached(stand_in(SERVING))
    assert process.stdout is not None
    lines = iter(process.stdout.readline, "")
    assert any(line.startswith("Virtual Tutor is ready: ") for line in lines)
    assert (record := running()) is not None
    psutil.Process(record.pid).kill()
    rest, _ = process.communicate(timeout=READY_LIMIT_S)
    assert process.returncode == 1
    assert "The engine has ended" in rest
    assert engine().files.record() is None


def attached(script: Path, *, web: bool = False) -> subprocess.Popen[str]:
    code = (
        "from pathlib import Path; import cli.engine; from cli.main import main;"
        f"cli.engine._serve_script = lambda: Path({str(script)!r}); main()"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, "up", "--foreground", *([] if web else ["--no-web"])],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_an_engine_that_was_killed_is_cleared_away(stand_in: Stand, tutor: Tutor) -> None:
    stand_in(SERVING)
    assert tutor("up", "--no-web").exit_code == 0
    assert (record := running()) is not None
    psutil.Process(record.pid).kill()
    while record.alive:
        time.sleep(0.05)
    status = tutor("status")
    assert status.exit_code == 1
    assert "No engine is running" in status.stderr
    assert "Nothing runs" in tutor("down").stdout
    assert engine().files.record() is None


def test_a_taken_port_is_a_sentence_with_its_holder(stand_in: Stand, tutor: Tutor) -> None:
    stand_in(SERVING)
    port = settings_in_force().management_api_port
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        result = tutor("up", "--no-web")
    assert result.exit_code == 1
    assert f"Port {port} is taken by" in result.stderr
    assert f"(pid {os.getpid()})" in result.stderr
    assert "MANAGEMENT_API_PORT" in result.stderr
    assert engine().files.record() is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_SESSIONS", "many"),
        ("MANAGEMENT_API_PORT", "70000"),
        ("MANAGEMENT_API_HOST", "0.0.0.0"),
        ("MANAGEMENT_API_HOST", "192.0.2.77"),
    ],
)
def test_a_wrong_setting_is_named_and_nothing_is_started(
    name: str,
    value: str,
    stand_in: Stand,
    tutor: Tutor,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stand_in(SERVING)
    if value == "192.0.2.77":
        monkeypatch.setenv("ALLOW_ANONYMOUS_MANAGEMENT", "true")
    with monkeypatch.context() as wrong:
        wrong.setenv(name, value)
        result = tutor("up", "--no-web")
    assert result.exit_code == 2
    assert name in result.stderr
    assert "Traceback" not in result.output
    assert not (home / "run" / "engine.log").exists()


def test_a_wrong_graph_or_wrong_tutors_are_wrong_usage(
    stand_in: Stand, tutor: Tutor, tmp_path: Path, home: Path
) -> None:
    stand_in(SERVING)
    (tmp_path / "graph.yaml").write_text(
        "applications: [{name: gateway, args: {tutors: /no/such/tutors.yaml}}]"
    )
    for arguments, says in (
        (["--config", "gone.yaml"], "gone.yaml cannot be read"),
        (["--config", "graph.yaml"], "/no/such/tutors.yaml cannot be read"),
        (["--nonsense"], "--nonsense"),
    ):
        result = tutor("up", "--no-web", *arguments)
        assert result.exit_code == 2
        assert says in result.stderr
    assert not (home / "run" / "engine.log").exists()


def test_settings_of_env_files_reach_the_engine(
    stand_in: Stand, tutor: Tutor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MAX_SESSIONS", raising=False)
    (tmp_path / ".env").write_text("MAX_SESSIONS=17\nMANAGEMENT_API_PORT=1\n")
    stand_in(SERVING)
    try:
        assert tutor("up", "--no-web").exit_code == 0
        health = httpx.get(f"{engine().url}/health").json()
        assert health["sessions"]["max"] == 17
    finally:
        os.environ.pop("MAX_SESSIONS", None)


def test_the_log_begins_anew_when_it_is_large(
    stand_in: Stand, tutor: Tutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "LIMIT_BYTES", 10)
    stand_in(FAILING)
    files = engine().files
    tutor("up", "--no-web")
    first = files.log_file.read_text()
    tutor("up", "--no-web")
    assert files.log_file.with_name("engine.log.1").read_text() == first
    assert files.log_file.read_text() == first
