"""Think: one language model as a Serve application; each tutor model has its own."""

from collections.abc import AsyncIterator, Sequence
from typing import Literal, Protocol

from ray.serve import Application

from deployments.resources import Args, application
from deployments.settings import read_engine_settings
from engines.base import EngineState, Llm, Message
from engines.llm.choice import BestLlm
from engines.llm.offline import OfflineLlm
from engines.llm.ollama import OllamaLlm
from engines.stub import StubLlm


class LlmArgs(Args):
    engine: Literal["auto", "offline", "stub"] = "auto"
    """`auto`: Ollama while it answers, else the offline tutor."""
    model: str = ""
    """Empty: DEFAULT_LLM_MODEL."""
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
    if args.engine == "stub":
        return _FixedLlm(args.stub, EngineState("stub", "ready"))
    settings = read_engine_settings()
    model = args.model or settings.default_llm_model
    offline = OfflineLlm(model, enabled=settings.enable_llm)
    if args.engine == "offline" or not settings.enable_llm:
        reason, remedy = "The language model is switched off.", "Set ENABLE_LLM=true."
        return _FixedLlm(offline, EngineState("offline", "degraded", reason, remedy))
    ollama = OllamaLlm(settings.ollama_base_url, model, settings.llm_temperature)
    return BestLlm(ollama, offline, model)


class LlmDeployment:
    def __init__(self, args: LlmArgs) -> None:
        self._llm = choose(args)

    async def reply(self, messages: Sequence[Message]) -> AsyncIterator[str]:
        async for token in self._llm.reply(messages):
            yield token

    async def state(self) -> EngineState:
        return await self._llm.state()


def build(args: LlmArgs) -> Application:
    return application("Llm", LlmDeployment, args, gpu=args.gpu)
