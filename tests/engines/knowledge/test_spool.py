import errno
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from engines.errors import EngineBusy, EngineUnavailable
from engines.knowledge import spool as spool_module
from engines.knowledge.spool import (
    FAILED_KEPT_S,
    GIVEN_UP,
    GONE_S,
    MAX_ATTEMPTS,
    UPLOAD_GONE_S,
    Abandoned,
    Job,
    Spool,
    Taken,
)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "uploads")


def send(spool: Spool, name: str = "water.md", kb_id: str = "physics", data: bytes = b"#") -> Job:
    upload = spool.place()
    upload.write_bytes(data)
    return spool.order(upload, kb_id, name)


def take(spool: Spool) -> Taken:
    taken = spool.take()
    assert taken is not None
    return taken


def leave(taken: Taken) -> None:
    """Its process has been gone for long."""
    then = time.time() - GONE_S - 1
    (attempt,) = taken.folder.glob(f"attempt-{taken.attempt}*")
    os.utime(attempt, (then, then))


def test_documents_are_taken_in_their_order_and_by_one_alone(spool: Spool) -> None:
    names = [send(spool, name, kb_id).name for name, kb_id in (("b", "x"), ("a", "y/../z"))]
    other = Spool(spool._folder)
    taken = [take(spool), take(other)]
    assert [each.job.name for each in taken] == names
    assert [each.job.kb_id for each in taken] == ["x", "y/../z"]
    assert taken[0].upload.read_bytes() == b"#"
    assert spool.take() is other.take() is None


def test_what_is_being_received_is_not_seen(spool: Spool) -> None:
    upload = spool.place()
    upload.write_bytes(b"half")
    assert (spool.take(), spool.jobs("physics")) == (None, [])
    spool.discard(upload)
    assert list(spool._folder.iterdir()) == []


def test_how_far_it_is_is_told_to_all(spool: Spool) -> None:
    job = send(spool)
    taken = take(spool)
    spool.tell(taken, "indexing", 0.5)
    expected = replace(job, state="indexing", progress=0.5)
    assert Spool(spool._folder).jobs("physics") == [expected]
    assert spool.jobs("chemistry") == []
    spool.finish(taken)
    assert spool.jobs("physics") == []


def test_another_one_takes_over_when_its_process_has_gone(spool: Spool) -> None:
    send(spool)
    first = take(spool)
    spool.beat(first)
    assert spool.take() is None
    leave(first)
    second = take(spool)
    assert (second.job.id, second.attempt) == (first.job.id, 2)
    with pytest.raises(Abandoned):
        spool.beat(first)
    with pytest.raises(Abandoned):
        spool.tell(first, "indexing", 0.5)
    spool.fail(first, "Too late.")
    assert [job.state for job in spool.jobs("physics")] == ["waiting"]
    spool.tell(second, "reading", 0.1)


def test_only_one_of_many_takes_over(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    send(spool)
    leave(take(spool))
    assert take(Spool(spool._folder)).attempt == 2
    # Another process that looked a moment before still believes that the first is the last.
    monkeypatch.setattr(spool_module, "_last_attempt", lambda folder: 1)
    assert spool.take() is None


def test_it_is_given_up_after_three_attempts(spool: Spool) -> None:
    send(spool)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        taken = take(spool)
        assert taken.attempt == attempt
        leave(taken)
    assert spool.take() is None
    (failed,) = spool.jobs("physics")
    assert (failed.state, failed.reason) == ("failed", GIVEN_UP)
    assert not taken.upload.exists()


def postponed(spool: Spool) -> Taken:
    taken = take(spool)
    spool.postpone(taken, "The storage does not answer.")
    return taken


def test_what_is_not_its_own_fault_is_tried_again_and_told(spool: Spool) -> None:
    send(spool)
    for _ in range(2 * MAX_ATTEMPTS):
        taken = postponed(spool)
        assert spool.take() is None, "not at once"
        (job,) = spool.jobs("physics")
        assert (job.state, job.reason) == ("waiting", "The storage does not answer.")
        assert len(list(taken.folder.glob("attempt-*"))) == 1, "they do not pile up"
        leave(taken)
    for _ in range(MAX_ATTEMPTS):
        leave(take(spool))
    assert spool.take() is None
    assert spool.jobs("physics")[0].reason == GIVEN_UP


def test_after_a_day_of_it_the_document_is_given_up(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "MAX_EXCUSED", 2)
    send(spool)
    for _ in range(2):
        leave(postponed(spool))
    assert spool.take() is None
    (job,) = spool.jobs("physics")
    assert (job.state, job.reason) == ("failed", "The storage does not answer.")


def test_a_full_disk_costs_no_document(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(folder: Path, job: Job) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    send(spool)
    with monkeypatch.context() as disk:
        disk.setattr(spool_module, "_write", full)
        for _ in range(MAX_ATTEMPTS + 1):
            taken = take(spool)
            with pytest.raises(EngineUnavailable, match="No space left"):
                spool.tell(taken, "reading", 0.1)
            spool.postpone(taken, "The disk is full.")
            leave(taken)
        for _ in range(MAX_ATTEMPTS):
            leave(take(spool))
        assert spool.take() is None, "it can neither be failed nor holds up the others"
    assert taken.upload.exists()


def test_what_others_put_into_the_folder_of_a_document_is_left_alone(spool: Spool) -> None:
    send(spool, "a.md")
    send(spool, "b.md")
    taken = take(spool)
    for name in ("attempt-x", "attempt-1~", "attempt-2.old"):
        (taken.folder / name).touch()
    assert take(spool).job.name == "b.md"
    spool.tell(taken, "reading", 0.1)


def test_what_cannot_be_read_now_is_not_swept_away(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(spool)
    with monkeypatch.context() as crowded:
        crowded.setattr(spool_module, "_read", lambda folder: None)  # too many open files
        spool.sweep()
    assert [job.name for job in spool.jobs("physics")] == ["water.md"]


def test_only_those_that_nobody_has_been_at_wait(spool: Spool) -> None:
    assert not spool.waits()
    send(spool)
    assert spool.waits()
    spool.fail(take(spool), "No.")
    assert not spool.waits()


def test_a_process_that_ends_hands_it_on_at_once(spool: Spool) -> None:
    send(spool)
    spool.release(take(spool))
    assert take(spool).attempt == 2


def test_a_newer_file_of_that_name_comes_instead(spool: Spool) -> None:
    send(spool, data=b"old")
    taken = take(spool)
    other = send(spool, kb_id="chemistry")
    newer = send(spool, data=b"new")
    with pytest.raises(Abandoned):
        spool.beat(taken)
    assert not spool.is_dropped(taken), "it is replaced and not removed"
    assert spool.jobs("physics") == [newer]
    assert take(spool).job == other
    assert take(spool).upload.read_bytes() == b"new"


def test_a_removed_one_is_given_up_by_who_is_at_it(spool: Spool) -> None:
    send(spool)
    send(spool, kb_id="chemistry")
    taken = take(spool)
    assert spool.drop("physics", "fire.md") is False
    assert not spool.is_dropped(taken)
    assert spool.drop("physics", "water.md") is True
    assert spool.is_dropped(taken)
    with pytest.raises(Abandoned):
        spool.tell(taken, "indexing", 0.5)
    spool.finish(taken)
    assert spool.drop("chemistry") is True
    assert spool.take() is None


def test_too_many_are_refused(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "MAX_JOBS", 2)
    for name in ("a", "b"):
        send(spool, name)
    with pytest.raises(EngineBusy, match=r"Try again"):
        send(spool, "c")


def test_a_full_disk_is_told_and_nothing_stays(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(Path("/"))._replace(free=999_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(EngineUnavailable, match=r"Only 1\.0 GB"):
        spool.place()
    assert list(spool._folder.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "uploads").write_text("a file")
    with pytest.raises(EngineUnavailable, match="TUTOR_HOME"):
        Spool(tmp_path / "uploads").place()


def test_what_was_left_behind_is_swept_and_nothing_else(spool: Spool) -> None:
    lost, coming = spool.place().parent, spool.place().parent
    for name in ("old", "new", "wait"):
        send(spool, name)
    for _ in range(2):
        spool.fail(take(spool), "No.")
    old = next(
        folder for folder in spool._folders() if '"old"' in (folder / "job.json").read_text()
    )
    for path, age_s in ((lost, UPLOAD_GONE_S), (old / "job.json", FAILED_KEPT_S)):
        then = time.time() - age_s - 1
        os.utime(path, (then, then))
    spool.sweep()
    assert (lost.exists(), coming.exists()) == (False, True)
    assert {job.name: job.state for job in spool.jobs("physics")} == {
        "new": "failed",
        "wait": "waiting",
    }
