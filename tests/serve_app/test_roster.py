"""The routes of the tutors on a running gateway, and given tutors in conversations."""

import contextlib
import logging
import sqlite3
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from engines.base import EngineState, KnownVoice, Message
from engines.errors import EngineUnavailable
from serve_app import tutor_store
from serve_app.settings import Settings
from serve_app.tutors_file import DEFAULT_PROMPT
from tests.running import Running, plain, stub_engines

ADA = {"name": "Ada", "face": "mei", "prompt": "You are {name}, who likes cosines."}


class Listener:
    """A model that keeps what it was told, and for which tutor."""

    def __init__(self) -> None:
        self.told: list[str] = []

    async def reply(self, messages: Sequence[Message]) -> AsyncIterator[str]:
        self.told.append(messages[0].content)
        yield "Good."


def call(engine: Running, method: str, tutor_id: object, **sent: Any) -> httpx.Response:
    """Holds the test up, and not the gateway, which has a thread of its own."""
    return httpx.request(method, f"{engine.url}/v1/tutors/{tutor_id}", **sent)


def put(engine: Running, tutor_id: object, wish: Any) -> httpx.Response:
    return call(engine, "PUT", tutor_id, json=wish)


async def test_a_live_session_has_the_change_from_its_next_question_on(tmp_path: Path) -> None:
    listener = Listener()
    engines = stub_engines(think=lambda tutor: listener)
    with plain(Settings(tutor_home=tmp_path), engines) as engine:
        async with engine.conversation(tutor_id=7) as (_, talk):
            await talk.ask(type="text", content="Hello")
            assert put(engine, 7, ADA).status_code == 200
            await talk.ask(type="text", content="Hello")
            assert call(engine, "DELETE", 7).status_code == 204
            await talk.ask(type="text", content="Hello")
    told = ["You are Ada, who likes cosines." in prompt for prompt in listener.told]
    assert told == [False, True, False]


async def test_another_gateway_on_the_same_database_has_it_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = Listener()
    engines = stub_engines(think=lambda tutor: listener)
    settings = Settings(tutor_home=tmp_path)
    with plain(settings, stub_engines()) as one, plain(settings, engines) as other:
        put(one, 7, ADA)
        assert call(other, "GET", 7).json()["name"] == "Ada"
        async with other.conversation(tutor_id=7) as (_, talk):
            await talk.ask(type="text", content="Hello")
        assert call(other, "DELETE", 7).status_code == 204
        assert call(one, "GET", 7).status_code == 404
    assert "Ada" in listener.told[0]


async def test_the_answer_says_what_stands_in_for_the_model(tmp_path: Path) -> None:
    lacking = EngineState("", "degraded", "Its application is not deployed.", "Run `deploy`.")

    async def states() -> dict[str, EngineState]:
        return {"llm": EngineState("offline", "degraded", "No."), "llm-own-1": lacking}

    settings = Settings(tutor_home=tmp_path, tutor_llm_models={8: "set:8"})
    with plain(settings, stub_engines(states=states)) as engine:
        own = put(engine, 7, {**ADA, "model": "own:1"}).json()
        assert own["notes"] == ["Its application is not deployed. Run `deploy`."]
        assert call(engine, "GET", 7).json()["notes"] == []
        assert put(engine, 7, ADA).json()["notes"] == []
        (note,) = put(engine, 8, {**ADA, "model": "own:1"}).json()["notes"]
        assert "TUTOR_8_LLM_MODEL" in note
        assert "set:8" in note


async def test_what_is_left_out_is_as_usual_and_not_as_it_was(tmp_path: Path) -> None:
    with plain(Settings(tutor_home=tmp_path), stub_engines()) as engine:
        whole = {**ADA, "language": "zh", "kb": "t/7", "outside": "general", "vocabulary": ["sin"]}
        first = put(engine, 7, whole).json()
        assert {key: first[key] for key in whole} == whole
        second = put(engine, 7, {"face": "anna"}).json()
    assert second == {
        "id": 7,
        "name": "Tutor",
        "language": None,
        "prompt": DEFAULT_PROMPT,
        "model": None,
        "voice": {"name": "", "rate": 1.0, "pitch": 1.0, "language": None},
        "face": "anna",
        "vocabulary": [],
        "kb": None,
        "outside": "say_so",
        "source": "rest",
        "notes": [],
    }


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        ({"face": "bob"}, "mei, anna, david"),
        ({"face": "mei", "voice": {"name": "tome"}}, "tone"),
        ({}, "face"),
        ({"face": "mei", "promt": "x"}, "promt"),
        ({"face": "mei", "voice": {"rate": 9}}, "rate"),
        ({"face": "mei", "kb": ".."}, "dots"),
        ({"face": "mei", "prompt": "x" * 20_001}, "20000"),
        ({"face": "mei", "model": "a\x00b"}, "model"),
        ({"face": "mei", "outside": "silence"}, "outside"),
        ([], "dictionary"),
    ],
)
async def test_a_wrong_tutor_is_refused_with_what_there_is(
    wish: Any, told: str, tmp_path: Path
) -> None:
    with plain(Settings(tutor_home=tmp_path), stub_engines()) as engine:
        refused = put(engine, 7, wish)
        assert refused.status_code == 422
        assert told in refused.text
        assert call(engine, "GET", 7).status_code == 404


@pytest.mark.parametrize("tutor_id", ["x", "-1", "9223372036854775808"])
async def test_ids_are_checked(tutor_id: str, tmp_path: Path) -> None:
    with plain(Settings(tutor_home=tmp_path), stub_engines()) as engine:
        assert put(engine, tutor_id, ADA).status_code == 422
        for method in ("GET", "DELETE"):
            assert call(engine, method, tutor_id).status_code == 422


async def test_a_voice_engine_that_restarts_stops_no_change(tmp_path: Path) -> None:
    async def voices() -> list[KnownVoice]:
        raise EngineUnavailable("The voice is restarting.")

    with plain(Settings(tutor_home=tmp_path), stub_engines(voices=voices)) as engine:
        answer = put(engine, 7, {**ADA, "voice": {"name": "f3"}})
        assert answer.status_code == 200
        assert "restarting" in answer.json()["notes"][0]


async def test_too_many_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tutor_store, "MAX_TUTORS", 1)
    with plain(Settings(tutor_home=tmp_path), stub_engines()) as engine:
        assert put(engine, 7, ADA).status_code == 200
        refused = put(engine, 8, ADA)
        assert (refused.status_code, "Delete one" in refused.text) == (409, True)


async def test_a_database_that_fails_costs_only_the_change(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    listener = Listener()
    engines = stub_engines(think=lambda tutor: listener)
    with plain(Settings(tutor_home=tmp_path), engines) as engine:
        put(engine, 7, ADA)
        async with engine.conversation(tutor_id=7) as (_, talk):
            file = tmp_path / "engine.db"
            execute(file, "ALTER TABLE given_tutors RENAME TO elsewhere")
            for refused in (
                put(engine, 7, {**ADA, "name": "Eve"}),
                call(engine, "DELETE", 7),
            ):
                assert refused.status_code == 503
                assert "nothing has changed" in refused.json()["detail"]
                assert int(refused.headers["Retry-After"]) > 0
            await talk.ask(type="text", content="Hello")
            assert "You are Ada" in listener.told[0]
            execute(file, "ALTER TABLE elsewhere RENAME TO given_tutors")
            assert put(engine, 7, {**ADA, "name": "Eve"}).json()["name"] == "Eve"


def execute(file: Path, statement: str) -> None:
    connection = sqlite3.connect(file, timeout=10)
    with contextlib.closing(connection):
        connection.execute(statement)
        connection.commit()
