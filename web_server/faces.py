"""Faces: the engine's drawn ones, which are everybody's, and those that tenants have had made."""

import unicodedata
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from web_server.access import Admin, CurrentUser, School, SchoolDep
from web_server.engine import segment
from web_server.errors import EngineRefused, NotFound, Taken
from web_server.relay import UPLOAD, EventRelay
from web_server.tables import FaceRow, TutorRow
from wire.names import GivenName, is_given_name
from wire.rest import AvatarPublic

DRAWN = ("mei", "anna", "david")
"""Known without asking, so that the choice of tutors has its pictures' addresses while the engine
is away."""

NO_FACE = "There is no face of that name."

PICTURE_HEADERS = {
    "Cache-Control": "private, max-age=3600",
    "Vary": "Authorization",  # the next person at this computer may be another tenant's
    # An SVG is a document when it is opened by itself.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
}

faces = APIRouter(prefix="/api/admin/faces", tags=["faces"])
pictures = APIRouter(prefix="/api/faces", tags=["faces"])


def picture_url(face: str) -> str:
    return f"/api/faces/{segment(face)}.{'svg' if face in DRAWN else 'webp'}"


def folded(name: str) -> str:
    """The engine takes names that differ only by capitals for the same."""
    return unicodedata.normalize("NFC", name).casefold()


@faces.get("")
async def list_faces(admin: Admin, school: SchoolDep) -> list[AvatarPublic]:
    """The tenant's, and those that nobody has."""
    told = await school.engine.get("/v1/avatars")
    owners = await _owners(school)
    known = [AvatarPublic.model_validate(face) for face in told]
    return [face for face in known if owners.get(folded(face.name), admin.id) == admin.id]


@faces.post("", status_code=202, openapi_extra=UPLOAD)
async def add_face(
    request: Request,
    admin: Admin,
    school: SchoolDep,
    name: Annotated[GivenName, Query()],
    box: Annotated[str | None, Query(max_length=100)] = None,
    shift: Annotated[int | None, Query(ge=-50, le=50)] = None,
) -> AvatarPublic:
    """Have a face made of the body, a photo or a clip."""
    new = await _claim(school, admin.id, name)
    shifted = str(shift) if shift is not None else None
    try:
        told = await school.relays.upload(request, "/v1/avatars", name=name, box=box, shift=shifted)
    except BaseException:
        if new:
            await _release(school, name)
        raise
    # Another upload of that name may have failed, and given it back, in the meantime.
    await _claim(school, admin.id, name)
    return AvatarPublic.model_validate(told)


async def own_face(name: str, admin: Admin, school: SchoolDep) -> str:
    """A face that the tenant has. Raises `NotFound`."""
    async with school.database.reading() as rows:
        row = await rows.get(FaceRow, folded(name))
    if row is None or row.tenant_id != admin.id:
        raise NotFound(NO_FACE)
    return row.name


OwnFace = Annotated[str, Depends(own_face)]


@faces.get("/{name}/events")
async def follow_face(face: OwnFace, school: SchoolDep) -> EventRelay:
    """Server-sent events, as the engine's `/v1/avatars/{name}/events`."""
    return school.relays.follow(f"/v1/avatars/{segment(face)}/events")


@faces.delete("/{name}", status_code=204)
async def delete_face(face: OwnFace, admin: Admin, school: SchoolDep) -> Response:
    wanted = select(TutorRow.name).where(TutorRow.tenant_id == admin.id, TutorRow.face == face)
    async with school.database.reading() as rows:
        wearers = list(await rows.scalars(wanted))
    if wearers:
        raise Taken(f"It is the face of {', '.join(wearers)}. Give them another one first.")
    try:
        await school.engine.delete(f"/v1/avatars/{segment(face)}")
    except EngineRefused as refused:
        if refused.status != 404:  # gone already
            raise
    await _release(school, face)
    return Response(status_code=204)


@pictures.get("/{name}.{kind}", response_class=Response)
async def get_picture(name: str, kind: str, user: CurrentUser, school: SchoolDep) -> Response:
    """A still picture: `.svg` of a drawn face, `.webp` of another."""
    await demand_visible(school, user.tenant_id, name)
    if kind == "svg" and name in DRAWN:
        picture = await school.engine.picture(f"/demo/{name}.svg")
        return Response(picture, media_type="image/svg+xml", headers=PICTURE_HEADERS)
    if kind != "webp" or not is_given_name(name):
        raise NotFound(NO_FACE)
    try:
        picture = await school.engine.picture(f"/v1/avatars/{segment(name)}/picture.webp")
    except EngineRefused as refused:
        if refused.status == 404:
            raise NotFound("There is no picture of that face.") from refused
        raise
    return Response(picture, media_type="image/webp", headers=PICTURE_HEADERS)


async def demand_visible(school: School, tenant_id: int, name: str) -> None:
    """Raises `NotFound` for another tenant's face."""
    async with school.database.reading() as rows:
        row = await rows.get(FaceRow, folded(name))
    if row is not None and row.tenant_id != tenant_id:
        raise NotFound(NO_FACE)


async def _owners(school: School) -> dict[str, int]:
    async with school.database.reading() as rows:
        owned = await rows.execute(select(FaceRow.folded, FaceRow.tenant_id))
        return {row.folded: row.tenant_id for row in owned}


async def _claim(school: School, tenant_id: int, name: str) -> bool:
    """True: it was nobody's until now. Raises `Taken`."""
    key = folded(name)
    row = FaceRow(folded=key, name=name, tenant_id=tenant_id, created_at=datetime.now(UTC))
    try:
        async with school.database.writing() as rows:
            known = await rows.get(FaceRow, key)
            if known is None:
                rows.add(row)
                await rows.flush()
    except IntegrityError as twice:
        raise _taken() from twice  # by somebody at the same moment
    if known is not None and known.tenant_id != tenant_id:
        raise _taken()
    return known is None


def _taken() -> Taken:
    return Taken("There is a face of that name already. Choose another one.")


async def _release(school: School, name: str) -> None:
    async with school.database.writing() as rows:
        await rows.execute(delete(FaceRow).where(FaceRow.folded == folded(name)))
