"""What two do at the same time in the studio, what one does in another's way, and what is left by
those who end in the middle."""

import asyncio
import contextlib
import json
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from engines.avatar.musetalk.preparation import AvatarWish, Progress
from engines.avatar.musetalk.prepared import Facts, read_facts
from engines.errors import UnusableFootage
from serve_app import avatar_studio
from serve_app.avatar_studio import MAX_ORDERS, AvatarError, Making, Studio
from tests.running import eventually
from tests.serve_app.test_avatar_studio import (
    SlowMaker,
    leftovers,
    names,
    ordered,
    state,
    working,
)


async def test_one_that_is_removed_while_it_waits_is_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    maker = SlowMaker()
    studio = Studio(tmp_path, maker)
    async with working(studio, maker):
        for name in "ABC":
            await ordered(studio, name)
        await eventually(lambda: state(studio, "A") == "preparing")
        studio.remove("B")
        maker.finish()
        await eventually(lambda: names(studio) == ["A", "C"])
        await eventually(lambda: not leftovers(studio))
    assert maker.made == ["A", "C"]
    assert caplog.records == []


class Remover(SlowMaker):
    """Finds that its files have been removed while it works with them."""

    studio: Studio

    def prepare(self, upload: Path, wish: AvatarWish, folder: Path, progress: Progress) -> Facts:
        self.studio.remove(wish.name)
        upload.read_bytes()
        raise AssertionError


async def test_files_that_are_missed_after_a_removal_are_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    maker = Remover()
    studio = maker.studio = Studio(tmp_path, maker)
    async with working(studio, maker):
        await ordered(studio, "A")
        await eventually(lambda: not studio._own)
    assert caplog.records == []
    assert leftovers(studio) == []


async def test_a_claim_that_a_crash_left_empty_is_replaced(tmp_path: Path) -> None:
    maker = SlowMaker()
    maker.finish()
    studio = Studio(tmp_path, maker)
    (tmp_path / ".making").mkdir()
    (tmp_path / ".making" / "Anna").touch()
    async with working(studio, maker):
        await ordered(studio, "Anna")
        await eventually(lambda: names(studio) == ["Anna"])
    assert list((tmp_path / ".making").iterdir()) == []


def test_a_claim_is_never_seen_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that ends while it claims a name must not take it for ever."""
    studio = Studio(tmp_path, SlowMaker())
    folder = studio.place("Anna")

    really_open = Path.open

    def crash(self: Path, mode: str = "r", *args: Any, **more: Any) -> Any:
        opened = really_open(self, mode, *args, **more)
        if mode == "r" or self.name.startswith("state"):
            return opened
        opened.close()
        raise KeyboardInterrupt

    with monkeypatch.context() as crashing:
        crashing.setattr(Path, "open", crash)
        with pytest.raises(KeyboardInterrupt):
            studio._register(Making("Anna"), folder)
    assert list(tmp_path.glob(".making/*")) == []


async def failed(tmp_path: Path) -> None:
    """A making of Anna that has failed."""
    maker = SlowMaker(UnusableFootage("No face was found."))
    maker.finish()
    studio = Studio(tmp_path, maker)
    async with working(studio, maker):
        await ordered(studio, "Anna")
        await eventually(lambda: state(studio, "Anna") == "failed")


async def test_only_one_of_two_replaces_a_failed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have seen that it failed before either claims the name."""
    await failed(tmp_path)
    maker = SlowMaker()
    studio, other = Studio(tmp_path, maker), Studio(tmp_path, SlowMaker())
    first, second = studio.place("Anna"), other.place("Anna")
    (first / "upload").write_bytes(b"first")
    async with working(studio, maker):
        await studio.order(AvatarWish("Anna"), first)
        monkeypatch.setattr(other, "_check", lambda name: None)  # it has looked already
        with pytest.raises(AvatarError, match="already") as refused:
            await other.order(AvatarWish("Anna"), second)
        assert refused.value.status == 409
        other.drop(second)
        assert state(studio, "Anna") in ("waiting", "preparing")
        maker.finish()
        await eventually(lambda: names(studio) == ["Anna"])
        await eventually(lambda: not leftovers(studio))
    assert studio.ready()[0].frames == len(b"first")


async def test_two_at_the_very_same_time_never_both_get_the_name(tmp_path: Path) -> None:
    for number in range(20):
        home = tmp_path / str(number)
        await failed(home)
        studios = [Studio(home, SlowMaker()) for _ in range(2)]
        folders = [studio.place("Anna") for studio in studios]
        orders = (
            studio.order(AvatarWish("Anna"), folder)
            for studio, folder in zip(studios, folders, strict=True)
        )
        results = await asyncio.gather(*orders, return_exceptions=True)
        kinds = {type(result) for result in results}
        assert kinds == {Making, AvatarError}
        winner = next(f for f, r in zip(folders, results, strict=True) if isinstance(r, Making))
        assert (home / ".making" / "Anna").read_text() == winner.name


def reasons(home: Path) -> list[str]:
    """Of all makings, whether they have a name or not."""
    return [json.loads(file.read_text("utf-8"))["reason"] for file in home.glob(".*/state.json")]


async def test_one_that_was_made_meanwhile_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    maker = SlowMaker()
    studio = Studio(tmp_path, maker)
    async with working(studio, maker):
        await ordered(studio, "Anna")
        await eventually(lambda: state(studio, "Anna") == "preparing")
        claim = tmp_path / ".making" / "Anna"
        claim.unlink()
        other = Studio(tmp_path, maker)
        await ordered(other, "Anna", b"the other one")
        theirs = claim.read_text()
        (tmp_path / "Anna").mkdir()
        (tmp_path / "Anna" / "avatar.json").write_text("theirs")
        maker.finish()
        await eventually(lambda: not studio._own)
    assert (tmp_path / "Anna" / "avatar.json").read_text() == "theirs"
    assert claim.read_text() == theirs  # nor is their claim touched
    assert any("Delete it first, or choose" in reason for reason in reasons(tmp_path))
    assert caplog.records == []


async def test_what_is_sent_at_once_is_bounded(tmp_path: Path) -> None:
    studio = Studio(tmp_path, SlowMaker())
    with contextlib.ExitStack() as received:
        for _ in range(MAX_ORDERS):
            received.enter_context(studio.receiving())
        with pytest.raises(AvatarError, match="Several avatars") as refused, studio.receiving():
            pass
        assert refused.value.status == 503
    with studio.receiving():
        pass
    for number in range(MAX_ORDERS):
        await ordered(studio, f"A{number}")
    with pytest.raises(AvatarError, match="Several avatars"), studio.receiving():
        pass


def test_the_disk_must_hold_all_that_are_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio = Studio(tmp_path, SlowMaker())
    free = shutil.disk_usage(tmp_path).free
    monkeypatch.setattr(avatar_studio, "FRAMES_BYTES", 0)
    monkeypatch.setattr(avatar_studio, "ROOM_BYTES", free * 2 // 3)
    with studio.receiving():
        studio.drop(studio.place("A"))
        with studio.receiving(), pytest.raises(AvatarError, match="Delete avatars") as full:
            studio.place("B")
    assert full.value.status == 507


async def test_uploads_are_looked_at_in_threads_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Live video is painted in the loop's own ones, which a slow file must not keep."""
    threads: list[str] = []
    monkeypatch.setattr(
        avatar_studio, "open_footage", lambda _: threads.append(threading.current_thread().name)
    )
    maker = SlowMaker()
    studio = Studio(tmp_path, maker)
    async with working(studio, maker):
        await asyncio.gather(*(studio.look(tmp_path) for _ in range(8)))
    assert len(threads) == 8
    assert all(name.startswith("avatar-look") for name in threads)
    assert len(set(threads)) <= avatar_studio.LOOKS
    with pytest.raises(RuntimeError):  # they end with the studio
        await studio.look(tmp_path)


async def test_a_look_at_one_reads_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = SlowMaker()
    maker.finish()
    studio = Studio(tmp_path, maker)
    async with working(studio, maker):
        for name in "AB":
            await ordered(studio, name)
        await eventually(lambda: names(studio) == ["A", "B"])
    read: list[str] = []

    def noted(folder: Path) -> Facts:
        read.append(folder.name)
        return read_facts(folder)

    monkeypatch.setattr(avatar_studio, "read_facts", noted)
    found = studio.facts("A")
    assert found is not None and found.name == "A"
    assert studio.facts("C") is None
    assert read == ["A", "C"]
