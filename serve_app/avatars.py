"""The routes of the faces: the drawn ones, and those made of a photo or a clip.

An upload is the request's body as it is. It goes to disk piece by piece: base64 in JSON would hold
a clip in memory three times and block the loop while it is parsed, and multipart would need one
more library to say no more.
"""

import asyncio
import unicodedata
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import cv2
from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi.sse import EventSourceResponse
from starlette.requests import ClientDisconnect

from engines.avatar.musetalk.footage import LIMIT_BYTES, too_many_bytes
from engines.avatar.musetalk.landmarks import Box
from engines.avatar.musetalk.preparation import AvatarWish
from engines.avatar.musetalk.prepared import Facts, PreparedAvatar
from engines.errors import EngineError, FootageTooLarge, UnknownAvatar, UnusableFootage
from serve_app.avatar_studio import AvatarError, Making, Studio
from serve_app.tutors import AVATAR_OF_TUTOR
from serve_app.upload import TooManyBytes, received
from wire.names import GivenName, is_given_name
from wire.rest import AvatarPublic

PART = r"(0(\.\d{1,6})?|1(\.0{1,6})?)"
BOX = rf"^{PART},{PART},{PART},{PART}$"


@dataclass(frozen=True, slots=True)
class Avatars:
    """What the routes stand on."""

    studio: Studio
    drawn: tuple[str, ...]
    """Names of the engine's own faces."""
    wearers: Callable[[str], Sequence[str]]
    """Names of the tutors who have a face."""


avatars = APIRouter(prefix="/avatars", tags=["avatars"])
"""Finds its `Avatars` in `app.state.avatars`; whoever includes it demands the key."""


def _avatars_of(request: Request) -> Avatars:
    return cast(Avatars, request.app.state.avatars)


AvatarsDep = Annotated[Avatars, Depends(_avatars_of)]


@dataclass(frozen=True, slots=True)
class AvatarQuery:
    """What the address says beside the uploaded file."""

    name: Annotated[GivenName, Query()]
    box: Annotated[
        str,
        Query(
            pattern=rf"{BOX}|^$",
            description="left,top,right,bottom of the face in the first frame, from jaw to jaw and"
            " brows to chin, each from 0 to 1, as parts of the picture's width and height; without"
            " it the face is looked for",
        ),
    ] = ""
    shift: Annotated[
        int, Query(ge=-50, le=50, description="for v1 weights: pixels, positive opens the mouth")
    ] = 0

    @property
    def wish(self) -> AvatarWish:
        parts = tuple(float(part) for part in self.box.split(",")) if self.box else None
        return AvatarWish(self.name, cast(Box | None, parts), self.shift)


RETRY_AFTER_S = 60
"""A face is made in minutes."""

LOOK_INTERVAL_S = 0.5
"""Who follows a making sees a step of it so late; a look costs a small file or two."""

PICTURE_QUALITY = 85
"""Of 100; some 25 kB."""

UPLOAD: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": f"A photo (JPEG, PNG, WebP) or a clip (MP4, MOV, WebM, MKV), up to"
        f" {LIMIT_BYTES // 10**6} MB, as it is.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@avatars.get("")
async def list_avatars(known: AvatarsDep) -> list[AvatarPublic]:
    """The drawn ones, those that are ready, and those in the making."""
    makings = await asyncio.to_thread(known.studio.makings)  # first: they become ready
    ready = await asyncio.to_thread(known.studio.ready)
    names = {facts.name for facts in ready}
    return (
        [_drawn(name) for name in known.drawn]
        + [_ready(facts) for facts in ready]
        + [_making(making) for making in makings if making.name not in names]
    )


@avatars.post("", status_code=202, openapi_extra=UPLOAD)
async def create_avatar(
    request: Request, query: Annotated[AvatarQuery, Depends()], known: AvatarsDep
) -> AvatarPublic:
    """Have a face made of the body; `GET /avatars/{name}` tells how far it is."""
    wish = query.wish
    if wish.name.casefold() in {name.casefold() for name in known.drawn}:
        raise HTTPException(409, f"A drawn face is called {wish.name!r}. Choose another name.")
    if AVATAR_OF_TUTOR.match(wish.name):
        raise HTTPException(422, f"{wish.name!r} means a tutor's face. Choose another name.")
    studio = known.studio
    try:
        with studio.receiving():
            return _making(await _ordered(request, studio, wish))
    except AvatarError as error:
        raise _refusal(error.status, error.sentence) from error
    except EngineError as error:
        raise _refusal(_status_of(error), error.sentence) from error
    except ClientDisconnect as error:
        raise HTTPException(400, "The upload broke off.") from error


@avatars.get("/{name}")
async def get_avatar(name: str, known: AvatarsDep) -> AvatarPublic:
    name = _checked(name)
    if name in known.drawn:
        return _drawn(name)
    making = await asyncio.to_thread(known.studio.making, name)  # first: it becomes ready
    if facts := await asyncio.to_thread(known.studio.facts, name):
        return _ready(facts)
    if making is None:
        raise _unknown()
    return _making(making)


@avatars.get("/{name}/picture.webp", response_class=Response)
async def get_picture(name: str, known: AvatarsDep) -> Response:
    """The first frame of a prepared face."""
    try:
        picture = await asyncio.to_thread(_picture, known.studio.folder / _checked(name))
    except UnknownAvatar as error:
        raise _unknown() from error
    return Response(picture, media_type="image/webp")


def _picture(folder: Path) -> bytes:
    """Raises `UnknownAvatar`."""
    frame = PreparedAvatar.open(folder).frame(0)
    return bytes(cv2.imencode(".webp", frame, (cv2.IMWRITE_WEBP_QUALITY, PICTURE_QUALITY))[1])


@avatars.get("/{name}/events", response_class=EventSourceResponse)
async def follow_avatar(
    name: str, known: AvatarsDep, told: Annotated[AvatarPublic, Depends(get_avatar)]
) -> AsyncIterator[AvatarPublic]:
    """Server-sent events: the same as `GET /avatars/{name}`, now and each time that it has changed,
    until it is ready, has failed or is gone."""
    yield told
    with suppress(HTTPException):  # gone: nothing more is told
        while told.state in ("waiting", "preparing"):
            await asyncio.sleep(LOOK_INTERVAL_S)
            if (now := await get_avatar(name, known)) != told:
                told = now
                yield now


@avatars.delete("/{name}", status_code=204)
async def delete_avatar(name: str, known: AvatarsDep) -> Response:
    """Also while it is in the making. Who is looking at it hears the answer out with a still mouth,
    and sees a drawn face from the next one on."""
    name = _checked(name)
    if name in known.drawn:
        raise HTTPException(409, f"{name!r} is a drawn face of the engine, which stays.")
    if wearers := known.wearers(name):
        raise HTTPException(
            409,
            f"It is the face of {', '.join(wearers)}. Give them another one first, in the"
            " tutors' file or with PUT /v1/tutors.",
        )
    try:
        await asyncio.to_thread(known.studio.remove, name)
    except AvatarError as error:
        raise HTTPException(error.status, error.sentence) from error
    return Response(status_code=204)


async def _ordered(request: Request, studio: Studio, wish: AvatarWish) -> Making:
    folder = await asyncio.to_thread(studio.place, wish.name)
    try:
        await _received(request, folder / "upload")
        await studio.look(folder)
        return await studio.order(wish, folder)
    except BaseException:
        await asyncio.shield(asyncio.to_thread(studio.drop, folder))
        raise


async def _received(request: Request, file: Path) -> None:
    """The body, on disk. Raises `FootageTooLarge` as soon as it is too large, or `AvatarError`."""
    try:
        await received(request, file, LIMIT_BYTES)
    except TooManyBytes as error:
        raise too_many_bytes() from error
    except OSError as error:
        raise AvatarError(507, f"The upload cannot be stored: {error.strerror}.") from error


def _refusal(status: int, sentence: str) -> HTTPException:
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else None
    return HTTPException(status, sentence, headers)


def _status_of(error: EngineError) -> Literal[413, 422, 503]:
    if isinstance(error, FootageTooLarge):
        return 413
    return 422 if isinstance(error, UnusableFootage) else 503


def _checked(name: str) -> str:
    """A name that stays inside its folder."""
    name = unicodedata.normalize("NFC", name)
    if not is_given_name(name):
        raise _unknown()
    return name


def _unknown() -> HTTPException:
    return HTTPException(404, "There is no avatar of that name; see GET /avatars.")


def _drawn(name: str) -> AvatarPublic:
    return AvatarPublic(name=name, kind="drawn", state="ready", progress=1)


def _ready(facts: Facts) -> AvatarPublic:
    return AvatarPublic(
        name=facts.name,
        kind=facts.kind,
        state="ready",
        progress=1,
        notes=list(facts.notes),
        frames=facts.frames,
    )


def _making(making: Making) -> AvatarPublic:
    return AvatarPublic(
        name=making.name,
        kind=None,
        state=making.state,
        progress=making.progress,
        reason=making.reason,
    )
