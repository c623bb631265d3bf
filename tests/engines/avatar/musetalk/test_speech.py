import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.avatar.musetalk.speech import (
    FRAME_SAMPLES,
    SEGMENT_SAMPLES,
    Sound,
    SpeechStream,
    Stretch,
    sound,
)


def counted(samples: int) -> Sound:
    """Each sample tells its own place."""
    return np.arange(samples, dtype=np.float32)


def test_a_frame_is_ready_once_its_window_has_been_heard_and_no_later() -> None:
    stream = SpeechStream()
    stream.feed(counted(640 + 1280 - 1))
    assert stream.ready == 0
    stream.feed(counted(1))
    assert stream.ready == 1
    stream.feed(counted(640))
    assert stream.ready == 2


def test_the_end_gives_the_frames_that_waited() -> None:
    stream = SpeechStream()
    stream.feed(counted(5 * 640 + 639))
    assert stream.ready == 3
    stream.end()
    assert stream.ready == 5
    assert stream.take().frames == 5
    assert stream.take().frames == 0


def test_a_longer_look_ahead_makes_frames_wait() -> None:
    stream = SpeechStream(look_ahead=6400)
    stream.feed(counted(640 + 6399))
    assert stream.ready == 0
    stream.feed(counted(1))
    assert stream.ready == 1
    with pytest.raises(ValueError, match="covers 1280 samples"):
        SpeechStream(look_ahead=1279)


def test_nothing_comes_after_the_end() -> None:
    stream = SpeechStream()
    stream.end()
    assert stream.take().frames == 0
    with pytest.raises(ValueError, match="after its end"):
        stream.feed(counted(1))


@given(
    sizes=st.lists(st.integers(0, 200_000), max_size=12),
    limits=st.lists(st.integers(0, 400), min_size=1, max_size=5),
)
def test_every_frame_is_given_once_in_order_with_the_sound_around_it(
    sizes: list[int], limits: list[int]
) -> None:
    whole, stream, given_frames, fed = counted(sum(sizes)), SpeechStream(), 0, 0

    def check(stretch: Stretch) -> None:
        nonlocal given_frames
        start = given_frames * FRAME_SAMPLES - stretch.begin  # of the stretch's sound
        assert start % SEGMENT_SAMPLES == 0
        assert start <= max(0, given_frames * FRAME_SAMPLES - 1280)
        assert np.array_equal(stretch.sound, whole[start:fed])
        given_frames += stretch.frames

    for index, size in enumerate(sizes):
        stream.feed(whole[fed : fed + size])
        fed += size
        limit = limits[index % len(limits)]
        assert stream.ready == max(0, (fed - 1280) // 640 - given_frames)
        stretch = stream.take(limit)
        assert stretch.frames <= limit
        check(stretch)
    stream.end()
    check(stream.take())
    assert given_frames == len(whole) // 640


def test_of_a_long_speech_only_the_last_segments_are_kept() -> None:
    stream = SpeechStream()
    for second in range(100):
        stream.feed(np.full(16_000, second, np.float32))
        kept = stream.take()
        assert len(kept.sound) <= 2 * SEGMENT_SAMPLES
    assert kept.sound[0] == 90
    assert kept.begin == (99 * 16_000 - 1280) // 640 * 640 - 90 * 16_000


def test_a_whole_recording_has_only_whole_frames() -> None:
    stretch = Stretch.whole(counted(29 * 640 + 639))
    assert (stretch.begin, stretch.frames) == (0, 29)


def test_full_scale_is_one() -> None:
    values = sound(np.array([-32768, 0, 16384], np.int16))
    assert values.dtype == np.float32
    assert values.tolist() == [-1.0, 0.0, 0.5]
