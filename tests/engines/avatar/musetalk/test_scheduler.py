"""Whose frames come when, with networks that a test holds up and looks into."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.avatar.musetalk import scheduler as module
from engines.avatar.musetalk.model import MuseTalkModel
from engines.avatar.musetalk.scheduler import (
    FIRST_FRAMES,
    Order,
    Request,
    Scheduler,
    filled,
    next_batch,
)
from engines.avatar.musetalk.speech import Stretch
from engines.base import FRAME_S
from engines.errors import EngineBusy, EngineError, EngineUnavailable
from tests.running import eventually

SIZES = (1, 2, 4, 8, 16)

AHEAD_S = 0.2
"""Of who is speaking."""


@dataclass
class Networks:
    """Show of each frame who it is of (its latent's first number) and which one (its chunk's)."""

    sizes: tuple[int, ...] = SIZES
    batches: list[list[tuple[int, int]]] = field(default_factory=list)
    heard: list[int] = field(default_factory=list)
    """How many stretches in each run."""
    errors: list[Exception] = field(default_factory=list)
    """Raised by the next batches."""
    deaf: Exception | None = None
    may_work: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(10_000))
    late: bool = False
    """Whether what fails does so when it is waited for, as on a GPU."""

    def hold(self) -> None:
        """Make no batch until `let`."""
        self.may_work = threading.Semaphore(0)

    def let(self, batches: int = 10_000) -> None:
        self.may_work.release(batches)

    def chunks(self, stretches: Sequence[Stretch]) -> list[Any]:
        self.heard.append(len(stretches))
        if self.deaf is not None:
            raise self.deaf
        return [np.arange(s.frames, dtype=np.float32)[:, None, None] for s in stretches]

    def start(self, latents: Any, chunks: Any) -> Any:
        self.may_work.acquire()
        frames = [
            (int(who), int(which.flat[0])) for who, which in zip(latents, chunks, strict=True)
        ]
        self.batches.append(frames)
        error = self.errors.pop(0) if self.errors else None
        if error is not None and not self.late:
            raise error
        return _Rendering(frames, error)


@dataclass
class _Rendering:
    frames: list[tuple[int, int]]
    error: Exception | None

    def wait(self) -> Any:
        if self.error is not None:
            raise self.error
        pixels = np.array(self.frames)[:, None, None]
        return cast(Any, _Faces(pixels, np.ones(len(pixels), np.bool_)))


@dataclass
class _Faces:
    pixels: Any
    finite: Any


def request(who: int, frames: int = 10, *, begins: bool = False, first: int = 0) -> Request:
    wanted = range(first, first + frames)
    latents = np.full((frames, 1, 1, 1), who, np.float16).reshape(frames)
    stretch = Stretch(np.zeros(0, np.float32), 0, first + frames)
    return Request(stretch, wanted, latents, 0.0 if begins else AHEAD_S)


@asynccontextmanager
async def running(networks: Networks, *, overlap: bool = False) -> AsyncIterator[Scheduler]:
    scheduler = Scheduler(cast(MuseTalkModel, networks), overlap=overlap)
    try:
        yield scheduler
    finally:
        networks.let()
        await asyncio.to_thread(scheduler.close)


async def seen(scheduler: Scheduler, wanted: Request) -> list[tuple[int, int]]:
    """(who, which) of every frame that came."""
    found = []
    async for made in scheduler.faces(wanted):
        assert made.finite.all()
        whose = [tuple(pixel) for pixel in made.pixels[:, 0, 0].tolist()]
        assert [which for _, which in whose] == list(made.frames)
        found += whose
    return cast(list[tuple[int, int]], found)


def all_of(who: int, frames: int = 10, first: int = 0) -> list[tuple[int, int]]:
    return [(who, which) for which in range(first, first + frames)]


@pytest.mark.parametrize("overlap", [False, True])
async def test_all_get_their_own_frames_in_order_from_common_batches(overlap: bool) -> None:
    networks = Networks()
    async with running(networks, overlap=overlap) as scheduler:
        networks.hold()
        asking = [asyncio.create_task(seen(scheduler, request(who))) for who in range(1, 6)]
        await eventually(lambda: bool(networks.heard))
        await asyncio.sleep(0.01)  # all have asked
        networks.let()
        for who, task in enumerate(asking, 1):
            assert await task == all_of(who)
        assert len(networks.batches) < 5 * 10 / 4
        assert max(len({who for who, _ in batch}) for batch in networks.batches) > 2
        assert scheduler.waiting == 0
        statistics = scheduler.statistics
    assert statistics.batches == len(networks.batches)
    assert statistics.frames == pytest.approx(50 / len(networks.batches))
    assert statistics.sessions > 2
    assert statistics.waited_s > 0


async def test_only_the_frames_that_are_wanted_are_made() -> None:
    networks = Networks()
    wanted = Request(
        Stretch(np.zeros(0, np.float32), 0, 9), (1, 2, 7), np.full(3, 4, np.float16), 0.0
    )
    async with running(networks) as scheduler:
        assert await seen(scheduler, wanted) == [(4, 1), (4, 2), (4, 7)]
        parts = [made.frames async for made in scheduler.faces(wanted)]
    assert parts == [(1, 2), (7,)]


async def test_only_the_sizes_that_were_chosen_are_made() -> None:
    networks = Networks()
    scheduler = Scheduler(cast(MuseTalkModel, networks), sizes=(1, 2, 4))
    assert await seen(scheduler, request(1, 11)) == all_of(1, 11)
    await asyncio.to_thread(scheduler.close)
    assert [len(batch) for batch in networks.batches] == [4, 4, 2, 1]


async def test_who_begins_goes_first_and_waits_for_no_more_than_two_frames() -> None:
    networks = Networks()
    async with running(networks) as scheduler:
        networks.hold()
        speaking = asyncio.create_task(seen(scheduler, request(1, 40)))
        await eventually(lambda: scheduler.waiting == 24)  # the first batch is being made
        beginner = asyncio.create_task(seen(scheduler, request(2, 10, begins=True)))
        await eventually(lambda: scheduler.waiting == 34)
        networks.let()
        assert await beginner == all_of(2)
        assert await speaking == all_of(1, 40)
    assert networks.batches[1] == all_of(2, FIRST_FRAMES)


async def test_who_is_cancelled_is_in_no_further_batch() -> None:
    networks = Networks()
    async with running(networks) as scheduler:
        networks.hold()
        staying = asyncio.create_task(seen(scheduler, request(1)))
        await eventually(lambda: len(networks.heard) == 1 and scheduler.waiting < 10)
        going = asyncio.create_task(seen(scheduler, request(2, 100)))
        other = asyncio.create_task(seen(scheduler, request(3)))
        await eventually(lambda: scheduler.waiting >= 110)
        going.cancel()
        with pytest.raises(asyncio.CancelledError):
            await going
        assert scheduler.waiting <= 20, "his place is free at once"
        networks.let()
        assert await staying == all_of(1)
        assert await other == all_of(3)
    assert not [who for batch in networks.batches for who, _ in batch if who == 2]


async def test_a_stream_that_is_closed_in_the_middle_leaves_nothing() -> None:
    networks = Networks()
    async with running(networks) as scheduler:
        async with aclosing(scheduler.faces(request(1, 200, begins=True))) as parts:
            made = await anext(parts)
            networks.hold()
        assert made.frames == (0, 1)
        assert scheduler.waiting == 0
        networks.let()
        assert await seen(scheduler, request(2)) == all_of(2)


async def test_more_than_can_be_made_up_for_is_refused() -> None:
    networks = Networks()
    async with running(networks) as scheduler:
        networks.hold()
        first = asyncio.create_task(seen(scheduler, request(1, module.MOST_FRAMES)))
        await eventually(lambda: 0 < scheduler.waiting < module.MOST_FRAMES)
        with pytest.raises(EngineBusy, match="max_replicas"):
            async with asyncio.timeout(10):
                await seen(scheduler, request(2, 17))
        networks.let()
        assert len(await first) == module.MOST_FRAMES
        assert await seen(scheduler, request(2, 17)) == all_of(2, 17)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(
    ("error", "sentence"),
    [(EngineUnavailable("Out of memory."), "Out of memory"), (IndexError("odd"), "log of the")],
)
async def test_a_batch_that_fails_costs_only_who_is_in_it(
    error: Exception, sentence: str, late: bool, caplog: pytest.LogCaptureFixture
) -> None:
    networks = Networks(errors=[error], late=late)
    async with running(networks) as scheduler:
        networks.hold()
        failing = asyncio.create_task(seen(scheduler, request(1, 40, begins=True)))
        await eventually(lambda: scheduler.waiting == 38)
        other = asyncio.create_task(seen(scheduler, request(2)))
        await eventually(lambda: scheduler.waiting == 48)
        networks.let()
        with pytest.raises(EngineUnavailable, match=sentence):
            await failing
        assert await other == all_of(2)
    assert (1, 2) not in [frame for batch in networks.batches for frame in batch]


async def test_speech_that_cannot_be_heard_is_told() -> None:
    networks = Networks(deaf=EngineUnavailable("Out of memory."))
    async with running(networks) as scheduler:
        with pytest.raises(EngineUnavailable, match="Out of memory"):
            await seen(scheduler, request(1))
        networks.deaf = None
        assert await seen(scheduler, request(1)) == all_of(1)


async def test_the_speech_of_all_who_came_is_heard_in_one_run() -> None:
    networks = Networks()
    async with running(networks) as scheduler:
        networks.hold()
        first = asyncio.create_task(seen(scheduler, request(1)))
        await eventually(lambda: 0 < scheduler.waiting < 10)
        others = [asyncio.create_task(seen(scheduler, request(who, 4))) for who in range(2, 12)]
        await eventually(lambda: scheduler.waiting >= 40)
        networks.let()
        await asyncio.gather(first, *others)
    assert networks.heard == [1, module.HEARD_TOGETHER, 10 - module.HEARD_TOGETHER]


async def test_at_its_end_who_waits_is_told() -> None:
    networks = Networks()
    scheduler = Scheduler(cast(MuseTalkModel, networks))
    networks.hold()
    waiting = [asyncio.create_task(seen(scheduler, request(who, 40))) for who in (1, 2)]
    await eventually(lambda: scheduler.waiting > 40)
    closing = asyncio.create_task(asyncio.to_thread(scheduler.close))
    await eventually(lambda: scheduler._closed)
    networks.let()
    await closing
    for task in waiting:
        with pytest.raises(EngineUnavailable, match="has been stopped"):
            await task
    with pytest.raises(EngineUnavailable, match="has been stopped"):
        await seen(scheduler, request(3))


async def test_every_batch_is_told() -> None:
    told: list[tuple[int, int, float]] = []
    networks = Networks()
    scheduler = Scheduler(cast(MuseTalkModel, networks), on_batch=lambda *batch: told.append(batch))
    networks.hold()
    first = asyncio.create_task(seen(scheduler, request(1, 20)))
    await eventually(lambda: scheduler.waiting == 4)  # 16 are being made
    others = [asyncio.create_task(seen(scheduler, request(who, 2))) for who in (2, 3)]
    await eventually(lambda: scheduler.waiting == 8)
    networks.let()
    await asyncio.gather(first, *others)
    statistics = scheduler.statistics
    await asyncio.to_thread(scheduler.close)
    assert [batch[:2] for batch in told] == [(16, 1), (8, 3)]
    assert [len(batch) for batch in networks.batches] == [16, 8]
    assert all(waited_s >= 0 for *_, waited_s in told)
    assert (statistics.frames, statistics.sessions) == (12, 2)


async def test_who_cannot_be_told_of_a_batch_costs_nobody_his_face(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*batch: object) -> None:
        raise RuntimeError("nobody takes figures")

    scheduler = Scheduler(cast(MuseTalkModel, Networks()), on_batch=broken)
    for who in (1, 2):
        async with asyncio.timeout(10):
            assert await seen(scheduler, request(who)) == all_of(who)
    await asyncio.to_thread(scheduler.close)
    assert len(caplog.records) == 1, "not again with every batch"
    assert "nobody takes figures" in caplog.text


@pytest.mark.parametrize("method", ["_take", "_note", "_finish"])
async def test_when_its_thread_fails_nobody_waits_for_ever(
    method: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise IndexError("odd")

    networks = Networks()
    async with running(networks, overlap=True) as scheduler:
        networks.hold()
        first = asyncio.create_task(seen(scheduler, request(1, 20)))
        await eventually(lambda: scheduler.waiting == 4)
        others = [asyncio.create_task(seen(scheduler, request(who, 2))) for who in (2, 3)]
        await eventually(lambda: scheduler.waiting == 8)
        monkeypatch.setattr(scheduler, method, fail)
        networks.let()
        async with asyncio.timeout(10):
            for task in (first, *others):
                with pytest.raises(EngineUnavailable, match="log of the application"):
                    await task
            with pytest.raises(EngineUnavailable, match="has been stopped"):
                await seen(scheduler, request(4))
    assert "odd" in caplog.text


# ── what a batch is made of ─────────────────────────────────────────────────────────────────────


def order(who: int, frames: int, asked_s: float, *, begins: bool = False, taken: int = 0) -> Order:
    wanted = request(who, frames, begins=begins)
    return Order(wanted, asked_s, cast(Any, None), cast(Any, None), taken=taken)


def batch(orders: list[Order]) -> list[tuple[int, int]]:
    return [(int(one.request.latents[0]), place) for one, place in next_batch(orders, SIZES)]


def test_what_is_needed_first_comes_first() -> None:
    early, late = order(1, 10, 0.0), order(2, 10, 6 * FRAME_S)
    assert batch([late, early]) == [*all_of(2, 6), *all_of(1, 10)]
    assert batch([late, order(1, 16, -1.0)]) == all_of(1, 16)


def test_who_begins_needs_his_frames_at_once_and_who_speaks_has_some() -> None:
    speaking, beginner = order(1, 10, 0.0), order(2, 10, AHEAD_S - 0.01, begins=True)
    assert batch([speaking, beginner]) == [(1, 0), (2, 0)]


def test_several_who_begin_share_a_batch() -> None:
    beginners = [order(who, 10, who / 1000, begins=True) for who in (1, 2)]
    assert batch(beginners) == [(1, 0), (1, 1), (2, 0), (2, 1)]
    beginners[0].taken = beginners[1].taken = 2
    assert len(batch(beginners)) == 16


@given(waiting=st.integers(1, 40))
def test_little_is_made_in_vain(waiting: int) -> None:
    count = filled(waiting, SIZES)
    assert 1 <= count <= min(waiting, 16)
    size = next(size for size in SIZES if size >= count)
    assert count >= 7 / 8 * size
    assert filled(waiting, (16,)) == min(waiting, 16), "there is no smaller one"


async def test_a_failure_reaches_nobody_whose_loop_has_ended() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    gone = Order(request(1), time.monotonic(), loop, asyncio.Queue())
    gone.deliver(EngineError("too late"))  # raises nothing
