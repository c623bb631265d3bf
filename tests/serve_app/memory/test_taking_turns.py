"""Lessons, gateways and other models come before a memory, or beside it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from engines.memory.base import Fact, Remembered
from serve_app import memory as memory_module
from serve_app.memory import AT_ONCE, QUIET_S, STARVED_S, Memory, Minds
from serve_app.memory_store import LEASE_S, Due, Lease, MemoryStore, Pair
from serve_app.sessions import Sessions
from tests.running import eventually
from tests.serve_app.memory.models import Gone, Held, Minded, Secretary, known
from tests.serve_app.memory.students import SetClock, lesson

OTHER = Pair(124, 3)


@asynccontextmanager
async def working(memory: Memory) -> AsyncIterator[None]:
    """As it does beside a gateway."""
    task = asyncio.create_task(memory.work())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_lessons_come_first_but_not_for_ever(
    minded: Minded, sessions: Sessions, clock: SetClock
) -> None:
    memory = minded(secretary := Secretary())
    await lesson(sessions, "My name is Anna")
    clock.advance(QUIET_S - 1)
    await memory.look()
    assert secretary.asked == []
    assert (await known(memory)).facts == (Fact("name", "Anna"),)  # that much disturbs nobody
    clock.advance(STARVED_S)
    busy = await lesson(sessions, "What is rain?", pair=Pair(124, 2), ended=False)
    await memory.look()
    assert len(secretary.asked) == 1
    await sessions.end(busy)
    await memory.look()
    assert len(secretary.asked) == 1


async def test_the_model_is_left_alone_when_somebody_asks_something(
    minded: Minded, sessions: Sessions, clock: SetClock
) -> None:
    held = Held(Secretary())
    memory = minded(held)
    await lesson(sessions, "Hello")
    clock.advance(QUIET_S + 1)
    looking = asyncio.create_task(memory.look())
    await held.begun.wait()
    await lesson(sessions, "What is rain?", pair=Pair(124, 2), ended=False)
    await eventually(looking.done)
    assert held.left
    assert (await known(memory)).summary == ""
    held.go_on.set()
    clock.advance(QUIET_S + 1)
    await memory.look()
    assert (await known(memory)).summary == "Hello"


async def test_two_gateways_ask_once(minded: Minded, sessions: Sessions, clock: SetClock) -> None:
    secretary = Secretary()
    pairs = [Pair(student_id, 2) for student_id in range(4)]
    for pair in pairs:
        await lesson(sessions, f"I am {pair.student_id}", pair=pair)
    clock.advance(QUIET_S + 1)
    await asyncio.gather(*(minded(secretary).look() for _ in range(3)))
    assert len(secretary.asked) == len(pairs)
    for pair in pairs:
        assert (await known(minded(None), pair)).summary == f"I am {pair.student_id}"


async def test_what_a_killed_gateway_has_begun_is_done_again(
    minded: Minded, sessions: Sessions, clock: SetClock
) -> None:
    held = Held(Secretary())
    await lesson(sessions, "Hello")
    clock.advance(QUIET_S + 1)
    looking = asyncio.create_task(minded(held).look())
    await held.begun.wait()
    looking.cancel()
    await asyncio.wait([looking])
    memory = minded(Secretary())
    await memory.look()
    assert (await known(memory)).summary == ""
    clock.advance(LEASE_S)
    await memory.look()
    assert (await known(memory)).summary == "Hello"


async def test_the_work_outlives_a_failure(
    minded: Minded,
    sessions: Sessions,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(memory_module, "LOOK_INTERVAL_S", 0.01)
    memory = minded(None)
    unnoticed, looks = memory.store.unnoticed, 0

    async def fail_once(limit: int) -> list[Due]:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise RuntimeError("once")
        return await unnoticed(limit)

    monkeypatch.setattr(memory.store, "unnoticed", fail_once)
    await lesson(sessions, "My name is Anna")
    async with working(memory):
        await eventually(lambda: looks > 3)
    assert "trying again" in caplog.text
    assert (await known(memory)).facts == (Fact("name", "Anna"),)


async def test_facts_do_not_wait_for_a_model_that_is_thinking(
    minded: Minded, sessions: Sessions, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_module, "LOOK_INTERVAL_S", 0.01)
    memory = minded(held := Held(Secretary()))
    await lesson(sessions, "My name is Anna")
    clock.advance(STARVED_S + 1)  # then it is not disturbed either
    write, written = memory.store.write, asyncio.Event()

    async def told(lease: Lease, *args: Any, **more: Any) -> bool:
        done = await write(lease, *args, **more)
        if lease.pair == OTHER:
            written.set()
        return done

    monkeypatch.setattr(memory.store, "write", told)
    async with working(memory):
        await held.begun.wait()
        await lesson(sessions, "My name is Bob", pair=OTHER)
        await eventually(written.is_set)
        assert (await known(memory, OTHER)).facts == (Fact("name", "Bob"),)


async def test_a_tutors_model_that_is_away_keeps_no_other_tutor_waiting(
    database: AsyncEngine, sessions: Sessions, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_module, "AWAY_S", 3600.0)
    gone, there = Gone(), Secretary()

    async def seems_there(tutor_id: int) -> bool:
        return True

    minds = Minds(lambda tutor: there if tutor == OTHER.tutor_id else gone, seems_there)
    memory = Memory(MemoryStore(database, days=1, clock=clock), minds, clock=clock)
    for student_id in range(AT_ONCE):
        await lesson(sessions, "Hello", pair=Pair(student_id, 2))
        clock.advance(1)
    await lesson(sessions, "What is rain?", pair=OTHER)
    clock.advance(QUIET_S + 1)
    for _ in range(2):
        await memory.look()
    assert (await known(memory, OTHER)).summary == "What is rain?"
    assert gone.asked == 1, "who is away is left alone"


async def test_switched_off_nothing_is_remembered(
    minded: Minded, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_module, "LOOK_INTERVAL_S", 0.01)
    monkeypatch.setattr(memory_module, "CLEAN_INTERVAL_S", 0.0)
    memory = minded(None, on=False)
    rounds = 0
    forget_old = memory.store.forget_old

    async def counted() -> None:
        nonlocal rounds
        rounds += 1
        await forget_old()

    monkeypatch.setattr(memory.store, "forget_old", counted)
    await lesson(sessions, "My name is Anna")
    async with working(memory):
        await eventually(lambda: rounds > 3)
    assert await known(memory) == Remembered()
    assert len(await memory.store.unnoticed(9)) == 1
