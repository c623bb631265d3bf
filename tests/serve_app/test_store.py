from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from serve_app.errors import StorageFailed
from serve_app.sessions import Limits, Sessions
from serve_app.settings import Settings
from serve_app.store import open_database
from tests.running import free_port


async def test_a_database_that_does_not_answer_is_one_known_failure() -> None:
    """asyncpg lets the refused connection through as it is; everyone sees `StorageFailed`."""
    engine = create_async_engine(f"postgresql+asyncpg://tutor@127.0.0.1:{free_port()}/none")
    sessions = Sessions(engine, Limits())
    try:
        with pytest.raises(StorageFailed):
            await sessions.count()
        with pytest.raises(StorageFailed):
            await sessions.create(1, 1, None)
    finally:
        await engine.dispose()


async def test_nul_characters_are_left_out_and_empty_cuts_leave_nothing(tmp_path: Path) -> None:
    async with open_database(Settings(tutor_home=tmp_path).database) as database:
        sessions = Sessions(database, Limits())
        session, _ = await sessions.create(1, 1, None)
        await sessions.add_question(session.id, "a\x00b")
        answer = await sessions.add_answer(session.id, "never heard")
        await sessions.cut_message(answer, " ")
        assert [row.content for row in await sessions.messages(session.id)] == ["ab"]


async def test_only_later_messages_on_request(tmp_path: Path) -> None:
    async with open_database(Settings(tutor_home=tmp_path).database) as database:
        sessions = Sessions(database, Limits())
        session, _ = await sessions.create(1, 1, None)
        first = await sessions.add_answer(session.id, "one")
        await sessions.add_answer(session.id, "two")
        later = await sessions.messages(session.id, after_id=first)
        assert [row.content for row in later] == ["two"]
