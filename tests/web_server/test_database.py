"""The tables as the migrations make them, on SQLite and on PostgreSQL."""

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, func, select, text

from tests.running import PROJECT, free_port
from tests.web_server.schools import new_database, settings_for
from web_server import database as database_module
from web_server.database import Transactions, connected, migrate, open_database
from web_server.errors import StorageFailed
from web_server.tables import FIRST_TUTOR_ID, Table, TutorRow, UserRow


@pytest.fixture(params=["sqlite", "postgres"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """Of a database without tables."""
    if request.param == "sqlite":
        yield settings_for(tmp_path / "home", "http://engine").database
    else:
        plain = await new_database(request.getfixturevalue("postgres"), "web_tables")
        home = settings_for(tmp_path, "http://engine", database_url=plain)
        yield home.database


def differences(connection: Connection) -> list[object]:
    options = {
        "version_table": "web_alembic_version",
        "compare_type": True,
        "include_name": lambda name, kind, _: kind != "table" or name.startswith("web_"),
    }
    context = MigrationContext.configure(connection, opts=options)
    return list(compare_metadata(context, Table.metadata))


async def test_the_migrations_make_exactly_these_tables(url: str) -> None:
    engine = connected(url)
    async with engine.connect() as connection:
        assert len(await connection.run_sync(differences)) >= len(Table.metadata.tables)
    async with open_database(url) as opened, opened.connect() as connection:
        assert await connection.run_sync(differences) == []
    async with open_database(url) as again, again.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


async def test_other_tables_in_the_database_stay(url: str) -> None:
    engine = connected(url)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE sessions (id INTEGER)"))
        await connection.execute(text("INSERT INTO sessions VALUES (7)"))
    async with open_database(url) as opened, opened.connect() as connection:
        assert await connection.scalar(text("SELECT id FROM sessions")) == 7
    await engine.dispose()


async def test_processes_that_start_together_do_not_collide(url: str) -> None:
    environ = {"WEB_DATABASE_URL": url.replace("+aiosqlite", "").replace("+asyncpg", "")}
    command = (sys.executable, "-m", "web_server", "migrate")
    started = [
        await asyncio.create_subprocess_exec(
            *command, cwd=PROJECT, env=environ, stderr=asyncio.subprocess.PIPE
        )
        for _ in range(3)
    ]
    async with asyncio.timeout(120):
        told = [(await process.communicate())[1].decode() for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], told
    async with open_database(url) as opened, opened.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_ids_begin_above_those_of_the_engines_file_and_are_never_given_twice(
    url: str,
) -> None:
    async with open_database(url) as opened:
        database = Transactions(opened)
        async with database.writing() as rows:
            admin = UserRow(email="a@x", name="A", password_hash="", created_at=datetime.now(UTC))
            rows.add(admin)
            await rows.flush()
            rows.add(TutorRow(id=2, tenant_id=admin.id, name="Anna", face="anna"))
        ids = []
        for _ in range(2):
            tutor = TutorRow(tenant_id=admin.id, name="T", face="anna")
            user = UserRow(email="b@x", name="B", password_hash="", created_at=datetime.now(UTC))
            async with database.writing() as rows:
                rows.add_all([tutor, user])
                await rows.flush()
                ids.append((tutor.id, user.id))
            async with database.writing() as rows:
                await rows.delete(tutor)
                await rows.delete(user)
        assert [tutor_id for tutor_id, _ in ids] == [FIRST_TUTOR_ID, FIRST_TUTOR_ID + 1]
        assert ids[0][1] < ids[1][1]


async def test_times_come_back_in_utc(url: str) -> None:
    now = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    async with open_database(url) as opened:
        database = Transactions(opened)
        async with database.writing() as rows:
            rows.add(UserRow(email="a@x", name="A", password_hash="", created_at=now))
        async with database.reading() as rows:
            row = await rows.get(UserRow, 1)
        assert row is not None
        assert (row.created_at, row.created_at.tzinfo, row.last_seen_at) == (now, UTC, None)


async def test_those_who_write_at_the_same_time_queue(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite itself lets them look again and again, and gives some up when the machine is slow."""
    async with open_database(url):
        pass  # migrated, with the usual patience
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT_MS", 1)
    engine = connected(url)
    database = Transactions(engine)
    now = datetime.now(UTC)

    async def write(number: int) -> None:
        async with database.writing() as rows:
            rows.add(UserRow(email=f"{number}@x", name="A", password_hash="", created_at=now))

    try:
        async with asyncio.TaskGroup() as group:
            for number in range(40):
                group.create_task(write(number))
        async with database.reading() as rows:
            assert await rows.scalar(select(func.count()).select_from(UserRow)) == 40
    finally:
        await engine.dispose()


async def test_a_database_that_does_not_answer_is_one_known_failure() -> None:
    url = f"postgresql+asyncpg://tutor@127.0.0.1:{free_port()}/none"
    with pytest.raises(StorageFailed):
        async with open_database(url):
            pass
    engine = connected(url)
    with pytest.raises(StorageFailed):
        async with Transactions(engine).reading() as rows:
            await rows.get(UserRow, 1)
    await engine.dispose()


def test_the_folder_of_a_new_sqlite_file_is_private(tmp_path: Path) -> None:
    home = tmp_path / "home"
    migrate(settings_for(home, "http://engine").database)
    assert home.stat().st_mode & 0o077 == 0
