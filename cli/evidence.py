"""What an answer must hold to count as one: sound that sounds, a picture that can be played."""

import asyncio
import base64
import binascii
import io
import wave

import av
import numpy as np

from cli.client import ANSWER_LIMIT_S, Event, Hung, Silent, Talk
from engines.base import Audio, Voice
from engines.sound import joined
from engines.tts.espeak import EspeakTts
from serve_app.recording import wav_bytes

CLEAR = Voice(name="f2", rate=0.85, language="en")
"""The variant that recognisers understand best, as slowly as one speaks to them."""

AUDIBLE = 500
"""Of 32,767: quieter than any voice, louder than any noise of a codec."""


class Wrong(Exception):
    """What came is not what should have come."""

    def __init__(self, expected: str, came: str, stage: str | None = None) -> None:
        super().__init__(expected, came)
        self.expected = expected
        self.came = came
        self.stage = stage
        """The engine that is probably to blame."""


def expect(
    socket: Talk, kind: str, stage: str | None = None, limit_s: float = ANSWER_LIMIT_S
) -> Event:
    """The next event, which must be of this type. Raises `Wrong`."""
    try:
        event = socket.receive(limit_s)
    except Silent as silent:
        raise Wrong(f"`{kind}`", f"nothing within {limit_s:g} s", stage) from silent
    except Hung as hung:
        raise Wrong(f"`{kind}`", f"the end of the connection ({hung.code})", stage) from hung
    if event.get("type") == kind:
        return event
    if event.get("type") == "error":
        # Its own sentence says more than a guess at the engine to blame.
        raise Wrong(f"`{kind}`", f"`error`: {event.get('content')}")
    raise Wrong(f"`{kind}`", f"`{event.get('type')}`", stage)


def heard(data: str | None) -> str:
    """How long a base64 WAV sounds. Raises `Wrong`."""
    if not data:
        raise Wrong("a voice", "an answer without one", "tts")
    try:
        with wave.open(io.BytesIO(base64.b64decode(data, validate=True))) as reader:
            samples = np.frombuffer(reader.readframes(reader.getnframes()), "<i2")
            seconds = reader.getnframes() / reader.getframerate()
    except (binascii.Error, wave.Error, EOFError) as broken:
        raise Wrong("a WAV", f"something else ({broken})", "tts") from broken
    if not len(samples) or np.abs(samples.astype(np.int32)).max() < AUDIBLE:
        raise Wrong("a voice that can be heard", "silence", "tts")
    return f"{seconds:.1f} s of voice"


def seen(data: str) -> str:
    """What a base64 MP4 shows, all of it decoded. Raises `Wrong`."""
    try:
        content = io.BytesIO(base64.b64decode(data, validate=True))
        with av.open(content, "r") as film:
            if not film.streams.video or not film.streams.audio:
                raise Wrong("a film with sound", "one of them is missing", "avatar")
            stream = film.streams.video[0]
            size = f"{stream.width}×{stream.height}"
            frames = len([frame.pts for frame in film.decode(video=0)])
            fps = float(stream.average_rate or 0)
    except (binascii.Error, av.FFmpegError) as broken:
        raise Wrong("a film that can be played", f"a broken one ({broken})", "avatar") from broken
    if not frames:
        raise Wrong("a film with pictures", "one without", "avatar")
    return f"{frames} frames of {size} at {fps:g} a second, {len(data) * 3 // 4 / 1000:.0f} kB"


def spoken(sentence: str) -> bytes:
    """A recording of this sentence, as a WAV file."""
    return wav_bytes(asyncio.run(_voice_of(sentence)))


async def _voice_of(sentence: str) -> Audio:
    return joined([piece async for piece in EspeakTts().speak(sentence, CLEAR)])
