"""What an MP4's index claims, read before FFmpeg believes it.

FFmpeg keeps 24 bytes for every packet that a table claims, before it finds out that none is there:
4 kB of file can cost it gigabytes. It looks for tables inside of almost every kind of box, so their
names are searched for, however deep they lie, in all but the boxes that it never opens. That a name
stands somewhere by chance is as likely as 1 : 4 000 000 000 for each byte of a cover picture.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from mmap import mmap

import numpy as np

Bytes = bytes | mmap

LIMIT_CHUNKS = 500_000
"""Kinds of chunks in one track; even a chunk for each packet of two hours are fewer."""

LIMIT_BOXES = 10_000
"""Of those that stand by themselves and those that are searched for. A clip of 20 s has five for
each of its fragments, of which there is seldom more than one a second; each costs 1 µs here, and
a fragment costs FFmpeg 2 kB."""

NEVER_OPENED = {b"mdat", b"free", b"skip", b"wide", b"uuid", b"ftyp", b"styp", b"sidx"}

COUNTS = {b"stsz": 8, b"stz2": 8, b"trun": 4}
"""The boxes that say how many packets follow, and where in them."""

CHUNKS = {b"stco": 4, b"co64": 8}
"""Bytes of an entry. Raw sound has no table of packets: each chunk of it is cut into packets."""

LEAST_SAMPLES = 160
"""Of raw sound that FFmpeg makes a packet of."""

COSTLY = (b"moof", b"----")
"""Further boxes that cost FFmpeg much more than the bytes that they have."""

REFUSED = (b"dcomzlib", b"iinf", b"iloc", b"iprp", b"iref")
"""A packed index, which may unpack to anything, and the tables of pictures, which no film has."""


class FalseIndex(ValueError):
    """The index claims what no film and no recording has."""


@dataclass(frozen=True, slots=True)
class _Box:
    kind: bytes
    begin: int
    content: int
    end: int


def check_index(data: Bytes, limit_packets: int) -> None:
    """Let FFmpeg open only what passes this. Takes up to 0.1 s; raises `FalseIndex`."""
    if claimed_packets(data) > limit_packets:
        raise FalseIndex("too many packets")


def claimed_packets(data: Bytes) -> int:
    """How many packets all tables of the file claim together. Raises `FalseIndex`."""
    boxes = _outer_boxes(data)
    _refuse_leaps(data, boxes)
    search = _Search(data, LIMIT_BOXES - len(boxes))
    for box in boxes:
        if box.kind not in NEVER_OPENED:
            search.look(box)
        elif box.kind == b"free" and data[box.begin + 12 : box.begin + 16] in (b"mvhd", b"cmov"):
            raise FalseIndex("an index in disguise")  # FFmpeg's last resort
    # Of each track FFmpeg keeps the packets of its table or those of its chunks.
    return max(search.claimed, search.chunks * -(-search.samples // LEAST_SAMPLES))


class _Search:
    """For what the tables of one file claim."""

    def __init__(self, data: Bytes, budget: int) -> None:
        """`budget`: how many boxes may be found."""
        self._data = data
        self._budget = budget
        self.claimed = 0
        self.chunks = 0
        self.samples = 0
        """Most in a chunk."""

    def look(self, box: _Box) -> None:
        begin, end = box.begin + 4, self._end(box)
        if any(self._data.find(name, begin, end) >= 0 for name in REFUSED):
            raise FalseIndex("a packed index, or pictures")
        for name in COSTLY:
            sum(1 for _ in self._found(name, box.content, end))
        for name, place in COUNTS.items():
            for content in self._found(name, begin, end):
                self.claimed += self._number(content + place)
        self._look_for_chunks(begin, end)

    def _look_for_chunks(self, begin: int, end: int) -> None:
        for name, size in CHUNKS.items():
            for content in self._found(name, begin, end):
                there = max(0, len(self._data) - content - 8) // size
                self.chunks += min(self._number(content + 4), there)
        for content in self._found(b"stsc", begin, end):
            self.samples = max(self.samples, self._most_samples(content))

    def _end(self, box: _Box) -> int:
        """FFmpeg follows what describes the packets (`stsd`) beyond the end of its box."""
        for content in self._found(b"stsd", box.begin + 4, box.end):
            one, size = self._number(content + 4) == 1, self._number(content + 8)
            if not one or content + 8 + size > box.end:
                return len(self._data)
        return box.end

    def _most_samples(self, content: int) -> int:
        """In one chunk, as the `stsc` there says."""
        count = self._number(content + 4)
        if count > LIMIT_CHUNKS:
            raise FalseIndex("too many kinds of chunks")
        table = self._data[content + 8 : content + 8 + 12 * count]
        samples = np.frombuffer(table[: len(table) // 12 * 12], ">u4")[1::3]
        return int(samples.max(initial=0))

    def _number(self, place: int) -> int:
        """Zero beyond the end, as FFmpeg reads it."""
        return int.from_bytes(self._data[place : place + 4], "big")

    def _found(self, name: bytes, begin: int, end: int) -> Iterator[int]:
        """First byte of the content of each box of that name."""
        while (begin := self._data.find(name, begin, end)) >= 0:
            begin += len(name)
            self._budget -= 1
            if self._budget < 0:
                raise FalseIndex("too many boxes")
            yield begin


def _outer_boxes(data: Bytes) -> list[_Box]:
    """Those that stand by themselves, up to where FFmpeg stops reading."""
    boxes: list[_Box] = []
    begin = 0
    while begin + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, begin)
        content = begin + 8
        if size == 1 and content + 8 <= len(data):  # the size is in the next eight bytes
            (size,) = struct.unpack_from(">Q", data, content)
            size = 0 if size == 8 else size  # FFmpeg takes both for "up to the end"
            content += 8
        end = len(data) if size == 0 else min(begin + size, len(data))
        if end < content:
            break
        boxes.append(_Box(kind, begin, content, end))
        if len(boxes) > LIMIT_BOXES:
            raise FalseIndex("too many boxes")
        begin = end
    return boxes


def _refuse_leaps(data: Bytes, boxes: list[_Box]) -> None:
    """A list of fragments (`sidx`) may send FFmpeg only to boxes that are looked at here."""
    begins = {box.begin for box in boxes}
    for box in boxes:
        if box.kind == b"sidx":
            for place in _fragments(data[box.content : box.end], box.end):
                if place < len(data) and place not in begins:
                    raise FalseIndex("a fragment inside of something else")
        elif box.kind not in NEVER_OPENED and data.find(b"sidx", box.content, box.end) >= 0:
            raise FalseIndex("a list of fragments inside of something else")


def _fragments(content: bytes, end: int) -> list[int]:
    """Where the fragments of a `sidx` begin; `end`: that of its box."""
    wide = content[:1] != b"\0"
    head = 28 if wide else 20  # version, track, clock, first time, first offset
    first = int.from_bytes(content[20:28] if wide else content[16:20], "big")
    count = int.from_bytes(content[head + 2 : head + 4], "big")
    entries = content[head + 4 : head + 4 + 12 * count]
    sizes = np.frombuffer(entries[: len(entries) // 12 * 12], ">u4")[::3] & 0x7FFFFFFF
    return list(accumulate(sizes.tolist(), initial=end + first))
