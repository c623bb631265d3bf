"""The commands in a folder of their own, away from this machine's engine, settings and `.env`."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli import surroundings
from cli.main import app
from serve_app.settings import Settings
from tests.running import Running, free_port, plain, stub_engines

Tutor = Callable[..., Result]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    before = dict(os.environ)
    monkeypatch.setenv("TUTOR_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MANAGEMENT_API_PORT", str(free_port()))
    monkeypatch.setenv("WEB_PORT", str(free_port()))
    monkeypatch.delenv("ENGINE_API_KEY", raising=False)
    monkeypatch.setattr(surroundings, "PROJECT", tmp_path)
    monkeypatch.chdir(tmp_path)
    yield tmp_path / "home"
    # The commands take `.env` into their environment, which is this process's.
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def tutor() -> Tutor:
    """Runs the command in this process: `tutor("check", "--url", url)`."""

    def run(*arguments: str, says: str | None = None) -> Result:
        return CliRunner().invoke(app, arguments, input=says, env={"COLUMNS": "200"})

    return run


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The gateway alone, with stub engines."""
    settings = Settings(tutor_home=tmp_path_factory.mktemp("stub"), max_sessions_per_student=50)
    with plain(settings, stub_engines()) as running:
        yield running
