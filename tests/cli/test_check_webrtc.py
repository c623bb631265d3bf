"""`tutor check --webrtc` against engines that can be reached, and against those that cannot."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from engines.stub import StubTts
from serve_app.settings import Settings
from tests.cli.conftest import Tutor
from tests.cli.test_check import MuteTts, SilentLlm, marks
from tests.coturn import running_turn
from tests.running import Event, Running, free_port, plain, stub_engines
from tests.udp_relay import hidden

STEPS = 10
TALKATIVE = StubTts(pieces=30)
"""Six seconds a sentence: enough to be interrupted."""


def sessions_left(engine: Running) -> object:
    return httpx.get(f"{engine.url}/v1/sessions", params={"student_id": 0}).json()


def line_of(output: str, step: str) -> str:
    return next(line for line in output.splitlines() if line[2:].startswith(step))


@pytest.fixture
def running(tmp_path: Path) -> Any:
    @contextmanager
    def start(replaced: dict[str, Any] | None = None, **settings: Any) -> Iterator[Running]:
        engines = stub_engines(**(replaced or {}))
        with plain(Settings(tutor_home=tmp_path, **settings), engines) as engine:
            yield engine

    return start


def test_a_live_conversation_works(running: Any, tutor: Tutor) -> None:
    with running({"speak": TALKATIVE}) as engine:
        result = tutor("check", "--webrtc", "--url", engine.url)
        assert sessions_left(engine) == []
    output = result.output
    assert result.exit_code == 0, output
    assert marks(output) == "✓" * STEPS
    assert "Everything works." in output
    assert re.search(r"after \d+ ms, host ↔ host", line_of(output, "offer"))
    assert re.search(r"2\d\.\d frames of 512×512 a second", line_of(output, "the face"))
    answer = line_of(output, "question")
    assert re.search(r"first voice after \d+ ms, \d\d frames in 2\.\d s", answer)
    assert "captions: 1 (1 over the data channel), 31 characters without audio" in answer
    assert re.search(r"silent after \d+ ms", line_of(output, "interrupt"))
    assert re.search(r"first voices after \d+ ms and \d+ ms", line_of(output, "two sessions"))
    assert line_of(output, "goodbye").endswith("closed with 4404")


def test_an_answer_that_is_over_is_asked_for_again(engine: Running, tutor: Tutor) -> None:
    result = tutor("check", "--webrtc", "--url", engine.url)
    assert result.exit_code == 0, result.output
    assert marks(result.output) == "✓" * STEPS


def test_an_engine_without_a_voice_is_found_out(running: Any, tutor: Tutor) -> None:
    with running({"speak": MuteTts()}) as engine:
        result = tutor("check", "--webrtc", "--url", engine.url)
    assert result.exit_code == 1
    assert marks(result.output)[:7] == "✓✓✓✓✓✓✗"
    assert "expected a voice; came an answer without one" in result.output


def test_what_the_engine_complains_of_is_shown(running: Any, tutor: Tutor) -> None:
    with running({"think": lambda tutor: SilentLlm()}) as engine:
        result = tutor("check", "--webrtc", "--url", engine.url)
        assert sessions_left(engine) == []
    assert marks(result.output) == "✓✓✓✓✓✓✗✗✗✓"
    assert "The model thinks of nothing." in line_of(result.output, "question")
    assert "a voice to interrupt; came none" in line_of(result.output, "interrupt")


def test_only_the_relay(running: Any, tutor: Tutor) -> None:
    with running_turn() as turn:
        more = {"turn_urls": turn.url, "turn_secret": SecretStr(turn.secret)}
        with running({}, **more) as engine:
            result = tutor("check", "--webrtc", "--relay", "--url", engine.url)
    assert result.exit_code == 0, result.output
    assert turn.url in line_of(result.output, "hello")
    assert re.search(r"ms, relay ↔ \w+", line_of(result.output, "offer"))
    assert turn.secret not in result.output


def test_a_relay_that_refuses(running: Any, tutor: Tutor) -> None:
    with running_turn() as turn:
        more = {"turn_urls": turn.url, "turn_secret": SecretStr("another")}
        with running({}, **more) as engine:
            result = tutor("check", "--webrtc", "--relay", "--url", engine.url)
            assert sessions_left(engine) == []
    assert result.exit_code == 1
    assert marks(result.output) == "✓✓✓✓✗----✓"
    assert "TURN from here: 401 Unauthorized" in result.output


def test_no_relay_at_all(engine: Running, tutor: Tutor) -> None:
    result = tutor("check", "--webrtc", "--relay", "--url", engine.url)
    assert result.exit_code == 1
    assert marks(result.output) == "✓✓✓✓✗----✓"
    assert "names no relay" in result.output
    assert "TURN_URLS" in result.output


def test_a_relay_is_only_for_webrtc(tutor: Tutor) -> None:
    result = tutor("check", "--relay")
    assert result.exit_code == 2
    assert "--webrtc" in result.output


@contextmanager
def full_port() -> Iterator[int]:
    """A UDP port that is in use on all addresses."""
    with ExitStack() as taken:
        first = taken.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        first.bind(("0.0.0.0", 0))
        port: int = first.getsockname()[1]
        with suppress(OSError):  # a machine without IPv6
            second = taken.enter_context(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
            second.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            second.bind(("::", port))
        yield port


def test_an_engine_without_a_free_port(running: Any, tutor: Tutor) -> None:
    with full_port() as port, running({}, webrtc_udp_ports=f"{port}-{port}") as engine:
        result = tutor("check", "--webrtc", "--url", engine.url)
        assert sessions_left(engine) == []
    assert result.exit_code == 1
    assert marks(result.output) == "✓✓✓✓✗----✓"
    assert "`webrtc_ports_taken`: All UDP ports" in result.output
    assert "Widen WEBRTC_UDP_PORTS" in result.output
    assert re.search(r"→ This side named \d+ host, the engine no candidate", result.output)


# ── what stands between a client and the engine, and changes what passes ──────────────────────────

Change = Callable[[Event], Event]


def app_between(engine: Running, change: Change) -> Starlette:
    async def pass_on(request: Request) -> Response:
        async with engine.http() as http:
            answer = await http.request(
                request.method,
                request.url.path,
                content=await request.body(),
                headers={"content-type": "application/json"},
            )
        return Response(answer.content, answer.status_code, media_type="application/json")

    async def join(client: WebSocket) -> None:
        await client.accept()
        url = f"ws://127.0.0.1:{engine.port}{client.url.path}?{client.url.query}"
        async with connect(url, max_size=None) as inner, asyncio.TaskGroup() as tasks:
            up = tasks.create_task(ask(client, inner))
            with suppress(ConnectionClosed):
                async for frame in inner:
                    await client.send_text(json.dumps(change(json.loads(frame))))
            up.cancel()
            with suppress(RuntimeError):  # the client has gone first
                await client.close(inner.close_code or 1000)

    async def ask(client: WebSocket, inner: Any) -> None:
        with suppress(WebSocketDisconnect):
            while True:
                await inner.send(json.dumps(change(await client.receive_json())))
        await inner.close()

    methods = ["GET", "POST", "DELETE"]
    return Starlette(
        routes=[
            WebSocketRoute("/{path:path}", join),
            Route("/{path:path}", pass_on, methods=methods),
        ]
    )


@contextmanager
def between(engine: Running, change: Change) -> Iterator[str]:
    """The address at which the engine can be reached so."""
    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(
            app_between(engine, change),
            host="127.0.0.1",
            port=port,
            log_level="warning",
            ws="websockets-sansio",
        )
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(20)


def without_candidates(event: Event) -> Event:
    return {**event, "sdp": hidden(event["sdp"])} if "sdp" in event else event


def astray(event: Event) -> Event:
    """The engine's candidates lead to a port where nobody is, and the client's too."""
    if "sdp" not in event:
        return event
    sdp = re.sub(r"(a=candidate:.*? udp \d+) \S+ \d+ typ", r"\1 127.0.0.1 9 typ", event["sdp"])
    return {**event, "sdp": sdp}


def old(event: Event) -> Event:
    """An engine that has not heard of captions."""
    features = event.get("features")
    return event if features is None else {**event, "features": ["metrics", "state"]}


def tried(engine: Running, tutor: Tutor, change: Change) -> tuple[str, float]:
    """What is printed, and how many seconds the step took that failed."""
    with between(engine, change) as url:
        result = tutor("check", "--webrtc", "--url", url)
    assert result.exit_code == 1
    assert sessions_left(engine) == []
    failed = re.search(r"^✗.*?(\d+) ms", result.output, re.MULTILINE)
    assert failed, result.output
    return result.output, int(failed[1]) / 1000


def test_a_client_that_has_no_candidates(engine: Running, tutor: Tutor) -> None:
    output, seconds = tried(engine, tutor, without_candidates)
    assert seconds < 10
    assert marks(output) == "✓✓✓✓✗----✓"
    assert "`webrtc_no_candidates`" in output
    assert re.search(r"→ This side named \d+ host, the engine no candidate", output)
    assert "checks from the engine: 0; ICE " in output


def test_a_way_that_leads_nowhere(engine: Running, tutor: Tutor) -> None:
    output, seconds = tried(engine, tutor, astray)
    assert seconds < 10
    assert "`webrtc_udp_blocked`" in output
    assert re.search(r"→ This side named \d+ host, the engine \d+ host", output)


def test_an_engine_that_cannot_do_what_a_browser_needs(engine: Running, tutor: Tutor) -> None:
    output, _ = tried(engine, tutor, old)
    assert marks(output) == "✓✓✓✗-----✓"
    assert "all but captions, ice_servers" in output


def voiced(event: Event) -> Event:
    return {**event, "audio": "UklGRg=="} if event.get("role") == "assistant" else event


def uncaptioned(event: Event) -> Event:
    return {**event, "type": "x"} if event["type"] == "caption" else event


def confused(event: Event) -> Event:
    """Answers of one session that name another."""
    if event.get("role") == "assistant" and "engine_session_id" in event:
        return {**event, "engine_session_id": "another"}
    return event


@pytest.mark.parametrize(
    ("change", "step", "says"),
    [
        (voiced, "question", "expected a `text` without `audio`; came one that holds the voice"),
        (uncaptioned, "question", "expected a `caption`; came none"),
        (confused, "two sessions", "expected only events of session"),
    ],
)
def test_an_answer_that_is_not_as_promised(
    change: Change, step: str, says: str, engine: Running, tutor: Tutor
) -> None:
    output, _ = tried(engine, tutor, change)
    line = line_of(output, step)
    assert line.startswith("✗")
    assert says in line


def test_ctrl_c_leaves_no_session_behind(running: Any) -> None:
    with running({"speak": TALKATIVE}) as engine:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("tutor"), "check", "--webrtc", "--url", engine.url],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert process.stdout is not None
        while "connection" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=30)
        assert sessions_left(engine) == []
    assert process.returncode == 1
    assert "Interrupted." in rest
    assert "Traceback" not in rest


def test_nothing_there(tutor: Tutor) -> None:
    result = tutor("check", "--webrtc", "--url", f"http://127.0.0.1:{free_port()}")
    assert result.exit_code == 1
    assert marks(result.output) == "✗✗--------"


def test_only_the_live_check_waits_for_aiortc() -> None:
    program = "import sys; import cli.main, cli.check; sys.exit('aiortc' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
