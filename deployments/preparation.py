"""Making a face beside the gateway, with the model of the avatar application."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from deployments.remote import RemoteAvatar
from engines.avatar.musetalk.dwpose import FILE, DwPose
from engines.avatar.musetalk.preparation import AvatarWish, Preparation, Progress
from engines.avatar.musetalk.prepared import Facts, Latents
from engines.base import Pixels
from engines.errors import EngineTimeout

ANSWER_LIMIT_S = 120.0
"""One face takes two cores some 25 s by its arithmetic, and may wait for one that was given up."""

T = TypeVar("T")


class RemotePreparation:
    """A `Preparer`: pictures are read here, and only faces go to the model, 0.2 MB at a time."""

    def __init__(self, avatar: RemoteAvatar, models: Path) -> None:
        """To be made in the event loop that the calls are to run on. `models`: MuseTalk's folder,
        of which this process needs `dwpose/` alone."""
        self._avatar = avatar
        self._landmarks = models / "dwpose" / FILE
        self._loop = asyncio.get_running_loop()

    def prepare(self, upload: Path, wish: AvatarWish, folder: Path, progress: Progress) -> Facts:
        """Fill the empty folder. Blocks; raises `EngineError`, and whatever `progress` raises."""
        version = self._answer(self._avatar.version())
        preparation = Preparation(self._latents, lambda: DwPose(self._landmarks), version)
        return preparation.prepare(upload, wish, folder, progress)

    def _latents(self, faces: Pixels) -> Latents:
        return self._answer(self._avatar.latents(faces))

    def _answer(self, call: Coroutine[Any, Any, T]) -> T:
        answer = asyncio.run_coroutine_threadsafe(call, self._loop)
        try:
            return answer.result(ANSWER_LIMIT_S)
        except TimeoutError as late:
            answer.cancel()
            raise EngineTimeout("The avatar's model did not answer in time. Try again.") from late
