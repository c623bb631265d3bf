"""The engine as its clients see it: REST and one socket, in plain blocking calls."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

import httpx
from pydantic import TypeAdapter, ValidationError
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.sync.client import ClientConnection, connect

from cli.errors import CommandError, EngineNotRunning, Refused, WrongUsage
from foundation.settings import is_loopback
from wire.rest import (
    Health,
    KnowledgePublic,
    SessionCreate,
    SessionCreated,
    SessionPublic,
    VoicePublic,
)

Event = dict[str, Any]

REST_LIMIT_S = 15.0
ANSWER_LIMIT_S = 120.0
"""A large model may load for a minute before its first word, and a long film takes its time."""


class Hung(CommandError):
    """The engine closed the socket; `code` says why."""

    def __init__(self, code: int, reason: str) -> None:
        why = f"{code}, {reason}" if reason else str(code)
        super().__init__(f"The engine closed the connection ({why}).")
        self.code = code


class Silent(CommandError):
    """Nothing came in time."""


class Talk:
    """An open socket."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    def send(self, **message: Any) -> None:
        try:
            self._socket.send(json.dumps({k: v for k, v in message.items() if v is not None}))
        except ConnectionClosed as closed:
            raise _hung(closed) from closed

    def receive(self, limit_s: float = ANSWER_LIMIT_S) -> Event:
        """The next event. Raises `Hung` or `Silent`."""
        try:
            event: Event = json.loads(self._socket.recv(timeout=limit_s))
        except ConnectionClosed as closed:
            raise _hung(closed) from closed
        except TimeoutError as late:
            raise Silent(f"No answer came within {limit_s:.0f} s.") from late
        return event

    def close_code(self, limit_s: float) -> int:
        """Wait for the engine to close, and say with which code. Raises `Silent`."""
        deadline_s = time.monotonic() + limit_s
        try:
            while True:
                self.receive(max(0.0, deadline_s - time.monotonic()))
        except Hung as closed:
            return closed.code


def _hung(closed: ConnectionClosed) -> Hung:
    if closed.rcvd is None:
        return Hung(1006, "without a word")
    return Hung(closed.rcvd.code, closed.rcvd.reason)


class Client:
    """One engine at a URL."""

    def __init__(self, url: str, api_key: str | None) -> None:
        host = _host(url)
        self.url = url.rstrip("/")
        # A proxy of the environment knows nothing of this machine's loopback.
        self._proxied = not is_loopback(host)
        self._http = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            timeout=REST_LIMIT_S,
            trust_env=self._proxied,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def health(self) -> Health:
        try:
            return Health.model_validate_json(self._ask("GET", "/health").content)
        except ValidationError as foreign:
            raise CommandError(f"What answers at {self.url} is not this engine.") from foreign

    def create(self, tutor_id: int, student_id: int, kb_id: str | None = None) -> SessionCreated:
        wish = SessionCreate(tutor_id=tutor_id, student_id=student_id, kb_id=kb_id)
        answer = self._ask("POST", "/v1/sessions", wish.model_dump())
        return SessionCreated.model_validate_json(answer.content)

    def get(self, session_id: str) -> SessionPublic:
        answer = self._ask("GET", f"/v1/sessions/{session_id}")
        return SessionPublic.model_validate_json(answer.content)

    def voices(self) -> list[VoicePublic]:
        return TypeAdapter(list[VoicePublic]).validate_json(self._ask("GET", "/v1/voices").content)

    def bases(self) -> list[KnowledgePublic]:
        """The knowledge bases."""
        listed = self._ask("GET", "/v1/knowledge").content
        return TypeAdapter(list[KnowledgePublic]).validate_json(listed)

    def end(self, session_id: str) -> int:
        """The HTTP status of the answer."""
        return self._ask("DELETE", f"/v1/sessions/{session_id}").status_code

    def _ask(self, method: str, path: str, body: Event | None = None) -> httpx.Response:
        try:
            answer = self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise EngineNotRunning(
                f"No engine answers at {self.url} ({words(error)}).", "Start it with `tutor up`."
            ) from error
        if answer.is_error:
            raise refused(answer)
        return answer

    def socket_url(self, session_id: str) -> str:
        return f"{self.url.replace('http', 'ws', 1)}/ws/ws/{session_id}"

    @contextmanager
    def talk(self, url: str, token: str, *, in_url: bool = False) -> Iterator[Talk]:
        """Open a socket. `in_url`: with `?token=`, as the documented clients do; otherwise the
        token travels in a header, where no access log shows it."""
        headers = {} if in_url else {"Authorization": f"Bearer {token}"}
        address = f"{url}?{urlencode({'token': token})}" if in_url else url
        try:
            socket = connect(
                address,
                additional_headers=headers,
                max_size=None,  # a film of some minutes is larger than any usual limit
                open_timeout=REST_LIMIT_S,
                proxy=True if self._proxied else None,
            )
        except (OSError, InvalidHandshake, InvalidURI, TimeoutError) as error:
            raise EngineNotRunning(
                f"The socket {url} cannot be opened ({words(error)}).",
                "A proxy on the way must pass WebSockets on; `tutor status` shows the engine.",
            ) from error
        with socket:
            yield Talk(socket)


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname:
            return parts.hostname
    except ValueError:  # half an IPv6 address, for example
        pass
    raise WrongUsage(f"{url!r} is not the address of an engine.", "Use http://host:port.")


def words(error: Exception) -> str:
    return str(error) or type(error).__name__


def refused(answer: httpx.Response) -> Refused:
    try:
        detail = str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        detail = answer.reason_phrase
    remedy = "Give the key with --api-key or ENGINE_API_KEY." if answer.status_code == 401 else ""
    return Refused(answer.status_code, f"HTTP {answer.status_code}: {detail}", remedy)
