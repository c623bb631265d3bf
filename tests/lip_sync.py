"""What can be told from what a learner has seen and heard: whether face and voice go together, and
whether the picture flows. Pure; all times in seconds, as the learner noted them.

A skew is taken at each edge from silence to sound, against the nearest edge from dark to bright, on
one of two scales: when they came (`clocks` absent), or when they were meant to be shown by the
sender's own clock, to which its reports map both tracks; this is how a browser keeps them together.
Opus itself puts sound 6.5 ms after its time stamp.
"""

import statistics
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from engines.base import Pcm, Pixels

LOUD_RMS = 1000.0
"""Six times quieter than the stub's tone, far above what a codec leaves of silence."""

BRIGHT = 128.0
PACKET_S = 0.02
QUIET_S = 0.06
"""A shorter pause is none: a loss, or a tone between two waves."""

FAR_S = 0.4
"""Edges further apart than this do not belong together."""

NEAR_REPORTS = 4
"""On either side; they come about once a second."""

FREEZE_FRAMES = 30
FREEZE_MS = 150.0
"""W3C: a freeze lasts three times the mean of the last 30 intervals, and 150 ms more than it."""


@dataclass(frozen=True, slots=True)
class ReceivedFrame:
    at_s: float
    """When its last packet came, monotonic."""
    pts_s: float
    """On the sender's clock of frames, which starts anywhere."""
    corner: float
    """Mean brightness (16 to 235) of the upper left 64 × 64 pixels."""
    whole: float
    pixels: Pixels | None = None
    """BGR, when asked for."""


@dataclass(frozen=True, slots=True)
class ReceivedSound:
    """20 ms."""

    at_s: float
    pts_s: float
    rms: float
    """Of 16-bit samples."""
    blocks: tuple[float, ...]
    """The same of each quarter."""
    samples: Pcm | None = None
    """48 kHz, when asked for."""


class SenderClock:
    """Where the sender's own clock (NTP, seconds) stood at some of a track's time stamps."""

    def __init__(self) -> None:
        self.reports: list[tuple[float, float]] = []
        """Time stamp and clock, in order."""

    def ntp_s(self, pts_s: float) -> float:
        """The clock at a time stamp: the median of the nearest reports, since each holds the delay
        of one packet. Raises `ValueError` before the first report."""
        if not self.reports:
            raise ValueError("No report has come yet; one is sent every second or so.")
        place = bisect(self.reports, (pts_s, 0.0))
        near = self.reports[max(0, place - NEAR_REPORTS) : place + NEAR_REPORTS]
        return pts_s + statistics.median(ntp_s - at_s for at_s, ntp_s in near)


@dataclass(frozen=True, slots=True)
class Clocks:
    """The sender's clock on the time stamps of either track."""

    light: SenderClock
    sound: SenderClock


@dataclass(frozen=True, slots=True)
class Edge:
    """Where light or sound goes on."""

    at_s: float
    pts_s: float


@dataclass(frozen=True, slots=True)
class Skew:
    at_s: float
    """When the sound came."""
    ms: float
    """How much later than the light the sound is; negative: earlier."""


def light_edges(frames: Sequence[ReceivedFrame]) -> list[Edge]:
    """From dark to bright, in the upper left corner."""
    return [
        Edge(after.at_s, after.pts_s)
        for before, after in pairwise(frames)
        if before.corner <= BRIGHT < after.corner
    ]


def sound_edges(sounds: Sequence[ReceivedSound]) -> list[Edge]:
    """From at least 60 ms of silence to sound, to 5 ms."""
    edges: list[Edge] = []
    loud_s = sounds[0].pts_s if sounds else 0.0
    for sound in sounds:
        for index, rms in enumerate(sound.blocks):
            if rms <= LOUD_RMS:
                continue
            into_s = index * PACKET_S / len(sound.blocks)
            if sound.pts_s + into_s - loud_s >= QUIET_S:
                edges.append(Edge(sound.at_s + into_s, sound.pts_s + into_s))
            loud_s = sound.pts_s + into_s
    return edges


def skews(
    frames: Sequence[ReceivedFrame],
    sounds: Sequence[ReceivedSound],
    clocks: Clocks | None = None,
) -> list[Skew]:
    """One for each edge of sound that has an edge of light within 0.4 s."""
    light, sound = (clocks.light, clocks.sound) if clocks else (None, None)
    shown_s = [_moment(edge, light) for edge in light_edges(frames)]
    found = []
    for edge in sound_edges(sounds):
        heard_s = _moment(edge, sound)
        late_s = min((heard_s - light_s for light_s in shown_s), key=abs, default=FAR_S)
        if abs(late_s) < FAR_S:
            found.append(Skew(edge.at_s, late_s * 1000))
    return found


def skew_ms(
    frames: Sequence[ReceivedFrame],
    sounds: Sequence[ReceivedSound],
    clocks: Clocks | None = None,
) -> list[float]:
    """The same without their times."""
    return [skew.ms for skew in skews(frames, sounds, clocks)]


def drift_ms_per_min(found: Sequence[Skew]) -> float:
    """Slope of the line through the skews; 0 for fewer than two."""
    if len(found) < 2:
        return 0.0
    minutes = np.array([skew.at_s for skew in found]) / 60
    late = np.array([skew.ms for skew in found])
    return float(np.polyfit(minutes - minutes[0], late, 1)[0])


def intervals_ms(frames: Sequence[ReceivedFrame]) -> list[float]:
    """Between one frame and the next, as they came."""
    return [(after.at_s - before.at_s) * 1000 for before, after in pairwise(frames)]


def freezes(intervals: Sequence[float]) -> list[float]:
    """Those intervals (ms) in which the picture stood still for a person."""
    frozen = []
    for index, interval in enumerate(intervals):
        last = intervals[max(0, index - FREEZE_FRAMES) : index]
        usual = statistics.fmean(last) if last else interval
        if interval >= max(3 * usual, usual + FREEZE_MS):
            frozen.append(interval)
    return frozen


def _moment(edge: Edge, clock: SenderClock | None) -> float:
    return clock.ntp_s(edge.pts_s) if clock is not None else edge.at_s
