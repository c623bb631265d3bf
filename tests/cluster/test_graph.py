"""What only a real cluster shows: replicas that die, several gateways, a backend that is away."""

import asyncio
import contextlib
import signal

import psutil
import pytest

from tests.processes import command
from tests.running import MAX_SESSIONS, Running

pytestmark = pytest.mark.parametrize("engine", ["default", "throughput"], indirect=True)

BACK_LIMIT_S = 60.0
"""Serve notices a dead replica and starts another within some ten seconds on a loaded machine."""


def replicas(application: str) -> list[psutil.Process]:
    """The replica processes of an application that this test session started."""
    family = psutil.Process().children(recursive=True)
    return [process for process in family if f"ServeReplica:{application}:" in command(process)]


async def back_again(engine: Running, application: str, victims: list[psutil.Process]) -> None:
    """Wait until the dead replicas have been replaced, and the engine says that all is well."""
    old = {victim.pid for victim in victims}
    async with asyncio.timeout(BACK_LIMIT_S), engine.http() as http:
        while True:
            new = [p for p in replicas(application) if p.pid not in old]
            with contextlib.suppress(Exception):
                health = (await http.get("/health")).json()
                states = {stage["state"] for stage in health["engines"].values()}
                if len(new) >= len(old) and "starting" not in states:
                    return
            await asyncio.sleep(0.5)


async def stored(engine: Running, session_id: str) -> list[tuple[str, str]]:
    async with engine.http() as http:
        messages = (await http.get(f"/v1/sessions/{session_id}/messages")).raise_for_status()
    return [(message["role"], message["content"]) for message in messages.json()]


async def test_all_sockets_of_a_session_end_with_it_on_every_gateway(engine: Running) -> None:
    """Ten sockets are more than one gateway gets; deleting is done by one of the two."""
    async with engine.live() as session, contextlib.AsyncExitStack() as stack:
        url = engine.socket_url(session.id, session.token)
        talks = [await stack.enter_async_context(engine.talk(url)) for _ in range(10)]
        for talk in talks:
            assert await talk.ask(type="ping") == {"type": "pong"}
        async with engine.http() as http:
            await http.delete(f"/v1/sessions/{session.id}")
        for talk in talks:
            assert (await talk.receive())["code"] == "session_ended"


async def test_the_places_are_counted_over_both_gateways(engine: Running) -> None:
    async with engine.http() as http:
        count = MAX_SESSIONS + 10
        wishes = [{"tutor_id": 1, "student_id": student} for student in range(count)]
        answers = await asyncio.gather(*(http.post("/v1/sessions", json=wish) for wish in wishes))
        refused = [answer for answer in answers if answer.status_code == 503]
        made = [answer.json()["session_id"] for answer in answers if answer.status_code == 200]
        for session_id in made:
            await http.delete(f"/v1/sessions/{session_id}")
    assert (len(made), len(refused)) == (MAX_SESSIONS, 10)
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in refused)
    assert all("MAX_SESSIONS" in answer.json()["detail"] for answer in refused)


async def test_killed_gateways_lose_no_session_and_no_message(engine: Running) -> None:
    async with engine.live() as session:
        url = engine.socket_url(session.id, session.token)
        async with engine.talk(url) as talk:
            await talk.ask(type="hello", features=["deltas"])
            await talk.send(type="text", content="before the crash")
            await talk.until("audio_delta")
            victims = replicas("gateway")
            assert len(victims) == 2
            for victim in victims:
                victim.send_signal(signal.SIGKILL)
        await back_again(engine, "gateway", victims)
        assert ("user", "before the crash") in await stored(engine, session.id)
        async with engine.talk(url) as talk:
            await talk.ask(type="hello", features=["deltas"])
            await talk.send(type="text", content="after the crash")
            await talk.until("audio_delta")
            await talk.until("text")
        said = [content for role, content in await stored(engine, session.id) if role == "user"]
        assert said == ["before the crash", "after the crash"]


async def test_killed_backends_are_waited_for_and_the_socket_lives(engine: Running) -> None:
    async with engine.conversation() as (session, talk):
        await talk.ask(type="hello", features=["deltas"])
        victims = {backend: replicas(backend) for backend in ("tts", "llm-default", "avatar")}
        for processes in victims.values():
            assert processes
            for process in processes:
                process.send_signal(signal.SIGKILL)
        await talk.send(type="text", content="Are you there?", avatar_id="anna")
        answer = (await talk.until("video", "text", "error"))[-1]
        assert answer["type"] == "video"
        for backend, processes in victims.items():
            await back_again(engine, backend, processes)
        assert ("user", "Are you there?") in await stored(engine, session.id)
