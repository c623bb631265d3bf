"""Faces: the engine's drawn ones, which are everybody's, and those that tenants have had made."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from web_server.access import Admin, CurrentUser, SchoolDep
from web_server.belongings import Belongings
from web_server.engine import segment
from web_server.errors import EngineRefused, NotFound
from web_server.relay import UPLOAD, EventRelay
from web_server.sentences import Sentence
from web_server.tables import FaceRow, TutorRow
from wire.names import GivenName, is_given_name
from wire.rest import AvatarPublic

DRAWN = ("mei", "anna", "david")
"""Known without asking, so that the choice of tutors has its pictures' addresses while the engine
is away."""

NO_FACE = Sentence("There is no face of that name.")
TAKEN = Sentence("There is a face of that name already. Choose another one.")
WORN = Sentence("It is the face of {names}. Give them another one first.")
NO_PICTURE = Sentence("There is no picture of that face.")
PATH = "/v1/avatars"

FACES = Belongings(FaceRow, NO_FACE, TAKEN, WORN, TutorRow.face, PATH)

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


@faces.get("")
async def list_faces(admin: Admin, school: SchoolDep) -> list[AvatarPublic]:
    """The tenant's, and those that nobody has."""
    visible = await FACES.visible(school, admin.id)
    return [AvatarPublic.model_validate(face) for face in visible]


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
    shifted = str(shift) if shift is not None else None
    await FACES.demand_free(school, name)
    async with FACES.claimed(school, admin.id, name):
        told = await school.relays.upload(request, PATH, name=name, box=box, shift=shifted)
    return AvatarPublic.model_validate(told)


async def own_face(name: str, admin: Admin, school: SchoolDep) -> str:
    """A face that the tenant has. Raises `NotFound`."""
    return await FACES.own(school, admin.id, name)


OwnFace = Annotated[str, Depends(own_face)]


@faces.get("/{name}/events")
async def follow_face(face: OwnFace, school: SchoolDep) -> EventRelay:
    """Server-sent events, as the engine's `/v1/avatars/{name}/events`."""
    return school.relays.follow(f"{PATH}/{segment(face)}/events")


@faces.delete("/{name}", status_code=204)
async def delete_face(face: OwnFace, admin: Admin, school: SchoolDep) -> Response:
    await FACES.remove(school, admin.id, face)
    return Response(status_code=204)


@pictures.get("/{name}.{kind}", response_class=Response)
async def get_picture(name: str, kind: str, user: CurrentUser, school: SchoolDep) -> Response:
    """A still picture: `.svg` of a drawn face, `.webp` of another."""
    await FACES.demand_visible(school, user.tenant_id, name)
    if kind == "svg" and name in DRAWN:
        picture = await school.engine.file(f"/demo/{name}.svg")
        return Response(picture, media_type="image/svg+xml", headers=PICTURE_HEADERS)
    if kind != "webp" or not is_given_name(name):
        raise NotFound(NO_FACE)
    try:
        picture = await school.engine.file(f"{PATH}/{segment(name)}/picture.webp")
    except EngineRefused as refused:
        if refused.status == 404:
            raise NotFound(NO_PICTURE) from refused
        raise
    return Response(picture, media_type="image/webp", headers=PICTURE_HEADERS)
