from collections.abc import AsyncIterator

import pytest

from engines.base import Message
from engines.llm.offline import MAX_ECHO_CHARS, OfflineLlm


async def text(tokens: AsyncIterator[str]) -> str:
    return "".join([token async for token in tokens]).strip()


async def test_it_says_what_is_missing_and_how_to_connect_it() -> None:
    asked = [Message("system", "Teach."), Message("user", "Why is the sky blue?")]
    answer = await text(OfflineLlm("mistral:12b").reply(asked))
    assert "Why is the sky blue?" in answer
    assert "no language model is connected" in answer
    assert "Ollama" in answer
    assert "mistral:12b" in answer


async def test_it_answers_in_the_language_of_the_question() -> None:
    answer = await text(OfflineLlm("m").reply([Message("user", "天为什么是蓝的？")]))
    assert "没有连接语言模型" in answer


async def test_it_repeats_the_last_question_and_no_endless_one() -> None:
    history = [Message("user", "old"), Message("assistant", "x"), Message("user", "new " * 500)]
    answer = await text(OfflineLlm("m").reply(history))
    assert "old" not in answer
    assert len(answer) < MAX_ECHO_CHARS + 300


@pytest.mark.parametrize("question", ["hello", "你好"])
async def test_switched_off_it_names_the_switch(question: str) -> None:
    answer = await text(OfflineLlm("m", enabled=False).reply([Message("user", question)]))
    assert "ENABLE_LLM" in answer
