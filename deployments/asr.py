"""Hear: the speech recogniser as a Serve application."""

from typing import Literal

from ray.serve import Application

from deployments.resources import Args, application
from deployments.settings import read_engine_settings
from engines.asr.choice import BestAsr, PlainSphinx, StatedAsr
from engines.asr.download import Told
from engines.asr.whisper import WhisperAsr
from engines.asr.whisper_model import WhisperOptions
from engines.base import Audio, EngineState, Transcript, Vocabulary
from engines.stub import StubAsr


class AsrArgs(Args):
    engine: Literal["auto", "whisper", "sphinx", "stub"] = "auto"
    """`auto`: faster-whisper when `whisper_model` loads, else the embedded English recogniser.
    `whisper`: nothing else. `gpu` is also the share of the GPU's memory that Whisper may take."""
    whisper_model: str | None = None
    """Overrides WHISPER_MODEL."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    compute_type: str = "auto"
    """Of faster-whisper, for example `int8_float16`; `auto`: the fastest there is room for."""
    vocabulary: tuple[str, ...] = ()
    """Words that faster-whisper should expect, whoever is spoken to; a tutor's own are added."""
    word_times: bool = False
    """Whether faster-whisper tells when each word was said."""
    stub: StubAsr = StubAsr()


class _StubbedAsr:
    def __init__(self, stub: StubAsr) -> None:
        self.transcribe = stub.transcribe

    async def state(self) -> EngineState:
        return EngineState("stub", "ready")


DEFAULT_MODEL = "small"
"""Where Whisper is demanded and no model named."""


def choose(args: AsrArgs) -> StatedAsr:
    if args.engine == "stub":
        return _StubbedAsr(args.stub)
    model = args.whisper_model or read_engine_settings().whisper_model
    if args.engine == "sphinx" or not (model or args.engine == "whisper"):
        return PlainSphinx(wanted=args.engine == "sphinx")
    options = WhisperOptions(
        device=args.device,
        compute_type=args.compute_type,
        vocabulary=args.vocabulary,
        word_times=args.word_times,
        memory_share=args.gpu or 1.0,
    )

    def load(told: Told) -> WhisperAsr:
        return WhisperAsr.load(model or DEFAULT_MODEL, options, told)

    return BestAsr(load, fallback=args.engine == "auto")


class AsrDeployment:
    """Utterances of all sessions come here; an engine that can hear several at once gathers them
    itself (`engines/asr/together.py` says why not Serve)."""

    def __init__(self, args: AsrArgs) -> None:
        self._asr = choose(args)

    async def transcribe(
        self, speech: Audio, language: str | None, vocabulary: Vocabulary = ()
    ) -> Transcript:
        return await self._asr.transcribe(speech, language, vocabulary)

    async def state(self) -> EngineState:
        return await self._asr.state()


def build(args: AsrArgs) -> Application:
    return application("Asr", AsrDeployment, args, gpu=args.gpu)
