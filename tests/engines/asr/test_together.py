import asyncio
from collections.abc import Sequence

import pytest

from engines.asr.together import BATCHES_WAITING, Together, Wanted
from engines.errors import EngineUnavailable


class Kitchen:
    """Doubles numbers, some at once; what it was given each time is noted."""

    def __init__(self, most: int = 3, gather_s: float = 0.0) -> None:
        self.batches: list[list[int]] = []
        self.begun = asyncio.Event()
        self.unwanted: list[int] = []
        self.stove = asyncio.Event()
        self.together = Together[int, int](self._work, most, gather_s)

    async def _work(self, items: Sequence[int], wanted: Wanted) -> Sequence[int | Exception]:
        self.batches.append(list(items))
        self.begun.set()
        await self.stove.wait()
        self.unwanted += [item for number, item in enumerate(items) if not wanted(number)]
        if 13 in items:
            raise RuntimeError("unlucky")
        return [ValueError(f"{item} is odd") if item % 2 else 2 * item for item in items]

    def order(self, item: int) -> asyncio.Task[int]:
        return asyncio.create_task(self.together.ask(item))


async def ordered(kitchen: Kitchen, *items: int) -> list[asyncio.Task[int]]:
    """The first is being worked on alone, the others wait."""
    tasks = [kitchen.order(items[0])]
    await kitchen.begun.wait()
    tasks += [kitchen.order(item) for item in items[1:]]
    await asyncio.sleep(0)
    return tasks


async def test_those_who_come_at_once_go_together() -> None:
    kitchen = Kitchen(gather_s=60)
    kitchen.stove.set()
    async with asyncio.timeout(5):  # three are as many as fit, so nobody waits for more
        assert await asyncio.gather(*map(kitchen.order, (2, 4, 6))) == [4, 8, 12]
    assert kitchen.batches == [[2, 4, 6]]
    assert kitchen.together.largest == 3


async def test_one_alone_waits_only_a_moment_for_company() -> None:
    kitchen = Kitchen(gather_s=0.001)
    kitchen.stove.set()
    async with asyncio.timeout(5):
        assert await kitchen.order(2) == 4


async def test_what_comes_meanwhile_makes_up_the_next_batch() -> None:
    kitchen = Kitchen()
    tasks = await ordered(kitchen, 2, 4, 6, 8, 10)
    kitchen.stove.set()
    assert await asyncio.gather(*tasks) == [4, 8, 12, 16, 20]
    assert kitchen.batches == [[2], [4, 6, 8], [10]]


async def test_it_can_be_asked_again_after_a_rest() -> None:
    kitchen = Kitchen()
    kitchen.stove.set()
    assert await kitchen.together.ask(2) == 4
    await asyncio.sleep(0.01)
    assert await kitchen.together.ask(4) == 8


async def test_each_has_its_own_failure() -> None:
    kitchen = Kitchen()
    tasks = await ordered(kitchen, 2, 3, 4, 5)
    kitchen.stove.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(result) for result in results] == ["4", "3 is odd", "8", "5 is odd"]


async def test_what_nobody_foresaw_reaches_all_of_the_batch_and_no_other() -> None:
    kitchen = Kitchen()
    tasks = await ordered(kitchen, 2, 13, 4, 6, 8)
    kitchen.stove.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(result) for result in results] == ["4", "unlucky", "unlucky", "unlucky", "16"]


async def test_who_leaves_while_waiting_is_not_worked_for() -> None:
    kitchen = Kitchen()
    tasks = await ordered(kitchen, 2, 4, 6)
    tasks[1].cancel()
    kitchen.stove.set()
    assert await tasks[2] == 12
    assert kitchen.batches == [[2], [6]]


async def test_who_leaves_in_the_middle_takes_nothing_from_the_others() -> None:
    kitchen = Kitchen()
    tasks = await ordered(kitchen, 2, 4, 6)
    tasks[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    kitchen.stove.set()
    assert await asyncio.gather(*tasks[1:]) == [8, 12]


async def test_the_work_learns_whom_nobody_waits_for() -> None:
    kitchen = Kitchen(gather_s=60)
    tasks = [kitchen.order(item) for item in (2, 4, 6)]
    await kitchen.begun.wait()
    tasks[1].cancel()
    await asyncio.wait([tasks[1]])
    kitchen.stove.set()
    assert await tasks[2] == 12
    assert kitchen.unwanted == [4]


async def test_who_comes_when_too_many_wait_is_refused_until_one_leaves() -> None:
    kitchen = Kitchen(most=2)
    tasks = await ordered(kitchen, *range(0, 2 * (1 + 2 * BATCHES_WAITING), 2))
    with pytest.raises(EngineUnavailable, match="Too many"):
        await kitchen.together.ask(100)
    tasks[3].cancel()
    await asyncio.wait([tasks[3]])
    last = kitchen.order(100)
    kitchen.stove.set()
    assert await last == 200
    assert await tasks[-1] == 4 * 2 * BATCHES_WAITING
