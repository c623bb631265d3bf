"""The real command as a person uses it: the whole graph in the throughput mode."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.record import RunFolder
from tests.processes import lives
from tests.running import free_port

COMMAND_LIMIT_S = 240.0

pytestmark = pytest.mark.cluster

Done = subprocess.CompletedProcess[str]


class User:
    """Somebody at a shell of their own."""

    def __init__(self, home: Path, **environ: str) -> None:
        self.folder = home
        self.environ = environ
        self.files = RunFolder(home / "run")
        self.port = free_port()
        self.web_port = free_port()

    def types(self, *arguments: str) -> Done:
        tutor = Path(sys.executable).with_name("tutor")
        return subprocess.run(
            [str(tutor), *arguments],
            cwd=self.folder,
            env={
                **os.environ,
                "TUTOR_HOME": str(self.folder),
                "MANAGEMENT_API_PORT": str(self.port),
                "WEB_PORT": str(self.web_port),
                "OLLAMA_BASE_URL": "http://127.0.0.1:1",  # nobody's own model answers here
                "COLUMNS": "200",
                **self.environ,
            },
            capture_output=True,
            text=True,
            timeout=COMMAND_LIMIT_S,
        )


@pytest.fixture
def user(tmp_path: Path) -> Iterator[User]:
    person = User(tmp_path)
    yield person
    person.types("down")


def fine(done: Done) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_from_up_to_down(user: User) -> None:
    lines = fine(user.types("up", "--no-web")).splitlines()
    assert lines[-1] == f"Virtual Tutor is ready: http://127.0.0.1:{user.port}/docs"
    assert any(line.startswith("Ray dashboard: http://127.0.0.1:") for line in lines)
    record = user.files.running()
    assert record is not None

    status = json.loads(fine(user.types("status", "--json")))
    applications = status["applications"]
    assert set(applications) == {"gateway", "asr", "llm-default", "tts", "avatar", "knowledge"}
    assert {app["status"] for app in applications.values()} == {"RUNNING"}
    assert all(app["replicas"].get("RUNNING") for app in applications.values())
    assert set(status["engines"]) == {"asr", "llm", "tts", "avatar", "knowledge"}
    assert status["ports"].keys() == {"http", "dashboard", "haproxy_stats"}
    assert status["memory_bytes"] > 500e6
    taken = [app["memory_bytes"] for app in applications.values()]
    assert min(taken) > 20e6, "each has a Python of its own"
    assert sum(taken) < status["memory_bytes"]
    assert "haproxy" in {process.name() for process in record.processes()}
    assert f"pid {record.pid}" in fine(user.types("status"))

    assert "Everything works." in fine(user.types("check"))
    assert "first sound" in fine(user.types("chat", "Hello"))
    assert "already running" in fine(user.types("up", "--no-web"))
    assert user.files.running() == record

    everyone = record.processes()
    assert "has stopped" in fine(user.types("down"))
    assert [process for process in everyone if lives(process)] == []
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", user.port))
    assert "Nothing runs" in fine(user.types("down"))
    assert user.types("status").returncode == 1
