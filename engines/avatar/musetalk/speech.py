"""Speech as it arrives, cut into what the features of new frames need. Pure: no network in here.

Whisper's encoder attends over all of its 30 s, so what it says of a moment changes while later
sound arrives. A frame cannot wait for that. It is given once, as soon as the sound that its window
covers has been heard, which is 80 ms after the frame's end, and it stays as it was given: it is
what a run over the whole recording gives if the recording ends there. All the sound at once gives
what the published code gives.

How far an early frame is from the final one, with a trained Whisper tiny and a synthetic voice, in
the encoder's five layers (root mean square ÷ standard deviation):

    heard beyond the frame   80 ms   .03  .29  .49  .63  .67
                            120 ms   .00  .19  .33  .47  .55
                            400 ms   .00  .11  .21  .32  .32
                           1000 ms   .00  .07  .15  .23  .22
    the next frame instead           .74  .88 1.05 1.02  .79
    only 1 s before the frame known 1.27 1.00  .76  .71  .99

So it pays to take frames no sooner than they are needed, and never to leave out the speech before
them: the encoder also tells places by how long ago the speech began.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engines.base import FPS, HEARING_RATE_HZ, Pcm

Sound = npt.NDArray[np.float32]
"""Mono at 16 kHz, full scale is 1."""

ROW_SAMPLES = HEARING_RATE_HZ // 50  # 320: the encoder gives 50 rows a second
FRAME_SAMPLES = HEARING_RATE_HZ // FPS  # 640, two rows

LOOK_BACK_SAMPLES = 4 * ROW_SAMPLES  # 1,280: a frame's window begins 80 ms before the frame
LOOK_AHEAD_SAMPLES = 4 * ROW_SAMPLES  # 1,280: and ends 80 ms after it

SEGMENT_SAMPLES = 30 * HEARING_RATE_HZ  # 480,000: what the encoder looks at


@dataclass(frozen=True, slots=True)
class Stretch:
    """Frames that are wanted, and the sound around them as far as it is known."""

    sound: Sound
    """What the speech began with makes a difference, so as much of it as there is. Of a long one
    what lies whole segments of 30 s back may be left out."""
    begin: int
    """Sample at which the first frame starts; rounded down to a multiple of 320."""
    frames: int

    @classmethod
    def whole(cls, sound: Sound) -> "Stretch":
        """All frames of a recording; the rest at its end that fills none is left out."""
        return cls(sound, 0, len(sound) // FRAME_SAMPLES)


class SpeechStream:
    """The speech of one session while it arrives. Once its frames have been taken, at most 60 s of
    it are kept."""

    def __init__(self, look_ahead: int = LOOK_AHEAD_SAMPLES) -> None:
        """`look_ahead`: samples beyond a frame that must have been heard before it is given. The
        least, which is the default, is what its window covers. With more the encoder has heard
        more, and the frames come later."""
        if look_ahead < LOOK_AHEAD_SAMPLES:
            raise ValueError(f"a frame's window covers {LOOK_AHEAD_SAMPLES} samples beyond it")
        self._look_ahead = look_ahead
        self._pieces: list[Sound] = []
        self._forgotten = 0  # samples, whole segments
        self._heard = 0
        self._given = 0  # frames
        self._ended = False

    def feed(self, sound: Sound) -> None:
        """Further speech, any number of samples."""
        if self._ended:
            raise ValueError("speech was fed after its end")
        self._pieces.append(sound)
        self._heard += len(sound)

    def end(self) -> None:
        """No more will come, so the last frames need not wait for it."""
        self._ended = True

    @property
    def ready(self) -> int:
        """Frames whose window has been heard and which have not been given yet."""
        missing = 0 if self._ended else self._look_ahead
        return max(0, (self._heard - missing) // FRAME_SAMPLES - self._given)

    def take(self, limit: int | None = None) -> Stretch:
        """The frames that are ready, at most `limit`, in order; each is given once."""
        frames = self.ready if limit is None else min(limit, self.ready)
        self._forget()
        begin = self._given * FRAME_SAMPLES - self._forgotten
        self._given += frames
        return Stretch(self._joined(), begin, frames)

    def _joined(self) -> Sound:
        if len(self._pieces) != 1:
            pieces = [np.zeros(0, np.float32), *self._pieces]
            self._pieces = [np.concatenate(pieces, dtype=np.float32)]
        return self._pieces[0]

    def _forget(self) -> None:
        """What lies before the segment in which the next window begins. Whole segments, so that the
        encoder meets those that are left at their old places."""
        needed = self._given * FRAME_SAMPLES - LOOK_BACK_SAMPLES
        useless = max(0, needed) // SEGMENT_SAMPLES * SEGMENT_SAMPLES - self._forgotten
        if useless > 0:
            self._pieces = [self._joined()[useless:].copy()]
            self._forgotten += useless


def sound(samples: Pcm) -> Sound:
    """int16 as the networks want it."""
    return np.asarray(samples / np.float32(32768), np.float32)
