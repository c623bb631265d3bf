"""Show: the face's mouth as a Serve application."""

import os
import sys
import threading
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Literal

import cv2
from pydantic import Field
from ray.serve import Application
from ray.serve.metrics import Histogram

from deployments.resources import Args, application
from deployments.settings import read_engine_settings
from engines.avatar.choice import BestAvatar, DrawnAvatar, StatedAvatar
from engines.avatar.musetalk.engine import MuseTalkAvatar
from engines.avatar.musetalk.framing import Version
from engines.avatar.musetalk.prepared import AvatarCache, Latents
from engines.avatar.musetalk.scheduler import OnBatch
from engines.avatar.viseme.portrait import FACES, portrait
from engines.base import Audio, Cue, EngineState, Patch, Pixels
from engines.errors import EngineUnavailable
from engines.stub import StubAvatar

LOWEST_PRIORITY = 19
"""Niceness: gives way to everyone."""

WHOLE = [number + 0.5 for number in range(17)]
"""Boundaries between the whole numbers up to 16, the largest batch: Ray reckons a histogram's sum
from the middles of its buckets, which these numbers then are."""

NO_FOLDER = "No MuseTalk is configured: set MUSETALK_MODELS to the folder with its models."


class AvatarArgs(Args):
    engine: Literal["auto", "musetalk", "drawn", "stub"] = "auto"
    """`auto`: MuseTalk when `models` loads and keeps up, else the embedded drawn faces. `musetalk`:
    nothing stands in for it, at whatever pace. `gpu` is also the share of the GPU's memory that it
    may take."""
    models: str | None = None
    """Folder as it is published. Overrides MUSETALK_MODELS for this application; the gateway looks
    for `dwpose/` where MUSETALK_MODELS says."""
    decoder: Literal["kl", "compiled", "tiny"] = "kl"
    """`compiled` is faster and takes minutes to start; `tiny` is less sharp, for a quarter of
    the work."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    avatars_gb: float = Field(default=4.0, gt=0)
    """Files of prepared avatars that a replica keeps mapped: some 0.8 MB a frame."""
    stub: StubAvatar = StubAvatar()


class _StubbedAvatar:
    def __init__(self, stub: StubAvatar) -> None:
        self._stub = stub

    async def animate(self, speech: Audio, cue: Cue) -> AsyncGenerator[Patch, None]:
        async for patch in self._stub.animate(speech, cue):
            yield patch

    async def state(self) -> EngineState:
        return EngineState("stub", "ready")

    async def face(self, name: str) -> str:
        return name

    async def version(self) -> Version:
        raise EngineUnavailable("The stub prepares no avatars.")

    async def latents(self, faces: Pixels) -> Latents:
        raise EngineUnavailable("The stub prepares no avatars.")


def choose(args: AvatarArgs, on_batch: OnBatch | None = None) -> StatedAvatar:
    if args.engine == "stub":
        return _StubbedAvatar(args.stub)
    cv2.setNumThreads(1)  # small pictures: a pool of threads costs more than it brings
    threading.Thread(target=_draw_faces, name="draw-faces", daemon=True).start()
    settings = read_engine_settings()
    avatars = AvatarCache(settings.avatars_folder, int(args.avatars_gb * 1e9))
    models = args.models or settings.musetalk_models
    if args.engine == "drawn" or not (models or args.engine == "musetalk"):
        return DrawnAvatar(avatars)
    return BestAvatar(
        lambda: _load(args, models, avatars, on_batch), avatars, fallback=args.engine == "auto"
    )


def _load(
    args: AvatarArgs, models: str, avatars: AvatarCache, on_batch: OnBatch | None
) -> MuseTalkAvatar:
    """Raises `EngineUnavailable`."""
    if not models:
        raise EngineUnavailable(NO_FOLDER)
    try:
        from engines.avatar.musetalk.model import MuseTalkOptions
    except ImportError as error:
        raise EngineUnavailable(
            f"{error.name or 'PyTorch'} is missing, which MuseTalk needs; install it with `pip"
            " install -e .[gpu]`."
        ) from error
    options = MuseTalkOptions(
        decoder=args.decoder, device=args.device, memory_fraction=args.gpu or None
    )
    return MuseTalkAvatar.load(Path(models), options, avatars, on_batch)


def _draw_faces() -> None:
    """So that no learner waits half a second for a face; but at the lowest priority, because when a
    replica starts, all others start as well."""
    if sys.platform == "linux":  # where a thread has a priority of its own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST_PRIORITY)
    for face in FACES:
        portrait(face)


class AvatarDeployment:
    """Faces of all sessions come here; MuseTalk gathers their frames into batches itself, because
    Serve's own batching of streams goes in lock-step."""

    def __init__(self, args: AvatarArgs) -> None:
        self._frames = Histogram(
            "avatar_batch_frames",
            description="Frames that the networks of the avatar made at once.",
            boundaries=WHOLE,
        )
        self._sessions = Histogram(
            "avatar_batch_sessions",
            description="Sessions that the frames of a batch were of.",
            boundaries=WHOLE,
        )
        self._waited_ms = Histogram(
            "avatar_batch_waited_ms",
            description="How long the oldest request of a batch had waited for it, in ms.",
            boundaries=[5, 10, 20, 40, 80, 160, 320, 640],
        )
        self._avatar = choose(args, self._note_batch)

    async def animate(self, speech: Audio, cue: Cue) -> AsyncIterator[Patch]:
        async with aclosing(self._avatar.animate(speech, cue)) as patches:
            async for patch in patches:
                yield patch

    async def face(self, name: str) -> str:
        """The face to be shown for this name now. Raises `UnknownAvatar`."""
        return await self._avatar.face(name)

    async def version(self) -> Version:
        """Of MuseTalk, for which avatars are prepared now. Raises `EngineUnavailable`."""
        return await self._avatar.version()

    async def latents(self, faces: Pixels) -> Latents:
        """What a prepared avatar holds of its faces: uint8 BGR [n, 256, 256, 3] → float16
        [n, 8, 32, 32]. Raises `EngineUnavailable`."""
        return await self._avatar.latents(faces)

    async def state(self) -> EngineState:
        return await self._avatar.state()

    async def check_health(self) -> None:
        """Raises when this process cannot use its GPU any more: Serve then replaces the replica."""
        if isinstance(self._avatar, BestAvatar):
            self._avatar.check()

    def _note_batch(self, frames: int, sessions: int, waited_s: float) -> None:
        self._frames.observe(frames)
        self._sessions.observe(sessions)
        self._waited_ms.observe(1000 * waited_s)


def build(args: AvatarArgs) -> Application:
    return application("Avatar", AvatarDeployment, args, gpu=args.gpu)
