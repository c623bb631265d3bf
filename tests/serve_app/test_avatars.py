import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cv2
import httpx
import numpy as np
import pytest
from fastapi import Depends, FastAPI, HTTPException, Request

from engines.avatar.musetalk.footage import LIMIT_BYTES
from engines.avatar.musetalk.preparation import Preparation
from engines.avatar.musetalk.prepared import PreparedAvatar
from engines.base import FRAME_SIZE_PX
from serve_app.avatar_studio import MAX_ORDERS, Studio
from serve_app.avatars import Avatars, avatars
from tests.engines.avatar.musetalk.test_preparation import mean_colours, nothing
from tests.running import eventually
from tests.uploads import BOX, HOSTILE, photo, talking

BOX_TEXT = ",".join(map(str, BOX))


async def demand_key(request: Request) -> None:
    if request.headers.get("authorization") != "Bearer key":
        raise HTTPException(401)


def wearers(face: str) -> list[str]:
    """The tutors who have a face."""
    return ["Ms Worn", "anyone"] if face == "Worn" else []


@asynccontextmanager
async def client(home: Path) -> AsyncIterator[httpx.AsyncClient]:
    studio = Studio(home / "avatars", Preparation(mean_colours, nothing))
    api = FastAPI()
    api.include_router(avatars, prefix="/v1", dependencies=[Depends(demand_key)])
    api.state.avatars = Avatars(studio, ("mei", "anna"), wearers)
    work = asyncio.create_task(studio.work(), name="studio")
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(api),
        base_url="http://localhost/v1",
        headers={"Authorization": "Bearer key"},
    ) as http:
        yield http
    work.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await work


async def send(http: httpx.AsyncClient, data: bytes, name: str = "Anna B", **more: Any) -> Any:
    return await http.post("/avatars", params={"name": name, **more}, content=data)


async def settled(http: httpx.AsyncClient, name: str = "Anna B") -> dict[str, Any]:
    """The avatar as soon as it is made or has failed."""
    async with asyncio.timeout(60):
        while True:
            avatar: dict[str, Any] = (await http.get(f"/avatars/{quote(name)}")).json()
            if avatar["state"] in ("ready", "failed"):
                return avatar
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("data", "kind", "frames"), [(photo(), "photo", 125), (talking(30), "clip", 30)]
)
async def test_an_avatar_is_added_listed_and_deleted(
    tmp_path: Path, data: bytes, kind: str, frames: int
) -> None:
    box = BOX_TEXT if kind == "photo" else "0.37,0.33,0.63,0.69"
    async with client(tmp_path) as http:
        added = await send(http, data, box=box)
        assert (added.status_code, added.json()["name"]) == (202, "Anna B")
        assert added.json()["state"] == "waiting"
        ready = await settled(http)
        assert (ready["state"], ready["progress"]) == ("ready", 1)
        assert (ready["kind"], ready["frames"]) == (kind, frames)
        listed = (await http.get("/avatars")).json()
        assert [avatar["name"] for avatar in listed] == ["mei", "anna", "Anna B"]
        assert listed[0]["kind"] == "drawn"
        avatar = PreparedAvatar.open(tmp_path / "avatars" / "Anna B")
        assert avatar.frame(0).shape == (FRAME_SIZE_PX, FRAME_SIZE_PX, 3)
        picture = await http.get("/avatars/Anna%20B/picture.webp")
        assert picture.headers["content-type"] == "image/webp"
        seen = cv2.imdecode(np.frombuffer(picture.content, np.uint8), cv2.IMREAD_COLOR)
        assert seen is not None
        assert np.abs(seen.astype(int) - avatar.frame(0)).mean() < 5
        for none in ("mei", "nobody", "..", ".making"):
            assert (await http.get(f"/avatars/{none}/picture.webp")).status_code == 404
        assert (await http.delete("/avatars/Anna%20B")).status_code == 204
        assert (await http.get("/avatars/Anna%20B")).status_code == 404
        assert (await http.delete("/avatars/Anna%20B")).status_code == 404
        await eventually(lambda: [p.name for p in (tmp_path / "avatars").iterdir()] == [".making"])


async def test_all_routes_want_the_key(tmp_path: Path) -> None:
    async with client(tmp_path) as http:
        http.headers.pop("Authorization")
        for method, path in (("GET", ""), ("POST", "?name=a"), ("GET", "/x"), ("DELETE", "/x")):
            assert (await http.request(method, f"/avatars{path}")).status_code == 401


async def test_what_goes_wrong_later_is_told_by_its_state(tmp_path: Path) -> None:
    async with client(tmp_path) as http:
        assert (await send(http, photo())).status_code == 202  # no box, and no model here
        failed = await settled(http)
        assert failed["state"] == "failed"
        assert "Give the box" in failed["reason"]
        assert failed in (await http.get("/avatars")).json()
        assert (await send(http, photo(), box=BOX_TEXT)).status_code == 202
        assert (await settled(http))["state"] == "ready"


@pytest.mark.parametrize("kind", HOSTILE)
async def test_hostile_uploads_are_refused_at_once(tmp_path: Path, kind: str) -> None:
    async with client(tmp_path) as http:
        refused = await send(http, HOSTILE[kind](), box=BOX_TEXT)
        assert refused.status_code in (413, 422), refused.text
        assert refused.json()["detail"].endswith(".")
        assert len((await http.get("/avatars")).json()) == 2
    assert [p.name for p in (tmp_path / "avatars").iterdir()] == []


async def test_an_upload_ends_where_it_is_too_large(tmp_path: Path) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 2**20
            yield bytes(2**20)

    async with client(tmp_path) as http:
        refused = await http.post("/avatars", params={"name": "A"}, content=endless())
    assert refused.status_code == 413
    assert "100 MB" in refused.json()["detail"]
    assert sent <= LIMIT_BYTES + 2 * 2**20
    assert list((tmp_path / "avatars").iterdir()) == []


@pytest.mark.parametrize("taken", ["Anna B", "ANNA b", "mei", "Anna"])
async def test_a_name_is_given_once(tmp_path: Path, taken: str) -> None:
    async with client(tmp_path) as http:
        await send(http, photo(), box=BOX_TEXT)
        refused = await send(http, photo(), taken)
        assert refused.status_code == 409
        assert taken in refused.json()["detail"]


@pytest.mark.parametrize("name", ["梅老师", "a", "O_k-ay", "A\u030anna"])
async def test_names_of_any_script(tmp_path: Path, name: str) -> None:
    async with client(tmp_path) as http:
        assert (await send(http, photo(), name, box=BOX_TEXT)).status_code == 202
        assert (await settled(http, name))["state"] == "ready"
        assert (await http.delete(f"/avatars/{quote(name)}")).status_code == 204


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "a\\b", ".making", " a", "a ", "a\n", "a\0", "x" * 49]
)
async def test_names_that_would_leave_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    async with client(tmp_path) as http:
        assert (await send(http, photo(), name)).status_code == 422
        if name:
            gone = await http.delete(f"/avatars/{quote(name, safe='')}")
            assert gone.status_code in (404, 405)
    assert not (tmp_path / "avatars").exists()


@pytest.mark.parametrize(
    "change",
    [{"box": "1,2,3,4"}, {"box": "0.1,0.2,0.3"}, {"box": "a"}, {"shift": "x"}, {"shift": "500"}],
)
async def test_a_wrong_wish_is_refused(tmp_path: Path, change: dict[str, str]) -> None:
    async with client(tmp_path) as http:
        assert (await send(http, photo(), **change)).status_code == 422


async def test_a_box_that_encloses_nothing_fails_with_a_sentence(tmp_path: Path) -> None:
    async with client(tmp_path) as http:
        assert (await send(http, photo(), box="0.9,0.9,0.1,0.1")).status_code == 202
        assert "left,top,right,bottom" in (await settled(http))["reason"]


async def test_drawn_faces_stay(tmp_path: Path) -> None:
    async with client(tmp_path) as http:
        assert (await http.get("/avatars/mei")).json()["kind"] == "drawn"
        assert (await http.delete("/avatars/mei")).status_code == 409


async def test_one_in_the_making_can_be_deleted(tmp_path: Path) -> None:
    async with client(tmp_path) as http:
        await send(http, talking(60), box="0.37,0.33,0.63,0.69")
        assert (await http.delete("/avatars/Anna%20B")).status_code == 204
        assert (await http.get("/avatars/Anna%20B")).status_code == 404
        await send(http, photo(), box=BOX_TEXT)
        assert (await settled(http))["kind"] == "photo"
        folder = tmp_path / "avatars"
        await eventually(lambda: {p.name for p in folder.iterdir()} == {".making", "Anna B"})


async def test_a_making_is_followed_by_events_until_it_is_ready(tmp_path: Path) -> None:
    async with client(tmp_path) as http:
        await send(http, talking(30), box="0.37,0.33,0.63,0.69")
        told = [json.loads(line) for line in await events(http)]
        assert told[-1] == (await http.get("/avatars/Anna%20B")).json()
        assert told[-1]["state"] == "ready"
        assert all(avatar["state"] in ("waiting", "preparing") for avatar in told[:-1])
        progress = [avatar["progress"] for avatar in told]
        assert progress == sorted(progress)
        assert (await http.get("/avatars/Nobody/events")).status_code == 404


async def events(http: httpx.AsyncClient, name: str = "Anna B") -> list[str]:
    """The data of all events until the stream ends."""
    async with http.stream("GET", f"/avatars/{quote(name)}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line async for line in answer.aiter_lines()]
    return [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]


async def test_a_name_that_means_a_tutors_face_is_refused(tmp_path: Path) -> None:
    async with client(tmp_path) as http:
        refused = await send(http, photo(), name="avatar_tutor_5", box=BOX_TEXT)
        assert refused.status_code == 422
        assert "means a tutor's face" in refused.json()["detail"]


async def test_a_face_that_tutors_have_is_not_deleted(tmp_path: Path) -> None:
    async with client(tmp_path) as http:
        await send(http, photo(), name="Worn", box=BOX_TEXT)
        await settled(http, "Worn")
        refused = await http.delete("/avatars/Worn")
        assert refused.status_code == 409
        assert "the face of Ms Worn, anyone" in refused.json()["detail"]
        assert (await http.get("/avatars/Worn")).json()["state"] == "ready"


async def test_beyond_so_many_uploads_nothing_is_read(tmp_path: Path) -> None:
    held = asyncio.Event()
    begun = sent = 0

    async def slow() -> AsyncIterator[bytes]:
        nonlocal begun
        begun += 1
        yield photo()
        await held.wait()

    async def more() -> AsyncIterator[bytes]:
        nonlocal sent
        sent += 1
        yield photo()

    async with client(tmp_path) as http, asyncio.TaskGroup() as tasks:
        uploads = [
            tasks.create_task(
                http.post(
                    "/avatars", params={"name": f"A{number}", "box": BOX_TEXT}, content=slow()
                )
            )
            for number in range(MAX_ORDERS)
        ]
        await eventually(lambda: begun == MAX_ORDERS)
        refused = await http.post("/avatars", params={"name": "B"}, content=more())
        assert (refused.status_code, sent) == (503, 0)
        assert int(refused.headers["retry-after"]) > 0
        held.set()
        assert {(await upload).status_code for upload in uploads} == {202}
        await settled(http, "A1")  # A0 has left its place by then
        assert (await send(http, photo(), "B", box=BOX_TEXT)).status_code == 202


async def test_a_look_at_one_of_many_reads_it_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with client(tmp_path) as http:
        await send(http, photo(), box=BOX_TEXT)
        await settled(http)
        monkeypatch.delattr(Studio, "ready")
        assert (await http.get("/avatars/Anna%20B")).json()["state"] == "ready"
        assert len(await events(http)) == 1
