"""The browser's way to the engine's socket, for pages that reach the web server alone.

    browser ── /api/ws/proxy/user/{id} ──► Relay ── /ws/user_{id} ──► engine
                      JWT                              a session's token

The browser gives its login, and the engine is given the token of one of that user's live sessions,
which the browser need not know. What goes through is in `go_between.py`.
"""

import asyncio
import logging
from typing import cast

from fastapi import APIRouter
from starlette.websockets import WebSocket, WebSocketDisconnect

from foundation.settings import is_loopback
from web_server.access import School, caller_of
from web_server.engine_socket import Frame, SocketEnded
from web_server.gate import (
    CLOSE_FORBIDDEN,
    CLOSE_INTERNAL_ERROR,
    CLOSE_TRY_LATER,
    OFF,
    WRONG_USER,
    Ending,
    Gate,
    Visit,
    admitted,
    check_origin,
)
from web_server.go_between import Relay, send
from web_server.sentences import Sentence, language_for
from web_server.sessions import Sessions
from wire.events import ErrorEvent

logger = logging.getLogger(__name__)

FAREWELL_LIMIT_S = 5.0
"""How long a browser has to take the last words."""

INTERNAL = Sentence("Something went wrong inside the web server; its log says what. Connect again.")


def gate_of(school: School) -> Gate:
    """The gate of this server's accounts and sessions."""

    async def admit(token: str) -> Visit:
        caller = await caller_of(school, token)
        return Visit(caller.user.id, caller.login.ends_at)

    settings = school.settings
    return Gate(
        admit,
        Sessions.of(school).live_tokens,
        settings.engine_url,
        settings.engine_enabled,
        settings.cors_origin_list,
        is_loopback(settings.web_host),
    )


proxy = APIRouter()
"""Finds its `Gate` in `app.state.proxy`."""


@proxy.websocket("/api/ws/proxy/user/{user_id}")
async def serve_proxy(browser: WebSocket, user_id: str) -> None:
    gate = cast(Gate, browser.app.state.proxy)
    token, subprotocol = _token(browser)
    language = language_for(browser)
    browser.scope["query_string"] = b""  # the server logs the address when the socket is accepted
    await browser.accept(subprotocol=subprotocol)
    try:
        check_origin(browser.headers, gate)
        visit = await admitted(gate, token)
        if str(visit.user_id) != user_id:
            raise Ending(CLOSE_FORBIDDEN, "wrong_user", WRONG_USER)
        if not gate.engine_enabled:
            raise Ending(CLOSE_TRY_LATER, "engine_unavailable", OFF)
        with gate.place(visit.user_id):
            await Relay(gate, browser, visit, token, language).run()
    except Ending as ending:
        await _farewell(browser, ending.close_code, ending.event(language).to_json())
    except SocketEnded as ended:
        await _farewell(browser, ended.code, *ended.said, reason=ended.reason)
    except Exception:
        logger.exception("A socket of the proxy failed")
        failed = ErrorEvent(code="internal_error", content=INTERNAL.said(language))
        await _farewell(browser, CLOSE_INTERNAL_ERROR, failed.to_json())


async def _farewell(browser: WebSocket, code: int, *frames: Frame, reason: str = "") -> None:
    try:
        async with asyncio.timeout(FAREWELL_LIMIT_S):
            for frame in frames:
                await send(browser, frame)
            await browser.close(code, reason)
    except (TimeoutError, WebSocketDisconnect, RuntimeError):  # the last: it has closed itself
        pass


def _token(browser: WebSocket) -> tuple[str, str | None]:
    """The JWT and, when it came as a subprotocol, the subprotocol to confirm."""
    named = browser.headers.get("sec-websocket-protocol", "")
    offered = [item.strip() for item in named.split(",")]
    if len(offered) == 2 and offered[0] == "bearer":
        return offered[1], "bearer"
    scheme, _, given = browser.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return given.strip(), None
    return browser.query_params.get("token", ""), None
