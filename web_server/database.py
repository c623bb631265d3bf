"""How the database is opened, brought to the newest form, and reached."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from web_server.errors import StorageFailed

logger = logging.getLogger(__name__)

BUSY_TIMEOUT_MS = 10_000
"""How long a writer waits for another one's lock. A write takes about a millisecond, so this is
only reached when the disk hangs, or while another process migrates."""

MIGRATIONS = Path(__file__).with_name("migrations")
ADVISORY_LOCK = 0x5455_544F_5257
"""Of PostgreSQL: one process migrates at a time. The number means nothing."""


@asynccontextmanager
async def open_database(url: str) -> AsyncIterator[AsyncEngine]:
    """Migrate, connect, and close at the end. Raises `StorageFailed`."""
    with _translated():
        await asyncio.to_thread(migrate, url)
    engine = connected(url)
    try:
        yield engine
    finally:
        await engine.dispose()


def connected(url: str) -> AsyncEngine:
    if make_url(url).get_backend_name() != "sqlite":
        return create_async_engine(url, pool_pre_ping=True, hide_parameters=True)
    database = make_url(url).database
    if database and database != ":memory:":
        Path(database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = create_async_engine(
        url, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000}, hide_parameters=True
    )

    @event.listens_for(engine.sync_engine, "connect")
    def use_wal(connection: Any, _record: Any) -> None:
        # WAL lets one process read while another writes; NORMAL syncs at checkpoints only, which a
        # crash of the process survives (a power cut may lose the last moments, never the file).
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine


def migrate(url: str) -> None:
    """Bring the database to the newest form; all of it, or nothing. Blocks, for less than a second
    as a rule; of several processes that do it at the same time, the others wait for the first."""
    asyncio.run(_migrate(url))


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


class Transactions:
    """The way to the database: every failure comes out as `StorageFailed`, but for
    `IntegrityError`: something is there twice, or no longer, and the caller knows what."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._sessions = async_sessionmaker(engine, expire_on_commit=False)
        # SQLite lets one write at a time, and those that wait look again after ever longer pauses,
        # so that some wait for seconds while others come and go. Here they queue.
        alone = engine.dialect.name == "sqlite"
        self._turn: AbstractAsyncContextManager[Any] = asyncio.Lock() if alone else nullcontext()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        with _translated():
            async with self._sessions() as transaction:
                yield transaction

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        """Commits at the end, unless an exception leaves."""
        with _translated():
            async with self._turn, self._sessions.begin() as transaction:
                yield transaction


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise
    except (SQLAlchemyError, OSError) as failure:  # asyncpg lets refused connections through
        logger.error("The database failed", exc_info=failure)
        raise StorageFailed from failure
