"""Think: one language model as a Serve application; each tutor model has its own."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Literal, Protocol, cast

from pydantic import Field
from ray.serve import Application

from deployments.resources import Args, application
from deployments.settings import EngineSettings, read_engine_settings
from engines.base import EngineState, Llm, Message
from engines.errors import EngineUnavailable
from engines.llm.choice import Apology, BestLlm, Candidate, Limits
from engines.llm.loaded import LoadedLlm
from engines.llm.offline import OfflineLlm
from engines.llm.ollama import OllamaLlm
from engines.llm.openai import OpenAiLlm
from engines.llm.options import LlmOptions
from engines.stub import StubLlm


class LlmArgs(Args):
    engine: Literal["auto", "openai", "ollama", "transformers", "offline", "stub"] = "auto"
    """`auto`: a server of OpenAI's API when OPENAI_BASE_URL is set, then Ollama, then
    TRANSFORMERS_MODEL when it is set, then the offline tutor."""
    model: str = ""
    """Empty: DEFAULT_LLM_MODEL, or with `engine: transformers` TRANSFORMERS_MODEL."""
    max_tokens: int | None = Field(default=None, ge=16, le=32_768)
    """Overrides LLM_MAX_TOKENS."""
    context_tokens: int | None = Field(default=None, ge=512, le=1_048_576)
    """Overrides LLM_CONTEXT_TOKENS."""
    sessions: int = Field(default=8, ge=1, le=1024)
    """Answers that a model in this process (transformers) writes at once."""
    stub: StubLlm = StubLlm()


class _StatedLlm(Llm, Protocol):
    async def state(self) -> EngineState: ...


class _FixedLlm:
    """An engine whose state never changes."""

    def __init__(self, llm: Llm, state: EngineState) -> None:
        self.reply = llm.reply
        self._state = state

    async def state(self) -> EngineState:
        return self._state


def choose(args: LlmArgs) -> _StatedLlm:
    """Loads nothing yet."""
    if args.engine == "stub":
        return _FixedLlm(args.stub, EngineState("stub", "ready"))
    settings = read_engine_settings()
    model = args.model or settings.default_llm_model
    offline = OfflineLlm(model, enabled=settings.enable_llm)
    if args.engine == "offline" or not settings.enable_llm:
        return _FixedLlm(offline, _off("The language model is switched off.", "ENABLE_LLM=true"))
    candidates = _Candidates(args, settings).all()
    if not candidates:
        lacking = "OPENAI_BASE_URL" if args.engine == "openai" else "TRANSFORMERS_MODEL"
        return _FixedLlm(Apology(), _off("No language model is configured.", lacking))
    # The offline tutor tells how to start Ollama, which helps only where it is Ollama that lacks.
    awaited = next(candidate for candidate in candidates if candidate.expected)
    limits = Limits(settings.llm_first_token_seconds, settings.llm_answer_seconds)
    return BestLlm(candidates, offline if awaited.llm.name == "ollama" else Apology(), limits)


def _off(reason: str, setting: str) -> EngineState:
    return EngineState("offline", "degraded", reason, f"Set {setting}.")


class _Candidates:
    """The models that arguments and settings name."""

    def __init__(self, args: LlmArgs, settings: EngineSettings) -> None:
        self._args = args
        self._settings = settings
        self._options = LlmOptions(
            settings.llm_temperature,
            args.max_tokens or settings.llm_max_tokens,
            args.context_tokens or settings.llm_context_tokens,
            settings.llm_stop_words,
            settings.llm_think,
        )

    def all(self) -> list[Candidate]:
        """The best first."""
        chosen = [
            *([Candidate(self._openai())] if self._wants("openai", self._openai_url) else []),
            *([Candidate(self._ollama())] if self._wants("ollama", "always") else []),
            *([Candidate(self._loaded())] if self._wants("transformers", self._folder) else []),
        ]
        for candidate in chosen:
            # Nobody has asked for Ollama where another one is configured.
            candidate.expected = candidate.llm.name != "ollama" or len(chosen) == 1
        return chosen

    @property
    def _openai_url(self) -> str:
        return self._settings.openai_base_url

    @property
    def _folder(self) -> str:
        """A tutor's own model is one of a server, unless this engine is asked for by name."""
        own = self._args.model if self._args.engine == "transformers" else ""
        return own or self._settings.transformers_model

    def _wants(self, engine: str, configured: str) -> bool:
        return self._args.engine in ("auto", engine) and bool(configured)

    def _openai(self) -> OpenAiLlm:
        settings, key = self._settings, self._settings.openai_api_key
        # The built-in default is a name of Ollama's, which no other server knows.
        named = "default_llm_model" in settings.model_fields_set
        model = self._args.model or (settings.default_llm_model if named else None)
        secret = key.get_secret_value() if key else ""
        return OpenAiLlm(self._openai_url, secret, model, self._options)

    def _ollama(self) -> OllamaLlm:
        settings = self._settings
        return OllamaLlm(
            settings.ollama_base_url,
            self._args.model or settings.default_llm_model,
            self._options,
            keep_alive=settings.llm_keep_alive,
            pull=settings.llm_pull,
        )

    def _loaded(self) -> LoadedLlm:
        return LoadedLlm("transformers", self._folder, self._load)

    def _load(self) -> Llm:
        try:
            from engines.llm.transformers import Placement, TransformersLlm
        except ImportError as missing:
            raise EngineUnavailable(
                f"{missing.name} is missing, which TRANSFORMERS_MODEL needs. Install it with "
                "`pip install -e .[gpu]`, or leave the setting empty."
            ) from missing
        args = self._args
        placement = Placement(memory_fraction=args.gpu or None, sessions=args.sessions)
        return TransformersLlm.load(self._folder, self._options, placement)


class LlmDeployment:
    def __init__(self, args: LlmArgs) -> None:
        self._llm = choose(args)

    async def reply(self, messages: Sequence[Message]) -> AsyncIterator[str]:
        answer = cast("_Closable", self._llm.reply(messages))
        async with aclosing(answer) as tokens:
            async for token in tokens:
                yield token

    async def state(self) -> EngineState:
        return await self._llm.state()

    async def check_health(self) -> None:
        """Serve calls it from the start on, so the model is loaded before the first question."""
        if isinstance(self._llm, BestLlm):
            self._llm.start()


class _Closable(AsyncIterator[str]):
    async def aclose(self) -> None: ...


def build(args: LlmArgs) -> Application:
    return application("Llm", LlmDeployment, args, gpu=args.gpu)
