from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from engines.base import Message
from engines.errors import EngineError
from engines.llm import choice
from engines.llm.choice import BestLlm
from engines.llm.offline import OfflineLlm
from engines.llm.ollama import OllamaLlm
from tests.engines.llm.server import WORDS, FakeOllama, ollama_server
from tests.running import free_port

MODEL = "llama3:8b"
ASKED = [Message("user", "Why?")]


@pytest.fixture(autouse=True)
def probe_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "PROBE_INTERVAL_S", 0.0)


@asynccontextmanager
async def best(url: str) -> AsyncIterator[BestLlm]:
    llm = BestLlm(OllamaLlm(url, MODEL, 0.4), OfflineLlm(MODEL), MODEL)
    try:
        yield llm
    finally:
        await llm.close()


async def answer(llm: BestLlm) -> str:
    return "".join([token async for token in llm.reply(ASKED)])


async def test_it_moves_up_when_ollama_comes_and_down_when_it_goes() -> None:
    port = free_port()
    async with best(f"http://127.0.0.1:{port}") as llm:
        state = await llm.state()
        assert (state.engine, state.state) == ("offline", "degraded")
        assert "ollama serve" in state.remedy
        assert "no language model" in await answer(llm)
        with ollama_server(FakeOllama(), port):
            assert (await llm.state()).engine == "ollama"
            assert await answer(llm) == "".join(WORDS)
        assert "no language model" in await answer(llm)
        assert (await llm.state()).engine == "offline"


async def test_a_model_that_fails_before_its_first_word_is_stood_in_for() -> None:
    with ollama_server(FakeOllama(breaks_after=0)) as url:
        async with best(url) as llm:
            assert "no language model" in await answer(llm)


async def test_a_model_that_fails_in_mid_answer_is_told() -> None:
    with ollama_server(FakeOllama(breaks_after=2)) as url:
        async with best(url) as llm:
            with pytest.raises(EngineError):
                await answer(llm)
