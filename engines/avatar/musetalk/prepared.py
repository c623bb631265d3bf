"""A prepared face on disk, and in use.

    avatars/Anna/       one folder for each face; it appears and goes as a whole
    ├── avatar.json     what it is, see `Facts`
    ├── frames.npy      uint8 [n, 512, 512, 3] BGR, mouth as filmed
    ├── latents.npy     float16 [n, 8, 32, 32], for the model
    ├── boxes.npy       int32 [n, 4]: left, top, right, bottom of what the model draws
    └── masks.npy       uint8 [n, height, width] of the largest box; that of a frame is upper left

Once there nothing of it changes. All sessions look at the same pages of memory, read-only; the
system drops and reads them again as it needs to.
"""

import json
import os
import shutil
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Final, Literal
from uuid import uuid4

import numpy as np
import numpy.typing as npt

from engines.avatar.musetalk.framing import Frame, Version
from engines.base import FRAME_SIZE_PX, Pixels
from engines.errors import UnknownAvatar

FORMAT: Final = 1

FACTS: Final = "avatar.json"

PIECE_BYTES = 2**20

Latents = npt.NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class Facts:
    """What a prepared face is."""

    name: str
    kind: Literal["photo", "clip"]
    version: Version
    """Of the weights that its boxes are made for."""
    frames: int
    bridged: tuple[int, ...] = ()
    """Frames in which no face was found; theirs lies between their neighbours'."""
    notes: tuple[str, ...] = ()
    """Sentences for the one who made it."""
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class Place:
    """Where the model draws in one frame."""

    box: Frame
    mask: Pixels
    """Alpha of every pixel of the box, uint8 [height, width], read-only."""


class PreparedAvatar:
    """One face; read-only and safe to share between threads and sessions. A `Backdrop`."""

    def __init__(self, facts: Facts, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        self.facts = facts
        self._frames, self._latents = arrays["frames"], arrays["latents"]
        self._boxes, self._masks = arrays["boxes"], arrays["masks"]
        self.nbytes = sum(array.nbytes for array in arrays.values())

    @classmethod
    def open(cls, folder: Path) -> "PreparedAvatar":
        """Maps the files, in a millisecond. Raises `UnknownAvatar`."""
        try:
            facts = read_facts(folder)
            arrays = {
                name: np.lib.format.open_memmap(folder / f"{name}.npy", mode="r")
                for name in _shapes(1)
            }
        except FileNotFoundError as error:
            raise UnknownAvatar(f"There is no avatar {folder.name!r}; see GET /avatars.") from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise _damaged(folder.name) from error
        for name, (dtype, shape) in _shapes(facts.frames).items():
            array = arrays[name]
            right = len(shape) == array.ndim and all(
                want in (None, have) for want, have in zip(shape, array.shape, strict=False)
            )
            if array.dtype != dtype or not right or not facts.frames:
                raise _damaged(folder.name)
        return cls(facts, arrays)

    def mirrored(self, index: int) -> int:
        """Which frame is shown at `index` of the endless cycle, that goes to and fro."""
        last = self.facts.frames - 1
        if last == 0:
            return 0
        step = index % (2 * last)
        return step if step <= last else 2 * last - step

    def frame(self, index: int) -> Pixels:
        """Frame `index` of the endless cycle: uint8 BGR, [512, 512, 3], read-only."""
        return np.asarray(self._frames[self.mirrored(index)])

    def latent(self, index: int) -> Latents:
        """The model's view of that frame: float16 [8, 32, 32], read-only."""
        return np.asarray(self._latents[self.mirrored(index)])

    def place(self, index: int) -> Place:
        """Where the model draws in that frame."""
        number = self.mirrored(index)
        left, top, right, bottom = self._boxes[number].tolist()
        mask = np.asarray(self._masks[number, : bottom - top, : right - left])
        return Place((left, top, right, bottom), mask)


def read_facts(folder: Path) -> Facts:
    """Raises `OSError`, `ValueError`, `KeyError` or `TypeError` when there are none."""
    read = json.loads((folder / FACTS).read_text("utf-8"))
    if read["format"] != FORMAT:
        raise ValueError(f"format {read['format']}")
    facts = Facts(**{**read, "bridged": tuple(read["bridged"]), "notes": tuple(read["notes"])})
    if not isinstance(facts.frames, int):
        raise TypeError("frames")
    return facts


class Canvas:
    """A face in the making, in a folder of its own that nobody looks into."""

    def __init__(self, folder: Path, frames: int, boxes: npt.NDArray[np.int32]) -> None:
        self._folder = folder
        heights, widths = boxes[:, 3] - boxes[:, 1], boxes[:, 2] - boxes[:, 0]
        self.frames = self._array("frames", np.uint8, (frames, FRAME_SIZE_PX, FRAME_SIZE_PX, 3))
        self.latents = self._array("latents", np.float16, (frames, 8, 32, 32))
        self.masks = self._array("masks", np.uint8, (frames, int(heights.max()), int(widths.max())))
        np.save(folder / "boxes.npy", boxes, allow_pickle=False)

    def finish(self, facts: Facts) -> None:
        """Write everything out, the facts last."""
        for array in (self.frames, self.latents, self.masks):
            array.flush()
        (self._folder / FACTS).write_text(json.dumps(asdict(facts), ensure_ascii=False), "utf-8")

    def _array(self, name: str, dtype: Any, shape: tuple[int, ...]) -> "np.memmap[Any, Any]":
        file = self._folder / f"{name}.npy"
        made = np.lib.format.open_memmap(file, mode="w+", dtype=dtype, shape=shape)
        # Take the room now: a full disk must be an error here, and not a signal while drawing.
        with file.open("r+b") as opened:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(opened.fileno(), 0, file.stat().st_size)
            else:  # macOS
                opened.seek(made.offset)
                for begin in range(0, made.nbytes, PIECE_BYTES):
                    opened.write(bytes(min(PIECE_BYTES, made.nbytes - begin)))
        return made


class AvatarCache:
    """The faces of a folder, the least recently used ones let go beyond a budget. What somebody
    still shows stays until he is done with it. Safe to share between threads."""

    def __init__(self, folder: Path, budget_bytes: int) -> None:
        """`budget_bytes`: of what is mapped; the last one used is kept, however large."""
        self._folder = folder
        self._budget = budget_bytes
        self._kept: OrderedDict[str, tuple[tuple[int, int], PreparedAvatar]] = OrderedDict()
        self._lock = Lock()

    def get(self, name: str) -> PreparedAvatar:
        """Blocks for a millisecond. Raises `UnknownAvatar`, also when it was deleted meanwhile."""
        folder = self._folder / name
        if folder.parent != self._folder or name.startswith("."):
            raise UnknownAvatar(f"No avatar can be called {name!r}; see GET /avatars.")
        with self._lock:
            try:
                status = (folder / FACTS).stat()
            except OSError as error:
                self._kept.pop(name, None)
                raise UnknownAvatar(f"There is no avatar {name!r}; see GET /avatars.") from error
            made = (status.st_ino, status.st_mtime_ns)
            known = self._kept.get(name)
            if known is None or known[0] != made:
                known = self._kept[name] = (made, PreparedAvatar.open(folder))
            self._kept.move_to_end(name)
            self._let_go()
            return known[1]

    @property
    def names(self) -> tuple[str, ...]:
        """Those that are kept, the least recently used one first."""
        return tuple(self._kept)

    def _let_go(self) -> None:
        kept = sum(avatar.nbytes for _, avatar in self._kept.values())
        while kept > self._budget and len(self._kept) > 1:
            _, (_, avatar) = self._kept.popitem(last=False)
            kept -= avatar.nbytes


def discard(folder: Path) -> None:
    """Remove a face as a whole. Raises `OSError` when there is none."""
    gone = folder.parent / f".{uuid4().hex}"
    folder.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def _shapes(frames: int) -> dict[str, tuple[type, tuple[int | None, ...]]]:
    return {
        "frames": (np.uint8, (frames, FRAME_SIZE_PX, FRAME_SIZE_PX, 3)),
        "latents": (np.float16, (frames, 8, 32, 32)),
        "boxes": (np.int32, (frames, 4)),
        "masks": (np.uint8, (frames, None, None)),
    }


def _damaged(name: str) -> UnknownAvatar:
    return UnknownAvatar(f"The avatar {name!r} is damaged. Delete it and add it again.")
