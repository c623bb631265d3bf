from pathlib import Path

import pytest

from foundation.settings import SettingsError
from web_server.settings import read_settings


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No `.env` of the project, and a home of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUTOR_HOME", str(tmp_path))
    monkeypatch.delenv("DATABASE_URL", raising=False)


def test_the_defaults(tmp_path: Path) -> None:
    settings = read_settings()
    assert settings.engine_url == "http://127.0.0.1:9000"
    assert (settings.engine_enabled, settings.algorithm) == (True, "HS256")
    assert (settings.web_host, settings.web_port) == ("127.0.0.1", 8000)
    assert settings.access_token_expire_minutes == 30
    assert settings.database == f"sqlite+aiosqlite:///{tmp_path}/web.sqlite3"
    assert settings.demo
    assert settings.cors_origin_list == []


def test_a_database_of_its_own_goes_before_the_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://a@h/engine")
    assert read_settings().database == "postgresql+asyncpg://a@h/engine"
    monkeypatch.setenv("WEB_DATABASE_URL", "postgres://a@h/web")
    assert read_settings().database == "postgresql+asyncpg://a@h/web"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ENGINE_URL", "localhost:9000"),
        ("ENGINE_API_KEY", "two words"),
        ("ALGORITHM", "none"),
        ("SECRET_KEY", "changethis"),
        ("DATABASE_URL", "mysql://h/db"),
        ("ACCESS_TOKEN_EXPIRE_MINUTES", "0"),
        ("WEB_PORT", "99999"),
    ],
)
def test_a_wrong_setting_is_named_and_never_shown(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as wrong:
        read_settings()
    assert name in str(wrong.value)
    assert value not in str(wrong.value).replace("10080", "")


def test_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORS_ORIGINS", "https://a.example/, http://b.example:3000 ,")
    assert read_settings().cors_origin_list == ["https://a.example", "http://b.example:3000"]
    assert read_settings().trusted_proxy_list == ["127.0.0.1", "::1"]
