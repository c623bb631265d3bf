import mmap
import struct
import zlib
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest

from engines.mp4 import LIMIT_BOXES, FalseIndex, check_index, claimed_packets
from tests.uploads import box, clip, counted, false_tables, grey


def raw_sound(rate_hz: int = 48_000) -> bytes:
    """Two seconds in a MOV, as cameras store it."""
    file = BytesIO()
    with av.open(file, mode="w", format="mov") as output:
        track = output.add_stream("pcm_s16le", rate=rate_hz, layout="mono")
        for begin in (0, rate_hz):
            row = np.zeros((1, rate_hz), np.int16)
            frame = av.AudioFrame.from_ndarray(row, format="s16", layout="mono")
            frame.sample_rate, frame.pts = rate_hz, begin
            output.mux(track.encode(frame))
        output.mux(track.encode(None))
    return file.getvalue()


def in_fragments(file: Path, options: str) -> bytes:
    """A clip as browsers and streaming services write it."""
    whole = BytesIO(clip([grey(i) for i in range(30)]))
    with av.open(whole, "r") as source, av.open(file, "w", "mp4", {"movflags": options}) as output:
        track = output.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = track
                output.mux(packet)
    return file.read_bytes()


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


@pytest.mark.parametrize(("size", "packets"), [(2, 0), (7, 0), (0, 7), (2**31, 7)])
def test_sizes_that_lie_are_taken_as_ffmpeg_takes_them(size: int, packets: int) -> None:
    """Smaller than its own head: the end of all. Zero, or larger than the file: all of the rest."""
    assert claimed_packets(box(b"moov", counted(7), size)) == packets


def test_a_size_of_64_bits() -> None:
    content = counted(7)
    moov = struct.pack(">I4sQ", 1, b"moov", len(content) + 16) + content
    assert claimed_packets(moov + counted(2)) == 9


def test_a_size_of_64_bits_that_means_the_rest() -> None:
    """FFmpeg subtracts eight from it, and takes zero for the rest of the file."""
    assert claimed_packets(struct.pack(">I4sQ", 1, b"moov", 8) + counted(7)) == 7


@pytest.mark.parametrize(
    "kind",
    [b"dinf", b"edts", b"udta", b"mvex", b"meta", b"tapt", b"tref", b"sinf", b"schi", b"ilst"]
    + [b"wave", b"stsd", b"moof", b"hoov", b"any?"],
)
def test_tables_count_wherever_they_hide(kind: bytes) -> None:
    assert claimed_packets(box(kind, counted(5))) == 5
    assert claimed_packets(box(b"moov", box(kind, box(kind, counted(5))))) == 5


def test_compact_tables_count() -> None:
    table = box(b"stz2", struct.pack(">III", 0, 4, 2_000_000) + bytes(1_000_000))
    assert claimed_packets(box(b"moov", table)) == 2_000_000


def test_a_packed_index_is_refused() -> None:
    moov = box(b"moov", counted(5))
    packed = box(b"cmvd", struct.pack(">I", len(moov)) + zlib.compress(moov))
    with pytest.raises(FalseIndex, match="packed"):
        claimed_packets(box(b"moov", box(b"cmov", box(b"dcom", b"zlib") + packed)))


@pytest.mark.parametrize("kind", [b"mvhd", b"cmov"])
def test_an_index_that_is_said_to_be_free_room_is_refused(kind: bytes) -> None:
    """FFmpeg reads it when it finds no other."""
    with pytest.raises(FalseIndex, match="disguise"):
        claimed_packets(box(b"free", box(kind, b"") + counted(5)))


@pytest.mark.parametrize("kind", [b"iprp", b"iref", b"iinf", b"iloc"])
def test_tables_of_pictures_are_refused(kind: bytes) -> None:
    """FFmpeg reads on from them beyond their end, or takes room for all that they claim."""
    with pytest.raises(FalseIndex, match="pictures"):
        claimed_packets(box(b"meta", bytes(4) + box(kind, bytes(4))))


def test_nothing_hides_in_the_pictures_themselves() -> None:
    hidden = box(b"mdat", box(b"dinf", counted(5)))
    assert claimed_packets(box(b"moov", b"") + hidden) == 0
    # Unless what describes them reaches so far.
    entry = struct.pack(">I4s", 10_000, b"avc1") + bytes(78)
    reaching = box(b"moov", box(b"stsd", struct.pack(">II", 0, 1) + entry))
    assert claimed_packets(reaching + hidden) == 5
    several = box(b"moov", box(b"stsd", struct.pack(">II", 0, 2) + entry[4:]))
    assert claimed_packets(several + hidden) == 5


def test_a_list_of_fragments_must_not_lead_into_one() -> None:
    def listed(size: int) -> bytes:
        return box(b"sidx", struct.pack(">5I2H3I", 0, 1, 1, 0, 0, 0, 1, size, 0, 0))

    fragment = box(b"moof", box(b"traf", b""))
    hidden = box(b"mdat", fragment)
    assert claimed_packets(listed(len(fragment)) + fragment + hidden) == 0
    with pytest.raises(FalseIndex, match="fragment"):
        claimed_packets(listed(len(fragment) + 8) + fragment + hidden)
    with pytest.raises(FalseIndex, match="list of fragments"):
        claimed_packets(box(b"moov", listed(len(fragment))) + fragment + hidden)


def test_chunks_of_raw_sound_count_as_the_packets_that_are_made_of_them() -> None:
    chunks = box(b"stco", struct.pack(">II40I", 0, 40, *[48] * 40))
    kinds = box(b"stsc", struct.pack(">5I", 0, 1, 1, 160_000, 1))
    assert claimed_packets(box(b"moov", kinds + chunks)) == 40 * 1000
    untrue = box(b"stco", struct.pack(">III", 0, 2**32 - 1, 48))  # one is there
    assert claimed_packets(box(b"moov", kinds + untrue)) == 1000
    with pytest.raises(FalseIndex):
        claimed_packets(box(b"moov", box(b"stsc", struct.pack(">II", 0, 2**32 - 1))))


@pytest.mark.parametrize(
    "data",
    [
        b"\0\0\0\x08moov" * 1_250_000,
        box(b"udta", b"\0\0\0\x08moof" * 1_250_000),
        box(b"moov", b"stsz" * 2_500_000),
    ],
)
def test_too_many_boxes_are_refused_early(data: bytes) -> None:
    with pytest.raises(FalseIndex, match="too many boxes"):
        claimed_packets(data)


def test_as_many_boxes_as_are_allowed() -> None:
    assert claimed_packets(b"\0\0\0\x08free" * LIMIT_BOXES) == 0


def test_what_people_record_is_let_through(tmp_path: Path) -> None:
    file = tmp_path / "fragments"
    for data, packets in (
        (raw_sound(), 96_000),
        (in_fragments(file, "frag_keyframe+empty_moov+global_sidx"), 30),
        (in_fragments(file, "frag_every_frame+empty_moov+dash"), 30),
        (clip([grey(i) for i in range(30)], container="mov"), 30),
    ):
        check_index(data, packets)
        with pytest.raises(FalseIndex, match="too many packets"):
            check_index(data, packets - 1)
