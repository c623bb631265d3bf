"""What somebody uploaded to be a face: a photo, or a clip as frames at 25 a second.

The bytes come from strangers. The kind is told by the first bytes and never by a name; only these
containers and decoders can be reached; sizes are checked before they are unpacked and the decoder
is forbidden larger ones; decoding stops at the limit. A clip is never in memory as a whole: it is
decoded again for each look at it.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Literal, Never

import av
import numpy as np
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import Interpolation
from av.video.stream import VideoStream

from engines.avatar.musetalk.photo import LONGEST_SIDE_PX, is_photo, unpacked_photo
from engines.base import FPS, Pixels
from engines.errors import FootageTooLarge, UnusableFootage
from engines.mp4 import check_index

ACCEPTED = "photos as JPEG, PNG or WebP and clips as MP4, MOV, WebM or MKV"

LIMIT_BYTES = 100_000_000
"""20 s of a phone at 40 Mbit/s."""

LIMIT_S = 20.0
"""What is used of a clip. It goes to and fro: after 40 s the face moves as before."""

LIMIT_FRAMES = round(LIMIT_S * FPS)

LEAST_S = 1.0
"""A shorter clip swings to and fro like a toy."""

LIMIT_PIXELS = 4096 * 2304
"""Of one frame: 4K, as phones film it."""

LIMIT_SOURCE_FRAMES = round((LIMIT_S + 1) * 120)
"""Nobody films a face at more than 120 frames a second; only a file made to be slow has more."""

PATIENCE_S = 120.0
"""20 s of 4K take half of that on one slow core."""

ROUNDING_S = 0.002
"""Some containers count in milliseconds."""

OPENING_S = 15.0
"""Opening takes milliseconds. FFmpeg compares each remark in a file with all others, though: for
hours if there are a million."""

LIMIT_PACKETS = 2_000_000
"""40 s of raw sound, of which cameras count each sample; FFmpeg keeps 48 MB at most."""

FRUITLESS_PACKETS = 500
"""In a row without a picture. Only a broken file has more."""

LEAST_SIDE_PX = 128

DECODERS = "h264,hevc,vp8,libvpx,vp9,libvpx-vp9,av1,libdav1d,mpeg4,mjpeg,prores"

OPTIONS = {
    "codec_whitelist": DECODERS,
    "max_streams": "16",
    "ignore_editlist": "1",
    "max_pixels": str(LIMIT_PIXELS),
}

EXACT = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
"""Without the last two, everything is darker and greener by up to five of 255."""

PICTURES_IN_MP4 = (b"heic", b"heix", b"mif1", b"msf1", b"avif", b"hevc")
"""Brands of files that are photos inside the container of a film."""


@dataclass(frozen=True, slots=True)
class Footage:
    """A checked upload; the file must stay as long as this is used."""

    path: Path
    kind: Literal["photo", "clip"]
    seconds: float = 0.0
    """As the file states it; more than is used perhaps, and 0 for a photo."""

    def frames(self) -> Iterator[Pixels]:
        """uint8 BGR [height, width, 3], all of one size, at most `LONGEST_SIDE_PX` long: one of a
        photo, up to `LIMIT_FRAMES` at 25 a second of a clip. Raises `UnusableFootage`."""
        if self.kind == "photo":
            yield unpacked_photo(self.path.read_bytes())
            return
        yield from _clip_frames(self.path)

    def first(self) -> Pixels:
        return next(self.frames())


def open_footage(path: Path) -> Footage:
    """Tell the kind and unpack the first frame, which finds most of what can be wrong. Blocks for
    up to a second; raises `UnusableFootage`."""
    size = path.stat().st_size
    if size > LIMIT_BYTES:
        raise too_many_bytes()
    with path.open("rb") as file:
        photo = is_photo(file.read(12))
    footage = Footage(path, "photo") if photo else Footage(path, "clip", _stated_s(path))
    height, width = footage.first().shape[:2]
    if min(height, width) < LEAST_SIDE_PX:
        raise UnusableFootage(
            f"The picture has only {width} × {height} pixels; a face needs at least"
            f" {LEAST_SIDE_PX} × {LEAST_SIDE_PX}, better 512 × 512."
        )
    return footage


def too_many_bytes() -> FootageTooLarge:
    return FootageTooLarge(
        f"The file is larger than {LIMIT_BYTES / 1e6:.0f} MB; please send up to"
        f" {LIMIT_S:g} s at a lower resolution."
    )


def _container_of(head: bytes) -> str:
    """FFmpeg's name of the container."""
    if not head:
        _refuse("is empty")
    if head[:4] == b"\x1aE\xdf\xa3":
        return "matroska"
    if head[4:8] == b"ftyp":
        if head[8:12] in PICTURES_IN_MP4:
            _refuse("is a HEIC or AVIF picture")
        return "mp4"
    _refuse("is of an unknown kind")


def _stated_s(path: Path) -> float:
    try:
        with _opened(path) as source:
            return LIMIT_S if source.duration is None else source.duration / av.time_base
    except (av.FFmpegError, OSError, ValueError) as error:
        raise UnusableFootage(_unreadable("is damaged")) from error


def _clip_frames(path: Path) -> Iterator[Pixels]:
    count = 0
    shape: tuple[int, ...] | None = None
    try:
        for picture in _at_25_fps(_source(path)):
            shape = shape or picture.shape
            if picture.shape != shape:
                _refuse("changes its size in the middle")
            count += 1
            yield picture
            if count == LIMIT_FRAMES:
                return
    except (av.FFmpegError, OSError, ValueError, MemoryError) as error:
        raise UnusableFootage(_unreadable("is damaged")) from error
    if count < LEAST_S * FPS:
        _refuse(f"is shorter than {LEAST_S:g} s, or broken off")


def _at_25_fps(source: Iterator[tuple[float, Pixels]]) -> Iterator[Pixels]:
    """What is to be seen at 0, 40, 80 … ms: the newest picture of that moment."""
    shown = 0
    last_s = 0.0
    before: Pixels | None = None
    for at_s, picture in source:
        while before is not None and shown / FPS < at_s - ROUNDING_S:
            yield before
            shown += 1
        last_s, before = at_s, picture
    if before is not None and shown / FPS <= last_s + ROUNDING_S:
        yield before


def _source(path: Path) -> Iterator[tuple[float, Pixels]]:
    """The clip's own frames, each with its second, which never goes back."""
    with _opened(path) as source:
        yield from _timed(_decoded(source, _picture_track(source)))


@contextmanager
def _opened(path: Path) -> Iterator[InputContainer]:
    """Raises `av.FFmpegError`, `OSError`, and `ValueError` for a false index."""
    with _Patient(path) as file:
        container = _container_of(file.read(12))
        if container == "mp4":
            with mmap(file.fileno(), 0, access=ACCESS_READ) as data:
                check_index(data, LIMIT_PACKETS)
        file.seek(0)
        file.deadline = time.monotonic() + OPENING_S
        with av.open(
            file, "r", container, OPTIONS, metadata_errors="replace", io_open=_open_nothing
        ) as source:
            if time.monotonic() > file.deadline:
                _refuse("takes too long to open")
            file.deadline = math.inf
            yield source


class _Patient(FileIO):
    """A file that ends at its deadline."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.deadline = math.inf

    def read(self, size: int | None = -1, /) -> bytes:
        if time.monotonic() > self.deadline:
            return b""
        return super().read(-1 if size is None else size)


def _timed(frames: Iterator[av.VideoFrame]) -> Iterator[tuple[float, Pixels]]:
    begin_s: float | None = None
    last_s = 0.0
    for count, frame in enumerate(frames):
        if count == LIMIT_SOURCE_FRAMES:
            _refuse("has more than 120 frames a second")
        at_s = last_s + 1 / FPS if frame.pts is None else float(frame.time)
        begin_s = at_s if begin_s is None else begin_s
        last_s = max(last_s, at_s - begin_s)
        yield last_s, _upright(frame)


def _decoded(source: InputContainer, track: VideoStream) -> Iterator[av.VideoFrame]:
    """Ends early at a packet that never comes; what took too long is refused."""
    spent_s = 0.0
    fruitless = 0
    for packet in source.demux(track):
        began = time.monotonic()
        try:
            frames = track.codec_context.decode(packet)
        except av.InvalidDataError:
            frames = []  # one damaged packet is a flicker, not the end
        spent_s += time.monotonic() - began
        fruitless = 0 if frames else fruitless + 1
        if fruitless > FRUITLESS_PACKETS or spent_s > PATIENCE_S:
            _refuse("takes too long to decode")
        yield from frames


def _picture_track(source: InputContainer) -> VideoStream:
    for track in source.streams.video:
        # A picture of an unknown kind has no decoder, whatever the library's types say.
        decoder: VideoCodecContext | None = track.codec_context
        if decoder is not None:
            _restrain(decoder)
            return track
    _refuse("holds no picture")


def _restrain(decoder: VideoCodecContext) -> None:
    if decoder.width * decoder.height > LIMIT_PIXELS:
        raise FootageTooLarge(
            f"The clip has {decoder.width} × {decoder.height} pixels; please send it in 4K or"
            " smaller."
        )
    decoder.options = {"max_pixels": str(LIMIT_PIXELS)}  # the size may change on the way
    decoder.thread_count = 1  # learners share the machine


def _upright(frame: av.VideoFrame) -> Pixels:
    """BGR, turned as the phone was held."""
    scale = min(1.0, LONGEST_SIDE_PX / max(frame.width, frame.height))
    picture = frame.reformat(
        width=max(1, round(frame.width * scale)),
        height=max(1, round(frame.height * scale)),
        format="bgr24",
        interpolation=EXACT,
        threads=1,
    ).to_ndarray()
    turns = round(frame.rotation / 90) % 4  # counter-clockwise
    turned = np.asarray(np.rot90(picture, turns), np.uint8)
    return np.ascontiguousarray(turned)


def _open_nothing(url: str, _flags: int, _options: dict[str, str]) -> Never:
    """Some containers name further files; none of ours is theirs to read."""
    raise PermissionError(url)


def _unreadable(what: str) -> str:
    return f"The file {what}; accepted are {ACCEPTED}."


def _refuse(what: str) -> Never:
    raise UnusableFootage(_unreadable(what))
