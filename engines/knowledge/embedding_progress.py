"""How far the vectors of a document are, told to whoever waits for them."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from engines.knowledge.base import Vectors
from engines.knowledge.embedding import BATCH_TEXTS, EmbeddingModel, joined

Told = Callable[[float], Awaitable[None]]
"""0 to 1, after each batch. What it raises ends the embedding."""

_told: ContextVar[Told | None] = ContextVar("told", default=None)


@contextmanager
def told_to(told: Told) -> Iterator[None]:
    """Within it, what this task has embedded is told."""
    token = _told.set(told)
    try:
        yield
    finally:
        _told.reset(token)


class Stepwise:
    """A model that is asked for one batch after the other. Between two of them questions get their
    turn: one that runs in this process would do a whole book first."""

    def __init__(self, model: EmbeddingModel) -> None:
        self.name = model.name
        self._model = model

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Raises `EngineError`."""
        if len(texts) <= BATCH_TEXTS:
            return await self._model.embed(texts)
        told, parts = _told.get(), []
        for begin in range(0, len(texts), BATCH_TEXTS):
            parts.append(await self._model.embed(texts[begin : begin + BATCH_TEXTS]))
            if told is not None:
                await told(min(1.0, (begin + BATCH_TEXTS) / len(texts)))
        return joined(parts)

    async def close(self) -> None:
        await self._model.close()
