"""How a SQL database is opened, and written by several at the same time."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import DateTime, event
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.types import TypeDecorator

logger = logging.getLogger(__name__)

BUSY_TIMEOUT_MS = 10_000
"""How long a writer waits for another process's write lock on SQLite. A write takes about a
millisecond, so this is only reached when the disk hangs."""


class UtcTime(TypeDecorator[datetime]):
    """Always UTC: SQLite forgets the zone, PostgreSQL answers in its own."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def connected(url: str) -> AsyncEngine:
    """The connections are made when they are needed; a new SQLite file gets a private folder."""
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


@contextmanager
def failing_as(
    failure: Callable[[], Exception], passing: tuple[type[SQLAlchemyError], ...] = ()
) -> Iterator[None]:
    """Whatever goes wrong with the database is raised as the `failure`, but for what is `passing`:
    its meaning is the caller's to know."""
    try:
        yield
    except passing:
        raise
    except (SQLAlchemyError, OSError) as broken:  # asyncpg lets refused connections through
        logger.error("The database failed", exc_info=broken)
        raise failure() from broken


class Transactions:
    """The way to the tables."""

    def __init__(
        self,
        engine: AsyncEngine,
        failure: Callable[[], Exception],
        passing: tuple[type[SQLAlchemyError], ...] = (),
    ) -> None:
        """Fails as `failing_as` says."""
        self._sessions = async_sessionmaker(engine, expire_on_commit=False)
        self._failure = failure
        self._passing = passing
        # SQLite lets one write at a time, and those that wait look again after ever longer pauses,
        # so that some wait for seconds while others come and go. Here they queue.
        alone = engine.dialect.name == "sqlite"
        self._turn: AbstractAsyncContextManager[Any] = asyncio.Lock() if alone else nullcontext()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        with failing_as(self._failure, self._passing):
            async with self._sessions() as transaction:
                yield transaction

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        """Commits at the end, unless an exception leaves. Not within another `writing`."""
        with failing_as(self._failure, self._passing):
            async with self._turn, self._sessions.begin() as transaction:
                yield transaction
