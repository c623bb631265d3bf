"""The live side of a socket: its user's WebRTC peer, and the microphone.

webrtc_offer, candidates ─► peer ─┐ sound
binary frames ────────────────────┴──────► microphone ─► the session that was addressed last
"""

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from engines.avatar.viseme.portrait import FACES
from engines.base import Pcm
from serve_app.allowance import Allowance
from serve_app.lane import Lane
from serve_app.listening.barge_in import BargeInLimits
from serve_app.listening.endpointing import Pauses
from serve_app.listening.microphone import Microphone
from serve_app.services import Services
from serve_app.sessions import Session
from serve_app.webrtc.peer import Peer
from wire.events import (
    MAX_SOUND_BYTES,
    BadMessage,
    ErrorEvent,
    IceServer,
    MicrophoneMessage,
    ServerEvent,
    WebRtcAnswerEvent,
    WebRtcIceCandidate,
    WebRtcOffer,
)

MOST_NEGOTIATIONS = 80
"""WebRTC messages that may wait for one another: an offer and all its candidates."""


OFFERS_A_SECOND = 0.5
"""Each new connection takes ports, threads and a certificate."""

OFFER_BURST = 8.0

SOUND_BEHIND_S = 0.15
"""A key that goes up is known before the last sound has come through the peer's buffers; over the
socket it comes behind it."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is on the socket: a student, and in session-based mode one session of theirs."""

    student_id: int
    session: Session | None

    @property
    def user(self) -> str:
        """Whose peer it is: in user-based mode all sessions of the user share one."""
        return f"session-{self.session.id}" if self.session else f"user-{self.student_id}"


class Desk(Protocol):
    """The socket's own side; see `Connection`."""

    async def lane(self, engine_session_id: str | None) -> Lane: ...
    def open_lane(self, session_id: str) -> Lane | None: ...
    async def put(self, event: ServerEvent) -> None: ...
    async def complain(self, error: Exception) -> None: ...


class Live:
    """What one socket has to do with sound and pictures that do not wait."""

    def __init__(
        self, services: Services, caller: Caller, desk: Desk, tasks: asyncio.TaskGroup
    ) -> None:
        self._services = services
        self._caller = caller
        self._desk = desk
        self._tasks = tasks
        self._addressed: str | None = caller.session.id if caller.session else None
        """The session that hears the microphone."""
        settings = services.settings
        pauses = Pauses(
            settings.endpoint_finished_ms,
            settings.endpoint_unsure_ms,
            settings.endpoint_hanging_ms,
        )
        limits = BargeInLimits(settings.barge_in_hold_ms, settings.barge_in_stop_ms)
        self._microphone = Microphone(services.engines.detector, self, pauses, limits)
        self._negotiations = 0
        self._offers = Allowance(OFFERS_A_SECOND, OFFER_BURST, time.monotonic())

    def arrive(self) -> None:
        """The socket is open; a peer from before may still be there."""
        self._tasks.create_task(self._microphone.run(), name="microphone")
        if (peer := self._services.peers.of(self._caller.user)) is not None:
            peer.attend(self)

    def leave(self) -> None:
        """The socket has gone; the peer stays for a while."""
        if (peer := self._services.peers.of(self._caller.user)) is not None:
            peer.leave(self)

    def end(self) -> None:
        """The last session has ended: nobody is to be seen any more."""
        if (peer := self.peer()) is not None:
            peer.end()

    async def address(self, engine_session_id: str | None) -> Lane:
        """The session that is spoken to from now on. Raises `BadMessage`."""
        lane = await self._desk.lane(engine_session_id)
        if self._addressed != lane.session.id:
            self._addressed = lane.session.id
            self._tasks.create_task(self._turn_to(lane), name="turn to")
        return lane

    async def _turn_to(self, lane: Lane) -> None:
        """Show the face of the tutor that is spoken to, unless another one is speaking."""
        peer = self.peer()
        if peer is not None and not peer.stage.is_taken:
            try:
                await peer.stage.wear(self._services.tutors.get(lane.session.tutor_id).face)
            except Exception as error:  # then the face changes with the answer, or says why not
                logger.warning("A face could not be shown: %s", error)

    # ── the peer ────────────────────────────────────────────────────────────────────────────────

    def peer(self) -> Peer | None:
        """The user's peer, connected or not; None when it is on another page of theirs."""
        peer = self._services.peers.of(self._caller.user)
        return peer if peer is not None and peer.is_of(self) else None

    def ice_servers(self) -> list[IceServer]:
        return self._services.peers.ice_servers(self._caller.user)

    def negotiate(self, event: WebRtcOffer | WebRtcIceCandidate) -> None:
        """Gathering takes seconds, for which the socket's other messages do not wait. Raises
        `BadMessage` when too many are waiting."""
        offers = isinstance(event, WebRtcOffer)
        if self._negotiations >= MOST_NEGOTIATIONS or (
            offers and not self._offers.take(time.monotonic())
        ):
            raise BadMessage(
                "too_many_pending",
                "Too many WebRTC messages are waiting. Wait for the answer first.",
                event.engine_session_id,
            )
        self._negotiations += 1
        self._tasks.create_task(self._negotiation(event), name="negotiate")

    async def _negotiation(self, event: WebRtcOffer | WebRtcIceCandidate) -> None:
        try:
            if isinstance(event, WebRtcOffer):
                await self._answer(event)
            elif (peer := self._services.peers.of(self._caller.user)) is not None:
                await peer.add(event.candidate)
        except Exception as error:  # whatever it is, the conversation goes on over the socket
            await self._desk.complain(error)
        finally:
            self._negotiations -= 1

    async def _answer(self, offer: WebRtcOffer) -> None:
        session_id = offer.engine_session_id
        if session_id is not None:
            await self.address(session_id)
        face = self._first_face(offer)
        sdp = await self._services.peers.answer(self._caller.user, offer.sdp, self, face)
        answer = WebRtcAnswerEvent(sdp=sdp)
        if self._caller.session is None:
            answer = answer.model_copy(update={"engine_session_id": session_id})
        await self._desk.put(answer)

    def _first_face(self, offer: WebRtcOffer) -> str:
        """The face that is there before anybody speaks."""
        services = self._services
        if offer.avatar_id is not None:
            return services.tutors.face_of(offer.avatar_id, services.engines.faces)
        if (lane := self.listener()) is not None:
            return services.tutors.get(lane.session.tutor_id).face
        return FACES[0]

    async def told(self, event: ErrorEvent) -> None:
        """The peer is in trouble."""
        await self._desk.put(event)

    # ── the microphone ──────────────────────────────────────────────────────────────────────────

    def hear(self, sound: Pcm) -> None:
        """Live sound of the learner, from the peer or the socket."""
        self._microphone.feed(sound)

    def hear_frame(self, frame: bytes) -> None:
        """The same as a binary frame of the socket. Raises `BadMessage`."""
        if not frame or len(frame) % 2 or len(frame) > MAX_SOUND_BYTES:
            raise BadMessage(
                "invalid_sound",
                "A binary frame is live sound: PCM s16 little-endian, 16 kHz, mono, at most "
                f"{MAX_SOUND_BYTES} bytes.",
            )
        self.hear(np.frombuffer(frame, "<i2").astype(np.int16))

    async def turn_microphone(self, event: MicrophoneMessage) -> None:
        """Open, close, or a key is down. Raises `BadMessage`."""
        if event.engine_session_id is not None or self.listener() is None:
            await self.address(event.engine_session_id)
        peer = self.peer()
        live = peer is not None and peer.is_connected
        self._microphone.turn(event.state, SOUND_BEHIND_S if live else 0.0)

    def listener(self) -> Lane | None:
        """The session that is spoken to."""
        return self._desk.open_lane(self._addressed) if self._addressed is not None else None

    async def find_listener(self) -> None:
        """Nobody was named: a student's only session is meant, of several none."""
        try:
            page = await self._services.sessions.page(
                student_id=self._caller.student_id, tutor_id=None, limit=2, after=None
            )
            if self._addressed is None:
                await self.address(page[0].id if len(page) == 1 else None)
        except Exception as error:  # it says which field is missing
            await self._desk.complain(error)
