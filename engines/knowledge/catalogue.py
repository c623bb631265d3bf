"""What the bases hold, what is on its way into them, and how they are searched."""

import asyncio
from dataclasses import replace

from engines.base import EngineState
from engines.errors import EngineError, UnknownKnowledge
from engines.knowledge.base import Document, Found
from engines.knowledge.embedding import BestEmbedder
from engines.knowledge.index_shelf import Shelf, Version
from engines.knowledge.library import Library
from engines.knowledge.listing import Base, Entry
from engines.knowledge.spool import Job, Spool

WORDS = "full text"
"""How a base is searched without vectors."""

WORDS_ALONE = "Passages are found by full text alone, as there is no embedding model."


REACH = "Check KNOWLEDGE_URI, and that the engine may write there."


class Catalogue:
    """All bases of one place. Raises `EngineError`."""

    def __init__(self, uri: str, library: Library, spool: Spool, embedder: BestEmbedder) -> None:
        """`embedder`: the library's own."""
        self._shelf = Shelf(uri)
        self._library = library
        self._spool = spool
        self._embedder = embedder

    async def search(self, kb_id: str, question: str, limit: int = 3) -> list[Found]:
        return await self._library.search(kb_id, question, limit)

    async def bases(self) -> list[Base]:
        """By id."""
        return await asyncio.to_thread(self._bases)

    async def create(self, kb_id: str) -> Base:
        """Does nothing but tell of it when it exists."""
        await self._library.create(kb_id)
        return await asyncio.to_thread(self._base, kb_id)

    async def remove(self, kb_id: str) -> None:
        """With all that is in it and on its way into it. Raises `UnknownKnowledge`."""
        await asyncio.to_thread(self._spool.drop, kb_id)
        await self._library.remove(kb_id)
        # What was sent while it was being removed.
        await asyncio.to_thread(self._spool.drop, kb_id)

    async def documents(self, kb_id: str) -> list[Entry]:
        """By name. Raises `UnknownKnowledge`."""
        jobs = await asyncio.to_thread(self._spool.jobs, kb_id)  # first: they become ready
        there = {document.name: document for document in await self._library.documents(kb_id)}
        coming = {job.name: _coming(job, there.get(job.name)) for job in jobs}
        ready = {name: _ready(document) for name, document in there.items()}
        entries = {**ready, **coming}
        return [entries[name] for name in sorted(entries)]

    async def document(self, kb_id: str, name: str) -> Entry:
        """Raises `UnknownKnowledge`."""
        for entry in await self.documents(kb_id):
            if entry.name == name:
                return entry
        raise UnknownKnowledge(
            f"There is no document {name!r} in the knowledge base {kb_id!r}. Name one that is"
            " listed."
        )

    async def drop(self, kb_id: str, name: str) -> None:
        """A document, whether it is there or on its way. Raises `UnknownKnowledge`."""
        was_coming = await asyncio.to_thread(self._spool.drop, kb_id, name)
        try:
            await self._library.drop(kb_id, name)
        except UnknownKnowledge:
            if not was_coming:
                raise

    async def state(self) -> EngineState:
        """May take as long as an embedding model needs to be loaded. Raises nothing."""
        try:
            return await self._look()
        except EngineError as error:
            return EngineState(WORDS, "unavailable", error.sentence, REACH)

    async def _look(self) -> EngineState:
        told = await self._library.state()
        if told.state == "ready":
            return replace(told, engine=told.engine.replace("words", WORDS, 1))
        lost = sorted(await asyncio.to_thread(self._embedders))
        if not lost:
            return EngineState(WORDS, "ready", WORDS_ALONE)
        reason = f"Full text alone is searched, as {' and '.join(lost)} cannot be asked."
        return EngineState(WORDS, "degraded", reason, told.remedy)

    def _bases(self) -> list[Base]:
        found = []
        for kb_id in self._shelf.bases():
            try:
                found.append(self._base(kb_id))
            except UnknownKnowledge:
                continue  # removed meanwhile
        return found

    def _base(self, kb_id: str) -> Base:
        version = self._shelf.version(kb_id)
        known = self._embedder.known
        used = known.name if known is not None and known.name in _embedders(version) else None
        passages = sum(shelved.document.passages for shelved in version.shelved)
        return Base(kb_id, len(version.shelved), passages, used)

    def _embedders(self) -> set[str]:
        """Names of the models that the bases have vectors of."""
        names: set[str] = set()
        for kb_id in self._shelf.bases():
            try:
                names |= _embedders(self._shelf.version(kb_id))
            except UnknownKnowledge:
                continue  # removed meanwhile
        return names


def _embedders(version: Version) -> set[str]:
    spaces = (shelved.embedder for shelved in version.shelved)
    return {space.rpartition(" [")[0] for space in spaces if space}


def _ready(document: Document) -> Entry:
    return Entry(
        document.id,
        document.name,
        "ready",
        1.0,
        notes=document.notes,
        pages=document.pages,
        passages=document.passages,
        bytes=document.bytes,
        sha256=document.sha256,
        added_s=document.added_s,
    )


def _coming(job: Job, before: Document | None) -> Entry:
    entry = Entry(job.id, job.name, job.state, job.progress, job.reason, bytes=job.bytes)
    if before is None:
        return entry
    kept = " The version that was there before is kept." if job.state == "failed" else ""
    return replace(
        entry,
        reason=f"{job.reason}{kept}",
        pages=before.pages,
        passages=before.passages,
        sha256=before.sha256,
        added_s=before.added_s,
    )
