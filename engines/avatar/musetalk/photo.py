"""A photo from a stranger: its kind and size told from its first bytes, then unpacked.

The size is checked before anything is unpacked: a PNG of 64 000 x 64 000 points is a few kilobytes
of file and twelve gigabytes of picture.
"""

import struct

import cv2
import numpy as np

from engines.base import Pixels
from engines.errors import FootageTooLarge, UnusableFootage

LIMIT_BYTES = 32_000_000
"""A photo of a good camera as JPEG has 5 to 25 MB."""

LIMIT_PIXELS = 4096 * 4096
"""50 MB when unpacked; many times more than the 512 × 512 that are shown."""

JPEG_LIMIT_PIXELS = 4 * LIMIT_PIXELS
"""A JPEG can be unpacked at half its width and height, and never be larger in memory."""

LONGEST_SIDE_PX = 1920
"""What is looked at: a head fills about a third of a picture, and 512 pixels are shown of it."""

END_OF_JPEG = b"\xff\xd9"
START_OF_SCAN = 0xDA
FRAME_HEADERS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""JPEG's markers that are followed by the size."""


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
    width, height = _size(data)
    jpeg = data[:2] == b"\xff\xd8"
    if min(width, height) < 1 or not _is_whole(data):
        raise _damaged()
    if width * height > (JPEG_LIMIT_PIXELS if jpeg else LIMIT_PIXELS):
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


def _size(data: bytes) -> tuple[int, int]:
    """Width and height as the file states them; zeros when it does not."""
    try:
        if data[:4] == b"\x89PNG":
            width, height = struct.unpack_from(">II", data, 16)
            return width, height
        return _webp_size(data) if data[:4] == b"RIFF" else _jpeg_size(data)
    except struct.error:  # it ends before
        return 0, 0


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


def _jpeg_size(data: bytes) -> tuple[int, int]:
    at = 2
    while True:
        mark, marker, length = struct.unpack_from(">BBH", data, at)
        if mark != 0xFF or marker == START_OF_SCAN:
            return 0, 0
        if marker == 0xFF:  # a byte to fill up
            at += 1
        elif marker in FRAME_HEADERS:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        else:
            at += 2 + length


def _is_whole(data: bytes) -> bool:
    """Whether the end is there: the rest would otherwise be grey, without a complaint."""
    if data[:4] == b"\x89PNG":
        return b"IEND" in data[-1024:]
    if data[:4] == b"RIFF":
        return len(data) >= int.from_bytes(data[4:8], "little")
    # Within a scan no marker can stand by chance; before it lies perhaps a thumbnail.
    return END_OF_JPEG in data[data.rfind(bytes((0xFF, START_OF_SCAN))) :]


def _damaged() -> UnusableFootage:
    return UnusableFootage(
        "The photo is damaged or incomplete; please save it again as JPEG, PNG or WebP."
    )
