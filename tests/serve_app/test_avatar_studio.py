import asyncio
import contextlib
import json
import os
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from engines.avatar.musetalk.preparation import AvatarWish, Progress
from engines.avatar.musetalk.prepared import Facts
from engines.errors import UnusableFootage
from engines.priority import NICENESS
from serve_app import avatar_studio
from serve_app.avatar_studio import GONE_S, MAX_ORDERS, RESTARTED, AvatarError, Making, Studio
from tests.running import eventually


class SlowMaker:
    """Makes a face of one file in steps, and waits at each until it may go on."""

    def __init__(self, error: Exception | None = None) -> None:
        self.may_go_on = threading.Semaphore(0)
        self.made: list[str] = []
        self.ended: list[str] = []
        self.nice: list[int] = []
        self._error = error

    def prepare(self, upload: Path, wish: AvatarWish, folder: Path, progress: Progress) -> Facts:
        self.nice.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        try:
            for step in range(1, 5):
                self.may_go_on.acquire()
                progress(step / 4)
        finally:
            self.ended.append(wish.name)
        if self._error:
            raise self._error
        facts = Facts(wish.name, "clip", "v1.5", len(upload.read_bytes()))
        (folder / "avatar.json").write_text(
            json.dumps(
                {
                    "name": wish.name,
                    "kind": "clip",
                    "version": "v1.5",
                    "format": 1,
                    "frames": facts.frames,
                    "bridged": [],
                    "notes": [],
                }
            )
        )
        self.made.append(wish.name)
        return facts

    def finish(self) -> None:
        self.may_go_on.release(100)


@asynccontextmanager
async def working(studio: Studio, maker: SlowMaker) -> AsyncIterator[None]:
    task = asyncio.create_task(studio.work(), name="studio")
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        maker.finish()


async def ordered(studio: Studio, name: str, data: bytes = b"12345") -> Making:
    folder = studio.place(name)
    (folder / "upload").write_bytes(data)
    return await studio.order(AvatarWish(name), folder)


def state(studio: Studio, name: str) -> str:
    making = studio.making(name)
    return making.state if making else "none"


def names(studio: Studio) -> list[str]:
    return [facts.name for facts in studio.ready()]


def leftovers(studio: Studio) -> list[str]:
    """What lies hidden in the folder, the notes' own folder aside."""
    return [path.name for path in studio.folder.glob(".*") if path.name != ".making"]


async def test_a_face_is_made_and_appears_as_a_whole(tmp_path: Path) -> None:
    maker = SlowMaker()
    studio = Studio(tmp_path / "avatars", maker)
    async with working(studio, maker):
        assert await ordered(studio, "Anna") == Making("Anna")
        await eventually(lambda: state(studio, "Anna") == "preparing")
        maker.may_go_on.release(2)
        await eventually(lambda: studio.makings() == [Making("Anna", "preparing", 0.5)])
        assert names(studio) == []
        assert list(studio.folder.glob("[!.]*")) == []
        maker.finish()
        await eventually(lambda: names(studio) == ["Anna"])
        await eventually(lambda: not leftovers(studio))
    assert studio.ready()[0].frames == 5
    assert studio.makings() == []
    assert maker.nice == [NICENESS]


async def test_faces_are_made_one_after_the_other(tmp_path: Path) -> None:
    maker = SlowMaker()
    studio = Studio(tmp_path, maker)
    async with working(studio, maker):
        for name in "ABC":
            await ordered(studio, name)
        await eventually(lambda: state(studio, "A") == "preparing")
        assert [state(studio, name) for name in "BC"] == ["waiting", "waiting"]
        maker.finish()
        await eventually(lambda: names(studio) == ["A", "B", "C"])
    assert maker.made == ["A", "B", "C"]


async def test_only_so_many_wait(tmp_path: Path) -> None:
    maker = SlowMaker()
    studio = Studio(tmp_path, maker)
    async with working(studio, maker):
        for number in range(MAX_ORDERS):
            await ordered(studio, f"A{number}")
        folder = studio.place("more")
        with pytest.raises(AvatarError, match="Several avatars are waiting") as refused:
            await studio.order(AvatarWish("more"), folder)
        assert refused.value.status == 503
        assert state(studio, "more") == "none"
        maker.finish()
        await eventually(lambda: len(names(studio)) == MAX_ORDERS)
        await ordered(studio, "more")
        await eventually(lambda: "more" in names(studio))


async def test_a_name_is_given_once(tmp_path: Path) -> None:
    maker = SlowMaker()
    studio = Studio(tmp_path, maker)
    early = studio.place("Anna")  # two uploads of the same name at the same time
    (early / "upload").write_bytes(b"late")
    async with working(studio, maker):
        await ordered(studio, "Anna")
        for name in ("Anna", "ANNA"):
            with pytest.raises(AvatarError, match="already") as refused:
                studio.place(name)
            assert refused.value.status == 409
        with pytest.raises(AvatarError, match="already"):
            await studio.order(AvatarWish("Anna"), early)
        maker.finish()
        await eventually(lambda: names(studio) == ["Anna"])
        with pytest.raises(AvatarError, match="already"):
            studio.place("anna")
    assert studio.ready()[0].frames == 5


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (UnusableFootage("No face was found."), "No face was found."),
        (ZeroDivisionError(), "Something went wrong inside; the engine's log says what."),
    ],
)
async def test_why_it_failed_is_kept_until_the_next_try(
    tmp_path: Path, error: Exception, told: str
) -> None:
    maker = SlowMaker(error)
    studio = Studio(tmp_path, maker)
    async with working(studio, maker):
        await ordered(studio, "Anna")
        maker.finish()
        await eventually(lambda: state(studio, "Anna") == "failed")
        failed = studio.making("Anna")
        assert failed is not None and failed.reason == told
        (hidden,) = leftovers(studio)
        assert [path.name for path in (tmp_path / hidden).iterdir()] == ["state.json"]
        maker._error = None
        await ordered(studio, "Anna")  # the name is free again
        await eventually(lambda: names(studio) == ["Anna"])
        assert studio.makings() == []
        await eventually(lambda: not leftovers(studio))


async def test_one_that_is_removed_while_it_is_made_never_appears(tmp_path: Path) -> None:
    maker = SlowMaker()
    studio = Studio(tmp_path, maker)
    async with working(studio, maker):
        await ordered(studio, "Anna")
        await eventually(lambda: state(studio, "Anna") == "preparing")
        Studio(tmp_path, maker).remove("Anna")  # from another replica
        assert state(studio, "Anna") == "none"
        await ordered(studio, "Anna", b"the new one")
        maker.may_go_on.release()
        await eventually(lambda: maker.ended == ["Anna"])
        assert maker.made == []
        maker.finish()
        await eventually(lambda: names(studio) == ["Anna"])
        await eventually(lambda: not leftovers(studio))
    assert studio.ready()[0].frames == len(b"the new one")


async def test_a_ready_one_is_removed(tmp_path: Path) -> None:
    maker = SlowMaker()
    maker.finish()
    studio = Studio(tmp_path, maker)
    async with working(studio, maker):
        await ordered(studio, "Anna")
        await eventually(lambda: names(studio) == ["Anna"])
        await eventually(lambda: not leftovers(studio))
        studio.remove("Anna")
        assert names(studio) == []
        with pytest.raises(AvatarError, match="no avatar") as unknown:
            studio.remove("Anna")
        assert unknown.value.status == 404


async def test_when_the_engine_stops_nothing_half_made_stays(tmp_path: Path) -> None:
    maker = SlowMaker()
    studio = Studio(tmp_path, maker)
    async with working(studio, maker):
        await ordered(studio, "Anna")
        await eventually(lambda: state(studio, "Anna") == "preparing")
    await eventually(lambda: state(studio, "Anna") == "failed")
    assert [making.reason for making in studio.makings()] == [RESTARTED]
    assert names(studio) == []
    (hidden,) = leftovers(studio)
    await eventually(lambda: [p.name for p in (tmp_path / hidden).iterdir()] == ["state.json"])


def long_ago(folder: Path) -> None:
    then = time.time() - 2 * avatar_studio.UPLOAD_GONE_S
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (then, then))


async def killed(
    tmp_path: Path, maker: SlowMaker, change: Callable[[Path], None] = long_ago
) -> Studio:
    """A studio that finds what a process left that was killed while it made a face."""
    before = Studio(tmp_path, SlowMaker())
    await ordered(before, "Anna")
    (hidden,) = leftovers(before)
    (tmp_path / hidden / "face").mkdir()
    (tmp_path / hidden / "face" / "frames.npy").write_bytes(b"half")
    change(tmp_path / hidden)
    return Studio(tmp_path, maker)


async def test_a_killed_making_has_failed_and_leaves_nothing(tmp_path: Path) -> None:
    maker = SlowMaker()
    studio = await killed(tmp_path, maker)
    (left,) = studio.makings()
    assert left == Making("Anna", "failed", reason=RESTARTED)
    upload = studio.place("other")  # one that nobody will ever finish
    long_ago(upload)
    async with working(studio, maker):
        await eventually(lambda: not upload.exists())
        (hidden,) = leftovers(studio)
        await eventually(lambda: [p.name for p in (tmp_path / hidden).iterdir()] == ["state.json"])
        assert studio.makings() == [left]
        studio.remove("Anna")
        assert studio.makings() == []
        assert leftovers(studio) == []


async def test_a_making_of_another_replica_is_left_alone(tmp_path: Path) -> None:
    maker = SlowMaker()
    studio = await killed(tmp_path, maker, lambda folder: None)
    async with working(studio, maker):
        await ordered(studio, "B")
        await eventually(lambda: state(studio, "B") == "preparing")  # it has swept
        assert state(studio, "Anna") == "waiting"
        assert any((tmp_path / name / "face").exists() for name in leftovers(studio))


async def test_a_making_shows_that_it_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(avatar_studio, "HEARTBEAT_S", 0.01)
    maker = SlowMaker()
    studio = Studio(tmp_path, maker)
    async with working(studio, maker):
        await ordered(studio, "Anna")
        await eventually(lambda: state(studio, "Anna") == "preparing")
        (hidden,) = leftovers(studio)
        note = tmp_path / hidden / "state.json"
        then = time.time() - 2 * GONE_S
        os.utime(note, (then, then))
        await eventually(lambda: note.stat().st_mtime > then + GONE_S)
        assert state(Studio(tmp_path, maker), "Anna") == "preparing"


def test_a_full_disk_is_told_before_the_upload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(avatar_studio, "ROOM_BYTES", 1 << 60)
    studio = Studio(tmp_path, SlowMaker())
    with pytest.raises(AvatarError, match="GB of disk are free") as full:
        studio.place("Anna")
    assert full.value.status == 507
    assert leftovers(studio) == []


def test_damaged_notes_are_nothing(tmp_path: Path) -> None:
    studio = Studio(tmp_path, SlowMaker())
    (tmp_path / ".making").mkdir()
    for name, content in (("A", b"\xff\xfe"), ("B", b"../../etc"), ("C", b".gone"), ("D", b"")):
        (tmp_path / ".making" / name).write_bytes(content)
    (tmp_path / "E").mkdir()
    (tmp_path / "E" / "avatar.json").write_text("{")
    assert studio.makings() == []
    assert studio.ready() == []
    for name in "ABCD":
        studio.drop(studio.place(name))
