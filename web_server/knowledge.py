"""Knowledge bases: what a tenant's courses are made of. The documents are the engine's; here stands
whose a base is, and what it is called."""

import secrets
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi import Path as InPath
from pydantic import BaseModel, ConfigDict
from sqlalchemy import delete, select

from web_server.access import Admin, School, SchoolDep
from web_server.accounts import PersonName
from web_server.engine import segment
from web_server.errors import EngineRefused, NotFound, Taken
from web_server.relay import UPLOAD, EventRelay
from web_server.sentences import Sentence
from web_server.sessions import engine_kb_id
from web_server.tables import KnowledgeRow, TutorRow
from wire.rest import DocumentName, DocumentPublic, FoundPublic, KnowledgePublic

NO_BASE = Sentence("There is no such knowledge base.")
IN_USE = Sentence("{names} teaches with it. Take it from the tutor first.")
MAX_QUERY_CHARS = 2_000


class BaseWish(BaseModel):
    model_config = ConfigDict(extra="ignore")
    name: PersonName


class BasePublic(BaseModel):
    kb_id: str
    name: str
    documents: int
    passages: int
    embedder: str | None


knowledge = APIRouter(prefix="/api/admin/knowledge", tags=["knowledge"])


async def own_base(kb_id: str, admin: Admin, school: SchoolDep) -> KnowledgeRow:
    """Raises `NotFound`."""
    return await base_of(school, admin.id, kb_id)


OwnBase = Annotated[KnowledgeRow, Depends(own_base)]
Name = Annotated[DocumentName, InPath()]


async def base_of(school: School, tenant_id: int, kb_id: str) -> KnowledgeRow:
    """Raises `NotFound`."""
    async with school.database.reading() as rows:
        row = await rows.get(KnowledgeRow, (tenant_id, kb_id))
    if row is None:
        raise NotFound(NO_BASE)
    return row


@knowledge.get("")
async def list_bases(admin: Admin, school: SchoolDep) -> list[BasePublic]:
    """By name."""
    wanted = select(KnowledgeRow).where(KnowledgeRow.tenant_id == admin.id)
    async with school.database.reading() as rows:
        own = list(await rows.scalars(wanted.order_by(KnowledgeRow.name, KnowledgeRow.kb_id)))
    if not own:
        return []
    told = [KnowledgePublic.model_validate(base) for base in await school.engine.get(BASES)]
    by_id = {base.kb_id: base for base in told}
    return [_public(row, by_id.get(engine_kb_id(admin.id, row.kb_id))) for row in own]


@knowledge.post("", status_code=201)
async def create_base(wish: BaseWish, admin: Admin, school: SchoolDep) -> BasePublic:
    kb_id = secrets.token_hex(6)
    row = KnowledgeRow(
        tenant_id=admin.id, kb_id=kb_id, name=wish.name, created_at=datetime.now(UTC)
    )
    told = await school.engine.post(BASES, {"kb_id": engine_kb_id(admin.id, kb_id)})
    async with school.database.writing() as rows:
        rows.add(row)
    return _public(row, KnowledgePublic.model_validate(told))


@knowledge.delete("/{kb_id}", status_code=204)
async def delete_base(base: OwnBase, admin: Admin, school: SchoolDep) -> Response:
    """With all its documents. One that a tutor has stays."""
    wanted = select(TutorRow.name).where(
        TutorRow.tenant_id == admin.id, TutorRow.kb_id == base.kb_id
    )
    async with school.database.reading() as rows:
        teaching = list(await rows.scalars(wanted))
    if teaching:
        raise Taken(IN_USE.about(names=teaching))
    try:
        await school.engine.delete(_path(base))
    except EngineRefused as refused:
        if refused.status != 404:  # gone already
            raise
    named = KnowledgeRow.tenant_id == admin.id, KnowledgeRow.kb_id == base.kb_id
    async with school.database.writing() as rows:
        await rows.execute(delete(KnowledgeRow).where(*named))
    return Response(status_code=204)


@knowledge.get("/{kb_id}/documents")
async def list_documents(base: OwnBase, school: SchoolDep) -> list[DocumentPublic]:
    told = await school.engine.get(f"{_path(base)}/documents")
    return [DocumentPublic.model_validate(document) for document in told]


@knowledge.post("/{kb_id}/documents", status_code=202, openapi_extra=UPLOAD)
async def add_document(
    request: Request,
    base: OwnBase,
    school: SchoolDep,
    name: Annotated[DocumentName, Query()],
) -> DocumentPublic:
    told = await school.relays.upload(request, f"{_path(base)}/documents", name=name)
    return DocumentPublic.model_validate(told)


@knowledge.get("/{kb_id}/documents/{name:path}/events")
async def follow_document(base: OwnBase, name: Name, school: SchoolDep) -> EventRelay:
    """Server-sent events, as the engine's. A name may have folders before it."""
    return school.relays.follow(f"{_path(base)}/documents/{segment(name)}/events")


@knowledge.delete("/{kb_id}/documents/{name:path}", status_code=204)
async def delete_document(base: OwnBase, name: Name, school: SchoolDep) -> Response:
    await school.engine.delete(f"{_path(base)}/documents/{segment(name)}")
    return Response(status_code=204)


@knowledge.get("/{kb_id}/search")
async def search(
    base: OwnBase,
    school: SchoolDep,
    q: Annotated[str, Query(min_length=1, max_length=MAX_QUERY_CHARS)],
    limit: Annotated[int, Query(ge=1, le=20)] = 3,
) -> list[FoundPublic]:
    told = await school.engine.get(f"{_path(base)}/search", q=q, limit=limit)
    return [FoundPublic.model_validate(found) for found in told]


BASES = "/v1/knowledge"


def _path(base: KnowledgeRow) -> str:
    return f"{BASES}/{segment(engine_kb_id(base.tenant_id, base.kb_id))}"


def _public(row: KnowledgeRow, told: KnowledgePublic | None) -> BasePublic:
    """A base that the engine does not know is one without documents."""
    return BasePublic(
        kb_id=row.kb_id,
        name=row.name,
        documents=told.documents if told else 0,
        passages=told.passages if told else 0,
        embedder=told.embedder if told else None,
    )
