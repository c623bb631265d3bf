import struct

import cv2
import numpy as np
import pytest

from engines.avatar.musetalk.photo import (
    LIMIT_BYTES,
    LIMIT_SCANS,
    PIECE_BYTES,
    is_photo,
    unpacked_photo,
)
from engines.errors import FootageTooLarge, UnusableFootage
from tests.uploads import (
    broken_off,
    grey,
    jpeg_bomb,
    person,
    photo,
    png_bomb,
    progressive_jpeg,
    webp_bomb,
)

KINDS = [".jpg", ".png", ".webp"]


@pytest.mark.parametrize("kind", KINDS)
def test_photos_of_all_kinds(kind: str) -> None:
    data = photo(kind=kind)
    assert is_photo(data[:12])
    picture = unpacked_photo(data)
    assert picture.shape == (512, 512, 3)
    assert picture.dtype == np.uint8
    assert np.abs(picture.astype(int) - person()).mean() < 3


def test_what_is_no_photo() -> None:
    for head in (b"", b"RIFF\0\0\0\0WAVE", b"\0\0\0\x18ftypisom", b"GIF89a......"):
        assert not is_photo(head)


def test_a_large_photo_is_shrunk() -> None:
    picture = unpacked_photo(photo(grey(90, 4000, 3000)))
    assert picture.shape == (1440, 1920, 3)


def test_a_huge_jpeg_is_unpacked_at_half_its_size() -> None:
    wide = np.repeat(np.repeat(person(), 12, 0), 12, 1)  # 6144 × 6144
    picture = unpacked_photo(photo(wide, quality=50))
    assert picture.shape == (1920, 1920, 3)
    small = cv2.resize(picture, (512, 512), interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - person()).mean() < 4


def test_a_png_of_that_size_is_refused() -> None:
    with pytest.raises(FootageTooLarge, match="4096"):
        unpacked_photo(photo(grey(90, 6144, 6144), ".png"))


def test_transparent_and_grey_ones() -> None:
    clear = np.dstack([person(), np.full((512, 512), 200, np.uint8)])
    assert unpacked_photo(photo(clear, ".png")).shape == (512, 512, 3)
    assert unpacked_photo(photo(person()[..., :1], ".png")).shape == (512, 512, 3)


def test_a_photo_is_turned_upright() -> None:
    """A phone writes what its sensor sees, and how it was held."""
    turned = photo(np.ascontiguousarray(np.rot90(grey_top(), 1)))  # counter-clockwise
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    held = turned[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + turned[2:]
    picture = unpacked_photo(held)
    assert picture.shape == (128, 160, 3)
    assert picture[:32].mean() > 200
    assert picture[64:].mean() < 50


def grey_top() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    picture = grey(20)
    picture[:48] = 230
    return picture


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", [0.001, 0.01, 0.5, 0.99])
def test_a_photo_that_breaks_off_is_refused(kind: str, part: float) -> None:
    with pytest.raises(UnusableFootage, match="save it again"):
        unpacked_photo(broken_off(photo(kind=kind), part))


@pytest.mark.parametrize("kind", KINDS)
def test_a_photo_with_wrong_bytes_never_raises_anything_else(kind: str) -> None:
    data = photo(kind=kind)
    rng = np.random.default_rng(7)
    for _ in range(60):
        wrong = bytearray(data)
        for at in rng.integers(4, min(len(wrong), 2000), 8):
            wrong[at] = rng.integers(256)
        try:
            picture = unpacked_photo(bytes(wrong))
        except UnusableFootage:
            continue
        assert max(picture.shape[:2]) <= 1920


@pytest.mark.parametrize("bomb", [png_bomb, jpeg_bomb, webp_bomb])
def test_bombs_are_too_large(bomb: object) -> None:
    with pytest.raises(UnusableFootage):
        unpacked_photo(bomb())  # type: ignore[operator]


def test_a_file_larger_than_any_photo() -> None:
    with pytest.raises(FootageTooLarge, match="32 MB"):
        unpacked_photo(photo() + bytes(LIMIT_BYTES))


def test_a_progressive_photo() -> None:
    options = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_QUALITY, 95]
    data = bytes(cv2.imencode(".jpg", person(), options)[1])
    assert data.count(b"\xff\xda") > 3
    assert np.abs(unpacked_photo(data).astype(int) - person()).mean() < 3


def test_a_photo_with_more_scans_than_any_camera_makes() -> None:
    assert unpacked_photo(progressive_jpeg(256, LIMIT_SCANS)).shape == (256, 256, 3)
    with pytest.raises(UnusableFootage, match="more parts than any camera"):
        unpacked_photo(progressive_jpeg(256, LIMIT_SCANS + 1))


def test_scans_cannot_hide() -> None:
    """An unpacker that seeks the next part of a scan passes over what nobody may use."""
    data = progressive_jpeg(256, LIMIT_SCANS + 1)
    scan = data.index(b"\xff\xda")
    with pytest.raises(UnusableFootage, match="more parts than any camera"):
        unpacked_photo(data[: scan + 12] + b"\xff\x02\xff\xff" + data[scan + 12 :])


def test_what_can_only_be_unpacked_as_a_whole_must_be_smaller() -> None:
    with pytest.raises(FootageTooLarge, match="4096"):
        unpacked_photo(progressive_jpeg(4104, 2))
    plain = photo(grey(90, 6144, 6144))
    assert unpacked_photo(plain).shape == (1920, 1920, 3)
    scan = plain.index(b"\xff\xda")
    assert plain[scan + 4] == 3
    with pytest.raises(FootageTooLarge, match="4096"):  # a scan for each colour
        unpacked_photo(plain[: scan + 2] + b"\0\x08\1\1\0\0\x3f\0" + plain[scan + 14 :])


def test_a_film_behind_a_photo_is_not_looked_at() -> None:
    """Some phones append one; by chance it has what looks like scans."""
    data = photo() + b"\xff\xda" * 500
    assert np.array_equal(unpacked_photo(data), unpacked_photo(photo()))


def test_a_marker_between_two_pieces_is_seen() -> None:
    data = photo()
    for shift in (-2, -1, 0, 1):
        fillers = b"\xff" * (PIECE_BYTES + shift)
        shown = unpacked_photo(data[:2] + fillers + data[2:])
        assert np.array_equal(shown, unpacked_photo(data))


def test_fillers_and_segments_without_end() -> None:
    fillers = b"\xff" * 10_000_000
    data = photo()
    assert np.array_equal(
        unpacked_photo(data[:2] + fillers[:1000] + data[2:]), unpacked_photo(data)
    )
    with pytest.raises(UnusableFootage):
        unpacked_photo(b"\xff\xd8" + fillers)
    with pytest.raises(UnusableFootage, match="more parts"):
        unpacked_photo(data[:2] + b"\xff\xfe\0\2" * 100_000 + data[2:])
