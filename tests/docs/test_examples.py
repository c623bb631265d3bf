"""The examples of the client's guide, as a person runs them."""

import contextlib
import shutil
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest

from engines.stub import StubLlm
from serve_app.settings import Settings
from tests.running import PROJECT, plain, stub_engines
from tests.web_server.schools import open_site, settings_for

EXAMPLES = PROJECT / "docs/examples"
ANSWER = ("Rain ", "falls ", "from ", "clouds. ")
LIMIT_S = 60.0


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A web server with the demo's people and tutors, before a gateway whose model is a stub."""
    home = tmp_path_factory.mktemp("examples")
    with contextlib.ExitStack() as running:
        engines = stub_engines(think=lambda tutor: StubLlm(ANSWER))
        engine = running.enter_context(plain(Settings(tutor_home=home), engines))
        settings = settings_for(home, engine.url, demo_accounts=True)
        yield running.enter_context(open_site(settings)).url


def ran(command: list[str], url: str, folder: Path, password: str) -> tuple[int, str]:
    account = [url, "student@example.com", password, "Why does it rain?"]
    done = subprocess.run(
        command + account, cwd=folder, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_the_python_client_prints_the_answer_and_keeps_the_voice(url: str, tmp_path: Path) -> None:
    python = [sys.executable, str(EXAMPLES / "lesson.py")]
    code, told = ran(python, url, tmp_path, "student123")
    assert (code, "".join(ANSWER).strip() in told) == (0, True), told
    with wave.open(str(tmp_path / "answer.wav")) as voice:
        assert voice.getnframes() > 0


def test_the_javascript_client_prints_the_answer(url: str, tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node is not installed.")
    program = [node, "--experimental-websocket", str(EXAMPLES / "lesson.mjs")]
    code, told = ran(program, url, tmp_path, "student123")
    assert (code, "".join(ANSWER).strip() in told) == (0, True), told
    code, told = ran(program, url, tmp_path, "wrong-password")
    assert code == 1 and "password" in told.lower(), told
