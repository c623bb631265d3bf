"""The tunnel out of an intranet: `frpc`, with configs/frpc.toml, as a companion of the engine.

elsewhere ──► FRP_SERVER_ADDR:19000, :19001 ── frps ═══ frpc ──► the engine
"""

import os
import re
import shutil
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from cli.companion import Program
from cli.errors import CommandError
from cli.surroundings import PROJECT, take_env_files
from foundation.settings import EnvironmentSettings, SettingsError, read
from serve_app.settings import Settings

CONFIG = PROJECT / "configs" / "frpc.toml"
API_PORT = 19000
SOCKET_PORT = 19001
"""Of the machine with frps, as configs/frpc.toml has them."""

NOT_INSTALLED = CommandError(
    "The tunnel needs frpc, which is not installed.",
    "Take it from https://github.com/fatedier/frp/releases, put `frpc` into a folder of PATH, and "
    "try again; or leave out --tunnel.",
)
NO_KEY = CommandError(
    "The tunnel would let anybody use the engine, because ENGINE_API_KEY is not set.",
    'Put one into `.env`: echo "ENGINE_API_KEY=$(openssl rand -hex 32)" >> .env',
)


class TunnelSettings(EnvironmentSettings):
    """Where the tunnel's other end is, and its key."""

    frp_server_addr: str = Field(default="", pattern=r"^[\w.:-]*$")
    """Where frps runs."""
    frp_server_port: int = Field(default=7000, ge=1, le=65535)
    frp_token: SecretStr | None = None
    """The `auth.token` of frps."""

    @field_validator("frp_token")
    @classmethod
    def _fits_between_quotes(cls, token: SecretStr | None) -> SecretStr | None:
        """frpc puts it into the text of its file as it is."""
        if token is not None and not re.fullmatch(r'[^"\\\x00-\x1f]+', token.get_secret_value()):
            raise ValueError("must hold no quotes, backslashes and control characters")
        return token


def tunnel_program(settings: Settings) -> Program:
    """Raises `CommandError` and `SettingsError` when there cannot be one."""
    frpc = shutil.which("frpc")
    if frpc is None:
        raise NOT_INSTALLED
    if settings.engine_api_key is None:
        raise NO_KEY
    host, port, token = _frps()
    engine = urlsplit(settings.http_url)
    told = {
        "FRP_SERVER_ADDR": host,
        "FRP_SERVER_PORT": str(port),
        "FRP_TOKEN": token,
        "FRP_LOCAL_HOST": engine.hostname or "127.0.0.1",
        "FRP_LOCAL_PORT": str(engine.port),
    }
    return Program((frpc, "-c", str(CONFIG)), tunnel_url(host), os.environ | told)


def tunnel_url(host: str) -> str:
    """Where the engine is found from elsewhere."""
    return f"http://{host}:{API_PORT}"


def socket_hint(settings: Settings, url: str) -> str:
    """What to set so that clients elsewhere are told an address they can reach; empty: nothing."""
    if settings.websocket_url:
        return ""
    host = urlsplit(url).hostname
    return (
        f"WEBSOCKET_URL is not set, so clients are told ws://127.0.0.1. Set "
        f"WEBSOCKET_URL=ws://{host}:{SOCKET_PORT} and run `tutor restart`."
    )


def _frps() -> tuple[str, int, str]:
    """Its host, port and token. Raises `SettingsError`."""
    take_env_files()
    own = read(TunnelSettings)
    if not own.frp_server_addr or own.frp_token is None:
        raise SettingsError(
            "The tunnel needs FRP_SERVER_ADDR, the machine with frps, and FRP_TOKEN, its "
            "`auth.token`; FRP_SERVER_PORT too, if it is not 7000. Put them into `.env`."
        )
    return own.frp_server_addr, own.frp_server_port, own.frp_token.get_secret_value()
