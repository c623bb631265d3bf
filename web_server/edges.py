"""What holds for every request and answer: which addresses there can be, how large a body may be,
and what each answer says of itself."""

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web_server.errors import TooLarge, Unreadable

MAX_BODY_BYTES = 1024 * 1024
"""Far more than any JSON body of the API needs."""

TOO_LARGE = "The request is larger than 1 MiB. Send less at once."


def is_upload(path: str) -> bool:
    """These count for themselves (`relay.py`)."""
    path = path.rstrip("/")
    base = "/api/admin/knowledge/"
    return path == "/api/admin/faces" or (path.startswith(base) and path.endswith("/documents"))


NUL = "An address holds no NUL characters (%00). Leave them out."


class PlainAddress:
    """Refuses a NUL character, which no name has, and which PostgreSQL would not even look for."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and ("\0" in scope["path"] or b"%00" in scope["query_string"]):
            await JSONResponse({"detail": NUL}, Unreadable.status)(scope, receive, send)
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
            await JSONResponse({"detail": TOO_LARGE}, TooLarge.status)(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > MAX_BODY_BYTES:
                # FastAPI lets only this class through while it reads a body.
                raise HTTPException(TooLarge.status, TOO_LARGE)
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
