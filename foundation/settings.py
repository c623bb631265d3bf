"""Settings from the environment or `.env`: typed, read once, refused when wrong."""

import os
import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


class SettingsError(Exception):
    """A setting is wrong; the sentence names it."""


class EnvironmentSettings(BaseSettings):
    """Names are those of the environment, in lower case. An empty variable counts as not set."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,  # a key must not be seen in a traceback
    )


Known = TypeVar("Known", bound=EnvironmentSettings)


def read(kind: type[Known], **given: Any) -> Known:
    """Those of the environment; what is `given` goes before it. Raises `SettingsError` naming every
    wrong setting."""
    try:
        return kind(**given)
    except ValidationError as invalid:
        raise SettingsError(_sentences(invalid)) from invalid


def _sentences(invalid: ValidationError) -> str:
    """One line for each wrong setting, with its name and never with its value."""
    lines = []
    for finding in invalid.errors(include_url=False, include_input=False):
        name = ".".join(str(part) for part in finding["loc"]).upper()
        message = finding["msg"].removeprefix("Value error, ")
        lines.append(f"{name}: {message}" if name else message)
    return "\n".join(lines)


def default_home() -> Path:
    """`TUTOR_HOME`, where nobody has said another one."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "virtual-tutor"


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _http_url(url: str) -> str:
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise ValueError("must look like http://host:port")
    return url.rstrip("/")


def _header_value(key: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!-~]*", key.get_secret_value()):
        raise ValueError("must hold no spaces and only ASCII characters")
    return key


def _database_url(url: str) -> str:
    """Plain URLs, as every document shows them, get the asynchronous driver."""
    plain = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
    plain["postgres"] = plain["postgresql"]
    scheme, colon, rest = url.partition("://")
    if url and (not colon or scheme not in {*plain, *plain.values()}):
        raise ValueError("must start with sqlite:/// or postgresql://")
    return f"{plain.get(scheme, scheme)}{colon}{rest}"


HttpUrl = Annotated[str, AfterValidator(_http_url)]
OptionalHttpUrl = Annotated[str, AfterValidator(lambda url: _http_url(url) if url else url)]
"""Empty: there is none."""

HeaderValue = Annotated[SecretStr, AfterValidator(_header_value)]
"""A key that goes into a header of HTTP."""

Home = Annotated[Path, AfterValidator(Path.expanduser)]
"""A folder; `~` is the user's own."""

DatabaseUrl = Annotated[str, AfterValidator(_database_url)]
"""`sqlite:///file`, `postgresql://user:password@host/name`, or empty."""
