"""Where in a recording somebody speaks, cut into the windows that Whisper hears at once."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.base import HEARING_RATE_HZ, Pcm

WINDOW_S = 30
"""What the model was trained on."""

FULL_SCALE = 32768.0
"""int16 to the -1..1 that the model wants."""

Sound = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Window:
    """Up to `WINDOW_S` of speech, the silence between its stretches left out."""

    stretches: tuple[tuple[int, int], ...]
    """First sample and end of each in the recording, in order."""
    sound: Sound

    @property
    def seconds(self) -> float:
        return len(self.sound) / HEARING_RATE_HZ

    def recorded_s(self, heard_s: float) -> float:
        """When in the recording that was which is heard after `heard_s` of the window."""
        sample = round(heard_s * HEARING_RATE_HZ)
        for begin, end in self.stretches:
            if sample <= end - begin:
                return round((begin + sample) / HEARING_RATE_HZ, 3)
            sample -= end - begin
        return self.stretches[-1][1] / HEARING_RATE_HZ


def windows(samples: Pcm) -> Iterator[Window]:
    """Those of a recording at 16 kHz; none where nobody speaks. From silence the model would make
    up polite phrases."""
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    sound = samples.astype(np.float32) / FULL_SCALE
    found: list[dict[str, Any]] = get_speech_timestamps(
        sound, VadOptions(max_speech_duration_s=WINDOW_S)
    )
    for stretches in packed([(stretch["start"], stretch["end"]) for stretch in found]):
        yield Window(stretches, np.concatenate([sound[begin:end] for begin, end in stretches]))


def packed(stretches: list[tuple[int, int]]) -> Iterator[tuple[tuple[int, int], ...]]:
    """As few windows as hold these stretches in order. One that is longer than a window is left
    whole."""
    window: list[tuple[int, int]] = []
    room = WINDOW_S * HEARING_RATE_HZ
    for begin, end in stretches:
        if window and end - begin > room:
            yield tuple(window)
            window, room = [], WINDOW_S * HEARING_RATE_HZ
        window.append((begin, end))
        room -= end - begin
    if window:
        yield tuple(window)
