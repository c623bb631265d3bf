import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from foundation import database
from foundation.database import Transactions, UtcTime, connected
from tests.running import free_port

NOON = datetime(2026, 1, 2, 12, 0, 0, 678901, tzinfo=timezone(timedelta(hours=8)))


class Table(DeclarativeBase):
    pass


class Note(Table):
    __tablename__ = "foundation_notes"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    written_at: Mapped[datetime] = mapped_column(UtcTime)


class Failed(Exception):
    pass


@pytest.fixture(params=["sqlite", "postgres"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """Of a database with an empty table."""
    url = f"sqlite+aiosqlite:///{tmp_path}/home/notes.db"
    if request.param == "postgres":
        plain: str = request.getfixturevalue("postgres")
        url = plain.replace("postgresql://", "postgresql+asyncpg://")
    engine = connected(url)
    async with engine.begin() as connection:
        await connection.run_sync(Table.metadata.create_all)
    yield url
    async with engine.begin() as connection:
        await connection.run_sync(Table.metadata.drop_all)
    await engine.dispose()


@pytest.fixture
async def engine(url: str) -> AsyncIterator[AsyncEngine]:
    engine = connected(url)
    yield engine
    await engine.dispose()


async def count(notes: Transactions) -> int:
    async with notes.reading() as rows:
        return await rows.scalar(select(func.count()).select_from(Note)) or 0


async def test_times_come_back_in_utc(engine: AsyncEngine) -> None:
    notes = Transactions(engine, Failed)
    async with notes.writing() as rows:
        rows.add(Note(id=1, written_at=NOON.astimezone(UTC)))
    async with notes.reading() as rows:
        note = await rows.get(Note, 1)
    assert note is not None
    assert (note.written_at, note.written_at.tzinfo) == (NOON, UTC)


async def test_nothing_is_written_when_an_exception_leaves(engine: AsyncEngine) -> None:
    notes = Transactions(engine, Failed)
    with pytest.raises(KeyError):
        async with notes.writing() as rows:
            rows.add(Note(id=1, written_at=NOON))
            await rows.flush()
            raise KeyError
    assert await count(notes) == 0
    async with notes.writing() as rows:
        rows.add(Note(id=1, written_at=NOON))
    assert await count(notes) == 1


async def test_failures_get_the_name_that_the_caller_knows(engine: AsyncEngine) -> None:
    for notes, known in (
        (Transactions(engine, Failed), Failed),
        (Transactions(engine, Failed, passing=(IntegrityError,)), IntegrityError),
    ):
        with pytest.raises(known):
            async with notes.writing() as rows:
                rows.add_all([Note(id=1, written_at=NOON), Note(id=1, written_at=NOON)])


async def test_a_database_that_does_not_answer_is_a_failure_too() -> None:
    """asyncpg lets the refused connection through as it is."""
    engine = connected(f"postgresql+asyncpg://tutor@127.0.0.1:{free_port()}/none")
    try:
        with pytest.raises(Failed):
            await count(Transactions(engine, Failed))
    finally:
        await engine.dispose()


async def test_those_who_write_at_the_same_time_queue(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite itself lets them look again and again, and gives some up when the machine is slow."""
    monkeypatch.setattr(database, "BUSY_TIMEOUT_MS", 1)
    engine = connected(url)
    notes = Transactions(engine, Failed)

    async def write(number: int) -> None:
        async with notes.writing() as rows:
            rows.add(Note(id=number, written_at=NOON))

    try:
        async with asyncio.TaskGroup() as group:
            for number in range(40):
                group.create_task(write(number))
        assert await count(notes) == 40
    finally:
        await engine.dispose()


async def test_the_folder_of_a_new_sqlite_file_is_private(tmp_path: Path) -> None:
    connected(f"sqlite+aiosqlite:///{tmp_path}/home/notes.db")
    assert (tmp_path / "home").stat().st_mode & 0o077 == 0
