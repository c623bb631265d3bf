"""Spoken words for the tests: the embedded voice, as a learner's microphone would record it."""

import numpy as np

from engines.base import HEARING_RATE_HZ, Audio, Voice
from engines.sound import joined
from engines.tts.espeak import EspeakTts
from serve_app.recording import resampled, wav_bytes

CLEAR = Voice(name="f2", rate=0.85)
"""The variant that recognisers understand best, as slowly as one speaks to them."""

ROOM_NOISE = 60
"""Hiss around a synthetic voice, which else has empty bands that no microphone ever records: a
third of the words is recognised without it, three quarters with it."""


async def say(words: str, voice: Voice = CLEAR) -> Audio:
    """The voice of these words in a room, at the rate that recognisers are given."""
    pieces = [piece async for piece in EspeakTts().speak(words, voice)]
    speech = resampled(joined(pieces), HEARING_RATE_HZ)
    noise = np.random.default_rng(0).normal(0, ROOM_NOISE, len(speech.samples))
    samples = (speech.samples + noise).clip(-32768, 32767).astype(np.int16)
    return Audio(samples, HEARING_RATE_HZ)


async def recording(words: str) -> bytes:
    """The same as a WAV file."""
    return wav_bytes(await say(words))
