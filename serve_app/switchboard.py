"""Which sessions have a socket on this replica, and who must hear that one has ended.

A session may be deleted through any replica, or expire by itself; the database is what all replicas
share, so each looks there twice a second for the sessions it has sockets for.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from serve_app.sessions import Sessions

logger = logging.getLogger(__name__)

LOOK_INTERVAL_S = 0.5
"""A deleted session's socket closes within this time on every replica."""

EXPIRY_INTERVAL_S = 30.0
"""Expired sessions count as gone at once; this is only how often they are marked so."""


@dataclass(eq=False, slots=True)
class Line:
    """One open socket: the sessions it carries, and the student it belongs to."""

    student_id: int
    whole_student: bool
    """User-based: the line ends when the student has no live session left."""
    session_ids: set[str] = field(default_factory=set)
    ended: asyncio.Queue[str | None] = field(default_factory=asyncio.Queue)
    """Each session of this socket that is no longer live, once; None when the student has none
    left. Never longer than the sessions the line carries, and one."""


@dataclass(slots=True)
class Switchboard:
    sessions: Sessions
    _lines: set[Line] = field(default_factory=set)
    _look_now: asyncio.Event = field(default_factory=asyncio.Event)

    def sockets_of(self, student_id: int) -> int:
        """How many this student has open on this replica."""
        return sum(line.student_id == student_id for line in self._lines)

    @contextmanager
    def connected(self, line: Line) -> Iterator[Line]:
        self._lines.add(line)
        try:
            yield line
        finally:
            self._lines.discard(line)

    def look_now(self) -> None:
        """A session has just been ended through this replica."""
        self._look_now.set()

    async def watch(self) -> None:
        """Runs as long as the replica: tells lines whose sessions have ended."""
        while True:
            try:
                async with asyncio.timeout(LOOK_INTERVAL_S):
                    await self._look_now.wait()
            except TimeoutError:
                pass
            self._look_now.clear()
            try:
                await self._look()
            except Exception:  # whatever it is, the next look may succeed
                logger.exception("The sessions could not be looked up; trying again")

    async def expire(self) -> None:
        """Runs as long as the replica: marks expired sessions."""
        while True:
            await asyncio.sleep(min(EXPIRY_INTERVAL_S, self.sessions.limits.timeout_s / 2))
            try:
                await self.sessions.expire()
            except Exception:  # whatever it is, the next try may succeed
                logger.exception("Expired sessions could not be marked; trying again")

    async def _look(self) -> None:
        lines = list(self._lines)
        watched = {session_id for line in lines for session_id in line.session_ids}
        if watched:
            gone = watched - await self.sessions.living(watched)
            for line in lines:
                for session_id in line.session_ids & gone:
                    line.session_ids.discard(session_id)
                    line.ended.put_nowait(session_id)
        await self._look_for_students([line for line in lines if line.whole_student])

    async def _look_for_students(self, lines: list[Line]) -> None:
        if not lines:
            return
        living = await self.sessions.living_students({line.student_id for line in lines})
        for line in lines:
            if line.student_id not in living:
                line.whole_student = False
                for session_id in line.session_ids:  # they have ended since they were looked up
                    line.ended.put_nowait(session_id)
                line.session_ids.clear()
                line.ended.put_nowait(None)
