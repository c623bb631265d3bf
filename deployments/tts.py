"""Speak: the voice as a Serve application."""

from collections.abc import AsyncIterator
from typing import Literal

from ray.serve import Application

from deployments.resources import Args, application
from engines.base import Audio, EngineState, Tts, Voice
from engines.stub import StubTts
from engines.tts.espeak import EspeakTts


class TtsArgs(Args):
    engine: Literal["auto", "espeak", "stub"] = "auto"
    """`auto`: the embedded espeak-ng."""
    stub: StubTts = StubTts()


def choose(args: TtsArgs) -> tuple[Tts, EngineState]:
    if args.engine == "stub":
        return args.stub, EngineState("stub", "ready")
    return EspeakTts(), EngineState("espeak-ng", "ready", "The embedded voice speaks.")


class TtsDeployment:
    def __init__(self, args: TtsArgs) -> None:
        self._tts, self._state = choose(args)

    async def speak(self, sentence: str, voice: Voice) -> AsyncIterator[Audio]:
        async for piece in self._tts.speak(sentence, voice):
            yield piece

    async def state(self) -> EngineState:
        return self._state


def build(args: TtsArgs) -> Application:
    return application("Tts", TtsDeployment, args, gpu=args.gpu)
