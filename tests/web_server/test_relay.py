"""What goes through piece by piece, seen from an engine that counts."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest
from fastapi import FastAPI, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse

from tests.running import eventually
from tests.web_server.schools import People, Site, move_in, open_site, served, settings_for
from web_server import relay
from web_server.relay import LIMIT_BYTES

MB = 10**6


@dataclass
class Engine:
    """Takes uploads, and has events that never end."""

    received: int = 0
    broken_off: bool = False
    following: int = 0
    queries: list[str] = field(default_factory=list)

    def app(self) -> FastAPI:
        app = FastAPI()
        app.get("/v1/avatars")(self.none)
        app.post("/v1/avatars", status_code=202)(self.upload)
        app.get("/v1/avatars/{name}/events")(self.events)
        app.get("/v1/avatars/{name}/picture.webp")(self.picture)
        return app

    async def none(self) -> list[object]:
        return []

    async def upload(self, request: Request) -> dict[str, object]:
        self.queries.append(request.url.query)
        try:
            async for piece in request.stream():
                self.received += len(piece)
        except ClientDisconnect:
            self.broken_off = True
        name = request.query_params["name"]
        return {"name": name, "kind": None, "state": "waiting", "progress": 0}

    async def picture(self, name: str) -> Response:
        return Response(b"RIFF", 200 if name == "Emma B" else 404, media_type="image/webp")

    async def events(self, name: str) -> StreamingResponse:
        return StreamingResponse(self._endless(), media_type="text/event-stream")

    async def _endless(self) -> AsyncIterator[bytes]:
        self.following += 1
        try:
            yield b'data: {"state":"preparing"}\n\n'
            await asyncio.Event().wait()
        finally:
            self.following -= 1


@dataclass
class Scene:
    engine: Engine
    site: Site
    people: People


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    engine = Engine()
    with served(engine.app()) as url:
        settings = settings_for(tmp_path, url)
        people = asyncio.run(move_in(settings))
        with open_site(settings) as site:
            yield Scene(engine, site, people)


async def pieces(count: int) -> AsyncIterator[bytes]:
    piece = b"\x01" * MB
    for _ in range(count):
        yield piece


async def test_an_upload_goes_through_and_is_never_held_as_a_whole(scene: Scene) -> None:
    process = psutil.Process()
    async with scene.site.as_(scene.people.ada) as admin:
        await admin.post("/api/admin/faces?name=Warm", content=pieces(2))
        before = process.memory_info().rss
        seen = []

        async def watched() -> AsyncIterator[bytes]:
            async for piece in pieces(90):
                seen.append(process.memory_info().rss)
                yield piece

        sent = await admin.post(
            "/api/admin/faces?name=Emma&shift=-3&box=0,0,1,1", content=watched()
        )
        assert sent.status_code == 202
    assert scene.engine.received == 92 * MB
    assert scene.engine.queries[-1] == "name=Emma&box=0%2C0%2C1%2C1&shift=-3"
    assert max(seen) - before < 60 * MB  # with all three servers' buffers, in this one process


async def test_the_picture_of_a_prepared_face_comes_through(scene: Scene) -> None:
    async with scene.site.as_(scene.people.ann) as student:
        picture = await student.get("/api/faces/Emma%20B.webp")
        assert (picture.status_code, picture.content) == (200, b"RIFF")
        assert picture.headers["content-type"] == "image/webp"
        assert "private" in picture.headers["cache-control"]
        assert (await student.get("/api/faces/Emma%20B.svg")).status_code == 404


async def test_an_upload_that_says_it_is_too_large_never_begins(scene: Scene) -> None:
    async with scene.site.as_(scene.people.ada) as admin:
        token = admin.headers["authorization"]
    address = httpx.URL(scene.site.url)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(
        f"POST /api/admin/faces?name=Big HTTP/1.1\r\nHost: {address.host}\r\n"
        f"Authorization: {token}\r\nContent-Length: {LIMIT_BYTES + 1}\r\n\r\n".encode()
    )
    async with asyncio.timeout(30):
        head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    assert head.startswith(b"HTTP/1.1 413 ")
    assert scene.engine.queries == []


async def test_one_that_does_not_say_so_is_cut_off(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "LIMIT_BYTES", 3 * MB)
    async with scene.site.as_(scene.people.ada) as admin:
        refused = await admin.post("/api/admin/faces?name=Big", content=pieces(5))
        assert refused.status_code == 413
    await eventually(lambda: scene.engine.broken_off)
    async with scene.site.as_(scene.people.bo) as other:  # the name was given back
        monkeypatch.undo()
        sent = await other.post("/api/admin/faces?name=Big", content=pieces(1))
        assert sent.status_code == 202


async def test_who_leaves_in_the_middle_leaves_nothing_behind(scene: Scene) -> None:
    async def stuck() -> AsyncIterator[bytes]:
        yield b"\x01" * MB
        raise ConnectionAbortedError

    async with scene.site.as_(scene.people.ada) as admin:
        with pytest.raises(ConnectionAbortedError):
            await admin.post("/api/admin/faces?name=Half", content=stuck())
    await eventually(lambda: scene.engine.broken_off)
    school = scene.site.app.state.school
    await eventually(lambda: school.relays.uploads.free == relay.MAX_UPLOADS)


async def test_an_upload_that_stands_still_is_given_up(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "PIECE_LIMIT_S", 0.05)

    async def stopping() -> AsyncIterator[bytes]:
        yield b"\x01" * MB
        await eventually(lambda: scene.engine.broken_off)

    async with scene.site.as_(scene.people.ada) as admin:
        refused = await admin.post("/api/admin/faces?name=Slow", content=stopping())
        assert refused.status_code == 400


async def test_too_many_uploads_are_asked_to_come_again(scene: Scene) -> None:
    uploads = scene.site.app.state.school.relays.uploads
    uploads.free = 0
    async with scene.site.as_(scene.people.ada) as admin:
        refused = await admin.post("/api/admin/faces?name=More", content=b"x")
        assert refused.status_code == 503
        assert refused.headers["retry-after"]
    uploads.free = relay.MAX_UPLOADS


async def test_events_come_at_once_and_end_with_the_page(scene: Scene) -> None:
    followed = scene.site.app.state.school.relays.followed
    async with scene.site.as_(scene.people.ada) as admin:
        await admin.post("/api/admin/faces?name=Emma", content=b"x")
        async with admin.stream("GET", "/api/admin/faces/Emma/events") as events:
            assert events.headers["x-accel-buffering"] == "no"
            async for line in events.aiter_lines():
                assert line == 'data: {"state":"preparing"}'
                break
            assert (scene.engine.following, followed.free) == (1, relay.MAX_FOLLOWED - 1)
    await eventually(lambda: scene.engine.following == 0)
    await eventually(lambda: followed.free == relay.MAX_FOLLOWED)
