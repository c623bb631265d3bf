"""The routes of the knowledge bases: what a course is made of.

An upload is the request's body as it is, as in `serve_app/avatars.py`. It is put into a folder from
which the `knowledge` application reads it; here nothing of it is looked at.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Protocol, cast

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from fastapi import Path as InPath
from fastapi.sse import EventSourceResponse
from starlette.requests import ClientDisconnect

from engines.errors import (
    DocumentTooLarge,
    EngineBusy,
    EngineError,
    EngineUnavailable,
    UnknownKnowledge,
    UnusableDocument,
)
from engines.knowledge.base import Found, Search
from engines.knowledge.documents.limits import LIMIT_BYTES
from engines.knowledge.hidden import cleaned
from engines.knowledge.listing import Base, Entry
from engines.knowledge.spool import Job, Spool
from serve_app.encoded_path import ENCODED
from serve_app.upload import TooManyBytes, received
from wire.rest import (
    DocumentName,
    DocumentPublic,
    FoundPublic,
    KnowledgeCreate,
    KnowledgeId,
    KnowledgePublic,
)

MAX_UPLOADS = 4
"""Received at once by one gateway: each may be 100 MB, and takes its share of the network."""

RETRY_AFTER_S = 10
"""A short document is read in seconds, an upload takes as long."""

LOOK_INTERVAL_S = 0.5
"""Who follows a document sees a step of it so late; a look is a call to the application."""

MAX_FOUND = 20
MAX_QUERY_CHARS = 2_000

CROWDED = "Several documents are being sent already. Try again in a while."
TOO_LARGE = f"The document is larger than {LIMIT_BYTES // 10**6} MB. Divide it into several files."
HIDDEN = "The name has characters that nobody sees. Give the document another name."
EMPTY = "The file is empty. Send the document as the request's body."

STATUS_OF: dict[type[EngineError], int] = {
    UnknownKnowledge: 404,
    DocumentTooLarge: 413,
    UnusableDocument: 422,
}

UPLOAD: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": f"PDF, DOCX, PPTX, Markdown, HTML, TXT or CSV, up to"
        f" {LIMIT_BYTES // 10**6} MB, as it is.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


class Knowledge(Search, Protocol):
    """The bases: `engines.knowledge.catalogue.Catalogue`, or a remote one. Raises `EngineError`."""

    async def bases(self) -> list[Base]: ...

    async def create(self, kb_id: str) -> Base: ...

    async def remove(self, kb_id: str) -> None: ...

    async def documents(self, kb_id: str) -> list[Entry]: ...

    async def document(self, kb_id: str, name: str) -> Entry: ...

    async def drop(self, kb_id: str, name: str) -> None: ...


class Desk:
    """What the routes stand on."""

    def __init__(self, knowledge: Knowledge, spool: Spool) -> None:
        self.knowledge = knowledge
        self.spool = spool
        self._uploads = 0

    @contextmanager
    def receiving(self) -> Iterator[None]:
        """Around an upload. Raises `EngineBusy`."""
        if self._uploads >= MAX_UPLOADS:
            raise EngineBusy(CROWDED)
        self._uploads += 1
        try:
            yield
        finally:
            self._uploads -= 1


knowledge = APIRouter(prefix="/knowledge", tags=["knowledge"])
"""Finds its `Desk` in `app.state.knowledge`; whoever includes it demands the key, and adds
`EncodedPath`."""


def _desk_of(request: Request) -> Desk:
    return cast(Desk, request.app.state.knowledge)


DeskDep = Annotated[Desk, Depends(_desk_of)]
KbId = Annotated[KnowledgeId, InPath(), ENCODED]
Name = Annotated[DocumentName, InPath(), ENCODED]


@knowledge.get("")
async def list_bases(desk: DeskDep) -> list[KnowledgePublic]:
    with _told():
        return [_base(base) for base in await desk.knowledge.bases()]


@knowledge.post("", status_code=201)
async def create_base(wish: KnowledgeCreate, desk: DeskDep) -> KnowledgePublic:
    """Also when it exists: then nothing of it changes. A base is created by its first document,
    too."""
    with _told():
        return _base(await desk.knowledge.create(wish.kb_id))


@knowledge.delete("/{kb_id}", status_code=204)
async def delete_base(kb_id: KbId, desk: DeskDep) -> Response:
    """With all its documents, and those on their way into it."""
    with _told():
        await desk.knowledge.remove(kb_id)
    return Response(status_code=204)


@knowledge.get("/{kb_id}/documents")
async def list_documents(kb_id: KbId, desk: DeskDep) -> list[DocumentPublic]:
    """By name; also those on their way, and those that failed."""
    with _told():
        return [_document(entry) for entry in await desk.knowledge.documents(kb_id)]


@knowledge.post("/{kb_id}/documents", status_code=202, openapi_extra=UPLOAD)
async def add_document(
    request: Request, kb_id: KbId, name: Annotated[DocumentName, Query()], desk: DeskDep
) -> DocumentPublic:
    """Have the body read and put into the base; it replaces a document of that name as soon as all
    of it is there. `GET …/documents/{name}` tells how far it is."""
    try:
        with _told(), desk.receiving():
            _demand_seen(name)
            return _document(_waiting(await _ordered(request, desk, kb_id, name)))
    except ClientDisconnect as error:
        raise HTTPException(400, "The upload broke off.") from error


@knowledge.get("/{kb_id}/documents/{name}")
async def get_document(kb_id: KbId, name: Name, desk: DeskDep) -> DocumentPublic:
    with _told():
        return _document(await desk.knowledge.document(kb_id, name))


@knowledge.get("/{kb_id}/documents/{name}/events", response_class=EventSourceResponse)
async def follow_document(
    kb_id: KbId,
    name: Name,
    desk: DeskDep,
    told: Annotated[DocumentPublic, Depends(get_document)],
) -> AsyncIterator[DocumentPublic]:
    """Server-sent events: the same as `GET …/documents/{name}`, now and each time that it has
    changed, until it is ready, has failed or is gone."""
    yield told
    with suppress(HTTPException):  # gone: nothing more is told
        while told.state not in ("ready", "failed"):
            await asyncio.sleep(LOOK_INTERVAL_S)
            if (now := await get_document(kb_id, name, desk)) != told:
                told = now
                yield now


@knowledge.delete("/{kb_id}/documents/{name}", status_code=204)
async def delete_document(kb_id: KbId, name: Name, desk: DeskDep) -> Response:
    """Also while it is on its way."""
    with _told():
        await desk.knowledge.drop(kb_id, name)
    return Response(status_code=204)


@knowledge.get("/{kb_id}/search")
async def search(
    kb_id: KbId,
    desk: DeskDep,
    q: Annotated[str, Query(min_length=1, max_length=MAX_QUERY_CHARS)],
    limit: Annotated[int, Query(ge=1, le=MAX_FOUND)] = 3,
) -> list[FoundPublic]:
    """The passages that fit a question, the best first; none when nothing fits."""
    with _told():
        return [_found(found) for found in await desk.knowledge.search(kb_id, q, limit)]


def _demand_seen(name: str) -> None:
    """A name is shown as a source and told to the model. Raises `UnusableDocument`."""
    if cleaned(name).left_out:
        raise UnusableDocument(HIDDEN)


async def _ordered(request: Request, desk: Desk, kb_id: str, name: str) -> Job:
    upload = await asyncio.to_thread(desk.spool.place)
    try:
        await _received(request, upload)
        await desk.knowledge.create(kb_id)
        return await asyncio.to_thread(desk.spool.order, upload, kb_id, name)
    except BaseException:
        await asyncio.shield(asyncio.to_thread(desk.spool.discard, upload))
        raise


async def _received(request: Request, upload: Path) -> None:
    try:
        size = await received(request, upload, LIMIT_BYTES)
    except TooManyBytes as error:
        raise DocumentTooLarge(TOO_LARGE) from error
    except OSError as error:
        raise EngineUnavailable(f"The upload cannot be stored: {error.strerror}.") from error
    if not size:
        raise UnusableDocument(EMPTY)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except EngineError as error:
        status = STATUS_OF.get(type(error), 503)
        headers = {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else None
        raise HTTPException(status, error.sentence, headers) from error


def _base(base: Base) -> KnowledgePublic:
    return KnowledgePublic(
        kb_id=base.kb_id,
        documents=base.documents,
        passages=base.passages,
        embedder=base.embedder,
    )


def _waiting(job: Job) -> Entry:
    return Entry(job.id, job.name, job.state, job.progress, bytes=job.bytes)


def _document(entry: Entry) -> DocumentPublic:
    added_s = entry.added_s
    return DocumentPublic(
        id=entry.id,
        name=entry.name,
        state=entry.state,
        progress=entry.progress,
        reason=entry.reason,
        notes=list(entry.notes),
        pages=entry.pages,
        passages=entry.passages,
        bytes=entry.bytes,
        sha256=entry.sha256,
        added_at=datetime.fromtimestamp(added_s, UTC) if added_s is not None else None,
    )


def _found(found: Found) -> FoundPublic:
    passage = found.passage
    return FoundPublic(
        document=found.document,
        page=passage.page,
        heading=passage.heading,
        number=passage.number,
        text=passage.text,
        score=found.score,
    )
