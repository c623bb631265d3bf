"""Is what the microphone hears the tutor itself, back through the learner's loudspeaker?

Rooms and loudspeakers change the tone and the level of a voice, but hardly its rhythm: which bands
of frequency rise and fall when. So the rhythm of both sides is compared at every possible delay.

Measured with the tutors' voices, English and Chinese, and other voices of the same synthesiser, in
16 to 36 simulated rooms (delay 40 to 500 ms, 6 to 30 dB fainter, reverberation of 0.1 to 0.45 s,
filtered, noise); of the windows that the detector takes for speech there were flagged:

    an echo                                                           > 99.9 %
    an echo whose delay jumps every 3 s                                   99 %
    an echo squashed by its loudspeaker; in a telephone's band        99; 96 %
    what random gain leaves of an echo: in all bands; band by band    99; 86 %
    another voice while the tutor speaks                                 0.3 %
    another voice that begins within 0.9 s of the tutor                    2 %
    another voice, 3 to 12 dB louder than the echo                   6 to 8 %

A learner who breaks in is noticed after 0.13 s, where there is an echo 12, 6 or 0 dB fainter after
0.2, 0.35 or 0.9 s (medians). A window costs 0.13 ms.
"""

import numpy as np
import numpy.typing as npt

from engines.base import HEARING_RATE_HZ, VAD_WINDOW, Pcm

LONGEST_DELAY_MS = 600
"""Sound buffers of a browser, the way through the network's jitter buffers, and the air."""

SPAN_WINDOWS = 24
"""0.8 s: three syllables. With fewer, other voices agree by chance; with more, a learner who breaks
in is noticed later."""

BANDS = 16

BAND_EDGES_HZ = (120, 5000)
"""Small loudspeakers give nothing below, and voices little above."""

LOUDNESS = 0.3
"""Exponent of the power: as the ear hears it. A logarithm would weigh the noise in the gaps of a
faint echo like the syllables."""

LIKENESS = 0.55
"""Correlation from which it is an echo. Clean echoes stay above 0.7, other voices below 0.5; what a
browser's own echo canceller leaves over lies between."""

HOP = VAD_WINDOW // 2
"""Samples between the compared delays."""

_LAGS = LONGEST_DELAY_MS * HEARING_RATE_HZ // 1000 // HOP + 1
_PLAYED = 2 * SPAN_WINDOWS + _LAGS
_HANN = np.hanning(VAD_WINDOW).astype(np.float32)

Loudness = npt.NDArray[np.float32]


class EchoGuard:
    """Follows both directions of one call, window by window, in step with the clock."""

    def __init__(self) -> None:
        self._played = np.zeros((_PLAYED, BANDS), np.float32)
        self._heard: Loudness | None = None
        self._last: Pcm = np.zeros(VAD_WINDOW, np.int16)

    def played(self, window: Pcm) -> None:
        """What the tutor sends now, at 16 kHz; silence too."""
        between = np.concatenate([self._last[HOP:], window[:HOP]])
        self._played[:-2] = self._played[2:]
        self._played[-2] = _loudness(between)
        self._played[-1] = _loudness(window)
        self._last = window

    def heard(self, window: Pcm) -> None:
        """What the microphone gives now."""
        loudness = _loudness(window)
        if self._heard is None:
            # As if it had been so before: a start would look like the start of the tutor's voice.
            self._heard = np.tile(loudness, (SPAN_WINDOWS, 1))
        self._heard[:-1] = self._heard[1:]
        self._heard[-1] = loudness

    def is_echo(self) -> bool:
        """Whether what the microphone gave last is the tutor's own voice."""
        return self.likeness() >= LIKENESS

    def likeness(self) -> float:
        """Correlation, up to 1, at the delay where it is greatest."""
        if self._heard is None:
            return 0.0
        heard = self._heard - self._heard.mean(axis=0)
        views = np.lib.stride_tricks.sliding_window_view(self._played, 2 * SPAN_WINDOWS - 1, axis=0)
        played = views[:, :, ::2]
        played = played - played.mean(axis=2, keepdims=True)
        product = np.einsum("lbt,tb->l", played, heard)
        power = np.einsum("lbt,lbt->l", played, played) * np.sum(heard * heard)
        return float(np.max(product / np.sqrt(power + 1e-6)))


def _bands() -> npt.NDArray[np.float32]:
    """Which of the frequencies belong to which band, the bands being as wide as the ear's."""
    low, high = (2595 * np.log10(1 + edge / 700) for edge in BAND_EDGES_HZ)  # mel
    edges = 700 * (10 ** (np.linspace(low, high, BANDS + 1) / 2595) - 1)
    frequencies = np.fft.rfftfreq(VAD_WINDOW, 1 / HEARING_RATE_HZ)
    band = np.digitize(frequencies, edges) - 1
    return np.asarray(band == np.arange(BANDS)[:, np.newaxis], np.float32)


_BANDS = _bands()


def _loudness(window: Pcm) -> Loudness:
    """Of each band, against the mean of all: or two voices that begin together would look alike."""
    power = np.abs(np.fft.rfft(window * _HANN)) ** 2
    loudness: Loudness = (_BANDS @ power.astype(np.float32)) ** np.float32(LOUDNESS)
    return loudness - np.float32(loudness.mean())
