"""Several readers and writers at once, killed writers and damaged files: over real folders,
threads and processes."""

import gzip
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest

from engines.errors import EngineError, EngineUnavailable, UnknownKnowledge
from engines.knowledge import index_shelf
from engines.knowledge.index import KnowledgeIndex
from engines.knowledge.index_blob import contents, packed
from engines.knowledge.index_shelf import Shelf, Version
from tests.engines.knowledge.bases import WATER, about_water, ask, document, passages, texts


@pytest.fixture
def index(tmp_path: Path) -> KnowledgeIndex:
    return about_water(str(tmp_path / "knowledge"))


def test_another_index_sees_a_new_version_at_its_next_search(
    index: KnowledgeIndex, tmp_path: Path
) -> None:
    other = KnowledgeIndex(str(tmp_path / "knowledge"))
    assert texts(ask(other, "water", "ice")) == texts(ask(index, "water", "ice"))
    index.put("water", document("new.md"), passages(["A saxophone."]))
    assert texts(ask(other, "water", "saxophone")) == ["A saxophone."]
    other.remove("water")
    with pytest.raises(UnknownKnowledge):
        ask(index, "water", "ice")


def put_many(uri: str, writer: int, count: int) -> None:
    index = KnowledgeIndex(uri)
    for number in range(count):
        name = f"{writer}-{number}.md"
        index.put("shared", document(name), passages([f"writer{writer} note{number}"] * 3))
        index.put("shared", document("both.md"), passages([f"writer{writer} both"]))


def test_two_processes_write_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    index = KnowledgeIndex(str(tmp_path))
    index.create("shared")
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=put_many, args=(str(tmp_path), n, 15)) for n in range(2)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        seen = ask(index, "shared", "both")  # never half, never an error
        assert len(seen) <= 1
        for writer in writers:
            writer.join(0.01)
    assert [writer.exitcode for writer in writers] == [0, 0]
    names = {each.name for each in index.documents("shared")}
    assert names == {"both.md", *(f"{n}-{i}.md" for n in range(2) for i in range(15))}
    assert len(texts(ask(index, "shared", "writer1 note14"))) == 3


def test_threads_write_and_search_at_once(index: KnowledgeIndex) -> None:
    def write(number: int) -> None:
        index.put("water", document(f"{number}.md"), passages([f"thread{number} wrote"]))

    with ThreadPoolExecutor(8) as pool:
        writing = [pool.submit(write, number) for number in range(16)]
        asking = [pool.submit(ask, index, "water", "ice") for _ in range(32)]
        for each in writing:
            each.result()
        assert all(texts(each.result())[0] == WATER[1] for each in asking)
    for number in range(16):
        assert ask(index, "water", f"thread{number}")[0].score > 0.5


def put_until_killed(uri: str, pipe: Connection, where: str) -> None:
    """Stands still just before (`blob`) or just after (`version`) the document has been written."""
    stand = threading.Event()

    def halt(*_: object, **__: object) -> bool:
        pipe.send("there")
        stand.wait()
        return True

    setattr(Shelf, {"blob": "put_blob", "version": "_commit"}[where], halt)
    KnowledgeIndex(uri).put("water", document("water.md"), passages(["Half a document."] * 50))


@pytest.mark.parametrize("where", ["blob", "version"])
def test_a_writer_that_is_killed_leaves_nothing_to_be_seen(
    index: KnowledgeIndex, tmp_path: Path, where: str
) -> None:
    here, there = multiprocessing.get_context("spawn").Pipe()
    uri = str(tmp_path / "knowledge")
    writer = multiprocessing.get_context("spawn").Process(
        target=put_until_killed, args=(uri, there, where)
    )
    writer.start()
    there.close()  # so that the end of the writer would be noticed
    assert here.recv() == "there"
    assert writer.pid
    os.kill(writer.pid, signal.SIGKILL)
    writer.join()
    for reader in (index, KnowledgeIndex(uri)):
        assert ask(reader, "water", "half a document") == []
        assert texts(ask(reader, "water", "Why does ice float?"))[0] == WATER[1]
    index.put("water", document("water.md"), passages(["A whole one."]))
    assert texts(ask(index, "water", "whole")) == ["A whole one."]


def put_for_ever(uri: str, pipe: Connection) -> None:
    index = KnowledgeIndex(uri)
    for number in range(100_000):
        pipe.send(number)
        index.put("water", document("water.md"), passages([f"Version{number} of it."] * 20))


def test_a_writer_that_is_killed_anywhere_leaves_whole_documents(
    index: KnowledgeIndex, tmp_path: Path
) -> None:
    uri = str(tmp_path / "knowledge")
    for kills in range(3):
        here, there = multiprocessing.get_context("spawn").Pipe()
        writer = multiprocessing.get_context("spawn").Process(
            target=put_for_ever, args=(uri, there)
        )
        writer.start()
        there.close()  # so that the end of the writer would be noticed
        while here.recv() < 3 * kills + 1:
            pass
        assert writer.pid
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        said = {passage.text for passage in index.passages("water", "water.md")}
        assert len(said) == 1
        assert len(index.passages("water", "water.md")) == 20
        assert index.find("water", [(word,) for word in said.pop().lower().split()[:1]], None, 3)
    index.put("water", document("water.md"), passages(["The last."]))
    assert texts(ask(index, "water", "last")) == ["The last."]


def test_what_killed_writers_left_is_swept_away(
    index: KnowledgeIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder,) = (tmp_path / "knowledge" / "bases").iterdir()
    orphans = [folder / "documents" / "0123.npz", folder / "documents" / "0123.npz#1"]
    for orphan in orphans:
        orphan.write_bytes(b"")
        os.utime(orphan, (0, 0))
    fresh = folder / "documents" / "4567.npz"
    fresh.write_bytes(b"")
    monkeypatch.setattr(index_shelf, "SWEEP_EVERY", 1)
    index.put("water", document("new.md"), passages(["new"]))
    assert not any(orphan.exists() for orphan in orphans)
    assert fresh.exists()  # its writer may still come
    assert texts(ask(index, "water", "Why does ice float?"))[0] == WATER[1]


def test_versions_and_replaced_documents_do_not_pile_up(
    index: KnowledgeIndex, tmp_path: Path
) -> None:
    for number in range(index_shelf.KEPT_VERSIONS + 15):
        index.put("water", document("water.md"), passages([f"Version{number}."]))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == index_shelf.KEPT_VERSIONS + 2


def test_a_writer_that_comes_too_late_begins_again(
    index: KnowledgeIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has read a version after which so many came that the next one's place is free again."""
    put = Shelf._put
    late: list[str] = []

    def held_up(shelf: Shelf, path: str, data: bytes, *, taken: bool) -> None:
        if taken and not late:
            late.append(path)
            for number in range(index_shelf.KEPT_VERSIONS + 1):
                index.put("water", document(f"{number}.md"), passages([f"fast{number}"]))
        put(shelf, path, data, taken=taken)

    monkeypatch.setattr(Shelf, "_put", held_up)
    index.put("water", document("late.md"), passages(["late"]))
    assert len(index.documents("water")) == 2 + index_shelf.KEPT_VERSIONS + 1 + 1
    assert texts(ask(index, "water", "late")) == ["late"]


# What may be damaged or missing


def test_a_version_cut_off_by_a_power_failure_was_never_there(
    index: KnowledgeIndex, tmp_path: Path
) -> None:
    (folder,) = (tmp_path / "knowledge" / "bases").iterdir()
    versions = sorted((folder / "versions").iterdir())
    torn = versions[-1].with_name("00000099.json.gz")
    torn.write_bytes(versions[-1].read_bytes()[:20])
    assert len(index.documents("water")) == 2
    index.put("water", document("new.md"), passages(["A saxophone."]))
    assert texts(ask(index, "water", "saxophone")) == ["A saxophone."]
    assert len(KnowledgeIndex(str(tmp_path / "knowledge")).documents("water")) == 3


def test_a_base_whose_only_version_is_torn_can_be_created(tmp_path: Path) -> None:
    index = KnowledgeIndex(str(tmp_path))
    index.create("water")
    (version,) = (path for path in tmp_path.rglob("*") if path.is_file())
    version.write_bytes(b"")
    assert index.bases() == []
    with pytest.raises(UnknownKnowledge):
        index.documents("water")
    index.create("water")
    assert index.bases() == ["water"]


def test_a_damaged_document_is_told_and_the_others_are_found(
    index: KnowledgeIndex, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for blob in tmp_path.rglob("*.npz"):
        blob.write_bytes(blob.read_bytes()[:100])
    index.put("water", document("whole.md"), passages(["A saxophone."]))
    with pytest.raises(EngineError, match=r"'water\.md' is damaged\. Add the file again"):
        index.passages("water", "water.md")
    assert texts(ask(index, "water", "saxophone")) == ["A saxophone."]
    assert "'water.md' is damaged" in caplog.text
    index.put("water", document("water.md"), passages(WATER))
    assert texts(ask(index, "water", "clouds")) == [WATER[2]]


def test_a_version_that_cannot_be_read_whole_changes_nothing(
    index: KnowledgeIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask(index, "water", "ice")
    index.put("water", document("a.md"), passages(["A saxophone."]))
    index.drop("water", "water.md")
    index.put("water", document("b.md"), passages(["A trumpet."]))
    blob = Shelf.blob

    def lost(shelf: Shelf, kb_id: str, name: str) -> bytes:
        if b_md == name:
            raise EngineUnavailable("The network is gone.")
        return blob(shelf, kb_id, name)

    b_md = next(s.blob for s in index._shelf.version("water").shelved if s.document.name == "b.md")
    with monkeypatch.context() as broken:
        broken.setattr(Shelf, "blob", lost)
        told = []  # an error holds on to what was going on
        for _ in range(3):
            with pytest.raises(EngineUnavailable, match="The network is gone") as lost_again:
                ask(index, "water", "ice")
            told.append(lost_again.value)
    assert texts(ask(index, "water", "saxophone")) == ["A saxophone."]
    assert texts(ask(index, "water", "trumpet")) == ["A trumpet."]
    assert ask(index, "water", "ice") == []


def test_a_place_that_cannot_be_reached_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineUnavailable, match="cannot be reached"):
        KnowledgeIndex(str(tmp_path / "file" / "below"))
    with pytest.raises(EngineUnavailable, match="cannot be reached"):
        KnowledgeIndex("nowhere://x")


def test_terms_of_another_version_are_cut_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = KnowledgeIndex(str(tmp_path))
    index.create("water")
    with monkeypatch.context() as older:
        older.setattr("engines.knowledge.index_blob.TERMS_VERSION", 0)
        older.setattr("engines.knowledge.index_blob.passage_terms", lambda text: ["old"])
        index.put("water", document("water.md"), passages(WATER))
    assert texts(ask(index, "water", "clouds")) == [WATER[2]]


@pytest.mark.parametrize("name", [".DS_Store", "00000002.json.gz.bak", "notes.txt"])
def test_a_foreign_file_among_the_versions_harms_nothing(
    index: KnowledgeIndex, tmp_path: Path, name: str
) -> None:
    (folder,) = (tmp_path / "knowledge" / "bases").iterdir()
    (folder / "versions" / name).write_text("?")
    assert index.bases() == ["water"]
    assert texts(ask(index, "water", "Why does ice float?"))[0] == WATER[1]


def spoilt(version: bytes) -> bytes:
    return version[:12] + bytes(8 * [255]) + version[20:]


@pytest.mark.parametrize("told", [{"format": 1}, {"format": 1, "documents": [{}]}, [], 7, None])
def test_a_version_of_anything_else_was_never_there(
    index: KnowledgeIndex, tmp_path: Path, told: object
) -> None:
    (folder,) = (tmp_path / "knowledge" / "bases").iterdir()
    newest = max((folder / "versions").iterdir())
    other = gzip.compress(json.dumps(told).encode()) if told else spoilt(newest.read_bytes())
    newest.with_name("00000099.json.gz").write_bytes(other)
    assert index.bases() == ["water"]
    assert len(index.documents("water")) == 2


def test_a_base_of_a_newer_engine_is_neither_changed_nor_hides_the_others(
    index: KnowledgeIndex, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder,) = (tmp_path / "knowledge" / "bases").iterdir()
    newer = {"format": index_shelf.FORMAT + 1, "shelves": {}}
    written = gzip.compress(json.dumps(newer).encode())
    (folder / "versions" / "00000099.json.gz").write_bytes(written)
    index.create("fire")
    assert index.bases() == ["fire"]
    assert "written by a newer engine" in caplog.text
    changes: list[Callable[[], None]] = [
        partial(index.put, "water", document("a.md"), passages(["a"])),
        partial(index.remove, "water"),
        partial(index.create, "water"),
    ]
    for change in changes:
        with pytest.raises(EngineError, match="Update this one"):
            change()
    assert len(list((folder / "versions").glob("00000099*"))) == 1
    assert not list((folder / "versions").glob("000001*"))


def test_a_document_that_is_lost_is_told_and_the_others_are_found(
    index: KnowledgeIndex, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for blob in tmp_path.rglob("*.npz"):
        blob.unlink()
    index.put("water", document("whole.md"), passages(["A saxophone."]))
    assert texts(ask(index, "water", "saxophone")) == ["A saxophone."]
    assert "'water.md' is lost. Add the file again" in caplog.text
    with pytest.raises(EngineError, match=r"'water\.md' is lost"):
        index.passages("water", "water.md")
    index.put("water", document("water.md"), passages(WATER))
    assert texts(ask(index, "water", "clouds")) == [WATER[2]]


def test_a_document_whose_vectors_are_of_others_is_damaged(
    index: KnowledgeIndex, tmp_path: Path
) -> None:
    odd = packed(contents(passages(WATER), np.ones((2, 4), np.float16)))
    for blob in tmp_path.rglob("*.npz"):
        blob.write_bytes(odd)
    with pytest.raises(EngineError, match=r"'water\.md' is damaged"):
        index.passages("water", "water.md")


def test_what_was_refused_at_the_last_moment_leaves_nothing(
    index: KnowledgeIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_blob = Shelf.put_blob

    def removed_meanwhile(shelf: Shelf, kb_id: str, blob: str, data: bytes) -> None:
        index.remove(kb_id)
        put_blob(shelf, kb_id, blob, data)

    monkeypatch.setattr(Shelf, "put_blob", removed_meanwhile)
    with pytest.raises(UnknownKnowledge):
        index.put("water", document("late.md"), passages(["late"]))
    assert list(tmp_path.rglob("*.npz")) == []


def test_a_base_made_anew_while_the_old_one_is_cleared_away_keeps_its_documents(
    index: KnowledgeIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = Shelf._newest
    made: list[str] = []

    def made_anew(shelf: Shelf, folder: str) -> Version | None:
        """After the sweep has looked which documents are to stay."""
        found = newest(shelf, folder)
        if found is not None and found.removed and not made:
            made.append("water")
            index.create("water")
            index.put("water", document("new.md"), passages(["A saxophone."]))
        return found

    monkeypatch.setattr(Shelf, "_newest", made_anew)
    index.remove("water")
    assert texts(ask(index, "water", "saxophone")) == ["A saxophone."]


def test_what_cannot_be_tidied_up_changes_nothing(
    index: KnowledgeIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise EngineUnavailable("It may not be deleted.")

    monkeypatch.setattr(Shelf, "_delete", refused)
    index.put("water", document("water.md"), passages(["A saxophone."]))
    assert texts(ask(index, "water", "saxophone")) == ["A saxophone."]
