"""One learner's WebRTC connection: the face and the voice go out, the microphone comes in.

offer ─► negotiate ─► ICE, DTLS ─► connected ─► stage runs ─► tracks
                          │                        ▲
              no way within 8 s:           network gone: held, and on again when it is back
              an error says why
"""

import asyncio
import logging
import time
from collections import Counter
from typing import Any, Protocol

import av
import numpy as np
from aiortc import (
    MediaStreamTrack,
    RTCDataChannel,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc import (
    sdp as session_description,
)
from aiortc.mediastreams import MediaStreamError
from aiortc.sdp import candidate_from_sdp

from engines.base import HEARING_RATE_HZ, Pcm
from serve_app.errors import BadDescription
from serve_app.stage.stage import Stage
from serve_app.to_the_end import to_the_end
from serve_app.webrtc import codecs  # noqa: F401 - puts our encoders in place of aiortc's
from serve_app.webrtc.diagnosis import Facts, Finding, candidate_kind, diagnose
from serve_app.webrtc.ice import IceError, IceNetwork, network
from serve_app.webrtc.jitter import use_for_speech
from wire.events import ErrorEvent, ServerEvent

logger = logging.getLogger(__name__)

LOOK_INTERVAL_S = 0.25

CONNECT_LIMIT_S = 8.0
"""A way that leads somewhere is found within two seconds; the learner is told within ten."""

SETTLE_LIMIT_S = 3.0
"""A question that comes right behind the offer waits so long for the connection; then it is
answered over the socket."""

SILENCE_HELD_S = 3.0
"""A browser reports at least every second and a half: after this time nothing that is sent
arrives, so the tutor waits instead of speaking to nobody."""

SILENCE_TOLD_S = 6.0

CLOSE_LIMIT_S = 5.0
"""A relay that does not answer is not waited for any longer."""

MOST_CANDIDATES = 64
"""A laptop with several networks names a dozen."""

MOST_SECTIONS = 6
"""A voice, a face and a data channel, each again by a client that adds new ones when it changes:
every one costs sockets and threads."""

MOST_CHANNELS = 4

CHANNEL_BUFFER_BYTES = 64 * 1024
"""What may wait on a data channel; captions that late are of no use."""


class Attendant(Protocol):
    """The socket on which the peer's learner is."""

    def hear(self, sound: Pcm) -> None:
        """Live sound of the learner: int16 mono at 16 kHz."""
        ...

    async def told(self, event: ErrorEvent) -> None:
        """Something is wrong with the peer."""
        ...


class Peer:
    """A live connection, from its first offer to its end."""

    def __init__(self, stage: Stage, ice: IceNetwork, grace_s: float) -> None:
        """It ends `grace_s` after its last socket has gone."""
        self.stage = stage
        self._ice = ice
        self._grace_s = grace_s
        self._connection = RTCPeerConnection(ice.configuration())
        self._negotiating = asyncio.Lock()
        self._identity: object = None
        self._offered_s = time.monotonic()
        self._connected = asyncio.Event()
        self._ended = asyncio.Event()
        self._attendants: dict[Attendant, None] = {}
        """In the order in which they came."""
        self._hearing: Attendant | None = None
        self._unattended_s = time.monotonic()
        self._candidates: Counter[str] = Counter()
        self._channels: list[RTCDataChannel] = []
        self._held = False
        """Nothing has come for a while: the tutor waits."""
        self._told_lost = False
        self._work: list[asyncio.Task[None]] = []
        """What goes on for as long as the peer lives."""
        self._tasks = asyncio.TaskGroup()
        self._connection.on("connectionstatechange", self._note_state)
        self._connection.on("track", self._begin_to_hear)
        self._connection.on("datachannel", self._open_channel)

    @property
    def is_connected(self) -> bool:
        """Whether what is sent arrives, as far as anybody can know."""
        return self._connected.is_set() and not self._ended.is_set() and not self._told_lost

    async def settled(self) -> None:
        """Wait, for a moment, until it is known whether the connection works."""
        over = asyncio.ensure_future(self._ended.wait())
        up = asyncio.ensure_future(self._connected.wait())
        try:
            await asyncio.wait(
                (up, over), timeout=SETTLE_LIMIT_S, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            up.cancel()
            over.cancel()

    def _note_state(self) -> None:
        if self._connection.connectionState == "connected":
            self._connected.set()

    @property
    def has_channel(self) -> bool:
        """Whether the client takes events over the peer as well."""
        return any(channel.readyState == "open" for channel in self._channels)

    # ── negotiation ─────────────────────────────────────────────────────────────────────────────

    def continues(self, offer: str) -> bool:
        """Whether this offer is of the browser's same connection, and only changes it."""
        same = self._identity is None or self._identity == _identity(offer)
        return same and not self._ended.is_set()

    async def answer(self, offer: str) -> str:
        """Take an offer; returns the answer, with all candidates in it. Raises `BadDescription`,
        or `IceError`."""
        async with self._negotiating:
            try:
                self._identity = _identity(offer)
                with network(self._ice):
                    await self._take(offer)
                    await self._connection.setLocalDescription(
                        await self._connection.createAnswer()
                    )
            except (IceError, BadDescription):
                self.end()
                raise
            except Exception as wrong:  # aiortc has no error tree for what a description may hold
                self.end()
                raise BadDescription from wrong
            return self._connection.localDescription.sdp

    async def _take(self, offer: str) -> None:
        offered = session_description.SessionDescription.parse(offer).media
        if not any(media.kind in ("audio", "video") for media in offered):
            raise ValueError("nothing to send is offered")
        if len(offered) > MOST_SECTIONS:
            raise ValueError("too much is offered")
        self._candidates.clear()  # an offer names all that are known
        self._count(*((f.type, f.ip) for media in offered[:1] for f in media.ice_candidates))
        await self._connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        for transceiver in self._connection.getTransceivers():
            if transceiver.sender.track is None and not transceiver.stopped:
                self._send_on(transceiver)

    def _send_on(self, transceiver: Any) -> None:
        track = self.stage.face_track if transceiver.kind == "video" else self.stage.voice_track
        if any(sender.track is track for sender in self._connection.getSenders()):
            return  # a second camera or microphone is offered: one face is enough
        transceiver.sender.replaceTrack(track)
        transceiver.direction = "sendonly" if transceiver.kind == "video" else "sendrecv"

    async def add(self, candidate: dict[str, Any] | None) -> None:
        """A trickled candidate; None, or an empty one, is the last. Raises `BadDescription`."""
        async with self._negotiating:
            line = str((candidate or {}).get("candidate") or "")
            try:
                await self._connection.addIceCandidate(self._parsed(line, candidate or {}))
            except Exception as wrong:  # as above
                raise BadDescription from wrong

    def _parsed(self, line: str, candidate: dict[str, Any]) -> Any:
        if not line:
            return None
        found = candidate_from_sdp(line.removeprefix("candidate:"))
        found.sdpMid = candidate.get("sdpMid")
        found.sdpMLineIndex = candidate.get("sdpMLineIndex")
        self._count((found.type, found.ip))
        return found

    def _count(self, *candidates: tuple[str, str]) -> None:
        for kind, address in candidates:
            self._candidates[candidate_kind(kind, address)] += 1
        if self._candidates.total() > MOST_CANDIDATES:
            raise ValueError("too many candidates")

    # ── attendance ──────────────────────────────────────────────────────────────────────────────

    def attend(self, attendant: Attendant, *, offering: bool = False) -> None:
        """A socket of this learner is there; the one that made the offer hears the microphone."""
        self._attendants.setdefault(attendant, None)
        if offering:
            self._hearing = attendant

    def is_of(self, attendant: Attendant) -> bool:
        """Whether its picture is on the page behind this socket, as far as anybody can know."""
        return self._hearing is None or self._hearing is attendant

    def leave(self, attendant: Attendant) -> None:
        self._attendants.pop(attendant, None)
        if self._hearing is attendant:
            self._hearing = None
        self._unattended_s = time.monotonic()

    async def hand_over(self, to: Attendant, farewell: ErrorEvent) -> None:
        """Another connection of the same learner takes this one's place."""
        others = [attendant for attendant in self._attendants if attendant is not to]
        self._attendants.clear()
        self.end()
        for attendant in others:
            await attendant.told(farewell)

    def _open_channel(self, channel: RTCDataChannel) -> None:
        self._channels = [known for known in self._channels if known.readyState != "closed"]
        if len(self._channels) < MOST_CHANNELS:
            self._channels.append(channel)

    def tell(self, event: ServerEvent) -> None:
        """The same event as on the socket, for clients that opened a data channel."""
        for channel in self._channels:
            if channel.readyState == "open" and channel.bufferedAmount < CHANNEL_BUFFER_BYTES:
                channel.send(event.to_json())

    def end(self) -> None:
        """Close it as soon as possible."""
        self._ended.set()

    # ── life ────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Until it has ended and everything of it is closed."""
        try:
            async with self._tasks:
                self._work.append(self._tasks.create_task(self._watch(), name="watch"))
                self._work.append(self._tasks.create_task(self._play(), name="play"))
                await self._ended.wait()
                for task in self._work:
                    task.cancel()
                await self.stage.close()
                await self._close()
        except Exception:  # one peer's trouble is not the others'
            logger.exception("A WebRTC connection failed")
        finally:
            self._ended.set()
            await to_the_end(self._close())

    async def _close(self) -> None:
        try:
            async with asyncio.timeout(CLOSE_LIMIT_S):
                await self._connection.close()
        except TimeoutError:
            logger.warning("A WebRTC connection took too long to close")

    async def _play(self) -> None:
        await self._connected.wait()
        await self.stage.run()

    async def _watch(self) -> None:
        """Notice what the connection has come to."""
        while not self._ended.is_set():
            await asyncio.sleep(LOOK_INTERVAL_S)
            now_s = time.monotonic()
            if not self._attendants and now_s - self._unattended_s > self._grace_s:
                self.end()
            elif self._connection.connectionState == "closed":
                self.end()  # the other side has said goodbye
            elif self._connection.connectionState == "failed":
                await self._give_up(now_s)
            elif self._connection.connectionState == "connected":
                await self._look_for_silence(now_s)
            elif now_s - self._offered_s > CONNECT_LIMIT_S:
                await self._give_up(now_s)

    async def _give_up(self, now_s: float) -> None:
        if not self._told_lost:
            await self._report(diagnose(self._facts(now_s)))
        self.end()

    async def _look_for_silence(self, now_s: float) -> None:
        silence_s = now_s - (self._ice.last_heard_s or now_s)
        if silence_s < SILENCE_HELD_S:
            if self._held:
                self._come_back()
            return
        self._held = True
        self.stage.hold("network")
        if silence_s >= SILENCE_TOLD_S and not self._told_lost:
            self._told_lost = True
            await self._report(diagnose(self._facts(now_s)))

    def _come_back(self) -> None:
        """The network is there again. More was lost than can be sent again, so the picture begins
        anew, and does not wait for the browser to ask for that."""
        self._held = self._told_lost = False
        for sender in self._connection.getSenders():
            if sender.kind == "video":
                sender._send_keyframe()  # aiortc has no public name for it
        self.stage.release("network")

    def _facts(self, now_s: float) -> Facts:
        heard_s = self._ice.last_heard_s
        return Facts(
            remote_kinds=self._candidates,
            local_kinds=tuple(self._ice.local_kinds),
            turn_configured=bool(self._ice.servers.turn),
            turn_error=self._ice.turn_error,
            stun_error=self._ice.stun_error,
            checks_received=self._ice.checks_received,
            was_connected=self._connected.is_set(),
            silence_s=None if heard_s is None else now_s - heard_s,
            dtls=self._dtls_state(),
            ports=self._ice.ports,
        )

    def _dtls_state(self) -> str:
        """Of the handshake, once there is a path for it: without one aiortc calls it failed too."""
        for transceiver in self._connection.getTransceivers():
            transport = transceiver.receiver.transport
            return str(transport.state) if transport.transport.state == "completed" else "new"
        return "new"

    async def _report(self, finding: Finding) -> None:
        logger.warning("A WebRTC connection is in trouble: %s", finding.code)
        event = ErrorEvent(code=finding.code, content=finding.sentence)
        for attendant in list(self._attendants):
            await attendant.told(event)

    # ── the microphone ──────────────────────────────────────────────────────────────────────────

    def _begin_to_hear(self, track: MediaStreamTrack) -> None:
        if track.kind != "audio":
            return
        for transceiver in self._connection.getTransceivers():
            if transceiver.receiver.track is track:
                use_for_speech(transceiver.receiver)
                self._work.append(self._tasks.create_task(self._hear(track), name="hear"))

    async def _hear(self, track: MediaStreamTrack) -> None:
        """Pass on what the learner says: to the socket that offered, or after it the latest."""
        resampler = av.AudioResampler(format="s16", layout="mono", rate=HEARING_RATE_HZ)
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            assert isinstance(frame, av.AudioFrame)
            frame.pts = None  # gaps are silence that nobody said anything in
            sound = [part.to_ndarray()[0] for part in resampler.resample(frame)]
            hearing = self._hearing or next(reversed(self._attendants), None)
            if sound and hearing is not None:
                hearing.hear(np.concatenate(sound).astype(np.int16))


def _identity(offer: str) -> object:
    """What an offer shares with later ones of the same connection. Raises `BadDescription`."""
    try:
        media = session_description.SessionDescription.parse(offer).media
        return [
            (m.ice.usernameFragment, [print_.value for print_ in m.dtls.fingerprints])
            for m in media[:1]
            if m.ice is not None and m.dtls is not None
        ]
    except Exception as wrong:  # aiortc's parser fails in every possible way
        raise BadDescription from wrong
