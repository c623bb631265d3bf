"""Who may use the proxy: whose token it is, from which page, and how many sockets each may have."""

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from foundation.settings import is_loopback
from web_server.errors import NotSignedIn, StorageFailed
from web_server.sentences import Language, Sentence
from web_server.settings import hostname
from wire.events import ErrorEvent

CLOSE_NOT_SIGNED_IN = 4401
CLOSE_FORBIDDEN = 4403
CLOSE_NOT_FOUND = 4404
CLOSE_INTERNAL_ERROR = 1011
CLOSE_TRY_LATER = 1013

MAX_SOCKETS_OF_A_USER = 16
"""As many as the engine takes; here also those count that wait for it."""

OFF = Sentence("The tutor engine is switched off here. Ask whoever runs this server.")
ENDED = Sentence("Your login has ended. Log in again.")
WRONG_USER = Sentence("This address is another user's. Use the id of your own account.")
TOO_MANY = Sentence("Too many connections of this account are open. Close some of them.")
FOREIGN = Sentence("Pages of this origin may not connect. Add it to CORS_ORIGINS.")


class Ending(Exception):
    """The browser's socket is to end: with an `error` event, and a close code."""

    def __init__(self, close_code: int, code: str, reason: Sentence) -> None:
        super().__init__(reason.said())
        self.close_code = close_code
        self._code = code
        self._reason = reason

    def event(self, language: Language) -> ErrorEvent:
        return ErrorEvent(code=self._code, content=self._reason.said(language))


@dataclass(frozen=True, slots=True)
class Visit:
    """Who has come, and until when the token holds."""

    user_id: int
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Gate:
    """What the proxy stands on."""

    admit: Callable[[str], Awaitable[Visit]]
    """Whose JWT this is. Raises `NotSignedIn` or `StorageFailed`."""
    engine_tokens: Callable[[int], Awaitable[Sequence[str]]]
    """Of a user's live sessions, the best first. Raises `StorageFailed`."""
    engine_url: str
    """Of the engine's REST API, as this server reaches it."""
    engine_enabled: bool = True
    origins: Collection[str] = ()
    """Of pages elsewhere that may connect; `*` for any."""
    on_loopback: bool = True
    """Whether this server listens on loopback only: then every page of this machine may connect."""
    sockets: Counter[int] = field(default_factory=Counter)
    """How many each user has open."""

    @contextmanager
    def place(self, user_id: int) -> Iterator[None]:
        """Raises `Ending`."""
        if self.sockets[user_id] >= MAX_SOCKETS_OF_A_USER:
            raise Ending(CLOSE_TRY_LATER, "too_many_sockets", TOO_MANY)
        self.sockets[user_id] += 1
        try:
            yield
        finally:
            self.sockets[user_id] -= 1
            if not self.sockets[user_id]:
                del self.sockets[user_id]


async def admitted(gate: Gate, token: str) -> Visit:
    """Raises `Ending`."""
    try:
        visit = await gate.admit(token)
    except NotSignedIn as refused:
        raise Ending(CLOSE_NOT_SIGNED_IN, "bad_token", refused.reason) from refused
    except StorageFailed as failed:
        raise Ending(CLOSE_INTERNAL_ERROR, "storage_failed", failed.reason) from failed
    if visit.ends_at <= datetime.now(UTC):
        raise Ending(CLOSE_NOT_SIGNED_IN, "login_ended", ENDED)
    return visit


def check_origin(headers: Mapping[str, str], gate: Gate) -> None:
    """Only browsers send an Origin; theirs must be this server's own host, or be listed, or be on
    loopback as this server is. Raises `Ending`."""
    origin = headers.get("origin")
    if origin is None:
        return
    page, own = hostname(origin), hostname(f"//{headers.get('host', '')}")
    if "*" in gate.origins or origin.rstrip("/") in gate.origins or (page and page == own):
        return
    if not (gate.on_loopback and is_loopback(page)):
        raise Ending(CLOSE_FORBIDDEN, "origin_refused", FOREIGN)
