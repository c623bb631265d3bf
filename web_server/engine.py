"""The engine as this server uses it: one pool of connections, time limits, and every failure as an
`EngineAway` or `EngineRefused`."""

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NoReturn
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from web_server.errors import RETRY_AFTER_S, EngineAway, EngineRefused
from web_server.sentences import Sentence

logger = logging.getLogger(__name__)

CALL_LIMITS = httpx.Timeout(30.0, connect=5.0, pool=5.0)
"""Seconds. `/health` looks at every application, and one that restarts takes its time."""
UPLOAD_LIMITS = httpx.Timeout(60.0, connect=5.0, pool=5.0)
"""For each piece; the engine looks at a clip's first frame before it answers."""
EVENT_LIMITS = httpx.Timeout(45.0, connect=5.0, pool=5.0)
"""Between events the engine sends a comment every 15 s."""

POOL = httpx.Limits(max_connections=200, max_keepalive_connections=20)
"""Uploads and streams of events have smaller limits of their own (`relay.py`), so that calls find a
place."""

AWAY = Sentence(
    "The tutor engine does not answer just now. Try again in a while; `tutor status` says more."
)
OFF = Sentence("The tutor engine is switched off here (ENGINE_ENABLED=false).")
WRONG_KEY = Sentence("The engine refuses this server's key. Give both the same ENGINE_API_KEY.")

SERVER_ERROR = 500
PASSED_ON = (503, 507)
"""Of the errors that are the engine's fault, those whose sentence says what to do."""


class EngineClient:
    """The REST API of the engine. Every method raises `EngineAway` and `EngineRefused`."""

    def __init__(self, url: str, key: SecretStr | None, *, enabled: bool = True) -> None:
        self.url = url
        self.enabled = enabled
        headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}
        # Nothing of the environment: a proxy of the house does not lead to the engine.
        self._http = httpx.AsyncClient(
            base_url=url, headers=headers, timeout=CALL_LIMITS, limits=POOL, trust_env=False
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def get(self, path: str, **query: str | int | None) -> Any:
        return _json(await self._send("GET", path, query))

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        return _json(await self._send("POST", path, {}, json=body))

    async def put(self, path: str, body: Mapping[str, Any]) -> Any:
        return _json(await self._send("PUT", path, {}, json=body))

    async def delete(self, path: str, **query: str | int | None) -> None:
        await self._send("DELETE", path, query)

    async def file(self, path: str, **query: str | float | None) -> bytes:
        return (await self._send("GET", path, query)).content

    async def upload(self, path: str, pieces: AsyncIterator[bytes], **query: str | None) -> Any:
        """A body that is never here as a whole. What `pieces` raises comes out as it is."""
        answer = await self._send("POST", path, query, content=pieces, timeout=UPLOAD_LIMITS)
        return _json(answer)

    @asynccontextmanager
    async def events(self, path: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """Server-sent events, as they come."""
        self._demand_enabled()
        try:
            async with self._http.stream("GET", path, timeout=EVENT_LIMITS) as answer:
                if not answer.is_success:
                    await answer.aread()
                    _refuse(answer)
                yield answer.aiter_raw()
        except httpx.TransportError as failure:
            raise EngineAway(AWAY) from failure

    async def _send(
        self, method: str, path: str, query: Mapping[str, str | float | None], **rest: Any
    ) -> httpx.Response:
        self._demand_enabled()
        given = {name: value for name, value in query.items() if value is not None}
        try:
            answer = await self._http.request(method, path, params=given or None, **rest)
        except (httpx.HTTPError, httpx.StreamError) as failure:
            raise EngineAway(AWAY) from failure
        if not answer.is_success:
            _refuse(answer)
        return answer

    def _demand_enabled(self) -> None:
        if not self.enabled:
            raise EngineAway(OFF)


def segment(name: str) -> str:
    """A name in a path: also its slashes are part of it."""
    return quote(name, safe="")


def _json(answer: httpx.Response) -> Any:
    """Raises `EngineAway`: something else listens at the engine's address."""
    try:
        return answer.json()
    except ValueError as other:
        logger.error("What answers at the engine's address is no engine")
        raise EngineAway(AWAY) from other


def _refuse(answer: httpx.Response) -> NoReturn:
    status = answer.status_code
    if status == 401:
        logger.error(WRONG_KEY.said())
        raise EngineAway(WRONG_KEY)
    sentence = _sentence(answer)
    if sentence is None or (status >= SERVER_ERROR and status not in PASSED_ON):
        logger.error("The engine answered %s %s", status, sentence or "without a sentence")
        raise EngineAway(AWAY)
    headers = {}
    if status in (429, 503):
        headers["Retry-After"] = answer.headers.get("retry-after", str(RETRY_AFTER_S))
    raise EngineRefused(status, sentence, headers)


def _sentence(answer: httpx.Response) -> str | None:
    """Its `detail`: a sentence, or the list that FastAPI makes of wrong fields."""
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return None
    if isinstance(detail, list):
        return "; ".join(_finding(entry) for entry in detail if isinstance(entry, dict))
    return detail if isinstance(detail, str) else None


def _finding(entry: Mapping[str, Any]) -> str:
    place = ".".join(str(part) for part in entry.get("loc", ())[1:])
    return f"{place}: {str(entry.get('msg', '')).removeprefix('Value error, ')}"
