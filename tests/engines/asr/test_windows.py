import numpy as np
import pytest

from engines.asr.windows import WINDOW_S, Window, packed, windows
from engines.base import HEARING_RATE_HZ
from tests.speech import say

S = HEARING_RATE_HZ


def window(*stretches_s: tuple[float, float]) -> Window:
    stretches = tuple((round(begin * S), round(end * S)) for begin, end in stretches_s)
    count = sum(end - begin for begin, end in stretches)
    return Window(stretches, np.zeros(count, np.float32))


@pytest.mark.parametrize("seconds", [0, 0.3, 5])
def test_silence_has_no_windows(seconds: float) -> None:
    assert list(windows(np.zeros(int(seconds * S), np.int16))) == []


async def test_what_is_said_after_a_long_silence_is_cut_out() -> None:
    words = (await say("hello teacher")).samples
    (found,) = windows(
        np.concatenate([np.zeros(5 * S, np.int16), words, np.zeros(5 * S, np.int16)])
    )
    assert found.seconds < len(words) / S + 1
    assert 4 < found.recorded_s(0) < 5.3


async def test_long_speech_becomes_windows_that_the_model_can_hold() -> None:
    words = (await say("one two three four five")).samples
    found = list(windows(np.tile(words, 30)))
    assert len(found) > 1
    assert all(part.seconds <= WINDOW_S for part in found)
    assert sum(part.seconds for part in found) > 0.9 * 30 * len(words) / S


@pytest.mark.parametrize(
    ("lengths_s", "counts"),
    [([], []), ([10, 10, 10], [3]), ([10, 10, 11], [2, 1]), ([31, 5], [1, 1]), ([5, 31], [1, 1])],
)
def test_as_few_windows_as_possible(lengths_s: list[int], counts: list[int]) -> None:
    ends = np.cumsum(lengths_s) * S
    stretches = [
        (int(end) - length * S, int(end)) for end, length in zip(ends, lengths_s, strict=True)
    ]
    assert [len(part) for part in packed(stretches)] == counts


@pytest.mark.parametrize(("heard_s", "recorded_s"), [(0, 5), (1, 6), (2, 7), (2.5, 20.5), (9, 21)])
def test_times_are_those_of_the_recording(heard_s: float, recorded_s: float) -> None:
    assert window((5, 7), (20, 21)).recorded_s(heard_s) == recorded_s
