"""The real client against a server that speaks Ollama's API."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from engines.base import Message
from engines.errors import EngineError, EngineUnavailable, QuestionRefused, QuestionTooLong
from engines.knowledge.base import Found, Passage
from engines.llm import ollama
from engines.llm.grounding import BEGIN
from engines.llm.ollama import OllamaLlm
from engines.llm.options import LlmOptions
from tests.ollama_server import WORDS, FakeOllama, Mode, ollama_server
from tests.running import free_port

MODEL = "llama3:8b"
THINKING = ("completion", "thinking")
ASKED = [Message("system", "Teach."), Message("user", "Why?")]
STOP_LIMIT_S = 0.1


@asynccontextmanager
async def connected(
    url: str, model: str = MODEL, options: LlmOptions | None = None, **how: Any
) -> AsyncIterator[OllamaLlm]:
    llm = OllamaLlm(url, model, options or LlmOptions(), **how)
    try:
        yield llm
    finally:
        await llm.close()


async def answer(llm: OllamaLlm) -> str:
    return "".join([token async for token in llm.reply(ASKED)])


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
    assert (asked["stream"], asked["keep_alive"]) == (True, "30m")
    assert asked["options"] == {"temperature": 0.4, "num_ctx": 8192, "num_predict": 1024}
    assert "think" not in asked, "a model that cannot think refuses to be asked about it"


async def test_the_course_is_told_as_material() -> None:
    fake = FakeOllama()
    sources = (Found("kb", "water.md", Passage("Water boils.", 1, "", 0), 0.9),)
    with ollama_server(fake) as url:
        async with connected(url) as llm:
            assert [t async for t in llm.reply([ASKED[0], Message("user", "When?", sources)])]
    system, data, question = fake.asked[0]["messages"]
    assert BEGIN in system["content"]
    assert data["content"].startswith(BEGIN) and "| Water boils." in data["content"]
    assert question == {"role": "user", "content": "When?"}


async def test_the_options_are_passed_on() -> None:
    fake = FakeOllama(context=1000)
    options = LlmOptions(0.9, max_tokens=800, context_tokens=4096, stop=("###", "END"))
    with ollama_server(fake) as url:
        async with connected(url, options=options, keep_alive="-1") as llm:
            await answer(llm)
    (asked,) = fake.asked
    assert asked["keep_alive"] == -1
    assert asked["options"] == {
        "temperature": 0.9,
        "num_ctx": 1000,  # more than the model has is not asked for
        "num_predict": 500,
        "stop": ["###", "END"],
    }


async def test_the_model_is_loaded_with_the_options_of_later_questions() -> None:
    fake = FakeOllama()
    with ollama_server(fake) as url:
        async with connected(url) as llm:
            await llm.prepare()
            await answer(llm)
    (loaded,), (asked,) = fake.loaded, fake.asked
    assert loaded["options"] == asked["options"]
    assert loaded["keep_alive"] == asked["keep_alive"]


async def test_a_model_that_can_think_is_told_not_to() -> None:
    fake = FakeOllama(capabilities=THINKING, thoughts=("Hm. ",))
    with ollama_server(fake) as url:
        async with connected(url) as llm:
            assert await answer(llm) == "".join(WORDS)
    assert fake.asked[0]["think"] is False


async def test_thoughts_are_never_spoken() -> None:
    fake = FakeOllama(capabilities=THINKING, thoughts=("Hm. ", "Light?"))
    with ollama_server(fake) as url:
        async with connected(url, options=LlmOptions(think=True)) as llm:
            assert await answer(llm) == "".join(WORDS)
            fake.words = ("<th", "ink>Hm.", " Light?</thi", "nk>\n\nBlue.")
            assert await answer(llm) == "Blue."
    assert fake.asked[0]["think"] is True


async def test_a_conversation_too_long_is_cut_and_a_question_too_long_refused() -> None:
    fake = FakeOllama(context=600)
    old = [Message("user", "why " * 300), Message("assistant", "because " * 300)]
    with ollama_server(fake) as url:
        async with connected(url) as llm:
            assert [t async for t in llm.reply([ASKED[0], *old, ASKED[1]])] == list(WORDS)
            with pytest.raises(QuestionTooLong):
                await anext(llm.reply([ASKED[0], Message("user", "why " * 3000)]))
    (asked,) = fake.asked
    assert [message["content"] for message in asked["messages"]] == ["Teach.", "Why?"]


async def test_it_learns_to_count_from_the_server() -> None:
    fake = FakeOllama(context=2000, prompt_tokens=1300)
    history = [Message("user", "天" * 100), Message("assistant", "天" * 300)]
    with ollama_server(fake) as url:
        async with connected(url, options=LlmOptions(max_tokens=100)) as llm:
            for _ in range(2):  # this model needs three tokens for a character
                [token async for token in llm.reply([*history, Message("user", "天" * 30)])]
            [token async for token in llm.reply([*history * 2, Message("user", "天" * 30)])]
    assert [len(asked["messages"]) for asked in fake.asked] == [3, 3, 3]


async def test_a_missing_model_is_named_with_its_remedy() -> None:
    with ollama_server(FakeOllama()) as url:
        async with connected(url, "absent:7b") as llm:
            for attempt in (llm.check(), llm.prepare(), anext(aiter(llm.reply(ASKED)))):
                with pytest.raises(EngineUnavailable, match="ollama pull absent:7b"):
                    await attempt
        async with connected(url, "tiny") as llm:
            await llm.check()


async def test_a_missing_model_is_downloaded_when_it_may_be() -> None:
    fake = FakeOllama()
    fake.pull_may_go_on.clear()
    with ollama_server(fake) as url:
        async with connected(url, "absent:7b", pull=True) as llm, asyncio.TaskGroup() as tasks:
            preparing = tasks.create_task(llm.prepare())
            await until_trouble(llm, "downloading absent:7b: 42 %")
            fake.pull_may_go_on.set()
            await preparing
            await llm.check()
            assert await answer(llm) == "".join(WORDS)
    assert fake.pulled == ["absent:7b"]
    assert [loaded["model"] for loaded in fake.loaded] == ["absent:7b"]


async def until_trouble(llm: OllamaLlm, sentence: str) -> None:
    async with asyncio.timeout(5):
        told = ""
        while told != sentence:
            with pytest.raises(EngineUnavailable) as trouble:
                await llm.check()
            told = trouble.value.sentence
            await asyncio.sleep(0.01)


async def test_a_download_that_fails_is_told() -> None:
    with ollama_server(FakeOllama(pull_fails=True)) as url:
        async with connected(url, "absent:7b", pull=True) as llm:
            with pytest.raises(EngineError, match="file does not exist"):
                await llm.prepare()
            with pytest.raises(EngineUnavailable, match="Downloading it failed.*does not exist"):
                await llm.check()


@pytest.mark.parametrize("stalls", [True, False])
async def test_a_download_that_stands_still_is_given_up_and_goes_on_later(
    stalls: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ollama, "STALL_LIMIT_S", 0.3)
    fake = FakeOllama(pull_stalls=stalls)
    if not stalls:
        fake.pull_may_go_on.clear()  # not even the same is told
    with ollama_server(fake) as url:
        async with connected(url, "absent:7b", pull=True) as llm:
            with pytest.raises(EngineError, match="nothing has come"):
                await asyncio.wait_for(llm.prepare(), 20)
            with pytest.raises(EngineUnavailable, match="Downloading it failed: nothing has come"):
                await llm.check()
            fake.pull_stalls = False
            fake.pull_may_go_on.set()
            await llm.prepare()
            await llm.check()


async def test_a_download_that_goes_on_may_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ollama, "STALL_LIMIT_S", 1.0)
    fake = FakeOllama(pull_percents=tuple(range(0, 101, 4)), pull_gap_s=0.06)
    with ollama_server(fake) as url:
        async with connected(url, "absent:7b", pull=True) as llm:
            await llm.prepare()
            await llm.check()


async def test_a_model_that_is_not_loaded_in_time_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ollama, "LOAD_LIMIT_S", 0.3)
    with ollama_server(FakeOllama(loads=False)) as url:
        async with connected(url) as llm:
            with pytest.raises(EngineError, match="has not loaded"):
                await llm.prepare()


async def test_a_refused_question_is_told_from_a_failing_model() -> None:
    fake = FakeOllama(capabilities=THINKING)
    with ollama_server(fake) as url:
        async with connected(url) as llm:
            await llm.check()
            fake.capabilities = ("completion",)  # the model is another one now
            with pytest.raises(QuestionRefused, match="does not support thinking"):
                await answer(llm)
            assert await answer(llm) == "".join(WORDS)


async def test_a_thought_that_only_ends_is_spoken_only_once() -> None:
    fake = FakeOllama(words=("Okay.\n", "</think>", "\n\nFour", "."))
    with ollama_server(fake) as url:
        async with connected(url) as llm:
            assert await answer(llm) == "Okay.\nFour."
            assert [token async for token in llm.reply(ASKED)] == ["Four", "."]


async def test_a_password_in_the_url_is_neither_told_nor_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    port = free_port()
    async with connected(f"http://me:s3cret@127.0.0.1:{port}") as llm:
        with pytest.raises(EngineUnavailable) as missing:
            await llm.check()
        with ollama_server(FakeOllama(), port):
            await llm.check()
    assert f"127.0.0.1:{port}" in missing.value.sentence
    assert "s3cret" not in missing.value.sentence + caplog.text


async def test_no_proxy_hears_what_is_said_on_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    with ollama_server(FakeOllama()) as url:
        async with connected(url) as llm:
            assert await answer(llm) == "".join(WORDS)


async def test_a_missing_server_is_named_with_its_remedy() -> None:
    async with connected(f"http://127.0.0.1:{free_port()}") as llm:
        for attempt in (llm.check(), llm.prepare(), anext(aiter(llm.reply(ASKED)))):
            with pytest.raises(EngineUnavailable, match="ollama serve"):
                await attempt


@pytest.mark.parametrize(
    ("mode", "said", "heard"),
    [
        ("breaks", "the runner has died", list(WORDS[:1])),
        ("vanishes", "does not answer", list(WORDS[:1])),
        ("refuses", "runner process has terminated", []),
    ],
)
async def test_a_server_that_fails_is_an_engine_error(
    mode: Mode, said: str, heard: list[str]
) -> None:
    tokens = []
    with ollama_server(FakeOllama(mode=mode)) as url:
        async with connected(url) as llm:
            with pytest.raises(EngineError, match=said):
                async for token in llm.reply(ASKED):
                    tokens.append(token)
    assert tokens == heard


async def test_a_server_of_another_kind_is_told() -> None:
    fake = FakeOllama()
    with ollama_server(fake) as url:
        async with connected(f"{url}/elsewhere") as llm:
            with pytest.raises(EngineError):
                await llm.check()


async def first_token(tokens: AsyncGenerator[str, None]) -> None:
    async with aclosing(tokens):
        async for _ in tokens:
            break


async def test_leaving_the_stream_makes_the_server_stop() -> None:
    fake = FakeOllama(words=("word ",) * 1000, gap_s=0.01)
    with ollama_server(fake) as url:
        async with connected(url) as llm:
            await first_token(llm.reply(ASKED))
            left_s = time.monotonic()
            assert await asyncio.to_thread(fake.left.wait, 5)
    assert fake.left_s - left_s < STOP_LIMIT_S


@pytest.mark.parametrize("mode", ["well", "hangs"])
async def test_a_cancelled_turn_makes_the_server_stop(mode: Mode) -> None:
    fake = FakeOllama(words=("word ",) * 1000, gap_s=0.01, mode=mode)
    with ollama_server(fake) as url:
        async with connected(url) as llm:
            turn = asyncio.create_task(answer(llm))
            await asyncio.sleep(0.3)
            assert fake.asked
            cancelled_s = time.monotonic()
            turn.cancel()
            await asyncio.wait([turn])
            assert await asyncio.to_thread(fake.left.wait, 5)
    assert fake.left_s - cancelled_s < STOP_LIMIT_S
