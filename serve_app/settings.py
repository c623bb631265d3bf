"""The engine's settings: environment or `.env`, typed, read once, refused when wrong."""

import os
import re
from typing import Any
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import Field, SecretStr, field_validator, model_validator

from deployments.settings import EngineSettings
from foundation.settings import DatabaseUrl, is_loopback, read

TUTOR_MODEL_VARIABLE = re.compile(r"^TUTOR_(\d+)_LLM_MODEL$", re.IGNORECASE)


ALL_INTERFACES = ("0.0.0.0", "::")
"""Addresses that mean all interfaces; one connects to another one."""


class Settings(EngineSettings):
    """Everything the gateway can be told from outside."""

    management_api_host: str = "127.0.0.1"
    """Address the engine listens on."""
    management_api_port: int = Field(default=9000, ge=1, le=65535)
    websocket_url: str = ""
    """What a browser reaches; empty: `ws://` with host and port above."""
    websocket_host: str = "127.0.0.1"
    """Accepted for older `.env` files; unused: there is one port."""
    websocket_port: int = Field(default=9001, ge=1, le=65535)
    """Accepted for older `.env` files; unused: there is one port."""
    cuda_visible_devices: str | None = None

    max_sessions: int = Field(default=10, ge=1, le=100_000)
    max_sessions_per_student: int = Field(default=5, ge=1, le=100_000)
    session_timeout_seconds: int = Field(default=3600, ge=1)
    database_url: DatabaseUrl = ""
    """Empty: SQLite in `tutor_home`. PostgreSQL: `postgresql://user:password@host/name`."""

    engine_api_key: SecretStr | None = None
    allow_anonymous_management: bool = False
    allowed_origins: str = ""
    """Comma-separated origins of web pages that may connect, `*` for any. Pages on the engine's own
    host, and on loopback when the engine is on loopback, always may."""

    stun_url: str = Field(default="", pattern=r"^(stun:[^?\s]+)?$")
    """`stun:host:port`, for an engine or learners behind a router; empty: none is asked."""
    turn_urls: str = ""
    """Comma-separated `turn:host:port` and `turns:host:port` of a relay, for networks that block
    UDP; `?transport=tcp` where only TCP gets through."""
    turn_secret: SecretStr | None = None
    """The relay's `static-auth-secret`; credentials are made from it that end by themselves."""
    turn_ttl_seconds: int = Field(default=4 * 3600, ge=60)
    """Longer than a lesson: a relay drops a connection whose credentials have ended."""
    webrtc_udp_ports: str = Field(default="", pattern=r"^(\d{1,5}-\d{1,5})?$")
    """`first-last`, what a firewall must let in; empty: any free port."""
    webrtc_grace_s: float = Field(default=30.0, ge=0, le=3600)
    """How long a live connection is kept after its socket has gone: time to come back."""

    endpoint_finished_ms: float = Field(default=200, ge=100, le=5000)
    """Silence that ends a sentence that sounds finished."""
    endpoint_unsure_ms: float = Field(default=500, ge=100, le=5000)
    endpoint_hanging_ms: float = Field(default=1200, ge=100, le=10_000)
    """Silence that ends even "I would like to and…"."""
    barge_in_hold_ms: float = Field(default=320, ge=64, le=5000)
    """So much voice makes the tutor pause."""
    barge_in_stop_ms: float = Field(default=900, ge=64, le=10_000)
    """So much voice makes it stop, whatever the words."""

    memory: bool = True
    """Whether tutors remember their students from one session to the next."""
    memory_days: int = Field(default=365, ge=1, le=36_500)
    """What has not changed for so long is deleted."""

    tutor_llm_models: dict[int, str] = {}
    """From `TUTOR_{tutor_id}_LLM_MODEL`."""

    @field_validator("websocket_url")
    @classmethod
    def _socket_url(cls, url: str) -> str:
        if url and (urlsplit(url).scheme not in ("ws", "wss") or not urlsplit(url).hostname):
            raise ValueError("must look like ws://host:port or wss://host")
        return url.rstrip("/")

    @field_validator("turn_urls")
    @classmethod
    def _relay_urls(cls, urls: str) -> str:
        for url in filter(None, map(str.strip, urls.split(","))):
            if not re.fullmatch(r"turns?:[^?\s]+(\?transport=(udp|tcp))?", url):
                raise ValueError("must be turn:host:port or turns:host:port, separated by commas")
        return urls

    @model_validator(mode="after")
    def _ordered(self) -> "Settings":
        pauses = (self.endpoint_finished_ms, self.endpoint_unsure_ms, self.endpoint_hanging_ms)
        if list(pauses) != sorted(pauses):
            raise ValueError(
                "ENDPOINT_FINISHED_MS, ENDPOINT_UNSURE_MS and ENDPOINT_HANGING_MS must grow in "
                "this order."
            )
        if self.barge_in_hold_ms > self.barge_in_stop_ms:
            raise ValueError("BARGE_IN_HOLD_MS must not be more than BARGE_IN_STOP_MS.")
        ports = self.webrtc_ports
        if ports is not None and not 1024 <= ports[0] <= ports[1] <= 65535:
            raise ValueError("WEBRTC_UDP_PORTS must be first-last, between 1024 and 65535.")
        if self.turn_urls and self.turn_secret is None:
            raise ValueError(
                "TURN_URLS is set, but TURN_SECRET is not: give the relay's static-auth-secret."
            )
        return self

    @model_validator(mode="after")
    def _guarded(self) -> "Settings":
        if (
            not is_loopback(self.management_api_host)
            and self.engine_api_key is None
            and not self.allow_anonymous_management
        ):
            raise ValueError(
                f"MANAGEMENT_API_HOST is {self.management_api_host}, which others can reach, and "
                "ENGINE_API_KEY is not set. Set a key, listen on 127.0.0.1, or allow anyone with "
                "ALLOW_ANONYMOUS_MANAGEMENT=true."
            )
        return self

    @property
    def turn_url_list(self) -> list[str]:
        return [url.strip() for url in self.turn_urls.split(",") if url.strip()]

    @property
    def webrtc_ports(self) -> tuple[int, int] | None:
        """UDP ports, both included; None: any."""
        first, dash, last = self.webrtc_udp_ports.partition("-")
        return (int(first), int(last)) if dash else None

    @property
    def database(self) -> str:
        """The SQLAlchemy URL in force."""
        return self.database_url or f"sqlite+aiosqlite:///{self.tutor_home / 'engine.db'}"

    def llm_model(self, tutor_id: int) -> str:
        return self.tutor_llm_models.get(tutor_id, self.default_llm_model)

    def engine_url(self, session_id: str) -> str:
        """Where a browser opens the socket of a session."""
        base = self.websocket_url or self.http_url.replace("http", "ws", 1)
        # Behind nginx the documents configure wss://host/ws; the prefix must not double.
        while base.endswith("/ws"):
            base = base.removesuffix("/ws")
        return f"{base}/ws/ws/{session_id}"

    @property
    def http_url(self) -> str:
        """Where a program on this machine reaches the engine."""
        host = self.management_api_host
        if host in ALL_INTERFACES:
            host = "localhost"
        elif ":" in host:
            host = f"[{host}]"
        return f"http://{host}:{self.management_api_port}"


def read_settings(listening_on: tuple[str, int] | None = None) -> Settings:
    """Read the environment and `.env`; `listening_on` is the address in force, where it is known.

    Raises `SettingsError` naming every wrong setting.
    """
    named: dict[str, Any] = {"tutor_llm_models": _tutor_models()}
    if listening_on is not None:
        named["management_api_host"], named["management_api_port"] = listening_on
    return read(Settings, **named)


def _tutor_models() -> dict[int, str]:
    """`TUTOR_{tutor_id}_LLM_MODEL`, of the environment before `.env`."""
    return {
        int(match[1]): model
        for name, model in {**dotenv_values(".env"), **os.environ}.items()
        if model and (match := TUTOR_MODEL_VARIABLE.match(name))
    }
