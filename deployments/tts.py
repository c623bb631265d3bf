"""Speak: the voice as a Serve application."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Literal, Protocol, cast

from ray.serve import Application

from deployments.resources import Args, application
from deployments.settings import read_engine_settings
from engines.base import Audio, EngineState, KnownVoice, Tts, Voice
from engines.stub import StubTts
from engines.tts.choice import BestTts, PlainEspeak
from engines.tts.coqui import CoquiTts


class TtsArgs(Args):
    engine: Literal["auto", "coqui", "espeak", "stub"] = "auto"
    """`auto`: Coqui when `model` loads and keeps up, else the embedded espeak-ng. `coqui`: nothing
    else, at whatever pace. `gpu` is also the share of the GPU's memory that Coqui may take."""
    model: str | None = None
    """Overrides TTS_MODEL."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    stub: StubTts = StubTts()


class _StatedTts(Tts, Protocol):
    async def state(self) -> EngineState: ...

    async def voices(self) -> list[KnownVoice]: ...


class _StubbedTts:
    """Not brought to any loudness: what the stub says is known to the sample."""

    def __init__(self, stub: StubTts) -> None:
        self.speak = stub.speak

    async def state(self) -> EngineState:
        return EngineState("stub", "ready")

    async def voices(self) -> list[KnownVoice]:
        return [KnownVoice("tone", "stub")]


def choose(args: TtsArgs) -> _StatedTts:
    if args.engine == "stub":
        return _StubbedTts(args.stub)
    settings = read_engine_settings()
    model = args.model or settings.tts_model
    if args.engine == "espeak" or not (model or args.engine == "coqui"):
        return PlainEspeak()
    load = partial(
        CoquiTts.load,
        model,
        args.device,
        args.gpu or 1.0,
        licence_agreed=settings.coqui_tos_agreed,
    )
    return BestTts(load, fallback=args.engine == "auto")


class TtsDeployment:
    def __init__(self, args: TtsArgs) -> None:
        self._tts = choose(args)

    async def speak(self, sentence: str, voice: Voice) -> AsyncIterator[Audio]:
        speech = cast(AsyncGenerator[Audio, None], self._tts.speak(sentence, voice))
        async with aclosing(speech) as pieces:
            async for piece in pieces:
                yield piece

    async def state(self) -> EngineState:
        return await self._tts.state()

    async def voices(self) -> list[KnownVoice]:
        return await self._tts.voices()


def build(args: TtsArgs) -> Application:
    return application("Tts", TtsDeployment, args, gpu=args.gpu)
