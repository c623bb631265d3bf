"""Who moves a face: MuseTalk where it is configured, loads and keeps up, else the drawn faces.

    start ──► drawn faces ──model loaded──► MuseTalk ──it fails──► its memory is given back, drawn
                   │                           ▲                  faces; loaded again after a rest
                   ├──it does not load──► tried again every `LOAD_AGAIN_S`, the state says why
                   ├──it cannot keep up──► drawn faces stay, the state says why; on a GPU, which
                   │                       others may have used, tried again after a long rest
                   └──the GPU is broken──► drawn faces stay, and `check` asks for a new process

A name means a drawn face or a prepared avatar; `face` says which face is to be shown for it now.
Ask it before a turn, because the frame beneath the mouth must be of the same face.
"""

import asyncio
import logging
import threading
import time
import zlib
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Literal, Protocol

from engines.avatar.musetalk.engine import MuseTalkAvatar, wrong_version
from engines.avatar.musetalk.framing import Version
from engines.avatar.musetalk.prepared import AvatarCache, Latents
from engines.avatar.viseme.engine import VisemeAvatar
from engines.avatar.viseme.portrait import FACES
from engines.base import Audio, Cue, EngineState, Patch, Pixels
from engines.errors import (
    DeviceBroken,
    EngineBusy,
    EngineError,
    EngineUnavailable,
    OutOfMemory,
    UnfitAvatar,
    UnknownAvatar,
)

_log = logging.getLogger(__name__)

AvatarEngine = Literal["auto", "musetalk", "drawn"]

REST_S = 15.0
"""After a failure MuseTalk is loaded again so much later: memory may be free by then. After each
further one twice as long."""

LONGEST_REST_S = 240.0

WELL_S = 60.0
"""Who has worked for so long since he was loaded has recovered."""

LOAD_AGAIN_S = 30.0
"""After it could not be loaded: its folder may be there by then."""

FORGIVEN_S = 10.0
"""Once in so long the memory may not suffice: what was kept in store has been given back then. A
second time it never will."""

UNFIT_TOLD_S = 600.0
"""So long after a face of another version was asked for, the state tells of it."""

SLOWEST_PACE = 0.8
"""Seconds of work for a second of face, for one session alone. Above 1 an answer would stop
between its words; the rest is for what else the GPU does."""

DRAWN, MUSETALK = "drawn", "musetalk"

NOT_CONFIGURED = (
    "MuseTalk is not configured. Set MUSETALK_MODELS to the folder with its models, see README.md."
)


def is_drawn(name: str) -> bool:
    """Whether it is one of the embedded faces; all others are prepared avatars."""
    return name in FACES


def stand_in(name: str) -> str:
    """The drawn face for a prepared avatar that cannot be moved; for a name always the same."""
    return FACES[zlib.crc32(name.encode()) % len(FACES)]


class StatedAvatar(Protocol):
    """Faces that tell how they are."""

    def animate(self, speech: Audio, cue: Cue) -> AsyncGenerator[Patch, None]: ...

    async def state(self) -> EngineState: ...

    async def face(self, name: str) -> str: ...

    async def version(self) -> Version: ...

    async def latents(self, faces: Pixels) -> Latents: ...


class DrawnAvatar:
    """The drawn faces alone."""

    def __init__(self, avatars: AvatarCache) -> None:
        """`avatars`: so that a prepared one is told from a wrong name."""
        self._avatars = avatars
        self._drawn = VisemeAvatar()

    async def animate(self, speech: Audio, cue: Cue) -> AsyncGenerator[Patch, None]:
        """Stream the mouth of a drawn face. Raises `UnknownAvatar`; `EngineUnavailable` for a
        prepared avatar."""
        if not is_drawn(cue.avatar):
            await asyncio.to_thread(self._avatars.get, cue.avatar)
            raise EngineUnavailable(NOT_CONFIGURED)
        async with aclosing(self._drawn.animate(speech, cue)) as patches:
            async for patch in patches:
                yield patch

    async def state(self) -> EngineState:
        return EngineState(DRAWN, "ready", "The embedded drawn faces are shown.")

    async def face(self, name: str) -> str:
        """The one to be shown for this name. Raises `UnknownAvatar`."""
        if is_drawn(name):
            return name
        await asyncio.to_thread(self._avatars.get, name)
        return stand_in(name)

    async def version(self) -> Version:
        """Always raises `EngineUnavailable`."""
        raise EngineUnavailable(NOT_CONFIGURED)

    async def latents(self, faces: Pixels) -> Latents:
        """Always raises `EngineUnavailable`."""
        raise EngineUnavailable(NOT_CONFIGURED)


class BestAvatar:
    """MuseTalk for prepared avatars, and drawn faces; moves up and down by itself."""

    def __init__(
        self, load: Callable[[], MuseTalkAvatar], avatars: AvatarCache, *, fallback: bool = True
    ) -> None:
        """`load` may take minutes: it is called in a thread. Without the `fallback` no drawn face
        stands in for a prepared one, and MuseTalk is used at whatever pace."""
        self._load = load
        self._avatars = avatars
        self._fallback = fallback
        self._drawn = VisemeAvatar()
        self._musetalk: MuseTalkAvatar | None = None
        self._problem: str | None = None
        self._broken = ""
        self._lack: tuple[OutOfMemory, float] | None = None
        self._unfit: dict[str, float] = {}
        self._tried = threading.Event()
        self._lost = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._keep_loaded, name="load-avatar", daemon=True)
        self._thread.start()

    async def animate(self, speech: Audio, cue: Cue) -> AsyncGenerator[Patch, None]:
        """Stream the mouth of the face that the cue names. Raises `UnknownAvatar`, and
        `EngineUnavailable` where a prepared avatar cannot be moved now: its mouth stays shut, and
        from the next turn on `face` names another one."""
        if is_drawn(cue.avatar):
            async with aclosing(self._drawn.animate(speech, cue)) as patches:
                async for patch in patches:
                    yield patch
            return
        musetalk = await self._ready_for(cue.avatar)
        try:
            async with aclosing(musetalk.animate(speech, cue)) as patches:
                async for patch in patches:
                    yield patch
        except EngineError as error:
            if not self._may_stay(error):
                self._lose(musetalk, error)
            raise

    async def face(self, name: str) -> str:
        """The face to be shown for this name: a drawn one where MuseTalk cannot move a prepared one
        now. Raises `UnknownAvatar`."""
        if is_drawn(name):
            return name
        try:
            await self._ready_for(name)
        except EngineUnavailable:
            return stand_in(name) if self._fallback else name
        return name

    async def version(self) -> Version:
        """Of the model, for which avatars are prepared now. Raises `EngineUnavailable`."""
        return self._loaded().version

    async def latents(self, faces: Pixels) -> Latents:
        """For the preparation of an avatar: uint8 BGR [n, 256, 256, 3] → float16 [n, 8, 32, 32].
        Raises `EngineUnavailable`."""
        musetalk = self._loaded()
        try:
            return await asyncio.to_thread(musetalk.latents, faces)
        except DeviceBroken as error:  # all else is the face's, or for want of memory beside others
            self._lose(musetalk, error)
            raise

    def check(self) -> None:
        """Raises `DeviceBroken` when nothing but a new process will show prepared avatars again."""
        if self._broken:
            raise DeviceBroken(self._broken)

    async def state(self) -> EngineState:
        musetalk = self._musetalk
        if musetalk is not None:
            remedy = _remake(self._lately_unfit(), musetalk.version)
            return EngineState(MUSETALK, "ready", _how(musetalk), remedy)
        how = "cannot be used" if self._problem else "is loading"
        if self._fallback:
            reason = f"MuseTalk {how}. Drawn faces are shown instead."
            return EngineState(DRAWN, "degraded", reason, self._problem or "")
        return EngineState(
            MUSETALK,
            "unavailable" if self._problem else "starting",
            f"MuseTalk {how}. Only drawn faces move until then.",
            self._problem or "",
        )

    async def loaded(self) -> None:
        """Wait until it is known whether MuseTalk loads at once."""
        await asyncio.to_thread(self._tried.wait)

    def close(self) -> None:
        """Give MuseTalk's memory back for good; its thread does so in a moment."""
        self._closed.set()
        self._lost.set()

    async def _ready_for(self, name: str) -> MuseTalkAvatar:
        """MuseTalk, able to move this prepared avatar."""
        avatar = await asyncio.to_thread(self._avatars.get, name)
        musetalk = self._loaded()
        if musetalk.fits(avatar):
            self._unfit.pop(name, None)
            return musetalk
        wrong = wrong_version(avatar, musetalk.version)
        if name not in self._unfit:
            _log.warning("%s", wrong.sentence)
        self._unfit[name] = time.monotonic()
        raise wrong

    def _lately_unfit(self) -> list[str]:
        since_s = time.monotonic() - UNFIT_TOLD_S
        return sorted(name for name, asked_s in self._unfit.items() if asked_s > since_s)

    def _loaded(self) -> MuseTalkAvatar:
        if self._musetalk is None:
            raise EngineUnavailable(
                self._problem or "MuseTalk is still loading. Its state is in /health."
            )
        return self._musetalk

    def _may_stay(self, error: EngineError) -> bool:
        """Whether MuseTalk is as well after this as before it."""
        if not isinstance(error, OutOfMemory):
            return isinstance(error, UnknownAvatar | UnfitAvatar | EngineBusy)
        before, now_s = self._lack, time.monotonic()
        if before is not None and before[0] is error:  # of one batch all are told
            return True
        self._lack = error, now_s
        return before is None or now_s - before[1] > FORGIVEN_S

    def _lose(self, musetalk: MuseTalkAvatar, error: EngineError) -> None:
        """Its thread gives its memory back, and loads it again later."""
        if isinstance(error, DeviceBroken):
            self._broken = error.sentence
        if self._musetalk is musetalk:  # the first to notice
            self._note(error.sentence)
            self._musetalk = None
            self._lost.set()

    # ── in a thread ───────────────────────────────────────────────────────────────────────────

    def _keep_loaded(self) -> None:
        rest_s = REST_S
        while not self._closed.is_set():
            musetalk, began_s = self._attempt(), time.monotonic()
            fast = musetalk is not None and self._use(musetalk)
            self._tried.set()
            if self._broken or (musetalk and not fast and not musetalk.on_gpu):
                return  # as it will be for as long as this process lives
            if musetalk is None:
                self._closed.wait(LOAD_AGAIN_S)
            elif not fast:
                self._closed.wait(LONGEST_REST_S)
            else:
                self._lost.clear()
                rest_s = REST_S if time.monotonic() - began_s > WELL_S else rest_s
                self._closed.wait(rest_s)
                rest_s = min(2 * rest_s, LONGEST_REST_S)

    def _use(self, musetalk: MuseTalkAvatar) -> bool:
        """Until it is lost; its memory is then given back. False: it was too slow, and not used."""
        try:
            if self._is_too_slow(musetalk):
                return False
            self._problem, self._musetalk = None, musetalk
            self._tried.set()
            _log.info("%s", _how(musetalk))
            self._lost.wait()
            return True
        finally:
            self._musetalk = None
            self._give_back(musetalk)

    def _give_back(self, musetalk: MuseTalkAvatar) -> None:
        try:
            musetalk.close()
        except Exception:  # this thread must live: nobody else loads it again
            _log.exception("MuseTalk's memory could not be given back")

    def _attempt(self) -> MuseTalkAvatar | None:
        try:
            return self._load()
        except EngineError as error:
            if isinstance(error, DeviceBroken):
                self._broken = error.sentence
            self._note(error.sentence)
        except Exception:  # whatever it is, the drawn faces go on
            if not self._tried.is_set():
                _log.exception("MuseTalk could not be loaded")
            self._note("MuseTalk could not be loaded; the log of `avatar` says why.")
        return None

    def _is_too_slow(self, musetalk: MuseTalkAvatar) -> bool:
        if not self._fallback or musetalk.pace <= SLOWEST_PACE:
            return False
        remedy = "Use a GPU, choose its `tiny` decoder,"
        if musetalk.on_gpu:
            remedy = (
                f"It is tried again every {LONGEST_REST_S / 60:.0f} minutes. Have less work beside"
                " it on the GPU, choose its `tiny` decoder,"
            )
        self._note(
            f"MuseTalk needs {musetalk.pace:.1f} s for a second of face on {musetalk.place}."
            f" {remedy} or set `engine: musetalk` to see it anyway."
        )
        return True

    def _note(self, problem: str) -> None:
        if problem != self._problem:  # else the log would say it again and again
            _log.warning("%s", problem)
        self._problem = problem


def _how(musetalk: MuseTalkAvatar) -> str:
    working = f"MuseTalk {musetalk.version} moves prepared avatars on {musetalk.place}"
    batches = musetalk.statistics
    if not batches.batches:
        return f"{working}; {musetalk.pace:.2f} s of work for a second of face."
    return (
        f"{working}: {batches.batches} batches, of late {batches.frames:.1f} frames each, for"
        f" {batches.sessions:.1f} sessions, after {1000 * batches.waited_s:.0f} ms of waiting."
    )


def _remake(names: Sequence[str], version: str) -> str:
    """What to do for faces of another version; empty when there are none."""
    if not names:
        return ""
    quoted = ", ".join(repr(name) for name in names)
    return (
        f"Add the faces that were made for another MuseTalk than {version}, and so are not moved,"
        f" again under other names: {quoted}."
    )
