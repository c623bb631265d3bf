"""Work that must not be left half done when its task is cancelled."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

Value = TypeVar("Value")


async def to_the_end(work: Awaitable[Value]) -> Value:
    """Its value; a cancelled caller leaves only when the work is done.

    For threads, which cancelling does not stop (what they use must not be closed under them), and
    for writes whose outcome must be known.
    """
    running = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            try:
                await asyncio.wait([running])
            except asyncio.CancelledError:
                continue
        if not running.cancelled():
            running.exception()  # nobody else asks: who cancelled does not want to know
        raise
