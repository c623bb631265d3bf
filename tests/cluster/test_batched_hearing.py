"""Recordings of several learners at once, through the whole graph, word for word; the model appears
only when everything is running."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("torch", reason="the speech model of the tests is trained with torch")
pytest.importorskip("transformers")

from serve_app.recording import wav_bytes
from tests.running import (
    Running,
    Talk,
    application,
    base64_of,
    eventually,
    free_port,
    graph,
    serving,
)
from tests.trained_whisper import phrases, said, trained_whisper

pytestmark = pytest.mark.cluster

LEARNERS = 8
LIMITS = {"MAX_SESSIONS": "40", "MAX_SESSIONS_PER_STUDENT": "40", "BACKEND_WAIT_SECONDS": "60"}
MOVE_UP_LIMIT_S = 60.0
"""It is looked for every ten seconds; a loaded machine takes its time to load it."""

State = dict[str, str]


def one_replica_and_short_answers(config: dict[str, Any]) -> None:
    for name in ("llm-default", "tts"):
        application(config, name)["args"] = {"engine": "stub"}
    (asr,) = application(config, "asr")["deployments"]
    asr.pop("autoscaling_config", None)
    asr.update(num_replicas=1, max_ongoing_requests=32)


def ears(engine: Running) -> State:
    found: State = httpx.get(f"{engine.url}/health", timeout=30).json()["engines"]["asr"]
    return found


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, State]]:
    """The engine with its model, and how its ears were without."""
    home: Path = tmp_path_factory.mktemp("hearing")
    folder = home / "model"
    config = graph(free_port(), one_replica_and_short_answers)
    with serving(home, config, LIMITS | {"WHISPER_MODEL": str(folder)}) as running:
        before = ears(running)
        folder.symlink_to(trained_whisper())
        asyncio.run(eventually(lambda: ears(running)["engine"] == "whisper", MOVE_UP_LIMIT_S))
        yield running, before


@pytest.fixture
def engine(started: tuple[Running, State]) -> Running:
    return started[0]


async def transcription(talk: Talk, recording: bytes) -> str:
    await talk.send(type="audio", data=base64_of(recording))
    events = await talk.until("transcription", "error")
    await talk.until("audio", "error")
    return str(events[-1]["content"])


async def test_until_the_model_was_there_the_embedded_recogniser_heard(
    started: tuple[Running, State],
) -> None:
    engine, before = started
    assert (before["engine"], before["state"]) == ("sphinx", "degraded")
    assert "does not exist" in before["remedy"]
    after = ears(engine)
    assert (after["engine"], after["state"]) == ("whisper", "ready")
    assert "int8_float32" in after["reason"]


async def test_a_recording_is_transcribed_exactly(engine: Running) -> None:
    (phrase,) = phrases(1, seed=4)
    async with engine.conversation() as (_, talk):
        assert await transcription(talk, wav_bytes(await said(phrase))) == phrase


async def test_eight_learners_at_once_each_get_their_own_words(engine: Running) -> None:
    spoken = phrases(LEARNERS, seed=5)
    recordings = [wav_bytes(await said(phrase)) for phrase in spoken]
    async with AsyncExitStack() as stack:
        talks = [
            (await stack.enter_async_context(engine.conversation(student_id=student)))[1]
            for student in range(1, LEARNERS + 1)
        ]
        heard = await asyncio.gather(*map(transcription, talks, recordings))
    assert heard == spoken
    together = re.search(r"to (\d) learners at once", ears(engine)["reason"])
    assert together, "no two were heard in one batch"
