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
