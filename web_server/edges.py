"""What holds for every request and answer: which addresses there can be, how large a body may be,
what each answer says of itself, and in which language a refusal is told."""

from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web_server.errors import TooLarge, Unreadable
from web_server.sentences import Language, Sentence, language_for

SEMICOLONS: dict[Language, str] = {"en": "; ", "zh": "；"}

MAX_BODY_BYTES = 1024 * 1024
"""Far more than any JSON body of the API needs."""

TOO_LARGE = Sentence("The request is larger than 1 MiB. Send less at once.")


def is_upload(path: str) -> bool:
    """These count for themselves (`relay.py`)."""
    path = path.rstrip("/")
    base = "/api/admin/knowledge/"
    whole = ("/api/admin/faces", "/api/admin/voices")
    return path in whole or (path.startswith(base) and path.endswith("/documents"))


NUL = Sentence("An address holds no NUL characters (%00). Leave them out.")


def refusal(
    connection: HTTPConnection,
    status: int,
    *reasons: Sentence,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """In the language of whoever asks."""
    language = language_for(connection)
    detail = SEMICOLONS[language].join(reason.said(language) for reason in reasons)
    return JSONResponse({"detail": detail}, status, {**(headers or {}), "Vary": "Accept-Language"})


class PlainAddress:
    """Refuses a NUL character, which no name has, and which PostgreSQL would not even look for."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and ("\0" in scope["path"] or b"%00" in scope["query_string"]):
            refused = refusal(HTTPConnection(scope), Unreadable.status, NUL)
            await refused(scope, receive, send)
        else:
            await self._app(scope, receive, send)


class BodyLimit:
    """Refuses a body by its declared length, or while it is read when it declares none."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or is_upload(scope["path"]):
            await self._app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > MAX_BODY_BYTES:
            refused = refusal(HTTPConnection(scope), TooLarge.status, TOO_LARGE)
            await refused(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > MAX_BODY_BYTES:
                # FastAPI lets only this class through while it reads a body.
                raise HTTPException(TooLarge.status, TOO_LARGE.template)
            return message

        await self._app(scope, counted, send)


class CarefulHeaders:
    """Answers are not guessed at, not cached unless they say so, and tell nobody where from."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", []))
                if not any(name.lower() == b"cache-control" for name, _ in headers):
                    headers.append((b"cache-control", b"no-store"))
                headers += [
                    (b"x-content-type-options", b"nosniff"),
                    (b"referrer-policy", b"no-referrer"),
                ]
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, with_headers)
