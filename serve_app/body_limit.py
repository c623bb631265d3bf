"""No request body may be larger than the engine expects, however it is sent."""

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 1024 * 1024
"""Far more than any JSON body of the API needs."""

MAX_VOICE_BYTES = 9 * 1024 * 1024
"""The longest recording of a voice (`serve_app/voices.py`), in base64, and some room."""


MAX_AVATAR_BYTES = 101 * 10**6
"""Above what `serve_app/avatars.py` takes of a photo or clip, so that its own sentence is told."""

MAX_DOCUMENT_BYTES = 101 * 10**6
"""Above what `serve_app/knowledge.py` takes of a document, likewise."""


def limit_of(path: str) -> int:
    path = path.rstrip("/")
    if "/v1/knowledge/" in path and path.endswith("/documents"):
        return MAX_DOCUMENT_BYTES
    if path.endswith("/v1/avatars"):
        return MAX_AVATAR_BYTES
    return MAX_VOICE_BYTES if path.endswith("/v1/voices") else MAX_BODY_BYTES


def too_large(limit: int) -> str:
    return f"The request is larger than {limit // 2**20} MiB."


class BodyLimit:
    """Refuses a body by its declared length, or while it is read when it declares none."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = limit_of(scope["path"])
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > limit:
            await JSONResponse({"detail": too_large(limit)}, 413)(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                raise HTTPException(413, too_large(limit))
            return message

        await self._app(scope, counted, send)
