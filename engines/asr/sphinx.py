"""The embedded ears: pocketsphinx and its bundled English model, nothing to download.

pocketsphinx keeps Python's global lock while it works, so in a thread it would stop the event loop
of every session (1.3 s at once for 40 s of speech). It therefore lives in a child process:

    SphinxAsr ── stdin: length, samples ──► python -m engines.asr.sphinx ── stdout: length, text ──►

A cancelled turn kills the child, which stops at once; the next one starts a fresh child.
"""

import asyncio
import contextlib
import importlib.util
import os
import re
import struct
import subprocess
import sys
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import numpy as np

from engines.base import HEARING_RATE_HZ, Audio, Pcm, Transcript, Vocabulary
from engines.errors import EngineTimeout, EngineUnavailable

LENGTH = struct.Struct("<I")
"""Bytes that follow, before every message in both directions."""

START_LIMIT_S = 60.0
"""A child is ready in 0.5 s; a machine that is busy booting everything else needs far longer."""

PATIENCE_PER_SECOND = 6.0
"""Seconds allowed per second of speech: 20 times what one free core needs."""

WINDOW_S = 0.03
"""Speech is looked for in pieces of this length, one of the three that the detector takes."""

LEAST_SPEECH_S = 0.15
"""Shorter than any word worth answering: a click, a cough."""

MARGIN_S = 0.15
"""Kept around what was found, because the detector misses soft first and last consonants."""

PADDING_S = 0.1
"""Quiet around the utterance: with none the first word suffers, with 0.3 s the mean that the
features are normalised by does (29 % wrong words instead of 20 on real recordings)."""

PEAK = 0.6 * 32767
"""Loudness that every recording is brought to."""

QUIETEST = 100
"""Peak (-50 dB of full scale) below which a recording is silence: an open but idle microphone."""

MOST_GAIN = 30.0
"""Beyond this it is the noise of the microphone that would be amplified."""

SEARCH = {"fwdflatbeam": 1e-80, "fwdflatwbeam": 1e-40, "topn": 8}
"""Wider than pocketsphinx's own search: 15 % wrong words instead of 20 on clear recordings,
for a third more work."""


class SphinxAsr:
    """Recognise English speech without any model file of one's own."""

    def __init__(self, processes: int = 1) -> None:
        """Start warming up at once; each process holds its own decoder of about 130 MB."""
        if importlib.util.find_spec("pocketsphinx") is None:
            raise EngineUnavailable(
                "The embedded recogniser is not installed; install it with `pip install"
                " pocketsphinx`."
            )
        self._free = asyncio.Semaphore(processes)
        self._children = [_Child() for _ in range(processes)]

    async def transcribe(
        self, speech: Audio, language: str | None, vocabulary: Vocabulary = ()
    ) -> Transcript:
        """Turn 16 kHz English speech into text; any other `language` is refused."""
        _refuse_foreign(language)
        if len(speech.samples) < LEAST_SPEECH_S * speech.rate_hz:
            return Transcript("")
        async with self._free:
            child = self._children.pop()
            try:
                text = await child.recognise(speech)
            except BaseException:
                # Cancelled or failed, it is in the middle of something: never talk to it again.
                # Its end is also the end of the thread that waits for it.
                child.kill()
                child = _Child()
                raise
            finally:
                self._children.append(child)
        return Transcript(text, "en" if text else None)

    def close(self) -> None:
        """Stop the processes."""
        for child in self._children:
            child.kill()


def _refuse_foreign(language: str | None) -> None:
    if language and language.lower().replace("_", "-").split("-")[0] != "en":
        raise EngineUnavailable(
            f"The embedded recogniser only knows English, not `{language}`; for other languages set"
            " WHISPER_MODEL to a model name such as `small` or to the folder of a local model."
        )


class _Child:
    """One recogniser process and the talk with it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "engines.asr.sphinx"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=_environment(),
            process_group=0,  # Ctrl-C in a terminal is for the parent, which then ends this one
        )
        self._ready = False
        self.kill = weakref.finalize(self, _end, self._process)

    async def recognise(self, speech: Audio) -> str:
        limit_s = START_LIMIT_S + PATIENCE_PER_SECOND * speech.seconds
        try:
            async with asyncio.timeout(limit_s):
                return await asyncio.to_thread(self._exchange, speech.samples.tobytes())
        except TimeoutError as error:
            raise EngineTimeout(
                f"The embedded recogniser did not answer within {limit_s:.0f} s."
            ) from error

    def _exchange(self, samples: bytes) -> str:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None  # both are pipes
        try:
            if not self._ready:
                _receive(stdout)
                self._ready = True
            _send(stdin, samples)
            return _receive(stdout).decode()
        except (OSError, ValueError, EOFError) as error:
            raise EngineUnavailable(
                "The embedded recogniser has stopped; it is started again for the next sentence."
            ) from error


def _environment() -> dict[str, str]:
    """The child finds this package wherever it was imported from, and stays on one core."""
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"}


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):  # what was not written yet has nowhere to go
            if pipe is not None:
                pipe.close()


def _send(pipe: IO[bytes], message: bytes) -> None:
    pipe.write(LENGTH.pack(len(message)) + message)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> bytes:
    """Raises EOFError when the other side has gone."""
    head = pipe.read(LENGTH.size)
    if len(head) < LENGTH.size:
        raise EOFError
    (length,) = LENGTH.unpack(head)
    message = pipe.read(length)
    if len(message) < length:
        raise EOFError
    return message


# ── in the child ──────────────────────────────────────────────────────────────────────────────


def even(samples: Pcm) -> Pcm:
    """At the same loudness whatever the microphone; empty when there is nothing to make louder."""
    # Not the very highest sample: one click would keep everything else quiet.
    loud = float(np.percentile(np.abs(samples.astype(np.float32)), 99.9)) if len(samples) else 0.0
    if loud < QUIETEST:
        return np.zeros(0, np.int16)
    louder = samples * np.float32(min(PEAK / loud, MOST_GAIN))
    return louder.clip(-32768, 32767).astype(np.int16)


def cut(samples: Pcm, spoken: Iterable[bool]) -> Pcm:
    """Only where `spoken` (one flag per window) says that speech is, with a little quiet around.
    Empty when there is too little of it."""
    windows = np.flatnonzero(np.fromiter(spoken, dtype=bool))
    if len(windows) * WINDOW_S < LEAST_SPEECH_S:
        return np.zeros(0, np.int16)
    first = int((windows[0] * WINDOW_S - MARGIN_S) * HEARING_RATE_HZ)
    last = int(((windows[-1] + 1) * WINDOW_S + MARGIN_S) * HEARING_RATE_HZ)
    # Digital silence has no spectrum to speak of; the model was trained with a faint hiss.
    noise = np.random.default_rng(0).normal(0, 3, int(PADDING_S * HEARING_RATE_HZ))
    hiss = noise.astype(np.int16)
    return np.concatenate([hiss, samples[max(first, 0) : last], hiss])


def written(words: str) -> str:
    """The recogniser's words as a person would write them."""
    kept = [
        re.sub(r"\(\d+\)$", "", word)  # the second pronunciation of a word is `word(2)`
        for word in words.split()
        if word[0] not in "<[+"  # silence and noises
    ]
    text = re.sub(r"\bi\b", "I", " ".join(kept))
    return text[:1].upper() + text[1:]


class _Ears:
    """The decoder and the speech detector of one child."""

    def __init__(self) -> None:
        from pocketsphinx import (
            Decoder,
            Vad,
        )

        self._decoder = Decoder(loglevel="FATAL", **SEARCH)
        # The strictest of its modes: a keyboard or a fan must not become words.
        self._detector = Vad(Vad.STRICT, HEARING_RATE_HZ, WINDOW_S)

    def hear(self, samples: Pcm) -> str:
        loud = even(samples)
        speech = cut(loud, self._spoken(loud))
        if not len(speech):
            return ""
        self._decoder.start_utt()
        # In one piece, because then the features are normalised over the whole utterance.
        self._decoder.process_raw(speech.tobytes(), no_search=False, full_utt=True)
        self._decoder.end_utt()
        found = self._decoder.hyp()
        return written(found.hypstr) if found else ""

    def _spoken(self, samples: Pcm) -> Iterable[bool]:
        size = int(WINDOW_S * HEARING_RATE_HZ)
        for begin in range(0, len(samples) - size + 1, size):
            yield bool(self._detector.is_speech(samples[begin : begin + size].tobytes()))


def _serve() -> None:
    """Answer until the parent closes the pipe, which its death does too."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a C library prints must not land between the answers
    ears = _Ears()
    _send(answers, b"")
    while True:
        try:
            samples = np.frombuffer(_receive(sys.stdin.buffer), np.int16)
        except EOFError:
            return
        _send(answers, ears.hear(samples).encode())


if __name__ == "__main__":
    _serve()
