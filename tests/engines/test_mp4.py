import mmap
import struct
from pathlib import Path

import pytest

from engines.mp4 import claimed_packets
from tests.uploads import clip, false_tables, grey


def box(kind: bytes, content: bytes, size: int | None = None) -> bytes:
    return struct.pack(">I4s", len(content) + 8 if size is None else size, kind) + content


def counted(count: int) -> bytes:
    return box(b"stsz", struct.pack(">III", 0, 1, count))


def test_the_packets_of_a_real_clip() -> None:
    assert claimed_packets(clip([grey(i) for i in range(30)])) == 30


def test_a_table_may_claim_anything() -> None:
    assert claimed_packets(false_tables()) == 0xFFFFFFFF


def test_tables_of_all_tracks_count(tmp_path: Path) -> None:
    track = box(b"trak", box(b"mdia", counted(5)))
    data = box(b"ftyp", b"isom") + box(b"moov", track + track)
    assert claimed_packets(data) == 10
    file = tmp_path / "mapped"
    file.write_bytes(data)
    with (
        file.open("rb") as opened,
        mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
    ):
        assert claimed_packets(mapped) == 10


@pytest.mark.parametrize("size", [2, 7, 0, 2**31])
def test_sizes_that_lie_do_not_lead_astray(size: int) -> None:
    assert claimed_packets(box(b"moov", counted(7), size)) in (0, 7)


def test_a_size_of_64_bits() -> None:
    content = counted(7)
    moov = struct.pack(">I4sQ", 1, b"moov", len(content) + 16) + content
    assert claimed_packets(moov + counted(2)) == 9
