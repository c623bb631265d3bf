"""What is remembered, on SQLite and on PostgreSQL, also with two gateways on one database."""

import asyncio
from collections.abc import Sequence

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from engines.memory.base import Fact, Remembered, Said
from serve_app.memory_store import (
    LEASE_S,
    LONG_MESSAGES,
    LOOK_BACK_DAYS,
    UNREAD_MESSAGES,
    MemoryStore,
    Pair,
    Reading,
)
from serve_app.sessions import Sessions
from tests.serve_app.memory.students import ANNA, SetClock, lesson

KNOWN = Remembered("Learnt about rain.", (Fact("name", "Anna"),), (Said(True, "Bye 再见"),))


@pytest.fixture
def store(database: AsyncEngine, clock: SetClock) -> MemoryStore:
    return MemoryStore(database, days=30, clock=clock)


async def remember(store: MemoryStore, pair: Pair, known: Remembered = KNOWN) -> None:
    lease = await store.lease(pair)
    assert lease is not None
    assert await store.write(lease, known, {})


async def due(store: MemoryStore) -> Sequence[Pair]:
    return [found.pair for found in await store.due(10)]


async def test_what_is_written_is_read_again(store: MemoryStore, clock: SetClock) -> None:
    await remember(store, ANNA)
    [kept] = await store.of(123)
    assert (kept.tutor_id, kept.remembered, kept.updated_at) == (2, KNOWN, clock.now)
    lease = await store.lease(ANNA)
    assert lease is not None
    assert lease.remembered == KNOWN


async def test_a_student_and_a_tutor_have_a_memory_of_their_own(store: MemoryStore) -> None:
    await remember(store, ANNA)
    await remember(store, Pair(123, 3), Remembered("Of another tutor."))
    assert [kept.tutor_id for kept in await store.of(123)] == [2, 3]
    assert [kept.tutor_id for kept in await store.of(123, 3)] == [3]
    assert await store.of(124) == []
    assert await store.of(2, 123) == []
    await store.forget(124)
    await store.forget(123, 3)
    assert [kept.tutor_id for kept in await store.of(123)] == [2]
    await store.forget(123)
    assert await store.of(123) == []


async def test_a_session_is_due_once_it_has_ended(store: MemoryStore, sessions: Sessions) -> None:
    going_on = await lesson(sessions, "Hello", ended=False)
    assert await due(store) == []
    await sessions.end(going_on)
    assert await due(store) == [ANNA]
    assert [found.pair for found in await store.unnoticed(10)] == [ANNA]
    lease = await store.lease(ANNA)
    assert lease is not None
    assert await due(store) == []  # somebody is at it
    unread = await store.unread(ANNA)
    assert [message.content for message in unread.messages] == ["Hello", "You said: Hello"]
    assert unread.ended == unread.unnoticed == {going_on}
    noticed = {going_on: Reading(None, settled=False, noticed=True)}
    assert await store.write(lease, KNOWN, noticed)
    assert await store.unnoticed(10) == []
    assert await due(store) == [ANNA]
    lease = await store.lease(ANNA)
    assert lease is not None
    settled = {going_on: Reading(unread.messages[-1].id, settled=True, noticed=True)}
    assert await store.write(lease, KNOWN, settled)
    assert await due(store) == []


async def test_an_expired_session_is_due_too(
    store: MemoryStore, sessions: Sessions, clock: SetClock
) -> None:
    await lesson(sessions, "Hello", ended=False)
    clock.advance(3601)
    await sessions.expire()
    assert await due(store) == [ANNA]


async def test_a_long_session_is_due_while_it_goes_on(
    store: MemoryStore, sessions: Sessions
) -> None:
    said = [str(i) for i in range(LONG_MESSAGES // 2 - 1)]
    session_id = await lesson(sessions, *said, ended=False)
    assert await due(store) == []
    await sessions.add_question(session_id, "one more")
    await sessions.add_answer(session_id, "yes")
    assert await due(store) == [ANNA]
    unread = await store.unread(ANNA)
    assert unread.ended == frozenset()
    lease = await store.lease(ANNA)
    assert lease is not None
    read = {session_id: Reading(unread.messages[-1].id, settled=False, noticed=False)}
    await store.write(lease, KNOWN, read)
    assert await due(store) == []
    await sessions.end(session_id)
    assert await due(store) == [ANNA]
    assert (await store.unread(ANNA)).messages == ()


async def test_what_ended_long_ago_is_left_alone(
    store: MemoryStore, sessions: Sessions, clock: SetClock
) -> None:
    await lesson(sessions, "Hello")
    clock.advance(LOOK_BACK_DAYS * 86400 + 1)
    assert await due(store) == []


async def test_of_too_many_messages_the_oldest_or_the_newest_are_looked_at(
    store: MemoryStore, sessions: Sessions
) -> None:
    await lesson(sessions, *map(str, range(UNREAD_MESSAGES // 2)), "last")
    oldest, newest = await store.unread(ANNA), await store.unread(ANNA, newest=True)
    assert not oldest.is_all
    assert oldest.messages[0].content == "0"
    assert newest.messages[-1].content == "You said: last"
    assert len(oldest.messages) == len(newest.messages) == UNREAD_MESSAGES


async def test_only_one_of_two_gateways_gets_the_lease(
    database: AsyncEngine, store: MemoryStore, clock: SetClock
) -> None:
    other = MemoryStore(database, days=30, clock=clock)
    tries = [gateway.lease(ANNA) for gateway in (store, other) * 5]
    leases = [lease for lease in await asyncio.gather(*tries) if lease is not None]
    assert len(leases) == 1


async def test_a_killed_gateways_work_is_done_by_another_one(
    store: MemoryStore, sessions: Sessions, clock: SetClock
) -> None:
    await lesson(sessions, "Hello")
    killed = await store.lease(ANNA)
    assert killed is not None
    assert await store.lease(ANNA) is None
    clock.advance(LEASE_S)
    assert await due(store) == [ANNA]
    second = await store.lease(ANNA)
    assert second is not None
    assert not await store.write(killed, Remembered("too late"), {})
    assert await store.write(second, KNOWN, {})
    assert not await store.write(second, Remembered("twice"), {})
    assert [kept.remembered for kept in await store.of(123)] == [KNOWN]


async def test_after_a_failure_there_is_a_pause_but_not_for_what_needs_no_model(
    store: MemoryStore, sessions: Sessions, clock: SetClock
) -> None:
    await lesson(sessions, "Hello")
    lease = await store.lease(ANNA)
    assert lease is not None
    await store.write(lease, KNOWN, {}, pause_s=60, failures=1)
    assert await due(store) == []
    assert [found.pair for found in await store.unnoticed(9)] == [ANNA]
    again = await store.lease(ANNA)
    assert again is not None
    assert again.failures == 1
    await store.write(again, KNOWN, {}, failures=1)
    assert await due(store) == []
    clock.advance(60)
    assert await due(store) == [ANNA]


@pytest.mark.parametrize("tutor_id", [None, ANNA.tutor_id])
async def test_forgetting_reaches_what_is_being_written(
    store: MemoryStore, sessions: Sessions, tutor_id: int | None
) -> None:
    session_id = await lesson(sessions, "My secret", ended=False)
    lease = await store.lease(ANNA)
    assert lease is not None
    unread = await store.unread(ANNA)
    assert unread.messages
    await store.forget(123, tutor_id)
    read = {session_id: Reading(unread.messages[-1].id, settled=False, noticed=False)}
    assert not await store.write(lease, KNOWN, read)
    assert await store.of(123) == []
    # Nor does it come back: only what is said from now on is read.
    await sessions.add_question(session_id, "Something new")
    await sessions.end(session_id)
    assert await store.lease(ANNA) is not None
    assert [m.content for m in (await store.unread(ANNA)).messages] == ["Something new"]


async def test_nothing_that_was_forgotten_is_due_again(
    store: MemoryStore, sessions: Sessions
) -> None:
    await lesson(sessions, "My secret")
    await lesson(sessions, "Of another student", pair=Pair(124, 2))
    await store.forget(123)
    assert await due(store) == [Pair(124, 2)]
    assert (await store.unread(ANNA)).messages == ()


async def test_forgetting_and_writing_at_once_leave_nothing_behind(
    database: AsyncEngine, store: MemoryStore, sessions: Sessions, clock: SetClock
) -> None:
    """Whichever comes first: what was read before the forgetting is never written after it."""
    other = MemoryStore(database, days=30, clock=clock)

    async def write(pair: Pair) -> None:
        if (lease := await other.lease(pair)) is not None:
            said = (await other.unread(pair)).messages
            await other.write(lease, Remembered("".join(m.content for m in said)), {})

    for student_id in range(8):
        pair = Pair(student_id, 2)
        await lesson(sessions, "My secret", pair=pair)
        await asyncio.gather(write(pair), store.forget(student_id), write(pair))
        assert await store.of(student_id) == []
        assert (await store.unread(pair)).messages == ()


async def test_what_is_old_is_told_to_nobody_and_deleted(
    store: MemoryStore, database: AsyncEngine, clock: SetClock
) -> None:
    await remember(store, ANNA)
    await remember(store, Pair(124, 2))
    clock.advance(29 * 86400)
    await remember(store, Pair(124, 2), Remembered("newer"))
    clock.advance(2 * 86400)
    assert await store.of(123) == []
    assert len(await store.of(124)) == 1
    lease = await store.lease(ANNA)
    assert lease is not None
    assert lease.remembered == Remembered()
    await store.write(lease, Remembered(), {})
    await store.forget_old()
    forever = MemoryStore(database, days=36_500, clock=clock)
    assert [kept.remembered.summary for kept in await forever.of(124)] == ["newer"]


async def test_what_is_old_is_gone_from_the_table(
    store: MemoryStore, database: AsyncEngine, clock: SetClock
) -> None:
    forever = MemoryStore(database, days=36_500, clock=clock)
    await remember(store, ANNA)
    clock.advance(31 * 86400)
    assert len(await forever.of(123)) == 1
    await store.forget_old()
    assert await forever.of(123) == []


async def test_the_newest_question_is_known(
    store: MemoryStore, sessions: Sessions, clock: SetClock
) -> None:
    nothing, _ = await store.newest_question()
    await lesson(sessions, "Hello", pair=Pair(9, 9), ended=False)
    newest, at = await store.newest_question()
    assert newest > nothing
    assert at == clock.now
