"""The engine's socket of one student, opened with the token of a live session and tried before
anything is sent on it."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from wire.events import PingMessage, PongEvent

logger = logging.getLogger(__name__)
logger.setLevel(logging.INFO)  # with DEBUG the library writes headers, and so tokens, into the log

Frame = str | bytes

OPEN_LIMIT_S = 5.0
"""An engine that is there answers in milliseconds."""

WELCOME_LIMIT_S = 10.0
"""On a new socket the engine looks the token up in its database before anything else."""

PING_INTERVAL_S = 20.0
SILENCE_LIMIT_S = 60.0
"""An engine that hangs is left after so long; longer than the engine itself waits for a pong."""

CLOSE_LIMIT_S = 2.0

MAX_FRAMES_WAITING = 4
"""Beyond it the engine is not read: it waits for the browser. A frame may be a film of 10 MB."""

MAX_FRAME_BYTES = 64 * 2**20
"""A film of three minutes has some 20 MB in base64."""

MAX_FRAMES_BEFORE_WELCOME = 64
"""A peer from before may have a little to say as soon as the socket is there."""

MAX_TOKENS = 16
"""Sessions of one student that may be over without anybody here knowing it."""

WRONG_TOKEN_CODES = (4401, 4404)
"""The session of a token has ended; another one of the same student may still live."""

PASSED_ON_CODES = (1000, 1002, 1003, 1007, 1008, 1009, 1010, 1013)
"""With those from 4000 on, what the engine says to the client. 1001, 1011, 1012 and an end without
a word are the engine's own trouble, and it is tried again."""

PING = PingMessage(type="ping").model_dump_json(exclude_none=True)
PONG = PongEvent().to_json()


class EngineGone(Exception):
    """The engine does not answer, or has gone."""


class NoLiveSession(Exception):
    """The engine knows none of the tokens any more."""


class SocketEnded(Exception):
    """The engine has ended the socket, for a reason that the client should hear."""

    def __init__(self, code: int, reason: str, said: Sequence[Frame] = ()) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.said = said
        """What it said before it ended it."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A socket that the engine has welcomed."""

    link: ClientConnection
    said: Sequence[Frame]
    """What it said before it was asked anything."""


def socket_url(engine_url: str, user_id: int) -> str:
    """`engine_url` is that of the REST API, http or https."""
    parts = urlsplit(engine_url)
    scheme = "wss" if parts.scheme == "https" else "ws"
    return f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}/ws/user_{user_id}"


async def opened(url: str, tokens: Sequence[str]) -> Opened:
    """Try the tokens one after another. The caller closes the link.

    Raises `EngineGone`, `NoLiveSession` or `SocketEnded`.
    """
    for token in tokens[:MAX_TOKENS]:
        try:
            return await _opened(url, token)
        except SocketEnded as ended:
            if ended.code not in WRONG_TOKEN_CODES:
                raise
    raise NoLiveSession


async def _opened(url: str, token: str) -> Opened:
    try:
        link = await connect(
            url,
            additional_headers={
                "Authorization": f"Bearer {token}"
            },  # not in the URL: no log has it
            compression=None,  # it is the same machine or its network: that would only cost time
            proxy=None,
            open_timeout=OPEN_LIMIT_S,
            close_timeout=CLOSE_LIMIT_S,
            ping_interval=PING_INTERVAL_S,
            ping_timeout=SILENCE_LIMIT_S,
            max_size=MAX_FRAME_BYTES,
            max_queue=MAX_FRAMES_WAITING,
            logger=logger,
        )
    except (OSError, TimeoutError, WebSocketException) as failure:
        logger.info("The engine's socket cannot be opened: %s", failure)
        raise EngineGone from failure
    try:
        async with asyncio.timeout(WELCOME_LIMIT_S):
            return Opened(link, await _welcome(link))
    except TimeoutError as silent:
        link.transport.abort()
        raise EngineGone from silent
    except BaseException:
        link.transport.abort()
        raise


async def _welcome(link: ClientConnection) -> Sequence[Frame]:
    """An engine that refuses a token does so after it has accepted the socket; whatever had been
    sent until then would be lost. So it is pinged first."""
    said: list[Frame] = []
    with suppress(ConnectionClosed):  # what it said before is still to be read
        await link.send(PING)
    while len(said) < MAX_FRAMES_BEFORE_WELCOME:
        try:
            frame = await link.recv()
        except ConnectionClosed as closed:
            raise end_of(closed, said) from closed
        if frame == PONG:
            return said
        said.append(frame)
    raise EngineGone


def end_of(closed: ConnectionClosed, said: Sequence[Frame] = ()) -> SocketEnded | EngineGone:
    """What it means that the engine's socket has ended."""
    frame = closed.rcvd
    if frame is not None and (frame.code in PASSED_ON_CODES or 4000 <= frame.code < 5000):
        return SocketEnded(frame.code, frame.reason, said)
    return EngineGone()
