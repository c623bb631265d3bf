"""The engine's REST and WebSocket routes as a FastAPI application, with no Ray in it.

`create_api(settings, engines, tutors)` is the same under Serve, under plain uvicorn and in tests.
"""

import asyncio
import hmac
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from importlib.metadata import version
from typing import Annotated, cast
from uuid import UUID

from fastapi import (
    APIRouter,
    Depends,
    FastAPI,
    HTTPException,
    Path,
    Query,
    Request,
    Response,
    WebSocket,
)
from fastapi.exception_handlers import request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from engines.avatar.viseme.portrait import FACES
from engines.knowledge.spool import Spool
from engines.memory.reminder import room
from serve_app.avatar_studio import Studio
from serve_app.avatars import Avatars, avatars
from serve_app.body_limit import BodyLimit
from serve_app.cloned_voices import ClonedTts, VoiceStore
from serve_app.complaint import complaint
from serve_app.connection import CLOSE_NOT_FOUND, Connection
from serve_app.demo import demo
from serve_app.encoded_path import EncodedPath
from serve_app.errors import (
    BadToken,
    ForeignOrigin,
    GatewayError,
    SessionNotFound,
    StorageFailed,
    TooManyForStudent,
    TooManySessions,
    TooManySockets,
)
from serve_app.guard import HostCheck, check_origin
from serve_app.knowledge import Desk, knowledge
from serve_app.live import Caller
from serve_app.memories import memories
from serve_app.memory import Memory
from serve_app.memory_store import MemoryStore
from serve_app.minds import minds
from serve_app.roster import Roster, roster
from serve_app.services import Engines, Services
from serve_app.sessions import Limits, Session, Sessions, session_id_in
from serve_app.settings import Settings
from serve_app.store import open_database
from serve_app.switchboard import Switchboard
from serve_app.tutor_store import Staff, TutorStore
from serve_app.tutors import Tutors
from serve_app.voice_samples import Samples
from serve_app.voices import Voices, voices
from serve_app.webrtc.peers import Peers
from wire.rest import (
    EngineHealth,
    Health,
    Id,
    MessagePublic,
    SessionCount,
    SessionCreate,
    SessionCreated,
    SessionPublic,
)

logger = logging.getLogger(__name__)

RETRY_AFTER_S = 10
"""What a client is told to wait when all places are taken; sessions come and go in minutes."""

STATUS_OF: dict[type[GatewayError], int] = {
    SessionNotFound: 404,
    BadToken: 401,
    TooManySessions: 503,
    TooManyForStudent: 429,
    StorageFailed: 503,
}

CLOSE_CODE_OF: dict[type[Exception], int] = {
    BadToken: 4401,
    ForeignOrigin: 4403,
    SessionNotFound: CLOSE_NOT_FOUND,
    TooManySockets: 1013,  # try again later
}
CLOSE_INTERNAL_ERROR = 1011

MAX_SOCKETS_OF_A_STUDENT = 16
"""On one replica: every tab and device of one person, many times over."""


def services_of(connection: Request) -> Services:
    return cast(Services, connection.app.state.services)


ServicesDep = Annotated[Services, Depends(services_of)]


def require_key(request: Request, services: ServicesDep) -> None:
    """`Authorization: Bearer {ENGINE_API_KEY}`, when a key is set."""
    key = services.settings.engine_api_key
    if key is None:
        return
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    right = hmac.compare_digest(given.encode(), key.get_secret_value().encode())
    if scheme.lower() != "bearer" or not right:
        raise HTTPException(
            401,
            "This engine wants its ENGINE_API_KEY: send `Authorization: Bearer …`.",
            headers={"WWW-Authenticate": "Bearer"},
        )


management = APIRouter(dependencies=[Depends(require_key)], tags=["sessions"])
public = APIRouter()
sockets = APIRouter()


@management.post("/sessions")
async def create_session(wish: SessionCreate, services: ServicesDep) -> SessionCreated:
    session, token = await services.sessions.create(wish.tutor_id, wish.student_id, wish.kb_id)
    return SessionCreated(
        session_id=session.id,
        engine_url=services.settings.engine_url(session.id),
        engine_token=token,
    )


@management.get("/sessions")
async def list_sessions(
    services: ServicesDep,
    student_id: Annotated[Id | None, Query()] = None,
    tutor_id: Annotated[Id | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after: Annotated[UUID | None, Query()] = None,
) -> list[SessionPublic]:
    page = await services.sessions.page(
        student_id=student_id,
        tutor_id=tutor_id,
        limit=limit,
        after=str(after) if after else None,
    )
    return [_public(session) for session in page]


@management.get("/sessions/{session_id}")
async def get_session(session_id: str, services: ServicesDep) -> SessionPublic:
    return _public(await services.sessions.get(session_id_in(session_id)))


@management.delete("/sessions/{session_id}", status_code=204)
async def delete_session(session_id: str, services: ServicesDep) -> Response:
    await services.sessions.end(session_id_in(session_id))
    services.switchboard.look_now()
    return Response(status_code=204)


@management.delete("/students/{student_id}", status_code=204)
async def delete_student(
    student_id: Annotated[Id, Path()], request: Request, services: ServicesDep
) -> Response:
    """All that is known of a student: their sessions, also those that live, with what was said in
    them, and what tutors remember."""
    await request.app.state.memories.forget(student_id)
    await services.sessions.forget(student_id)
    services.switchboard.look_now()
    return Response(status_code=204)


@management.get("/sessions/{session_id}/messages")
async def list_messages(session_id: str, services: ServicesDep) -> list[MessagePublic]:
    """The conversation, oldest first; also of a session that has ended."""
    known = session_id_in(session_id)
    if not await services.sessions.exists(known):
        raise SessionNotFound
    return [
        MessagePublic(
            message_id=row.id,
            role="user" if row.role == "user" else "assistant",
            content=row.content,
            interrupted=row.interrupted,
            created_at=row.created_at,
        )
        for row in await services.sessions.messages(known)
    ]


@public.get("/health", tags=["health"])
async def health(services: ServicesDep) -> Health:
    states = await services.engines.states()
    return Health(
        version=version("virtual-tutor"),
        engines={
            stage: EngineHealth(
                engine=state.engine, state=state.state, reason=state.reason, remedy=state.remedy
            )
            for stage, state in states.items()
        },
        sessions=SessionCount(
            active=await services.sessions.count(), max=services.sessions.limits.sessions
        ),
    )


@sockets.websocket("/ws/{connection_id}")
@sockets.websocket("/ws/ws/{connection_id}")
async def serve_socket(socket: WebSocket, connection_id: str) -> None:
    services: Services = socket.app.state.services
    token, subprotocol = _token(socket)
    await socket.accept(subprotocol=subprotocol)
    try:
        check_origin(socket.headers, services.settings)
        caller = await _caller(services.sessions, connection_id, token)
        if services.switchboard.sockets_of(caller.student_id) >= MAX_SOCKETS_OF_A_STUDENT:
            raise TooManySockets
    except Exception as refused:  # told on the socket, whatever it is
        await socket.send_text(complaint(refused).to_json())
        await socket.close(CLOSE_CODE_OF.get(type(refused), CLOSE_INTERNAL_ERROR))
    else:
        await Connection(services, socket, caller).run()


async def _caller(sessions: Sessions, connection_id: str, token: str) -> Caller:
    """Who may use this connection. Raises `SessionNotFound` or `BadToken`."""
    user_id = connection_id.removeprefix("user_")
    if user_id == connection_id:
        session = await sessions.authenticate(session_id_in(connection_id), token)
        return Caller(session.student_id, session)
    if not user_id.isascii() or not user_id.isdigit() or len(user_id) > 18:
        raise BadToken
    await sessions.authenticate_student(int(user_id), token)
    return Caller(int(user_id), None)


def _token(socket: WebSocket) -> tuple[str, str | None]:
    """The token and, when it came as a subprotocol, the subprotocol to confirm."""
    offered = [item.strip() for item in socket.headers.get("sec-websocket-protocol", "").split(",")]
    if len(offered) == 2 and offered[0] == "bearer":
        return offered[1], "bearer"
    scheme, _, given = socket.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return given, None
    return socket.query_params.get("token", ""), None


def _public(session: Session) -> SessionPublic:
    return SessionPublic(
        session_id=session.id,
        tutor_id=session.tutor_id,
        student_id=session.student_id,
        kb_id=session.kb_id,
        status="active",
        created_at=session.created_at,
        last_activity=session.last_activity,
    )


def create_api(settings: Settings, engines: Engines, tutors: Tutors) -> FastAPI:
    """The gateway's application; its lifespan owns the database and the background tasks."""
    store = VoiceStore(settings.tutor_home / "voices")
    engines = replace(engines, speak=ClonedTts(engines.speak, store))
    api = FastAPI(
        title="Virtual Tutor engine",
        version=version("virtual-tutor"),
        lifespan=_lifespan(settings, engines, tutors),
    )
    api.state.voices = Voices(store, engines.voices, Samples(engines.speak))
    api.state.knowledge = Desk(engines.bases, Spool(settings.knowledge_uploads))
    api.add_middleware(EncodedPath, below="/v1/knowledge/")
    api.add_middleware(BodyLimit)
    api.add_middleware(HostCheck, settings=settings)
    for prefix in ("/v1", "/mgmt/v1"):
        api.include_router(management, prefix=prefix)
        for guarded in (voices, avatars, knowledge, memories, roster):
            api.include_router(guarded, prefix=prefix, dependencies=[Depends(require_key)])
        api.include_router(public, prefix=prefix)
    api.include_router(public)
    api.include_router(sockets)
    api.include_router(demo)
    api.add_exception_handler(GatewayError, _refusal)
    api.add_exception_handler(RequestValidationError, _wrong_fields)
    api.add_exception_handler(Exception, _failure)
    return api


def _lifespan(
    settings: Settings, engines: Engines, tutors: Tutors
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    limits = Limits(
        settings.max_sessions, settings.max_sessions_per_student, settings.session_timeout_seconds
    )

    @asynccontextmanager
    async def lifespan(api: FastAPI) -> AsyncIterator[None]:
        async with open_database(settings.database) as database:
            sessions = Sessions(database, limits)
            switchboard = Switchboard(sessions)
            studio = Studio(settings.avatars_folder, engines.preparer())
            api.state.memories = MemoryStore(database, settings.memory_days)
            memory = Memory(
                api.state.memories,
                minds(engines, tutors),
                on=settings.memory,
                tokens=room(settings.llm_context_tokens),
            )
            api.state.avatars = Avatars(studio, FACES, tutors.wearers)
            staff = Staff(TutorStore(database), tutors)
            await staff.look()  # before the first session
            api.state.roster = Roster(
                staff, settings, engines.faces, api.state.voices, engines.states
            )
            peers = Peers(settings, engines.backdrop, engines.shown)
            async with peers, asyncio.TaskGroup() as tasks:
                api.state.services = Services(
                    settings, sessions, engines, tutors, switchboard, peers, memory
                )
                owned = [
                    tasks.create_task(switchboard.watch(), name="watch"),
                    tasks.create_task(switchboard.expire(), name="expire"),
                    tasks.create_task(tutors.follow(), name="tutors"),
                    tasks.create_task(staff.follow(), name="staff"),
                    tasks.create_task(studio.work(), name="studio"),
                    tasks.create_task(memory.work(), name="memory"),
                ]
                yield
                for task in owned:
                    task.cancel()

    return lifespan


async def _refusal(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, GatewayError)
    status = STATUS_OF[type(error)]
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status in (429, 503) else None
    return JSONResponse({"detail": error.sentence}, status, headers)


async def _wrong_fields(request: Request, error: Exception) -> JSONResponse:
    """As FastAPI tells it, also of what JSON cannot carry back: half a surrogate pair, NaN."""
    assert isinstance(error, RequestValidationError)
    try:
        return await request_validation_exception_handler(request, error)
    except ValueError:
        told = [{key: each[key] for key in ("type", "loc", "msg")} for each in error.errors()]
        return JSONResponse({"detail": told}, 422)


async def _failure(_request: Request, error: Exception) -> JSONResponse:
    logger.error("A request failed", exc_info=error)
    return JSONResponse({"detail": "Something went wrong inside; the engine's log says what."}, 500)
