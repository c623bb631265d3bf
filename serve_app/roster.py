"""The routes of the tutors: those of the tutors' file, and those given here, which go before it."""

import asyncio
import difflib
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import APIRouter, Depends, HTTPException, Path, Request, Response

from engines.base import EngineState
from engines.errors import EngineError
from serve_app.errors import StorageFailed
from serve_app.settings import Settings
from serve_app.tutor_store import Staff, TooManyTutors
from serve_app.tutors_file import TutorEntry
from serve_app.voices import Voices
from wire.rest import Id, TutorPublic, TutorPut, TutorVoice

STATES_LIMIT_S = 5.0
"""Whoever has changed a tutor waits no longer to be told how its language model is."""

NAMES_TOLD = 12
"""Voices that a refusal names; an engine has hundreds."""

NOT_STORED = (
    "The database does not answer, so nothing has changed. Try again; the engine's log says more."
)


@dataclass(frozen=True, slots=True)
class Roster:
    """What the routes stand on."""

    staff: Staff
    settings: Settings
    faces: Collection[str]
    voices: Voices
    states: Callable[[], Awaitable[Mapping[str, EngineState]]]
    """Name of the stage, or of the application of a language model → its state."""


roster = APIRouter(prefix="/tutors", tags=["tutors"])
"""Finds its `Roster` in `app.state.roster`; whoever includes it demands the key."""


def _roster_of(request: Request) -> Roster:
    return cast(Roster, request.app.state.roster)


RosterDep = Annotated[Roster, Depends(_roster_of)]
TutorId = Annotated[Id, Path()]


@roster.get("")
async def list_tutors(known: RosterDep) -> list[TutorPublic]:
    """By their id. Every other id has one of the stand-ins of the tutors' file."""
    await known.staff.refresh()
    named = known.staff.tutors.named
    return [_public(known, tutor_id, entry) for tutor_id, entry in named.items()]


@roster.get("/{tutor_id}")
async def get_tutor(tutor_id: TutorId, known: RosterDep) -> TutorPublic:
    return _public(known, tutor_id, await _named(known, tutor_id))


@roster.put("/{tutor_id}")
async def put_tutor(tutor_id: TutorId, wish: TutorPut, known: RosterDep) -> TutorPublic:
    """Make a tutor, or put it in the place of the one that is there. Live sessions have it from
    their next question on."""
    _demand_face(known, wish.face)
    notes = await _voice_notes(known, wish.voice.name)
    entry = TutorEntry.model_validate(wish.model_dump(exclude_none=True))
    try:
        await known.staff.put(tutor_id, entry)
    except TooManyTutors as full:
        raise HTTPException(409, full.sentence) from full
    except StorageFailed as failed:
        raise _not_stored() from failed
    notes += await _model_notes(known, tutor_id, entry)
    return _public(known, tutor_id, entry).model_copy(update={"source": "rest", "notes": notes})


@roster.delete("/{tutor_id}", status_code=204)
async def delete_tutor(tutor_id: TutorId, known: RosterDep) -> Response:
    """From then on it is as the tutors' file says again, if that names it."""
    await _named(known, tutor_id)
    if not known.staff.tutors.is_given(tutor_id):
        raise HTTPException(
            409,
            f"Tutor {tutor_id} stands in the tutors' file. Take it out there, or with"
            f" `tutor tutors remove {tutor_id}`.",
        )
    try:
        await known.staff.remove(tutor_id)
    except StorageFailed as failed:
        raise _not_stored() from failed
    return Response(status_code=204)


async def _named(known: Roster, tutor_id: int) -> TutorEntry:
    await known.staff.refresh()  # another gateway may just have changed it
    entry = known.staff.tutors.named.get(tutor_id)
    if entry is None:
        raise HTTPException(
            404,
            f"There is no tutor {tutor_id}; a stand-in answers for it. Make it with PUT.",
        )
    return entry


def _not_stored() -> HTTPException:
    return HTTPException(503, NOT_STORED, headers={"Retry-After": "5"})


def _demand_face(known: Roster, face: str) -> None:
    if face not in known.faces:
        raise HTTPException(422, f"There is no face {face!r}; there are {', '.join(known.faces)}.")


async def _voice_notes(known: Roster, name: str) -> list[str]:
    """Refuses a voice that is known not to be there."""
    if not name:
        return []
    try:
        built_in = [voice.name for voice in await known.voices.built_in()]
    except EngineError as restarting:
        return [f"Whether there is a voice {name!r} is not known now: {restarting.sentence}"]
    cloned = await asyncio.to_thread(known.voices.store.voices)
    names = sorted({*built_in, *(voice.name for voice in cloned)})
    if name not in names:
        close = difflib.get_close_matches(name, names, NAMES_TOLD, 0.5) or names[:NAMES_TOLD]
        raise HTTPException(
            422,
            f"There is no voice {name!r}; there are {', '.join(close) or 'none'}."
            " GET /v1/voices lists all.",
        )
    return []


async def _model_notes(known: Roster, tutor_id: int, entry: TutorEntry) -> list[str]:
    """What stands between a tutor and its language model."""
    tutors = known.staff.tutors
    notes = []
    own = known.settings.tutor_llm_models.get(tutor_id)
    if own is not None and own != entry.model:
        notes.append(f"TUTOR_{tutor_id}_LLM_MODEL is set, and goes first: its model is {own}.")
    app = tutors.get(tutor_id).llm_app
    try:
        async with asyncio.timeout(STATES_LIMIT_S):
            state = (await known.states()).get(app)
    except (TimeoutError, EngineError):
        state = None  # /health tells it later
    if state is not None and state.state != "ready":
        notes.append(f"{state.reason} {state.remedy}".strip())
    return notes


def _public(known: Roster, tutor_id: int, entry: TutorEntry) -> TutorPublic:
    return TutorPublic(
        id=tutor_id,
        name=entry.name,
        language=entry.language,
        prompt=entry.prompt,
        model=entry.model,
        voice=TutorVoice.model_validate(entry.voice.model_dump()),
        face=entry.face,
        vocabulary=list(entry.vocabulary),
        kb=entry.kb,
        outside=entry.outside,
        source="rest" if known.staff.tutors.is_given(tutor_id) else "file",
    )
