"""The choice, with real clients and servers that come, fail and go."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager

import pytest

from engines.base import Llm, Message
from engines.errors import EngineError, EngineTimeout, EngineUnavailable
from engines.knowledge.base import Found, Passage
from engines.llm import breaker, choice
from engines.llm.choice import (
    APOLOGY_CHINESE,
    APOLOGY_ENGLISH,
    BestLlm,
    Candidate,
    Limits,
    Model,
)
from engines.llm.loaded import LoadedLlm
from engines.llm.offline import OfflineLlm
from engines.llm.ollama import OllamaLlm
from engines.llm.openai import OpenAiLlm
from engines.llm.options import LlmOptions
from engines.stub import StubLlm
from tests import openai_server as openai
from tests.ollama_server import WORDS, FakeOllama, Mode, ollama_server
from tests.openai_server import FakeOpenAi, openai_server
from tests.running import eventually, free_port

MODEL = "llama3:8b"
ASKED = [Message("user", "Why?")]
OLLAMA_SAYS, OPENAI_SAYS = "".join(WORDS), "".join(openai.WORDS)
OFFLINE = "no language model is connected"
WAIT_LIMIT_S = 5.0


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "PROBE_INTERVAL_S", 0.1)
    monkeypatch.setattr(choice, "PROBE_AGAIN_S", 0.0)


@pytest.fixture
def probes_by_need_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "PROBE_INTERVAL_S", 3600.0)


def ollama(url: str, model: str = MODEL, *, pull: bool = False) -> OllamaLlm:
    return OllamaLlm(url, model, LlmOptions(), pull=pull)


@asynccontextmanager
async def best(*models: Model | Candidate, limits: Limits | None = None) -> AsyncIterator[BestLlm]:
    candidates = [m if isinstance(m, Candidate) else Candidate(m) for m in models]
    llm = BestLlm(candidates, OfflineLlm(MODEL), limits or Limits())
    try:
        yield llm
    finally:
        await llm.close()


async def answer(llm: Llm, asked: Sequence[Message] = ASKED) -> str:
    return "".join([token async for token in llm.reply(asked)])


async def until_state(llm: BestLlm, engine: str, remedy: str = "") -> None:
    async with asyncio.timeout(WAIT_LIMIT_S):
        while True:
            state = await llm.state()
            if state.engine == engine and remedy in state.remedy:
                return
            await asyncio.sleep(0.01)


async def test_it_moves_up_when_ollama_comes_and_down_when_it_goes() -> None:
    port = free_port()
    async with best(ollama(f"http://127.0.0.1:{port}")) as llm:
        state = await llm.state()
        assert (state.engine, state.state) == ("offline", "degraded")
        assert "ollama serve" in state.remedy
        assert OFFLINE in await answer(llm)
        with ollama_server(FakeOllama(), port):
            await until_state(llm, "ollama")
            assert (await llm.state()).state == "ready"
            assert await answer(llm) == OLLAMA_SAYS
        await until_state(llm, "offline")
        assert OFFLINE in await answer(llm)


@pytest.mark.usefixtures("probes_by_need_only")
async def test_a_server_killed_in_mid_conversation_and_brought_back_needs_no_restart() -> None:
    port, fake = free_port(), FakeOllama(words=("word ",) * 200, gap_s=0.02)
    async with best(ollama(f"http://127.0.0.1:{port}")) as llm:
        with ExitStack() as server:
            server.enter_context(ollama_server(fake, port))
            heard = []
            with pytest.raises(EngineError, match="does not answer"):
                async for token in llm.reply(ASKED):
                    heard.append(token)
                    if len(heard) == 5:
                        await asyncio.to_thread(server.close)
            assert set(heard) == {"word "}
        assert OFFLINE in await answer(llm)
        assert (await llm.state()).engine == "offline"
        with ollama_server(FakeOllama(), port):
            assert await answer(llm) == OLLAMA_SAYS
            assert (await llm.state()).engine == "ollama"


async def test_the_best_is_taken_and_the_next_stands_in() -> None:
    mine, ports = FakeOpenAi(models=[MODEL]), (free_port(), free_port())
    with ExitStack() as first, ollama_server(FakeOllama(), ports[1]) as second:
        url = first.enter_context(openai_server(mine, ports[0]))
        async with best(OpenAiLlm(url, "", MODEL, LlmOptions()), ollama(second)) as llm:
            assert await answer(llm) == OPENAI_SAYS
            assert (await llm.state()).engine == "openai"
            mine.status = 500
            assert await answer(llm) == OLLAMA_SAYS, "in the same turn"
            first.close()
            await until_state(llm, "ollama", "OPENAI_BASE_URL")
            assert (await llm.state()).state == "degraded"
            assert await answer(llm) == OLLAMA_SAYS
            mine.status = 200
            with openai_server(mine, ports[0]):
                await until_state(llm, "openai")
                assert await answer(llm) == OPENAI_SAYS


async def test_that_an_unwanted_better_one_is_missing_is_no_defect() -> None:
    missing = Candidate(ollama(f"http://127.0.0.1:{free_port()}"), expected=False)
    async with best(missing, LoadedLlm("transformers", "tiny", StubLlm)) as llm:
        await until_state(llm, "transformers")
        assert (await llm.state()).state == "ready"
        assert "stub" in await answer(llm)


@pytest.mark.parametrize("mode", ["hangs", "refuses", "silent"])
async def test_nothing_is_ever_answered_with_silence(mode: Mode) -> None:
    with ollama_server(FakeOllama(mode=mode)) as url:
        async with best(ollama(url), limits=Limits(first_token_s=0.2)) as llm:
            assert await answer(llm) == APOLOGY_ENGLISH
            assert await answer(llm, [Message("user", "为什么？")]) == APOLOGY_CHINESE
            passage = Passage("Water boils at 100 degrees Celsius.", 1, "", 0)
            found = (Found("kb", "water.md", passage, 0.9),)
            quoted = await answer(llm, [Message("user", "When does water boil?", found)])
            assert passage.text in quoted, "the course answers as well"


@pytest.mark.parametrize("mode", ["breaks", "vanishes"])
async def test_a_model_that_fails_in_mid_answer_is_told(mode: Mode) -> None:
    with ollama_server(FakeOllama(mode=mode)) as url:
        async with best(ollama(url)) as llm:
            heard = []
            with pytest.raises(EngineError):
                async for token in llm.reply(ASKED):
                    heard.append(token)
            assert heard == list(WORDS[:1]), "and nobody else goes on"


async def test_a_model_that_does_not_come_to_an_end_is_stopped() -> None:
    fake = FakeOllama(words=("word ",) * 1000, gap_s=0.02)
    with ollama_server(fake) as url:
        async with best(ollama(url), limits=Limits(answer_s=2.0)) as llm:
            with pytest.raises(EngineTimeout, match="LLM_ANSWER_SECONDS"):
                await answer(llm)
            assert await asyncio.to_thread(fake.left.wait, WAIT_LIMIT_S)


async def test_a_slow_listener_costs_a_model_nothing() -> None:
    with ollama_server(FakeOllama()) as url:
        async with best(ollama(url), limits=Limits(answer_s=1.0)) as llm:
            heard = []
            async for token in llm.reply(ASKED):
                heard.append(token)
                await asyncio.sleep(0.4)
            assert heard == list(WORDS)


async def test_a_model_gets_no_less_time_than_it_can_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "FIRST_WORD_LIMIT_S", choice.LEAST_FIRST_WORD_S - 1)
    fake = FakeOllama()
    with ollama_server(fake) as url:
        async with best(ollama(url)) as llm:
            assert await answer(llm) == APOLOGY_ENGLISH
            assert not fake.asked
            assert (await llm.state()).engine == "ollama", "it has not failed"


async def test_a_question_too_long_is_answered_with_a_sentence() -> None:
    fake = FakeOllama()
    with ollama_server(fake) as url:
        async with best(ollama(url)) as llm:
            assert "too long" in await answer(llm, [Message("user", "why " * 50_000)])
            assert (await llm.state()).state == "ready"
    assert not fake.asked


async def test_a_failing_server_is_left_alone_and_then_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(breaker, "FIRST_REST_S", 2.0)
    fake = FakeOllama(mode="refuses")
    with ollama_server(fake) as url:
        async with best(ollama(url)) as llm:
            for _ in range(breaker.FAILURES):
                assert await answer(llm) == APOLOGY_ENGLISH
            probes = fake.probes
            assert OFFLINE in await answer(llm)
            await asyncio.sleep(0.25)
            assert (len(fake.asked), fake.probes) == (breaker.FAILURES, probes)
            fake.mode = "well"
            await until_state(llm, "ollama")
            assert await answer(llm) == OLLAMA_SAYS


@pytest.mark.usefixtures("probes_by_need_only")
async def test_a_refused_question_takes_the_model_from_nobody() -> None:
    mine = FakeOpenAi(models=[MODEL], refuses="bad")
    with openai_server(mine) as first, ollama_server(FakeOllama()) as second:
        async with best(OpenAiLlm(first, "", MODEL, LlmOptions()), ollama(second)) as llm:
            for _ in range(breaker.FAILURES + 1):
                assert await answer(llm, [Message("user", "bad")]) == OLLAMA_SAYS
                assert (await llm.state()).engine == "openai"
                assert await answer(llm) == OPENAI_SAYS


@pytest.mark.usefixtures("probes_by_need_only")
async def test_an_answer_without_words_takes_the_model_from_nobody() -> None:
    with ollama_server(FakeOllama(modes={"bad": "silent"})) as url:
        async with best(ollama(url)) as llm:
            for _ in range(breaker.FAILURES + 1):
                assert await answer(llm, [Message("user", "bad")]) == APOLOGY_ENGLISH
            assert await answer(llm) == OLLAMA_SAYS


async def test_one_question_finds_out_whether_a_model_is_back_and_the_others_do_not_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(breaker, "FIRST_REST_S", 0.2)
    mine = FakeOpenAi(models=[MODEL], hangs=True)
    with openai_server(mine) as first, ollama_server(FakeOllama()) as second:
        models = OpenAiLlm(first, "", MODEL, LlmOptions()), ollama(second)
        async with best(*models, limits=Limits(first_token_s=1.0)) as llm:
            await asyncio.gather(*(answer(llm) for _ in range(breaker.FAILURES)))
            await until_state(llm, "openai")
            asking = [asyncio.create_task(answer(llm)) for _ in range(5)]
            done, waiting = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
            assert waiting
            assert (await llm.state()).engine == "ollama"
            assert set(await asyncio.gather(*asking)) == {OLLAMA_SAYS}
            assert len(mine.asked) == breaker.FAILURES + 1
            mine.hangs = False
            await until_state(llm, "openai")
            assert await answer(llm) == OPENAI_SAYS
            assert await asyncio.gather(*(answer(llm) for _ in range(5))) == [OPENAI_SAYS] * 5


async def test_a_probe_does_not_speak_for_a_model_that_is_just_being_tried() -> None:
    fake = FakeOllama(modes={"slow": "hangs", "bad": "refuses"})
    with ollama_server(fake) as url:
        async with best(ollama(url)) as llm:
            await llm.state()
            waiting = asyncio.create_task(answer(llm, [Message("user", "slow")]))
            await eventually(lambda: fake.asked)
            assert await answer(llm, [Message("user", "bad")]) == APOLOGY_ENGLISH
            probes = fake.probes
            await eventually(lambda: fake.probes >= probes + 3)
            assert "could not answer" in (await llm.state()).remedy
            waiting.cancel()
            await asyncio.wait([waiting])
            await until_state(llm, "ollama")


async def test_after_one_failure_the_only_model_is_still_asked_by_all() -> None:
    fake = FakeOllama(modes={"bad": "refuses"}, first_s=0.2)
    with ollama_server(fake) as url:
        async with best(ollama(url)) as llm:
            assert await answer(llm, [Message("user", "bad")]) == APOLOGY_ENGLISH
            await until_state(llm, "ollama")
            assert await asyncio.gather(*(answer(llm) for _ in range(5))) == [OLLAMA_SAYS] * 5


async def test_a_missing_model_is_downloaded_while_the_offline_tutor_answers() -> None:
    fake = FakeOllama(models=[])
    fake.pull_may_go_on.clear()
    with ollama_server(fake) as url:
        async with best(ollama(url, pull=True)) as llm:
            await until_state(llm, "offline", f"downloading {MODEL}: 42 %")
            assert OFFLINE in await answer(llm)
            fake.pull_may_go_on.set()
            await until_state(llm, "ollama")
            assert await answer(llm) == OLLAMA_SAYS
    assert fake.pulled == [MODEL]


async def test_the_model_is_loaded_in_the_background_and_again_after_a_restart() -> None:
    port = free_port()
    async with best(ollama(f"http://127.0.0.1:{port}")) as llm:
        llm.start()
        for _ in range(2):
            fake = FakeOllama()
            with ollama_server(fake, port):
                assert await asyncio.to_thread(fake.has_loaded.wait, WAIT_LIMIT_S)
                await asyncio.sleep(0.3)
                assert len(fake.loaded) == 1
            await until_state(llm, "offline")


async def test_what_would_not_be_asked_is_not_loaded() -> None:
    spare = FakeOllama()
    with ollama_server(spare) as second, openai_server(FakeOpenAi(models=[MODEL])) as first:
        async with best(OpenAiLlm(first, "", MODEL, LlmOptions()), ollama(second)) as llm:
            await until_state(llm, "openai")
            await asyncio.sleep(0.3)
    assert not spare.loaded


class Broken:
    name = model = "broken"

    async def check(self) -> None: ...

    async def prepare(self) -> None: ...

    async def close(self) -> None: ...

    async def reply(self, messages: Sequence[Message]) -> AsyncIterator[str]:
        raise RuntimeError("a fault of its own")
        yield ""


async def test_an_engines_own_fault_is_no_reason_for_silence() -> None:
    async with best(Broken(), LoadedLlm("transformers", "tiny", StubLlm)) as llm:
        assert await answer(llm) == APOLOGY_ENGLISH
        await until_state(llm, "broken")


async def test_a_model_that_cannot_be_loaded_tells_why_and_is_not_tried_at_once_again() -> None:
    tries = []

    def load() -> Llm:
        tries.append(1)
        raise EngineUnavailable("There is no such folder. Correct it.")

    async with best(LoadedLlm("transformers", "tiny", load)) as llm:
        await until_state(llm, "offline", "no such folder")
        await asyncio.sleep(0.3)
        assert OFFLINE in await answer(llm)
    assert tries == [1]


async def test_many_turns_at_once_share_the_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "PROBE_AGAIN_S", 1.0)
    fake = FakeOllama()
    async with AsyncExitStack() as stack:
        url = stack.enter_context(ollama_server(fake))
        llm = await stack.enter_async_context(best(ollama(url)))
        answers = await asyncio.gather(*(answer(llm) for _ in range(20)))
    assert set(answers) == {OLLAMA_SAYS}
    assert fake.probes <= 3  # one is of the loading


class Sluggish:
    """Its probes take as long as it is told."""

    name = model = "sluggish"

    def __init__(self) -> None:
        self.probe_s = 0.0
        self.slow = 0

    def reply(self, messages: Sequence[Message]) -> AsyncIterator[str]:
        return StubLlm().reply(messages)

    async def check(self) -> None:
        self.slow = self.slow + 1 if self.probe_s else 0
        await asyncio.sleep(self.probe_s)

    async def prepare(self) -> None: ...

    async def close(self) -> None: ...


async def test_one_late_answer_to_a_probe_takes_a_model_from_nobody_and_two_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(choice, "PROBE_LIMIT_S", 0.5)
    model = Sluggish()
    async with best(model) as llm:
        assert (await llm.state()).engine == "sluggish"
        model.probe_s = 3600.0
        await eventually(lambda: model.slow == 2)
        assert (await llm.state()).engine == "sluggish", "only one answer was late yet"
        await until_state(llm, "offline", "too slow to answer")
        model.probe_s = 0.0
        await until_state(llm, "sluggish")
