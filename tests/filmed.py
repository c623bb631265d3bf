"""The application `avatar` as it is, but for an album of all that it hands out: what a film is made
of before it is encoded can be seen nowhere else."""

import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import ray
from ray.serve import Application

from deployments.avatar import AvatarArgs, AvatarDeployment
from deployments.resources import application
from engines.base import Audio, Cue, Patch, Pixels

ALBUM = "TUTOR_TEST_ALBUM"
"""The folder."""


class FilmedAvatar(AvatarDeployment):
    def __init__(self, args: AvatarArgs) -> None:
        super().__init__(args)
        self._album = Path(os.environ[ALBUM])
        nodes: Any = ray.nodes()  # type: ignore[no-untyped-call]
        ports = [node["MetricsExportPort"] for node in nodes]
        (self._album / "metrics.json").write_text(json.dumps(ports))

    async def animate(self, speech: Audio, cue: Cue) -> AsyncIterator[Patch]:
        missing = cue.frames
        stream = cast("Any", super().animate(speech, cue))
        try:
            async with aclosing(stream) as patches:
                async for patch in patches:
                    missing -= len(patch.pixels)
                    self._keep(cue.avatar, patch)
                    yield patch
        finally:
            self._note_end(cue.avatar, missing)

    def _keep(self, avatar: str, patch: Patch) -> None:
        file = self._album / f"{avatar}-{time.monotonic_ns()}.npz"
        place = np.array([patch.first_frame, patch.x, patch.y])
        np.savez(file.with_suffix(".part.npz"), place=place, pixels=patch.pixels)
        file.with_suffix(".part.npz").rename(file)

    def _note_end(self, avatar: str, missing: int) -> None:
        """What of a request was not handed out, and what still waits in the batches then."""
        musetalk = getattr(self._avatar, "_musetalk", None)
        waiting = musetalk._scheduler.waiting if musetalk is not None else -1
        with (self._album / "ends").open("a") as ends:
            ends.write(f"{avatar} {missing} {waiting}\n")


def build(args: AvatarArgs) -> Application:
    return application("Avatar", FilmedAvatar, args, gpu=args.gpu)


@dataclass(frozen=True)
class Kept:
    """A frame's mouth as it left the application."""

    frame: int
    x: int
    y: int
    pixels: Pixels


@dataclass(frozen=True)
class End:
    """How a request ended."""

    avatar: str
    missing: int
    """Frames that were not handed out."""
    waiting: int
    """Frames of all sessions that were in no batch at that moment."""


@dataclass(frozen=True)
class Album:
    folder: Path

    def frames(self, avatar: str) -> list[Kept]:
        """Of one avatar, in the order in which they were handed out."""
        files = sorted(self.folder.glob(f"{avatar}-*[0-9].npz"), key=lambda file: file.stem)
        kept = []
        for file in files:
            with np.load(file) as page:
                first, x, y = page["place"].tolist()
                pixels = page["pixels"]
            kept += [Kept(first + i, x, y, mouth) for i, mouth in enumerate(pixels)]
        return kept

    def ends(self) -> list[End]:
        file = self.folder / "ends"
        lines = file.read_text().splitlines() if file.exists() else []
        ends = [line.split() for line in lines]
        return [End(name, int(missing), int(waiting)) for name, missing, waiting in ends]

    def metrics_ports(self) -> list[int]:
        ports: list[int] = json.loads((self.folder / "metrics.json").read_text())
        return ports

    def empty(self) -> None:
        for file in self.folder.glob("*.npz"):
            file.unlink()
        (self.folder / "ends").unlink(missing_ok=True)
