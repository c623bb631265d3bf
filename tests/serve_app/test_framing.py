import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.base import Audio, Phoneme
from serve_app.framing import (
    CONTEXT_FRAMES,
    FIRST_STRETCH_FRAMES,
    LOOK_AHEAD_FRAMES,
    Framing,
    Stretch,
)

RATE_HZ = 22_050
FRAME = RATE_HZ // 25


def voice(samples: int) -> Audio:
    return Audio(np.arange(samples, dtype=np.int16), RATE_HZ)


def test_the_first_stretch_leaves_as_soon_as_its_look_ahead_is_there() -> None:
    framing = Framing("mei", 0)
    needed = (FIRST_STRETCH_FRAMES + LOOK_AHEAD_FRAMES) * FRAME
    assert framing.feed(voice(needed - 1)) == []
    (stretch,) = framing.feed(voice(1))
    assert (stretch.cue.first_frame, stretch.cue.frames) == (0, FIRST_STRETCH_FRAMES)


@given(st.lists(st.integers(1, 9000), min_size=1, max_size=12), st.integers(0, 1000))
def test_every_sample_gets_its_frame_once_and_in_order(lengths: list[int], first: int) -> None:
    total = sum(lengths)
    whole = np.arange(total) % 30_000
    framing = Framing("mei", first)
    stretches: list[Stretch] = []
    start = 0
    for length in lengths:
        piece = Audio(whole[start : start + length].astype(np.int16), RATE_HZ)
        stretches += framing.feed(piece)
        start += length
    stretches += framing.flush()
    expected = first
    heard = []
    for stretch in stretches:
        cue, samples = stretch.cue, stretch.speech.samples
        assert cue.first_frame == expected
        assert cue.begin <= CONTEXT_FRAMES * FRAME
        heard.append(samples[cue.begin : cue.begin + cue.frames * FRAME])
        expected += cue.frames
    assert framing.frames == expected - first == -(-total // FRAME)
    joined = np.concatenate(heard)
    assert len(joined) == framing.frames * FRAME
    assert np.array_equal(joined[:total], whole)
    assert not joined[total:].any()


def test_a_stretch_carries_its_context_and_its_phonemes() -> None:
    piece = Audio(np.zeros(FRAME * 40, np.int16), RATE_HZ, (Phoneme("a", 0.0), Phoneme("m", 0.5)))
    framing = Framing("mei", 0)
    first, second, *_ = framing.feed(piece)
    assert [p.symbol for p in first.speech.phonemes] == ["a"]
    assert second.cue.begin == FIRST_STRETCH_FRAMES * FRAME, (
        "all that was before, up to the context"
    )
    a, m = second.speech.phonemes
    assert (a.symbol, a.at_s, m.symbol) == ("a", 0.0, "m")
    assert m.at_s == pytest.approx(0.5)


def test_no_voice_no_frames() -> None:
    assert Framing("mei", 0).flush() == []


def made(framing: Framing, total: int, piece: int) -> list[Stretch]:
    """Of a voice whose samples tell their places, fed in pieces."""
    whole = (np.arange(total) % 30_011).astype(np.int16)
    pieces = (Audio(whole[at : at + piece], RATE_HZ) for at in range(0, total, piece))
    stretches = [stretch for fed in pieces for stretch in framing.feed(fed)]
    return stretches + framing.flush()


def test_a_prepared_avatar_is_sent_the_speech_so_far_from_a_multiple_of_30_s_on() -> None:
    total = 70 * RATE_HZ
    starts = []
    stretches = made(Framing("Anna at home", 0), total, 5 * FRAME)
    for stretch in stretches:
        at = stretch.cue.first_frame * FRAME
        start = at - stretch.cue.begin
        starts.append(start)
        expected = np.arange(start, start + len(stretch.speech.samples)) % 30_011
        assert np.array_equal(stretch.speech.samples, expected.astype(np.int16))
        assert min(at, 25 * FRAME) <= stretch.cue.begin, "the second before goes with it"
        assert stretch.speech.seconds < 33
    assert sorted(set(starts)) == [0, 30 * RATE_HZ, 60 * RATE_HZ]
    assert starts == sorted(starts)
    assert sum(stretch.cue.frames for stretch in stretches) == total // FRAME


def test_a_prepared_avatar_is_told_what_is_known_of_the_next_second() -> None:
    framing = Framing("Anna at home", 0)
    framing.hear(voice(100 * FRAME))
    first = next(framing.stretches())
    assert len(first.speech.samples) == (FIRST_STRETCH_FRAMES + 25) * FRAME
    assert not framing.wants_more
    assert sum(1 for _ in framing.stretches()) == 9
    assert framing.wants_more


def test_a_drawn_face_is_sent_no_more_than_it_needs() -> None:
    framing = Framing("mei", 0)
    framing.hear(voice(100 * FRAME))
    assert not framing.wants_more
    for stretch in framing.stretches():
        most = (stretch.cue.frames + LOOK_AHEAD_FRAMES) * FRAME + CONTEXT_FRAMES * FRAME
        assert len(stretch.speech.samples) <= most


def test_a_prepared_avatars_model_is_told_no_phonemes() -> None:
    piece = Audio(np.zeros(FRAME * 20, np.int16), RATE_HZ, (Phoneme("a", 0.0),))
    assert not any(stretch.speech.phonemes for stretch in Framing("Anna at home", 0).feed(piece))
