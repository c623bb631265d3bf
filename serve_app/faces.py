"""The faces that a tutor may have: drawn ones, and those made of a photo or a clip."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterator
from pathlib import Path
from typing import Protocol

from engines.avatar.choice import is_drawn, stand_in
from engines.avatar.musetalk.prepared import FACTS, AvatarCache
from engines.avatar.viseme.portrait import FACES, portrait
from engines.base import Backdrop
from engines.errors import EngineError, UnknownAvatar
from wire.names import is_given_name

logger = logging.getLogger(__name__)

MAPPED_BYTES = 4 * 10**9
"""Files of prepared faces that the gateway keeps mapped; what is not shown takes no memory."""

ASK_LIMIT_S = 2.0
"""A learner does not wait longer for the avatar application to say which face it can move."""

Shown = Callable[[str], Awaitable[str]]
"""The name of a face → that of the face to be shown for it now."""


class FaceNames(Collection[str]):
    """Names of all faces there are; each look is one at the disk."""

    def __init__(self, folder: Path) -> None:
        """`folder`: of the prepared ones."""
        self._folder = folder

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        return is_drawn(name) or (is_given_name(name) and (self._folder / name / FACTS).is_file())

    def __iter__(self) -> Iterator[str]:
        prepared = sorted(file.parent.name for file in self._folder.glob(f"[!.]*/{FACTS}"))
        return iter((*FACES, *prepared))

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Mover(Protocol):
    """Who can tell whether a prepared face can be moved now."""

    async def face(self, name: str) -> str: ...


class Wardrobe:
    """Faces as they are shown."""

    def __init__(self, folder: Path, mover: Mover) -> None:
        self._prepared = AvatarCache(folder, MAPPED_BYTES)
        self._mover = mover

    def backdrop(self, name: str) -> Backdrop:
        """The frames of a face. The first time it blocks for half a second. Raises
        `UnknownAvatar`."""
        return portrait(name) if is_drawn(name) else self._prepared.get(name)

    async def shown(self, name: str) -> str:
        """Which face to show for this name now: a drawn one stands in for a face that is gone, or
        that cannot be moved for now."""
        if is_drawn(name):
            return name
        try:
            await asyncio.to_thread(self._prepared.get, name)
            async with asyncio.timeout(ASK_LIMIT_S):
                return await self._mover.face(name)
        except UnknownAvatar as gone:
            logger.warning("%s %r is shown instead.", gone.sentence, stand_in(name))
            return stand_in(name)
        except (EngineError, TimeoutError):
            return name  # it is there, and nobody could move another one, either
