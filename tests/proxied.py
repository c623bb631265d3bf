"""The proxy under uvicorn, before an engine, with accounts and sessions as a test sets them."""

import contextlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import uvicorn
from fastapi import FastAPI

from tests.running import PROJECT, Running, Session, Talk, _wait_for, free_port
from web_server.errors import NotSignedIn, StorageFailed
from web_server.gate import Gate, Visit
from web_server.proxy import proxy
from web_server.tokens import Tokens

KEY = "a secret key of the tests, long enough for HS256"
TOKENS = Tokens(KEY, "HS256", minutes=30)


def jwt_of(user_id: int) -> str:
    return TOKENS.issue(user_id, 1)[0]


@dataclass
class Accounts:
    """Whose logins hold, and who has sessions."""

    engine_tokens: dict[int, list[str]] = field(default_factory=dict)
    closed: set[int] = field(default_factory=set)
    ends_at: dict[str, datetime] = field(default_factory=dict)
    """Of a JWT that ends at another time than it says."""
    away: bool = False
    """Whether the database does not answer."""

    async def admit(self, token: str) -> Visit:
        if self.away:
            raise StorageFailed
        login = TOKENS.read(token)
        if login.user_id in self.closed:
            raise NotSignedIn
        return Visit(login.user_id, self.ends_at.get(token, login.ends_at))

    async def tokens_of(self, user_id: int) -> Sequence[str]:
        if self.away:
            raise StorageFailed
        return list(self.engine_tokens.get(user_id, []))

    def ending_in(self, user_id: int, seconds: float) -> str:
        """A JWT that holds for so long."""
        token = jwt_of(user_id)
        self.ends_at[token] = datetime.now(UTC) + timedelta(seconds=seconds)
        return token


@dataclass(frozen=True)
class Web:
    """A web server at an address, with nothing but the proxy."""

    port: int
    accounts: Accounts

    def url(self, user_id: int | str, token: str | None = None) -> str:
        """With a token of that user, unless another one is given."""
        token = jwt_of(int(user_id)) if token is None else token
        return f"{self.bare_url(user_id)}?token={token}"

    def bare_url(self, user_id: int | str) -> str:
        return f"ws://127.0.0.1:{self.port}/api/ws/proxy/user/{user_id}"

    @contextlib.asynccontextmanager
    async def conversation(
        self, engine: Running, student_id: int = 123, **kwargs: Any
    ) -> AsyncIterator[tuple[Session, Talk]]:
        """A session, and the socket of its student through the proxy."""
        async with engine.live(student_id=student_id) as session:
            known = self.accounts.engine_tokens.setdefault(student_id, [])
            known.insert(0, session.token)
            try:
                async with engine.talk(self.url(student_id), **kwargs) as talk:
                    yield session, talk
            finally:
                known.remove(session.token)


def server_of(gate: Gate, port: int, log_level: str = "warning") -> uvicorn.Server:
    app = FastAPI()
    app.include_router(proxy)
    app.state.proxy = gate
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        log_level=log_level,
        ws="websockets-sansio",
        ws_max_size=16 * 2**20,
        ws_per_message_deflate=False,
    )
    return uvicorn.Server(config)


@contextlib.contextmanager
def web_before(engine_url: str, log_level: str = "warning", **gate: Any) -> Iterator[Web]:
    """The proxy under uvicorn as the web server runs it, on a port of its own."""
    accounts, port = Accounts(), free_port()
    gates = Gate(accounts.admit, accounts.tokens_of, engine_url, **gate)
    server = server_of(gates, port, log_level)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    _wait_for(lambda: server.started or not thread.is_alive(), "uvicorn")
    try:
        yield Web(port, accounts)
    finally:
        server.should_exit = True
        thread.join(20)


@contextlib.contextmanager
def web_apart(engine_url: str, engine_tokens: dict[int, list[str]]) -> Iterator[Web]:
    """The same in a process of its own, with sessions that are there already."""
    port = free_port()
    process = subprocess.Popen(
        (sys.executable, "-m", "tests.proxied", str(port), engine_url),
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(list(engine_tokens.items())))
    process.stdin.close()
    try:
        _wait_for(lambda: _listens(port) or process.poll() is not None, "the proxy")
        yield Web(port, Accounts(engine_tokens))
    finally:
        process.terminate()
        process.wait(20)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def main() -> None:
    accounts = Accounts(dict(json.load(sys.stdin)))
    server_of(Gate(accounts.admit, accounts.tokens_of, sys.argv[2]), int(sys.argv[1])).run()


if __name__ == "__main__":
    main()
