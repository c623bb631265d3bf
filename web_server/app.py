"""The web server as a FastAPI application, and how it is served.

settings ─► School (database, engine, logins) ─► routes ─► errors as {"detail": sentence}
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version

import uvicorn
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from web_server import demo
from web_server.access import School
from web_server.accounts import auth, me
from web_server.conversations import conversations
from web_server.database import open_database, transactions
from web_server.edges import BodyLimit, CarefulHeaders, PlainAddress, refusal
from web_server.engine import EngineClient
from web_server.errors import WebError
from web_server.faces import faces, pictures
from web_server.findings import findings
from web_server.knowledge import knowledge
from web_server.login_limit import LoginLimit
from web_server.oversight import oversight
from web_server.page import page
from web_server.passwords import Passwords
from web_server.proxy import gate_of, proxy
from web_server.relay import Relays
from web_server.secret import secret_key, token_cipher
from web_server.sentences import Sentence
from web_server.sessions import Sessions, keep_ending
from web_server.settings import WebSettings
from web_server.student_sessions import student_sessions, tutor_sessions
from web_server.students import students
from web_server.tokens import Tokens
from web_server.tutors import TutorLocks, tutors
from web_server.voices import voices

logger = logging.getLogger(__name__)

SHUTDOWN_LIMIT_S = 10
MAX_FRAME_BYTES = 16 * 2**20
"""Of a WebSocket, as the engine's server has it."""

ROUTERS = (
    auth,
    me,
    student_sessions,
    tutor_sessions,
    conversations,
    pictures,
    tutors,
    students,
    faces,
    voices,
    knowledge,
    oversight,
    proxy,
)

public = APIRouter()


@public.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


def create_app(settings: WebSettings) -> FastAPI:
    """Its lifespan owns the database, the connections to the engine and the background tasks."""
    app = FastAPI(
        title="Virtual Tutor",
        version=version("virtual-tutor"),
        lifespan=_lifespan(settings),
        openapi_url="/api/openapi.json",
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
    )
    app.state.frontend = settings.frontend_dist
    app.state.tutor_locks = TutorLocks()
    app.add_middleware(BodyLimit)
    app.add_middleware(PlainAddress)
    app.add_middleware(CarefulHeaders)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.cors_origin_list,
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["Authorization", "Content-Type"],
        expose_headers=["Retry-After"],
    )
    for router in (public, *ROUTERS):
        app.include_router(router)
    app.include_router(page)  # last: it takes every path
    app.add_exception_handler(WebError, _refusal)
    app.add_exception_handler(HTTPException, _plain_refusal)
    app.add_exception_handler(RequestValidationError, _wrong_fields)
    app.add_exception_handler(Exception, _failure)
    return app


def _lifespan(settings: WebSettings) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with opened(settings) as school:
            await prepare(school)
            app.state.school = school
            app.state.proxy = gate_of(school)
            async with asyncio.TaskGroup() as tasks:
                owned: list[asyncio.Task[None]] = [
                    tasks.create_task(keep_ending(Sessions.of(school)), name="endings")
                ]
                if settings.demo:
                    owned.append(tasks.create_task(demo.offer_course(school), name="course"))
                yield
                for task in owned:
                    task.cancel()

    return lifespan


@asynccontextmanager
async def opened(settings: WebSettings) -> AsyncIterator[School]:
    """Raises `SettingsError` and `StorageFailed`."""
    key = await asyncio.to_thread(secret_key, settings)
    passwords = await asyncio.to_thread(Passwords)
    engine = EngineClient(
        settings.engine_url, settings.engine_api_key, enabled=settings.engine_enabled
    )
    async with open_database(settings.database) as database:
        try:
            yield School(
                settings=settings,
                database=transactions(database),
                engine=engine,
                tokens=Tokens(key, settings.algorithm, settings.access_token_expire_minutes),
                cipher=token_cipher(key),
                passwords=passwords,
                login_limit=LoginLimit(),
                relays=Relays(engine),
            )
        finally:
            await engine.close()


async def prepare(school: School) -> None:
    """Raises `SettingsError`."""
    await (demo.seed(school) if school.settings.demo else demo.demand_none(school))


def serve(settings: WebSettings) -> None:
    """Until it is interrupted. Raises `SettingsError` and `StorageFailed` before it begins."""
    asyncio.run(_prepared(settings))
    uvicorn.run(
        create_app(settings),
        host=settings.web_host,
        port=settings.web_port,
        # Tokens may stand in addresses, and info is where uvicorn writes these.
        log_level="warning",
        proxy_headers=True,
        forwarded_allow_ips=settings.trusted_proxy_list,
        server_header=False,
        ws="websockets-sansio",
        ws_max_size=MAX_FRAME_BYTES,
        # It makes a voice a quarter smaller, and holds up every socket for 10 ms of each 100 kB.
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=SHUTDOWN_LIMIT_S,
    )


async def _prepared(settings: WebSettings) -> None:
    async with opened(settings) as school:
        await prepare(school)


async def _refusal(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, WebError)
    return refusal(request, error.status, error.reason, headers=error.headers)


async def _plain_refusal(request: Request, error: Exception) -> JSONResponse:
    """Of the framework, such as of a method that an address does not know."""
    assert isinstance(error, HTTPException)
    reason = Sentence(str(error.detail))
    return refusal(request, error.status_code, reason, headers=error.headers)


async def _wrong_fields(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return refusal(request, 422, *findings(error.errors()))


INSIDE = Sentence("Something went wrong inside. Try again; the web server's log says what.")


async def _failure(request: Request, error: Exception) -> JSONResponse:
    logger.error("A request failed", exc_info=error)
    return refusal(request, 500, INSIDE)
