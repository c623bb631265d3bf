"""Where faces are made of what people upload, one after the other, beside the lessons.

    avatars/
    ├── Anna/            a prepared face; it appears and goes as a whole
    ├── .making/Anna     the id of its making, while there is one, or when it has failed
    └── .{id}/           upload, state.json, face/

The files are the truth: any replica can tell how far a making is, and end it by removing its note.
Who makes a face touches its state every few seconds; when that stops, its process has gone, and the
making has failed. Nothing half made ever lies where faces are looked for.
"""

import asyncio
import contextlib
import errno
import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, Protocol
from uuid import uuid4

from engines.avatar.musetalk.footage import LIMIT_FRAMES, open_footage
from engines.avatar.musetalk.preparation import AvatarWish, Progress
from engines.avatar.musetalk.prepared import Facts, discard, read_facts
from engines.base import FRAME_SIZE_PX
from engines.errors import EngineError
from engines.priority import step_back

logger = logging.getLogger(__name__)

MAX_ORDERS = 5
"""One that is being made and four that wait for their turn, on one replica. No more are received
at once: each may be 100 MB, and could not be ordered afterwards."""

LOOKS = 2
"""Uploads that are looked at at once, for up to some seconds each."""

MAX_AVATARS = 200

ROOM_BYTES = 2 * LIMIT_FRAMES * FRAME_SIZE_PX**2
"""Beyond the frames of the longest clip (three bytes a pixel): masks, upload, and the database."""
FRAMES_BYTES = 3 * LIMIT_FRAMES * FRAME_SIZE_PX**2

HEARTBEAT_S = 5.0
GONE_S = 30.0
"""Several heartbeats: a loaded machine must not take a living making for dead."""

UPLOAD_GONE_S = 3600.0
"""An upload from a phone may be slow; after an hour nobody is sending any more."""

CROWDED = "Several avatars are waiting already. Try again in a while."
RESTARTED = "The engine was restarted while it was being prepared. Add it again."

_MAKING, _STATE, _UPLOAD, _FACE = ".making", "state.json", "upload", "face"
_CLAIM, _BEFORE = "claim", "before"  # in the folder of a making, while it claims its name


class Preparer(Protocol):
    """Make a face: `engines.avatar.musetalk.preparation.Preparation`, or a remote one."""

    def prepare(self, upload: Path, wish: AvatarWish, folder: Path, progress: Progress) -> Facts:
        """Fill the empty folder. Blocks; raises `EngineError`, and whatever `progress` raises."""
        ...


class AvatarError(Exception):
    """A face that cannot be added or found: a sentence, and the status of its answer."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


class Abandoned(Exception):
    """Nobody wants this face any more, or the engine stops."""


@dataclass(frozen=True, slots=True)
class Making:
    """How far a face is."""

    name: str
    state: Literal["waiting", "preparing", "failed"] = "waiting"
    progress: float = 0.0
    """0 to 1."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Order:
    wish: AvatarWish
    folder: Path


class Studio:
    """The faces of a folder, and those in the making. All but `work` and `order` block for
    milliseconds: call them in a thread."""

    def __init__(self, folder: Path, preparer: Preparer) -> None:
        self.folder = folder
        self._preparer = preparer
        self._orders: asyncio.Queue[_Order] = asyncio.Queue(MAX_ORDERS)
        self._own: set[Path] = set()
        """Folders of the orders, until they are done."""
        self._stopping = threading.Event()
        self._uploads = 0
        # Not the loop's own threads, in which the frames of all lessons are painted.
        self._eyes = ThreadPoolExecutor(LOOKS, "avatar-look")

    # ── Making ───────────────────────────────────────────────────────────────────────────────

    async def work(self) -> None:
        """Make what is ordered until cancelled. The caller owns this task."""
        self._stopping.clear()
        await asyncio.to_thread(self._sweep)
        hands = ThreadPoolExecutor(1, "avatar-studio", step_back)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._beat(), name="avatar-heartbeat")
                await self._serve(hands)
        finally:
            # The thread ends by itself at its next frame; the loop must not wait for it, because
            # the model's answer for which it may be waiting comes over the loop.
            self._stopping.set()
            for threads in (hands, self._eyes):
                threads.shutdown(wait=False, cancel_futures=True)

    async def _serve(self, hands: ThreadPoolExecutor) -> None:
        loop = asyncio.get_running_loop()
        while True:
            order = await self._orders.get()
            try:
                await loop.run_in_executor(hands, self._make, order)
            finally:
                self._own.discard(order.folder)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            await asyncio.to_thread(_touch, list(self._own))

    def _make(self, order: _Order) -> None:
        making = Making(order.wish.name, "preparing")
        try:
            face = order.folder / _FACE
            face.mkdir()
            progress = partial(self._tell, order.folder, making)
            progress(0.0)
            self._preparer.prepare(order.folder / _UPLOAD, order.wish, face, progress)
            self._keep(order)
        except Abandoned:
            self._fail(order, RESTARTED if self._stopping.is_set() else "")
        except EngineError as error:
            self._fail(order, error.sentence)
        except Exception as error:  # whatever the file brought about: the next one must be made
            if (order.folder / _STATE).exists():  # else it was removed, and a file is missed
                logger.error("The avatar %r could not be made", order.wish.name, exc_info=error)
            self._fail(order, "Something went wrong inside; the engine's log says what.")

    def _tell(self, folder: Path, making: Making, progress: float) -> None:
        if self._stopping.is_set() or not (folder / _STATE).exists():
            raise Abandoned
        _write(folder, replace(making, progress=round(progress, 3)))

    def _keep(self, order: _Order) -> None:
        try:
            (order.folder / _FACE).rename(self.folder / order.wish.name)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            # Three claimed the name within a millisecond, and another one was made first.
            self._fail(order, _taken(order.wish.name).sentence)
            return
        if self._folder_of(order.wish.name) == order.folder:
            self._claim(order.wish.name).unlink(missing_ok=True)
        shutil.rmtree(order.folder, ignore_errors=True)

    def _fail(self, order: _Order, reason: str) -> None:
        """Say why, if anybody still wants to know, and keep nothing else."""
        shutil.rmtree(order.folder / _FACE, ignore_errors=True)
        (order.folder / _UPLOAD).unlink(missing_ok=True)
        if reason:
            with contextlib.suppress(OSError):  # removed meanwhile
                _write(order.folder, Making(order.wish.name, "failed", reason=reason))

    # ── Ordering ─────────────────────────────────────────────────────────────────────────────

    @contextlib.contextmanager
    def receiving(self) -> Iterator[None]:
        """Around an upload and its order, before anything is received. Raises `AvatarError` when it
        could not be ordered afterwards."""
        if self._uploads >= MAX_ORDERS or len(self._own) >= MAX_ORDERS:
            raise AvatarError(503, CROWDED)
        self._uploads += 1
        try:
            yield
        finally:
            self._uploads -= 1

    async def look(self, folder: Path) -> None:
        """Whether a face can be made of `folder`/upload. Raises `EngineError`."""
        upload = folder / _UPLOAD
        await asyncio.get_running_loop().run_in_executor(self._eyes, open_footage, upload)

    def place(self, name: str) -> Path:
        """An empty folder for an upload, to be given to `order` or `drop`. Raises `AvatarError`
        when no face of that name can be made now."""
        self._check(name)
        folder = self.folder / f".{uuid4().hex}"
        try:
            folder.mkdir(parents=True)
            free = shutil.disk_usage(folder).free
        except OSError as error:
            raise AvatarError(503, f"The upload cannot be stored: {error.strerror}.") from error
        # None of those that are received, wait or are made has what it needs yet.
        needed = (FRAMES_BYTES + ROOM_BYTES) * (max(1, self._uploads) + len(self._own))
        if free < needed:
            self.drop(folder)
            raise AvatarError(
                507,
                f"Only {free / 1e9:.1f} GB of disk are free, and {needed / 1e9:.1f} GB may be"
                " needed. Delete avatars that nobody wears, or make room.",
            )
        return folder

    async def order(self, wish: AvatarWish, folder: Path) -> Making:
        """Have a face made of `folder`/upload, which is ours from now on. Raises `AvatarError`."""
        if len(self._own) >= MAX_ORDERS:
            raise AvatarError(503, CROWDED)
        making = Making(wish.name)
        self._own.add(folder)
        try:
            await asyncio.to_thread(self._register, making, folder)
        except BaseException:
            self._own.discard(folder)
            raise
        self._orders.put_nowait(_Order(wish, folder))
        return making

    def drop(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)

    def _register(self, making: Making, folder: Path) -> None:
        self._check(making.name)
        try:
            _write(folder, making)
            self._replace_failed(making.name, folder)
            note = folder / _CLAIM
            note.write_text(folder.name, "utf-8")
            self._claim(making.name).parent.mkdir(exist_ok=True)
            os.link(note, self._claim(making.name))  # whole, and only if there is none
            note.unlink()
        except FileExistsError as error:
            raise _taken(making.name) from error
        except OSError as error:
            raise AvatarError(503, f"The avatar cannot be stored: {error.strerror}.") from error

    def _replace_failed(self, name: str, folder: Path) -> None:
        """Take away the claim of a making that has failed: one that `_check` let pass. Only one of
        two who do so at once gets it; who gets that of the other puts it back."""
        claim, taken = self._claim(name), folder / _BEFORE
        with contextlib.suppress(FileNotFoundError):
            claim.rename(taken)
            making = self._making_of(name, taken)
            if making is not None and making.state != "failed":
                os.link(taken, claim)
                raise FileExistsError
            if failed := self._folder_named_in(taken):
                self.drop(failed)
            taken.unlink()

    def _check(self, name: str) -> None:
        """Raises `AvatarError` unless a face of that name can be made."""
        pending = [making.name for making in self.makings() if making.state != "failed"]
        ready = [facts.name for facts in self.ready()]
        taken = {other.casefold() for other in (*ready, *pending)}
        if name.casefold() in taken:
            raise _taken(name)
        if len(taken) >= MAX_AVATARS:
            raise AvatarError(409, f"There are {MAX_AVATARS} avatars already. Delete one first.")

    # ── Looking ──────────────────────────────────────────────────────────────────────────────

    def ready(self) -> list[Facts]:
        """The prepared faces, by name; what is damaged is left out."""
        return list(self._facts())

    def facts(self, name: str) -> Facts | None:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            return replace(read_facts(self.folder / name), name=name)
        return None

    def makings(self) -> list[Making]:
        """Those that wait, are being made, or have failed, by name."""
        names = sorted(claim.name for claim in (self.folder / _MAKING).glob("*"))
        return [making for name in names if (making := self.making(name)) is not None]

    def making(self, name: str) -> Making | None:
        return self._making_of(name, self._claim(name))

    def _making_of(self, name: str, claim: Path) -> Making | None:
        folder = self._folder_named_in(claim)
        if folder is None:
            return None
        try:
            state = folder / _STATE
            making = Making(**json.loads(state.read_text("utf-8")))
            silent_s = time.time() - state.stat().st_mtime
        except (OSError, ValueError, TypeError):
            return None
        if making.state != "failed" and silent_s > GONE_S and folder not in self._own:
            return Making(name, "failed", reason=RESTARTED)
        return making

    def remove(self, name: str) -> None:
        """Whether it is made or in the making. Raises `AvatarError` when there is none."""
        folder = self._folder_of(name)
        known = folder is not None
        self._claim(name).unlink(missing_ok=True)
        if folder is not None:
            # First out of the way, so that what is being made cannot come out any more.
            with contextlib.suppress(OSError):
                discard(folder)
        with contextlib.suppress(OSError):
            discard(self.folder / name)
            known = True
        if not known:
            raise AvatarError(404, f"There is no avatar {name!r}; see GET /avatars.")

    def _facts(self) -> Iterator[Facts]:
        for file in sorted(self.folder.glob("[!.]*/avatar.json")):
            if facts := self.facts(file.parent.name):
                yield facts

    def _claim(self, name: str) -> Path:
        return self.folder / _MAKING / name

    def _folder_of(self, name: str) -> Path | None:
        return self._folder_named_in(self._claim(name))

    def _folder_named_in(self, claim: Path) -> Path | None:
        try:
            identity = claim.read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            return None
        return self.folder / identity if identity.startswith(".") else None

    def _sweep(self) -> None:
        """Remove what makings left behind whose process has gone."""
        known = {self._folder_of(claim.name) for claim in (self.folder / _MAKING).glob("*")}
        for folder in self.folder.glob(".*"):
            if folder.name == _MAKING or folder in self._own:
                continue
            with contextlib.suppress(OSError):
                state = folder / _STATE
                begun = state.exists()
                silent_s = time.time() - (state if begun else folder).stat().st_mtime
                if silent_s < (GONE_S if begun else UPLOAD_GONE_S):
                    continue
                if folder not in known:
                    self.drop(folder)
                    continue
                (folder / _UPLOAD).unlink(missing_ok=True)
                shutil.rmtree(folder / _FACE, ignore_errors=True)


def _write(folder: Path, making: Making) -> None:
    """As a whole, so that no reader sees half of it. Raises `OSError` when the folder has gone."""
    note = folder / f"{_STATE}.new"
    note.write_text(json.dumps(asdict(making), ensure_ascii=False), "utf-8")
    note.replace(folder / _STATE)


def _touch(folders: list[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):  # removed meanwhile
            os.utime(folder / _STATE)


def _taken(name: str) -> AvatarError:
    return AvatarError(
        409, f"There is an avatar {name!r} already. Delete it first, or choose another name."
    )
