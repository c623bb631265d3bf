"""Whom a microphone speaks to, and what comes back of it."""

from collections import deque
from dataclasses import dataclass
from typing import Protocol

from engines.base import Pcm
from serve_app.exchange import SpokenMessage


class Listener(Protocol):
    """The session that is spoken to; see `Lane`."""

    @property
    def is_answering(self) -> bool: ...
    @property
    def is_audible(self) -> bool: ...
    @property
    def played(self) -> deque[Pcm] | None: ...
    @property
    def wants_partials(self) -> bool: ...
    def ask(self, question: SpokenMessage) -> None: ...
    def hold(self) -> None: ...
    def release(self) -> None: ...
    async def withdraw(self) -> bool: ...
    async def break_in(self) -> None: ...
    async def recognise(self, speech: Pcm) -> str: ...
    async def understood(self, words: str) -> None: ...
    async def listening(self) -> None: ...
    async def nothing_said(self) -> None: ...
    async def complain(self, error: Exception) -> None: ...


class Room(Protocol):
    """Where the microphone stands; see `Live`."""

    def listener(self) -> Listener | None:
        """The session that is spoken to, when that is known."""
        ...

    async def find_listener(self) -> None:
        """Nobody was named: find out who is meant, or complain."""
        ...


@dataclass(frozen=True, slots=True)
class Recognised:
    """What came of a recognition, and what it was of."""

    utterance: int
    pause: int
    words: str
    took_s: float
    error: Exception | None = None
