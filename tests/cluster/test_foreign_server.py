"""The OpenAI engine with a server that others have made, `transformers serve`, through the whole
server."""

from collections.abc import Iterator

import httpx
import pytest

pytest.importorskip("torch", reason="`transformers serve` needs it")
pytest.importorskip("transformers", reason="`transformers serve` is of it")
pytest.importorskip("openai", reason="`transformers serve` needs it")
pytest.importorskip("accelerate", reason="`transformers serve` needs it")

from cli.environment import THROUGHPUT
from tests.answers import answer_to, with_deltas
from tests.running import Event, Running, application, eventually, free_port, graph, serving
from tests.tiny_llm import ANSWERS, FORGETFUL, make_tiny_llm
from tests.transformers_server import MODEL, transformers_server

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("foreign")
    model = make_tiny_llm(home / "model", template=FORGETFUL)
    with transformers_server(home / "hub", model) as url:
        config = graph(free_port())
        application(config, "llm-default")["args"] = {"engine": "openai"}
        environ = THROUGHPUT | {
            "OPENAI_BASE_URL": url,
            "LLM_TEMPERATURE": "0",
            "BACKEND_WAIT_SECONDS": "60",
        }
        with serving(home, config, environ) as running:
            yield running


async def test_the_model_that_it_lists_is_taken(engine: Running) -> None:
    def mind() -> Event:
        told: Event = httpx.get(f"{engine.url}/health", timeout=20).json()["engines"]["llm"]
        return told

    def is_connected() -> bool:
        known = mind()
        return (known["engine"], known["state"]) == ("openai", "ready")

    await eventually(is_connected, 60)
    assert mind()["reason"] == f"Answers with {MODEL}."


@pytest.mark.parametrize("question", ["What is water?", "你好"])
async def test_its_words_are_streamed_and_spoken(engine: Running, question: str) -> None:
    async with engine.conversation() as (_, talk):
        await with_deltas(talk)
        answer = await answer_to(talk, question)
    assert (answer.text, answer.errors) == (ANSWERS[question], [])
    assert answer.count("text_delta") > 3
    assert answer.is_audible


async def test_the_second_question_brings_the_conversation_along(engine: Running) -> None:
    async with engine.conversation() as (_, talk):
        await with_deltas(talk)
        for question in ("What is water?", "What is a prime?"):
            answer = await answer_to(talk, question)
            assert (answer.text, answer.errors) == (ANSWERS[question], [])
