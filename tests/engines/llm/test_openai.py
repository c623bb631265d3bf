"""httpx against a server that speaks OpenAI's chat API."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from engines.base import Message
from engines.errors import EngineError, EngineUnavailable, QuestionRefused, QuestionTooLong
from engines.knowledge.base import Found, Passage
from engines.llm.grounding import BEGIN
from engines.llm.openai import OpenAiLlm
from engines.llm.options import LlmOptions
from tests.openai_server import WORDS, FakeOpenAi, openai_server
from tests.running import free_port

KEY = "sk-a-secret"
ASKED = [Message("system", "Teach."), Message("user", "Why?")]
STOP_LIMIT_S = 0.1


@asynccontextmanager
async def connected(
    url: str, model: str | None = "qwen", options: LlmOptions | None = None
) -> AsyncIterator[OpenAiLlm]:
    llm = OpenAiLlm(url, KEY, model, options or LlmOptions())
    try:
        yield llm
    finally:
        await llm.close()


async def answer(llm: OpenAiLlm) -> str:
    return "".join([token async for token in llm.reply(ASKED)])


@pytest.mark.parametrize("suffix", ["", "/v1"])
async def test_the_answer_streams_and_the_conversation_is_passed_on(suffix: str) -> None:
    fake = FakeOpenAi(key=KEY)
    with openai_server(fake) as url:
        async with connected(url + suffix, options=LlmOptions(stop=("END",))) as llm:
            await llm.check()
            assert [token async for token in llm.reply(ASKED)] == list(WORDS)
    (asked,) = fake.asked
    assert asked["messages"] == [
        {"role": "system", "content": "Teach."},
        {"role": "user", "content": "Why?"},
    ]
    told = [asked[name] for name in ("model", "stream", "temperature", "max_tokens", "stop")]
    assert told == ["qwen", True, 0.4, 1024, ["END"]]
    assert asked["chat_template_kwargs"] == {"enable_thinking": False}


async def test_the_course_is_told_as_material_and_no_speaker_twice_in_a_row() -> None:
    fake = FakeOpenAi()
    sources = (Found("kb", "water.md", Passage("Water boils.", 1, "", 0), 0.9),)
    asked = [*ASKED, Message("user", "When?", sources)]
    with openai_server(fake) as url:
        async with connected(url) as llm:
            await anext(told := llm.reply(asked))
            await told.aclose()
    system, question = fake.asked[0]["messages"]
    assert (system["role"], question["role"]) == ("system", "user")
    why, data, when = question["content"].split("\n\n")
    assert (why, when) == ("Why?", "When?")
    assert data.startswith(BEGIN) and "| Water boils." in data


async def test_a_strict_server_is_asked_more_plainly() -> None:
    fake = FakeOpenAi(strict=True)
    with openai_server(fake) as url:
        async with connected(url) as llm:
            assert await answer(llm) == await answer(llm) == "".join(WORDS)
    assert len(fake.asked) == 3, "it is remembered"


async def test_thoughts_are_never_spoken() -> None:
    fake = FakeOpenAi(thoughts=("Hm.",), words=("<thi", "nk>Hm.</think>", "\nBlue."))
    with openai_server(fake) as url:
        async with connected(url) as llm:
            assert await answer(llm) == "Blue."


UNBEGUN = ("Okay, the learner asks.\n", "</think>", "\n\nFour", ".")


async def test_thoughts_that_a_server_does_not_begin_are_spoken_only_once() -> None:
    fake = FakeOpenAi(words=UNBEGUN)
    with openai_server(fake) as url:
        async with connected(url) as llm:
            assert await answer(llm) == "Okay, the learner asks.\nFour."
            assert [token async for token in llm.reply(ASKED)] == ["Four", "."]
            fake.words = WORDS
            assert [token async for token in llm.reply(ASKED)] == ["".join(WORDS)], "held back"
            assert [token async for token in llm.reply(ASKED)] == list(WORDS)


async def test_a_thought_that_became_too_long_is_not_spoken() -> None:
    fake = FakeOpenAi(words=UNBEGUN)
    with openai_server(fake) as url:
        async with connected(url) as llm:
            await answer(llm)
            fake.words, fake.finish = UNBEGUN[:1], "length"
            assert await answer(llm) == ""
            fake.words, fake.finish = UNBEGUN, "stop"
            assert await answer(llm) == "Four."


async def test_another_model_has_other_habits() -> None:
    fake = FakeOpenAi(words=UNBEGUN)
    with openai_server(fake) as url:
        async with connected(url, None) as llm:
            await llm.check()
            await answer(llm)
            fake.models, fake.words = ["another"], WORDS
            await llm.check()
            assert [token async for token in llm.reply(ASKED)] == list(WORDS)


async def test_a_tag_that_an_answer_tells_of_is_spoken() -> None:
    words = ("The tag ", "<think>", " is not part of HTML.")
    with openai_server(FakeOpenAi(words=words)) as url:
        async with connected(url) as llm:
            assert await answer(llm) == "".join(words)


async def test_without_a_name_it_takes_the_servers_own_model() -> None:
    fake = FakeOpenAi(models=["own", "other"])
    with openai_server(fake) as url:
        async with connected(url, None) as llm:
            await llm.check()
            assert llm.model == "own"
            await answer(llm)
    assert fake.asked[0]["model"] == "own"


async def test_the_servers_context_is_kept_to() -> None:
    old = [Message("user", "why " * 800), Message("assistant", "because " * 800)]
    fake = FakeOpenAi(max_model_len=1000)
    with openai_server(fake) as url:
        async with connected(url) as llm:
            await llm.check()
            assert [t async for t in llm.reply([ASKED[0], *old, ASKED[1]])] == list(WORDS)
            with pytest.raises(QuestionTooLong):
                await anext(llm.reply([Message("user", "why " * 3000)]))
    assert (len(fake.asked[0]["messages"]), fake.asked[0]["max_tokens"]) == (2, 500)


async def test_a_missing_model_is_named_with_those_that_are_there() -> None:
    with openai_server(FakeOpenAi(models=["a", "b"])) as url:
        async with connected(url, "absent") as llm:
            with pytest.raises(EngineUnavailable, match="'absent'.*has: a, b"):
                await llm.check()
            with pytest.raises(EngineUnavailable, match="no model 'absent'"):
                await answer(llm)


@pytest.mark.parametrize("lists", [True, False])
async def test_a_server_that_lists_nothing_is_used(lists: bool) -> None:
    fake = FakeOpenAi(lists=lists, listed=[])
    with openai_server(fake) as url:
        async with connected(url) as llm:
            await llm.check()
            assert await answer(llm) == "".join(WORDS)


@pytest.mark.parametrize(
    ("status", "remedy"),
    [
        (401, "OPENAI_API_KEY"),
        (403, "OPENAI_API_KEY"),
        (404, "no model"),
        (400, "Check the LLM_ settings"),
        (429, "Wait a moment"),
        (500, "log of its server"),
        (503, "log of its server"),
    ],
)
async def test_each_refusal_says_what_to_do_and_never_the_key(status: int, remedy: str) -> None:
    with openai_server(FakeOpenAi(status=status, why=f"not with {KEY}")) as url:
        async with connected(url) as llm:
            with pytest.raises(EngineError, match=remedy) as refused:
                await answer(llm)
    assert KEY not in refused.value.sentence


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_refused_question_is_told_from_a_failing_model(status: int) -> None:
    with openai_server(FakeOpenAi(status=status)) as url:
        async with connected(url) as llm:
            with pytest.raises(QuestionRefused):
                await answer(llm)


async def test_a_password_in_the_url_is_neither_told_nor_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    fake, port = FakeOpenAi(status=500), free_port()
    async with connected(f"http://me:s3cret@127.0.0.1:{port}") as llm:
        with pytest.raises(EngineUnavailable) as missing:
            await llm.check()
        with openai_server(fake, port), pytest.raises(EngineError) as failing:
            await answer(llm)
    told = missing.value.sentence + failing.value.sentence + caplog.text
    assert f"127.0.0.1:{port}" in told
    assert "s3cret" not in told


async def test_the_key_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    with openai_server(FakeOpenAi(key="another")) as url:
        async with connected(url) as llm:
            for attempt in (llm.check(), answer(llm)):
                with pytest.raises(EngineUnavailable, match="refuses the key"):
                    await attempt
    assert caplog.text
    assert KEY not in caplog.text


async def test_a_missing_server_is_named_with_its_remedy() -> None:
    async with connected(f"http://127.0.0.1:{free_port()}") as llm:
        for attempt in (llm.check(), answer(llm)):
            with pytest.raises(EngineUnavailable, match="OPENAI_BASE_URL"):
                await attempt


@pytest.mark.parametrize(
    ("fake", "said"),
    [
        (FakeOpenAi(breaks_after=1), "CUDA out of memory"),
        (FakeOpenAi(vanishes_after=1), "No language model answers"),
    ],
)
async def test_a_server_that_breaks_in_mid_answer_is_an_engine_error(
    fake: FakeOpenAi, said: str
) -> None:
    tokens = []
    with openai_server(fake) as url:
        async with connected(url) as llm:
            with pytest.raises(EngineError, match=said):
                async for token in llm.reply(ASKED):
                    tokens.append(token)
    assert tokens == list(WORDS[:1])


@pytest.mark.parametrize("hangs", [False, True])
async def test_a_cancelled_turn_makes_the_server_stop(hangs: bool) -> None:
    fake = FakeOpenAi(words=("word ",) * 1000, gap_s=0.01, hangs=hangs)
    with openai_server(fake) as url:
        async with connected(url) as llm:
            turn = asyncio.create_task(answer(llm))
            await asyncio.sleep(0.3)
            assert fake.asked
            cancelled_s = time.monotonic()
            turn.cancel()
            await asyncio.wait([turn])
            assert await asyncio.to_thread(fake.left.wait, 5)
    assert fake.left_s - cancelled_s < STOP_LIMIT_S
