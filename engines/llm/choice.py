"""Which mind a tutor gets: the language model when it is there, else the offline tutor."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

from engines.base import EngineState, Message
from engines.errors import EngineError, EngineTimeout
from engines.llm.offline import OfflineLlm
from engines.llm.ollama import OllamaLlm

logger = logging.getLogger(__name__)

PROBE_INTERVAL_S = 10.0
"""A model that comes up is used after at most this time; a probe costs one small request."""

PROBE_LIMIT_S = 3.0


class BestLlm:
    """Ollama while it answers, the offline tutor otherwise; looks again by itself."""

    def __init__(self, ollama: OllamaLlm, offline: OfflineLlm, model: str) -> None:
        self._ollama = ollama
        self._offline = offline
        self._model = model
        self._problem: str | None = None
        self._probed_s = float("-inf")

    async def reply(self, messages: Sequence[Message]) -> AsyncIterator[str]:
        await self._probe()
        if self._problem is None:
            begun = False
            try:
                async with aclosing(self._ollama.reply(messages)) as tokens:
                    async for token in tokens:
                        begun = True
                        yield token
                return
            except EngineError as error:
                self._note(error.sentence)
                if begun:
                    raise
        async for token in self._offline.reply(messages):
            yield token

    async def state(self) -> EngineState:
        await self._probe()
        if self._problem is None:
            return EngineState("ollama", "ready", f"Answers with {self._model}.")
        return EngineState(
            "offline", "degraded", "No language model is connected.", remedy=self._problem
        )

    async def close(self) -> None:
        await self._ollama.close()

    async def _probe(self) -> None:
        if time.monotonic() - self._probed_s < PROBE_INTERVAL_S:
            return
        self._probed_s = time.monotonic()
        try:
            async with asyncio.timeout(PROBE_LIMIT_S):
                await self._ollama.check()
        except EngineError as error:
            self._note(error.sentence)
        except TimeoutError:
            self._note(EngineTimeout("Ollama is too slow to answer.").sentence)
        else:
            self._note(None)

    def _note(self, problem: str | None) -> None:
        if problem != self._problem:
            logger.info("Language model: %s", problem or f"{self._model} is ready")
        self._problem = problem
