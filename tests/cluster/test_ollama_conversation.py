"""Ollama dies in the middle of a conversation, and comes back: the learner hears something in every
turn, and nothing is started again."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from cli.environment import THROUGHPUT
from tests.answers import Answer, answer_to, with_deltas
from tests.ollama_server import OllamaProcess, ollama_process
from tests.running import Event, Running, Session, eventually, free_port, graph, serving

pytestmark = pytest.mark.cluster

SKY = ["The sky ", "is blue. ", "Light ", "is scattered."]
BACK = ["I ", "am back. ", "Where ", "were we?"]
MANNERS: dict[str, Any] = {"modes": {"story": "endless", "think": "hangs"}, "gap_s": 0.02}

NOTICED_LIMIT_S = 60.0
"""A probe every 10 s, a look at the graph every 2 s, and a loaded machine."""


@pytest.fixture(scope="module")
def ollama_port() -> int:
    return free_port()


@pytest.fixture(scope="module", params=["default", "throughput"])
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, ollama_port: int
) -> Iterator[Running]:
    """The graph as it is: the best mind that is there. Nothing listens at Ollama's port yet."""
    environ = THROUGHPUT if request.param == "throughput" else {}
    environ = environ | {
        "OLLAMA_BASE_URL": f"http://127.0.0.1:{ollama_port}",
        "DEFAULT_LLM_MODEL": "llama3:8b",
        "BACKEND_WAIT_SECONDS": "60",
    }
    with serving(tmp_path_factory.mktemp(request.param), graph(free_port()), environ) as running:
        yield running


def mind(engine: Running) -> Event:
    """The language model's part of `/health`."""
    told: Event = httpx.get(f"{engine.url}/health", timeout=20).json()["engines"]["llm"]
    return told


async def until_connected(engine: Running) -> None:
    def is_connected() -> bool:
        known = mind(engine)
        return (known["engine"], known["state"]) == ("ollama", "ready")

    await eventually(is_connected, NOTICED_LIMIT_S)


async def stored(engine: Running, session: Session) -> list[str]:
    """What the tutor said, as it is kept."""
    async with engine.http() as http:
        messages = (await http.get(f"/v1/sessions/{session.id}/messages")).raise_for_status()
    return [m["content"] for m in messages.json() if m["role"] == "assistant"]


async def answer_cut_by_death(ollama: OllamaProcess, engine: Running) -> tuple[Answer, str]:
    """Ollama dies while the learner hears its story; what is kept of it."""
    async with engine.conversation() as (session, talk):
        await with_deltas(talk)
        await talk.send(type="text", content="Tell me a story.")
        heard = await talk.until("audio_delta")
        ollama.kill()
        answer = Answer(heard + await talk.until("text"))
        (kept,) = await stored(engine, session)
    return answer, kept


async def test_what_was_said_is_kept_when_ollama_dies_in_the_middle(
    engine: Running, ollama_port: int
) -> None:
    with ollama_process(ollama_port, words=SKY, **MANNERS) as ollama:
        await until_connected(engine)
        answer, kept = await answer_cut_by_death(ollama, engine)
    assert answer.errors == ["engine_unavailable"]
    assert answer.text.startswith("The sky is blue."), "it had been heard"
    assert kept == answer.text
    assert answer.is_audible


def what_was_told(ollama: OllamaProcess, question: str) -> list[str]:
    """With this question. The server may have been asked for a memory of other sessions as well,
    and been told what is remembered of the student."""
    told = ([message["content"] for message in asked["messages"]] for asked in ollama.asked())
    return next(contents for contents in told if contents[-1] == question)


async def test_a_conversation_goes_on_without_ollama_and_with_it_again(
    engine: Running, ollama_port: int
) -> None:
    async with engine.conversation() as (_, talk):
        await with_deltas(talk)
        with ollama_process(ollama_port, words=SKY, **MANNERS) as ollama:
            await until_connected(engine)
            first = await answer_to(talk, "Why is the sky blue?")
            await talk.send(type="text", content="Tell me a story.")
            cut = Answer(await talk.until("audio_delta"))
            ollama.kill()
            cut = Answer(cut.events + await talk.until("text"))
        without = await answer_to(talk, "And why is it red?")
        await eventually(lambda: mind(engine)["state"] == "degraded", NOTICED_LIMIT_S)
        away = mind(engine)
        with ollama_process(ollama_port, words=BACK, **MANNERS) as ollama:
            await until_connected(engine)
            again = await answer_to(talk, "Are you there?")
            told = what_was_told(ollama, "Are you there?")
    assert (first.text, first.errors) == ("".join(SKY), [])
    assert cut.errors == ["engine_unavailable"]
    assert "no language model is connected" in without.text
    assert (away["engine"], away["state"]) == ("offline", "degraded")
    assert f"Ollama does not answer at http://127.0.0.1:{ollama_port}" in away["remedy"]
    assert (again.text, again.errors) == ("".join(BACK), [])
    for answer in (first, cut, without, again):
        assert answer.is_audible
    assert told[told.index("Why is the sky blue?") + 1] == "".join(SKY)
    assert cut.text in told, "the new one knows what the old one had said"


async def test_a_question_that_ollama_dies_over_is_answered_by_somebody_else(
    engine: Running, ollama_port: int
) -> None:
    """Before the first word nothing has been spoken, so another voice takes the turn."""
    with ollama_process(ollama_port, words=SKY, **MANNERS) as ollama:
        await until_connected(engine)
        async with engine.conversation() as (_, talk):
            await with_deltas(talk)
            await talk.send(type="text", content="Please think about the sea.")
            await eventually(ollama.asked, NOTICED_LIMIT_S)
            ollama.kill()
            answer = Answer(await talk.until("text"))
    assert answer.errors == []
    assert "no language model is connected" in answer.text
    assert answer.is_audible


async def test_a_learner_who_breaks_in_makes_ollama_stop(engine: Running, ollama_port: int) -> None:
    """Through the gateway, the handle and the engine: Ollama sees its client leave."""
    with ollama_process(ollama_port, words=SKY, **MANNERS) as ollama:
        await until_connected(engine)
        async with engine.conversation() as (_, talk):
            await with_deltas(talk)
            await talk.send(type="text", content="Tell me a story.")
            await talk.until("audio_delta")
            await talk.send(type="interrupt")
            await talk.until("interrupted")
            await eventually(ollama.left, NOTICED_LIMIT_S)
