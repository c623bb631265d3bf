"""Recordings of several learners at once, through the whole graph, word for word."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="the speech model of the tests is trained with torch")
pytest.importorskip("transformers")

from serve_app.recording import wav_bytes
from tests.running import Running, application, base64_of, free_port, graph, serving
from tests.trained_whisper import phrases, said, trained_whisper

pytestmark = pytest.mark.cluster

LEARNERS = 8
LIMITS = {"MAX_SESSIONS": "40", "MAX_SESSIONS_PER_STUDENT": "40", "BACKEND_WAIT_SECONDS": "60"}


def short_answers(config: dict[str, Any]) -> None:
    for name in ("llm-default", "tts"):
        application(config, name)["args"] = {"engine": "stub"}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home: Path = tmp_path_factory.mktemp("hearing")
    environ = LIMITS | {"WHISPER_MODEL": str(trained_whisper())}
    with serving(home, graph(free_port(), short_answers), environ) as running:
        yield running


async def transcription(engine: Running, phrase: str, student_id: int = 1) -> str:
    recording = wav_bytes(await said(phrase))
    async with engine.conversation(student_id=student_id) as (_, talk):
        await talk.send(type="audio", data=base64_of(recording))
        events = await talk.until("transcription", "error")
        await talk.until("audio")
    return str(events[-1]["content"])


async def test_the_health_names_the_model(engine: Running) -> None:
    async with engine.http() as http:
        ears = (await http.get("/health")).json()["engines"]["asr"]
    assert (ears["engine"], ears["state"]) == ("whisper", "ready")
    assert "int8_float32" in ears["reason"]


async def test_a_recording_is_transcribed_exactly(engine: Running) -> None:
    (phrase,) = phrases(1, seed=4)
    assert await transcription(engine, phrase) == phrase


async def test_eight_learners_at_once_each_get_their_own_words(engine: Running) -> None:
    spoken = phrases(LEARNERS, seed=5)
    heard = await asyncio.gather(
        *(transcription(engine, phrase, student) for student, phrase in enumerate(spoken, 1))
    )
    assert heard == spoken
