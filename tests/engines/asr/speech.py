"""Spoken English to recognise, made by espeak-ng through its C interface."""

import ctypes
from functools import cache

import av
import espeakng_loader  # type: ignore[import-untyped]  # the wheel ships no types
import numpy as np

from engines.base import HEARING_RATE_HZ, Audio, Pcm

RETRIEVAL = 1  # AUDIO_OUTPUT_RETRIEVAL: samples go to the callback, to no sound card
UTF8 = 1  # espeakCHARS_UTF8
RATE = 1  # espeakRATE, words a minute

ROOM_NOISE = 60
"""Hiss around a synthetic voice, which else has empty bands that no microphone ever records: a
third of the words is recognised without it, three quarters with it."""

_SYNTH_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


@cache
def _espeak() -> tuple[ctypes.CDLL, int]:
    library = espeakng_loader.load_library()
    folder = espeakng_loader.get_data_path().encode()
    rate_hz = library.espeak_Initialize(RETRIEVAL, 0, folder, 0)
    return library, rate_hz


def say(text: str, voice: str = "en-us", words_a_minute: int = 150) -> Audio:
    """Speak `text` at the rate that recognisers are given."""
    library, rate_hz = _espeak()
    pieces: list[Pcm] = []

    def collect(samples: "ctypes._Pointer[ctypes.c_short]", count: int, _events: int) -> int:
        if count > 0:
            pieces.append(np.ctypeslib.as_array(samples, shape=(count,)).astype(np.int16))
        return 0

    callback = _SYNTH_CALLBACK(collect)
    library.espeak_SetSynthCallback(callback)
    library.espeak_SetVoiceByName(voice.encode())
    library.espeak_SetParameter(RATE, words_a_minute, 0)
    data = text.encode() + b"\0"
    library.espeak_Synth(data, len(data), 0, 0, 0, UTF8, None, None)
    library.espeak_Synchronize()
    return Audio(_in_a_room(_at_hearing_rate(np.concatenate(pieces), rate_hz)), HEARING_RATE_HZ)


def _at_hearing_rate(samples: Pcm, rate_hz: int) -> Pcm:
    frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate = rate_hz
    resampler = av.AudioResampler(format="s16", layout="mono", rate=HEARING_RATE_HZ)
    resampled = [*resampler.resample(frame), *resampler.resample(None)]
    return np.concatenate([piece.to_ndarray()[0] for piece in resampled]).astype(np.int16)


def _in_a_room(samples: Pcm) -> Pcm:
    noise = np.random.default_rng(0).normal(0, ROOM_NOISE, len(samples))
    return (samples + noise).clip(-32768, 32767).astype(np.int16)
