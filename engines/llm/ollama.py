"""A language model behind an Ollama server."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import cast

import httpx
from ollama import AsyncClient, ChatResponse, ResponseError

from engines.base import Message
from engines.errors import EngineError, EngineUnavailable

CONNECT_LIMIT_S = 2.0
"""A server on this machine or in this network accepts at once, or it is not there."""

LATEST = ":latest"
"""The tag that a name without one means."""


class OllamaLlm:
    """Streams from Ollama's `/api/chat`; closing the stream makes the server stop writing."""

    def __init__(self, base_url: str, model: str, temperature: float) -> None:
        self._base_url = base_url
        self._model = model
        self._temperature = temperature
        limits = httpx.Timeout(None, connect=CONNECT_LIMIT_S)
        self._client = AsyncClient(host=base_url, timeout=limits)

    async def check(self) -> None:
        """Raises `EngineUnavailable` when the server or the model is missing."""
        try:
            listed = await self._client.list()
        except (ConnectionError, httpx.HTTPError, ResponseError) as error:
            raise self._missing_server() from error
        names = {model.model for model in listed.models}
        if not names & {self._model, self._model + LATEST}:
            raise self._missing_model()

    async def reply(self, messages: Sequence[Message]) -> AsyncGenerator[str, None]:
        try:
            stream = await self._client.chat(
                model=self._model,
                messages=[{"role": m.role, "content": m.content} for m in messages],
                stream=True,
                options={"temperature": self._temperature},
            )
            # The client's annotation leaves out that its iterator is a generator to be closed.
            async with aclosing(cast("_Closable", stream)) as parts:
                async for part in parts:
                    if text := part.message.content:
                        yield text
        except ResponseError as refused:
            if refused.status_code == httpx.codes.NOT_FOUND:
                raise self._missing_model() from refused
            raise EngineError(f"Ollama refused: {refused.error}") from refused
        except (ConnectionError, httpx.HTTPError) as lost:
            raise self._missing_server() from lost

    async def close(self) -> None:
        """Let go of the connections to the server."""
        await self._client.close()  # type: ignore[no-untyped-call]  # the client leaves it so

    def _missing_server(self) -> EngineUnavailable:
        return EngineUnavailable(
            f"Ollama does not answer at {self._base_url}. Start it with `ollama serve`, or set "
            "OLLAMA_BASE_URL."
        )

    def _missing_model(self) -> EngineUnavailable:
        return EngineUnavailable(
            f"Ollama has no model {self._model!r}. Get it with `ollama pull {self._model}`."
        )


class _Closable(AsyncIterator[ChatResponse]):
    async def aclose(self) -> None: ...
