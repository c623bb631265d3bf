"""A language model of this process, as one that may come and go."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Protocol, runtime_checkable

from engines.base import Llm, Message
from engines.errors import EngineError, EngineUnavailable


class LoadedLlm:
    """A model that is loaded into this process, in a thread, when no better one is there."""

    def __init__(self, name: str, model: str, load: Callable[[], Llm]) -> None:
        """`load` may take minutes; it raises `EngineError`."""
        self.name = name
        self.model = model
        self._load = load
        self._llm: Llm | None = None
        self._trouble = f"The language model {model} is being loaded."

    async def check(self) -> None:
        self._loaded()

    async def prepare(self) -> None:
        if self._llm is not None:
            return
        try:
            self._llm = await asyncio.to_thread(self._load)
        except EngineError as error:
            self._trouble = error.sentence
            # Not `EngineUnavailable`: so that the next try waits a while.
            raise EngineError(error.sentence) from error

    async def reply(self, messages: Sequence[Message]) -> AsyncGenerator[str, None]:
        answer = self._loaded().reply(messages)
        try:
            async for token in answer:
                yield token
        finally:
            if isinstance(answer, AsyncGenerator):
                await answer.aclose()

    async def close(self) -> None:
        llm, self._llm = self._llm, None
        if isinstance(llm, _Closing):
            await llm.close()

    def _loaded(self) -> Llm:
        if self._llm is None:
            raise EngineUnavailable(self._trouble)
        return self._llm


@runtime_checkable
class _Closing(Protocol):
    async def close(self) -> None: ...
