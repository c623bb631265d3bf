"""Many callers, one engine that works on several things almost as fast as on one.

While the engine is free, the first caller waits a few milliseconds for company; what comes while it
works makes up the next batch, which begins at once. (Serve's own batching closes a batch some
milliseconds after its first member, also while the engine is busy, so that under load its batches
hold one or two.)
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

from engines.errors import EngineUnavailable

Item = TypeVar("Item")
Answer = TypeVar("Answer")

Wanted = Callable[[int], bool]
"""Whether somebody still waits for the item of this number of the batch that is being worked on;
may be asked in any thread."""

Work = Callable[[Sequence[Item], Wanted], Awaitable[Sequence[Answer | Exception]]]
"""One answer or failure for each item, in their order."""

GATHER_S = 0.005
"""Learners who answer a class at once come within it, and no one hears a delay of it."""

BATCHES_WAITING = 8
"""Who comes later than that would wait for longer than a turn lasts."""


class Together(Generic[Item, Answer]):
    """Hands what is waiting to `work`, at most `most` items at once."""

    def __init__(self, work: Work[Item, Answer], most: int, gather_s: float = GATHER_S) -> None:
        self._work = work
        self._most = most
        self._gather_s = gather_s
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._full: asyncio.Event
        self._working: asyncio.Task[None] | None = None
        self.largest = 0
        """Items of the largest batch so far."""

    async def ask(self, item: Item) -> Answer:
        """This item's own answer, or its own failure. Who is cancelled leaves the others alone.
        Raises `EngineUnavailable` when too many wait already."""
        self._forget_who_left()
        if len(self._waiting) >= BATCHES_WAITING * self._most:
            raise EngineUnavailable("Too many speak at once. Say it again in a moment.")
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._working is None or self._working.done():
            self._full = asyncio.Event()  # made here, because it belongs to one event loop
            self._working = asyncio.create_task(self._run(), name="together")
        if len(self._waiting) >= self._most:
            self._full.set()
        return await answer

    async def _run(self) -> None:
        """Work until nobody waits."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._gather_s):
                await self._full.wait()
        while batch := self._next():
            self.largest = max(self.largest, len(batch))
            answers = [answer for _, answer in batch]

            def wanted(number: int, answers: Sequence[asyncio.Future[Answer]] = answers) -> bool:
                return not answers[number].done()

            results = await self._results([item for item, _ in batch], wanted)
            for answer, result in zip(answers, results, strict=True):
                if answer.done():  # the caller has left
                    continue
                if isinstance(result, Exception):
                    answer.set_exception(result)
                else:
                    answer.set_result(result)

    def _next(self) -> list[tuple[Item, asyncio.Future[Answer]]]:
        self._forget_who_left()
        batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
        return batch

    def _forget_who_left(self) -> None:
        self._waiting = [(item, answer) for item, answer in self._waiting if not answer.done()]

    async def _results(self, items: Sequence[Item], wanted: Wanted) -> Sequence[Answer | Exception]:
        try:
            return await self._work(items, wanted)
        except Exception as error:  # whatever it is, every caller must hear of it
            return [error for _ in items]
