"""The tutors that were given over REST: in the database, and from there in every gateway."""

import asyncio
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from pydantic import ValidationError
from sqlalchemy import delete, func, select, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from foundation.settings import SettingsError
from serve_app.errors import StorageFailed
from serve_app.store import TutorRow, TutorsRevision, open_database, transactions
from serve_app.tutors import Tutors
from serve_app.tutors_file import TutorEntry

logger = logging.getLogger(__name__)

MAX_TUTORS = 2000
"""Every gateway reads all of them after each change: with long prompts some 40 MB."""

LOOK_INTERVAL_S = 0.5
"""How soon another gateway's change is in force; a look reads one number."""

Given = dict[int, TutorEntry]


class TooManyTutors(Exception):
    """There is no room for another one."""

    sentence = f"There are {MAX_TUTORS} tutors already. Delete one first."


class TutorStore:
    """The given tutors of every gateway on one database. Everything raises `StorageFailed`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._database = transactions(engine)

    async def revision(self) -> int:
        """Another number after each change."""
        async with self._database.reading() as transaction:
            return await self._revision(transaction)

    async def read(self) -> tuple[int, Given]:
        """All of them, and a revision that is not newer."""
        async with self._database.reading() as transaction:
            revision = await self._revision(transaction)
            found = (await transaction.execute(select(TutorRow.id, TutorRow.entry))).all()
        return revision, await asyncio.to_thread(_entries, {row.id: row.entry for row in found})

    async def put(self, tutor_id: int, entry: TutorEntry) -> None:
        """Raises `TooManyTutors`."""
        async with self._database.writing() as transaction:
            await self._change(transaction)
            row = await transaction.get(TutorRow, tutor_id)
            if row is None:
                count = select(func.count()).select_from(TutorRow)
                if (await transaction.scalar(count) or 0) >= MAX_TUTORS:
                    raise TooManyTutors
                row = TutorRow(id=tutor_id)
                transaction.add(row)
            row.entry = entry.model_dump_json()
            row.updated_at = datetime.now(UTC)

    async def remove(self, tutor_id: int) -> None:
        """Also when there is none."""
        async with self._database.writing() as transaction:
            await self._change(transaction)
            await transaction.execute(delete(TutorRow).where(TutorRow.id == tutor_id))

    async def _change(self, transaction: AsyncSession) -> None:
        """Written first: its lock makes counting and inserting one step across gateways."""
        await transaction.execute(update(TutorsRevision).values(number=TutorsRevision.number + 1))

    async def _revision(self, transaction: AsyncSession) -> int:
        return await transaction.scalar(select(TutorsRevision.number)) or 0


class Staff:
    """Keeps the tutors of one gateway as the database has them."""

    def __init__(self, store: TutorStore, tutors: Tutors) -> None:
        self.tutors = tutors
        self._store = store
        self._revision: int | None = None
        self._looking = asyncio.Lock()

    async def look(self) -> None:
        """Take over what has changed. Raises `StorageFailed`; then all stays as it was."""
        async with self._looking:
            if await self._store.revision() == self._revision:
                return
            self._revision, given = await self._store.read()
            self.tutors.give(given)

    async def follow(self) -> NoReturn:
        """Runs as long as the gateway."""
        while True:
            await asyncio.sleep(LOOK_INTERVAL_S)
            try:
                await self.look()
            except Exception:  # whatever it is, the next look may succeed
                logger.exception("The tutors of the database stay as they were; trying again")

    async def put(self, tutor_id: int, entry: TutorEntry) -> None:
        """In force here at once. Raises `TooManyTutors` or `StorageFailed`."""
        await self._store.put(tutor_id, entry)
        await self.refresh()

    async def remove(self, tutor_id: int) -> None:
        """In force here at once. Raises `StorageFailed`."""
        await self._store.remove(tutor_id)
        await self.refresh()

    async def refresh(self) -> None:
        """`look`, but a database that is away only means that the tutors stay as they were."""
        try:
            await self.look()
        except StorageFailed:
            logger.warning("Changes of tutors are in force as soon as the database answers again")


def _entries(rows: Mapping[int, str]) -> Given:
    """Blocks for milliseconds. One that cannot be read is left out, and told."""
    entries: Given = {}
    for tutor_id, text in rows.items():
        try:
            entries[tutor_id] = TutorEntry.model_validate_json(text)
        except ValidationError as wrong:
            place = ".".join(str(part) for part in wrong.errors()[0]["loc"])
            logger.error(
                "The tutor %s of the database is left out: %s is wrong. Give it anew with "
                "PUT /v1/tutors/%s.",
                tutor_id,
                place,
                tutor_id,
            )
    return entries


def given_tutors(database_url: str) -> Given:
    """For commands, which run beside the engine or before it. Blocks.

    Raises `SettingsError` when the database does not answer.
    """
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        return {}
    try:
        # In a thread of its own, since the caller may have an event loop already.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, _read_once(database_url)).result()
    except (StorageFailed, SQLAlchemyError, OSError) as failure:
        raise SettingsError(
            "The tutors that were given over REST cannot be read: the database does not answer. "
            "Start it, or correct DATABASE_URL."
        ) from failure


async def _read_once(database_url: str) -> Given:
    async with open_database(database_url) as database:
        return (await TutorStore(database).read())[1]
