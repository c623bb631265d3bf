import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from engines.avatar.musetalk import footage
from engines.avatar.musetalk.footage import LIMIT_BYTES, LIMIT_FRAMES, open_footage
from engines.base import Pixels
from engines.errors import FootageTooLarge, UnusableFootage
from tests.uploads import HOSTILE, clip, frantic, grey, person, photo, png_text_bomb

STEP = 4
"""Grey values between two frames: more than any codec changes."""


@pytest.fixture
def stored(tmp_path: Path) -> Callable[[bytes], Path]:
    def store(data: bytes) -> Path:
        file = tmp_path / "upload"
        file.write_bytes(data)
        return file

    return store


Stored = Callable[[bytes], Path]


def counting(frames: int) -> list[Pixels]:
    """Frame i has the grey value 20 + 4 i, so that each can be told."""
    return [grey(20 + STEP * i) for i in range(frames)]


def numbers(file: Path) -> list[int]:
    return [round((float(f.mean()) - 20) / STEP) for f in open_footage(file).frames()]


def test_a_photo_is_one_frame(stored: Stored) -> None:
    opened = open_footage(stored(photo(kind=".png")))
    assert opened.kind == "photo"
    (frame,) = opened.frames()
    assert np.array_equal(frame, person())


@pytest.mark.parametrize(
    ("container", "codec"),
    [("mp4", "libx264"), ("mov", "mpeg4"), ("webm", "libvpx"), ("matroska", "libx264")],
)
def test_a_clip_of_25_a_second_is_taken_as_it_is(
    stored: Stored, container: str, codec: str
) -> None:
    file = stored(clip(counting(40), container=container, codec=codec))
    opened = open_footage(file)
    assert opened.kind == "clip"
    assert opened.seconds == pytest.approx(1.6, abs=0.05)
    assert numbers(file) == list(range(40))
    assert numbers(file) == list(range(40))  # a second look sees the same


@pytest.mark.parametrize("fps", [10, 24, 30, 50])
def test_other_rates_are_brought_to_25(stored: Stored, fps: int) -> None:
    """At every 40 ms the newest picture of that moment."""
    shown = numbers(stored(clip(counting(55), fps, "matroska")))
    assert shown == [int(k * fps / 25 + 0.05) for k in range(len(shown))]
    assert len(shown) == pytest.approx(55 * 25 / fps, abs=2.5)


def test_uneven_times_are_kept(stored: Stored) -> None:
    """A phone drops frames in the dark; the face must not hurry there."""
    times = [Fraction(i, 25) for i in range(20)] + [Fraction(i, 25) for i in range(40, 45)]
    shown = numbers(stored(clip(counting(25), 25, "matroska", "libx264", times)))
    assert shown == [*range(20), *[19] * 20, *range(20, 25)]


def test_only_the_first_20_s_are_used(stored: Stored) -> None:
    file = stored(clip([grey(i % 200) for i in range(640)], codec="mpeg4"))
    assert open_footage(file).seconds == pytest.approx(25.6, abs=0.1)
    assert sum(1 for _ in open_footage(file).frames()) == LIMIT_FRAMES == 500


def test_a_gap_of_hours_costs_nothing(stored: Stored) -> None:
    times = [Fraction(i, 25) for i in range(30)] + [Fraction(100_000)]
    shown = numbers(stored(clip(counting(31), 25, "matroska", "libx264", times)))
    assert shown == [*range(30), *[29] * 470]


def test_large_frames_are_shrunk(stored: Stored) -> None:
    file = stored(clip([grey(90, 2560, 1440)] * 26, codec="mpeg4"))
    assert open_footage(file).first().shape == (1080, 1920, 3)


def test_the_colours_stay(stored: Stored) -> None:
    file = stored(clip([person()] * 26))
    assert np.abs(open_footage(file).first().astype(int) - person()).mean() < 3


def test_a_clip_of_less_than_a_second(stored: Stored) -> None:
    opened = open_footage(stored(clip(counting(20))))
    with pytest.raises(UnusableFootage, match="shorter than 1 s"):
        list(opened.frames())


def test_what_broke_off_later_gives_what_is_there(stored: Stored) -> None:
    data = clip(counting(45), container="webm", codec="libvpx")
    shown = numbers(stored(data[: len(data) * 3 // 4]))
    assert 25 <= len(shown) < 45
    assert shown == list(range(len(shown)))


def test_opening_ends_in_time_however_much_there_is_to_read(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = stored(clip(counting(30)))
    monkeypatch.setattr(footage, "OPENING_S", 0.0)
    with pytest.raises(UnusableFootage, match="is damaged"):
        open_footage(file)


def test_reading_has_no_end_but_the_clips(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who looks at the frames may take his time with each."""
    noise = np.random.default_rng(3)
    frames = [noise.integers(0, 255, (256, 256, 3), np.uint8) for _ in range(30)]
    looked = open_footage(stored(clip(frames))).frames()
    next(looked)
    begun_s = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: begun_s + 2 * footage.OPENING_S)
    assert sum(1 for _ in looked) == 29


def test_more_frames_than_any_camera_makes(stored: Stored) -> None:
    opened = open_footage(stored(frantic()))
    with pytest.raises(UnusableFootage, match="120 frames a second"):
        list(opened.frames())


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    file = tmp_path / "large"
    with file.open("wb") as opened:
        opened.truncate(LIMIT_BYTES + 1)
    with pytest.raises(FootageTooLarge, match="100 MB"):
        open_footage(file)


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_files_are_refused_with_a_sentence(stored: Stored, kind: str) -> None:
    with pytest.raises(UnusableFootage) as refused:
        open_footage(stored(HOSTILE[kind]()))
    assert refused.value.sentence.endswith(".")
    assert len(refused.value.sentence) > 40


def test_clips_with_wrong_bytes_never_raise_anything_else(stored: Stored) -> None:
    rng = np.random.default_rng(11)
    for container, codec in (("mp4", "libx264"), ("webm", "libvpx")):
        data = clip(counting(30), container=container, codec=codec)
        for _ in range(40):
            wrong = bytearray(data)
            for at in rng.integers(12, len(wrong), 10):
                wrong[at] = rng.integers(256)
            try:
                for frame in open_footage(stored(bytes(wrong))).frames():
                    assert max(frame.shape[:2]) <= 1920
            except UnusableFootage:
                continue


MEASURE = """
import json, resource, sys, time
from pathlib import Path
from engines.avatar.musetalk.footage import open_footage
from engines.errors import UnusableFootage
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
results = {}
for path in sorted(Path(sys.argv[1]).iterdir()):
    before, begin = peak(), time.process_time()
    try:
        told = f"{sum(1 for _ in open_footage(path).frames())} frames"
    except UnusableFootage as error:
        told = error.code
    results[path.name] = (told, peak() - before, time.process_time() - begin)
print(json.dumps(results))
"""


def test_bombs_cost_neither_memory_nor_time(tmp_path: Path) -> None:
    bombs = {**HOSTILE, "text bomb": png_text_bomb}
    for name, make in bombs.items():
        (tmp_path / name).write_bytes(make())

    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[4],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30)),
    )

    for name, (told, megabytes, seconds) in json.loads(done.stdout).items():
        assert told.startswith("footage_" if "too" in told else "unusable") or name == "text bomb"
        assert megabytes < 64, (name, megabytes)
        assert seconds < 5, (name, seconds)
