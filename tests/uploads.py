"""Photos and clips as people send them, and as nobody should."""

import struct
import zlib
from collections.abc import Callable, Sequence
from fractions import Fraction
from io import BytesIO
from typing import Any

import av
import cv2
import numpy as np

from engines.avatar.musetalk.footage import EXACT
from engines.avatar.viseme.portrait import portrait
from engines.base import FPS, Pixels

BOX = (0.34, 0.33, 0.66, 0.69)
"""Anna's face in a picture of her, as parts of width and height."""


def person(index: int = 0, name: str = "anna") -> Pixels:
    """A drawn person, 512 × 512."""
    return portrait(name).frame(index)


def photo(picture: Pixels | None = None, kind: str = ".jpg", quality: int = 95) -> bytes:
    picture = person() if picture is None else picture
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if kind == ".jpg" else []
    return bytes(cv2.imencode(kind, picture, options)[1])


def clip(
    pictures: Sequence[Pixels],
    fps: float = FPS,
    container: str = "mp4",
    codec: str = "libx264",
    times: Sequence[Fraction] | None = None,
) -> bytes:
    """`times`: seconds of each picture, when they are not even."""
    file = BytesIO()
    with av.open(file, mode="w", format=container) as output:
        options = {"preset": "ultrafast", "crf": "10"} if codec == "libx264" else {}
        track: Any = output.add_stream(codec, rate=Fraction(fps).limit_denominator(1001))
        track.options = options
        track.bit_rate = 8_000_000
        track.height, track.width = pictures[0].shape[:2]
        track.pix_fmt = "yuv420p"
        track.codec_context.time_base = Fraction(1, 12_000)
        for i, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="bgr24")
            frame = frame.reformat(format="yuv420p", interpolation=EXACT)
            at = times[i] if times is not None else Fraction(i) / Fraction(fps)
            frame.pts, frame.time_base = round(at * 12_000), Fraction(1, 12_000)
            output.mux(track.encode(frame))
        output.mux(track.encode(None))
    return file.getvalue()


def talking(frames: int = 40, fps: float = FPS, sway_px: float = 15.0) -> bytes:
    """A person who sways to and fro in a wide picture of 640 × 512."""
    return clip([scene(i, sway_px) for i in range(frames)], fps)


def scene(index: int, sway_px: float = 15.0) -> Pixels:
    """Frame of `talking`: the person is `64 + sway` pixels from its left."""
    left = 64 + sway(index, sway_px)
    wide = np.full((512, 640, 3), 90, np.uint8)
    wide[:, left : left + 512] = person(index)
    return wide


def sway(index: int, most_px: float = 15.0) -> int:
    return round(most_px * float(np.sin(index / 8)))


def grey(value: int, width: int = 160, height: int = 128) -> Pixels:
    return np.full((height, width, 3), value, np.uint8)


# ── What nobody should send ───────────────────────────────────────────────────────────────────


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_bomb(side: int = 65_000) -> bytes:
    """A few kilobytes that claim 64k × 64k points."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(3_000_000))
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def png_text_bomb() -> bytes:
    """A small picture with a remark that unpacks to a gigabyte."""
    small = photo(grey(90), ".png")
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(2**20)) for _ in range(1024)) + packer.flush()
    return small[:33] + _chunk(b"zTXt", b"Comment\0\0" + packed) + small[33:]


def jpeg_bomb() -> bytes:
    """A photo whose header claims 65 000 × 65 000 points."""
    small = bytearray(photo(grey(90)))
    at = small.index(b"\xff\xc0")
    small[at + 5 : at + 9] = struct.pack(">HH", 65_000, 65_000)
    return bytes(small)


def webp_bomb() -> bytes:
    """An extended WebP of 16 million × 16 million points."""
    canvas = b"\x10\0\0\0" + b"\xff\xff\xff" * 2
    body = b"WEBPVP8X" + struct.pack("<I", len(canvas)) + canvas
    return b"RIFF" + struct.pack("<I", len(body)) + body


def huge_clip() -> bytes:
    """One frame of 8192 × 4608."""
    return clip([grey(40, 8192, 4608)])


def false_tables() -> bytes:
    """A clip whose index claims four billion packets."""
    data = bytearray(clip([grey(i) for i in range(30)]))
    at = data.index(b"stsz") + 8
    data[at : at + 8] = struct.pack(">II", 1, 0xFFFFFFFF)
    return bytes(data)


def box(kind: bytes, content: bytes, size: int | None = None) -> bytes:
    """One of an MP4; `size`: what it says instead of the truth."""
    return struct.pack(">I4s", len(content) + 8 if size is None else size, kind) + content


def counted(packets: int) -> bytes:
    """A table that claims packets of one byte each."""
    return box(b"stsz", struct.pack(">III", 0, 1, packets))


def hidden_tables(around: bytes = b"dinf") -> bytes:
    """A clip whose index claims 80 million packets in an odd place."""
    tables = {
        b"stsz": box(around, counted(80_000_000)),
        b"stsc": box(b"stsc", struct.pack(">5I", 0, 1, 1, 80_000_000, 1)),
    }
    return with_boxes(clip([grey(i) for i in range(30)]), tables)


def with_boxes(data: bytes, others: dict[bytes, bytes]) -> bytes:
    """An MP4 with some of its boxes replaced and the sizes around them put right."""
    result = b""
    while data:
        size, kind = struct.unpack_from(">I4s", data)
        content, data = data[8:size], data[size:]
        if kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"moof", b"traf"):
            content = with_boxes(content, others)
        result += others.get(kind, box(kind, content))
    return result


def packed_index() -> bytes:
    """The same, zlib's work around its index."""
    data = hidden_tables()
    at = data.index(b"moov") - 4
    moov = data[at : at + int.from_bytes(data[at : at + 4], "big")]
    packed = box(b"cmvd", struct.pack(">I", len(moov)) + zlib.compress(moov))
    return data[:at] + box(b"moov", box(b"cmov", box(b"dcom", b"zlib") + packed))


def _segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content


def progressive_jpeg(side: int = 8192, scans: int = 10_000) -> bytes:
    """A grey photo whose scans say in 1 kB each that nothing changes."""
    blocks = (side // 8) ** 2
    tables = _segment(0xDB, b"\0" + b"\1" * 64)
    tables += _segment(0xC2, struct.pack(">BHHB", 8, side, side, 1) + b"\1\x11\0")
    tables += _segment(0xC4, b"\0\1" + bytes(15) + b"\0")  # "0": the brightness stays
    tables += _segment(0xC4, b"\x10\1" + bytes(15) + b"\xe0")  # "0": 16384 blocks are empty
    first = _segment(0xDA, b"\1\1\0\0\0\0") + bytes(blocks // 8)
    runs = -(-blocks // 16384) * 15
    more = _segment(0xDA, b"\1\1\0\1\x3f\0") + bytes(-(-runs // 8))
    return b"\xff\xd8" + tables + first + more * (scans - 1) + b"\xff\xd9"


def broken_off(data: bytes, part: float = 0.5) -> bytes:
    return data[: round(len(data) * part)]


def frantic() -> bytes:
    """3000 frames in three seconds."""
    times = [Fraction(i, 1000) for i in range(3000)]
    pictures = [grey(i % 2 * 255) for i in range(3000)]
    return clip(pictures, 1000, "matroska", "mpeg4", times)


HOSTILE: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "text": lambda: b"I am a face." * 10,
    "sound": lambda: b"RIFF\x24\0\0\0WAVEfmt " + bytes(40),
    "png of 64k": png_bomb,
    "jpeg of 64k": jpeg_bomb,
    "webp of 16M": webp_bomb,
    "broken off jpeg": lambda: broken_off(photo()),
    "broken off png": lambda: broken_off(photo(kind=".png")),
    "broken off webp": lambda: broken_off(photo(kind=".webp")),
    "broken off mp4": lambda: broken_off(talking(10)),
    "heic": lambda: b"\0\0\0\x18ftypheic" + bytes(100),
    "clip of 8k": huge_clip,
    "false tables": false_tables,
    "tables in dinf": hidden_tables,
    "tables in udta": lambda: hidden_tables(b"udta"),
    "packed index": packed_index,
    "many boxes": lambda: b"\0\0\0\x18ftypisom" + bytes(12) + b"\0\0\0\x08moov" * 1_250_000,
    "many scans": progressive_jpeg,
    "few scans of 8k": lambda: progressive_jpeg(scans=3),
    "jpeg of fillers": lambda: b"\xff\xd8" + b"\xff" * 20_000_000,
    "mp4 of zeros": lambda: b"\0\0\0\x18ftypisom" + bytes(10_000),
    "matroska of zeros": lambda: b"\x1aE\xdf\xa3" + bytes(10_000),
    "tiny": lambda: photo(grey(90, 60, 60)),
}
"""None of these can be a face, and all are told so at once."""
