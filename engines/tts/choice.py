"""Which voice a tutor gets: Coqui's when its model is there, else espeak-ng's.

start ──► espeak speaks ──model loaded──► Coqui speaks ──it fails──► espeak, for `REST_S`
               ├──────it does not load──► espeak, the state says why, and it is tried again
               └──────it cannot keep up──► espeak, and the state says why
"""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace

from engines.base import Audio, EngineState, KnownVoice, Voice
from engines.errors import EngineError, EngineTimeout, EngineUnavailable, UnknownVoice
from engines.tts.coqui import CoquiTts
from engines.tts.espeak import EspeakTts
from engines.tts.espeak_library import open_espeak
from engines.tts.loudness import LevelledTts
from engines.tts.stand_in import espeak_stand_in

logger = logging.getLogger(__name__)

REST_S = 15.0
"""After a failure Coqui is asked again so much later: memory may be free by then. After each
further one twice as long, because a voice that hangs costs a learner `PIECE_LIMIT_S` each time."""

LONGEST_REST_S = 240.0

FAILURES = 3
"""In a row, where each alone may lie in its own sentence, are the model's."""

PIECE_LIMIT_S = 15.0
"""For each piece, where espeak can stand in; less than the turn's own 20 s, so that a voice that
hangs is known here."""

LOAD_AGAIN_S = 30.0
"""After it could not be loaded: its folder may be there by then, or the network."""

SLOWEST_PACE = 0.9
"""Seconds of work for a second of speech. Above 1 an answer would stop between its words."""

ESPEAK = "espeak-ng"


class PlainEspeak:
    """espeak-ng alone."""

    def __init__(self) -> None:
        self._voice = LevelledTts(EspeakTts())

    def speak(self, sentence: str, voice: Voice) -> AsyncGenerator[Audio, None]:
        return self._voice.speak(sentence, _own_if_cloned(voice))

    async def state(self) -> EngineState:
        return EngineState(ESPEAK, "ready", "The embedded voice speaks.")

    async def voices(self) -> list[KnownVoice]:
        return espeak_voices()


class BestTts:
    """Coqui's voice, and espeak-ng's while there is no other; moves up and down by itself."""

    def __init__(self, load: Callable[[], CoquiTts], *, fallback: bool = True) -> None:
        """`load` may take minutes: it is called in a thread, and meanwhile espeak speaks. Without
        the `fallback` nothing is said until Coqui can."""
        self._espeak = LevelledTts(EspeakTts()) if fallback else None
        self._coqui: CoquiTts | None = None
        self._voice: LevelledTts | None = None
        self._problem: str | None = None
        self._failures = 0
        self._rest_s = REST_S
        self._rests_until_s = float("-inf")
        self._load = load
        self._tried = threading.Event()
        threading.Thread(target=self._keep_loading, name="load-voice", daemon=True).start()

    async def speak(self, sentence: str, voice: Voice) -> AsyncGenerator[Audio, None]:
        """Stream the voice of one sentence. It changes from Coqui to espeak only where nothing of
        the sentence has been spoken. Raises `EngineError`."""
        if (coqui := self._ready_for(sentence, voice)) is not None:
            begun = False
            try:
                limit_s = PIECE_LIMIT_S if self._espeak else None
                speech = coqui.speak(sentence, voice)
                async with aclosing(_in_time(speech, limit_s)) as pieces:
                    async for piece in pieces:
                        begun = True
                        yield piece
                self._problem, self._failures, self._rest_s = None, 0, REST_S
                return
            except UnknownVoice:
                raise
            except EngineError as error:
                self._note_failure(error)
                if begun or self._espeak is None:
                    raise
        async with aclosing(self._substitute().speak(sentence, _as_espeak(voice))) as pieces:
            async for piece in pieces:
                yield piece

    async def state(self) -> EngineState:
        if self._coqui is not None and self._problem is None:
            return EngineState("coqui", "ready", f"Speaks with {self._coqui.kind}.")
        instead = f" {ESPEAK} speaks instead." if self._espeak else " No voice speaks."
        engine = ESPEAK if self._espeak else "coqui"
        if not self._tried.is_set():
            reason = f"Coqui's voice is loading.{instead}"
            return EngineState(engine, "degraded" if self._espeak else "starting", reason)
        state = EngineState(engine, "degraded", f"Coqui's voice cannot be used.{instead}")
        state = replace(state, remedy=self._problem or "")
        return state if self._espeak else replace(state, state="unavailable")

    async def voices(self) -> list[KnownVoice]:
        """Those a tutor may be given; Coqui has somebody alike for each of espeak's."""
        coqui = self._coqui.voices if self._coqui is not None else []
        return coqui + (espeak_voices() if self._espeak else [])

    async def loaded(self) -> None:
        """Wait until it is known which engine speaks."""
        await asyncio.to_thread(self._tried.wait)

    def _keep_loading(self) -> None:
        while not self._has_loaded():
            self._tried.set()
            time.sleep(LOAD_AGAIN_S)
        self._tried.set()

    def _has_loaded(self) -> bool:
        """Whether it is loaded, used or not."""
        try:
            coqui = self._load()
        except EngineError as error:
            self._note(error.sentence)
        except Exception:  # whatever it is, the embedded voice speaks on
            if not self._tried.is_set():
                logger.exception("Coqui's voice could not be loaded")
            self._note("Coqui's voice could not be loaded; the log of `tts` says why.")
        else:
            self._problem = None
            self._take(coqui)
            return True
        return False

    def _note(self, problem: str) -> None:
        if problem != self._problem:  # else the log would say it again and again
            logger.warning("%s", problem)
        self._problem = problem

    def _take(self, coqui: CoquiTts) -> None:
        if self._espeak is not None and coqui.pace > SLOWEST_PACE:
            self._problem = (
                f"{coqui.kind} needs {coqui.pace:.1f} s for a second of speech on this machine. "
                "Name a VITS in TTS_MODEL, use a GPU, or set `engine: coqui` to hear it anyway."
            )
            logger.warning("%s", self._problem)
            return
        self._voice, self._coqui = LevelledTts(coqui), coqui
        logger.info("Coqui's voice is loaded: %s", coqui.kind)

    def _ready_for(self, sentence: str, voice: Voice) -> LevelledTts | None:
        """Coqui, when it should speak this sentence."""
        if self._coqui is None or self._resting():
            return None
        if self._espeak is not None and not self._coqui.speaks(sentence, voice):
            return None
        return self._voice

    def _substitute(self) -> LevelledTts:
        if self._espeak is None:
            raise EngineUnavailable(
                self._problem or "The voice is still loading. Its state is in /health."
            )
        return self._espeak

    def _resting(self) -> bool:
        return time.monotonic() < self._rests_until_s

    def _note_failure(self, error: EngineError) -> None:
        """One sentence that cannot be spoken must not take the voice from everybody."""
        logger.warning("Coqui's voice failed: %s", error.sentence)
        self._failures += 1
        if self._failures >= FAILURES or isinstance(error, EngineUnavailable | EngineTimeout):
            self._rest(error)

    def _rest(self, error: EngineError) -> None:
        self._problem = error.sentence
        if self._resting():
            return  # it was begun before the failure that is known already
        self._rests_until_s = time.monotonic() + self._rest_s
        self._rest_s = min(2 * self._rest_s, LONGEST_REST_S)


async def _in_time(
    speech: AsyncGenerator[Audio, None], limit_s: float | None
) -> AsyncGenerator[Audio, None]:
    """The pieces; closes the speech at the end. Raises `EngineTimeout` when one is late."""
    async with aclosing(speech):
        while True:
            try:
                async with asyncio.timeout(limit_s):
                    piece = await anext(speech)
            except StopAsyncIteration:
                return
            except TimeoutError as late:
                raise EngineTimeout(
                    f"Coqui's voice did not go on within {limit_s:g} s. Use a smaller model, "
                    "or restart the application `tts` if it stays so."
                ) from late
            yield piece


def espeak_voices() -> list[KnownVoice]:
    return [KnownVoice(name, ESPEAK) for name in sorted(open_espeak().variants, key=str.lower)]


def _own_if_cloned(voice: Voice) -> Voice:
    """espeak cannot clone; it speaks with its usual voice then."""
    return replace(voice, name="", reference=b"") if voice.reference else voice


def _as_espeak(voice: Voice) -> Voice:
    """For a sentence that Coqui should have spoken: its voices have other names."""
    name = "" if voice.reference else espeak_stand_in(voice.name, open_espeak().variants)
    return replace(voice, name=name, reference=b"")
