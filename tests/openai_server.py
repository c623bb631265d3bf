"""A small server of OpenAI's chat API, as vLLM and llama.cpp speak it."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.ollama_server import Vanished, http_server

WORDS = ("Light ", "is ", "scattered.")


@dataclass
class FakeOpenAi:
    """One server's models, manners and memory."""

    models: list[str] = field(default_factory=lambda: ["qwen"])
    words: tuple[str, ...] = WORDS
    thoughts: tuple[str, ...] = ()
    """Sent as `reasoning_content`."""
    key: str = ""
    """What it wants as a bearer's token; empty: anything."""
    status: int = 200
    """Of questions; another than 200 is a refusal."""
    why: str = "so it is"
    refuses: str = ""
    """Questions with this word, by 400."""
    strict: bool = False
    """Refuses what is not in OpenAI's own API."""
    breaks_after: int | None = None
    vanishes_after: int | None = None
    prompt_tokens: int = 12
    max_model_len: int | None = 4096
    lists: bool = True
    """Without, it answers 404."""
    listed: list[str] | None = None
    """None: its models."""
    finish: str = "stop"
    gap_s: float = 0.0
    hangs: bool = False
    asked: list[dict[str, Any]] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)
    left_s: float = 0.0

    async def list_models(self, request: Request) -> Response:
        if not self._knows(request):
            return _refusal(401, "Incorrect API key provided")
        if not self.lists:
            return JSONResponse({"detail": "Not Found"}, 404)
        listed = self.models if self.listed is None else self.listed
        entries = [{"id": m, "max_model_len": self.max_model_len} for m in listed]
        return JSONResponse({"object": "list", "data": entries})

    async def complete(self, request: Request) -> Response:
        asked = await request.json()
        self.asked.append(asked)
        if not self._knows(request):
            return _refusal(401, f"Incorrect API key provided: {request.headers['authorization']}")
        if self.strict and "chat_template_kwargs" in asked:
            return _refusal(400, "Unrecognized request argument: chat_template_kwargs")
        if self.status != 200:
            return _refusal(self.status, self.why)
        if self.refuses and self.refuses in asked["messages"][-1]["content"]:
            return _refusal(400, self.why)
        if asked["model"] not in self.models:
            return _refusal(404, f"The model {asked['model']} does not exist.")
        return StreamingResponse(self._watched(asked), media_type="text/event-stream")

    def _knows(self, request: Request) -> bool:
        return not self.key or request.headers.get("authorization") == f"Bearer {self.key}"

    async def _watched(self, asked: dict[str, Any]) -> AsyncIterator[str]:
        try:
            async for event in self._events(asked):
                yield event
        except asyncio.CancelledError:
            self.left_s = time.monotonic()
            self.left.set()
            raise

    async def _events(self, asked: dict[str, Any]) -> AsyncIterator[str]:
        if self.hangs:
            await asyncio.sleep(3600)
        yield ": a comment, as proxies send to keep a connection\n\n"
        yield _event({"role": "assistant", "content": ""})
        for thought in self.thoughts:
            yield _event({"reasoning_content": thought})
        for index, word in enumerate(self.words):
            if index == self.breaks_after:
                yield 'data: {"error": {"message": "CUDA out of memory", "code": 500}}\r\n\r\n'
                return
            if index == self.vanishes_after:
                raise Vanished
            yield _event({"content": word})
            await asyncio.sleep(self.gap_s)
        yield _event({}, self.finish)
        if asked.get("stream_options"):
            usage = {"prompt_tokens": self.prompt_tokens, "completion_tokens": 3}
            yield f"data: {json.dumps({'choices': [], 'usage': usage})}\n\n"
        yield "data: [DONE]\n\n"


def _event(delta: dict[str, Any], finish: str | None = None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return f"data: {json.dumps({'choices': [choice]})}\n\n"


def _refusal(status: int, why: str) -> Response:
    return JSONResponse({"error": {"message": why, "type": "error"}}, status)


@contextmanager
def openai_server(fake: FakeOpenAi, port: int | None = None) -> Iterator[str]:
    """Runs it on loopback; gives its OPENAI_BASE_URL, without `/v1`."""
    routes = [
        Route("/v1/models", fake.list_models),
        Route("/v1/chat/completions", fake.complete, methods=["POST"]),
    ]
    with http_server(Starlette(routes=routes), port) as url:
        yield url
