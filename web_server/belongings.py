"""Whose faces and voices are: the engine has one of each name, for everybody, and knows no tenants.

What nobody here has is the engine's own, and everybody's; so a name is a tenant's before the engine
is given what it stands for, and until the engine has it no longer.
"""

import unicodedata
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import InstrumentedAttribute

from web_server.access import School
from web_server.engine import segment
from web_server.errors import EngineAway, EngineRefused, NotFound, Taken, WebError
from web_server.sentences import Sentence
from web_server.tables import Belonging, TutorRow


def folded(name: str) -> str:
    """The engine takes names that differ only by capitals for the same."""
    return unicodedata.normalize("NFC", name).casefold()


@dataclass(frozen=True, slots=True)
class Belongings:
    """All of one kind."""

    rows: type[Belonging]
    none: Sentence
    """What is said when there is none of a name, or it is somebody else's."""
    taken: Sentence
    given: Sentence
    """What is said when one is to go that tutors have, of whom there are the `names`."""
    of_tutor: InstrumentedAttribute[str]
    """Where a tutor's is named."""
    path: str
    """At the engine."""

    async def owners(self, school: School) -> dict[str, int]:
        """Folded name → tenant."""
        async with school.database.reading() as rows:
            owned = await rows.execute(select(self.rows.folded, self.rows.tenant_id))
            return {row.folded: row.tenant_id for row in owned}

    async def visible(self, school: School, tenant_id: int) -> list[dict[str, Any]]:
        """What the engine tells of the tenant's, and of those that nobody has."""
        owners = await self.owners(school)
        told = await school.engine.get(self.path)
        return [one for one in told if owners.get(folded(one["name"]), tenant_id) == tenant_id]

    async def own(self, school: School, tenant_id: int, name: str) -> str:
        """Its name as the engine knows it. Raises `NotFound`."""
        row = await self._row(school, name)
        if row is None or row.tenant_id != tenant_id:
            raise NotFound(self.none)
        return row.name

    async def demand_visible(self, school: School, tenant_id: int, name: str) -> None:
        """Raises `NotFound` for another tenant's."""
        row = await self._row(school, name)
        if row is not None and row.tenant_id != tenant_id:
            raise NotFound(self.none)

    async def demand_there(self, school: School, tenant_id: int, name: str) -> None:
        """Raises `NotFound` for another tenant's, and for one that the engine has not got: its own
        refusal would name everybody's."""
        await self.demand_visible(school, tenant_id, name)
        if folded(name) not in await self._at_the_engine(school):
            raise NotFound(self.none)

    async def demand_free(self, school: School, name: str) -> None:
        """Raises `Taken` for one that the engine has and no tenant: it is everybody's, and whoever
        claimed it, were it only while a file is sent, could delete it."""
        if folded(name) in await self._at_the_engine(school) - (await self.owners(school)).keys():
            raise Taken(self.taken)

    @asynccontextmanager
    async def claimed(self, school: School, tenant_id: int, name: str) -> AsyncIterator[None]:
        """While the engine is given it, and from then on. What the engine refuses is nobody's
        again; where its answer is not known, it stays the tenant's. Raises `Taken`."""
        new = await self._claim(school, tenant_id, name)
        try:
            yield
        except EngineAway:
            raise
        except WebError:
            if new is not None:
                await self._give_back(school, name, new)
            raise
        await self._keep(school, tenant_id, name)

    async def remove(self, school: School, tenant_id: int, name: str) -> None:
        """Here and at the engine. Raises `Taken` when a tutor has it."""
        wanted = select(TutorRow.name).where(TutorRow.tenant_id == tenant_id, self.of_tutor == name)
        async with school.database.reading() as rows:
            having = list(await rows.scalars(wanted))
        if having:
            raise Taken(self.given.about(names=having))
        try:
            await school.engine.delete(f"{self.path}/{segment(name)}")
        except EngineRefused as refused:
            if refused.status != 404:  # gone already
                raise
        async with school.database.writing() as rows:
            await rows.execute(delete(self.rows).where(self.rows.folded == folded(name)))

    async def _at_the_engine(self, school: School) -> set[str]:
        """Folded names."""
        return {folded(one["name"]) for one in await school.engine.get(self.path)}

    async def _row(self, school: School, name: str) -> Belonging | None:
        async with school.database.reading() as rows:
            return await rows.get(self.rows, folded(name))

    async def _claim(self, school: School, tenant_id: int, name: str) -> datetime | None:
        """When, if it was nobody's until now. Raises `Taken`."""
        key, now = folded(name), datetime.now(UTC)
        row = self.rows(folded=key, name=name, tenant_id=tenant_id, created_at=now)
        try:
            async with school.database.writing() as rows:
                known = await rows.get(self.rows, key)
                if known is None:
                    rows.add(row)
                    await rows.flush()
        except IntegrityError as twice:
            raise Taken(self.taken) from twice  # by somebody at the same moment
        if known is not None and known.tenant_id != tenant_id:
            raise Taken(self.taken)
        return now if known is None else None

    async def _keep(self, school: School, tenant_id: int, name: str) -> None:
        """Another try of that name may have given it back in the meantime, or be about to, and has
        no right to any longer. Raises `Taken`."""
        await self._claim(school, tenant_id, name)
        async with school.database.writing() as rows:
            mine = update(self.rows).where(self.rows.folded == folded(name))
            await rows.execute(mine.values(created_at=datetime.now(UTC)))

    async def _give_back(self, school: School, name: str, claimed_at: datetime) -> None:
        mine = (self.rows.folded == folded(name), self.rows.created_at == claimed_at)
        async with school.database.writing() as rows:
            await rows.execute(delete(self.rows).where(*mine))
