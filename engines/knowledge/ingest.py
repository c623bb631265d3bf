"""Reads the documents that were sent, one after the other, and puts them into their bases.

    Spool ── oldest job ──► extract (a child) ──► passages ──► Library.put ──► the base
                 ▲                                                  │
                 └── heartbeat; broken off: another attempt ◄───────┘

Nothing of a document is seen before all of it is: `Library.put` replaces it as a whole.
"""

import asyncio
import hashlib
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from engines.errors import EngineError, EngineUnavailable, UnknownKnowledge
from engines.knowledge.base import Document, Extracted
from engines.knowledge.documents.extract import Wanted, extract
from engines.knowledge.embedding_progress import told_to
from engines.knowledge.library import Library
from engines.knowledge.passages import passages
from engines.knowledge.spool import HEARTBEAT_S, Abandoned, Spool, State, Taken
from engines.priority import step_back

logger = logging.getLogger(__name__)

LOOK_INTERVAL_S = 0.5
"""An idle process looks for uploads so often; a look lists a folder."""

UPKEEP_INTERVAL_S = 60.0
"""Between two looks for what is left behind, and for documents without vectors."""

READING, INDEXING = 0.1, 0.5
"""How much is done when the two steps begin: reading takes about as long as indexing."""

WENT_WRONG = "Something went wrong inside; the engine's log says what. Add it again."

A = TypeVar("A")
R = TypeVar("R")

Read = Callable[[Path, str, Wanted], Extracted]
"""A file and its name to what stands in it, as long as it is wanted. Blocks; raises
`UnusableDocument`."""


class Ingest:
    """One process's share of the work."""

    def __init__(self, library: Library, spool: Spool, read: Read = extract) -> None:
        self._library = library
        self._spool = spool
        self._read = read
        self._upkeep_s = float("-inf")
        self._hands: ThreadPoolExecutor | None = None  # the loop's own threads answer questions
        self._unwanted = threading.Event()
        """Set when nobody waits any more for the document that is being read."""

    async def work(self) -> None:
        """Put what is sent into its base, until cancelled. The caller owns this task."""
        self._hands = ThreadPoolExecutor(1, "knowledge-ingest", step_back)
        try:
            while True:
                if not await self._worked():
                    await asyncio.sleep(LOOK_INTERVAL_S)
        finally:
            # A document that is being read is not wanted any more; the loop need not wait for it.
            self._hands.shutdown(wait=False, cancel_futures=True)

    async def _worked(self) -> bool:
        """False: there was nothing to do. Whatever goes wrong is logged, as the next document
        must be read."""
        try:
            taken = await asyncio.to_thread(self._spool.take)
            if taken is None:
                await self._keep_up()
                return False
            await self._ingest(taken)
        except Exception as error:
            logger.error("The documents that were sent cannot be looked at", exc_info=error)
            return False
        return True

    async def _ingest(self, taken: Taken) -> None:
        self._unwanted = threading.Event()
        async with asyncio.TaskGroup() as tasks:
            beat = tasks.create_task(self._beat(taken), name="knowledge-heartbeat")
            try:
                await self._settle(taken)
            except asyncio.CancelledError:
                await asyncio.shield(asyncio.to_thread(self._spool.release, taken))
                raise
            finally:
                self._unwanted.set()
                beat.cancel()

    async def _beat(self, taken: Taken) -> None:
        try:
            while True:
                await asyncio.to_thread(self._spool.beat, taken)
                await asyncio.sleep(HEARTBEAT_S)
        except Abandoned:
            self._unwanted.set()  # and the work itself is told at its next step

    async def _settle(self, taken: Taken) -> None:
        """Put it into its base, or say why not."""
        try:
            await self._put(taken)
        except Abandoned:
            return
        except EngineUnavailable as error:
            await asyncio.to_thread(self._spool.postpone, taken, error.sentence)
        except UnknownKnowledge:  # the base was removed, and with it all that was to come
            await asyncio.to_thread(self._spool.finish, taken)
        except EngineError as error:
            await asyncio.to_thread(self._spool.fail, taken, error.sentence)
        except Exception as error:  # whatever the file brought about
            logger.error("The document %r could not be read", taken.job.name, exc_info=error)
            await asyncio.to_thread(self._spool.fail, taken, WENT_WRONG)
        else:
            await asyncio.to_thread(self._spool.finish, taken)

    async def _put(self, taken: Taken) -> None:
        job = taken.job
        await self._tell(taken, "reading", READING)
        sha256 = await self._in_hands(_sha256, taken.upload)
        there = {document.name: document for document in await self._library.documents(job.kb_id)}
        if job.name in there and there[job.name].sha256 == sha256:
            return  # nothing has changed
        extracted = await self._in_hands(self._extracted, taken)
        # Not in those hands: Python's lock in a thread that has stepped back would hold up all.
        cut = await asyncio.to_thread(passages, extracted)
        await self._tell(taken, "indexing", INDEXING)
        document = Document(
            id=job.id,
            name=job.name,
            sha256=sha256,
            bytes=job.bytes,
            pages=extracted.pages,
            passages=len(cut),
            notes=extracted.notes,
            added_s=taken.sent_s,
        )
        with told_to(partial(self._embedded, taken)):
            await self._library.put(job.kb_id, document, cut)
        if await asyncio.to_thread(self._spool.is_dropped, taken):
            await self._drop(taken)

    async def _drop(self, taken: Taken) -> None:
        """It was removed while it was being put there."""
        job = taken.job
        documents = await self._library.documents(job.kb_id)
        if any(document.id == job.id for document in documents):
            await self._library.drop(job.kb_id, job.name)

    def _extracted(self, taken: Taken) -> Extracted:
        unwanted = self._unwanted
        return self._read(taken.upload, taken.job.name, lambda: not unwanted.is_set())

    async def _embedded(self, taken: Taken, part: float) -> None:
        await self._tell(taken, "indexing", INDEXING + (1 - INDEXING) * part)

    async def _tell(self, taken: Taken, state: State, progress: float) -> None:
        await asyncio.to_thread(self._spool.tell, taken, state, progress)

    async def _in_hands(self, work: Callable[[A], R], arg: A) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._hands, work, arg)

    async def _keep_up(self) -> None:
        """What has time until nobody waits."""
        if time.monotonic() - self._upkeep_s < UPKEEP_INTERVAL_S:
            return
        self._upkeep_s = time.monotonic()
        await asyncio.to_thread(self._spool.sweep)
        for kb_id in await self._library.bases():
            if await self._embedded_anew(kb_id):
                self._upkeep_s = float("-inf")  # the rest as soon as nothing is to be read
                return

    async def _embedded_anew(self, kb_id: str) -> bool:
        """Give the documents of a base their vectors; True: broken off for one that was sent."""
        try:
            while await self._library.embed_next(kb_id):
                if await asyncio.to_thread(self._spool.waits):
                    return True
        except EngineError as error:
            logger.warning("%r has not got all its vectors yet: %s", kb_id, error.sentence)
        return False


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
