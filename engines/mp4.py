"""What an MP4's index claims, read before FFmpeg believes it.

FFmpeg keeps 24 bytes for every packet that a table claims, before it finds out that none is there:
4 kB of file can cost it gigabytes.
"""

import struct
from collections.abc import Iterator
from mmap import mmap

Bytes = bytes | mmap

BOXES_OF_BOXES = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"moof", b"traf"}

COUNTS = {b"stsz": 8, b"trun": 4}
"""The boxes that say how many packets follow, and where in them."""


def claimed_packets(data: Bytes) -> int:
    """How many packets all tables of the file claim together."""
    claimed = 0
    pending = [(0, len(data))]
    while pending:
        begin, end = pending.pop()
        for kind, content, box_end in _boxes(data, begin, end):
            if kind in BOXES_OF_BOXES:
                pending.append((content, box_end))
            elif kind in COUNTS and content + COUNTS[kind] + 4 <= box_end:
                (count,) = struct.unpack_from(">I", data, content + COUNTS[kind])
                claimed += count
    return claimed


def _boxes(data: Bytes, begin: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, first byte of the content, and end of each box."""
    while begin + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, begin)
        content = begin + 8
        if size == 1 and content + 8 <= end:  # the size is in the next eight bytes
            (size,) = struct.unpack_from(">Q", data, content)
            content += 8
        box_end = end if size == 0 else min(begin + size, end)
        if box_end < content:
            return
        yield kind, content, box_end
        begin = box_end
