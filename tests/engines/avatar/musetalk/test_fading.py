import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.avatar.musetalk.blending import Placement
from engines.avatar.musetalk.fading import (
    FADE_FRAMES,
    HELD_FRAMES,
    LOOK_BACK_FRAMES,
    faded,
    strengths,
)
from engines.base import Audio, Cue

FRAME = 960  # at 24 kHz


def speech(*loud: int) -> Audio:
    """Each frame loud (1), silent (0) or softly noisy (2), as a voice's pauses are."""
    levels = {0: 0, 1: 3000, 2: 60}
    level = np.repeat([levels[one] for one in loud], FRAME)
    noise = np.random.default_rng(0).choice([-1, 1], len(level))
    return Audio((level * noise).astype(np.int16), 24_000)


def of_all(audio: Audio) -> npt.NDArray[np.float64]:
    return strengths(audio, Cue("Anna", 0, 0, len(audio.samples) // FRAME))


def test_a_mouth_comes_before_the_sound_and_goes_after_it() -> None:
    found = of_all(speech(*[0] * 6, 1, 1, *[0] * 10)).tolist()
    assert found == [0, 0, 0, 0.25, 0.5, 0.75, 1, 1, *[1] * HELD_FRAMES, 0.75, 0.5, 0.25, 0, 0]
    assert 3 <= FADE_FRAMES <= 6


def test_a_short_pause_is_speech() -> None:
    pause = [0] * (HELD_FRAMES - 1)
    assert (of_all(speech(1, *pause, 1, *pause, 1)) == 1).all()


@pytest.mark.parametrize("quiet", [0, 2])
def test_silence_needs_no_model(quiet: int) -> None:
    assert not of_all(speech(*[quiet] * 20)).any()
    assert not strengths(Audio(np.zeros(0, np.int16), 24_000), Cue("Anna", 0, 0, 3)).any()


@given(
    loud=st.lists(st.integers(0, 2), min_size=1, max_size=60),
    cuts=st.lists(st.integers(1, 12), min_size=60, max_size=60),
)
def test_however_a_speech_is_cut_its_strengths_are_the_same(
    loud: list[int], cuts: list[int]
) -> None:
    whole, at, found = speech(*loud), 0, []
    for cut in cuts:
        frames = min(cut, len(loud) - at)
        if not frames:
            break
        start = max(0, at - LOOK_BACK_FRAMES)
        part = whole.samples[start * FRAME : (at + frames + FADE_FRAMES) * FRAME]
        cue = Cue("Anna", at, (at - start) * FRAME, frames)
        found += strengths(Audio(part, 24_000), cue).tolist()
        at += frames
    assert found == of_all(whole).tolist()


def test_a_faded_place_is_seen_through_a_weaker_mask() -> None:
    mask = np.array([[0, 100, 255]], np.uint8)
    where = Placement(2, 4, mask, 0, 0, 3, 1)
    assert faded(where, 1.0) is where
    assert faded(where, 0.5).mask.tolist() == [[0, 50, 128]]
    assert (faded(where, 0.5).x, faded(where, 0.5).y) == (2, 4)
    assert mask.tolist() == [[0, 100, 255]]
