"""What it brings that the faces of all sessions are made in the same batches, and how long who asks
while others speak waits for the first frame.

Twice: with networks of all layers and few channels, which run everywhere, but gain nothing by large
batches on a processor; and with none at all, where a batch takes as long as was published for an
RTX 3090. Each session asks as a live turn does, some frames at a time, the next when it has them.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import cv2
import numpy as np
import torch

from benchmarks.measure import median, report
from engines.avatar.musetalk.batches import Array, Rendering
from engines.avatar.musetalk.engine import MuseTalkAvatar, short_sizes
from engines.avatar.musetalk.features import Chunks
from engines.avatar.musetalk.model import MuseTalkModel, MuseTalkOptions
from engines.avatar.musetalk.prepared import AvatarCache
from engines.avatar.musetalk.scheduler import Scheduler
from engines.avatar.musetalk.speech import Stretch
from engines.base import FPS, HEARING_RATE_HZ, Audio, Cue
from tests.engines.avatar.musetalk.avatars import prepared
from tests.tiny_musetalk import make_tiny_musetalk

SESSIONS = 4
STRETCHES = 2
FRAMES = 5
ROUNDS = 5
FRAME = HEARING_RATE_HZ // FPS

BATCH_S = {1: 0.042, 2: 0.058, 4: 0.089, 8: 0.167, 16: 0.317}
"""Of an RTX 3090 in half precision, without graphs; that of 2 lies between its neighbours."""

COLOURS = ((20, 40, 220), (220, 60, 20), (30, 200, 40), (180, 180, 30))


def speech() -> Audio:
    """Without a pause, so that no frame is saved."""
    at = np.arange((STRETCHES * FRAMES + FPS) * FRAME) / HEARING_RATE_HZ
    hum = np.sin(2 * np.pi * (120 + 60 * at) * at) + 0.5 * np.sin(2 * np.pi * 700 * at)
    return Audio((6000 * hum).astype(np.int16), HEARING_RATE_HZ)


SPEECH = speech()


async def turn(avatar: MuseTalkAvatar, session: int, stretches: int = STRETCHES) -> float:
    """Seconds until the first frame."""
    began_s, first_s = time.perf_counter(), 0.0
    for number in range(stretches):
        begin = number * FRAMES
        cue = Cue(f"face {session}", begin, begin * FRAME, FRAMES)
        async for _ in avatar.animate(SPEECH, cue):
            first_s = first_s or time.perf_counter() - began_s
    return first_s


async def one_by_one(avatar: MuseTalkAvatar) -> None:
    for session in range(SESSIONS):
        await turn(avatar, session)


async def together(avatar: MuseTalkAvatar) -> None:
    await asyncio.gather(*(turn(avatar, session) for session in range(SESSIONS)))


async def rate(
    avatar: MuseTalkAvatar, run: Callable[[MuseTalkAvatar], Awaitable[None]]
) -> tuple[float, float]:
    """Frames a second of all sessions, and frames in a batch."""
    before, began_s = avatar.statistics.batches, time.perf_counter()
    await run(avatar)
    frames = SESSIONS * STRETCHES * FRAMES
    spent_s = time.perf_counter() - began_s
    return frames / spent_s, frames / (avatar.statistics.batches - before)


async def first_ms(avatar: MuseTalkAvatar, others: int) -> float:
    """Milliseconds until the first frame of one who begins while others speak."""
    async with asyncio.TaskGroup() as tasks:
        speaking = [tasks.create_task(turn(avatar, session + 1)) for session in range(others)]
        await asyncio.sleep(0.3 if others else 0)
        first_s = await turn(avatar, 0, stretches=1)
        for task in speaking:
            task.cancel()
    return 1000 * first_s


async def measure(avatar: MuseTalkAvatar, name: str) -> None:
    await together(avatar)  # warm
    rounds = [(await rate(avatar, one_by_one), await rate(avatar, together)) for _ in range(ROUNDS)]
    single, batched = (median([one[which][0] for one in rounds]) for which in (0, 1))
    report(f"{name}_4_together", batched, "frames/s", control=single, goal="ratio ≥ 1.2 on a GPU")
    small, large = (median([one[which][1] for one in rounds]) for which in (0, 1))
    report(f"{name}_batch", large, "frames", control=small, goal="ratio ≥ 1.5")
    alone = median([await first_ms(avatar, 0) for _ in range(ROUNDS)])
    beside = median([await first_ms(avatar, SESSIONS - 1) for _ in range(ROUNDS)])
    report(f"{name}_first_frame_beside_3", beside, "ms", control=alone, goal="ratio ≤ 4 on a GPU")


class Clocked:
    """No networks: batches that take as long as on a GPU, and show black."""

    version = "v1.5"
    sizes = tuple(BATCH_S)

    def chunks(self, stretches: Sequence[Stretch]) -> list[Chunks]:
        return [np.zeros((stretch.frames, 50, 384), np.float16) for stretch in stretches]

    def start(self, latents: Array, chunks: Array) -> Rendering:
        time.sleep(next(batch_s for size, batch_s in BATCH_S.items() if size >= len(latents)))
        pixels = torch.zeros(len(latents), 160, 256, 3, dtype=torch.uint8)
        return Rendering(pixels, torch.ones(len(latents), dtype=torch.bool), None)


def main() -> None:
    torch.set_num_threads(1)  # the networks are too small for more
    cv2.setNumThreads(1)
    with TemporaryDirectory() as home:
        models, faces = make_tiny_musetalk(Path(home) / "models"), Path(home) / "avatars"
        options, avatars = MuseTalkOptions(device="cpu", decoder="tiny"), AvatarCache(faces, 10**9)
        avatar = MuseTalkAvatar.load(models, options, avatars)
        for session, colour in enumerate(COLOURS):
            prepared(faces, f"face {session}", colour, avatar.latents)
        asyncio.run(measure(avatar, "musetalk_tiny"))
        avatar.close()
        clocked = cast(MuseTalkModel, Clocked())
        scheduler = Scheduler(clocked, sizes=short_sizes(BATCH_S))
        asyncio.run(measure(MuseTalkAvatar(clocked, avatars, scheduler), "musetalk_clocked"))
        scheduler.close()


if __name__ == "__main__":
    main()
