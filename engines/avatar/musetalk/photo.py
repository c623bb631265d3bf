"""A photo from a stranger: its kind and size told from its first bytes, then unpacked.

The size is checked before anything is unpacked: a PNG of 64 000 x 64 000 points is a few kilobytes
of file and twelve gigabytes of picture.
"""

import re
import struct
from dataclasses import dataclass, replace

import cv2
import numpy as np

from engines.base import Pixels
from engines.errors import FootageTooLarge, UnusableFootage

LIMIT_BYTES = 32_000_000
"""A photo of a good camera as JPEG has 5 to 25 MB."""

LIMIT_PIXELS = 4096 * 4096
"""50 MB when unpacked; many times more than the 512 × 512 that are shown."""

JPEG_LIMIT_PIXELS = 4 * LIMIT_PIXELS
"""A JPEG can be unpacked at half its width and height, and never be larger in memory: unless it is
progressive, or has a scan for each colour. Then all of it is kept, in six bytes a pixel."""

LIMIT_SCANS = 100
"""Of a JPEG. Progressive ones have about ten; each goes over the whole picture again."""

LIMIT_SEGMENTS = 2_000
"""Of a JPEG: 500 may belong to what is told about the picture, 64 kB in each."""

LONGEST_SIDE_PX = 1920
"""What is looked at: a head fills about a third of a picture, and 512 pixels are shown of it."""

MARKER = re.compile(rb"\xff[\xc0-\xcf\xd9-\xfe]")
"""JPEG's, but for those that begin each part of a scan and those that nobody may use. Within a scan
none of them can stand by chance."""

PIECE_BYTES = 2**20

END_OF_JPEG = 0xD9
START_OF_SCAN = 0xDA
FRAME_HEADERS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""JPEG's markers that are followed by the size."""

AT_ONCE = {0xC0, 0xC1}
"""Those of pictures that can be unpacked line by line."""


@dataclass(frozen=True, slots=True)
class _Header:
    """A photo as its file states it; zeros when it does not."""

    width: int = 0
    height: int = 0
    whole: bool = False
    """The end is there."""
    at_once: bool = False
    """A JPEG that is unpacked line by line."""
    colours: int = 0
    scans: int = 0


def is_photo(head: bytes) -> bool:
    """Whether a file that begins with these 12 bytes is a JPEG, PNG or WebP."""
    return (
        head[:3] == b"\xff\xd8\xff"
        or head[:8] == b"\x89PNG\r\n\x1a\n"
        or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")
    )


def unpacked_photo(data: bytes) -> Pixels:
    """The photo upright, as BGR, at most `LONGEST_SIDE_PX` long. Raises `UnusableFootage`."""
    if len(data) > LIMIT_BYTES:
        raise FootageTooLarge(
            f"The photo is larger than {LIMIT_BYTES / 1e6:.0f} MB; please send a smaller one."
        )
    header = _header(data)
    width, height = header.width, header.height
    if min(width, height) < 1 or not header.whole:
        raise _damaged()
    if header.scans > LIMIT_SCANS:
        raise _too_complicated()
    if width * height > (JPEG_LIMIT_PIXELS if header.at_once else LIMIT_PIXELS):
        raise FootageTooLarge(
            f"The photo has {width} × {height} pixels; please make it smaller than 4096 × 4096."
        )
    halved = width * height > LIMIT_PIXELS
    try:
        picture = cv2.imdecode(
            np.frombuffer(data, np.uint8),
            cv2.IMREAD_REDUCED_COLOR_2 if halved else cv2.IMREAD_COLOR,
        )
    except (cv2.error, MemoryError) as error:
        raise _damaged() from error
    if picture is None:
        raise _damaged()
    return shrunk(np.asarray(picture, np.uint8))


def shrunk(picture: Pixels) -> Pixels:
    height, width = picture.shape[:2]
    scale = LONGEST_SIDE_PX / max(width, height)
    if scale >= 1:
        return picture
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _header(data: bytes) -> _Header:
    try:
        if data[:4] == b"\x89PNG":
            width, height = struct.unpack_from(">II", data, 16)
            return _Header(width, height, whole=b"IEND" in data[-1024:])
        if data[:4] == b"RIFF":
            width, height = _webp_size(data)
            return _Header(width, height, len(data) >= int.from_bytes(data[4:8], "little"))
        return _jpeg_header(data)
    except (struct.error, IndexError):  # it ends before
        return _Header()


def _webp_size(data: bytes) -> tuple[int, int]:
    kind = data[12:16]
    if kind == b"VP8X":
        low_width, high_width, low_height, high_height = struct.unpack_from("<HBHB", data, 24)
        return low_width + (high_width << 16) + 1, low_height + (high_height << 16) + 1
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def _jpeg_header(data: bytes) -> _Header:
    """A thumbnail is inside of a segment, and what follows the end is another file."""
    header = _Header()
    at = 2
    for _ in range(LIMIT_SEGMENTS):
        begin = _after_marker(data, at)
        if begin is None:
            return header  # broken off: the rest would be grey, without a complaint
        marker = data[begin - 1]
        if marker == END_OF_JPEG:
            return replace(header, whole=True)
        (length,) = struct.unpack_from(">H", data, begin)
        if marker in FRAME_HEADERS:
            height, width, colours = struct.unpack_from(">HHB", data, begin + 3)
            at_once = marker in AT_ONCE
            header = replace(header, width=width, height=height, colours=colours, at_once=at_once)
        elif marker == START_OF_SCAN:
            at_once = header.at_once and data[begin + 2] == header.colours
            header = replace(header, scans=header.scans + 1, at_once=at_once)
        at = begin + length
    raise _too_complicated()


def _after_marker(data: bytes, at: int) -> int | None:
    """In pieces: nothing else could run during the 0.3 s in which 32 MB are searched."""
    for begin in range(at, len(data), PIECE_BYTES):
        if mark := MARKER.search(data, begin, begin + PIECE_BYTES + 1):
            return mark.end()
    return None


def _too_complicated() -> UnusableFootage:
    return UnusableFootage(
        "The photo is stored in more parts than any camera makes; please save it again as an"
        " ordinary JPEG, PNG or WebP."
    )


def _damaged() -> UnusableFootage:
    return UnusableFootage(
        "The photo is damaged or incomplete; please save it again as JPEG, PNG or WebP."
    )
