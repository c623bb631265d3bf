"""Streams that must not keep a learner waiting."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import TypeVar

from engines.cancellation import raise_unless_cancelled
from engines.errors import EngineTimeout

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds to wait for the first item of a stream, and for each further one."""

    first_s: float
    next_s: float


async def in_time(
    stream: AsyncIterator[Item], patience: Patience, who: str
) -> AsyncGenerator[Item, None]:
    """The stream's items; closes it at the end. Raises `EngineTimeout` naming `who` was late."""
    limit_s = patience.first_s
    try:
        while True:
            try:
                async with asyncio.timeout(limit_s):
                    item = await anext(stream)
            except StopAsyncIteration:
                return
            except TimeoutError as late:
                raise EngineTimeout(f"{who} did not go on within {limit_s:g} s.") from late
            except asyncio.CancelledError as stopped:
                raise_unless_cancelled(stopped, who)
            yield item
            limit_s = patience.next_s
    finally:
        if isinstance(stream, AsyncGenerator):
            await stream.aclose()
