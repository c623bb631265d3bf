"""The web server's settings: environment or `.env`, typed, read once, refused when wrong."""

from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from foundation.settings import (
    DatabaseUrl,
    EnvironmentSettings,
    HeaderValue,
    Home,
    HttpUrl,
    default_home,
    is_loopback,
    read,
)

PROJECT = Path(__file__).resolve().parents[1]

LEAST_SECRET_CHARS = 32
"""As long as the digest of HS256: a shorter key could be guessed from one token."""


class WebSettings(EnvironmentSettings):
    """Everything the web server can be told from outside."""

    engine_url: HttpUrl = "http://127.0.0.1:9000"
    """Where this server reaches the engine."""
    engine_enabled: bool = True
    """False: nothing is asked of the engine; what needs it is answered with 503."""
    engine_api_key: HeaderValue | None = None
    ray_dashboard_url: str = "http://127.0.0.1:8265"
    """Only shown to administrators, as a link."""

    database_url: DatabaseUrl = ""
    """Empty: SQLite in `tutor_home`. PostgreSQL: `postgresql://user:password@host/name`. The engine
    reads it too; the tables get along in one database."""
    web_database_url: DatabaseUrl = ""
    """Goes before `database_url`, for a database of the web server's own."""
    tutor_home: Home = Field(default_factory=default_home)

    secret_key: SecretStr | None = None
    """Signs the logins and encrypts the engine's tokens; None: made once, kept in `tutor_home`."""
    algorithm: Literal["HS256", "HS384", "HS512"] = "HS256"
    access_token_expire_minutes: int = Field(default=30, ge=1, le=24 * 60)

    web_host: str = "127.0.0.1"
    web_port: int = Field(default=8000, ge=1, le=65535)
    cors_origins: str = ""
    """Comma-separated origins of pages elsewhere that may use this server, `*` for any. The page
    that it serves itself needs none."""
    trusted_proxies: str = "127.0.0.1,::1"
    """Comma-separated addresses of proxies whose X-Forwarded-For is believed."""
    demo_accounts: bool | None = None
    """admin@example.com and student@example.com with known passwords; None: on loopback only."""
    frontend_dist: Path = PROJECT / "frontend" / "dist"
    """The built page."""

    @field_validator("secret_key")
    @classmethod
    def _long_enough(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and len(key.get_secret_value()) < LEAST_SECRET_CHARS:
            raise ValueError(
                f"must have {LEAST_SECRET_CHARS} characters or more: leave it out and one is made, "
                "or take the output of `openssl rand -base64 48`"
            )
        return key

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if self.demo_accounts and not is_loopback(self.web_host):
            raise ValueError(
                f"WEB_HOST is {self.web_host}, which others can reach, and DEMO_ACCOUNTS is true: "
                "everybody knows their passwords. Set DEMO_ACCOUNTS=false and make an account with "
                "`python -m web_server add-admin EMAIL`, or listen on 127.0.0.1."
            )
        return self

    @property
    def demo(self) -> bool:
        """Whether the demo accounts are to be there."""
        return is_loopback(self.web_host) if self.demo_accounts is None else self.demo_accounts

    @property
    def database(self) -> str:
        """The SQLAlchemy URL in force."""
        own = f"sqlite+aiosqlite:///{self.tutor_home / 'web.sqlite3'}"
        return self.web_database_url or self.database_url or own

    @property
    def cors_origin_list(self) -> list[str]:
        return _listed(self.cors_origins)

    @property
    def trusted_proxy_list(self) -> list[str]:
        return _listed(self.trusted_proxies)


def _listed(text: str) -> list[str]:
    return [item.strip().rstrip("/") for item in text.split(",") if item.strip()]


def hostname(url: str) -> str:
    """Empty where there is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def read_settings() -> WebSettings:
    """Read the environment and `.env`. Raises `SettingsError` naming every wrong setting."""
    return read(WebSettings)
