"""Many callers, one engine that works on several things as fast as on one.

Nobody waits for company: what comes while the engine is free begins at once, and what comes while
it works makes up the next batch. (Serve's own batching closes a batch some milliseconds after its
first member, also while the engine is busy, so that under load its batches hold one or two.)
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")

Wanted = Callable[[], bool]
"""Whether anybody still waits for the batch that is being worked on; may be asked in any thread."""

Work = Callable[[Sequence[Item], Wanted], Awaitable[Sequence[Answer | Exception]]]
"""One answer or failure for each item, in their order."""


class Together(Generic[Item, Answer]):
    """Hands what is waiting to `work`, at most `most` items at once."""

    def __init__(self, work: Work[Item, Answer], most: int) -> None:
        self._work = work
        self._most = most
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._working: asyncio.Task[None] | None = None

    async def ask(self, item: Item) -> Answer:
        """This item's own answer, or its own failure. Who is cancelled leaves the others alone."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._run(), name="together")
        return await answer

    async def _run(self) -> None:
        """Work until nobody waits."""
        while batch := self._next():
            answers = [answer for _, answer in batch]

            def wanted(answers: Sequence[asyncio.Future[Answer]] = answers) -> bool:
                return not all(answer.done() for answer in answers)

            results = await self._results([item for item, _ in batch], wanted)
            for answer, result in zip(answers, results, strict=True):
                if answer.done():  # the caller has left
                    continue
                if isinstance(result, Exception):
                    answer.set_exception(result)
                else:
                    answer.set_result(result)

    def _next(self) -> list[tuple[Item, asyncio.Future[Answer]]]:
        there = [(item, answer) for item, answer in self._waiting if not answer.done()]
        self._waiting = there[self._most :]
        return there[: self._most]

    async def _results(self, items: Sequence[Item], wanted: Wanted) -> Sequence[Answer | Exception]:
        try:
            return await self._work(items, wanted)
        except Exception as error:  # whatever it is, every caller must hear of it
            return [error for _ in items]
