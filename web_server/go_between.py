"""One socket of a browser, and the engine's that belongs to it.

Frames go through as they are, both ways. A side that does not read holds up the other one of the
same pair and nobody else: here are never more than a few frames of it. An engine that is away is
tried again and again, and the browser's socket stays. Of what a client sends, two messages are
looked at: `hello`, which an engine that is back is told again, and `login {token}`, with which a
page prolongs its login and which goes no further.
"""

import asyncio
import json
import logging
import random
import re
import time
from datetime import UTC, datetime
from typing import Any, Literal

from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from web_server.engine_socket import (
    EngineGone,
    Frame,
    NoLiveSession,
    Opened,
    SocketEnded,
    end_of,
    opened,
    socket_url,
)
from web_server.errors import StorageFailed
from web_server.gate import (
    CLOSE_FORBIDDEN,
    CLOSE_NOT_FOUND,
    CLOSE_NOT_SIGNED_IN,
    ENDED,
    WRONG_USER,
    Ending,
    Gate,
    Visit,
    admitted,
)
from web_server.sentences import Language, Sentence
from wire.events import MAX_MESSAGE_BYTES, ErrorEvent, PongEvent, ServerEvent

logger = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 5.0
"""Between two tries of an engine that is away."""

LOOK_INTERVAL_S = 60.0
"""How soon a socket ends whose account was closed, or whose password was changed."""

STALL_LIMIT_S = 30.0
"""A browser that takes nothing for so long is cut off, as the engine does it."""

SLOWEST_BYTES_A_SECOND = 32 * 1024
"""A large frame may take longer."""

FAREWELL_LIMIT_S = 5.0
"""How long a browser has to take the last words."""

SHORT_CHARS = 8 * 1024
"""A longer frame is neither `hello` nor `login`, and is not looked into."""

SESSION_ID = re.compile(r'"engine_session_id"\s*:\s*"([0-9a-fA-F-]{36})"')

AWAY = Sentence(
    "The tutor engine does not answer just now; it is tried again by itself. What was sent last "
    "may not have arrived: send it again when the tutor is back."
)
NOT_SENT = Sentence(
    "The tutor engine is away, so this was not sent. Send it again when it is back."
)
NO_SESSION = Sentence("You have no live session. Start one with POST /api/student/sessions.")
TOO_LARGE = Sentence(
    "This message is too large; the most is {mebibytes} MiB. Send a shorter or a compressed "
    "recording."
).about(mebibytes=MAX_MESSAGE_BYTES // 2**20)


class LoginEvent(ServerEvent):
    """Answers a `login` that holds."""

    type: Literal["login"] = "login"
    ends_in_s: int


class Pauses:
    """Between tries: each longer than the one before, and none like those of other sockets, so that
    an engine that starts is not met by all of them at once."""

    def __init__(self) -> None:
        self._most_s = FIRST_PAUSE_S

    def next_s(self) -> float:
        self._most_s = min(2 * self._most_s, LONGEST_PAUSE_S)
        return random.uniform(FIRST_PAUSE_S, self._most_s)


class Relay:
    """One socket of a browser, and the engine's that belongs to it."""

    def __init__(
        self, gate: Gate, browser: WebSocket, visit: Visit, token: str, language: Language
    ) -> None:
        self._gate = gate
        self._browser = browser
        self._language = language
        self._visit = visit
        self._token = token
        self._prolonged = asyncio.Event()
        self._link: ClientConnection | None = None
        """None: the engine is away, or has not been reached yet."""
        self._tried = asyncio.Event()
        """Once it is known whether the engine is there; until then nothing is refused."""
        self._away = False
        self._sound_refused = False
        self._hello: str | None = None

    async def run(self) -> None:
        """Until either side ends it. Raises `Ending` or `SocketEnded`, of which the browser is yet
        to be told."""
        over: Exception | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read_browser(), name="browser")
                tasks.create_task(self._follow_engine(), name="engine")
                tasks.create_task(self._watch_login(), name="login")
        except* (Ending, SocketEnded) as ended:
            over = ended.exceptions[0]
        except* WebSocketDisconnect:
            pass
        if over is not None:
            raise over

    # ── browser → engine ─────────────────────────────────────────────────────────────────────────

    async def _read_browser(self) -> None:
        while True:
            received = await self._browser.receive()
            if received["type"] == "websocket.disconnect":
                raise WebSocketDisconnect
            await self._tried.wait()
            text = received.get("text")
            frame: Frame = received["bytes"] if text is None else text
            if not await self._taken(frame):
                await self._forward(frame)

    async def _taken(self, frame: Frame) -> bool:
        """Whether the frame is for the proxy itself."""
        if isinstance(frame, bytes) or len(frame) > SHORT_CHARS:
            return False
        if '"login"' not in frame and '"hello"' not in frame:
            return False
        message = _message(frame)
        match message.get("type"):
            case "login":
                await self._prolong(str(message.get("token", "")))
                return True
            case "hello":
                self._hello = frame
                return self._link is None  # the engine is told as soon as it is there
        return False

    async def _forward(self, frame: Frame) -> None:
        if len(frame) > MAX_MESSAGE_BYTES:
            await self._complain("message_too_large", TOO_LARGE, frame)
            return
        if self._link is not None:
            try:
                await self._link.send(frame)
                return
            except ConnectionClosed:
                pass  # while it was sent: the engine does not have it
        await self._decline(frame)

    async def _decline(self, frame: Frame) -> None:
        """Nothing is lost without a word."""
        if isinstance(frame, bytes):
            if not self._sound_refused:  # fifty frames a second are one refusal
                self._sound_refused = True
                await self._complain("engine_unavailable", NOT_SENT, frame)
        elif len(frame) <= SHORT_CHARS and _message(frame).get("type") == "ping":
            await self._tell(PongEvent().to_json())  # of this socket, which lives
        else:
            await self._complain("engine_unavailable", NOT_SENT, frame)

    async def _complain(self, code: str, reason: Sentence, frame: Frame) -> None:
        found = SESSION_ID.search(frame) if isinstance(frame, str) else None
        session_id = found[1] if found else None
        told = reason.said(self._language)
        event = ErrorEvent(code=code, content=told, engine_session_id=session_id)
        await self._tell(event.to_json())

    # ── engine → browser ─────────────────────────────────────────────────────────────────────────

    async def _follow_engine(self) -> None:
        pauses = Pauses()
        while True:
            began_s = time.monotonic()
            try:
                await self._relay(await self._open())
            except EngineGone:
                await self._tell_away()
            if time.monotonic() - began_s > 2 * LONGEST_PAUSE_S:
                pauses = Pauses()  # it was there
            await asyncio.sleep(pauses.next_s())

    async def _open(self) -> Opened:
        """Raises `EngineGone`, `Ending` or `SocketEnded`."""
        url = socket_url(self._gate.engine_url, self._visit.user_id)
        try:
            return await opened(url, await self._gate.engine_tokens(self._visit.user_id))
        except StorageFailed as failed:
            raise EngineGone from failed
        except NoLiveSession as over:
            raise Ending(CLOSE_NOT_FOUND, "session_not_found", NO_SESSION) from over

    async def _relay(self, engine: Opened) -> None:
        """Until the engine ends it. Raises `EngineGone` or `SocketEnded`."""
        link = engine.link
        try:
            for frame in engine.said:
                await self._tell(frame)
            await self._greet(link)
            self._away, self._sound_refused, self._link = False, False, link
            self._tried.set()
            while True:
                await self._tell(await link.recv())
        except ConnectionClosed as closed:
            raise end_of(closed) from closed
        finally:
            self._link = None
            await link.close()

    async def _greet(self, link: ClientConnection) -> None:
        """What the client said to the engine before, also while this is sent."""
        told: str | None = None
        while self._hello is not told:
            told = self._hello
            await link.send(told or "")

    async def _tell_away(self) -> None:
        """Once each time."""
        if not self._away:
            self._away = True
            self._tried.set()
            told = AWAY.said(self._language)
            await self._tell(ErrorEvent(code="engine_unavailable", content=told).to_json())

    async def _tell(self, frame: Frame) -> None:
        """Waits while the browser does not read; when it never does, raises
        `WebSocketDisconnect`."""
        try:
            async with asyncio.timeout(STALL_LIMIT_S + len(frame) / SLOWEST_BYTES_A_SECOND):
                await send(self._browser, frame)
        except TimeoutError as stalled:
            logger.warning("A browser that did not read was cut off")
            raise WebSocketDisconnect from stalled

    # ── the login ────────────────────────────────────────────────────────────────────────────────

    async def _prolong(self, token: str) -> None:
        try:
            visit = await admitted(self._gate, token)
            if visit.user_id != self._visit.user_id:
                raise Ending(CLOSE_FORBIDDEN, "wrong_user", WRONG_USER)
        except Ending as refused:  # the login that there is still holds
            await self._tell(refused.event(self._language).to_json())
            return
        self._visit, self._token = visit, token
        self._prolonged.set()
        await self._tell(LoginEvent(ends_in_s=round(_seconds_until(visit.ends_at))).to_json())

    async def _watch_login(self) -> None:
        """Raises `Ending` when it has ended, by its time or by somebody's will."""
        while True:
            await self._wait_for_end()
            try:
                await admitted(self._gate, self._token)
            except Ending as over:
                late = _seconds_until(self._visit.ends_at) <= 0
                if late or over.close_code == CLOSE_NOT_SIGNED_IN:
                    raise Ending(CLOSE_NOT_SIGNED_IN, "login_ended", ENDED) from over
                # else nobody can tell just now

    async def _wait_for_end(self) -> None:
        self._prolonged.clear()
        left_s = max(_seconds_until(self._visit.ends_at), 0)
        try:
            async with asyncio.timeout(min(left_s, LOOK_INTERVAL_S)):
                await self._prolonged.wait()
        except TimeoutError:
            pass


def _seconds_until(moment: datetime) -> float:
    return (moment - datetime.now(UTC)).total_seconds()


def _message(frame: str) -> dict[str, Any]:
    """Empty when it is none; then the engine says what is wrong."""
    try:
        found = json.loads(frame)
    except (ValueError, RecursionError):  # the latter: a thousand brackets
        return {}
    return found if isinstance(found, dict) else {}


async def send(browser: WebSocket, frame: Frame) -> None:
    kind = "text" if isinstance(frame, str) else "bytes"
    await browser.send({"type": "websocket.send", kind: frame})
