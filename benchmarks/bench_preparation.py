"""How long a face takes to be made of a clip, with a stand-in for the model: what is left is the
decoding, following, framing, masks and disk. The control is reading the clip's frames twice."""

import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from benchmarks.measure import median, report
from engines.avatar.musetalk.footage import open_footage
from engines.avatar.musetalk.landmarks import GivenBox
from engines.avatar.musetalk.preparation import AvatarWish, Preparation
from engines.avatar.musetalk.prepared import Latents
from engines.base import FPS, Pixels
from tests.uploads import BOX, clip, person

CLIP_S = 4
ROUNDS = 3


def filmed() -> bytes:
    """A person in the middle of a picture of 720p."""
    wide = []
    for index in range(CLIP_S * FPS):
        frame = np.full((720, 1280, 3), 90, np.uint8)
        frame[:, 280:1000] = cv2.resize(person(index), (720, 720))
        wide.append(frame)
    return clip(wide)


def box() -> tuple[float, float, float, float]:
    """Of the face, as parts of the picture."""
    left, top, right, bottom = BOX
    across = [(280 + 720 * x) / 1280 for x in (left, right)]
    return across[0], top, across[1], bottom


def no_latents(faces: Pixels) -> Latents:
    return np.zeros((len(faces), 8, 32, 32), np.float16)


def made(upload: Path, folder: Path) -> float:
    """Seconds."""
    folder.mkdir()
    maker = Preparation(no_latents, lambda: GivenBox(box()))
    began = time.perf_counter()
    maker.prepare(upload, AvatarWish("Anna", box()), folder, lambda part: None)
    return time.perf_counter() - began


def read_twice(upload: Path) -> float:
    began = time.perf_counter()
    for _ in range(2):
        assert sum(1 for _ in open_footage(upload).frames()) == CLIP_S * FPS
    return time.perf_counter() - began


def main() -> None:
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as home:
        upload = Path(home) / "clip.mp4"
        upload.write_bytes(filmed())
        rounds = [(made(upload, Path(home) / f"{i}"), read_twice(upload)) for i in range(ROUNDS)]
    making, reading = (median(values) for values in zip(*rounds, strict=True))
    report(
        "preparation",
        making / CLIP_S,
        "s per clip second",
        control=reading / CLIP_S,
        goal="ratio ≤ 3",
    )


if __name__ == "__main__":
    main()
