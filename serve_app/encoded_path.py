"""Names in paths that may hold a slash: it stays `%2F` until the route has been found.

Servers decode a path before anybody looks at it, so that `a%2Fb` could not be told from `a/b`.
"""

from functools import partial
from urllib.parse import quote, unquote

from pydantic import BeforeValidator
from starlette.types import ASGIApp, Receive, Scope, Send

ENCODED = BeforeValidator(partial(unquote, errors="strict"))
"""For the parameters of such a path; what is not UTF-8 is answered with 422."""


class EncodedPath:
    """Leaves the paths below a part of the API as they were sent."""

    def __init__(self, app: ASGIApp, below: str) -> None:
        """`below`, for example `/v1/knowledge/`, whatever stands before it."""
        self._app = app
        self._below = below

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._below in scope["path"]:
            raw = scope.get("raw_path")
            scope = {**scope, "path": raw.decode("latin-1") if raw else quote(scope["path"])}
        await self._app(scope, receive, send)
