"""How the database is opened, brought to the newest form, and reached."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from foundation.database import Transactions, connected, failing_as
from web_server.errors import StorageFailed, StorageNewer

MIGRATIONS = Path(__file__).with_name("migrations")
ADVISORY_LOCK = 0x5455_544F_5257
"""Of PostgreSQL: one process migrates at a time. The number means nothing."""


@asynccontextmanager
async def open_database(url: str) -> AsyncIterator[AsyncEngine]:
    """Migrate, connect, and close at the end. Raises `StorageFailed`, `StorageNewer`."""
    with failing_as(StorageFailed):
        await asyncio.to_thread(migrate, url)
    engine = connected(url)
    try:
        yield engine
    finally:
        await engine.dispose()


def migrate(url: str) -> None:
    """Bring the database to the newest form; all of it, or nothing. Blocks, for less than a second
    as a rule; of several processes that do it at the same time, the others wait for the first.
    Raises `StorageNewer`."""
    try:
        asyncio.run(_migrate(url))
    except CommandError as unknown:  # no such revision: nothing else is asked of Alembic
        raise StorageNewer from unknown


async def _migrate(url: str) -> None:
    engine = connected(url)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_upgrade)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        # The driver would begin only at the first row that is written, and let DDL through before.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})")
    command.upgrade(alembic_config(connection), "head")


def alembic_config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def transactions(engine: AsyncEngine) -> Transactions:
    """Every failure comes out as `StorageFailed`, but for `IntegrityError`: something is there
    twice, or no longer, and the caller knows what."""
    return Transactions(engine, StorageFailed, passing=(IntegrityError,))
