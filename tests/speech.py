"""Spoken words for the tests: the embedded voice, as a learner's recording."""

from engines.base import Audio, Voice
from engines.sound import joined
from engines.tts.espeak import EspeakTts
from tests.media import packed


async def spoken(words: str, voice: Voice | None = None) -> Audio:
    """The voice of these words."""
    return joined([piece async for piece in EspeakTts().speak(words, voice or Voice())])


async def recording(words: str) -> bytes:
    """The same as a WAV file; slowly, as one speaks to a recogniser."""
    speech = await spoken(words, Voice(rate=0.85))
    return packed(speech.samples, speech.rate_hz)
