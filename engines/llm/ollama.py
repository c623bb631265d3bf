"""A language model behind an Ollama server."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Any, cast

import httpx
from ollama import AsyncClient, ChatResponse, ProgressResponse, ResponseError

from engines.base import Message
from engines.errors import EngineError, EngineUnavailable, QuestionRefused
from engines.llm.address import Address
from engines.llm.context import DEFAULT_CONTEXT_TOKENS, Estimate, answer_tokens, fitted
from engines.llm.options import LlmOptions
from engines.llm.thinking import Habit, ThinkFilter

logger = logging.getLogger(__name__)

CONNECT_LIMIT_S = 2.0
"""A server on this machine or in this network accepts at once, or it is not there."""

LOAD_LIMIT_S = 600.0
"""25 GB from a slow disk."""

STALL_LIMIT_S = 60.0
"""A download that has not gone on for so long is given up; a later one goes on from there."""

CHECK_LIMIT_S = 600.0
"""At its end the server reads all that it has downloaded, and tells nothing meanwhile."""

LATEST = ":latest"
"""The tag that a name without one means."""

STANDS_STILL = "nothing has come for a minute. It is tried again; look at the network and the disk."

REFUSALS = (400, 413, 422)
"""By which the server tells that this question cannot be answered, but others can."""

LOGGED_STEP = 10
"""Percent of a download between two lines of the log."""


@dataclass(frozen=True, slots=True)
class OllamaModel:
    """What `/api/show` tells of a model."""

    context_tokens: int | None = None
    """None: it does not tell."""
    thinks: bool = False


class OllamaLlm:
    """Streams from Ollama's `/api/chat`; closing the stream makes the server stop writing."""

    name = "ollama"

    def __init__(
        self,
        base_url: str,
        model: str,
        options: LlmOptions,
        *,
        keep_alive: str = "30m",
        pull: bool = False,
    ) -> None:
        """`keep_alive` is how long the server holds the model after an answer: a duration such as
        `30m`, or a number of seconds, negative for ever. With `pull` a missing model is fetched."""
        self.model = model
        address = Address.of(base_url)
        self._base_url = address.url
        self._options = options
        self._keep_alive = float(keep_alive) if _is_number(keep_alive) else keep_alive
        self._pull = pull
        self._percent: int | None = None
        """Of the download that is going on."""
        self._fetch_trouble = ""
        """Why the last download failed."""
        self._shown: OllamaModel | None = None
        self._estimate = Estimate()
        self._habit = Habit()
        limits = httpx.Timeout(None, connect=CONNECT_LIMIT_S)
        self._client = AsyncClient(host=address.url, timeout=limits, **address.client_options())

    async def check(self) -> None:
        """Raises `EngineUnavailable` when the server or the model is missing."""
        with self._translated():
            listed = await self._client.list()
            if not {model.model for model in listed.models} & {self.model, self.model + LATEST}:
                raise self._missing_model()
            self._shown = self._shown or await self._show()

    async def prepare(self) -> None:
        """Fetch the model when it is missing and may be fetched, and have it loaded, with the
        options of later questions: others would load it anew. Takes minutes. Raises `EngineError`.
        """
        try:
            await self.check()
        except EngineUnavailable:
            if not self._pull:
                raise
            await self._fetch()
        with self._translated(), _told_when_late(self._not_loaded()):
            async with asyncio.timeout(LOAD_LIMIT_S):
                await self._client.chat(
                    self.model, [], options=self._told_options(), keep_alive=self._keep_alive
                )

    async def reply(self, messages: Sequence[Message]) -> AsyncGenerator[str, None]:
        thoughts, done, too_long = ThinkFilter(self._habit), False, False
        with self._translated():
            self._shown = self._shown or await self._show()
            told = fitted(messages, self._context - self._answer_tokens, self._estimate)
            async with aclosing(await self._stream(told)) as parts:
                async for part in parts:
                    if text := thoughts.feed(part.message.content or ""):
                        yield text
                    if part.done:
                        done, too_long = True, part.done_reason == "length"
                        self._learn(told, part.prompt_eval_count)
        if not done:
            raise EngineError("Ollama broke off in the middle of its answer. Ask again.")
        if text := thoughts.flush(cut=too_long):
            yield text

    async def close(self) -> None:
        """Let go of the connections to the server."""
        await self._client.close()  # type: ignore[no-untyped-call]  # the client leaves it so

    @property
    def _context(self) -> int:
        """Tokens of a question with its history, and of the answer."""
        has = self._shown.context_tokens if self._shown else None
        wanted = self._options.context_tokens or DEFAULT_CONTEXT_TOKENS
        return min(wanted, has or wanted)

    @property
    def _answer_tokens(self) -> int:
        return answer_tokens(self._context, self._options.max_tokens)

    def _told_options(self) -> dict[str, Any]:
        told: dict[str, Any] = {
            "temperature": self._options.temperature,
            "num_ctx": self._context,
            "num_predict": self._answer_tokens,
        }
        return told | ({"stop": list(self._options.stop)} if self._options.stop else {})

    async def _stream(self, told: Sequence[Message]) -> "_Closable":
        # Asking a model that cannot think is refused by the server, even for not thinking.
        thinks = self._shown is not None and self._shown.thinks
        parts = await self._client.chat(
            model=self.model,
            messages=[{"role": m.role, "content": m.content} for m in told],
            stream=True,
            think=self._options.think if thinks else None,
            options=self._told_options(),
            keep_alive=self._keep_alive,
        )
        # The client's annotation leaves out that its iterator is a generator to be closed.
        return cast("_Closable", parts)

    def _learn(self, told: Sequence[Message], counted: int | None) -> None:
        if counted:
            self._estimate = self._estimate.learned(told, counted)

    async def _show(self) -> OllamaModel:
        try:
            shown = await self._client.show(self.model)
        except ValueError:
            return OllamaModel()  # a server older than these fields
        return _model(shown.modelinfo or {}, shown.capabilities or ())

    async def _fetch(self) -> None:
        self._percent, self._fetch_trouble = 0, ""
        logger.info("Downloading the language model %s", self.model)
        try:
            with self._translated(), _told_when_late(STANDS_STILL):
                parts = cast("_Progress", await self._client.pull(self.model, stream=True))
                async with aclosing(parts), aclosing(_going_on(parts)) as news:
                    await self._follow(news)
        except EngineError as error:
            self._fetch_trouble = f" Downloading it failed: {error.sentence}"
            raise
        finally:
            self._percent = None
        logger.info("The language model %s has been downloaded", self.model)

    async def _follow(self, parts: AsyncIterator[ProgressResponse]) -> None:
        """A model comes in several layers, each with a progress of its own."""
        totals: dict[str, int] = {}
        fetched: dict[str, int] = {}
        logged = 0
        async for part in parts:
            if not part.digest or not part.total:
                continue
            totals[part.digest], fetched[part.digest] = part.total, part.completed or 0
            self._percent = 100 * sum(fetched.values()) // sum(totals.values())
            if self._percent >= logged + LOGGED_STEP:
                logged = self._percent
                logger.info("Downloading the language model %s: %d %%", self.model, logged)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """What the client raises, as errors a person can act on."""
        try:
            yield
        except ResponseError as refused:
            self._shown = None
            if refused.status_code == httpx.codes.NOT_FOUND:
                raise self._missing_model() from refused
            refusal = QuestionRefused if refused.status_code in REFUSALS else EngineError
            raise refusal(
                f"Ollama could not answer: {refused.error}. Its log says more; ask again."
            ) from refused
        except (ConnectionError, httpx.HTTPError) as lost:
            self._shown = None
            raise EngineUnavailable(
                f"Ollama does not answer at {self._base_url}. Start it with `ollama serve`, or set "
                "OLLAMA_BASE_URL."
            ) from lost
        except ValueError as foreign:  # neither its JSON nor its fields
            raise EngineError(
                f"What answers at {self._base_url} is not Ollama. Correct OLLAMA_BASE_URL."
            ) from foreign

    def _not_loaded(self) -> str:
        return (
            f"Ollama has not loaded {self.model} within {LOAD_LIMIT_S:g} s. Its log says "
            "more; use a smaller model where the memory is too small."
        )

    def _missing_model(self) -> EngineUnavailable:
        if self._percent is not None:
            return EngineUnavailable(f"downloading {self.model}: {self._percent} %")
        return EngineUnavailable(
            f"Ollama has no model {self.model!r}. Get it with `ollama pull {self.model}`"
            f"{'' if self._pull else ', or set LLM_PULL=true'}.{self._fetch_trouble}"
        )


def _model(info: Mapping[str, Any], capabilities: Sequence[str]) -> OllamaModel:
    """The context's length stands under the architecture's name, as `llama.context_length`."""
    length = info.get(f"{info.get('general.architecture')}.context_length")
    return OllamaModel(length if isinstance(length, int) else None, "thinking" in capabilities)


@contextmanager
def _told_when_late(sentence: str) -> Iterator[None]:
    try:
        yield
    except TimeoutError as late:
        raise EngineError(sentence) from late


async def _going_on(parts: "_Progress") -> AsyncGenerator[ProgressResponse, None]:
    """What a download tells. Raises `TimeoutError` when it stands still: a server may then go on
    telling the same."""
    clock = asyncio.get_running_loop().time
    deadline_s, news = clock() + STALL_LIMIT_S, ProgressResponse()
    while True:
        async with asyncio.timeout_at(deadline_s):
            part = await anext(parts, None)
        if part is None:
            return
        if part != news:
            checks = "verifying" in (part.status or "")
            deadline_s, news = clock() + (CHECK_LIMIT_S if checks else STALL_LIMIT_S), part
        yield part


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


class _Closable(AsyncIterator[ChatResponse]):
    async def aclose(self) -> None: ...


class _Progress(AsyncIterator[ProgressResponse]):
    async def aclose(self) -> None: ...
