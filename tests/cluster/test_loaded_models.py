"""Models that are loaded into the engine's own processes, through the whole server: a language
model by transformers, and Coqui's two kinds of voices. What they do is seen in the diaries of
`tests/watched.py`."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the models of the tests are made with torch")
pytest.importorskip("transformers")
pytest.importorskip("TTS", reason="coqui-tts is not installed", exc_type=ImportError)

from tests.answers import answer_to, with_deltas
from tests.loaded_models import (
    CLONED,
    ENDLESS,
    FIRST,
    KNOWING,
    MAX_TOKENS,
    ROUNDS,
    SECOND,
    SHORT,
    TALKATIVE,
    Loaded,
    loaded,
    make_models,
)
from tests.running import Event, Talk, base64_of, eventually
from tests.speech import recording
from tests.tiny_llm import ANSWERS
from tests.watched import Diary, acts, unwanted_steps

pytestmark = [
    pytest.mark.cluster,
    # The library and what it stands on warn of each other's older names while models are made.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

INTERRUPTIONS = 5

LIMIT_S = 60.0
"""For what takes a moment on a machine that has nothing else to do."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(
    scope="module", params=[("default", "vits"), ("throughput", "xtts")], ids=["vits", "xtts"]
)
def stage(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    models: dict[str, Path],
) -> Iterator[Loaded]:
    mode, voice = request.param
    with loaded(tmp_path_factory.mktemp(mode), models, voice, mode) as running:
        yield running


async def interrupted(talk: Talk, after: str) -> None:
    """Ask, and break in on the first event of this type."""
    await talk.send(type="text", content="What is water?")
    await talk.until(after)
    await talk.send(type="interrupt")
    await talk.until("interrupted")


async def left(stage: Loaded, app: str, before: int = 0) -> list[Diary]:
    """What a model did when it was asked, but for the first times, once nobody waits any more."""
    await eventually(lambda: stage.is_left(app), LIMIT_S)
    return stage.replies(app)[before:]


async def test_the_health_names_the_models(stage: Loaded) -> None:
    async with stage.engine.http() as http:
        engines: dict[str, Event] = (await http.get("/health")).json()["engines"]
    for name, engine in {
        "llm": "transformers",
        "llm-endless": "transformers",
        "tts": "coqui",
    }.items():
        assert (engines[name]["engine"], engines[name]["state"]) == (engine, "ready"), name
    assert engines["llm"]["reason"].startswith("Answers with ")
    assert engines["tts"]["reason"] == f"Speaks with {stage.voice.upper()}."


async def test_a_loaded_language_model_answers_word_for_word(stage: Loaded) -> None:
    async with stage.engine.conversation(tutor_id=KNOWING) as (_, talk):
        await with_deltas(talk)
        answer = await answer_to(talk, "What is water?")
    assert answer.text == ANSWERS["What is water?"]
    assert answer.errors == []
    assert answer.count("text_delta") > 3, "streamed"
    assert answer.is_audible


async def test_one_loaded_model_answers_several_learners_at_once(stage: Loaded) -> None:
    questions = ["What is water?", "What is a prime?", "Count to five."]

    async def answer(student_id: int, question: str) -> str:
        learner = stage.engine.conversation(tutor_id=KNOWING, student_id=student_id)
        async with learner as (_, talk):
            return (await answer_to(talk, question)).text

    answers = await asyncio.gather(*(answer(n, q) for n, q in enumerate(questions, 1)))
    assert answers == [ANSWERS[question] for question in questions]


async def test_a_language_model_stops_at_the_step_that_is_being_done(stage: Loaded) -> None:
    """Who breaks in at the first word has it long before the last would have been written."""
    for _ in range(INTERRUPTIONS):
        async with stage.engine.conversation(tutor_id=ENDLESS) as (_, talk):
            await with_deltas(talk)
            await interrupted(talk, "text_delta")
    cut = await left(stage, "llm-endless")
    assert len(cut) == INTERRUPTIONS
    for reply in cut:
        assert 0 < acts(reply).count("step") < MAX_TOKENS - 1
        assert unwanted_steps(reply) <= 1


async def test_a_voice_is_heard_before_its_sentence_has_been_read(stage: Loaded) -> None:
    async with stage.engine.conversation(tutor_id=SHORT) as (_, talk):
        await with_deltas(talk)
        answer = await answer_to(talk, "Why is the sky blue?")
    reply = acts((await left(stage, "tts"))[-1])
    assert "step" in reply[reply.index("out") :], "it was read on when the first piece was out"
    assert answer.errors == []
    assert answer.is_audible


async def test_a_voice_stops_at_the_layer_that_is_being_computed(stage: Loaded) -> None:
    before = len(stage.replies("tts"))
    async with stage.engine.conversation(tutor_id=SHORT) as (_, talk):
        await answer_to(talk, "Why is the sky blue?")
    whole = acts((await left(stage, "tts", before))[0]).count("step")
    before = len(stage.replies("tts"))
    for _ in range(INTERRUPTIONS):
        async with stage.engine.conversation(tutor_id=TALKATIVE) as (_, talk):
            await with_deltas(talk)
            await interrupted(talk, "audio_delta")
    cut = await left(stage, "tts", before)
    assert len(cut) < INTERRUPTIONS * ROUNDS, "nobody reads what nobody wants to hear"
    assert all(unwanted_steps(reply) <= 1 for reply in cut)
    if stage.voice == "xtts":  # the tiny VITS may have read a sentence by then
        assert any(acts(reply).count("step") < whole for reply in cut)


async def test_a_tutor_gets_the_voice_of_a_recording(stage: Loaded) -> None:
    """From the moment on when it has been added, and until it is deleted."""
    wish = {"name": "Rosa", "language": "en"}
    words = "This is how I sound when I read to you from a book, in the evening, before you sleep."
    wish["recording"] = base64_of(await recording(words))
    async with (
        stage.engine.conversation(tutor_id=CLONED) as (_, talk),
        stage.engine.http() as http,
    ):
        await with_deltas(talk)
        unknown = await answer_to(talk, "Who are you?")
        added = await http.post("/v1/voices", json=wish)
        assert added.status_code == 201, added.text
        listed = (await http.get("/v1/voices")).raise_for_status().json()
        cloned = await answer_to(talk, "Who are you?")
        assert (await http.delete("/v1/voices/Rosa")).status_code == 204
        gone = await answer_to(talk, "Who are you?")
    assert "Rosa" in {voice["name"] for voice in listed}
    for answer in (unknown, gone):
        assert answer.errors == ["unknown_voice"]
        assert answer.text == FIRST + SECOND
    # VITS cannot clone, and speaks with a voice of its own.
    assert (cloned.errors, cloned.is_audible) == ([], True)
