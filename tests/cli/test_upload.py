"""`tutor avatar` against a gateway that makes real faces, with a stand-in for the model."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request

from engines.avatar.musetalk.footage import LIMIT_BYTES
from engines.avatar.musetalk.preparation import Preparation
from serve_app.avatar_studio import AvatarError, Studio
from serve_app.avatars import Avatars, avatars
from tests.cli.conftest import Tutor
from tests.engines.avatar.musetalk.test_preparation import mean_colours, nothing
from tests.running import free_port
from tests.uploads import BOX, photo, talking

BOX_TEXT = ",".join(map(str, BOX))


async def demand_key(request: Request) -> None:
    if request.headers.get("authorization") != "Bearer key":
        raise HTTPException(401, "This engine wants its key.")


@contextmanager
def gateway(folder: Path) -> Iterator[str]:
    studio = Studio(folder, Preparation(mean_colours, nothing))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        work = asyncio.create_task(studio.work(), name="studio")
        yield
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work

    api = FastAPI(lifespan=lifespan)
    api.include_router(avatars, prefix="/v1", dependencies=[Depends(demand_key)])
    api.state.avatars = Avatars(studio, ("mei",), lambda face: [])
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(api, port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{port}"
    transport = httpx.HTTPTransport(retries=10)
    with httpx.Client(transport=transport) as probe:
        probe.get(f"{url}/v1/avatars")
    yield url
    server.should_exit = True
    thread.join(20)


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with gateway(tmp_path / "avatars") as address:
        yield address


@pytest.fixture
def face(tmp_path: Path) -> str:
    file = tmp_path / "anna.jpg"
    file.write_bytes(photo())
    return str(file)


def test_a_face_is_added_listed_and_removed(url: str, face: str, tutor: Tutor) -> None:
    there = ("--url", url, "--api-key", "key")
    added = tutor("avatar", "add", "Anna", face, "--box", BOX_TEXT, *there)
    assert added.exit_code == 0, added.output
    assert "Anna is ready: 125 frames, 5.0 s." in added.output
    assert "Sending …" in added.output
    assert "does not blink" in added.output
    listed = tutor("avatar", "list", *there)
    assert listed.exit_code == 0
    rows = [line.split()[:3] for line in listed.output.splitlines()]
    assert ["mei", "drawn", "ready"] in rows
    assert ["Anna", "photo", "ready"] in rows
    removed = tutor("avatar", "remove", "Anna", *there)
    assert (removed.exit_code, removed.output.strip()) == (0, "Anna is removed.")
    again = tutor("avatar", "remove", "Anna", *there)
    assert again.exit_code == 1
    assert "no avatar 'Anna'" in again.output


def test_a_clip(url: str, tmp_path: Path, tutor: Tutor) -> None:
    file = tmp_path / "anna.mp4"
    file.write_bytes(talking(30))
    box = "0.37,0.33,0.63,0.69"
    added = tutor("avatar", "add", "A", str(file), "--box", box, "--url", url, "--api-key", "key")
    assert "A is ready: 30 frames, 1.2 s." in added.output


def test_a_refusal_is_told_and_leaves_nothing(url: str, face: str, tutor: Tutor) -> None:
    there = ("--url", url, "--api-key", "key")
    failed = tutor("avatar", "add", "Anna", face, *there)  # no box, and no model here
    assert failed.exit_code == 1
    assert "Give the box of the face." in failed.output
    assert "Anna" not in tutor("avatar", "list", *there).output


def test_bad_files_and_names(url: str, face: str, tmp_path: Path, tutor: Tutor) -> None:
    there = ("--url", url, "--api-key", "key")
    text, large = tmp_path / "text", tmp_path / "large"
    text.write_text("I am a face." * 20)
    with large.open("wb") as opened:
        opened.truncate(LIMIT_BYTES + 1)
    for name, file, code, told in (
        ("Anna", str(text), 1, "unknown kind"),
        ("Anna", str(large), 1, "100 MB"),
        ("Anna", str(tmp_path / "none"), 2, "There is no file"),
        ("../x", face, 1, "HTTP 422"),
        ("mei", face, 1, "drawn face"),
    ):
        refused = tutor("avatar", "add", name, file, *there)
        assert refused.exit_code == code, refused.output
        assert told in refused.output


def test_the_key_is_needed(url: str, face: str, tutor: Tutor) -> None:
    refused = tutor("avatar", "add", "Anna", face, "--url", url)
    assert refused.exit_code == 1
    assert "--api-key" in refused.output


def test_without_an_engine(face: str, tutor: Tutor) -> None:
    refused = tutor("avatar", "add", "Anna", face)
    assert refused.exit_code == 1
    assert "`tutor status`" in refused.output


def test_why_it_failed_is_told_even_if_it_cannot_be_removed(
    url: str, face: str, tutor: Tutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_studio: Studio, name: str) -> None:
        raise AvatarError(503, f"{name} cannot be removed now.")

    monkeypatch.setattr(Studio, "remove", broken)
    failed = tutor("avatar", "add", "Anna", face, "--url", url, "--api-key", "key")
    assert failed.exit_code == 1
    assert "Give the box of the face." in failed.output
    assert "Anna cannot be removed now." in failed.output
