"""The same behaviour on SQLite and on PostgreSQL, also with several replicas on one database."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from serve_app.errors import BadToken, SessionNotFound, TooManyForStudent, TooManySessions
from serve_app.memory_store import MemoryStore
from serve_app.sessions import Limits, Sessions
from serve_app.settings import Settings
from serve_app.store import Table, open_database


class SetClock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture(params=["sqlite", "postgresql"])
async def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    if request.param == "sqlite":
        yield Settings(tutor_home=tmp_path).database
        return
    url = Settings(database_url=request.getfixturevalue("postgres")).database
    yield url
    async with open_database(url) as database, database.begin() as connection:
        await connection.run_sync(Table.metadata.drop_all)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
async def sessions(database_url: str, clock: SetClock) -> AsyncIterator[Sessions]:
    async with open_database(database_url) as database:
        yield Sessions(database, Limits(sessions=3, per_student=2, timeout_s=60), clock)


async def test_a_session_is_found_by_its_id(sessions: Sessions) -> None:
    session, token = await sessions.create(1, 123, "kb-001")
    assert await sessions.get(session.id) == session
    assert (session.tutor_id, session.student_id, session.kb_id) == (1, 123, "kb-001")
    assert session.created_at.tzinfo is not None
    assert len(token) >= 43


async def test_only_its_own_token_opens_a_session(sessions: Sessions) -> None:
    first, first_token = await sessions.create(1, 123, None)
    _, other_token = await sessions.create(1, 123, None)
    assert (await sessions.authenticate(first.id, first_token)).id == first.id
    for wrong in (other_token, "", first_token[:-1], "\ud800"):
        with pytest.raises(BadToken):
            await sessions.authenticate(first.id, wrong)


async def test_any_live_token_of_a_student_opens_their_connection(sessions: Sessions) -> None:
    ended, ended_token = await sessions.create(1, 123, None)
    _, token = await sessions.create(2, 123, None)
    _, other_token = await sessions.create(1, 9, None)
    await sessions.end(ended.id)
    await sessions.authenticate_student(123, token)
    for wrong in (ended_token, other_token, ""):
        with pytest.raises(BadToken):
            await sessions.authenticate_student(123, wrong)


async def test_tokens_are_stored_only_as_hashes(sessions: Sessions, database_url: str) -> None:
    _, token = await sessions.create(1, 123, None)
    async with open_database(database_url) as database, database.connect() as connection:
        rows = (await connection.execute(text("SELECT * FROM sessions"))).all()
    assert rows
    assert token not in str(rows)


async def test_the_limits_hold_and_say_what_to_do(sessions: Sessions) -> None:
    await sessions.create(1, 1, None)
    await sessions.create(1, 1, None)
    with pytest.raises(TooManyForStudent, match="MAX_SESSIONS_PER_STUDENT"):
        await sessions.create(1, 1, None)
    last, _ = await sessions.create(1, 2, None)
    with pytest.raises(TooManySessions, match="MAX_SESSIONS"):
        await sessions.create(1, 3, None)
    await sessions.end(last.id)
    await sessions.create(1, 3, None)


async def test_the_limit_holds_under_concurrent_creation_from_several_replicas(
    database_url: str,
) -> None:
    limits = Limits(sessions=7, per_student=100)
    async with open_database(database_url) as one, open_database(database_url) as two:
        replicas = [Sessions(one, limits), Sessions(two, limits)]
        created = await asyncio.gather(
            *(replicas[i % 2].create(1, i, None) for i in range(40)), return_exceptions=True
        )
        refused = [result for result in created if isinstance(result, TooManySessions)]
        assert len(refused) == 33
        assert all(isinstance(result, tuple | TooManySessions) for result in created)
        assert await replicas[0].count() == 7


async def test_replicas_may_create_the_tables_at_the_same_time(database_url: str) -> None:
    async def start() -> int:
        async with open_database(database_url) as database:
            return await Sessions(database, Limits()).count()

    assert await asyncio.gather(*(start() for _ in range(6))) == [0] * 6


async def test_a_session_expires_without_traffic_and_lives_on_with_it(
    sessions: Sessions, clock: SetClock
) -> None:
    idle, idle_token = await sessions.create(1, 1, None)
    busy, _ = await sessions.create(1, 2, None)
    clock.advance(40)
    await sessions.touch(busy.id)
    clock.advance(30)
    with pytest.raises(SessionNotFound):
        await sessions.get(idle.id)
    with pytest.raises(SessionNotFound):
        await sessions.authenticate(idle.id, idle_token)
    with pytest.raises(SessionNotFound):
        await sessions.add_question(idle.id, "too late")
    assert (await sessions.get(busy.id)).last_activity == clock.now - timedelta(seconds=30)
    assert await sessions.count() == 1, "an expired session frees its place before it is marked"
    assert await sessions.expire() == 1
    assert await sessions.expire() == 0


async def test_ending_is_once_and_final(sessions: Sessions) -> None:
    session, _ = await sessions.create(1, 1, None)
    await sessions.end(session.id)
    with pytest.raises(SessionNotFound):
        await sessions.end(session.id)
    with pytest.raises(SessionNotFound):
        await sessions.touch(session.id)
    assert await sessions.living([session.id, "unknown"]) == set()
    assert await sessions.living_students([1]) == set()
    assert await sessions.exists(session.id)


async def test_pages_follow_each_other(sessions: Sessions, clock: SetClock) -> None:
    made = []
    for student in (1, 2, 2):
        made.append((await sessions.create(student, student, None))[0])
        clock.advance(1)
    assert await sessions.page() == made
    first = await sessions.page(limit=2)
    assert first == made[:2]
    assert await sessions.page(after=first[-1].id) == made[2:]
    assert await sessions.page(student_id=2) == made[1:]
    assert await sessions.page(tutor_id=1) == made[:1]


async def test_a_conversation_is_kept_in_order_also_after_its_session(sessions: Sessions) -> None:
    session, _ = await sessions.create(1, 1, None)
    await sessions.add_question(session.id, "为什么？")
    answer = await sessions.add_answer(session.id, "Because of gravity.")
    await sessions.cut_message(answer, "Because")
    await sessions.add_question(session.id, "Go on")
    await sessions.end(session.id)
    kept = [(row.role, row.content, row.interrupted) for row in await sessions.messages(session.id)]
    assert kept == [
        ("user", "为什么？", False),
        ("assistant", "Because", True),
        ("user", "Go on", False),
    ]
    newest = await sessions.messages(session.id, last=2)
    assert [row.content for row in newest] == ["Because", "Go on"]


async def test_of_a_student_who_is_forgotten_nothing_stays_and_of_others_all(
    sessions: Sessions, database_url: str
) -> None:
    ended, _ = await sessions.create(1, 123, None)
    await sessions.add_question(ended.id, "My name is Anna.")
    await sessions.end(ended.id)
    alive, _ = await sessions.create(2, 123, None)
    await sessions.add_question(alive.id, "What is rain?")
    other, _ = await sessions.create(1, 124, None)
    await sessions.add_question(other.id, "What is snow?")
    async with open_database(database_url) as database:
        await MemoryStore(database, days=365).forget(123)  # which notes how far it has read
        await sessions.forget(123)
        async with database.connect() as connection:
            for table in ("sessions", "messages", "memory_readings"):
                left = (await connection.execute(text(f"SELECT * FROM {table}"))).all()
                assert not any(str(row).count(id_) for row in left for id_ in (ended.id, alive.id))
    assert await sessions.count() == 1
    assert [row.content for row in await sessions.messages(other.id)] == ["What is snow?"]
    with pytest.raises(SessionNotFound):
        await sessions.add_question(alive.id, "Are you there?")
    await sessions.forget(123)
