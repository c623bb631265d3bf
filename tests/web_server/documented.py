"""The pages and the web server that the published documents show, as their code is written.

001 is the guide for front ends, 002 the one for connections of a user, 003 the one for the direct
socket, 004 the one for web servers. None of these clients says `hello`.
"""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import numpy as np
from websockets.asyncio.client import connect
from websockets.typing import Origin

from tests.media import unpacked
from tests.running import Event, Talk
from tests.web_server.schools import Site
from web_server.demo import Account

PAGE = "http://localhost:3000"
"""Where all of them serve the front end from while it is developed."""


@dataclass(frozen=True)
class FrontEnd:
    """A page at port 3000 whose browser asks before it sends, as browsers do."""

    http: httpx.AsyncClient
    login: dict[str, Any]

    @property
    def user_id(self) -> int:
        return int(self.login["user"]["id"])

    async def fetch(self, method: str, path: str, body: object = None) -> Any:
        headers = {"Authorization": f"Bearer {self.login['access_token']}"}
        return await fetched(self.http, method, path, body, headers)

    async def create_session(self, tutor_id: int, **more: Any) -> dict[str, Any]:
        """`createSession` of 001, and `createAISession` of 004 with its `kb_id`."""
        wish = {"tutor_id": tutor_id, **more}
        session: dict[str, Any] = await self.fetch("POST", "/api/student/sessions", wish)
        return session

    @contextlib.asynccontextmanager
    async def lesson(self, tutor_id: int, **more: Any) -> AsyncIterator[tuple[Any, "Socket"]]:
        """A session, and its own socket: `connect` of 001, `connectWebSocket` of 004."""
        session = await self.create_session(tutor_id, **more)
        url = f"{session['engine_url']}?token={session['engine_token']}"
        async with opened(url) as socket:
            yield session, socket


async def fetched(
    http: httpx.AsyncClient, method: str, path: str, body: object, headers: dict[str, str]
) -> Any:
    """The JSON of an answer that a page at PAGE may read; raises when it was refused."""
    asked = {
        "Origin": PAGE,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": ", ".join(
            sorted(name.lower() for name in (*headers, "Content-Type"))
        ),
    }
    preflight = await http.options(path, headers=asked)
    assert preflight.status_code == 200, preflight.text
    assert preflight.headers["access-control-allow-origin"] == PAGE
    answer = await http.request(method, path, json=body, headers={"Origin": PAGE, **headers})
    assert answer.headers["access-control-allow-origin"] == PAGE
    return answer.raise_for_status().json()


@contextlib.asynccontextmanager
async def logged_in(site: Site, account: Account) -> AsyncIterator[FrontEnd]:
    """`login` of 001, which keeps `access_token`."""
    credentials = {"email": account.email, "password": account.password}
    async with site.http() as http:
        login = await fetched(http, "POST", "/api/auth/login", credentials, {})
        yield FrontEnd(http, login)


class Socket(Talk):
    """Of a browser, with all that has come to `onmessage`. As browsers do, it sends an offer at
    once, and names its own addresses afterwards."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.messages: list[Event] = []

    async def receive(self) -> Event:
        message = await super().receive()
        self.messages.append(message)
        return message

    async def send(self, **message: Any) -> None:
        if message["type"] != "webrtc_offer":
            await super().send(**message)
            return
        sdp, candidates = trickled(message["sdp"])
        await super().send(**{**message, "sdp": sdp})
        for candidate in candidates:
            await super().send(
                type="webrtc_ice_candidate", candidate=candidate, user_id=message["user_id"]
            )

    async def nothing_more(self) -> None:
        """Nothing was on its way that has not been waited for."""
        assert await self.ask(type="ping") == {"type": "pong"}
        self.messages.pop()


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[Socket]:
    """`new WebSocket(url)` in the page."""
    async with connect(url, max_size=None, origin=Origin(PAGE)) as socket:
        yield Socket(socket)


def trickled(sdp: str) -> tuple[str, list[dict[str, Any]]]:
    """The offer without its candidates, and these as `RTCIceCandidate.toJSON` gives them."""
    left: list[str] = []
    candidates: list[dict[str, Any]] = []
    index, fragments = -1, [line for line in sdp.splitlines() if line.startswith("a=ice-ufrag:")]
    mids = [line.partition(":")[2] for line in sdp.splitlines() if line.startswith("a=mid:")]
    for line in sdp.splitlines():
        index += line.startswith("m=")
        if line.startswith("a=candidate:"):
            candidates.append(
                {
                    "candidate": line.removeprefix("a="),
                    "sdpMid": mids[index],
                    "sdpMLineIndex": index,
                    "usernameFragment": fragments[0].partition(":")[2],
                }
            )
        elif line != "a=end-of-candidates":
            left.append(line)
    return "\r\n".join([*left, ""]), candidates


def shown(message: Event) -> tuple[str, ...]:
    """`handleMessage` of 001: which of its four functions is called, and with what. A message that
    it does not know fails."""
    fields = {"text": "content", "audio": "data", "transcription": "content", "error": "content"}
    return (message["type"], message[fields[message["type"]]])


def is_recent(timestamp: str) -> bool:
    """As `new Date(timestamp)` reads it."""
    return abs((datetime.now(UTC) - datetime.fromisoformat(timestamp)).total_seconds()) < 600


def is_heard(data: str) -> bool:
    """Base64 of a file that `<audio>` plays, and not silence."""
    samples, rate_hz = unpacked(data)
    return len(samples) > 0.2 * rate_hz and int(np.abs(samples).max()) > 1000


class GpuClient:
    """`GPUServerClient` of step 3, which an existing web server has: a connection for each call."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url

    async def create_session(
        self, tutor_id: int, student_id: int, kb_id: str | None = None
    ) -> dict[str, Any]:
        wish = {"tutor_id": tutor_id, "student_id": student_id, "kb_id": kb_id}
        created: dict[str, Any] = (await self._call("POST", "/v1/sessions", wish)).json()
        return created

    async def get_session(self, session_id: str) -> dict[str, Any]:
        told: dict[str, Any] = (await self._call("GET", f"/v1/sessions/{session_id}")).json()
        return told

    async def delete_session(self, session_id: str) -> bool:
        async with httpx.AsyncClient(timeout=30) as client:
            answer = await client.delete(f"{self.base_url}/v1/sessions/{session_id}")
        return answer.status_code == 204

    async def health_check(self) -> dict[str, Any]:
        told: dict[str, Any] = (await self._call("GET", "/health")).json()
        return told

    async def _call(self, method: str, path: str, body: object = None) -> httpx.Response:
        async with httpx.AsyncClient(timeout=30) as client:
            answer = await client.request(method, f"{self.base_url}{path}", json=body)
        return answer.raise_for_status()
