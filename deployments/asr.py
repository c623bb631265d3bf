"""Hear: the speech recogniser as a Serve application."""

from typing import Literal

from ray.serve import Application

from deployments.resources import Args, application
from deployments.settings import read_engine_settings
from engines.asr.choice import choose_asr
from engines.base import Asr, Audio, EngineState, Transcript
from engines.stub import StubAsr


class AsrArgs(Args):
    engine: Literal["auto", "whisper", "sphinx", "stub"] = "auto"
    """`auto`: faster-whisper when `whisper_model` loads, else the embedded English recogniser."""
    whisper_model: str | None = None
    """Overrides WHISPER_MODEL."""
    stub: StubAsr = StubAsr()


def choose(args: AsrArgs) -> tuple[Asr, EngineState]:
    if args.engine == "stub":
        return args.stub, EngineState("stub", "ready")
    model = args.whisper_model or read_engine_settings().whisper_model or None
    return choose_asr(args.engine, model)


class AsrDeployment:
    def __init__(self, args: AsrArgs) -> None:
        self._asr, self._state = choose(args)

    async def transcribe(self, speech: Audio, language: str | None) -> Transcript:
        return await self._asr.transcribe(speech, language)

    async def state(self) -> EngineState:
        return self._state


def build(args: AsrArgs) -> Application:
    return application("Asr", AsrDeployment, args, gpu=args.gpu)
