"""The real client against a server that speaks Ollama's API."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest

from engines.base import Message
from engines.errors import EngineError, EngineUnavailable
from engines.llm.ollama import OllamaLlm
from tests.engines.llm.server import WORDS, FakeOllama, ollama_server
from tests.running import free_port


@asynccontextmanager
async def connected(url: str, model: str = "llama3:8b") -> AsyncIterator[OllamaLlm]:
    llm = OllamaLlm(url, model, 0.4)
    try:
        yield llm
    finally:
        await llm.close()


ASKED = [Message("system", "Teach."), Message("user", "Why?")]


async def test_the_answer_streams_and_the_conversation_is_passed_on() -> None:
    fake = FakeOllama()
    with ollama_server(fake) as url:
        async with connected(url) as llm:
            await llm.check()
            assert [token async for token in llm.reply(ASKED)] == list(WORDS)
    (asked,) = fake.asked
    assert asked["messages"] == [
        {"role": "system", "content": "Teach."},
        {"role": "user", "content": "Why?"},
    ]
    assert (asked["stream"], asked["options"]) == (True, {"temperature": 0.4})


async def test_a_missing_model_is_named_with_its_remedy() -> None:
    with ollama_server(FakeOllama()) as url:
        async with connected(url, "absent:7b") as llm:
            for attempt in (llm.check(), anext(aiter(llm.reply(ASKED)))):
                with pytest.raises(EngineUnavailable, match="ollama pull absent:7b"):
                    await attempt
        async with connected(url, "tiny") as llm:
            await llm.check()


async def test_a_missing_server_is_named_with_its_remedy() -> None:
    async with connected(f"http://127.0.0.1:{free_port()}") as llm:
        for attempt in (llm.check(), anext(aiter(llm.reply(ASKED)))):
            with pytest.raises(EngineUnavailable, match="ollama serve"):
                await attempt


async def test_a_server_that_breaks_in_mid_answer_is_an_engine_error() -> None:
    with ollama_server(FakeOllama(breaks_after=1)) as url:
        tokens = []
        async with connected(url) as llm:
            with pytest.raises(EngineError, match="the runner has died"):
                async for token in llm.reply(ASKED):
                    tokens.append(token)
    assert tokens == list(WORDS[:1])


async def test_leaving_the_stream_makes_the_server_stop() -> None:
    fake = FakeOllama(words=("word ",) * 1000, gap_s=0.02)
    with ollama_server(fake) as url:
        async with connected(url) as llm:
            async with aclosing(llm.reply(ASKED)) as tokens:
                async for _ in tokens:
                    break
            assert await asyncio.to_thread(fake.left.wait, 5)
