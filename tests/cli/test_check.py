"""`tutor check` against engines that are right, and against those that are not."""

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from cli import check
from engines.base import Audio, EngineState, Message, Voice
from engines.errors import EngineError
from serve_app.settings import Settings
from tests.cli.conftest import Tutor
from tests.running import Running, free_port, plain, stub_engines

STEPS = 11


def marks(output: str) -> str:
    return "".join(re.findall(r"^([✓✗!-]) ", output, re.MULTILINE))


def test_everything_of_a_sound_engine_works(engine: Running, tutor: Tutor) -> None:
    result = tutor("check", "--url", engine.url)
    assert result.exit_code == 0, result.output
    assert marks(result.output) == "✓" * STEPS
    assert "Everything works." in result.output
    assert "understood “hello stub”" in result.output
    assert re.search(r"\d+ frames of 512×512 at 25 a second", result.output)
    assert len(re.findall(r"\d+ ms  ", result.output)) == STEPS
    assert httpx.get(f"{engine.url}/v1/sessions", params={"student_id": 0}).json() == []


def test_an_address_that_browsers_cannot_use_is_doubted(tmp_path: Path, tutor: Tutor) -> None:
    settings = Settings(tutor_home=tmp_path, websocket_url=f"ws://127.0.0.1:{free_port()}")
    with plain(settings, stub_engines()) as engine:
        result = tutor("check", "--url", engine.url)
    assert result.exit_code == 0
    assert marks(result.output) == "✓✓✓✓!✓✓✓✓✓✓"
    assert "WEBSOCKET_URL" in result.output


def test_another_address_for_browsers_is_tried(tmp_path: Path, tutor: Tutor) -> None:
    port = free_port()
    settings = Settings(tutor_home=tmp_path, websocket_url=f"ws://127.0.0.1:{port}")
    with plain(settings, stub_engines()) as engine, forwarding(port, engine.port):
        result = tutor("check", "--url", engine.url)
    assert marks(result.output) == "✓" * STEPS
    assert f"ws://127.0.0.1:{port}/ws/ws/…" in result.output


@contextmanager
def forwarding(port: int, to: int) -> Iterator[None]:
    """What a reverse proxy is to a socket: another door to the same engine."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", to)
        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))

    async def run() -> None:
        async with await asyncio.start_server(serve, "127.0.0.1", port):
            started.set()
            await asyncio.to_thread(ended.wait)

    started, ended = threading.Event(), threading.Event()
    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    started.wait(10)
    yield
    ended.set()
    thread.join(10)


class HoarseTts:
    async def speak(self, sentence: str, voice: Voice) -> AsyncIterator[Audio]:
        raise EngineError("The voice is hoarse.")
        yield


class MuteTts:
    async def speak(self, sentence: str, voice: Voice) -> AsyncIterator[Audio]:
        silence: tuple[Audio, ...] = ()
        for piece in silence:
            yield piece


class SilentLlm:
    async def reply(self, messages: Sequence[Message]) -> AsyncIterator[str]:
        raise EngineError("The model thinks of nothing.")
        yield


@pytest.fixture
def broken(tmp_path: Path) -> Any:
    @contextmanager
    def running(**replaced: Any) -> Iterator[Running]:
        with plain(Settings(tutor_home=tmp_path), stub_engines(**replaced)) as engine:
            yield engine

    return running


def test_an_engine_without_a_voice_is_found_out(
    broken: Any, tutor: Tutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def states() -> dict[str, EngineState]:
        return {"tts": EngineState("x", "degraded", "It is hoarse.", "Give it tea.")}

    monkeypatch.setattr(check, "FOLLOW_LIMIT_S", 0.5)
    with broken(speak=MuteTts(), states=states) as engine:
        result = tutor("check", "--url", engine.url)
    assert result.exit_code == 1
    assert marks(result.output) == "✓✓✓✓✓✗✗✗✓✓✓"
    assert "expected a voice; came an answer without one" in result.output
    assert "expected `audio`; came nothing within 0.5 s" in result.output
    assert "expected `video`; came `text`" in result.output
    assert result.output.count("Give it tea.") == 2
    assert "3 of 11 steps failed" in result.output


@pytest.mark.parametrize(
    ("replaced", "says"),
    [
        ({"speak": HoarseTts()}, "The voice is hoarse."),
        ({"think": lambda tutor: SilentLlm()}, "The model thinks of nothing."),
    ],
)
def test_what_the_engine_complains_of_is_shown(
    replaced: dict[str, Any], says: str, broken: Any, tutor: Tutor
) -> None:
    with broken(**replaced) as engine:
        result = tutor("check", "--url", engine.url)
    assert result.exit_code == 1
    assert f"expected `text`; came `error`: {says}" in result.output


def test_an_unavailable_recogniser_is_a_warning_with_its_remedy(broken: Any, tutor: Tutor) -> None:
    async def states() -> dict[str, EngineState]:
        return {"asr": EngineState("none", "unavailable", "No ears.", "Set WHISPER_MODEL.")}

    with broken(states=states) as engine:
        result = tutor("check", "--url", engine.url)
    assert result.exit_code == 0
    assert marks(result.output) == "✓✓✓✓✓✓!✓✓✓✓"
    assert "No ears." in result.output
    assert "Set WHISPER_MODEL." in result.output


def test_a_student_who_may_have_one_session_only(tmp_path: Path, tutor: Tutor) -> None:
    settings = Settings(tutor_home=tmp_path, max_sessions_per_student=1)
    with plain(settings, stub_engines()) as engine:
        result = tutor("check", "--url", engine.url)
    assert result.exit_code == 0
    assert marks(result.output) == "✓✓✓✓✓✓✓✓!✓✓"
    assert "needs a second session" in result.output


def test_nothing_there(tutor: Tutor) -> None:
    result = tutor("check", "--url", f"http://127.0.0.1:{free_port()}")
    assert result.exit_code == 1
    assert marks(result.output) == "✗✗---------"
    assert "tutor up" in result.output
    assert "2 of 11 steps failed" in result.output


def test_something_else_there(tutor: Tutor) -> None:
    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<h1>It works!</h1>")

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        result = tutor("check", "--url", f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
    assert result.exit_code == 1
    assert "is not this engine" in result.output
    assert "HTTP 501" in result.output


def test_the_key_is_used_and_never_shown(tmp_path: Path, tutor: Tutor) -> None:
    settings = Settings(tutor_home=tmp_path, engine_api_key=SecretStr("sesame-17"))
    with plain(settings, stub_engines()) as engine:
        without = tutor("check", "--url", engine.url)
        with_key = tutor("check", "--url", engine.url, "--api-key", "sesame-17")
    assert without.exit_code == 1
    assert "HTTP 401" in without.output
    assert "--api-key" in without.output
    assert with_key.exit_code == 0
    assert "sesame-17" not in without.output + with_key.output


@pytest.mark.parametrize("url", ["localhost:9000", "ftp://localhost", "http://", "http://[::1"])
def test_a_url_that_is_none_is_wrong_usage(url: str, tutor: Tutor) -> None:
    result = tutor("check", "--url", url)
    assert result.exit_code == 2
    assert "http://host:port" in result.output
