"""Tutors whose minds are behind a server of OpenAI's API, through the whole server."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cli.environment import THROUGHPUT
from tests.answers import answer_to, with_deltas
from tests.openai_server import FakeOpenAi, openai_server
from tests.running import Running, free_port, graph, serving

pytestmark = pytest.mark.cluster

SKY = ("Light ", "is scattered ", "by the air.")


@dataclass(frozen=True)
class Served:
    engine: Running
    openai: FakeOpenAi
    log: Path


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Every tutor's model is `qwen`, for `auto` prefers the server that is configured."""
    fake = FakeOpenAi(words=SKY, key="sk-test")
    with openai_server(fake) as url:
        environ = THROUGHPUT | {
            "OPENAI_BASE_URL": url,
            "OPENAI_API_KEY": fake.key,
            "BACKEND_WAIT_SECONDS": "60",
        }
        home = tmp_path_factory.mktemp("openai")
        with serving(home, graph(free_port()), environ) as engine:
            yield Served(engine, fake, home / "serve.log")


async def test_auto_takes_the_server_that_is_configured(served: Served) -> None:
    async with served.engine.http() as http:
        mind = (await http.get("/health")).json()["engines"]["llm"]
    assert (mind["engine"], mind["state"]) == ("openai", "ready")
    assert mind["reason"] == "Answers with qwen."


async def test_its_answer_is_streamed_and_spoken(served: Served) -> None:
    async with served.engine.conversation() as (_, talk):
        await with_deltas(talk)
        answer = await answer_to(talk, "Why is the sky blue?")
    assert (answer.text, answer.errors) == ("".join(SKY), [])
    assert answer.count("text_delta") == len(SKY)
    assert answer.is_audible
    asked = served.openai.asked[-1]
    assert asked["messages"][0]["role"] == "system"
    assert asked["messages"][-1] == {"role": "user", "content": "Why is the sky blue?"}


async def test_a_learner_who_breaks_in_ends_its_stream(served: Served) -> None:
    served.openai.words, served.openai.gap_s = ("word ",) * 1000, 0.02
    try:
        async with served.engine.conversation() as (_, talk):
            await with_deltas(talk)
            await talk.send(type="text", content="Tell me all.")
            await talk.until("text_delta")
            await talk.send(type="interrupt")
            await talk.until("interrupted")
            assert await asyncio.to_thread(served.openai.left.wait, 60)
    finally:
        served.openai.words, served.openai.gap_s = SKY, 0.0


async def test_what_it_said_before_it_broke_off_is_spoken(served: Served) -> None:
    served.openai.words, served.openai.vanishes_after = ("Light is scattered. ", "By "), 1
    try:
        async with served.engine.conversation() as (_, talk):
            await with_deltas(talk)
            answer = await answer_to(talk, "Why is the sky blue?")
    finally:
        served.openai.words, served.openai.vanishes_after = SKY, None
    assert answer.text.strip() == "Light is scattered."
    assert answer.errors == ["engine_unavailable"]
    assert answer.is_audible


async def test_a_key_is_neither_told_nor_logged(served: Served) -> None:
    async with served.engine.http() as http:
        told = (await http.get("/health")).text
    assert served.openai.key not in told
    assert served.openai.key not in served.log.read_text()
