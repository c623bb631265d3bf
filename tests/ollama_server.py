"""A server that speaks Ollama's documented API, and misbehaves when asked to: in this process, or,
as `python -m tests.ollama_server PORT MANNERS`, in one of its own, which can be killed."""

import asyncio
import itertools
import json
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from tests.running import free_port

WORDS = ("Because ", "of ", "scattering.")

Mode = Literal["well", "breaks", "vanishes", "refuses", "hangs", "silent", "endless"]
"""`breaks`: tells of an error after the first word. `vanishes`: closes the connection there.
`refuses`: 500. `hangs`: not a word. `silent`: an empty answer. `endless`: its words, over and over.
"""

START_LIMIT_S = 60.0
"""A process of its own; a loaded machine imports slowly."""


@dataclass
class FakeOllama:
    """One server's models, manners and memory."""

    models: list[str] = field(default_factory=lambda: ["llama3:8b", "tiny:latest"])
    words: tuple[str, ...] = WORDS
    thoughts: tuple[str, ...] = ()
    """Sent as `message.thinking`, by a model that can think, unless told not to."""
    capabilities: tuple[str, ...] = ("completion",)
    context: int = 131_072
    prompt_tokens: int = 12
    """What it says to have counted."""
    mode: Mode = "well"
    modes: dict[str, Mode] = field(default_factory=dict)
    """By a word of the question: another mode for this one."""
    first_s: float = 0.0
    """From the question to the first word."""
    gap_s: float = 0.0
    """From word to word."""
    by_clock: bool = False
    """Gaps are counted from the first word, so that delays do not add up: for measuring."""
    pull_percents: tuple[int, ...] = (0, 42, 100)
    pull_gap_s: float = 0.0
    pull_fails: bool = False
    pull_stalls: bool = False
    """It tells the same for ever."""
    loads: bool = True
    """Without, loading a model comes to no end."""
    pull_may_go_on: threading.Event = field(default_factory=threading.Event)
    """Awaited in the middle of a download when cleared; set at first."""
    asked: list[dict[str, Any]] = field(default_factory=list)
    """Bodies of the questions."""
    loaded: list[dict[str, Any]] = field(default_factory=list)
    """Bodies of the requests that only load a model."""
    has_loaded: threading.Event = field(default_factory=threading.Event)
    pulled: list[str] = field(default_factory=list)
    probes: int = 0
    left: threading.Event = field(default_factory=threading.Event)
    """Set when a stream was closed early."""
    left_s: float = 0.0
    """When, on the monotonic clock."""

    def __post_init__(self) -> None:
        self.pull_may_go_on.set()

    async def version(self, request: Request) -> Response:
        return JSONResponse({"version": "0.12.0"})

    async def tags(self, request: Request) -> Response:
        self.probes += 1
        return JSONResponse({"models": [{"name": name, "model": name} for name in self.models]})

    async def show(self, request: Request) -> Response:
        model = (await request.json())["model"]
        if not self._has(model):
            return JSONResponse({"error": f"model '{model}' not found"}, 404)
        info = {"general.architecture": "llama", "llama.context_length": self.context}
        return JSONResponse({"model_info": info, "capabilities": list(self.capabilities)})

    async def chat(self, request: Request) -> Response:
        asked = await request.json()
        if not self._has(asked["model"]):
            return JSONResponse({"error": f"model '{asked['model']}' not found"}, 404)
        if asked.get("think") is not None and "thinking" not in self.capabilities:
            return JSONResponse({"error": f"{asked['model']!r} does not support thinking"}, 400)
        if not asked["messages"]:
            self.loaded.append(asked)
            self.has_loaded.set()
            if not self.loads:
                await asyncio.sleep(3600)
            message = {"role": "assistant", "content": ""}
            return JSONResponse({"message": message, "done": True, "done_reason": "load"})
        self.asked.append(asked)
        if self._mode(asked) == "refuses":
            return JSONResponse({"error": "llama runner process has terminated"}, 500)
        return StreamingResponse(self._watched(asked), media_type="application/x-ndjson")

    async def tell(self, request: Request) -> Response:
        """Not Ollama's: what a test asks of a server that it cannot look into."""
        return JSONResponse({"asked": self.asked, "left": self.left.is_set()})

    async def pull(self, request: Request) -> Response:
        model = (await request.json())["model"]
        self.pulled.append(model)
        return StreamingResponse(self._pull_lines(model), media_type="application/x-ndjson")

    def _has(self, model: str) -> bool:
        return bool({model, f"{model}:latest"} & set(self.models))

    async def _watched(self, asked: dict[str, Any]) -> AsyncIterator[str]:
        try:
            async for line in self._chat_lines(asked):
                yield json.dumps(line) + "\n"
        except asyncio.CancelledError:
            self.left_s = time.monotonic()
            self.left.set()
            raise

    def _mode(self, asked: dict[str, Any]) -> Mode:
        question = asked["messages"][-1]["content"]
        return next((mode for word, mode in self.modes.items() if word in question), self.mode)

    def _answer(self, mode: Mode) -> Iterable[str]:
        if mode == "endless":
            return itertools.cycle(self.words)
        return () if mode == "silent" else self.words

    async def _chat_lines(self, asked: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        mode, due_s = self._mode(asked), time.monotonic() + self.first_s
        if mode == "hangs":
            await asyncio.sleep(3600)
        if asked.get("think"):
            for thought in self.thoughts:
                yield _line(asked, content="", thinking=thought)
        for index, word in enumerate(self._answer(mode)):
            if index == 1 and mode == "breaks":
                yield {"error": "the runner has died"}
                return
            if index == 1 and mode == "vanishes":
                raise Vanished
            await _until(due_s)
            yield _line(asked, content=word)
            due_s = (due_s if self.by_clock else time.monotonic()) + self.gap_s
        end = {"done": True, "done_reason": "stop", "prompt_eval_count": self.prompt_tokens}
        yield _line(asked, content="") | end

    async def _pull_lines(self, model: str) -> AsyncIterator[str]:
        yield json.dumps({"status": "pulling manifest"}) + "\n"
        if self.pull_fails:
            yield json.dumps({"error": "pull model manifest: file does not exist"}) + "\n"
            return
        for percent in self.pull_percents:
            layer = {"digest": "sha256:1", "total": 1000, "completed": percent * 10}
            yield json.dumps({"status": "pulling 1", **layer}) + "\n"
            while percent and self.pull_stalls:
                await asyncio.sleep(0.01)
                yield json.dumps({"status": "pulling 1", **layer}) + "\n"
            await asyncio.sleep(self.pull_gap_s)
            if percent:
                await asyncio.to_thread(self.pull_may_go_on.wait, 20)
        self.models.append(model)
        yield json.dumps({"status": "success"}) + "\n"


async def _until(due_s: float) -> None:
    await asyncio.sleep(max(0.0, due_s - time.monotonic()))


class Vanished(Exception):
    """Ends a response in the middle, without its last chunk."""


def _line(asked: dict[str, Any], **message: str) -> dict[str, Any]:
    said = {"role": "assistant", **message}
    return {"model": asked["model"], "message": said, "done": False}


@contextmanager
def ollama_server(fake: FakeOllama, port: int | None = None) -> Iterator[str]:
    """Runs it on loopback; gives its OLLAMA_BASE_URL. Leaving it is the server's sudden death."""
    routes = [
        Route("/api/version", fake.version),
        Route("/api/tags", fake.tags),
        Route("/api/show", fake.show, methods=["POST"]),
        Route("/api/chat", fake.chat, methods=["POST"]),
        Route("/api/pull", fake.pull, methods=["POST"]),
        Route("/told", fake.tell),
    ]
    with http_server(Starlette(routes=routes), port) as url:
        yield url


class OllamaProcess:
    """A server in a process of its own."""

    def __init__(self, port: int, process: "subprocess.Popen[bytes]") -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._process = process

    def is_up(self) -> bool:
        if self._process.poll() is not None:
            raise RuntimeError("The Ollama of the tests has died; see what it printed.")
        try:
            return httpx.get(f"{self.url}/api/version", timeout=5).is_success
        except httpx.HTTPError:
            return False

    def asked(self) -> list[dict[str, Any]]:
        """Bodies of the questions so far."""
        asked: list[dict[str, Any]] = self._told()["asked"]
        return asked

    def left(self) -> bool:
        """Whether a stream was closed early."""
        return bool(self._told()["left"])

    def _told(self) -> dict[str, Any]:
        told: dict[str, Any] = httpx.get(f"{self.url}/told", timeout=20).json()
        return told

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self._process.kill()
        self._process.wait()


@contextmanager
def ollama_process(port: int, **manners: Any) -> Iterator[OllamaProcess]:
    """A server with these fields of `FakeOllama`, until it is killed or left."""
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, str(port), json.dumps(manners)],
        cwd=Path(__file__).resolve().parents[1],
    )
    server, deadline_s = OllamaProcess(port, process), time.monotonic() + START_LIMIT_S
    try:
        while not server.is_up():
            if time.monotonic() > deadline_s:
                raise TimeoutError("The Ollama of the tests did not come up.")
            time.sleep(0.05)
        yield server
    finally:
        server.kill()


@contextmanager
def http_server(app: Starlette, port: int | None = None) -> Iterator[str]:
    """Serves an application from a thread of its own; leaving drops all connections."""

    async def vanishing(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except* Vanished:
            pass  # uvicorn closes what was not ended

    chosen = port or free_port()
    config = uvicorn.Config(
        vanishing, host="127.0.0.1", port=chosen, log_level="critical", lifespan="off"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{chosen}"
    finally:
        _drop(server)
        thread.join(10)


def _drop(server: uvicorn.Server) -> None:
    """As when the process is killed: whoever is being answered sees a broken connection."""
    for protocol in list(server.server_state.connections):
        transport = getattr(protocol, "transport", None)
        if transport is not None:
            protocol.loop.call_soon_threadsafe(transport.abort)
    server.should_exit = server.force_exit = True


if __name__ == "__main__":
    with ollama_server(FakeOllama(**json.loads(sys.argv[2])), int(sys.argv[1])):
        threading.Event().wait()
