"""The tables as the migrations make them, on SQLite and on PostgreSQL."""

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text

from foundation.database import connected
from tests.running import PROJECT
from tests.web_server.schools import new_database, settings_for
from web_server.database import open_database, transactions
from web_server.errors import StorageNewer
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
        database = transactions(opened)
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


async def test_a_database_of_a_newer_version_is_left_as_it_is(url: str) -> None:
    async with open_database(url) as opened, opened.begin() as connection:
        await connection.execute(text("UPDATE web_alembic_version SET version_num = '9999'"))
    with pytest.raises(StorageNewer, match="newer version"):
        async with open_database(url):
            raise AssertionError("it was opened")
    engine = connected(url)
    async with engine.connect() as connection:
        assert (
            await connection.scalar(text("SELECT version_num FROM web_alembic_version")) == "9999"
        )
    await engine.dispose()
