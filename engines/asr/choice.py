"""Which ears this machine has: Whisper when a model is named and loads, else pocketsphinx.

start ──► sphinx hears ──model loaded──► Whisper hears ──it fails──► sphinx, for `REST_S`
               └────it does not load: tried again every `LOAD_AGAIN_S`, and the state says why
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from engines.asr.download import Told
from engines.asr.sphinx import SphinxAsr
from engines.base import Asr, Audio, EngineState, Transcript, Vocabulary
from engines.errors import EngineError, EngineTimeout, EngineUnavailable

_log = logging.getLogger(__name__)

REST_S = 15.0
"""After a failure Whisper is asked again so much later: memory may be free by then."""

LOAD_AGAIN_S = 10.0
"""After it could not be loaded: its folder may be there by then, or the network."""

HEAR_LIMIT_S = 35.0
"""For Whisper; a turn waits for 60 s, and the embedded recogniser needs some of that, too."""

SPHINX = "sphinx"

GET_MODEL = (
    "Set WHISPER_MODEL to a model name such as `small` (downloaded once) or to the folder of a"
    " model in CTranslate2 format."
)


class Whisper(Asr, Protocol):
    """`engines.asr.whisper.WhisperAsr`, which is imported only when it is wanted."""

    @property
    def state(self) -> EngineState: ...

    @property
    def is_loaded(self) -> bool: ...


class StatedAsr(Asr, Protocol):
    """Ears that tell how they are."""

    async def state(self) -> EngineState: ...


@dataclass(frozen=True, slots=True)
class NoAsr:
    """No ears at all: says so instead of failing obscurely."""

    why: str
    """One sentence."""

    async def transcribe(
        self, speech: Audio, language: str | None, vocabulary: Vocabulary = ()
    ) -> Transcript:
        """Always raises `EngineUnavailable`."""
        raise EngineUnavailable(
            f"No speech recogniser is available, so please type instead. {self.why}"
        )


class PlainSphinx:
    """pocketsphinx alone: because it was asked for, or for want of a model."""

    def __init__(self, *, wanted: bool) -> None:
        """Never raises."""
        self._ears = embedded()
        self._wanted = wanted

    async def transcribe(
        self, speech: Audio, language: str | None, vocabulary: Vocabulary = ()
    ) -> Transcript:
        return await self._ears.transcribe(speech, language, vocabulary)

    async def state(self) -> EngineState:
        if isinstance(self._ears, NoAsr):
            return EngineState("none", "unavailable", self._ears.why, GET_MODEL)
        if self._wanted:
            return EngineState(SPHINX, "ready", "The embedded English recogniser hears.")
        lack = "No speech model is configured, so the embedded English recogniser hears."
        return EngineState(SPHINX, "degraded", lack, GET_MODEL)


class BestAsr:
    """Whisper, and pocketsphinx while there is no Whisper; moves up and down by itself, and what
    Whisper fails on is heard by pocketsphinx."""

    def __init__(self, load: Callable[[Told], Whisper], *, fallback: bool = True) -> None:
        """`load` may take minutes: it is called in a thread, and meanwhile pocketsphinx hears.
        Without the `fallback` nothing is heard until Whisper can."""
        self._fallback = fallback
        self._ears = embedded() if fallback else None
        self._whisper: Whisper | None = None
        self._problem: str | None = None
        self._how_far = "loading"
        self._rests_until_s = float("-inf")
        self._load = load
        self._tried = threading.Event()
        self._start_loading()

    async def transcribe(
        self, speech: Audio, language: str | None, vocabulary: Vocabulary = ()
    ) -> Transcript:
        """Turn 16 kHz speech into text. Raises `EngineError`."""
        whisper = self._whisper
        if whisper is None or self._resting():
            return await self._substitute(speech, language, self._without())
        try:
            async with asyncio.timeout(HEAR_LIMIT_S):
                heard = await whisper.transcribe(speech, language, vocabulary)
        except EngineUnavailable:
            raise  # it is well, but not made for this: a language, or too many at once
        except EngineError as error:
            failure: EngineError = error
        except TimeoutError:
            failure = EngineTimeout(
                f"The speech model did not answer within {HEAR_LIMIT_S:.0f} s. Set WHISPER_MODEL to"
                " a smaller one."
            )
        else:
            self._relieve()
            return heard
        self._rest(whisper, failure)
        return await self._substitute(speech, language, failure)

    async def state(self) -> EngineState:
        if self._whisper is not None and self._problem is None:
            return self._whisper.state
        how = "cannot be used" if self._problem else f"is {self._how_far}"
        if self._fallback and not isinstance(self._ears, NoAsr):
            reason = f"The speech model {how}. The embedded English recogniser hears instead."
            return EngineState(SPHINX, "degraded", reason, self._problem or "")
        return EngineState(
            "whisper",
            "unavailable" if self._problem else "starting",
            f"The speech model {how}. Nothing is heard until then.",
            self._problem or "",
        )

    async def loaded(self) -> None:
        """Wait until it is known whether Whisper loads at once."""
        await asyncio.to_thread(self._tried.wait)

    # ── in a thread ───────────────────────────────────────────────────────────────────────────

    def _start_loading(self) -> None:
        threading.Thread(target=self._keep_loading, name="load-ears", daemon=True).start()

    def _keep_loading(self) -> None:
        while not self._has_loaded():
            self._tried.set()
            time.sleep(LOAD_AGAIN_S)
        self._tried.set()

    def _has_loaded(self) -> bool:
        try:
            whisper = self._load(self._tell)
        except EngineError as error:
            self._note(error.sentence)
        except Exception:  # whatever it is, the embedded recogniser hears on
            if not self._tried.is_set():
                _log.exception("the speech model could not be loaded")
            self._note("The speech model could not be loaded; the log of `asr` says why.")
        else:
            self._whisper = whisper
            self._relieve()
            _log.info("%s", whisper.state.reason)
            return True
        return False

    def _tell(self, how_far: str) -> None:
        self._how_far, self._problem = how_far, None

    def _note(self, problem: str) -> None:
        if problem != self._problem:
            _log.warning("%s", problem)
        self._problem = problem

    # ── when Whisper does not hear ────────────────────────────────────────────────────────────

    def _resting(self) -> bool:
        return time.monotonic() < self._rests_until_s

    def _rest(self, whisper: Whisper, failure: EngineError) -> None:
        self._note(failure.sentence)
        if whisper.is_loaded:
            self._rests_until_s = time.monotonic() + REST_S
        elif self._whisper is whisper:  # the first to notice
            self._whisper, self._how_far = None, "loading"
            self._start_loading()

    def _without(self) -> EngineUnavailable:
        return EngineUnavailable(
            self._problem or f"The speech model is still {self._how_far}. Its state is in /health."
        )

    def _relieve(self) -> None:
        """Whisper hears. The embedded recogniser ends with whatever it still works on, which gives
        back its 130 MB; it would be there again in half a second."""
        self._problem, self._ears = None, None

    async def _substitute(
        self, speech: Audio, language: str | None, lack: EngineError
    ) -> Transcript:
        """By the embedded recogniser. Raises `lack`, which led here, where that cannot help."""
        if not self._fallback:
            raise lack
        ears = self._ears = self._ears or embedded()  # Whisper may be there again meanwhile
        try:
            return await ears.transcribe(speech, language)
        except EngineUnavailable as also:
            raise EngineUnavailable(f"{lack.sentence} {also.sentence}") from lack


def embedded() -> SphinxAsr | NoAsr:
    try:
        return SphinxAsr()
    except EngineError as error:
        return NoAsr(error.sentence)
