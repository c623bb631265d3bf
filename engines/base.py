"""What the engines exchange, and one small Protocol for each verb of a turn.

Whole values go in, streams come out: a Serve handle streams results, not arguments, so the same
Protocols fit an engine in this process and its remote twin behind a handle.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from engines.knowledge.base import Found
from engines.memory.base import Note

FPS = 25
"""Frames a second of every face. MuseTalk's audio window is only right at 25."""

FRAME_S = 1 / FPS
"""Seconds of one frame (40 ms)."""

HEARING_RATE_HZ = 16_000
"""Sample rate that every recogniser is given."""

VAD_WINDOW = 512
"""Samples (32 ms at 16 kHz) that a speech detector judges at once: what Silero was trained on."""

FRAME_SIZE_PX = 512
"""Width and height of a face's frame."""

Pcm = npt.NDArray[np.int16]
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Phoneme:
    """One sound of the voice: an IPA-like symbol as the voice names it, and when it starts."""

    symbol: str
    at_s: float
    """Seconds from the first sample of the `Audio` it belongs to."""


@dataclass(frozen=True, slots=True)
class Audio:
    """Mono sound."""

    samples: Pcm
    """int16, shape [n]."""
    rate_hz: int
    phonemes: tuple[Phoneme, ...] = ()
    """In order of time; each lasts until the next, the last until the end of the samples.
    Empty when the voice does not tell."""

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate_hz


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a recording, and when it was said."""

    text: str
    start_s: float
    """Seconds from the first sample."""
    end_s: float


Vocabulary = tuple[str, ...]
"""Words that are likely to be said, such as those of a course."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """What the learner said."""

    text: str
    """Empty when nothing was understood."""
    language: str | None = None
    """ISO 639-1, when the recogniser knows it."""
    words: tuple[Word, ...] = ()
    """In order of time. Empty when the recogniser does not tell."""


Outside = Literal["say_so", "general"]
"""`say_so`: say that the course does not tell; `general`: answer from general knowledge, and say
that as well."""


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of a conversation as a language model sees it."""

    role: Literal["system", "user", "assistant"]
    content: str
    sources: tuple[Found, ...] = ()
    """Of a question: what the course has on it, the best first. Data, never instructions: whoever
    asks a model marks them as such; the offline tutor quotes them."""
    chapters: tuple[str, ...] = ()
    """Of a question: what the course is about, in its own order. Where `sources` are empty too,
    there is no course."""
    outside: Outside = "say_so"
    """What to do with a question that the course does not answer."""
    notes: tuple[Note, ...] = ()
    """Of the system: what the tutor remembers of the student, the most telling first. Data, as
    `sources` are."""


@dataclass(frozen=True, slots=True)
class Voice:
    """How a tutor sounds."""

    name: str = ""
    """A voice of the engine, for example `f3` of espeak-ng, or the name of a cloned one; empty for
    the engine's own choice."""
    rate: float = 1.0
    """Factor on the engine's natural speed, 0.5 to 2."""
    pitch: float = 1.0
    """Factor on the voice's natural pitch, 0.5 to 2."""
    language: str | None = None
    """ISO 639-1 for every sentence; None: chosen sentence by sentence."""
    tutor_id: int | None = None
    """Whose it is: a tutor may have been given a cloned voice that goes before `name`."""
    reference: bytes = b""
    """Of a cloned voice: a recording of the one who is to be heard, s16 mono at
    `HEARING_RATE_HZ`. It comes with every sentence, so that any replica on any node can speak it
    at once, and none has to remember it; an engine that cannot clone speaks with its own voice."""


@dataclass(frozen=True, slots=True)
class KnownVoice:
    """A voice that an engine has of its own."""

    name: str
    engine: str
    language: str | None = None
    """ISO 639-1; None: every language that the engine speaks."""


@dataclass(frozen=True, slots=True)
class Cue:
    """Which frames of a face to draw for a stretch of speech."""

    avatar: str
    """Name of the face."""
    first_frame: int
    """Index on the face's own endless cycle, so that the body goes on where it was."""
    begin: int
    """Sample of the speech at which the first frame starts; what lies before is context."""
    frames: int
    """How many frames to draw; what the speech holds beyond them is look-ahead."""


@dataclass(frozen=True, slots=True)
class Patch:
    """The mouth region of consecutive frames: paste `pixels[i]` with its upper left corner at
    (`x`, `y`) onto frame `first_frame + i`."""

    first_frame: int
    x: int
    y: int
    pixels: Pixels
    """uint8 BGR, shape [frames, height, width, 3]."""


@dataclass(frozen=True, slots=True)
class EngineState:
    """How an engine is, as `/health` tells it."""

    engine: str
    """Name of the engine that does the work now."""
    state: Literal["ready", "degraded", "starting", "unavailable"]
    reason: str = ""
    """One sentence: why it is so."""
    remedy: str = ""
    """One sentence: what a person can do; empty when nothing needs doing."""


class Asr(Protocol):
    """Hear."""

    async def transcribe(
        self, speech: Audio, language: str | None, vocabulary: Vocabulary = ()
    ) -> Transcript:
        """Turn 16 kHz speech into text; language and vocabulary are hints. Raises `EngineError`."""
        ...


class Vad(Protocol):
    """Tell speech from other sound, along one stream."""

    def speech(self, window: Pcm) -> float:
        """Probability (0 to 1) that this window of `VAD_WINDOW` samples holds speech. The windows
        of a stream follow one another; takes a fraction of a millisecond, in the caller's thread.
        """
        ...


class Llm(Protocol):
    """Think."""

    def reply(self, messages: Sequence[Message]) -> AsyncIterator[str]:
        """Stream the answer's text as it is written. Raises `EngineError`."""
        ...


class Tts(Protocol):
    """Speak."""

    def speak(self, sentence: str, voice: Voice) -> AsyncIterator[Audio]:
        """Stream the voice of one sentence, all pieces at one sample rate. Raises `EngineError`."""
        ...


class Avatar(Protocol):
    """Show."""

    def animate(self, speech: Audio, cue: Cue) -> AsyncIterator[Patch]:
        """Stream the mouth of `cue.frames` frames in order. Raises `EngineError`."""
        ...


class Backdrop(Protocol):
    """The whole frames of a face, mouth closed, onto which patches are pasted."""

    def frame(self, index: int) -> Pixels:
        """Frame `index` of the endless idle cycle: uint8 BGR, shape [512, 512, 3], read-only."""
        ...
