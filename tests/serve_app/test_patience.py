import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from engines.errors import EngineTimeout
from serve_app.patience import Patience, in_time

closed: list[str] = []


async def stream(*pauses: float) -> AsyncIterator[int]:
    try:
        for index, pause in enumerate(pauses):
            await asyncio.sleep(pause)
            yield index
    finally:
        closed.append("closed")


async def test_items_in_time_pass() -> None:
    assert [item async for item in in_time(stream(0, 0, 0), Patience(1, 1), "x")] == [0, 1, 2]


@pytest.mark.parametrize(("pauses", "got"), [((5.0,), []), ((0, 5.0), [0])])
async def test_the_late_one_is_named_and_its_stream_closed(
    pauses: tuple[float, ...], got: list[int]
) -> None:
    closed.clear()
    items = []
    with pytest.raises(EngineTimeout, match="The voice"):
        async for item in in_time(stream(*pauses), Patience(0.05, 0.05), "The voice"):
            items.append(item)
    assert (items, closed) == (got, ["closed"])


async def test_a_consumer_that_leaves_closes_the_stream_at_once() -> None:
    closed.clear()
    async with aclosing(in_time(stream(0, 0, 5), Patience(9, 9), "x")) as items:
        async for _ in items:
            break
    assert closed == ["closed"]
