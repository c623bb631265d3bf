"""What leaves on one socket: in order, bounded, and only what the client asked for."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from wire.events import (
    AudioDeltaEvent,
    AudioFormat,
    CaptionEvent,
    IceServersEvent,
    ServerEvent,
    SourcesEvent,
    StateEvent,
    TextDeltaEvent,
    TranscriptionDeltaEvent,
    TurnMetricsEvent,
)

MAX_WAITING_BYTES = 16 * 1024 * 1024
"""What may wait for a slow reader: one long video reply. Beyond it the turns wait as well."""

STALL_LIMIT_S = 30.0
"""A reader that takes nothing for so long is cut off."""

SLOWEST_BYTES_A_SECOND = 32 * 1024
"""A quarter of a megabit: with less there is no conversation."""

FEATURE_OF: dict[type[ServerEvent], str] = {
    TextDeltaEvent: "deltas",
    AudioDeltaEvent: "deltas",
    CaptionEvent: "captions",
    IceServersEvent: "ice_servers",
    TranscriptionDeltaEvent: "deltas",
    SourcesEvent: "sources",
    StateEvent: "state",
    TurnMetricsEvent: "metrics",
}


class SlowReader(Exception):
    """The client reads too slowly, or not at all."""


class Outbox:
    """Events on their way to one client."""

    def __init__(self, send: Callable[[str], Awaitable[None]]) -> None:
        self._send = send
        self._waiting: deque[str] = deque()
        self._waiting_bytes = 0
        self._changed = asyncio.Condition()
        self.features: frozenset[str] = frozenset()
        self.audio_format: AudioFormat = "wav"

    def wants(self, event: type[ServerEvent]) -> bool:
        return (feature := FEATURE_OF.get(event)) is None or feature in self.features

    async def put(self, event: ServerEvent) -> None:
        """Queue an event; waits while the reader is behind."""
        if not self.wants(type(event)):
            return
        frame = event.to_json()
        async with self._changed:
            await self._changed.wait_for(self._has_room)
            self._waiting.append(frame)
            self._waiting_bytes += len(frame)
            self._changed.notify_all()

    async def flushed(self) -> None:
        """Wait until everything has been sent."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._waiting_bytes)

    async def run(self) -> None:
        """Send until cancelled. Raises `SlowReader`."""
        while True:
            frame = await self._next()
            try:
                async with asyncio.timeout(STALL_LIMIT_S + len(frame) / SLOWEST_BYTES_A_SECOND):
                    await self._send(frame)
            except TimeoutError as stalled:
                raise SlowReader from stalled
            async with self._changed:
                self._waiting_bytes -= len(frame)
                self._changed.notify_all()

    async def _next(self) -> str:
        async with self._changed:
            await self._changed.wait_for(lambda: self._waiting)
            return self._waiting.popleft()

    def _has_room(self) -> bool:
        return self._waiting_bytes < MAX_WAITING_BYTES
