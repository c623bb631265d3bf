"""A server that speaks Ollama's documented API, as far as the tests ask for it."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.running import free_port

WORDS = ("Because ", "of ", "scattering.")


@dataclass
class FakeOllama:
    models: tuple[str, ...] = ("llama3:8b", "tiny:latest")
    words: tuple[str, ...] = WORDS
    gap_s: float = 0.0
    breaks_after: int | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)

    async def tags(self, request: Request) -> Response:
        listed = [{"name": name, "model": name} for name in self.models]
        return JSONResponse({"models": listed})

    async def chat(self, request: Request) -> Response:
        asked = await request.json()
        self.asked.append(asked)
        if asked["model"] not in self.models:
            return JSONResponse({"error": f"model '{asked['model']}' not found"}, 404)
        return StreamingResponse(self._lines(asked["model"]), media_type="application/x-ndjson")

    async def _lines(self, model: str) -> AsyncIterator[str]:
        try:
            for index, word in enumerate(self.words):
                if index == self.breaks_after:
                    yield json.dumps({"error": "the runner has died"}) + "\n"
                    return
                message = {"role": "assistant", "content": word}
                yield json.dumps({"model": model, "message": message, "done": False}) + "\n"
                await asyncio.sleep(self.gap_s)
            last = {"role": "assistant", "content": ""}
            yield json.dumps({"model": model, "message": last, "done": True}) + "\n"
        except asyncio.CancelledError:
            self.left.set()
            raise


@contextmanager
def ollama_server(fake: FakeOllama, port: int | None = None) -> Iterator[str]:
    """Runs it on loopback; gives its OLLAMA_BASE_URL."""
    routes = [Route("/api/tags", fake.tags), Route("/api/chat", fake.chat, methods=["POST"])]
    chosen = port or free_port()
    server = uvicorn.Server(
        uvicorn.Config(Starlette(routes=routes), host="127.0.0.1", port=chosen, log_level="error")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{chosen}"
    finally:
        server.should_exit = server.force_exit = True
        thread.join(10)
