from collections.abc import AsyncIterator

import pytest

from engines.base import Message
from engines.knowledge.base import Found, Passage
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


async def test_it_answers_from_the_course_that_comes_with_the_question() -> None:
    fog = Passage("Fog is a cloud on the ground. It is damp.", 3, "Weather › Fog", 0)
    asked = Message("user", "What is fog?", (Found("kb", "weather.pdf", fog, 0.9),))
    answer = await text(OfflineLlm("m").reply([Message("system", "Teach."), asked]))
    assert answer == ("In “Weather”, page 3, it says: “Fog is a cloud on the ground. It is damp.”")


async def test_a_course_that_says_nothing_on_it_is_no_missing_model() -> None:
    asked = Message("user", "Who was Homer?", (), ("Rain", "Snow"))
    answer = await text(OfflineLlm("m").reply([asked]))
    assert "did not find that" in answer
    assert "Ollama" not in answer


async def test_slower_comes_with_its_lines() -> None:
    told = [
        Message("user", "What is fog?"),
        Message("assistant", "Fog is a cloud on the ground, and a cloud is made of drops."),
        Message("user", "slower", (), ("Fog",)),
    ]
    answer = await text(OfflineLlm("m").reply(told))
    assert answer == "Fog is a cloud on the ground,\nand a cloud is made of drops."
