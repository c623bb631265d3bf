"""Documents from their upload to what is found, with real files, a real child and a real index."""

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from engines.errors import EngineUnavailable, UnknownKnowledge
from engines.knowledge import ingest as ingest_module
from engines.knowledge.base import Block, Document, Extracted, Passage
from engines.knowledge.catalogue import Catalogue
from engines.knowledge.documents.extract import READER, extract
from engines.knowledge.embedding import BestEmbedder
from engines.knowledge.index import KnowledgeIndex
from engines.knowledge.index_shelf import Shelf
from engines.knowledge.ingest import WENT_WRONG, Ingest, Read
from engines.knowledge.library import Library
from engines.knowledge.listing import Entry
from engines.knowledge.spool import GONE_S, Spool
from engines.priority import NICENESS
from tests.documents_made import slides, worksheet
from tests.engines.knowledge.documents.test_extract import SLOW
from tests.pdfs_made import book
from tests.processes import command
from tests.running import PROJECT, eventually

Told = Callable[[Path, str], Extracted]

LIMIT_S = 60.0
"""A child has to be started on a loaded machine."""


@dataclass
class Shop:
    """All of the `knowledge` application but for its deployment."""

    spool: Spool
    library: Library
    catalogue: Catalogue

    async def send(self, name: str, data: bytes, kb_id: str = "physics") -> str:
        await self.catalogue.create(kb_id)
        upload = self.spool.place()
        upload.write_bytes(data)
        return self.spool.order(upload, kb_id, name).id

    async def settled(self, name: str, kb_id: str = "physics") -> Entry:
        async with asyncio.timeout(LIMIT_S):
            while True:
                entry = await self.catalogue.document(kb_id, name)
                if entry.state in ("ready", "failed"):
                    return entry
                await asyncio.sleep(0.02)

    async def embedded_by(self, model: str) -> None:
        async with asyncio.timeout(LIMIT_S):
            while True:
                if {base.embedder for base in await self.catalogue.bases()} == {model}:
                    return
                await asyncio.sleep(0.02)

    async def found(self, question: str, kb_id: str = "physics") -> list[tuple[str, int | None]]:
        found = await self.catalogue.search(kb_id, question)
        return [(each.document, each.passage.page) for each in found]

    @asynccontextmanager
    async def working(self, told: Told | None = None) -> AsyncIterator[None]:
        """With `told` in place of the reader and its child."""
        read: Read = extract if told is None else lambda file, name, wanted: told(file, name)
        work = asyncio.create_task(Ingest(self.library, self.spool, read).work(), name="ingest")
        try:
            yield
        finally:
            work.cancel()
            with suppress(asyncio.CancelledError):
                await work


def shop_at(folder: Path, embedder: BestEmbedder | None = None) -> Shop:
    embedder = embedder or BestEmbedder(())
    library = Library(KnowledgeIndex(str(folder)), embedder)
    spool = Spool(folder / "uploads")
    return Shop(spool, library, Catalogue(str(folder), library, spool, embedder))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest_module, "LOOK_INTERVAL_S", 0.02)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return shop_at(tmp_path)


def says(*texts: str) -> Told:
    """Reads this of every file."""
    return lambda file, name: Extracted(tuple(Block(text) for text in texts), 0)


async def test_documents_of_every_kind_are_found_with_their_page(shop: Shop) -> None:
    async with shop.working():
        sent = {"book.pdf": book(), "sheet.docx": worksheet(), "ch 1/slides.pptx": slides()}
        for name, data in sent.items():
            await shop.send(name, data)
        for name in sent:
            entry = await shop.settled(name)
            assert (entry.state, entry.progress) == ("ready", 1), entry
            assert entry.passages > 0
    assert (await shop.found("Why does water boil at a lower temperature on a mountain?"))[0] == (
        "book.pdf",
        1,
    )
    assert (await shop.found("What is the resistivity of copper?"))[0] == ("sheet.docx", None)
    assert (await shop.found("What share of the air is nitrogen?"))[0] == ("ch 1/slides.pptx", 2)
    entries = await shop.catalogue.documents("physics")
    assert [entry.name for entry in entries] == sorted(sent)
    assert entries[2].notes, "hidden text is told of"
    assert list(shop.spool._folder.iterdir()) == [], "no upload stays"
    (base,) = await shop.catalogue.bases()
    assert (base.documents, base.passages) == (3, sum(entry.passages for entry in entries))
    assert base.embedder is None


async def test_a_changed_file_replaces_its_old_version_and_an_unchanged_one_is_left(
    shop: Shop,
) -> None:
    read: list[str] = []

    def lines(file: Path, name: str) -> Extracted:
        read.append(file.read_text())
        return Extracted((Block(read[-1]),), 0)

    async with shop.working(lines):
        first = await shop.send("a.txt", b"Glaciers shape valleys.")
        assert (await shop.settled("a.txt")).id == first
        await shop.send("a.txt", b"Glaciers shape valleys.")
        assert (await shop.settled("a.txt")).id == first
        second = await shop.send("a.txt", b"Volcanoes make islands.")
        assert (await shop.settled("a.txt")).id == second
    assert len(read) == 2
    assert await shop.found("What do glaciers shape?") == []
    assert len(await shop.found("What do volcanoes make?")) == 1


async def test_what_cannot_be_read_is_told_and_the_old_version_stays(shop: Shop) -> None:
    async with shop.working():
        await shop.send("a.txt", b"Glaciers shape valleys.")
        before = await shop.settled("a.txt")
        await shop.send("a.txt", b"\x89PNG\r\n\x1a\n picture")
        failed = await shop.settled("a.txt")
        assert failed.state == "failed"
        assert "picture" in failed.reason
        assert failed.reason.endswith("The version that was there before is kept.")
        assert (failed.passages, failed.sha256) == (before.passages, before.sha256)
        assert len(await shop.found("What do glaciers shape?")) == 1
        await shop.send("b.txt", b"Glaciers shape valleys.")
        twice = await shop.settled("b.txt")
    assert "already there as 'a.txt'" in twice.reason
    await shop.catalogue.drop("physics", "b.txt")
    assert [entry.name for entry in await shop.catalogue.documents("physics")] == ["a.txt"]


async def test_a_failure_of_our_own_ends_no_other_document(shop: Shop) -> None:
    def broken(file: Path, name: str) -> Extracted:
        if name == "bad.txt":
            raise RuntimeError("a defect")
        return Extracted((Block("Glaciers shape valleys."),), 0)

    async with shop.working(broken):
        await shop.send("bad.txt", b"x")
        await shop.send("good.txt", b"y")
        assert (await shop.settled("good.txt")).state == "ready"
        assert (await shop.settled("bad.txt")).reason == WENT_WRONG


async def test_nothing_is_seen_of_a_reader_that_is_broken_off_and_the_next_one_does_it(
    shop: Shop, tmp_path: Path
) -> None:
    hold = threading.Event()

    def slow(file: Path, name: str) -> Extracted:
        hold.wait(LIMIT_S)
        return Extracted((Block("Glaciers shape valleys."),), 0)

    async with shop.working(slow):
        await shop.send("a.txt", b"Glaciers shape valleys.")
        await eventually(lambda: shop.spool.jobs("physics")[0].state == "reading")
        assert await shop.found("What do glaciers shape?") == []
    hold.set()
    other = shop_at(tmp_path)
    async with other.working():
        assert (await other.settled("a.txt")).state == "ready"
    assert len(await shop.found("What do glaciers shape?")) == 1


WORKER = """
import asyncio, sys
from pathlib import Path
from tests.engines.knowledge.test_ingest import shop_at

async def work():
    async with shop_at(Path(sys.argv[1])).working():
        await asyncio.Event().wait()

asyncio.run(work())
"""


async def test_a_killed_process_leaves_nothing_half_done(shop: Shop, tmp_path: Path) -> None:
    await shop.send("long.pdf", book(100))
    command = [sys.executable, "-c", WORKER, str(tmp_path)]
    process = await asyncio.create_subprocess_exec(*command, cwd=PROJECT)
    await eventually(lambda: shop.spool.jobs("physics")[0].state == "reading", LIMIT_S)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    assert shop.spool.take() is None, "it may live"
    assert await shop.found("Why does sweat cool the skin?") == []
    attempt = next(shop.spool._folder.glob("*/attempt-1"))
    then = time.time() - GONE_S - 1
    os.utime(attempt, (then, then))
    async with shop.working():
        assert (await shop.settled("long.pdf")).state == "ready"
    assert await shop.found("Why does sweat cool the skin?") != []


async def test_a_document_removed_while_it_is_read_never_appears(shop: Shop) -> None:
    reading, hold = threading.Event(), threading.Event()

    def slow(file: Path, name: str) -> Extracted:
        reading.set()
        hold.wait(LIMIT_S)
        return Extracted((Block("Glaciers shape valleys."),), 0)

    async with shop.working(slow):
        await shop.send("a.txt", b"x")
        await eventually(reading.is_set)
        await shop.catalogue.drop("physics", "a.txt")
        assert await shop.catalogue.documents("physics") == []
        hold.set()
        await shop.send("b.txt", b"y")
        assert (await shop.settled("b.txt")).state == "ready"
        assert [entry.name for entry in await shop.catalogue.documents("physics")] == ["b.txt"]


def readers() -> list[psutil.Process]:
    """The children that read documents."""
    return [child for child in psutil.Process().children() if READER in command(child)]


async def test_the_child_ends_when_its_document_is_removed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest_module, "HEARTBEAT_S", 0.02)
    async with shop.working():
        await shop.send("slow.html", SLOW)
        await eventually(lambda: readers() != [], LIMIT_S)
        await shop.catalogue.drop("physics", "slow.html")
        await eventually(lambda: readers() == [], LIMIT_S)
        await shop.send("b.txt", b"Glaciers shape valleys.")
        assert (await shop.settled("b.txt")).state == "ready"


async def test_the_child_ends_when_the_work_does(shop: Shop) -> None:
    async with shop.working():
        await shop.send("slow.html", SLOW)
        await eventually(lambda: readers() != [], LIMIT_S)
    await eventually(lambda: readers() == [], LIMIT_S)
    assert shop.spool.take() is not None, "another one may begin"


class Late(Library):
    """Something happens at the last moment of a `put`."""

    happens: Callable[[], None] = staticmethod(lambda: None)

    async def put(self, kb_id: str, document: Document, passages: Sequence[Passage]) -> None:
        await super().put(kb_id, document, passages)
        self.happens()


async def test_an_older_version_that_comes_late_does_not_replace_a_newer_one(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, go_on, put_blob = threading.Event(), threading.Event(), Shelf.put_blob

    def late(self: Shelf, kb_id: str, blob: str, data: bytes) -> None:
        if not held.is_set():
            held.set()
            go_on.wait(LIMIT_S)
        put_blob(self, kb_id, blob, data)

    def told(file: Path, name: str) -> Extracted:
        return Extracted((Block(file.read_text()),), 0)

    monkeypatch.setattr(Shelf, "put_blob", late)
    other = shop_at(tmp_path)
    async with shop.working(told):
        await shop.send("a.txt", b"An old saxophone.")
        await eventually(held.is_set, LIMIT_S)
        async with other.working(told):
            await other.send("a.txt", b"A new trumpet.")
            assert (await other.settled("a.txt")).state == "ready"
            go_on.set()
            await shop.send("last.txt", b"A piano.")  # read behind the late one by its process,
            assert (await shop.settled("last.txt")).state == "ready"  # or by the other
            await eventually(lambda: not shop.spool.jobs("physics"), LIMIT_S)
        assert await shop.found("trumpet") == [("a.txt", None)]
        assert await shop.found("saxophone") == []


async def test_one_removed_while_it_is_put_there_goes_again(shop: Shop, tmp_path: Path) -> None:
    late = Late(KnowledgeIndex(str(tmp_path)))
    late.happens = lambda: assert_true(shop.spool.drop("physics", "a.txt"))
    shop.library = late
    async with shop.working(says("Glaciers shape valleys.")):
        await shop.send("a.txt", b"x")
        await eventually(lambda: not shop.spool.jobs("physics"))
        late.happens = lambda: None
        await shop.send("b.txt", b"y")
        assert (await shop.settled("b.txt")).state == "ready"
    assert [entry.name for entry in await shop.catalogue.documents("physics")] == ["b.txt"]


def assert_true(value: bool) -> None:
    assert value


async def test_a_base_removed_takes_along_what_is_on_its_way(shop: Shop) -> None:
    await shop.send("a.txt", b"x")
    await shop.send("b.txt", b"y", "other")
    await shop.catalogue.remove("physics")
    with pytest.raises(UnknownKnowledge):
        await shop.catalogue.documents("physics")
    async with shop.working(says("Glaciers shape valleys.")):
        assert (await shop.settled("b.txt", "other")).state == "ready"
    assert [base.kb_id for base in await shop.catalogue.bases()] == ["other"]
    assert shop.spool.jobs("physics") == []


async def test_a_storage_that_is_away_is_waited_for(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = [True]
    put = shop.library.put

    async def put_or_not(kb_id: str, document: Document, passages: Sequence[Passage]) -> None:
        if away:
            away.clear()
            raise EngineUnavailable("The storage does not answer.")
        await put(kb_id, document, passages)

    monkeypatch.setattr(shop.library, "put", put_or_not)
    async with shop.working(says("Glaciers shape valleys.")):
        await shop.send("a.txt", b"x")
        await eventually(lambda: shop.spool.jobs("physics")[0].reason != "")
        attempt = next(shop.spool._folder.glob("*/attempt-1*"))
        then = time.time() - GONE_S - 1
        os.utime(attempt, (then, then))
        assert (await shop.settled("a.txt")).state == "ready"


async def test_reading_steps_back_behind_lessons(shop: Shop) -> None:
    nice: list[int] = []

    def read(file: Path, name: str) -> Extracted:
        nice.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return Extracted((Block("Glaciers shape valleys."),), 0)

    async with shop.working(read):
        await shop.send("a.txt", b"x")
        await shop.settled("a.txt")
    assert nice == [NICENESS]


async def test_it_may_be_begun_again(shop: Shop) -> None:
    told = says("Glaciers shape valleys.")
    ingest = Ingest(shop.library, shop.spool, lambda file, name, wanted: told(file, name))
    for name in ("a.txt", "b.txt"):
        work = asyncio.create_task(ingest.work(), name="ingest")
        await shop.send(name, name.encode())
        assert (await shop.settled(name)).state == "ready"
        work.cancel()
        await asyncio.wait([work])
