"""Engines that really run, for the tests of the contract: the gateway alone under uvicorn with stub
engines, or the whole graph under Ray Serve."""

import asyncio
import base64
import contextlib
import json
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import uvicorn
import yaml
from websockets.asyncio.client import ClientConnection, connect

from cli.environment import HAPROXY_PORTS
from engines.avatar.musetalk.preparation import AvatarWish, Progress
from engines.avatar.musetalk.prepared import Facts
from engines.base import EngineState, KnownVoice
from engines.errors import EngineUnavailable, UnknownKnowledge
from engines.knowledge.base import Found
from engines.knowledge.listing import Base, Entry
from engines.stub import StubAsr, StubAvatar, StubBackdrop, StubLlm, StubTts
from engines.vad.silero import SileroVad
from serve_app.api import create_api
from serve_app.services import Engines
from serve_app.settings import Settings
from serve_app.tutors import read_tutors

PROJECT = Path(__file__).resolve().parents[1]
START_LIMIT_S = 120.0
ANSWER_LIMIT_S = 60.0

TLS = ssl.create_default_context()
"""Of all clients: each would else read every certificate of the system for itself, for 20 ms."""

Event = dict[str, Any]


OWN_PORTS = range(20_000, 32_000)
"""Above those of Ray's workers, and below those that the system gives to whoever asks for any: Ray
takes dozens of these while it starts, and one of them might be ours."""


def free_port() -> int:
    """One that nobody has at the moment."""
    while True:
        port = random.choice(OWN_PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@dataclass(frozen=True)
class Session:
    id: str
    engine_url: str
    token: str
    student_id: int


class Talk:
    """A socket as a client uses it."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def send(self, **message: Any) -> None:
        await self.socket.send(json.dumps(message))

    async def receive(self) -> Event:
        async with asyncio.timeout(ANSWER_LIMIT_S):
            event: Event = json.loads(await self.socket.recv())
            return event

    async def ask(self, **message: Any) -> Event:
        await self.send(**message)
        return await self.receive()

    async def until(self, *types: str) -> list[Event]:
        """Events up to and with the first of these types."""
        events = [await self.receive()]
        while events[-1]["type"] not in types:
            events.append(await self.receive())
        return events


@dataclass(frozen=True)
class Running:
    """An engine at an address."""

    url: str
    stubbed: bool = False

    @property
    def port(self) -> int:
        return httpx.URL(self.url).port or 80

    def http(self, **kwargs: Any) -> httpx.AsyncClient:
        given: dict[str, Any] = {"timeout": 30, "verify": TLS, **kwargs}
        return httpx.AsyncClient(base_url=self.url, **given)

    async def session(
        self, tutor_id: int = 2, student_id: int = 123, kb_id: str | None = None
    ) -> Session:
        async with self.http() as http:
            wish = {"tutor_id": tutor_id, "student_id": student_id, "kb_id": kb_id}
            created = (await http.post("/v1/sessions", json=wish)).raise_for_status().json()
        return Session(
            created["session_id"], created["engine_url"], created["engine_token"], student_id
        )

    @contextlib.asynccontextmanager
    async def live(self, **kwargs: Any) -> AsyncIterator[Session]:
        """A session that is ended afterwards, so that places do not run out."""
        session = await self.session(**kwargs)
        try:
            yield session
        finally:
            async with self.http() as http:
                await http.delete(f"/v1/sessions/{session.id}")

    def socket_url(self, connection_id: str, token: str, path: str = "/ws/ws") -> str:
        return f"ws://127.0.0.1:{self.port}{path}/{connection_id}?token={token}"

    @contextlib.asynccontextmanager
    async def talk(self, url: str, **kwargs: Any) -> AsyncIterator[Talk]:
        async with connect(url, max_size=None, **kwargs) as socket:
            yield Talk(socket)

    @contextlib.asynccontextmanager
    async def conversation(self, **kwargs: Any) -> AsyncIterator[tuple[Session, Talk]]:
        """A session and its socket."""
        async with (
            self.live(**kwargs) as session,
            self.talk(self.socket_url(session.id, session.token)) as talk,
        ):
            yield session, talk


async def as_it_is(face: str) -> str:
    """Nobody stands in for it."""
    return face


class NoPreparer:
    """Of a gateway without MuseTalk."""

    def prepare(self, upload: Path, wish: AvatarWish, folder: Path, progress: Progress) -> Facts:
        raise EngineUnavailable("MuseTalk is not configured.")


class NoKnowledge:
    """A gateway without courses."""

    async def search(self, kb_id: str, question: str, limit: int = 3) -> list[Found]:
        raise UnknownKnowledge(f"There is no knowledge base {kb_id!r}.")


async def no_chapters(kb_id: str) -> list[str]:
    return []


STAGES = ("asr", "llm", "tts", "avatar", "knowledge")


class NoBases:
    """Of a gateway without the `knowledge` application."""

    async def search(self, kb_id: str, question: str, limit: int = 3) -> list[Found]:
        raise self._missing()

    async def bases(self) -> list[Base]:
        raise self._missing()

    async def create(self, kb_id: str) -> Base:
        raise self._missing()

    async def remove(self, kb_id: str) -> None:
        raise self._missing()

    async def documents(self, kb_id: str) -> list[Entry]:
        raise self._missing()

    async def document(self, kb_id: str, name: str) -> Entry:
        raise self._missing()

    async def drop(self, kb_id: str, name: str) -> None:
        raise self._missing()

    def _missing(self) -> EngineUnavailable:
        return EngineUnavailable("The application 'knowledge' is not running.")


def stub_engines(**replaced: Any) -> Engines:
    """The four verbs as stubs without delays."""

    async def states() -> dict[str, EngineState]:
        return {stage: EngineState("stub", "ready") for stage in STAGES}

    async def names() -> dict[str, str]:
        return {stage: state.engine for stage, state in (await states()).items()}

    async def voices() -> list[KnownVoice]:
        return [KnownVoice("tone", "stub")]

    verbs: dict[str, Any] = {
        "hear": StubAsr(),
        "think": lambda tutor: StubLlm(),
        "speak": StubTts(),
        "show": StubAvatar(),
        "backdrop": lambda face: StubBackdrop(),
        "shown": as_it_is,
        "detector": SileroVad,
        "faces": ("mei", "anna", "david"),
        "preparer": NoPreparer,
        "states": states,
        "names": names,
        "voices": voices,
        "bases": NoBases(),
        "knowledge": NoKnowledge(),
        "chapters": no_chapters,
    }
    return Engines(**{**verbs, **replaced})


@contextlib.contextmanager
def plain(settings: Settings, engines: Engines) -> Iterator[Running]:
    """The gateway under uvicorn, on a port of its own, without Ray."""
    port = free_port()
    settings = settings.model_copy(update={"management_api_port": port})
    api = create_api(settings, engines, read_tutors(PROJECT / "configs/tutors.yaml", settings))
    server = uvicorn.Server(
        uvicorn.Config(
            api, host="127.0.0.1", port=port, log_level="warning", ws="websockets-sansio"
        )
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    _wait_for(lambda: server.started or not thread.is_alive(), "uvicorn")
    try:
        yield Running(f"http://127.0.0.1:{port}", stubbed=True)
    finally:
        server.should_exit = True
        thread.join(20)


async def eventually(there: Callable[[], object], limit_s: float = 10.0) -> None:
    """Wait for something that nobody announces."""
    for _ in range(int(limit_s / 0.02)):
        if there():
            return
        await asyncio.sleep(0.02)
    raise TimeoutError


def _wait_for(there: Callable[[], bool], what: str, limit_s: float = START_LIMIT_S) -> None:
    deadline = time.monotonic() + limit_s
    while not there():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come up within {limit_s:g} s")
        time.sleep(0.1)


RAY_ALONE = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_ADDRESS": "local",
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""No login, no other cluster, no reports."""


def graph(port: int, change: Callable[[dict[str, Any]], None] | None = None) -> dict[str, Any]:
    """configs/serve.yaml on another port, changed as a test needs it."""
    config: dict[str, Any] = yaml.safe_load((PROJECT / "configs/serve.yaml").read_text())
    config["http_options"]["port"] = port
    if change is not None:
        change(config)
    return config


MAX_SESSIONS = 40
"""More than the tests need at once, and few enough to fill up in a moment."""


def two_gateways(config: dict[str, Any]) -> None:
    application(config, "gateway")["deployments"][0]["num_replicas"] = 2


def two_gateways_with_short_answers(config: dict[str, Any]) -> None:
    """The embedded engines but for the model: its stub says less, and films take their time."""
    two_gateways(config)
    tokens = ["Hello ", "there. ", "I ", "am ", "your ", "tutor. ", "What ", "shall ", "we ", "do?"]
    application(config, "llm-default")["args"] = {"engine": "stub", "stub": {"tokens": tokens}}


def application(config: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(app for app in config["applications"] if app["name"] == name)
    return found


@contextlib.contextmanager
def serve_run(
    home: Path, config: dict[str, Any], environ: dict[str, str] | None = None
) -> Iterator[Running]:
    """`serve run` as a user starts it, until its `/health` answers 200."""
    file = home / "serve.yaml"
    file.write_text(yaml.safe_dump(config))
    log = home / "serve.log"
    own_ports = _own_ports()
    with log.open("w") as output:
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("serve")), "run", str(file)],
            cwd=PROJECT,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={
                **os.environ,
                **RAY_ALONE,
                **own_ports,
                "TUTOR_HOME": str(home),
                **(environ or {}),
            },
        )
    running = Running(f"http://127.0.0.1:{config['http_options']['port']}")

    def there() -> bool:
        if process.poll() is not None:
            raise RuntimeError(log.read_text()[-4000:])
        return _health(running) is not None

    try:
        _wait_for(there, "the engine")
        yield running
    finally:
        _stop(process)


def _own_ports() -> dict[str, str]:
    """For HAProxy, so that two engines can run at the same time."""
    return {name: str(free_port()) for name in HAPROXY_PORTS}


@contextlib.contextmanager
def serving(
    home: Path, config: dict[str, Any], environ: dict[str, str] | None = None
) -> Iterator[Running]:
    """The graph, until every engine says that it is up."""
    with serve_run(home, config, environ) as running:
        _wait_for(lambda: _all_up(running), "every engine")
        yield running


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End `serve run` and everything that Ray started for it: all of it is in one session, also
    what has outlived its parent."""
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(20)
    for member in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getsid(member.pid) == process.pid:
                member.kill()
    process.wait()


def _health(running: Running) -> dict[str, Any] | None:
    try:
        answer = httpx.get(f"{running.url}/health", timeout=5)
    except httpx.HTTPError:
        return None
    if answer.status_code != 200 or "json" not in answer.headers.get("content-type", ""):
        return None
    body = answer.json()
    return body if isinstance(body, dict) else {}


def _all_up(running: Running) -> bool:
    health = _health(running)
    if not health:
        return False
    states = {engine["state"] for engine in health["engines"].values()}
    return not {"starting", "unavailable"} & states


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()
