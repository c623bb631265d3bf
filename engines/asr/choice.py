"""Which ears this machine has: the best that is configured and loads, and the reason it is those.

whisper, when a model is named ──► sphinx, embedded ──► none: typed text keeps working
"""

import logging
from dataclasses import dataclass
from typing import Literal

from engines.asr.sphinx import SphinxAsr
from engines.asr.whisper import WhisperAsr
from engines.asr.whisper_model import WhisperOptions
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
    """The recogniser to use and how it is now. Never raises; loading takes seconds and a download
    minutes, so call it in a thread."""
    if engine == "sphinx":
        return _embedded(EngineState("sphinx", "ready"))
    if not whisper_model:
        return _embedded(EngineState("sphinx", "degraded", NO_MODEL, GET_MODEL))
    try:
        whisper = WhisperAsr.load(whisper_model, options)
    except EngineError as error:
        _log.warning("%s", error.sentence)
        return _embedded(EngineState("sphinx", "degraded", error.sentence, GET_MODEL))
    return whisper, whisper.state


def _embedded(state: EngineState) -> tuple[Asr, EngineState]:
    try:
        return SphinxAsr(), state
    except EngineError as error:
        why = " ".join(filter(None, (state.reason, error.sentence)))
        return NoAsr(why), EngineState("none", "unavailable", why, GET_MODEL)
