"""The tokens of logins: JWT, signed with the secret key."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import jwt

from web_server.errors import NotSignedIn
from web_server.sentences import Sentence

DAY = timedelta(hours=12)
"""A login is not prolonged beyond this: who finds a forgotten one has it until the evening."""

LONG_AGO = Sentence("You have been logged in for a long time. Log in again.")

ISSUER = "virtual-tutor-web"


@dataclass(frozen=True, slots=True)
class Login:
    """What a token says, before anybody has looked whether the account is still there."""

    user_id: int
    version: int
    """Of the account's logins, when it was made."""
    id: str
    began_at: datetime
    """When the password was given; prolonging does not change it."""
    ends_at: datetime


class Tokens:
    def __init__(self, key: str, algorithm: str, minutes: int) -> None:
        self._key = key
        self._algorithm = algorithm
        self._lifetime = timedelta(minutes=minutes)

    def issue(
        self, user_id: int, version: int, began_at: datetime | None = None
    ) -> tuple[str, int]:
        """A token, and the seconds for which it holds. `began_at` of a login that is prolonged;
        raises `NotSignedIn` when that was too long ago."""
        now = datetime.now(UTC).replace(microsecond=0)
        began_at = began_at or now
        ends_at = min(now + self._lifetime, began_at + max(DAY, self._lifetime))
        if ends_at <= now:
            raise NotSignedIn(LONG_AGO)
        claims = {
            "iss": ISSUER,
            "sub": str(user_id),
            "ver": version,
            "jti": secrets.token_hex(16),
            "auth_time": int(began_at.timestamp()),
            "iat": now,
            "exp": ends_at,
        }
        lifetime_s = int((ends_at - now).total_seconds())
        return jwt.encode(claims, self._key, self._algorithm), lifetime_s

    def read(self, token: str) -> Login:
        """Raises `NotSignedIn`."""
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=[self._algorithm],
                issuer=ISSUER,
                options={"require": ["sub", "exp", "iat", "jti", "ver", "auth_time"]},
            )
            return Login(
                int(claims["sub"]),
                int(claims["ver"]),
                str(claims["jti"]),
                datetime.fromtimestamp(int(claims["auth_time"]), UTC),
                datetime.fromtimestamp(int(claims["exp"]), UTC),
            )
        except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError) as wrong:
            raise NotSignedIn from wrong
