"""Which web pages may talk to the engine, and by which name it may be called."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from foundation.settings import is_loopback
from serve_app.errors import ForeignOrigin
from serve_app.settings import Settings

WRONG_HOST = (
    "This engine is not called by that name. Use localhost, or name the host in WEBSOCKET_URL or "
    "ALLOWED_ORIGINS."
)


def check_origin(headers: Mapping[str, str], settings: Settings) -> None:
    """Only browsers send an Origin; theirs must be the engine's own host, or be listed.

    Raises `ForeignOrigin`.
    """
    origin = headers.get("origin")
    if origin is None:
        return
    listed = _listed(settings)
    page, own = _hostname(origin), _hostname(f"//{headers.get('host', '')}")
    if "*" in listed or origin.rstrip("/") in listed or (page and page == own):
        return
    if not (is_loopback(page) and is_loopback(settings.management_api_host)):
        raise ForeignOrigin


class HostCheck:
    """An engine that strangers cannot reach, and that therefore wants no key, must not be reached
    through a browser either: a page could give its own name the address 127.0.0.1 (DNS rebinding),
    and would then be of the same origin. So such an engine answers to known names only."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._checks = (
            settings.engine_api_key is None
            and is_loopback(settings.management_api_host)
            and "*" not in _listed(settings)
        )
        named = {settings.websocket_url, *_listed(settings)}
        self._known = {host for url in named if (host := _hostname(url))}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._checks and scope["type"] == "http" and not self._is_known(scope):
            await JSONResponse({"detail": WRONG_HOST}, 421)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_known(self, scope: Scope) -> bool:
        host = _hostname(f"//{Headers(scope=scope).get('host', '')}")
        return not host or is_loopback(host) or host in self._known


def _listed(settings: Settings) -> set[str]:
    return {item.strip().rstrip("/") for item in settings.allowed_origins.split(",")} - {""}


def _hostname(url: str) -> str:
    """Empty where there is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
