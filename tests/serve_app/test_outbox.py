import asyncio

import pytest

from serve_app import outbox as module
from serve_app.outbox import Outbox, SlowReader
from wire.events import AudioDeltaEvent, TextDeltaEvent, TextEvent


async def test_events_leave_in_order_and_only_if_wanted() -> None:
    sent: list[str] = []

    async def send(frame: str) -> None:
        sent.append(frame)

    outbox = Outbox(send)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(outbox.run())
        await outbox.put(TextDeltaEvent(turn_id="t", content="not asked for"))
        await outbox.put(TextEvent(content="one"))
        outbox.features = frozenset({"deltas"})
        await outbox.put(TextDeltaEvent(turn_id="t", content="two"))
        await outbox.flushed()
        running.cancel()
    assert ["one" in sent[0], "two" in sent[1], len(sent)] == [True, True, 2]


async def test_a_slow_reader_holds_the_writer_and_not_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING_BYTES", 10_000)
    reading = asyncio.Event()
    received: list[str] = []

    async def send(frame: str) -> None:
        await reading.wait()
        received.append(frame)

    outbox = Outbox(send)
    outbox.features = frozenset({"deltas"})
    written = 0

    async def write() -> None:
        nonlocal written
        for seq in range(100):
            event = AudioDeltaEvent(turn_id="t", seq=seq, data="x" * 1000, sample_rate=1)
            await outbox.put(event)
            written += 1

    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(outbox.run())
        writing = tasks.create_task(write())
        for _ in range(1000):
            await asyncio.sleep(0)
        assert written <= 11
        reading.set()
        await writing
        await outbox.flushed()
        running.cancel()
    assert len(received) == 100


async def test_a_reader_that_takes_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STALL_LIMIT_S", 0.05)

    async def send(frame: str) -> None:
        await asyncio.Event().wait()

    outbox = Outbox(send)
    await outbox.put(TextEvent(content="x"))
    with pytest.raises(SlowReader):
        await outbox.run()
