"""Voices: the engine's own, which are everybody's, and those that tenants have had cloned."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import select

from web_server.access import Admin, School, SchoolDep
from web_server.belongings import Belongings
from web_server.engine import segment
from web_server.sentences import Sentence
from web_server.tables import TutorRow, VoiceRow
from wire.names import GivenName
from wire.rest import Language, VoiceManner, VoicePublic

LIMIT_BYTES = 9 * 10**6
"""Of the whole request: the longest recording that the engine takes is 8 MB in base64."""

NO_VOICE = Sentence("There is no voice of that name.")
TAKEN = Sentence("There is a voice of that name already. Choose another one.")
GIVEN = Sentence("It is the voice of {names}. Give them another one first.")

PATH = "/v1/voices"

VOICES = Belongings(VoiceRow, NO_VOICE, TAKEN, GIVEN, TutorRow.voice_name, PATH)


class VoiceWish(BaseModel):
    """A person's voice, to be cloned. Only with that person's consent."""

    model_config = ConfigDict(extra="forbid")
    name: GivenName
    language: Language | None = None
    recording: str
    """3 to 30 s of that person alone, in base64; any kind of sound that the engine reads."""


VOICE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": f"Up to {LIMIT_BYTES // 10**6} MB.",
        "content": {"application/json": {"schema": VoiceWish.model_json_schema()}},
    }
}
WAV: dict[int | str, dict[str, Any]] = {200: {"content": {"audio/wav": {}}}}

voices = APIRouter(prefix="/api/admin/voices", tags=["voices"])

MannerDep = Annotated[VoiceManner, Query()]


@voices.get("")
async def list_voices(admin: Admin, school: SchoolDep) -> list[VoicePublic]:
    """The tenant's, and those that nobody has; with the tutors of the tenant to whom they were
    given, and nobody else's."""
    visible = await VOICES.visible(school, admin.id)
    wanted = select(TutorRow.id).where(TutorRow.tenant_id == admin.id)
    async with school.database.reading() as rows:
        own = set(await rows.scalars(wanted))
    return [
        voice.model_copy(update={"tutors": [tutor for tutor in voice.tutors if tutor in own]})
        for voice in map(VoicePublic.model_validate, visible)
    ]


@voices.post("", status_code=201, openapi_extra=VOICE)
async def add_voice(request: Request, admin: Admin, school: SchoolDep) -> VoicePublic:
    """Have a voice cloned from a recording."""
    wish = await _wish(request, school)
    await VOICES.demand_free(school, wish.name)
    async with VOICES.claimed(school, admin.id, wish.name):
        told = await school.engine.post(PATH, wish.model_dump())
    return VoicePublic.model_validate(told)


async def own_voice(name: str, admin: Admin, school: SchoolDep) -> str:
    """A voice that the tenant has. Raises `NotFound`."""
    return await VOICES.own(school, admin.id, name)


@voices.delete("/{name}", status_code=204)
async def delete_voice(
    voice: Annotated[str, Depends(own_voice)], admin: Admin, school: SchoolDep
) -> Response:
    await VOICES.remove(school, admin.id, voice)
    return Response(status_code=204)


@voices.get("/sample", response_class=Response, responses=WAV)
async def hear_usual_voice(_admin: Admin, manner: MannerDep, school: SchoolDep) -> Response:
    """A short sentence in the engine's usual voice."""
    return await _sample(school, f"{PATH}/sample", manner)


@voices.get("/{name}/sample", response_class=Response, responses=WAV)
async def hear_voice(name: str, admin: Admin, manner: MannerDep, school: SchoolDep) -> Response:
    """A short sentence, as a tutor with that voice would say it."""
    await VOICES.demand_visible(school, admin.id, name)
    return await _sample(school, f"{PATH}/{segment(name)}/sample", manner)


async def _wish(request: Request, school: School) -> VoiceWish:
    """Counted before it is looked into, and only then, so that nobody else's is ever here."""
    body = await school.relays.body(request, LIMIT_BYTES)
    try:
        return VoiceWish.model_validate_json(body)
    except ValidationError as wrong:
        findings = wrong.errors(include_input=False)
        raise RequestValidationError(
            [{**finding, "loc": ("body", *finding["loc"])} for finding in findings]
        ) from wrong


async def _sample(school: School, path: str, manner: VoiceManner) -> Response:
    sound = await school.engine.file(path, **manner.model_dump())
    return Response(sound, media_type="audio/wav")
