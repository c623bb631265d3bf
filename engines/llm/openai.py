"""A language model behind any server of OpenAI's API: vLLM, Ray Serve LLM, llama.cpp, LM Studio."""

import json
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
from httpx_sse import EventSource, SSEError

from engines.base import Message
from engines.errors import EngineError, EngineUnavailable, QuestionRefused
from engines.llm.address import Address
from engines.llm.context import DEFAULT_CONTEXT_TOKENS, Estimate, answer_tokens, fitted
from engines.llm.options import LlmOptions
from engines.llm.thinking import Habit, ThinkFilter
from engines.llm.tokens import joined

CONNECT_LIMIT_S = 2.0
"""As for Ollama: it accepts at once, or it is not there."""

REFUSALS = (400, 413, 422)
"""By which a server tells that this question cannot be answered, but others can."""

DONE = "[DONE]"
"""The last line of a stream."""

MAX_TOLD_CHARS = 300
"""Of what a server says about its failure."""

MAX_NAMES = 5
"""Models that a sentence names."""


class OpenAiLlm:
    """Streams from `/v1/chat/completions`; closing the stream closes the connection, by which these
    servers know that nobody listens."""

    name = "openai"

    def __init__(self, base_url: str, api_key: str, model: str | None, options: LlmOptions) -> None:
        """`model` None: the first that the server lists."""
        self.model = model or ""
        self._any_model = model is None
        address = Address.of(base_url)
        has_path = urlsplit(address.url).path.strip("/")
        self._base_url = address.url if has_path else f"{address.url}/v1"
        self._api_key = api_key
        self._options = options
        self._server_context: int | None = None
        self._extras: dict[str, Any] = {
            "stream_options": {"include_usage": True},
            "chat_template_kwargs": {"enable_thinking": options.think},
        }
        """What most of these servers know; left out once one has refused it."""
        self._estimate = Estimate()
        self._habit = Habit()
        self._client = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            timeout=httpx.Timeout(None, connect=CONNECT_LIMIT_S),
            **address.client_options(),
        )

    async def check(self) -> None:
        """Raises `EngineError` when the server is missing, refuses the key or lacks the model."""
        with self._translated():
            response = await self._client.get(f"{self._base_url}/models")
            if response.status_code in (httpx.codes.NOT_FOUND, httpx.codes.METHOD_NOT_ALLOWED):
                return  # some servers have no list
            self._raise_for(response)
            listed = {entry["id"]: entry for entry in response.json()["data"]}
        if self._any_model and listed:
            self._take(next(iter(listed)))
        if self.model not in listed and (listed or not self.model):
            raise self._missing_model(list(listed))
        length = listed.get(self.model, {}).get("max_model_len")  # vLLM tells it
        self._server_context = length if isinstance(length, int) else None

    async def prepare(self) -> None:
        """Nothing: these servers hold their model from their start on."""

    async def reply(self, messages: Sequence[Message]) -> AsyncGenerator[str, None]:
        thoughts, done, too_long = ThinkFilter(self._habit), False, False
        told = fitted(messages, self._context - self._answer_tokens, self._estimate)
        with self._translated():
            response = await self._asked(told)
            async with aclosing(response), aclosing(_parts(response)) as parts:
                async for part in parts:
                    if text := thoughts.feed(part.text):
                        yield text
                    done, too_long = done or part.done, too_long or part.too_long
                    self._learn(told, part.prompt_tokens)
        if not done:
            raise EngineError("The language model broke off in the middle. Ask again.")
        if text := thoughts.flush(cut=too_long):
            yield text

    async def close(self) -> None:
        """Let go of the connections to the server."""
        await self._client.aclose()

    @property
    def _context(self) -> int:
        """Tokens of a question with its history, and of the answer."""
        wanted = self._options.context_tokens or DEFAULT_CONTEXT_TOKENS
        return min(wanted, self._server_context or wanted)

    @property
    def _answer_tokens(self) -> int:
        return answer_tokens(self._context, self._options.max_tokens)

    def _take(self, model: str) -> None:
        if model != self.model:
            self.model, self._habit = model, Habit()

    def _learn(self, told: Sequence[Message], counted: int | None) -> None:
        if counted:
            self._estimate = self._estimate.learned(told, counted)

    async def _asked(self, told: Sequence[Message]) -> httpx.Response:
        """The beginning of the answer; to be closed."""
        response = await self._sent(told)
        if response.status_code in (400, 422) and self._extras:
            # Strict servers refuse what they do not know.
            await response.aclose()
            plain, self._extras = self._extras, {}
            response = await self._sent(told)
            if response.is_error:
                self._extras = plain  # it was something else
        if response.is_error:
            try:
                await response.aread()
            finally:
                await response.aclose()
            self._raise_for(response)
        return response

    async def _sent(self, told: Sequence[Message]) -> httpx.Response:
        asked = {
            "model": self.model,
            "messages": [{"role": m.role, "content": m.content} for m in joined(told)],
            "temperature": self._options.temperature,
            "max_tokens": self._answer_tokens,
            "stream": True,
            **({"stop": list(self._options.stop)} if self._options.stop else {}),
            **self._extras,
        }
        request = self._client.build_request(
            "POST",
            f"{self._base_url}/chat/completions",
            json=asked,
            headers={"Accept": "text/event-stream", "Cache-Control": "no-store"},
        )
        return await self._client.send(request, stream=True)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """What the client raises, as errors a person can act on."""
        try:
            yield
        except httpx.HTTPError as lost:
            raise EngineUnavailable(
                f"No language model answers at {self._base_url}. Start its server, or correct "
                "OPENAI_BASE_URL."
            ) from lost
        except (SSEError, ValueError, LookupError, TypeError, AttributeError) as foreign:
            raise EngineError(
                f"What answers at {self._base_url} does not speak OpenAI's API. Correct "
                "OPENAI_BASE_URL; it usually ends in /v1."
            ) from foreign
        except _Refused as refused:
            raise EngineError(f"The language model failed: {self._clean(refused.why)}") from refused

    def _raise_for(self, response: httpx.Response) -> None:
        """Raises `EngineError` for an error's status."""
        if response.is_success:
            return
        status, why = response.status_code, self._clean(_why(response))
        if status in (401, 403):
            raise EngineUnavailable(
                f"The server at {self._base_url} refuses the key. Correct OPENAI_API_KEY."
            )
        if status == httpx.codes.NOT_FOUND:
            raise self._missing_model([])
        if status == httpx.codes.TOO_MANY_REQUESTS:
            raise EngineError(
                f"The language model at {self._base_url} has too much to do. Wait a moment and ask "
                "again, or raise its limits."
            )
        if status >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise EngineError(
                f"The language model at {self._base_url} failed ({status}: {why}). Look into the "
                "log of its server, and ask again."
            )
        refusal = QuestionRefused if status in REFUSALS else EngineError
        raise refusal(
            f"The language model at {self._base_url} refused the question ({status}: {why}). "
            "Check the LLM_ settings."
        )

    def _missing_model(self, known: Sequence[str]) -> EngineUnavailable:
        names = ", ".join(known[:MAX_NAMES])
        return EngineUnavailable(
            f"The server at {self._base_url} has no model {self.model!r}. "
            + (f"Name one that it has: {names}." if names else "Load it there, or name another.")
        )

    def _clean(self, why: str) -> str:
        """Never tells the key, which some servers repeat."""
        why = why.replace(self._api_key, "…") if self._api_key else why
        return why[:MAX_TOLD_CHARS].strip().rstrip(".")


@dataclass(frozen=True, slots=True)
class _Part:
    """One event of the stream."""

    text: str = ""
    done: bool = False
    too_long: bool = False
    """Done, because there may be no more tokens."""
    prompt_tokens: int | None = None


class _Refused(Exception):
    """The server told of a failure inside the stream."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


async def _parts(response: httpx.Response) -> AsyncGenerator[_Part, None]:
    async with aclosing(EventSource(response).aiter_sse()) as events:
        async for event in events:
            if event.data == DONE:
                yield _Part(done=True)
                return
            if event.data:
                yield _part(json.loads(event.data))


def _part(event: Mapping[str, Any]) -> _Part:
    """What was thought comes as `reasoning_content` or `reasoning`, which nobody reads here."""
    if failure := event.get("error"):
        raise _Refused(_message(failure))
    usage = event.get("usage") or {}
    counted = usage.get("prompt_tokens")
    for choice in event.get("choices") or ():
        text = (choice.get("delta") or {}).get("content") or ""
        end = choice.get("finish_reason")
        return _Part(text, bool(end), end == "length", counted)
    return _Part(prompt_tokens=counted)


def _why(response: httpx.Response) -> str:
    try:
        return _message(response.json().get("error") or response.text)
    except (ValueError, AttributeError):
        return response.text


def _message(failure: Any) -> str:
    return str(failure.get("message") or failure) if isinstance(failure, dict) else str(failure)
