from pathlib import Path

import pytest
from pydantic import Field

from foundation.settings import (
    DatabaseUrl,
    EnvironmentSettings,
    HeaderValue,
    Home,
    HttpUrl,
    OptionalHttpUrl,
    SettingsError,
    default_home,
    is_loopback,
    read,
)


class Known(EnvironmentSettings):
    some_url: HttpUrl = "http://127.0.0.1:1"
    other_url: OptionalHttpUrl = ""
    some_key: HeaderValue | None = None
    some_database: DatabaseUrl = ""
    some_home: Home = Field(default_factory=default_home)
    some_port: int = Field(default=1, ge=1)


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No `.env` of the project."""
    monkeypatch.chdir(tmp_path)


def test_the_environment_goes_before_the_file_and_what_is_given_before_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("SOME_PORT=2\nSOME_URL=http://file\nUNKNOWN=x\n")
    monkeypatch.setenv("SOME_URL", "http://variable/")
    monkeypatch.setenv("OTHER_URL", "")
    settings = read(Known, other_url="https://given")
    assert (settings.some_port, settings.some_url) == (2, "http://variable")
    assert settings.other_url == "https://given"


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_PORT", "")
    assert read(Known).some_port == 1


def test_every_wrong_setting_is_named_in_a_line_and_none_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wrong = {
        "SOME_URL": "host:9000",
        "OTHER_URL": "ftp://host",
        "SOME_KEY": "two words",
        "SOME_DATABASE": "mysql://h/db",
        "SOME_PORT": "-17",
    }
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        read(Known)
    lines = str(refused.value).splitlines()
    assert [line.partition(":")[0] for line in lines] == list(wrong)
    assert not any(value in str(refused.value) for value in wrong.values())


def test_the_home_may_be_written_with_the_sign_of_the_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SOME_HOME", "~/tutor")
    assert read(Known).some_home == tmp_path / "tutor"
    monkeypatch.delenv("SOME_HOME")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert read(Known).some_home == tmp_path / ".local/share/virtual-tutor"


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("h.org", False)],
)
def test_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) == loopback


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("sqlite:////tmp/x.db", "sqlite+aiosqlite:////tmp/x.db"),
        ("postgres://u@h/d", "postgresql+asyncpg://u@h/d"),
        ("postgresql+asyncpg://u@h/d", "postgresql+asyncpg://u@h/d"),
    ],
)
def test_plain_database_urls_get_the_asynchronous_driver(given: str, used: str) -> None:
    assert Known(some_database=given).some_database == used
