"""Show: the face's mouth as a Serve application."""

import os
import sys
import threading
from collections.abc import AsyncIterator
from typing import Literal

import cv2
from ray.serve import Application

from deployments.resources import Args, application
from engines.avatar.viseme.engine import VisemeAvatar
from engines.avatar.viseme.portrait import FACES, portrait
from engines.base import Audio, Avatar, Cue, EngineState, Patch
from engines.stub import StubAvatar

LOWEST_PRIORITY = 19
"""Niceness: gives way to everyone."""


class AvatarArgs(Args):
    engine: Literal["auto", "drawn", "stub"] = "auto"
    """`auto`: the embedded drawn faces."""
    stub: StubAvatar = StubAvatar()


def choose(args: AvatarArgs) -> tuple[Avatar, EngineState]:
    if args.engine == "stub":
        return args.stub, EngineState("stub", "ready")
    cv2.setNumThreads(1)  # small pictures: a pool of threads costs more than it brings
    threading.Thread(target=_draw_faces, name="draw-faces", daemon=True).start()
    return VisemeAvatar(), EngineState("drawn", "ready", "The embedded drawn faces are shown.")


def _draw_faces() -> None:
    """So that no learner waits half a second for a face; but at the lowest priority, because when a
    replica starts, all others start as well."""
    if sys.platform == "linux":  # where a thread has a priority of its own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST_PRIORITY)
    for face in FACES:
        portrait(face)


class AvatarDeployment:
    def __init__(self, args: AvatarArgs) -> None:
        self._avatar, self._state = choose(args)

    async def animate(self, speech: Audio, cue: Cue) -> AsyncIterator[Patch]:
        async for patch in self._avatar.animate(speech, cue):
            yield patch

    async def state(self) -> EngineState:
        return self._state


def build(args: AvatarArgs) -> Application:
    return application("Avatar", AvatarDeployment, args, gpu=args.gpu)
