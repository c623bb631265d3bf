"""The routes of what tutors remember of a student: to be seen, and to be forgotten."""

from typing import Annotated, cast

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from serve_app.memory_store import Kept, MemoryStore
from wire.rest import Id, MemoryFact, MemoryMessage, MemoryPublic

memories = APIRouter(prefix="/students", tags=["memory"])
"""Finds its `MemoryStore` in `app.state.memories`; whoever includes it demands the key."""


def _store(request: Request) -> MemoryStore:
    return cast(MemoryStore, request.app.state.memories)


StoreDep = Annotated[MemoryStore, Depends(_store)]
StudentId = Annotated[Id, Path()]
TutorId = Annotated[Id | None, Query()]


@memories.get("/{student_id}/memory")
async def get_memory(
    student_id: StudentId, store: StoreDep, tutor_id: TutorId = None
) -> list[MemoryPublic]:
    """All that is remembered of a student, by each tutor who remembers anything."""
    return [_public(kept) for kept in await store.of(student_id, tutor_id)]


@memories.delete("/{student_id}/memory", status_code=204)
async def delete_memory(
    student_id: StudentId, store: StoreDep, tutor_id: TutorId = None
) -> Response:
    """Forget the student for good, also what is being written at this moment. Only what is said
    from then on is remembered. The conversations themselves stay."""
    await store.forget(student_id, tutor_id)
    return Response(status_code=204)


def _public(kept: Kept) -> MemoryPublic:
    known = kept.remembered
    return MemoryPublic(
        tutor_id=kept.tutor_id,
        summary=known.summary,
        facts=[MemoryFact(kind=fact.kind, text=fact.text) for fact in known.facts],
        recent=[
            MemoryMessage(role="user" if said.by_student else "assistant", content=said.text)
            for said in known.recent
        ],
        updated_at=kept.updated_at,
    )
