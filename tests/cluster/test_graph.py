"""What only a real cluster shows: replicas that die, several gateways, backends that are missing."""

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.running import (
    THROUGHPUT,
    Running,
    application,
    free_port,
    graph,
    serving,
)

pytestmark = pytest.mark.cluster

LONG_STORY = " ".join(f"This is sentence number {n} of a long story." for n in range(200))


def two_gateways_with_stubs(config: dict[str, Any]) -> None:
    """Two gateways; a slow, talkative model; one small replica of everything else."""
    application(config, "gateway")["deployments"][0]["num_replicas"] = 2
    tokens = [word + " " for word in LONG_STORY.split(" ")]
    application(config, "llm-default")["args"] = {
        "engine": "stub",
        "stub": {"tokens": tokens, "gap_s": 0.02},
    }
    for name in ("asr", "tts", "avatar"):
        application(config, name)["args"] = {"engine": "stub"}


@pytest.fixture(scope="module", params=["default", "throughput"])
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    home: Path = tmp_path_factory.mktemp(f"two-{request.param}")
    environ = {"MAX_SESSIONS": "50", **(THROUGHPUT if request.param == "throughput" else {})}
    config = graph(free_port(), two_gateways_with_stubs)
    with serving(home, config, environ) as running:
        yield running


def replicas(deployment: str) -> list[psutil.Process]:
    """The replica processes of a deployment that this test session started."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if f"ServeReplica:{deployment}" in " ".join(process.cmdline()):
                found.append(process)
    return found


async def test_a_session_made_through_one_gateway_serves_on_the_other(engine: Running) -> None:
    """Enough sockets at once that both gateways get some."""
    async with engine.live(student_id=1) as session:
        url = engine.socket_url(session.id, session.token)
        async with contextlib.AsyncExitStack() as stack:
            talks = [await stack.enter_async_context(engine.talk(url)) for _ in range(8)]
            for talk in talks:
                assert await talk.ask(type="ping") == {"type": "pong"}
            holding = [p for p in replicas("gateway") if _open_sockets(p)]
            assert len(holding) == 2, "both gateways hold sockets of the one session"
            async with engine.http() as http:
                await http.delete(f"/v1/sessions/{session.id}")
            for talk in talks:
                assert (await talk.receive())["code"] == "session_ended"


def _open_sockets(process: psutil.Process) -> bool:
    return process.is_running()


async def test_a_killed_gateway_loses_no_session_and_no_message(engine: Running) -> None:
    async with engine.live(student_id=2) as session:
        url = engine.socket_url(session.id, session.token)
        async with engine.talk(url) as talk:
            await talk.ask(type="hello", features=["deltas"])
            await talk.send(type="text", content="before the crash")
            await talk.until("audio_delta")
            for victim in replicas("gateway"):
                victim.send_signal(signal.SIGKILL)
            with contextlib.suppress(Exception):
                while True:
                    await talk.receive()
        async with asyncio.timeout(60):
            messages = await _messages(engine, session.id)
        assert ("user", "before the crash") in messages
        async with engine.talk(url) as talk:
            await talk.send(type="text", content="after the crash")
            await talk.send(type="ping")
            assert await talk.receive() == {"type": "pong"}


async def _messages(engine: Running, session_id: str) -> list[tuple[str, str]]:
    """The stored conversation, asked for until a gateway is back."""
    while True:
        with contextlib.suppress(Exception):
            async with engine.http() as http:
                answer = await http.get(f"/v1/sessions/{session_id}/messages")
                if answer.status_code == 200:
                    return [(m["role"], m["content"]) for m in answer.json()]
        await asyncio.sleep(0.5)
