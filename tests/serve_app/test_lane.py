"""Interruptions and orders that only a slow stub brings about, over a real socket."""

import asyncio
from pathlib import Path
from typing import Any

from engines.errors import EngineUnavailable
from engines.stub import StubLlm, StubTts
from serve_app.settings import Settings
from tests.running import Running, Session, plain, stub_engines


def engine(home: Path, **replaced: Any) -> Any:
    return plain(Settings(tutor_home=home), stub_engines(**replaced))


async def stored(engine: Running, session: Session) -> list[tuple[str, str, bool]]:
    async with engine.http() as http:
        messages = (await http.get(f"/v1/sessions/{session.id}/messages")).json()
    return [(m["role"], m["content"], m["interrupted"]) for m in messages]


async def test_an_interrupt_right_behind_a_question_stops_it(tmp_path: Path) -> None:
    with engine(tmp_path) as running:
        async with running.conversation() as (session, talk):
            await talk.send(type="text", content="first")
            await talk.send(type="interrupt")
            assert (await talk.until("interrupted"))[-1]["heard"] == ""
            assert await talk.ask(type="ping") == {"type": "pong"}
            await asyncio.sleep(0.3)
            assert await talk.ask(type="ping") == {"type": "pong"}, "no answer came after all"
            assert ("user", "first", False) in await stored(running, session)


async def test_an_interrupt_stops_what_is_waiting_too_and_keeps_the_words(tmp_path: Path) -> None:
    slow = StubLlm(("A. ", "B."), first_token_s=5)
    with engine(tmp_path, think=lambda tutor: slow) as running:
        async with running.conversation() as (session, talk):
            for question in ("one", "two", "three"):
                await talk.send(type="text", content=question)
            await asyncio.sleep(0.2)
            await talk.ask(type="interrupt")
            kept = await stored(running, session)
            assert [content for _, content, _ in kept] == ["one", "two", "three"]
            assert await talk.ask(type="ping") == {"type": "pong"}


async def test_a_client_without_deltas_has_heard_nothing_of_an_unfinished_answer(
    tmp_path: Path,
) -> None:
    talkative = StubLlm(("One two three. ",) * 40, gap_s=0.1)
    with engine(tmp_path, think=lambda tutor: talkative) as running:
        async with running.conversation() as (session, talk):
            await talk.send(type="text", content="go")
            await asyncio.sleep(0.8)
            assert (await talk.ask(type="interrupt"))["heard"] == ""
            assert [role for role, _, _ in await stored(running, session)] == ["user"]


async def test_an_answer_that_is_cut_while_it_plays_is_kept_as_heard(tmp_path: Path) -> None:
    spoken = StubTts(pieces=10)  # two seconds a sentence
    with engine(tmp_path, speak=spoken) as running:
        async with running.conversation() as (session, talk):
            answer = await talk.ask(type="text", content="go")
            await asyncio.sleep(0.5)
            heard = (await talk.ask(type="interrupt"))["heard"]
            assert answer["content"].startswith(heard)
            assert len(heard) < len(answer["content"])
            expected = [("assistant", heard, True)] if heard else []
            assert (await stored(running, session))[1:] == expected


async def test_a_socket_that_closes_in_mid_answer_leaves_what_was_written(tmp_path: Path) -> None:
    talkative = StubLlm(("Word ",) * 100, gap_s=0.05)
    with engine(tmp_path, think=lambda tutor: talkative) as running:
        async with running.live() as session:
            async with running.talk(running.socket_url(session.id, session.token)) as talk:
                await talk.send(type="text", content="go")
                await asyncio.sleep(0.5)
            await asyncio.sleep(0.3)
            question, answer = await stored(running, session)
            assert question == ("user", "go", False)
            assert answer[1].startswith("Word Word")
            assert answer[2], "marked as interrupted"


class Mortal(StubLlm):
    """Dies in the middle of its first answer."""

    async def reply(self, messages: Any) -> Any:
        yield "The sun is "
        if not any(message.role == "assistant" for message in messages):
            raise EngineUnavailable("The model has gone.")
        yield "a star."


async def test_a_model_that_dies_in_mid_sentence_ends_the_turn_with_an_error_and_is_remembered(
    tmp_path: Path,
) -> None:
    with engine(tmp_path, think=lambda tutor: Mortal()) as running:
        async with running.live(student_id=7) as session:
            url = running.socket_url("user_7", session.token)
            async with running.talk(url) as talk:
                ask = {"type": "text", "content": "What is the sun?"}
                await talk.send(**ask, engine_session_id=session.id)
                error, answer = await talk.receive(), await talk.receive()
                assert (error["type"], error["code"]) == ("error", "engine_unavailable")
                assert error["content"] == "The model has gone."
                assert answer["content"].strip() == "The sun is"
                assert answer["audio"], "what was written is heard"
                kept = await stored(running, session)
                assert kept[-1] == ("assistant", "The sun is ", True)
                await talk.send(**ask, engine_session_id=session.id)
                assert (await talk.receive())["content"] == "The sun is a star."


async def told(running: Running, session: Session, connection: str) -> None:
    extra = {"engine_session_id": session.id} if connection.startswith("user_") else {}
    for question in ("one", "two"):
        async with running.talk(running.socket_url(connection, session.token)) as talk:
            await talk.ask(type="text", content=question, **extra)


async def test_the_context_follows_the_mode(tmp_path: Path) -> None:
    """By the contract: dropped with a session-based socket, surviving on a user-based one."""
    heard: list[list[str]] = []

    class Remembering(StubLlm):
        async def reply(self, messages: Any) -> Any:
            heard.append([message.content for message in messages if message.role == "user"])
            yield "Yes."

    with engine(tmp_path, think=lambda tutor: Remembering()) as running:
        async with running.live(student_id=7) as session:
            await told(running, session, session.id)
            await told(running, session, "user_7")
    assert heard == [["one"], ["two"], ["one", "two", "one"], ["one", "two", "one", "two"]]
