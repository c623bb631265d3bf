"""The sample course: there at the first start, and never again where somebody wanted otherwise."""

import shutil
import threading
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

import pytest

from engines.errors import EngineUnavailable
from engines.knowledge.index_shelf import Shelf
from engines.knowledge.sample import put_sample
from engines.knowledge.spool import Spool
from tests.course import FOLDER
from tests.engines.knowledge.bases import document, passages
from tests.engines.knowledge.test_ingest import LIMIT_S, shop_at
from tests.running import eventually

KB = "weather"
NAMES = {normalize("NFC", file.name) for file in FOLDER.iterdir()}


@dataclass
class Home:
    """The bases and the uploads apart, as with object storage."""

    folder: Path

    @property
    def bases(self) -> str:
        return str(self.folder / "bases")

    @property
    def uploads(self) -> Path:
        return self.folder / "uploads"

    @property
    def shelf(self) -> Shelf:
        return Shelf(self.bases)

    @property
    def spool(self) -> Spool:
        return Spool(self.uploads)

    def start(self, course: Path = FOLDER) -> None:
        put_sample(course, self.bases, self.uploads)

    def coming(self) -> set[str]:
        return {job.name for job in self.spool.jobs(KB)}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


async def test_the_first_start_has_the_course_read(tmp_path: Path) -> None:
    shop = shop_at(tmp_path / "knowledge")
    put_sample(FOLDER, str(tmp_path / "knowledge"), tmp_path / "knowledge" / "uploads")
    async with shop.working():
        await eventually(lambda: not shop.spool.jobs(KB), LIMIT_S)
    entries = {entry.name: entry.state for entry in await shop.catalogue.documents(KB)}
    assert entries == dict.fromkeys(NAMES, "ready")
    assert ("weather.md", None) in await shop.found("What is fog?", KB)
    assert ("天气.md", None) in await shop.found("雾是怎么形成的？", KB)


def test_the_next_start_leaves_it_as_it_is(home: Home) -> None:
    home.start()
    assert home.coming() == NAMES
    home.spool.drop(KB, "weather.md")
    home.start()
    assert home.coming() == NAMES - {"weather.md"}


def test_who_removes_it_is_rid_of_it_also_from_another_machine(home: Home) -> None:
    home.start()
    home.spool.drop(KB)
    home.shelf.remove(KB)
    home.start()
    shutil.rmtree(home.uploads)
    home.start()
    assert home.shelf.bases() == []
    assert home.coming() == set()


def test_a_base_of_that_name_that_was_made_by_somebody_is_not_touched(home: Home) -> None:
    home.shelf.create(KB)
    home.start()
    assert home.coming() == set()
    home.uploads.mkdir(exist_ok=True)
    (home.uploads / "sample").write_text("another", "utf-8")
    home.start()
    assert home.coming() == set()


def test_a_start_that_was_broken_off_is_finished_by_the_next(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = Spool.order
    ordered: list[str] = []

    def fails_at_the_third(self: Spool, upload: Path, kb_id: str, name: str) -> object:
        if len(ordered) == 2:
            raise EngineUnavailable("The disk is full.")
        ordered.append(name)
        return order(self, upload, kb_id, name)

    with monkeypatch.context() as broken:
        broken.setattr(Spool, "order", fails_at_the_third)
        home.start()
    assert home.coming() == set(ordered) < NAMES
    assert not list(home.uploads.glob(".*/upload")), "what could not be sent is not left behind"
    home.start()
    assert home.coming() == NAMES
    assert not (home.uploads / "sample").exists()


def test_what_is_there_when_it_goes_on_keeps_its_change(home: Home) -> None:
    index = shop_at(home.folder / "bases").library._index
    index.create(KB)
    index.put(KB, document("weather.md"), passages(["Changed by its owner."]))
    home.uploads.mkdir()
    (home.uploads / "sample").write_text(KB, "utf-8")
    home.start()
    assert home.coming() == NAMES - {"weather.md"}


def test_what_was_removed_before_it_went_on_stays_removed(home: Home) -> None:
    home.shelf.create(KB)
    home.shelf.remove(KB)
    home.uploads.mkdir()
    (home.uploads / "sample").write_text(KB, "utf-8")
    home.start()
    assert home.coming() == set()
    assert home.shelf.bases() == []


async def test_starts_at_once_do_no_harm(tmp_path: Path) -> None:
    shop = shop_at(tmp_path / "knowledge")
    where = (FOLDER, str(tmp_path / "knowledge"), tmp_path / "knowledge" / "uploads")
    starts = [threading.Thread(target=put_sample, args=where) for _ in range(4)]
    for start in starts:
        start.start()
    for start in starts:
        start.join()
    async with shop.working():
        await eventually(lambda: not shop.spool.jobs(KB), LIMIT_S)
    (base,) = await shop.catalogue.bases()
    assert (base.kb_id, base.documents) == (KB, len(NAMES))
    assert {entry.state for entry in await shop.catalogue.documents(KB)} == {"ready"}
    assert not (where[2] / "sample").exists()


def test_what_lies_in_the_uploads_is_no_job(home: Home) -> None:
    home.uploads.mkdir()
    (home.uploads / "sample").write_text(KB, "utf-8")
    home.spool.sweep()
    assert (home.uploads / "sample").exists()
    assert home.spool.take() is None


def test_a_missing_folder_is_logged_and_nothing_more(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    home.start(home.folder / "nowhere")
    assert "There is no sample course in" in caplog.text
    assert not home.uploads.exists()


def test_a_store_that_cannot_be_written_is_logged_and_nothing_more(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    home.uploads.write_text("a file where a folder should be", "utf-8")
    home.start()
    assert "could not be put into a base" in caplog.text


def test_hidden_files_are_no_documents(home: Home, tmp_path: Path) -> None:
    course = tmp_path / "weather"
    (course / "unit 1").mkdir(parents=True)
    (course / "unit 1" / "ice.md").write_text("# Ice", "utf-8")
    (course / ".DS_Store").write_bytes(b"\0")
    home.start(course)
    assert home.coming() == {"unit 1/ice.md"}
