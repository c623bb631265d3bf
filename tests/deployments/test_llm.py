"""Which minds arguments and settings name, and the deployment with real servers."""

import asyncio
import time
from pathlib import Path

import pytest

from deployments.llm import LlmArgs, LlmDeployment, choose
from deployments.settings import read_engine_settings
from engines.base import Message
from engines.llm.choice import APOLOGY_ENGLISH, BestLlm
from foundation.settings import SettingsError
from tests import openai_server as openai
from tests.ollama_server import WORDS, FakeOllama, ollama_server
from tests.openai_server import FakeOpenAi, openai_server
from tests.running import free_port

ASKED = [Message("user", "Why?")]
MODEL = "llama3:8b"
STOP_LIMIT_S = 0.1
LOAD_LIMIT_S = 120.0


class Environment:
    """The settings of one test, and no others."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        self.set(OLLAMA_BASE_URL=f"http://127.0.0.1:{free_port()}")

    def set(self, **variables: str) -> None:
        for name, value in variables.items():
            self._patch.setenv(name, value)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Environment:
    monkeypatch.chdir(tmp_path)  # no .env
    return Environment(monkeypatch)


async def heard(args: LlmArgs) -> str:
    llm = choose(args)
    try:
        return "".join([token async for token in llm.reply(ASKED)])
    finally:
        if isinstance(llm, BestLlm):
            await llm.close()


async def until_state(llm: BestLlm, engine: str, remedy: str = "") -> None:
    async with asyncio.timeout(LOAD_LIMIT_S):
        while True:
            state = await llm.state()
            if state.engine == engine and remedy in state.remedy:
                return
            await asyncio.sleep(0.05)


async def test_auto_takes_the_best_that_is_configured(environment: Environment) -> None:
    assert "no language model" in await heard(LlmArgs())
    with ollama_server(FakeOllama()) as url:
        environment.set(OLLAMA_BASE_URL=url, DEFAULT_LLM_MODEL=MODEL)
        assert await heard(LlmArgs()) == "".join(WORDS)
        with openai_server(FakeOpenAi(models=[MODEL], key="k")) as first:
            environment.set(OPENAI_BASE_URL=first, OPENAI_API_KEY="k")
            assert await heard(LlmArgs()) == "".join(openai.WORDS)
            assert await heard(LlmArgs(engine="ollama")) == "".join(WORDS)


async def test_each_engine_can_be_asked_for_alone(environment: Environment) -> None:
    with ollama_server(FakeOllama()) as url:
        environment.set(OLLAMA_BASE_URL=url, OPENAI_BASE_URL=f"http://127.0.0.1:{free_port()}")
        assert await heard(LlmArgs(engine="openai", model=MODEL)) == APOLOGY_ENGLISH
        assert await heard(LlmArgs(engine="auto", model=MODEL)) == "".join(WORDS)
        assert "no language model" in await heard(LlmArgs(engine="offline", model=MODEL))


async def test_an_engine_without_its_setting_names_it(environment: Environment) -> None:
    for engine, setting in (("openai", "OPENAI_BASE_URL"), ("transformers", "TRANSFORMERS_MODEL")):
        llm = choose(LlmArgs.model_validate({"engine": engine}))
        state = await llm.state()
        assert state.state == "degraded"
        assert setting in state.remedy
        assert APOLOGY_ENGLISH in [token async for token in llm.reply(ASKED)]


async def test_a_model_of_transformers_stands_in_for_servers(
    environment: Environment, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    from tests.tiny_llm import make_tiny_llm

    environment.set(TRANSFORMERS_MODEL=str(make_tiny_llm(tmp_path / "tiny")), LLM_TEMPERATURE="0")
    llm = choose(LlmArgs())
    assert isinstance(llm, BestLlm)
    await until_state(llm, "transformers")
    assert (await llm.state()).state == "ready"
    asked = [Message("user", "What is water?")]
    answer = "".join([token async for token in llm.reply(asked)])
    assert answer == "Water is made of hydrogen and oxygen."
    await llm.close()


async def test_a_model_of_transformers_that_is_missing_is_named(environment: Environment) -> None:
    pytest.importorskip("torch")
    environment.set(TRANSFORMERS_MODEL="/no/such/folder")
    llm = choose(LlmArgs(engine="transformers"))
    assert isinstance(llm, BestLlm)
    await until_state(llm, "offline", "/no/such/folder")
    await llm.close()


async def test_switched_off_it_stays_off(environment: Environment) -> None:
    with ollama_server(FakeOllama()) as url:
        environment.set(OLLAMA_BASE_URL=url, DEFAULT_LLM_MODEL=MODEL, ENABLE_LLM="false")
        assert "ENABLE_LLM" in await heard(LlmArgs())
        assert "ENABLE_LLM" in (await choose(LlmArgs()).state()).remedy


async def test_a_server_is_asked_for_its_own_model_unless_one_is_named(
    environment: Environment,
) -> None:
    fake = FakeOpenAi(models=["own", "named"])
    with openai_server(fake) as url:
        environment.set(OPENAI_BASE_URL=url)
        await heard(LlmArgs())
        await heard(LlmArgs(model="named"))
        environment.set(DEFAULT_LLM_MODEL="named")
        await heard(LlmArgs())
    assert [asked["model"] for asked in fake.asked] == ["own", "named", "named"]


async def test_settings_and_arguments_reach_the_server(environment: Environment) -> None:
    fake = FakeOllama()
    with ollama_server(fake) as url:
        environment.set(
            OLLAMA_BASE_URL=url,
            DEFAULT_LLM_MODEL=MODEL,
            LLM_TEMPERATURE="0.1",
            LLM_CONTEXT_TOKENS="2048",
            LLM_MAX_TOKENS="64",
            LLM_STOP="END, ###",
            LLM_KEEP_ALIVE="-1",
        )
        await heard(LlmArgs())
        await heard(LlmArgs(model="tiny:latest", max_tokens=32, context_tokens=1024))
    first, second = fake.asked
    told = {"temperature": 0.1, "num_ctx": 2048, "num_predict": 64, "stop": ["END", "###"]}
    assert (first["model"], first["options"], first["keep_alive"]) == (MODEL, told, -1)
    assert second["model"] == "tiny:latest"
    assert second["options"] == {**told, "num_ctx": 1024, "num_predict": 32}


async def test_the_deployment_loads_its_model_before_the_first_question(
    environment: Environment,
) -> None:
    fake = FakeOllama()
    with ollama_server(fake) as url:
        environment.set(OLLAMA_BASE_URL=url)
        deployment = LlmDeployment(LlmArgs(model=MODEL))
        await deployment.check_health()
        assert await asyncio.to_thread(fake.has_loaded.wait, 5)
        assert (await deployment.state()).engine == "ollama"
        assert isinstance(deployment._llm, BestLlm)
        await deployment._llm.close()


async def test_a_cancelled_turn_makes_the_server_stop(environment: Environment) -> None:
    fake = FakeOllama(words=("word ",) * 1000, gap_s=0.01)
    with ollama_server(fake) as url:
        environment.set(OLLAMA_BASE_URL=url)
        deployment = LlmDeployment(LlmArgs(model=MODEL))

        async def listen() -> None:
            async for _ in deployment.reply(ASKED):
                pass

        turn = asyncio.create_task(listen())
        await asyncio.sleep(0.3)
        assert fake.asked
        cancelled_s = time.monotonic()
        turn.cancel()
        await asyncio.wait([turn])
        assert await asyncio.to_thread(fake.left.wait, 5)
        assert fake.left_s - cancelled_s < STOP_LIMIT_S
        assert isinstance(deployment._llm, BestLlm)
        await deployment._llm.close()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LLM_KEEP_ALIVE", "soon"),
        ("LLM_CONTEXT_TOKENS", "many"),
        ("LLM_MAX_TOKENS", "0"),
        ("LLM_FIRST_TOKEN_SECONDS", "600"),
        ("OPENAI_BASE_URL", "here"),
        ("OPENAI_API_KEY", "schlüssel one"),
    ],
)
def test_a_wrong_setting_is_named_and_not_repeated(
    environment: Environment, name: str, value: str
) -> None:
    environment.set(**{name: value})
    with pytest.raises(SettingsError, match=name) as wrong:
        read_engine_settings()
    assert value not in str(wrong.value)
    assert value not in str(wrong.value.__cause__)


@pytest.mark.parametrize("duration", ["30m", "1h30m", "0", "-1", "90", "1.5h"])
def test_durations_as_ollama_takes_them(environment: Environment, duration: str) -> None:
    environment.set(LLM_KEEP_ALIVE=duration)
    assert read_engine_settings().llm_keep_alive == duration
