"""A request's body on its way to the disk, piece by piece: none is held in memory as a whole."""

import asyncio
from pathlib import Path

from fastapi import Request


class TooManyBytes(Exception):
    """The body is larger than was said."""


async def received(request: Request, file: Path, limit_bytes: int) -> int:
    """Its bytes. Raises `TooManyBytes` as soon as it is too large, `OSError`, and starlette's
    `ClientDisconnect`."""
    size = 0
    with await asyncio.to_thread(file.open, "wb") as upload:
        async for piece in request.stream():
            size += len(piece)
            if size > limit_bytes:
                raise TooManyBytes
            await asyncio.to_thread(upload.write, piece)
    return size
