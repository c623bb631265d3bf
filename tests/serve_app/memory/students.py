"""Databases, a clock and lessons, for the tests of what is remembered."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from serve_app.memory_store import Pair
from serve_app.sessions import Sessions
from serve_app.settings import Settings
from serve_app.store import Table, open_database

ANNA = Pair(123, 2)


class SetClock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@asynccontextmanager
async def opened(request: pytest.FixtureRequest, home: Path) -> AsyncIterator[AsyncEngine]:
    """A fresh database of the kind that the fixture is made for."""
    postgres = request.param == "postgresql"
    url = request.getfixturevalue("postgres") if postgres else ""
    async with open_database(Settings(tutor_home=home, database_url=url).database) as engine:
        yield engine
        if postgres:
            async with engine.begin() as connection:
                await connection.run_sync(Table.metadata.drop_all)


async def lesson(sessions: Sessions, *said: str, pair: Pair = ANNA, ended: bool = True) -> str:
    """A session in which the student said these, and was answered."""
    session, _ = await sessions.create(pair.tutor_id, pair.student_id, None)
    for words in said:
        await sessions.add_question(session.id, words)
        await sessions.add_answer(session.id, f"You said: {words}")
    if ended:
        await sessions.end(session.id)
    return session.id
