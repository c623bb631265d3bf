"""Passwords: Argon2id, in threads, a few at a time."""

import asyncio
from typing import Annotated

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from pydantic import Field

from web_server.errors import Crowded
from web_server.sentences import Sentence

AT_ONCE = 4
"""Each takes 64 MiB and a core for some 50 ms (RFC 9106, the second recommended choice)."""
MAX_WAITING = 100
"""Five seconds of a classroom's logins; who comes later is told to come again."""

LEAST_CHARS = 8
MAX_CHARS = 200

NewPassword = Annotated[str, Field(min_length=LEAST_CHARS, max_length=MAX_CHARS)]
GivenPassword = Annotated[str, Field(max_length=MAX_CHARS)]


MANY_LOGINS = Sentence("Very many people are logging in just now. Try again in a while.")


class Passwords:
    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._places = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        # Of an account that there is none of: looking it up must take as long as any other.
        self._nobody = self._hasher.hash("nobody's")

    async def hashed(self, password: str) -> str:
        """Raises `Crowded`."""
        return await self._run(password, None)

    async def fits(self, password: str, stored: str | None) -> bool:
        """None: no account; takes as long, and never fits. Raises `Crowded`."""
        fitting = await self._run(password, stored or self._nobody)
        return bool(fitting) and stored is not None

    async def _run(self, password: str, stored: str | None) -> str:
        if self._waiting >= MAX_WAITING:
            raise Crowded(MANY_LOGINS)
        self._waiting += 1
        try:
            async with self._places:
                return await asyncio.to_thread(self._reckon, password, stored)
        finally:
            self._waiting -= 1

    def _reckon(self, password: str, stored: str | None) -> str:
        """The hash; or `stored` where the password fits it, else an empty text."""
        if stored is None:
            return self._hasher.hash(password)
        try:
            self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return ""
        return stored
