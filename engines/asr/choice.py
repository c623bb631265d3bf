"""Which ears this machine has: the best that is configured and loads, and the reason it is those.

whisper, when a model is named ──► sphinx, embedded ──► none: typed text keeps working
"""

import logging
from dataclasses import dataclass
from typing import Literal

from engines.asr.sphinx import SphinxAsr
from engines.asr.whisper import WhisperAsr
from engines.base import Asr, Audio, EngineState, Transcript
from engines.errors import EngineError, EngineUnavailable

_log = logging.getLogger(__name__)

AsrEngine = Literal["auto", "whisper", "sphinx"]

NO_MODEL = "No speech model is configured, so the embedded English recogniser is used."

GET_MODEL = (
    "Set WHISPER_MODEL to a model name such as `small` (downloaded once) or to the folder of a"
    " model in CTranslate2 format."
)


@dataclass(frozen=True, slots=True)
class WhisperOptions:
    """How the speech model is loaded."""

    device: str = "auto"
    """`cpu`, `cuda`, or whichever is there."""
    compute_type: str = "auto"
    """Precision of the weights, as CTranslate2 names it; `auto` is the fastest of the device."""
    cpu_threads: int = 0
    """0 leaves it to the library."""


@dataclass(frozen=True, slots=True)
class NoAsr:
    """No ears at all: says so instead of failing obscurely."""

    why: str
    """One sentence."""

    async def transcribe(self, speech: Audio, language: str | None) -> Transcript:
        """Always raises `EngineUnavailable`."""
        raise EngineUnavailable(
            f"No speech recogniser is available, so please type instead. {self.why}"
        )


def choose_asr(
    engine: AsrEngine, whisper_model: str | None, options: WhisperOptions | None = None
) -> tuple[Asr, EngineState]:
    """The recogniser to use and how it is. Never raises; loading takes seconds and a download
    minutes, so call it in a thread."""
    if engine == "sphinx":
        return _embedded(EngineState("sphinx", "ready"))
    if not whisper_model:
        return _embedded(EngineState("sphinx", "degraded", NO_MODEL, GET_MODEL))
    chosen = options or WhisperOptions()
    try:
        whisper = WhisperAsr.load(
            whisper_model, chosen.device, chosen.compute_type, chosen.cpu_threads
        )
    except EngineError as error:
        _log.warning("%s", error.sentence)
        return _embedded(EngineState("sphinx", "degraded", error.sentence, GET_MODEL))
    return whisper, EngineState("whisper", "ready", f"Listening with `{whisper_model}`.")


def _embedded(state: EngineState) -> tuple[Asr, EngineState]:
    try:
        return SphinxAsr(), state
    except EngineError as error:
        why = " ".join(filter(None, (state.reason, error.sentence)))
        return NoAsr(why), EngineState("none", "unavailable", why, GET_MODEL)
