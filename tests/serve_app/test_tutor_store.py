import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from foundation.settings import SettingsError
from serve_app import tutor_store
from serve_app.errors import StorageFailed
from serve_app.settings import Settings
from serve_app.store import TutorRow, TutorsRevision, open_database
from serve_app.tutor_store import Staff, TooManyTutors, TutorStore, given_tutors
from serve_app.tutors import Tutors, read_tutors
from serve_app.tutors_file import TutorEntry
from tests.running import PROJECT, eventually, free_port

ADA = TutorEntry(name="Ada", face="mei", model="own:1", vocabulary=("cosine",), kb="maths")


def tutors_of(home: Path) -> Tutors:
    return read_tutors(PROJECT / "configs/tutors.yaml", Settings(tutor_home=home))


@asynccontextmanager
async def database(home: Path) -> AsyncIterator[AsyncEngine]:
    async with open_database(Settings(tutor_home=home).database) as engine:
        yield engine


async def test_a_given_tutor_survives_a_restart(tmp_path: Path) -> None:
    async with database(tmp_path) as engine:
        await Staff(TutorStore(engine), tutors_of(tmp_path)).put(7, ADA)
    async with database(tmp_path) as engine:
        tutors = tutors_of(tmp_path)
        await Staff(TutorStore(engine), tutors).look()
        ada = tutors.get(7)
        assert (ada.name, ada.face, ada.kb, ada.vocabulary) == ("Ada", "mei", "maths", ("cosine",))
        assert ada.llm_app == "llm-own-1"
        assert "llm-own-1" in tutors.llm_apps


async def test_it_goes_before_the_file_until_it_is_removed(tmp_path: Path) -> None:
    async with database(tmp_path) as engine:
        tutors = tutors_of(tmp_path)
        staff = Staff(TutorStore(engine), tutors)
        await staff.put(2, ADA)
        assert (tutors.get(2).name, tutors.is_given(2)) == ("Ada", True)
        assert "Ada" in tutors.wearers("mei")
        assert tutors.wearers("anna") == ["Anna"]  # the stand-in; the file's is not shown now
        await staff.remove(2)
        assert (tutors.get(2).name, tutors.is_given(2)) == ("Anna", False)
        assert tutors.llm_apps == {"llm-default"}
        await staff.remove(2)


@asynccontextmanager
async def following(staff: Staff, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    monkeypatch.setattr(tutor_store, "LOOK_INTERVAL_S", 0.02)
    task = asyncio.create_task(staff.follow())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_another_gateway_takes_each_change_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with database(tmp_path) as engine, database(tmp_path) as other_engine:
        tutors = tutors_of(tmp_path)
        here = Staff(TutorStore(engine), tutors)
        other = Staff(TutorStore(other_engine), tutors_of(tmp_path))
        async with following(here, monkeypatch):
            await other.put(7, ADA)
            await eventually(lambda: tutors.get(7).name == "Ada")
            await other.put(7, ADA.model_copy(update={"name": "Eve"}))
            await eventually(lambda: tutors.get(7).name == "Eve")
            await other.remove(7)
            await eventually(lambda: not tutors.is_given(7))


async def test_what_has_not_changed_is_not_read_again(tmp_path: Path) -> None:
    async with database(tmp_path) as engine:
        tutors = tutors_of(tmp_path)
        staff = Staff(TutorStore(engine), tutors)
        await staff.put(7, ADA)
        tutors.give({})
        await staff.look()
        assert not tutors.is_given(7)


async def test_a_database_that_is_away_costs_only_the_change(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine = create_async_engine(f"postgresql+asyncpg://tutor@127.0.0.1:{free_port()}/none")
    tutors = tutors_of(tmp_path)
    tutors.give({7: ADA})
    staff = Staff(TutorStore(engine), tutors)
    try:
        with pytest.raises(StorageFailed):
            await staff.put(7, ADA.model_copy(update={"name": "Eve"}))
        with pytest.raises(StorageFailed):
            await staff.remove(7)
        await staff.refresh()
        async with following(staff, monkeypatch):
            await eventually(lambda: caplog.text.count("trying again") > 1)
        assert tutors.get(7).name == "Ada"
    finally:
        await engine.dispose()


async def test_one_that_cannot_be_read_is_left_out_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with database(tmp_path) as engine:
        staff = Staff(TutorStore(engine), tutors := tutors_of(tmp_path))
        await staff.put(7, ADA)
        await staff.put(8, ADA)
        async with engine.begin() as connection:
            await connection.execute(
                update(TutorRow).where(TutorRow.id == 7).values(entry='{"face": 3}')
            )
            await connection.execute(update(TutorsRevision).values(number=99))
        await staff.look()
        assert (tutors.is_given(7), tutors.is_given(8)) == (False, True)
    errors = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert len(errors) == 1
    assert "tutor 7" in errors[0]
    assert "face" in errors[0]


async def test_there_is_an_end_to_how_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tutor_store, "MAX_TUTORS", 2)
    async with database(tmp_path) as engine:
        staff = Staff(TutorStore(engine), tutors_of(tmp_path))
        await asyncio.gather(*(staff.put(tutor_id, ADA) for tutor_id in (7, 8)))
        with pytest.raises(TooManyTutors):
            await staff.put(9, ADA)
        await staff.put(8, ADA)  # one that is there may still be changed


async def test_changes_at_once_are_all_kept(postgres: str, tmp_path: Path) -> None:
    url = Settings(database_url=postgres).database
    async with open_database(url) as engine:
        tutors = tutors_of(tmp_path)
        staff = Staff(TutorStore(engine), tutors)
        await asyncio.gather(*(staff.put(tutor_id, ADA) for tutor_id in range(100, 110)))
        await staff.look()
        assert all(tutors.is_given(tutor_id) for tutor_id in range(100, 110))
        assert len(await asyncio.to_thread(given_tutors, url)) == 10
        for tutor_id in range(100, 110):
            await staff.remove(tutor_id)


async def test_commands_read_them_beside_the_engine(tmp_path: Path) -> None:
    url = Settings(tutor_home=tmp_path).database
    assert given_tutors(url) == {}
    assert not os.listdir(tmp_path), "asking makes no database"
    async with database(tmp_path) as engine:
        await TutorStore(engine).put(7, ADA)
        assert given_tutors(url) == {7: ADA}


def test_commands_are_told_of_a_database_that_is_away() -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL"):
        given_tutors(f"postgresql+asyncpg://tutor@127.0.0.1:{free_port()}/none")


async def test_a_database_of_an_earlier_version_gets_the_tables(tmp_path: Path) -> None:
    async with database(tmp_path) as engine, engine.begin() as connection:
        for table in (TutorRow, TutorsRevision):
            await connection.execute(text(f"DROP TABLE {table.__tablename__}"))
    async with database(tmp_path) as engine:
        await TutorStore(engine).put(7, ADA)
        assert (await TutorStore(engine).read())[1] == {7: ADA}
