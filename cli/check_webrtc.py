"""`tutor check --webrtc`: a live conversation as a browser has it, step by step.

hello ─► ICE servers ─► offer ─► connection ─► face ─► question ─► interruption ─► goodbye
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import ValidationError

from cli.check import STUDENT_ID, NotTried, Walk
from cli.client import ANSWER_LIMIT_S, Client, Event, Silent, Talk
from cli.errors import CommandError
from cli.evidence import Wrong
from cli.live import Peer, ice_servers, rate
from foundation.settings import is_loopback
from serve_app.webrtc.ice import IceNetwork
from wire.events import IceServer

QUESTION = "Hello! Please greet me in one sentence."
LONG_QUESTION = "Please tell me something about it, in a few sentences."

FEATURES = ("captions", "ice_servers", "metrics", "state")

GREET_LIMIT_S = 10.0
CONNECT_LIMIT_S = 12.0
"""The engine says within ten seconds why nothing comes of an offer."""

LOOK_INTERVAL_S = 0.05

WATCHED_S = 2.0
WATCHES = 3
"""The first picture comes while everything else is still starting."""

LEAST_FPS = 24.0

LISTENED_S = 2.0
"""Of an answer; a long one is not waited for."""

LATE_S = 2.0
"""So long after its end, something of an answer may still be on its way."""

STOP_LIMIT_S = 5.0
STOPPED_S = 1.0
"""By then an interrupted tutor must be silent; 0.3 s are usual."""

QUIET_S = 0.5
"""Longer than the pause between two sentences."""


@dataclass(frozen=True)
class Answer:
    """What came of a question."""

    first_voice_ms: float
    spoken_s: float
    """As far as it was listened to."""
    frames: int
    """Meanwhile."""
    captions: int
    over_channel: int
    """Captions that came over the data channel as well."""
    text: str

    def __str__(self) -> str:
        return (
            f"first voice after {self.first_voice_ms:.0f} ms, {self.frames} frames in "
            f"{self.spoken_s:.1f} s of it, captions: {self.captions} ({self.over_channel} over the "
            f"data channel), {len(self.text)} characters without audio"
        )


@dataclass
class Coming:
    """What has come over the socket since the last question."""

    asked_s: float = 0.0
    events: list[Event] = field(default_factory=list)
    idle_s: float | None = None
    """When the answer ended."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more of the answer can come."""
        return self.idle_s is not None and time.monotonic() > self.idle_s + LATE_S

    def of(self, kind: str) -> list[Event]:
        return [event for event in self.events if event.get("type") == kind]

    def note(self, event: Event) -> None:
        self.events.append(event)
        if event.get("state") == "idle":
            self.idle_s = time.monotonic()


class Live:
    """A socket and a peer beside it; `with` closes the peer.

    Its calls raise `Wrong`, or `CommandError`: its sentence is the engine's, and its remedy says
    what this side has seen.
    """

    def __init__(self, socket: Talk, net: IceNetwork, runner: asyncio.Runner) -> None:
        """`net` says whether loopback may be used, and whether only a relay. All peers share the
        runner, so that none stands still while another is called."""
        self._socket = socket
        self._net = net
        self._runner = runner
        self._peer: Peer | None = None
        self._coming = Coming()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        if self._peer is not None:
            self._runner.run(self._peer.close())
            self._peer = None

    # ── hello, offer, connection ────────────────────────────────────────────────────────────────

    def greet(self) -> list[str]:
        """Say `hello`; returns the addresses of the STUN and TURN servers."""
        return self._runner.run(self._greet())

    async def _greet(self) -> list[str]:
        await self._send(type="hello", features=FEATURES)
        granted = (await self._next("hello", GREET_LIMIT_S)).get("features", [])
        if missing := set(FEATURES) - set(granted):
            raise Wrong("what a browser asks for", f"all but {', '.join(sorted(missing))}")
        told = await self._next("ice_servers", GREET_LIMIT_S)
        try:
            servers = [IceServer.model_validate(item) for item in told.get("items", [])]
        except ValidationError as broken:
            raise Wrong("ICE servers", "something else") from broken
        self._net.servers = ice_servers(servers)
        return [url for server in servers for url in server.urls]

    def connect(self, session_id: str | None = None) -> tuple[float, str]:
        """Returns the milliseconds from before the offer, and the kinds of candidates."""
        if self._net.relay_only and not self._net.servers.turn:
            raise CommandError(
                "The engine names no relay (TURN), and nothing else may be used.",
                "Set TURN_URLS and TURN_SECRET, or leave out --relay.",
            )
        return self._runner.run(self._connect(session_id))

    async def _connect(self, session_id: str | None) -> tuple[float, str]:
        began_s = time.monotonic()
        try:
            peer = self._peer = Peer(self._net)
        except ValueError as wrong:  # of aiortc, for the address of a server
            raise Wrong("ICE servers that can be used", f"others ({wrong})") from wrong
        offer = await peer.offer()
        await self._send(type="webrtc_offer", sdp=offer, **self._names(session_id))
        await peer.take(str((await self._next("webrtc_answer", CONNECT_LIMIT_S)).get("sdp")))
        await self._until(lambda: peer.is_ready, "a connection", CONNECT_LIMIT_S)
        return ((peer.connected_s or 0.0) - began_s) * 1000, peer.way()

    # ── what is seen and heard ──────────────────────────────────────────────────────────────────

    def watch(self) -> tuple[float, str]:
        """Frames a second of the face that is not asked anything, and their size."""
        return self._runner.run(self._watch(self._connected()))

    async def _watch(self, peer: Peer) -> tuple[float, str]:
        best = 0.0
        for _ in range(WATCHES):
            before, end_s = len(peer.frames_s), time.monotonic() + WATCHED_S
            while time.monotonic() < end_s:
                await self._look()
            best = max(best, rate(peer.frames_s[before:]))
            if best >= LEAST_FPS:
                return best, peer.size
        raise Wrong(f"{LEAST_FPS:g} frames a second", f"{best:.1f}")

    def ask(self, content: str, session_id: str | None = None) -> Answer:
        """Ask, and listen to the answer, or to its beginning."""
        return self._runner.run(self._ask(self._connected(), content, session_id))

    async def _ask(self, peer: Peer, content: str, session_id: str | None) -> Answer:
        coming = await self._put(peer, content, session_id)
        await self._until(lambda: self._knows_enough(peer), "a whole answer", ANSWER_LIMIT_S)
        return answer(peer, coming, session_id)

    def _knows_enough(self, peer: Peer) -> bool:
        coming = self._coming
        if coming.is_over:
            return True
        voice_s = peer.voice_s(coming.asked_s)
        if voice_s is None or not coming.of("text") or not coming.of("caption"):
            return False
        return coming.idle_s is not None or time.monotonic() > voice_s + LISTENED_S

    def _is_heard(self, peer: Peer) -> bool:
        return self._coming.is_over or peer.voice_s(self._coming.asked_s) is not None

    async def _put(self, peer: Peer, content: str, session_id: str | None) -> Coming:
        coming = self._coming = Coming(time.monotonic())
        peer.events.clear()
        await self._send(type="text_webrtc", content=content, **self._names(session_id))
        return coming

    @property
    def is_answering(self) -> bool:
        return self._coming.idle_s is None

    def interrupt(self, content: str, session_id: str | None = None) -> float:
        """Interrupt the answer, or one to this question when it has ended; returns after how many
        milliseconds there was silence."""
        return self._runner.run(self._interrupt(self._connected(), content, session_id))

    async def _interrupt(self, peer: Peer, content: str, session_id: str | None) -> float:
        if not self.is_answering:
            await self._put(peer, content, session_id)
        await self._until(lambda: self._is_heard(peer), "a voice", ANSWER_LIMIT_S)
        if peer.voice_s(self._coming.asked_s) is None:
            raise Wrong("a voice to interrupt", "none")
        asked_s = time.monotonic()
        await self._send(type="interrupt", engine_session_id=session_id)
        await self._next("interrupted", STOP_LIMIT_S)
        await self._until(lambda: self._coming.idle_s, "the end of the answer", STOP_LIMIT_S)
        await self._until(lambda: peer.is_quiet(QUIET_S), "silence", STOP_LIMIT_S)
        silent_s = max(0.0, peer.loud_s[-1] - asked_s)
        if silent_s > STOPPED_S:
            raise Wrong(f"silence within {STOPPED_S:g} s", f"voice for {silent_s:.1f} s more")
        return silent_s * 1000

    # ── the socket ──────────────────────────────────────────────────────────────────────────────

    def _connected(self) -> Peer:
        if self._peer is None or self._peer.connected_s is None:
            raise CommandError("There is no connection.")
        return self._peer

    def _names(self, session_id: str | None) -> Event:
        return {"user_id": STUDENT_ID, "engine_session_id": session_id}

    async def _send(self, **message: Any) -> None:
        await asyncio.to_thread(partial(self._socket.send, **message))

    async def _next(self, kind: str, limit_s: float) -> Event:
        """The first event of this type since the question."""
        await self._until(lambda: self._coming.of(kind), f"`{kind}`", limit_s)
        return self._coming.of(kind)[0]

    async def _until(self, there: Callable[[], object], what: str, limit_s: float) -> None:
        """Take what comes, until it is there. A connection that has failed is waited for only as
        long as the engine may take to say why."""
        end_s = time.monotonic() + limit_s
        while not there():
            if self._peer is not None and self._peer.failed_s is not None:
                end_s = min(end_s, self._peer.failed_s + CONNECT_LIMIT_S)
            if time.monotonic() > end_s:
                remedy = self._peer.account() if self._peer else ""
                raise CommandError(f"expected {what}; came nothing in time", remedy)
            await self._look()

    async def _look(self) -> None:
        """Wait a moment for an event of the socket, and note it. Raises `CommandError`."""
        try:
            event = await asyncio.to_thread(self._socket.receive, LOOK_INTERVAL_S)
        except Silent:
            return
        if event.get("type") == "error":
            account = self._peer.account() if self._peer else ""
            raise CommandError(f"`{event.get('code')}`: {event.get('content')}", account)
        self._coming.note(event)


def answer(peer: Peer, coming: Coming, session_id: str | None) -> Answer:
    """What has come of a question. Raises `Wrong` when a part is missing."""
    strange = {event.get("engine_session_id") for event in coming.events} - {session_id}
    if session_id is not None and strange:
        raise Wrong(f"only events of session {session_id[:8]}…", f"some of {strange}")
    if (voice_s := peer.voice_s(coming.asked_s)) is None:
        raise Wrong("a voice", "an answer without one", "tts")
    if not (texts := coming.of("text")) or not texts[0].get("content", "").strip():
        raise Wrong("a `text` with words", "none", "llm")
    if texts[0].get("audio"):
        raise Wrong("a `text` without `audio`", "one that holds the voice again")
    if not (captions := coming.of("caption")):
        raise Wrong("a `caption`", "none")
    frames = sum(voice_s <= at_s <= peer.loud_s[-1] for at_s in peer.frames_s)
    if not frames:
        raise Wrong("a face that speaks", "a voice alone", "avatar")
    over_channel = sum(event.get("type") == "caption" for event in peer.events)
    return Answer(
        first_voice_ms=(voice_s - coming.asked_s) * 1000,
        spoken_s=peer.loud_s[-1] - voice_s,
        frames=frames,
        captions=len(captions),
        over_channel=over_channel,
        text=texts[0]["content"].strip(),
    )


class LiveWalk(Walk):
    """The same engine, as a browser uses it."""

    def __init__(self, client: Client, opened: ExitStack, *, relay_only: bool = False) -> None:
        super().__init__(client, opened)
        self._relay_only = relay_only
        self._runner = opened.enter_context(asyncio.Runner())
        self._live: Live | None = None
        self._is_connected = False
        self.steps = [
            ("health", self.check_health),
            ("create a session", self.check_create),
            ("open its socket", self.check_socket),
            ("hello → ICE servers", self.check_hello),
            ("offer → connection", self.check_connection),
            ("the face before anybody speaks", self.check_face),
            ("question → face, voice, captions", self.check_question),
            ("interrupt → silence", self.check_interrupt),
            ("two sessions, one socket, one peer", self.check_two_sessions),
            ("goodbye → socket closed", self.check_goodbye),
        ]

    def check_hello(self) -> str:
        if self.socket is None:
            raise NotTried
        live = self.opened.enter_context(self._talking(self.socket))
        urls = live.greet()
        self._live = live
        return ", ".join(urls) or "none: only direct connections"

    def check_connection(self) -> str:
        if self._live is None:
            raise NotTried
        seen = _connected(self._live)
        self._is_connected = True
        return seen

    def check_face(self) -> str:
        fps, size = self._conversation().watch()
        return f"{fps:.1f} frames of {size} a second, for {WATCHED_S:g} s"

    def check_question(self) -> str:
        return str(self._conversation().ask(QUESTION))

    def check_interrupt(self) -> str:
        return f"silent after {self._conversation().interrupt(LONG_QUESTION):.0f} ms"

    def check_two_sessions(self) -> str:
        self._conversation()
        with self.student_socket() as (socket, ids), self._talking(socket) as live:
            live.greet()
            seen = _connected(live, ids[0])
            voices = []
            for session_id in ids:
                answer = live.ask(QUESTION, session_id)
                if live.is_answering:
                    live.interrupt(QUESTION, session_id)
                voices.append(f"{answer.first_voice_ms:.0f} ms")
        return f"{seen}; first voices after {' and '.join(voices)}"

    def check_goodbye(self) -> str:
        if self._live is not None:
            self._live.close()
        return self.check_end()

    def _talking(self, socket: Talk) -> Live:
        here = is_loopback(urlsplit(self.client.url).hostname or "")
        net = IceNetwork(loopback=here, relay_only=self._relay_only)
        return Live(socket, net, self._runner)

    def _conversation(self) -> Live:
        if self._live is None or not self._is_connected:
            raise NotTried
        return self._live


def _connected(live: Live, session_id: str | None = None) -> str:
    ms, way = live.connect(session_id)
    return f"after {ms:.0f} ms, {way}"
