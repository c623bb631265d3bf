"""Hear: the speech recogniser as a Serve application."""

from typing import Literal

from ray.serve import Application

from deployments.resources import Args, application
from deployments.settings import read_engine_settings
from engines.asr.choice import choose_asr
from engines.asr.whisper import WhisperAsr
from engines.asr.whisper_model import WhisperOptions
from engines.base import Asr, Audio, EngineState, Transcript
from engines.stub import StubAsr


class AsrArgs(Args):
    engine: Literal["auto", "whisper", "sphinx", "stub"] = "auto"
    """`auto`: faster-whisper when `whisper_model` loads, else the embedded English recogniser."""
    whisper_model: str | None = None
    """Overrides WHISPER_MODEL."""
    compute_type: str = "auto"
    """Of faster-whisper, as `int8_float16`; `auto`: the fastest for which there is room."""
    vocabulary: tuple[str, ...] = ()
    """Words that faster-whisper should expect, such as the names of a course."""
    word_times: bool = False
    """Whether faster-whisper tells when each word was said."""
    stub: StubAsr = StubAsr()


def choose(args: AsrArgs) -> tuple[Asr, EngineState]:
    if args.engine == "stub":
        return args.stub, EngineState("stub", "ready")
    model = args.whisper_model or read_engine_settings().whisper_model or None
    options = WhisperOptions(
        compute_type=args.compute_type, vocabulary=args.vocabulary, word_times=args.word_times
    )
    return choose_asr(args.engine, model, options)


class AsrDeployment:
    """Utterances of all sessions come here; an engine that can hear several at once gathers them
    itself (`engines/asr/together.py` says why not Serve)."""

    def __init__(self, args: AsrArgs) -> None:
        self._asr, self._state = choose(args)

    async def transcribe(self, speech: Audio, language: str | None) -> Transcript:
        return await self._asr.transcribe(speech, language)

    async def state(self) -> EngineState:
        if isinstance(self._asr, WhisperAsr):
            return self._asr.state  # the memory may become too little while it works
        return self._state


def build(args: AsrArgs) -> Application:
    return application("Asr", AsrDeployment, args, gpu=args.gpu)
