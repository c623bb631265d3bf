"""What goes through this server piece by piece, and is never here as a whole: uploads on their way
to the engine, and its server-sent events on their way to a page."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from web_server.engine import EngineClient
from web_server.errors import Crowded, TooLarge, Unreadable
from web_server.sentences import Sentence

logger = logging.getLogger(__name__)

LIMIT_BYTES = 100 * 10**6
"""As the engine has it, for faces and documents."""

PIECE_LIMIT_S = 60.0
"""An upload that stands still for so long is given up: it holds a place, here and at the engine."""

MAX_UPLOADS = 8
"""At once. The engine itself takes four documents and five faces."""
MAX_FOLLOWED = 64
"""Streams of events at once; each holds a connection to the engine (`engine.POOL`)."""

LARGE = Sentence("The file is larger than {megabytes} MB. Send a smaller one.")
BROKEN_OFF = Sentence("The upload broke off. Send the file again.")
MANY_UPLOADS = Sentence("Several files are being sent. Try again in a while.")
MANY_FOLLOWED = Sentence("Very many pages are open. Close some, and try again.")

UPLOAD: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": f"The file as it is, up to {LIMIT_BYTES // 10**6} MB.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


class Places:
    def __init__(self, count: int, crowded: Sentence) -> None:
        self.free = count
        self._crowded = crowded

    @contextmanager
    def one(self) -> Iterator[None]:
        """Raises `Crowded`."""
        if self.free <= 0:
            raise Crowded(self._crowded)
        self.free -= 1
        try:
            yield
        finally:
            self.free += 1


class Relays:
    def __init__(self, engine: EngineClient) -> None:
        self._engine = engine
        self.uploads = Places(MAX_UPLOADS, MANY_UPLOADS)
        self.followed = Places(MAX_FOLLOWED, MANY_FOLLOWED)

    async def upload(self, request: Request, path: str, **query: str | None) -> Any:
        """The engine's answer. Raises `TooLarge`, `Unreadable`, `Crowded`, and as `EngineClient`
        does."""
        demand_fits(request, LIMIT_BYTES)
        with self.uploads.one():
            return await self._engine.upload(path, _pieces(request, LIMIT_BYTES), **query)

    async def body(self, request: Request, limit_bytes: int) -> bytes:
        """As a whole, for what must be looked into. Raises `TooLarge`, `Unreadable`, `Crowded`."""
        demand_fits(request, limit_bytes)
        with self.uploads.one():
            return b"".join([piece async for piece in _pieces(request, limit_bytes)])

    def follow(self, path: str) -> "EventRelay":
        return EventRelay(self._engine, path, self.followed)


class EventRelay(Response):
    """The engine's events as they come, until it ends them or the page goes."""

    def __init__(self, engine: EngineClient, path: str, places: Places) -> None:
        super().__init__()
        self._engine = engine
        self._path = path
        self._places = places

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._places.one():
            async with self._engine.events(self._path) as pieces:
                answer = StreamingResponse(
                    _whole(pieces),
                    media_type="text/event-stream",
                    # nginx would gather them otherwise
                    headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
                )
                await answer(scope, receive, send)


async def _whole(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """An engine that goes away in between ends the stream; the page asks again."""
    try:
        async for piece in pieces:
            yield piece
    except httpx.TransportError as failure:
        logger.warning("A stream of the engine's events broke off: %s", type(failure).__name__)


def demand_fits(request: Request, limit_bytes: int) -> None:
    """By what it says of itself. Raises `TooLarge`."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit_bytes:
        raise too_large(limit_bytes)


async def _pieces(request: Request, limit_bytes: int) -> AsyncIterator[bytes]:
    """Of the body, counted."""
    size = 0
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(PIECE_LIMIT_S):
                piece = await anext(stream)
        except StopAsyncIteration:
            return
        except (ClientDisconnect, TimeoutError) as gone:
            raise Unreadable(BROKEN_OFF) from gone
        size += len(piece)
        if size > limit_bytes:
            raise too_large(limit_bytes)
        if piece:  # an empty one would end the body at the engine
            yield piece


def too_large(limit_bytes: int) -> TooLarge:
    return TooLarge(LARGE.about(megabytes=limit_bytes // 10**6))
