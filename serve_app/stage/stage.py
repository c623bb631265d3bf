"""A face that is always there: breathing, and speaking when a turn has the floor.

turn ─put()─► reel ──┐
                     ├─ every 20 ms ─► VoiceTrack ─► Opus ─┐
the face's cycle ────┘   every 40 ms ─► FaceTrack ─► VP8 ──┴─► the learner
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import numpy as np

from engines.base import FPS, FRAME_S, HEARING_RATE_HZ, VAD_WINDOW, Pcm
from serve_app.errors import PeerGone
from serve_app.stage.pacing import TICK_S, Pacing
from serve_app.stage.reel import (
    LIVE_RATE_HZ,
    SILENCE,
    UNIT_SAMPLES,
    Holder,
    MediaUnit,
    Reel,
    Shown,
)
from serve_app.stage.scenery import Scenery
from serve_app.stage.tracks import FaceTrack, VoiceTrack

TICK_SAMPLES = int(LIVE_RATE_HZ * TICK_S)

TICKS_OF_A_FRAME = round(FRAME_S / TICK_S)

DECIMATION = LIVE_RATE_HZ // HEARING_RATE_HZ

ECHO_WINDOWS = 16
"""Half a second of what was played waits for whoever compares it with the microphone."""

ShownFace = Callable[[str], Awaitable[str]]
"""Which face is to be shown for this one now."""

LoadScenery = Callable[[str], Scenery]
"""By the name of a face. Raises `EngineError`."""


class Stage:
    """What one learner sees and hears, paced by one clock."""

    def __init__(self, load_scenery: LoadScenery, shown: ShownFace) -> None:
        self.face_track = FaceTrack()
        self.voice_track = VoiceTrack()
        self.played: deque[Pcm] = deque(maxlen=ECHO_WINDOWS)
        """The tutor's own voice as it left: windows of 512 samples at 16 kHz."""
        self._load_scenery = load_scenery
        self._shown_for = shown
        self._scenery: Scenery | None = None
        self._face = self._shown = ""
        self._reel = Reel(int(time.monotonic() * FPS))
        self._moved = asyncio.Condition()
        self._floor = asyncio.Lock()
        self._on_played: Callable[[MediaUnit], None] | None = None
        self._second_half: Pcm | None = None
        self._kept: Pcm | None = None
        """The half of a unit that a hold cut off."""
        self._idle = True
        self._spare = np.zeros(0, np.int16)
        self._closed = False

    @property
    def face(self) -> str:
        """The face that is wanted."""
        return self._face

    @property
    def shown(self) -> str:
        """The face that is seen: another one may stand in for it."""
        return self._shown

    @property
    def is_taken(self) -> bool:
        """Whether a turn has the floor."""
        return self._floor.locked()

    async def wear(self, face: str) -> None:
        """Show this face from now on, or who stands in for it at the moment; after the turn that
        has the floor. Raises `EngineError`."""
        async with self._floor:
            await self._put_on(face)

    async def _put_on(self, face: str) -> None:
        shown = await self._shown_for(face)
        # Also when it is shown already: a face of the same name may have been made anew.
        self._scenery = await asyncio.to_thread(self._load_scenery, shown)
        self._face, self._shown = face, shown

    @asynccontextmanager
    async def floor(self, face: str, on_played: Callable[[MediaUnit], None]) -> AsyncIterator[int]:
        """One turn at a time speaks; the next waits. Yields its generation; a turn that leaves
        early leaves nothing behind."""
        async with self._floor:
            if self._closed:
                raise PeerGone
            await self._put_on(face)
            self._on_played = on_played
            generation = self._reel.cut()
            try:
                yield generation
            finally:
                self.cut(generation)
                self._on_played = None

    def begin(self) -> int:
        """Speech is about to be drawn; returns the frame at which it must begin."""
        return self._reel.begin()

    @property
    def ahead_s(self) -> float:
        return self._reel.ahead_s

    async def put(self, unit: MediaUnit) -> None:
        """Hand over a unit as soon as there is room. Raises `PeerGone`."""
        await self._until(lambda: self._reel.has_room or unit.generation != self._reel.generation)
        self._reel.add(unit)

    def rest(self) -> None:
        """No more speech comes for now."""
        self._reel.rest()

    async def emptied(self) -> None:
        """Wait until everything handed over has been released. Raises `PeerGone`."""
        self._reel.rest()
        await self._until(lambda: not len(self._reel))

    async def _until(self, there: Callable[[], bool]) -> None:
        async with self._moved:
            await self._moved.wait_for(lambda: self._closed or there())
        if self._closed:
            raise PeerGone

    def cut(self, generation: int) -> None:
        """Stop a turn at once: nothing of it leaves any more."""
        if generation == self._reel.generation:
            self._reel.cut()
            self._second_half = self._kept = None

    def hold(self, why: Holder) -> None:
        """Fall silent for the moment."""
        self._reel.hold(why)

    def release(self, why: Holder) -> None:
        """Go on where it was."""
        self._reel.release(why)

    async def close(self) -> None:
        """Nobody watches any more: whoever is speaking is told."""
        self._closed = True
        async with self._moved:
            self._moved.notify_all()

    async def run(self) -> None:
        """Release units until cancelled."""
        pacing = Pacing(time.monotonic())
        while True:
            if (wait_s := pacing.wait_s(time.monotonic())) > 0:
                await asyncio.sleep(wait_s)
            self._release(pacing.take(time.monotonic()))
            async with self._moved:
                self._moved.notify_all()

    def _release(self, tick: int) -> None:
        """The second half of a unit, or the first of the next. Speech that is ready breaks into an
        idle unit, so that it never waits longer than a packet."""
        if self._second_half is not None and not (self._idle and self._reel.ready):
            if self._reel.held and not self._idle:
                self._kept, self._second_half = self._second_half, SILENCE[:TICK_SAMPLES]
            sound, self._second_half = self._second_half, None
        elif self._kept is not None and not self._reel.held:
            sound, self._kept = self._kept, None
        else:
            shown = self._reel.next()
            self._idle = shown.unit is None
            sound, self._second_half = shown.sound[:TICK_SAMPLES], shown.sound[TICK_SAMPLES:]
            self._show(shown, tick)
        self.voice_track.release(sound, tick * TICK_SAMPLES)
        self._note(sound)

    def _show(self, shown: Shown, tick: int) -> None:
        if self._scenery is not None:
            self.face_track.release(self._scenery, shown, tick * TICK_S)
        if shown.unit is not None and self._on_played is not None:
            self._on_played(shown.unit)

    def _note(self, sound: Pcm) -> None:
        slow = sound.reshape(-1, DECIMATION).mean(axis=1).astype(np.int16)
        self._spare = np.concatenate([self._spare, slow])
        while len(self._spare) >= VAD_WINDOW:
            self.played.append(self._spare[:VAD_WINDOW])
            self._spare = self._spare[VAD_WINDOW:]


assert UNIT_SAMPLES == TICKS_OF_A_FRAME * TICK_SAMPLES
