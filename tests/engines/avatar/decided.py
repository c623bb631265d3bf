"""A MuseTalk whose loading and failing a test decides."""

import threading
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from engines.avatar.choice import BestAvatar, DrawnAvatar
from engines.avatar.musetalk.engine import MuseTalkAvatar
from engines.avatar.musetalk.prepared import AvatarCache, PreparedAvatar
from engines.avatar.musetalk.scheduler import Statistics
from engines.base import Audio, Cue, Patch
from engines.errors import (
    EngineError,
    EngineUnavailable,
)

HUM = Audio((3000 * np.sin(np.arange(3200) / 10)).astype(np.int16), 16_000)


@dataclass
class MuseTalk:
    """Shows white mouths, and fails before the patch that is named."""

    version = "v1.5"
    fails_at: int | None = None
    error: EngineError = field(default_factory=lambda: EngineUnavailable("Out of memory."))
    pace: float = 0.1
    on_gpu: bool = True
    lasting: bool = False
    """Whether its memory cannot be given back."""
    closed: threading.Event = field(default_factory=threading.Event)
    batches: int = 0

    @property
    def place(self) -> str:
        return "the GPU" if self.on_gpu else "the CPU"

    @property
    def statistics(self) -> Statistics:
        return Statistics(self.batches, 5.25, 1.75, 0.012)

    def fits(self, avatar: PreparedAvatar) -> bool:
        return avatar.facts.version == self.version

    async def animate(self, speech: Audio, cue: Cue) -> AsyncGenerator[Patch, None]:
        for index in range(cue.frames):
            if index == self.fails_at:
                raise self.error
            yield Patch(cue.first_frame + index, 0, 0, np.full((1, 2, 2, 3), 255, np.uint8))

    def latents(self, faces: Any) -> Any:
        return np.zeros((len(faces), 8, 32, 32), np.float16)

    def close(self) -> None:
        self.closed.set()
        if self.lasting:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")


Load = Callable[[], MuseTalkAvatar]


def loads(*made: MuseTalk | Exception) -> Load:
    """One after the other; the last one ever again."""
    left = list(made)

    def load() -> MuseTalkAvatar:
        outcome = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(outcome, Exception):
            raise outcome
        return cast(MuseTalkAvatar, outcome)

    return load


async def best(load: Load, avatars: AvatarCache, *, fallback: bool = True) -> BestAvatar:
    avatar = BestAvatar(load, avatars, fallback=fallback)
    await avatar.loaded()
    return avatar


async def moved(avatar: BestAvatar | DrawnAvatar, name: str, frames: int = 3) -> int:
    return sum([len(patch.pixels) async for patch in avatar.animate(HUM, Cue(name, 0, 0, frames))])
