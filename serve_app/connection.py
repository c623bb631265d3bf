"""One socket: reads, routes each message to its session's lane, answers, and ends cleanly.

frame ─ parse ─┬─ text, audio, text_webrtc ─► lane of the session ─► turn ─┐
               ├─ interrupt ────────────────► lane ────────────────────────┤
               ├─ sound, microphone ────────► microphone ─► lane           │
               ├─ webrtc_… ─────────────────► the user's peer              │
               └─ hello, ping ─────────────────────────────────────────────┴─► outbox ─► socket
"""

import asyncio
import logging
import time

from starlette.websockets import WebSocket, WebSocketDisconnect

from serve_app.allowance import Allowance
from serve_app.backpressure import PacedSender
from serve_app.complaint import complaint
from serve_app.errors import SessionNotFound
from serve_app.lane import Lane
from serve_app.live import Caller, Live
from serve_app.outbox import Outbox, SlowReader
from serve_app.services import Services
from serve_app.sessions import Session, session_id_in
from serve_app.switchboard import Line
from wire.events import (
    GRANTED_FEATURES,
    AudioMessage,
    BadMessage,
    ClientEvent,
    ErrorEvent,
    HelloEvent,
    HelloMessage,
    IceServersEvent,
    InterruptMessage,
    MicrophoneMessage,
    PingMessage,
    PongEvent,
    ServerEvent,
    TextMessage,
    TextWebRtcMessage,
    WebRtcIceCandidate,
    WebRtcOffer,
    parse_client_event,
)

logger = logging.getLogger(__name__)

CLOSE_NOT_FOUND = 4404

MESSAGES_A_SECOND = 100.0
"""Fifty frames of live microphone a second, and as much again for all else."""

MESSAGE_BURST = 300.0

LARGE_FRAME_BYTES = 256 * 1024
"""Reading a frame of this size takes about a millisecond; larger ones are read in a thread."""

FAREWELL_LIMIT_S = 5.0
"""How long a closing socket may take to receive what is still on its way."""


SESSION_ENDED = ErrorEvent(
    code="session_ended",
    content="This session has been ended or has expired. Create a new one to go on.",
)


class Closed(Exception):
    """The socket has ended."""


class Connection:
    """One socket from its acceptance to its end."""

    def __init__(self, services: Services, socket: WebSocket, caller: Caller) -> None:
        self._services = services
        self._socket = socket
        self._caller = caller
        self._outbox = Outbox(PacedSender(socket).send)
        self._lanes: dict[str, Lane] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._allowance = Allowance(MESSAGES_A_SECOND, MESSAGE_BURST, time.monotonic())
        self._line = Line(caller.student_id, whole_student=caller.session is None)
        self._tasks = asyncio.TaskGroup()
        self._live = Live(services, caller, self, self._tasks)

    async def run(self) -> None:
        """Serve the socket until either side ends it."""
        with self._services.switchboard.connected(self._line):
            try:
                async with self._tasks:
                    if self._caller.session is not None:
                        self._open_lane(self._caller.session)
                    self._tasks.create_task(self._outbox.run(), name="outbox")
                    self._tasks.create_task(self._watch_ends(), name="ends")
                    self._live.arrive()
                    await self._read()
            except* (Closed, WebSocketDisconnect):
                pass
            except* SlowReader:
                logger.warning("A client that did not read was cut off")
            finally:
                self._live.leave()

    async def _read(self) -> None:
        while True:
            received = await self._socket.receive()
            if received["type"] == "websocket.disconnect":
                raise Closed
            frame = received.get("text")
            try:
                await self._handle(frame if frame is not None else received["bytes"])
            except Exception as error:  # a bad message is answered, never fatal
                await self.complain(error)

    async def complain(self, error: Exception) -> None:
        event = complaint(error)
        if self._caller.session is not None:
            event = event.model_copy(update={"engine_session_id": None})
        await self.put(event)

    async def put(self, event: ServerEvent) -> None:
        """Send an event, when the client wants it."""
        await self._outbox.put(event)

    def open_lane(self, session_id: str) -> Lane | None:
        """The lane of a session that has been addressed on this socket."""
        return self._lanes.get(session_id)

    async def _handle(self, frame: str | bytes) -> None:
        if not self._allowance.take(time.monotonic()):
            raise BadMessage(
                "too_many_messages",
                f"More than {MESSAGES_A_SECOND:.0f} messages a second; this one was dropped.",
            )
        if isinstance(frame, bytes) and "stream_in" in self._outbox.features:
            self._live.hear_frame(frame)
            return
        if len(frame) > LARGE_FRAME_BYTES:
            event = await asyncio.to_thread(parse_client_event, frame)
        else:
            event = parse_client_event(frame)
        await self._route(event)

    async def _route(self, event: ClientEvent) -> None:
        match event:
            case TextMessage() | AudioMessage():
                (await self.lane(event.engine_session_id)).ask(event)
            case TextWebRtcMessage():
                self._check_user(event.user_id, event.engine_session_id)
                (await self._live.address(event.engine_session_id)).ask(event)
            case InterruptMessage():
                await (await self.lane(event.engine_session_id)).interrupt()
            case MicrophoneMessage():
                await self._live.turn_microphone(event)
            case HelloMessage():
                await self._greet(event)
            case PingMessage():
                await self._outbox.put(PongEvent())
            case WebRtcOffer() | WebRtcIceCandidate():
                self._check_user(event.user_id, event.engine_session_id)
                self._live.negotiate(event)

    def _check_user(self, user_id: int, engine_session_id: str | None) -> None:
        if user_id != self._caller.student_id:
            raise BadMessage(
                "wrong_user", "The `user_id` is not the one of this connection.", engine_session_id
            )

    async def _greet(self, hello: HelloMessage) -> None:
        granted = GRANTED_FEATURES & set(hello.features)
        self._outbox.features = frozenset(granted)
        self._outbox.audio_format = hello.audio_format
        await self._outbox.put(
            HelloEvent(
                session_id=self._caller.session.id if self._caller.session else None,
                features=sorted(granted),
                engines=await self._services.engines.names(),
            )
        )
        await self._outbox.put(
            IceServersEvent(
                items=self._live.ice_servers(),
                ttl_s=self._services.settings.turn_ttl_seconds,
            )
        )

    async def lane(self, engine_session_id: str | None) -> Lane:
        """The lane a message belongs to. Raises `BadMessage`."""
        mine = self._caller.session
        if mine is not None:
            if engine_session_id not in (None, mine.id):
                raise _not_yours(engine_session_id)
            return self._own_lane(mine)
        if engine_session_id is None:
            raise BadMessage(
                "missing_engine_session_id",
                "On this connection each message names its session in `engine_session_id`.",
            )
        try:
            session_id = session_id_in(engine_session_id)
        except SessionNotFound as malformed:
            raise _not_yours(engine_session_id) from malformed
        if (lane := self._lanes.get(session_id)) is not None:
            return lane
        return self._open_lane(await self._session_of_caller(session_id))

    def _own_lane(self, mine: Session) -> Lane:
        if (lane := self._lanes.get(mine.id)) is None:
            raise SessionNotFound  # it has ended, and the socket is about to close
        return lane

    async def _session_of_caller(self, engine_session_id: str) -> Session:
        try:
            session = await self._services.sessions.get(engine_session_id)
        except SessionNotFound as unknown:
            raise _not_yours(engine_session_id) from unknown
        if session.student_id != self._caller.student_id:
            raise _not_yours(engine_session_id)
        return session

    def _open_lane(self, session: Session) -> Lane:
        user_based = self._caller.session is None
        lane = Lane(self._services, session, self._outbox, self._live.peer, user_based=user_based)
        self._lanes[session.id] = lane
        self._running[session.id] = self._tasks.create_task(lane.run(), name="lane")
        self._line.session_ids.add(session.id)
        return lane

    async def _watch_ends(self) -> None:
        """Tell the client of sessions that have ended, and hang up after the last."""
        while (session_id := await self._line.ended.get()) is not None:
            self._lanes.pop(session_id)
            self._running.pop(session_id).cancel()  # its lane keeps what was being said
            event = SESSION_ENDED
            if self._caller.session is None:
                event = event.model_copy(update={"engine_session_id": session_id})
            await self._outbox.put(event)
            if self._caller.session is not None:
                break
        await self._hang_up()

    async def _hang_up(self) -> None:
        """End the socket from this side, and its peer. Raises `Closed`."""
        self._live.end()
        try:
            async with asyncio.timeout(FAREWELL_LIMIT_S):
                await self._outbox.flushed()
        except TimeoutError:
            logger.warning("A client did not take what was left before its socket closed")
        await self._socket.close(CLOSE_NOT_FOUND)
        raise Closed


def _not_yours(engine_session_id: str | None) -> BadMessage:
    # One answer for unknown and for another's, so that nobody can ask which sessions exist.
    return BadMessage(
        "session_not_found",
        "This `engine_session_id` is not a live session of yours. Create one first.",
        engine_session_id,
    )
